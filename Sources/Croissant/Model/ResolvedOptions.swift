import GGUF

/// Options with every choice made.
struct ResolvedOptions {
    let threads: Int
    let promptThreads: Int
    let contextLength: Int
    let batchSize: Int
    let draftTokens: Int
    let keyType: GGMLType
    let valueType: GGMLType
    let weights: WeightPlacement?
    let memoryBudget: ByteCount?
    let allLogits: Bool
    let instructionSet: InstructionSet
    let activations: ActivationPrecision
    let prefill: PrefillMethod

    /// Threads of all pools together: those of a prompt are others where their number is.
    var allThreads: Int { promptThreads == threads ? threads : threads + promptThreads }

    init(_ options: RuntimeOptions, _ configuration: ModelConfiguration) throws(ModelError) {
        threads = try HostProcessors.threads(options.threads)
        promptThreads = try HostProcessors.threads(options.promptThreads ?? threads, name: "prompt threads")
        // No cache type has larger elements than F32. The limits on the sizes in a file keep every other product of the
        // plan far below 2^62; this one keeps the cache there.
        let positionBytes = configuration.layers * 2 * configuration.keyValueLength * MemoryLayout<Float>.stride
        contextLength = try Self.inRange(
            options.contextLength ?? configuration.contextLength, 1...min(1 << 24, (1 << 60) / positionBytes),
            name: "context length")
        batchSize = min(try Self.inRange(options.batchSize, 1...1 << 16, name: "batch size"), contextLength)
        draftTokens = min(try Self.inRange(options.draftTokens, 0...64, name: "draft tokens"), batchSize - 1)
        keyType = try Self.cacheType(options.keyType, configuration, name: "key cache type")
        valueType = try Self.cacheType(options.valueType, configuration, name: "value cache type")
        weights = options.weights
        memoryBudget = options.memoryBudget
        allLogits = options.allLogits
        instructionSet = try Self.instructionSet(options.instructionSet)
        // Where memory is the bound, 16 bits cost nothing; on AVX2 cores that get 13 GB/s each, up to 4% (Q8_0, Q6_K,
        // Q5_0, Q4, MXFP4), a twelfth (Q5_K, IQ4, IQ3), a quarter (three bits and fewer). 8 bits would be no more exact
        // than other runtimes are.
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
        let known = Kernels.cacheTypes
        guard known.contains(type) else {
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
