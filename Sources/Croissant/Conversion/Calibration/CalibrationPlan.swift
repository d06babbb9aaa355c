import GGUF

/// What calibrating reads, which matrices it is for, and the memory that it takes: known, and checked, before anything
/// is read.
public struct CalibrationPlan: Sendable {
    /// How the products are made use of.
    public let method: Quantizer.Calibration.Method
    /// The name of the text.
    public let name: String
    /// Tokens in a chunk.
    public let chunkLength: Int
    /// The number of whole chunks in the text.
    public let availableChunks: Int
    /// The number of characters of the text that the vocabulary has no token for, and that are left out.
    public let droppedCharacters: Int
    /// The tensors that are calibrated, by their names.
    let matrices: [String: Quantizer.Tensor]
    /// The tokens of each chunk.
    let chunks: [[Int32]]
    private let file: GGUFFile
    private let configuration: ModelConfiguration

    /// The number of chunks that are read.
    public var chunkCount: Int { chunks.count }
    /// Tokens that the model was trained to read at once.
    public var trainedLength: Int { configuration.contextLength }
    /// The number of tokens that are read.
    public var tokenCount: Int { chunkCount * chunkLength }
    /// The tokens of a chunk that go through a block together: all of them, but not more than are read at a time elsewhere.
    var passes: [Range<Int>] {
        stride(from: 0, to: chunkLength, by: Self.passLength).map { $0..<min($0 + Self.passLength, chunkLength) }
    }
    /// The number of steps that calibrating is made of, as
    /// ``Quantizer/write(to:threads:progress:calibrating:)`` reports them.
    public var steps: Int {
        2 * configuration.layers * chunkCount * passes.count + matrices.count * CalibrationProgress.stepsOfMatrix
    }

    /// How the rounding of `tensor`, one of ``Quantizer/tensors``, is calibrated; nil where it is not.
    public func method(for tensor: Quantizer.Tensor) -> Quantizer.Calibration.Method? {
        guard matrices[tensor.source.name] != nil else { return nil }
        return usesFeedback(tensor) ? .gptq : .importance
    }

    /// Whether the weights of a tensor are rounded one after the other: those of some types are only rounded together.
    func usesFeedback(_ tensor: Quantizer.Tensor) -> Bool {
        method == .gptq && Kernels.codeCount(tensor.type) > 0
    }

    /// Whether any tensor's are.
    var usesFeedback: Bool { matrices.values.contains(where: usesFeedback) }

    /// The longest input of a matrix: 0 where no factor is needed.
    var factorColumns: Int { usesFeedback ? BlockMoments.columns(configuration).max() ?? 0 : 0 }

    /// Plans to calibrate those of `tensors` that are multiplied with activations and whose types have scales.
    ///
    /// - Throws: a ``ModelError`` where the model cannot be run, has no tokenizer, or the text is not a chunk long.
    init(
        _ calibration: Quantizer.Calibration, of file: GGUFFile, tensors: [Quantizer.Tensor]
    ) throws(ModelError) {
        configuration = try ModelConfiguration(file: file)
        let layout = TensorLayout(configuration)
        _ = try layout.check(file)
        guard let tokenizer = try Model.tokenizer(of: file, vocabularySize: configuration.vocabularySize) else {
            throw .noTokenizer(path: file.path)
        }
        let length = calibration.contextLength ?? min(Self.defaultLength, configuration.contextLength)
        let lengths = Quantizer.Calibration.contextLengths
        guard lengths.contains(length) else {
            throw .invalidOption(
                name: "calibration context", value: "\(length)",
                expected: "\(lengths.lowerBound) to \(lengths.upperBound)")
        }
        guard calibration.chunks >= 1 else {
            throw .invalidOption(name: "calibration chunks", value: "\(calibration.chunks)", expected: "1 or more")
        }
        // Conversations are written with special tokens, which the model is to meet here as it will later.
        var encoding = tokenizer.encoding(of: calibration.text, addBOS: false, parseSpecial: true)
        let beginning = tokenizer.addsBOS ? tokenizer.bos : nil
        if let beginning { encoding.ids.insert(beginning, at: 0) }
        availableChunks = encoding.ids.count / length
        guard availableChunks > 0 else {
            throw .invalidOption(
                name: "calibration text",
                value: "\(encoding.ids.count) token\(encoding.ids.count == 1 ? "" : "s") in \(calibration.name)",
                expected: "a chunk of \(length) tokens or more")
        }
        let count = min(availableChunks, calibration.chunks)
        let available = availableChunks
        chunks = (0..<count).map { index in
            let start = index * available / count * length
            var chunk = Array(encoding.ids[start..<start + length])
            if let beginning { chunk[0] = beginning }
            return chunk
        }
        droppedCharacters = encoding.dropped.count
        chunkLength = length
        method = calibration.method
        name = calibration.name
        self.file = file
        // A model without an output matrix multiplies with the embedding in its place.
        let output = file.tensor(named: layout.output.name) == nil ? layout.embedding : layout.output
        let products = Set(
            layout.blocks.flatMap { block in
                [block.query, block.key, block.value, block.attentionOutput, block.gate, block.up, block.down]
            }.map(\.name) + [output.name])
        let calibrated = tensors.filter {
            products.contains($0.source.name) && $0.type.blockSize > 1 && !$0.isCopied
        }
        matrices = Dictionary(uniqueKeysWithValues: calibrated.map { ($0.source.name, $0) })
    }

