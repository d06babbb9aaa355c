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
    public let weights: WeightPlacement
    /// Positions that the KV cache holds.
    public let contextLength: Int
    /// Prompt tokens in one pass.
    public let batchSize: Int
    /// Compute threads.
    public let threads: Int
    /// The kernels.
    public let instructionSet: InstructionSet
    /// How batches are multiplied.
    public let prefill: PrefillMethod
    /// What decode rounds activations to.
    public let precision: ActivationPrecision

    package let matrices: [WeightPlan]
    package let cache: KVCache.Shape
    package let activations: ActivationShape
    package let scratch: ScratchShape

    /// All items together.
    public var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }

    /// Plans a model of `configuration` with the `tensors` of its file.
    package init(
        _ configuration: ModelConfiguration, tensors: [TensorInfo], options: RuntimeOptions
    ) throws(ModelError) {
        let options = try ResolvedOptions(options, configuration)
        contextLength = options.contextLength
        batchSize = options.batchSize
        threads = options.threads
        instructionSet = options.instructionSet
        prefill = options.prefill
        precision = options.activations
        cache = KVCache.Shape(
            layers: configuration.layers, heads: configuration.keyValueHeads, headSize: configuration.headSize,
            capacity: options.contextLength, keyType: options.keyType, valueType: options.valueType)
        activations = ActivationShape(configuration, batchSize: options.batchSize, allLogits: options.allLogits)
        let vectors = Item(name: "norms", byteCount: Weights.vectorFloats(tensors) * 4, isFileBacked: false)

        // Where the weights are decides what scratch has to hold, and the other way round: resident is tried first.
        var plans = PlacedWeights(tensors, .resident, options, configuration)
        weights =
            options.weights
            ?? Self.placement(
                of: plans.byteCount,
                beside: cache.byteCount + activations.byteCount + vectors.byteCount + plans.scratch.byteCount,
                budget: options.memoryBudget)
        if weights == .mapped { plans = PlacedWeights(tensors, .mapped, options, configuration) }
        matrices = plans.matrices
        scratch = plans.scratch
        items = [
            Item(name: "weights", byteCount: plans.byteCount, isFileBacked: weights == .mapped),
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

    /// Weights are read into memory where the machine has room for them beside everything else, with some to spare.
    private static func placement(of resident: Int, beside state: Int, budget: ByteCount?) -> WeightPlacement {
        if let budget, resident + state > budget.bytes { return .mapped }
        guard let available = HostMemory.available else { return .mapped }
        let limit = min(available, HostMemory.containerLimit ?? available)
        return resident + state < limit - limit / 8 ? .resident : .mapped
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

/// The weights in one place, and the scratch that products with them need.
private struct PlacedWeights {
    let matrices: [WeightPlan]
    let scratch: ScratchShape
    let byteCount: Int

    init(
        _ tensors: [TensorInfo], _ placement: WeightPlacement, _ options: ResolvedOptions,
        _ configuration: ModelConfiguration
    ) {
        let roles = Weights.roles(of: tensors, options.prefill, options.activations)
        let kernels = Kernels(options.instructionSet)
        var scratch = ScratchShape(
            configuration.attention, batchSize: options.batchSize, threads: options.threads)
        matrices = roles.map { role in
            let hasPanels =
                placement == .resident && options.activations != .f32 && role.isProduct
                && Panel.exists(for: role.tensor.type)
            return WeightPlan(tensor: role.tensor, layout: hasPanels ? .panels : .rows)
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
            placement == .resident
            ? WeightStore.residentBytes(of: matrices) : matrices.reduce(0) { $0 + $1.byteCount }
    }
}

/// Options with every choice made.
struct ResolvedOptions {
    let threads: Int
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
