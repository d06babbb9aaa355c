public import GGUF

/// The memory of a process that runs a model, in bytes: every allocation that grows with the model, the context, the
/// batch or the threads, and the process itself.
///
/// The plan is made from a file's header, before any weight is read; loading allocates what it says. A process that
/// loads one model and has one session stays below it by the kernel's own count, in which the pages of a mapped file
/// are no different from other memory.
public struct MemoryPlan: Sendable {
    /// One allocation, or a group of them with one purpose.
    public struct Item: Sendable {
        /// What it is for: one of the names of ``MemoryPlan/items``.
        public let name: String
        /// Its size in bytes.
        public let byteCount: Int
        /// Whether it is the page cache's copy of a file rather than memory of the process's own.
        public let isFileBacked: Bool

        /// An allocation of `byteCount` bytes.
        init(_ name: String, _ byteCount: Int, isFileBacked: Bool = false) {
            self.name = name
            self.byteCount = byteCount
            self.isFileBacked = isFileBacked
        }
    }

    /// What the plan is made of: weights, KV cache, activations (logits among them), scratch, norms, tokenizer (the
    /// vocabulary in the metadata and the tables made from it), process. Where reading the weights takes more than the
    /// session afterwards, the difference is an item too: "reading".
    public let items: [Item]
    /// Where the weights will be.
    public var weights: WeightPlacement { residence.placement }
    /// Positions that the KV cache holds.
    public let contextLength: Int
    /// The most prompt tokens in one pass, no more than ``contextLength``.
    public let batchSize: Int
    /// The most tokens that a ``Generator`` guesses ahead, fewer than ``batchSize``.
    public let draftTokens: Int
    /// Compute threads.
    public let threads: Int
    /// Compute threads for batches of a prompt.
    public let promptThreads: Int
    /// The kernels.
    public let instructionSet: InstructionSet
    /// How batches are multiplied.
    public let prefill: PrefillMethod
    /// What decode rounds activations to.
    public let precision: ActivationPrecision

    /// How the weights are held.
    let residence: WeightResidence
    package let matrices: [WeightPlan]
    package let cache: KVCache.Shape
    package let activations: ActivationShape
    package let scratch: ScratchShape
    /// Bytes of the vocabulary and of the tokenizer's tables.
    package let tokenizerBytes: Int

