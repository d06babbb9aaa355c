public import GGUF

/// Every allocation of a model and its session that grows with the model, the context or the batch, in bytes.
///
/// The plan is made from a file's header, before any weight is read; loading allocates what it says.
public struct MemoryPlan: Sendable {
    /// One allocation, or a group of them with one purpose.
    public struct Item: Sendable {
        /// What it is for.
        public let name: String
        /// Its size.
        public let byteCount: Int
        /// Whether it is the page cache's copy of a file rather than memory of the process's own.
        public let isFileBacked: Bool
    }

    /// The allocations: weights, KV cache, activations (logits among them), scratch, norms.
    public let items: [Item]
    /// Where the weights will be.
    public var weights: WeightPlacement { residence.placement }
    /// Positions that the KV cache holds.
    public let contextLength: Int
    /// Prompt tokens in one pass.
    public let batchSize: Int
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

    /// All items together.
    public var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }

    /// Plans a model of `configuration` with the `tensors` of its file.
    ///
    /// - Parameter residence: how the weights are held already; nil where that is to be chosen.
    package init(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], options: RuntimeOptions,
        residence: WeightResidence? = nil
    ) throws(ModelError) {
        let options = try ResolvedOptions(options, configuration)
        contextLength = options.contextLength
        batchSize = options.batchSize
        threads = options.threads
        promptThreads = options.promptThreads
        instructionSet = options.instructionSet
        prefill = options.prefill
        precision = options.activations
        cache = KVCache.Shape(
            layers: configuration.layers, heads: configuration.keyValueHeads, headSize: configuration.headSize,
            capacity: options.contextLength, keyType: options.keyType, valueType: options.valueType)
        activations = ActivationShape(configuration, batchSize: options.batchSize, allLogits: options.allLogits)
        let vectors = Item(name: "norms", byteCount: Weights.vectorFloats(tensors) * 4, isFileBacked: false)

        // Where the weights are decides what scratch has to hold: each way is planned whole, the fastest first.
        let choices =
            residence.map { [$0] }
            ?? WeightResidence.allCases.filter { options.weights == nil || options.weights == $0.placement }
        var plans = PlacedWeights(tensors, choices[0], options, configuration)
        for choice in choices.dropFirst() {
            let rest = cache.byteCount + activations.byteCount + vectors.byteCount + plans.scratch.byteCount
            if Self.fits(plans.byteCount + rest, options) { break }
            plans = PlacedWeights(tensors, choice, options, configuration)
        }
        self.residence = plans.residence
        matrices = plans.matrices
        scratch = plans.scratch
        items = [
            Item(name: "weights", byteCount: plans.byteCount, isFileBacked: plans.residence == .mapped),
            Item(name: "KV cache", byteCount: cache.byteCount, isFileBacked: false),
            Item(name: "activations", byteCount: activations.byteCount, isFileBacked: false),
            Item(name: "scratch", byteCount: scratch.byteCount, isFileBacked: false),
            vectors,
        ]
        try check(options.memoryBudget)
    }

    /// Plans the model in `file`.
    public init(file: GGUFFile, options: RuntimeOptions = RuntimeOptions()) throws(ModelError) {
        let configuration = try ModelConfiguration(file: file)
        try self.init(configuration, tensors: try TensorLayout(configuration).check(file), options: options)
    }

    /// Whether resident weights and everything else are within the budget and, where it is ours to choose, leave the
    /// machine some memory to spare.
    private static func fits(_ byteCount: Int, _ options: ResolvedOptions) -> Bool {
        if let budget = options.memoryBudget, byteCount > budget.bytes { return false }
        guard options.weights == nil else { return true }
        guard let available = HostMemory.available else { return false }
        let limit = min(available, HostMemory.containerLimit ?? available)
        return byteCount < limit - limit / 8
    }

    /// Refuses a plan that is larger than `budget`, with the change that would make it fit.
    private func check(_ budget: ByteCount?) throws(ModelError) {
        guard let budget, byteCount > budget.bytes else { return }
        let fixed = byteCount - cache.byteCount
        let positionBytes = cache.byteCount / max(1, cache.capacity)
        let fitting = (max(0, budget.bytes) - fixed) / max(1, positionBytes)
        throw .overBudget(
            planned: byteCount, budget: budget.bytes,
            remedy: fitting > 0
                ? "a context of \(fitting) tokens (-c \(fitting)) fits"
                : "weights, activations and scratch alone need \(ByteCount(fixed)); a smaller batch (-b) or file may fit"
        )
    }
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
        self.scratch = scratch
        byteCount =
            residence.placement == .resident
            ? WeightStore.residentBytes(of: matrices) : matrices.reduce(0) { $0 + $1.byteCount }
    }
}

