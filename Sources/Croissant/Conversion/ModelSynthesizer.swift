public import GGUF

/// Makes a GGUF file of a given shape with random weights: what a benchmark needs, without a download.
///
/// Weights are drawn so that activations keep their size from layer to layer (variance 1 / columns), and written tensor
/// by tensor as they are made: memory stays at a few mebibytes whatever the size of the model. The same shape, type and
/// seed give the same file on every machine and with any number of threads.
public struct ModelSynthesizer: Sendable {
    /// The sizes.
    public let shape: ModelShape
    /// The type of the matrices; norms are F32.
    public let type: GGMLType
    /// The seed of the weights.
    public let seed: UInt64
    private let layout: TensorLayout
    private let kernels: Kernels

    /// Prepares a file of `shape` in `type`.
    public init(shape: ModelShape, type: GGMLType, seed: UInt64 = 0) throws(ModelError) {
        self.shape = shape
        self.type = type
        self.seed = seed
        layout = TensorLayout(try shape.configuration())
        kernels = Kernels(Kernels.bestInstructionSet)
        guard Self.types.contains(type) else {
            throw .invalidOption(
                name: "type", value: type.name, expected: Self.types.map(\.name).joined(separator: ", "))
        }
        for tensor in layout.all where tensor.isMatrix && !tensor.dimensions[0].isMultiple(of: type.blockSize) {
            throw .invalidOption(
                name: "type", value: type.name,
                expected: "a type whose block divides the rows of \(tensor.name), \(tensor.dimensions[0])")
        }
    }

    /// The types that matrices can be made in.
    public static var types: [GGMLType] {
        let kernels = Kernels(.scalar)
        return GGMLType.allCases.filter { Kernels.canCompute($0) && kernels.canQuantize(to: $0) }
    }

    /// Bytes of all tensors.
    public var tensorBytes: Int {
        declarations.reduce(0) { $0 + ($1.type.byteCount(elements: $1.dimensions.reduce(1, *)) ?? 0) }
    }

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete.
    ///   - threads: threads that draw and round weights.
    ///   - progress: called now and then with the bytes of tensors written so far; returning false stops, and leaves no
    ///     file behind.
    /// - Returns: whether the file was written.
    @discardableResult
    public func write(
        to path: String, threads: Int? = nil, progress: ((Int) -> Bool)? = nil
    ) throws(ModelError) -> Bool {
        let threads = threads ?? HostProcessors.recommendedThreads
        guard (1...ThreadPool.maximumThreads).contains(threads) else {
            throw .invalidOption(name: "threads", value: "\(threads)", expected: "1 to \(ThreadPool.maximumThreads)")
        }
        let pool = ThreadPool(threadCount: threads)
        var blocks = try Buffer<UInt8>.allocate(pieceBytes, purpose: "weights on their way to the file")
        do throws(GGUFError) {
            var writer = try GGUFWriter(path: path, metadata: metadata, tensors: declarations)
            var done = 0
            for (index, tensor) in declarations.enumerated() {
                let columns = tensor.dimensions[0]
                let rows = tensor.dimensions.dropFirst().reduce(1, *)
                let height = Self.pieceRows(columns: columns)
                for start in stride(from: 0, to: rows, by: height) {
                    let range = start..<min(start + height, rows)
                    let byteCount = fill(&blocks, tensor, index: index, rows: range, pool: pool)
                    try writer.write(blocks.span.extracting(0..<byteCount), of: tensor.name)
                    done += byteCount
                    if let progress, !progress(done) {
                        writer.abandon()
                        return false
                    }
                }
            }
            try writer.finish()
            return true
        } catch {
            throw .file(error)
        }
    }

    /// Rows of a tensor that are made at a time: about four million elements.
    private static func pieceRows(columns: Int) -> Int { max(1, (1 << 22) / columns) }

    /// Bytes of the largest piece.
    private var pieceBytes: Int {
        let sizes = declarations.map { tensor in
            let rows = min(tensor.dimensions.dropFirst().reduce(1, *), Self.pieceRows(columns: tensor.dimensions[0]))
            return tensor.type.byteCount(elements: rows * tensor.dimensions[0]) ?? 0
        }
        return sizes.max() ?? 0
    }