    /// All items together: the most bytes that the process will have in memory.
    public var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }

    /// All of it but the pages of mapped files, which the kernel may take back.
    package var ownBytes: Int { items.reduce(0) { $1.isFileBacked ? $0 : $0 + $1.byteCount } }

    /// Bytes that a session allocates, of all that: KV cache, activations and scratch.
    public var sessionBytes: Int { cache.byteCount + activations.byteCount + scratch.byteCount }

    /// Plans a model of `configuration` with the `tensors` of its file.
    ///
    /// - Parameters:
    ///   - tokenizerBytes: what ``tokenizerBytes(for:)`` gives for the file's metadata.
    ///   - residence: how the weights are held already; nil where that is to be chosen.
    /// - Throws: ``ModelError/overBudget(planned:budget:remedy:)`` for a plan that is larger than the budget of
    ///   `options`, ``ModelError/invalidOption(name:value:expected:)`` for options that make no sense.
    package init(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], tokenizerBytes: Int = 0, options: RuntimeOptions,
        residence: WeightResidence? = nil
    ) throws(ModelError) {
        try self.init(
            unlimited: configuration, tensors: tensors, tokenizerBytes: tokenizerBytes, options: options,
            residence: residence)
        guard let budget = options.memoryBudget, byteCount > budget.bytes else { return }
        let remedy = MemoryRemedy(of: self, options: options) { options throws(ModelError) in
            try MemoryPlan(
                unlimited: configuration, tensors: tensors, tokenizerBytes: tokenizerBytes, options: options,
                residence: residence)
        }
        throw .overBudget(planned: byteCount, budget: budget.bytes, remedy: remedy.text)
    }

    /// Plans the model in `file`, without a look at its weights.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - options: how the model is to be run.
    /// - Throws: ``ModelError/overBudget(planned:budget:remedy:)`` for a plan above the budget of `options`,
    ///   ``ModelError/invalidOption(name:value:expected:)`` for options that make no sense, what
    ///   ``ModelConfiguration/init(file:)`` throws, and ``ModelError/missingTensor(name:expected:)``,
    ///   ``ModelError/unexpectedTensor(name:)``, ``ModelError/wrongShape(tensor:expected:found:)`` or
    ///   ``ModelError/unsupportedType(tensor:type:expected:)`` for the tensors of the file.
    public init(file: GGUFFile, options: RuntimeOptions = RuntimeOptions()) throws(ModelError) {
        let configuration = try ModelConfiguration(file: file)
        try self.init(
            configuration, tensors: try TensorLayout(configuration).check(file),
            tokenizerBytes: Self.tokenizerBytes(for: file.metadata), options: options)
    }

    /// Bytes of the vocabulary in `metadata` and of the tables that a tokenizer makes from it.
    package static func tokenizerBytes(for metadata: GGUFMetadata) -> Int {
        metadata.arrayBytes + Tokenizer.tableBytes(for: metadata)
    }

    /// The plan whatever the budget: it only decides how the weights are held.
    package init(
        unlimited configuration: ModelConfiguration, tensors: [TensorInfo], tokenizerBytes: Int,
        options: RuntimeOptions, residence: WeightResidence? = nil
    ) throws(ModelError) {
        let options = try ResolvedOptions(options, configuration)
        contextLength = options.contextLength
        batchSize = options.batchSize
        draftTokens = options.draftTokens
        threads = options.threads
        promptThreads = options.promptThreads
        instructionSet = options.instructionSet
        prefill = options.prefill
        precision = options.activations
        self.tokenizerBytes = tokenizerBytes
        let cache = KVCache.Shape(
            layers: configuration.layers, heads: configuration.keyValueHeads, headSize: configuration.headSize,
            capacity: options.contextLength, keyType: options.keyType, valueType: options.valueType)
        let activations = ActivationShape(
            configuration, batchSize: options.batchSize, draftTokens: options.draftTokens,
            allLogits: options.allLogits)
        func items(_ weights: PlacedWeights) -> [Item] {
            var items = [
                Item("weights", weights.byteCount, isFileBacked: weights.residence == .mapped),
                Item("KV cache", cache.byteCount),
                Item("activations", activations.byteCount),
                Item("scratch", weights.scratch.byteCount),
                Item("norms", Weights.vectorFloats(tensors) * MemoryLayout<Float>.stride),
                Item("tokenizer", tokenizerBytes),
                Item("process", Self.processBytes + options.allThreads * Self.threadBytes),
            ]
            // What weights pass through is gone before a session begins.
            let session = cache.byteCount + activations.byteCount + weights.scratch.byteCount
            let excess = weights.stagingBytes - session
            if excess > 0 { items.append(Item("reading", excess)) }
            return items
        }

        // Where the weights are decides what scratch has to hold: each way is planned whole, the fastest first.
        let choices =
            residence.map { [$0] }
            ?? WeightResidence.allCases.filter { options.weights == nil || options.weights == $0.placement }
        var placed = PlacedWeights(tensors, choices[0], options, configuration)
        for choice in choices.dropFirst() {
            if Self.fits(items(placed).reduce(0) { $0 + $1.byteCount }, options) { break }
            placed = PlacedWeights(tensors, choice, options, configuration)
        }
        self.residence = placed.residence
        matrices = placed.matrices
        scratch = placed.scratch
        self.cache = cache
        self.activations = activations
        self.items = items(placed)
    }

    /// Throws where the plan needs more than the process's container may have: the kernel would end the process,
    /// without a word, some time while it loads.
    package func check(containerLimit: Int?) throws(ModelError) {
        // Whole pages on both sides: the kernel has rounded a limit down, which was perhaps the plan itself.
        guard let containerLimit, ownBytes / HostMemory.pageSize > containerLimit / HostMemory.pageSize else { return }
        throw .overContainer(needed: ownBytes, limit: containerLimit)
    }

    /// Throws where the system would refuse the memory of the plan, such as below `ulimit -v`: asked for all at once,
    /// it is refused with an error. Much later it might be a few bytes somewhere that are refused, which no runtime
    /// survives.
    func checkAddressSpace() throws(ModelError) {
        // Freed at once, and never touched: it costs a system call or two.
        _ = try Buffer<UInt8>.allocate(ownBytes, purpose: "the model and a session")
        if scratch.usesBLAS { try BLAS.checkAddressSpace(threads: promptThreads, beside: ownBytes) }
    }

    /// Throws where a session needs what the plan that the model was `loaded` with did not: more than its container may
    /// have, or the BLAS, which then has room for its buffers or never returns.
    func check(beyond loaded: MemoryPlan) throws(ModelError) {
        if ownBytes > loaded.ownBytes { try check(containerLimit: HostMemory.containerLimit) }
        if scratch.usesBLAS, !loaded.scratch.usesBLAS {
            try BLAS.checkAddressSpace(
                threads: promptThreads, beside: cache.byteCount + activations.byteCount + scratch.byteCount)
        }
    }

    /// Whether resident weights and everything else are within the budget and, where it is ours to choose, leave the
    /// machine some memory to spare.
    private static func fits(_ byteCount: Int, _ options: ResolvedOptions) -> Bool {
        if let budget = options.memoryBudget, byteCount > budget.bytes { return false }
        guard options.weights == nil else { return true }
        guard let spare = HostMemory.spare else { return false }
        return byteCount < spare
    }
}