    /// Tokens in a chunk where nobody says.
    static let defaultLength = 512
    /// The most tokens in a pass.
    private static let passLength = 512

    /// How the model is run: in floats throughout, its weights where they are in the file.
    func runtime(threads: Int) -> RuntimeOptions {
        var options = RuntimeOptions(contextLength: chunkLength)
        options.threads = threads
        options.batchSize = min(chunkLength, Self.passLength)
        options.keyType = .f32
        options.valueType = .f32
        options.weights = .mapped
        options.prefill = .sgemm
        options.activations = .f32
        return options
    }

    /// The keys and values of one chunk in one block.
    var cache: KVCache.Shape {
        KVCache.Shape(
            layers: 1, heads: configuration.keyValueHeads, headSize: configuration.headSize, capacity: chunkLength,
            keyType: .f32, valueType: .f32)
    }

    /// The memory that calibrating takes, in bytes.
    ///
    /// - Parameter threads: threads that calibrate, 1 to 512; one for each physical core when nil.
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for a number of threads that makes no sense.
    public func memory(threads: Int? = nil) throws(ModelError) -> [MemoryPlan.Item] {
        let threads = threads ?? HostProcessors.recommendedThreads
        let model = try MemoryPlan(file: file, options: runtime(threads: threads))
        let states = tokenCount * configuration.embeddingLength * MemoryLayout<Float>.stride
        let space = matrices.values.reduce(0) {
            max(
                $0,
                FeedbackQuantizer.byteCount(
                    columns: $1.source.columns, type: $1.type, threads: threads, hasFeedback: usesFeedback($1)))
        }
        return model.items.map { $0.name == "KV cache" ? MemoryPlan.Item($0.name, cache.byteCount) : $0 } + [
            MemoryPlan.Item("hidden states", states),
            MemoryPlan.Item(
                "second moments",
                BlockMoments.byteCount(configuration, isDiagonal: !usesFeedback)
                    + FeedbackFactor.byteCount(columns: factorColumns)),
            MemoryPlan.Item("rounding", space),
            MemoryPlan.Item("quantised weights", blockBytes),
        ]
    }

    /// Bytes of the matrices that are held at a time: those of a block, such as "blk.7", or the output matrix.
    private var blockBytes: Int {
        Dictionary(grouping: matrices.values) { $0.source.name.split(separator: ".").prefix(2) }
            .values.map { $0.reduce(0) { $0 + $1.byteCount } }.max() ?? 0
    }

    /// Throws where calibrating takes more memory than there is.
    func checkMemory(threads: Int, available: Int?) throws(ModelError) {
        let needed = try memory(threads: threads).reduce(0) { $1.isFileBacked ? $0 : $0 + $1.byteCount }
        if let available, needed > available { throw .overMemory(needed: needed, available: available) }
        try BLAS.checkAddressSpace(threads: threads, beside: needed)
    }

    /// What the new file says about it, by the keys of llama.cpp's quantiser where it has some.
    var metadata: GGUFMetadata {
        var metadata = GGUFMetadata()
        if matrices.isEmpty { return metadata }
        metadata["quantize.imatrix.dataset"] = .string(name)
        metadata["quantize.imatrix.entries_count"] = .uint32(UInt32(clamping: matrices.count))
        metadata["quantize.imatrix.chunks_count"] = .uint32(UInt32(clamping: chunkCount))
        metadata["quantize.calibration.method"] = .string(method.rawValue)
        metadata["quantize.calibration.context_length"] = .uint32(UInt32(clamping: chunkLength))
        return metadata
    }
}