    /// Makes some rows of a tensor, in blocks of its type; returns their bytes.
    private func fill(
        _ blocks: inout Buffer<UInt8>, _ tensor: GGUFWriter.Declaration, index: Int, rows: Range<Int>, pool: ThreadPool
    ) -> Int {
        let columns = tensor.dimensions[0]
        guard let rowBytes = tensor.type.byteCount(elements: columns) else {
            preconditionFailure("init has checked that rows are whole blocks")
        }
        let isNorm = tensor.dimensions.count == 1
        let scale = 1 / Float(columns).squareRoot()
        let shared = blocks.shared
        pool.parallelFor(rows.count) { offset, _ in
            var values = [Float](repeating: 1, count: columns)
            if !isNorm {
                var span = values.mutableSpan
                Self.draw(&span, scale: scale, seed: seed, tensor: index, row: rows.lowerBound + offset)
            }
            var row = shared.slice(offset * rowBytes..<(offset + 1) * rowBytes)
            kernels.quantize(values.span, as: tensor.type, into: &row)
        }
        return rows.count * rowBytes
    }

    private var declarations: [GGUFWriter.Declaration] {
        layout.all.filter { $0.name != layout.ropeFactors.name }.map { tensor in
            GGUFWriter.Declaration(
                name: tensor.name, dimensions: tensor.dimensions, type: tensor.isMatrix ? type : .f32)
        }
    }

    private var metadata: GGUFMetadata {
        let vocabulary = SyntheticVocabulary(size: shape.vocabularySize)
        var metadata: GGUFMetadata = [
            "general.architecture": .string("llama"),
            "general.name": .string(shape.name),
            "general.description": .string("random weights of seed \(seed): for benchmarks, not for text"),
            "general.quantization_version": .uint32(2),
            "llama.context_length": .uint32(UInt32(shape.contextLength)),
            "llama.embedding_length": .uint32(UInt32(shape.embeddingLength)),
            "llama.block_count": .uint32(UInt32(shape.layers)),
            "llama.feed_forward_length": .uint32(UInt32(shape.feedForwardLength)),
            "llama.attention.head_count": .uint32(UInt32(shape.heads)),
            "llama.attention.head_count_kv": .uint32(UInt32(shape.keyValueHeads)),
            "llama.attention.layer_norm_rms_epsilon": .float32(1e-5),
            "llama.rope.dimension_count": .uint32(UInt32(shape.embeddingLength / shape.heads)),
            "llama.rope.freq_base": .float32(10000),
            "llama.vocab_size": .uint32(UInt32(shape.vocabularySize)),
            "tokenizer.ggml.model": .string("llama"),
            "tokenizer.ggml.pre": .string("default"),
            "tokenizer.ggml.tokens": .array(.string(GGUFStrings(vocabulary.tokens))),
            "tokenizer.ggml.scores": .array(.float32(vocabulary.scores)),
            "tokenizer.ggml.token_type": .array(.int32(vocabulary.kinds)),
            "tokenizer.ggml.unknown_token_id": .uint32(0),
            "tokenizer.ggml.bos_token_id": .uint32(1),
            "tokenizer.ggml.eos_token_id": .uint32(2),
            "tokenizer.ggml.padding_token_id": .uint32(3),
            "tokenizer.ggml.add_bos_token": .bool(true),
            "tokenizer.ggml.add_space_prefix": .bool(true),
        ]
        if let fileType = FileType.allCases.first(where: { $0.shortName == type.name }) {
            metadata["general.file_type"] = .uint32(fileType.rawValue)
        }
        if let end = vocabulary.endOfTurn { metadata["tokenizer.ggml.eot_token_id"] = .uint32(UInt32(end)) }
        return metadata
    }

    /// Draws one row. Sums of eight random bytes are as good as normal here, and take one random number each.
    private static func draw(_ values: inout MutableSpan<Float>, scale: Float, seed: UInt64, tensor: Int, row: Int) {
        // The mean and the standard deviation of such a sum: 8 * 127.5, sqrt(8 * (256² - 1) / 12).
        let factor = scale / 209.02
        // The seed is mixed first: added as it is, the next seed would give the same rows, moved by one.
        var mixed = Xoshiro256(seed: seed)
        var random = Xoshiro256(seed: mixed.next() ^ (UInt64(tensor) << 40 | UInt64(row)))
        for index in values.indices {
            let bits = random.next()
            let pairs = (bits & 0x00FF_00FF_00FF_00FF) &+ ((bits >> 8) & 0x00FF_00FF_00FF_00FF)
            let sum = (pairs &* 0x0001_0001_0001_0001) >> 48
            values[index] = (Float(sum) - 1020) * factor
        }
    }
}