/// Options with every choice made.
struct ResolvedOptions {
    let threads: Int
    let promptThreads: Int
    let contextLength: Int
    let batchSize: Int
    let keyType: GGMLType
    let valueType: GGMLType
    let weights: WeightPlacement?
    let memoryBudget: ByteCount?
    let allLogits: Bool
    let instructionSet: InstructionSet
    let activations: ActivationPrecision
    let prefill: PrefillMethod

    init(_ options: RuntimeOptions, _ configuration: ModelConfiguration) throws(ModelError) {
        threads = try Self.inRange(
            options.threads ?? HostProcessors.recommendedThreads, 1...ThreadPool.maximumThreads, name: "threads")
        promptThreads = try Self.inRange(
            options.promptThreads ?? threads, 1...ThreadPool.maximumThreads, name: "prompt threads")
        // No cache type has larger elements than F32. The limits on the sizes in a file keep every other product of the
        // plan far below 2^62; this one keeps the cache there.
        let positionBytes = configuration.layers * 2 * configuration.keyValueLength * MemoryLayout<Float>.stride
        contextLength = try Self.inRange(
            options.contextLength ?? configuration.contextLength, 1...min(1 << 24, (1 << 60) / positionBytes),
            name: "context length")
        batchSize = min(try Self.inRange(options.batchSize, 1...1 << 16, name: "batch size"), contextLength)
        keyType = try Self.cacheType(options.keyType, configuration, name: "key cache type")
        valueType = try Self.cacheType(options.valueType, configuration, name: "value cache type")
        weights = options.weights
        memoryBudget = options.memoryBudget
        allLogits = options.allLogits
        instructionSet = try Self.instructionSet(options.instructionSet)
        // Where memory is the bound, 16 bits cost nothing; on AVX2 cores that get 15 GB/s each, a tenth (Q4_K) to a fifth
        // (Q8_0). 8 bits would be no more exact than other runtimes are.
        activations = options.activations ?? .int16
        prefill = options.prefill ?? .preferred(on: instructionSet, activations: options.activations)
    }

    private static func instructionSet(_ wanted: InstructionSet?) throws(ModelError) -> InstructionSet {
        guard let wanted else { return Kernels.bestInstructionSet }
        guard Kernels.isSupported(wanted) else {
            let supported = InstructionSet.allCases.filter(Kernels.isSupported).map(\.rawValue)
            throw .invalidOption(
                name: "instruction set", value: wanted.rawValue,
                expected: "one of \(supported.joined(separator: ", ")) on this machine")
        }
        return wanted
    }

    private static func inRange(_ value: Int, _ range: ClosedRange<Int>, name: String) throws(ModelError) -> Int {
        guard range.contains(value) else {
            throw .invalidOption(
                name: name, value: "\(value)", expected: "\(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private static func cacheType(
        _ type: GGMLType, _ configuration: ModelConfiguration, name: String
    ) throws(ModelError) -> GGMLType {
        let kernels = Kernels(.scalar)
        guard Kernels.canCompute(type), kernels.canCache(type) else {
            let known = GGMLType.allCases.filter { Kernels.canCompute($0) && kernels.canCache($0) }
            throw .invalidOption(name: name, value: type.name, expected: known.map(\.name).joined(separator: ", "))
        }
        guard type.byteCount(elements: configuration.headSize) != nil else {
            throw .invalidOption(
                name: name, value: type.name,
                expected: "a type whose block divides the head size, \(configuration.headSize)")
        }
        return type
    }
}