// MARK: - The process

extension MemoryPlan {
    /// The bytes of the process without what the other items list: program and libraries, as far as they are used, the
    /// Swift runtime, the heap's small blocks.
    ///
    /// Measured as the peak of processes (VmHWM) less all other items: in release builds 26 MiB for `generate -n 8`
    /// with a full prompt and 33 MiB for `bench -p 512 -n 8`, which knows more about the machine; in debug builds up to
    /// 3 MiB more. Neither the type of the weights (Q4_0, Q4_K_M, Q8_0, F16), the context (512, 2048) nor where weights
    /// are made a difference. x86-64 Linux, Swift 6.3, OpenBLAS 0.3.21, models in CroissantLLM's shape. Most of it are
    /// pages of Foundation and its data, so other versions of the libraries may take a little more or less.
    public static let processBytes = 36 << 20

    /// The bytes that every thread adds to that: the used part of its stack, its part of the heap, and, where batches
    /// go through the BLAS, the pages that this packs matrices into.
    ///
    /// From 1 to 64 threads the peak grew by 70 KiB a thread with integer products, and by up to 240 KiB with the BLAS.
    public static let threadBytes = 256 << 10
}

/// How weights are held, the fastest way first.
package enum WeightResidence: Sendable, CaseIterable {
    /// In memory, as panels wherever a type has them.
    case panels
    /// In memory, as panels where those are not larger than the rows of the file, or by a sixteenth at most.
    case compact
    /// Where they are in the file.
    case mapped

    var placement: WeightPlacement { self == .mapped ? .mapped : .resident }

    /// How a tensor is held that is multiplied by rounded activations.
    fileprivate func plan(_ tensor: TensorInfo) -> WeightPlan {
        let rows = WeightPlan(tensor: tensor, layout: .rows)
        guard self != .mapped, Panel.exists(for: tensor.type) else { return rows }
        let panels = WeightPlan(tensor: tensor, layout: .panels)
        // The last panel is filled up, and some types have wider factors: a sixteenth more is not called larger.
        let isCompact = panels.byteCount <= rows.byteCount + rows.byteCount / 16
        return self == .panels || isCompact ? panels : rows
    }
}

/// The weights held in one way, and the scratch that products with them need.
private struct PlacedWeights {
    let residence: WeightResidence
    let matrices: [WeightPlan]
    let scratch: ScratchShape
    let byteCount: Int
    /// What they pass through on their way from the file.
    let stagingBytes: Int

    init(
        _ tensors: [TensorInfo], _ residence: WeightResidence, _ options: ResolvedOptions,
        _ configuration: ModelConfiguration
    ) {
        self.residence = residence
        let roles = Weights.roles(of: tensors, options.prefill, options.activations)
        let kernels = Kernels(options.instructionSet)
        var scratch = ScratchShape(
            configuration.attention, batchSize: options.batchSize,
            threads: max(options.threads, options.promptThreads))
        matrices = roles.map { role in
            options.activations != .f32 && role.isProduct
                ? residence.plan(role.tensor) : WeightPlan(tensor: role.tensor, layout: .rows)
        }
        for (role, plan) in zip(roles, matrices) {
            if role.isProduct {
                scratch.include(
                    plan, batchSize: options.batchSize, decode: options.activations, batch: role.batch,
                    kernels: kernels)
            }
            // A row of an embedding in panels is looked up by dequantising its panel.
            if role.isLookup && plan.layout == .panels {
                scratch.include(tileFloats: Panel.rows * plan.tensor.columns)
            }
        }
        let types = Dictionary(tensors.map { ($0.name, $0.type) }) { first, _ in first }
        for block in TensorLayout(configuration).blocks {
            scratch.include(
                gateRows: configuration.feedForwardLength, columns: configuration.embeddingLength,
                batchSize: options.batchSize, types: [block.gate, block.up].compactMap { types[$0.name] },
                batch: options.prefill.precision, kernels: kernels)
        }
        self.scratch = scratch
        byteCount =
            residence.placement == .resident
            ? WeightStore.residentBytes(of: matrices) : matrices.reduce(0) { $0 + $1.byteCount }
        stagingBytes =
            residence.placement == .resident ? WeightStore.stagingBytes(of: matrices, threads: options.threads) : 0
    }
}
