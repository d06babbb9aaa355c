public import GGUF

/// Makes a GGUF file of a given shape with random weights: what a benchmark needs, without a download.
///
/// Weights are drawn so that activations keep their size from layer to layer (variance 1 / columns), and written tensor
/// by tensor as they are made: memory stays at some mebibytes whatever the size of the model. The same shape, mix and
/// seed give the same file on every machine and with any number of threads.
public struct ModelSynthesizer: Sendable {
    /// The sizes.
    public let shape: ModelShape
    /// Which types the matrices have; norms are F32.
    public let mix: QuantizationMix
    /// The seed of the weights.
    public let seed: UInt64
    private let kernels: Kernels
    private let declarations: [GGUFWriter.Declaration]

    /// Prepares a file of `shape` in the types of `mix`.
    ///
    /// - Parameters:
    ///   - shape: the sizes.
    ///   - mix: the types of the matrices, one of ``mixes``.
    ///   - seed: the seed of the weights, 0 by default.
    /// - Throws: ``ModelError/invalidHyperparameter(key:value:expected:)`` or
    ///   ``ModelError/invalidOption(name:value:expected:)`` for a shape or a mix that no model can have.
    public init(shape: ModelShape, mix: QuantizationMix, seed: UInt64 = 0) throws(ModelError) {
        self.shape = shape
        self.mix = mix
        self.seed = seed
        kernels = Kernels(Kernels.bestInstructionSet)
        declarations = Self.declarations(of: shape, TensorLayout(try shape.configuration()), mix)
        for declaration in declarations where !kernels.canQuantize(to: declaration.type) {
            throw .invalidOption(
                name: "type", value: declaration.type.name, expected: Self.types.map(\.name).joined(separator: ", "))
        }
    }

    /// The tensors of a file of `shape`, whose layout is `layout`, in the types of `mix`.
    static func declarations(
        of shape: ModelShape, _ layout: TensorLayout, _ mix: QuantizationMix
    ) -> [GGUFWriter.Declaration] {
        let tensors = layout.all.filter { $0.name != layout.ropeFactors.name }
        let facts = ModelFacts(layers: shape.layers, queriesPerKey: shape.heads / shape.keyValueHeads)
        let types = mix.types(
            of: tensors.map { QuantizationMix.Tensor(name: $0.name, dimensions: $0.dimensions) }, in: facts)
        return zip(tensors, types).map { tensor, type in
            GGUFWriter.Declaration(name: tensor.name, dimensions: tensor.dimensions, type: type ?? .f32)
        }
    }

    /// Prepares a file of `shape` with all matrices in `type`.
    ///
    /// - Parameters:
    ///   - shape: the sizes.
    ///   - type: the type of the matrices, one of ``types``.
    ///   - seed: the seed of the weights, 0 by default.
    /// - Throws: what ``init(shape:mix:seed:)`` throws, and ``ModelError/invalidOption(name:value:expected:)`` where
    ///   a row is no whole number of blocks of `type`.
    public init(shape: ModelShape, type: GGMLType, seed: UInt64 = 0) throws(ModelError) {
        try self.init(shape: shape, mix: QuantizationMix(pure: type), seed: seed)
        for tensor in declarations where tensor.dimensions.count > 1 && tensor.type != type {
            throw .invalidOption(
                name: "type", value: type.name,
                expected: "a type whose block divides the rows of \(tensor.name), \(tensor.dimensions[0])")
        }
    }

    /// The types that matrices can be made in.
    public static var types: [GGMLType] {
        let kernels = Kernels(.scalar)
        return GGMLType.allCases.filter(kernels.canQuantize)
    }

    /// The mixes that files can be made in: the published ones, and those types that none of them is named after.
    public static var mixes: [QuantizationMix] {
        let types = Set(types)
        let published = FileType.allCases.map { QuantizationMix($0) }.filter { types.isSuperset(of: $0.allTypes) }
        let names = Set(published.map(\.name))
        return published
            + types.filter { !names.contains($0.name) }.sorted { $0.rawValue < $1.rawValue }
            .map { QuantizationMix(pure: $0) }
    }

    /// Bytes of all tensors together.
    public var tensorBytes: Int {
        declarations.reduce(0) { $0 + ($1.type.byteCount(elements: $1.dimensions.reduce(1, *)) ?? 0) }
    }

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete.
    ///   - threads: threads that draw and round weights, 1 to 512; one for each physical core when nil.
    ///   - progress: called now and then with the bytes of tensors written so far, of ``tensorBytes``; returning false
    ///     stops, and leaves no file behind.
    /// - Returns: whether the file was written.
    /// - Throws: ``ModelError/file(_:)`` where writing fails, ``ModelError/invalidOption(name:value:expected:)`` for
    ///   a number of threads that makes no sense.
    @discardableResult
    public func write(
        to path: String, threads: Int? = nil, progress: ((Int) -> Bool)? = nil
    ) throws(ModelError) -> Bool {
        let pool = ThreadPool(threadCount: try HostProcessors.threads(threads))
        var stocks: [BlockStock.Kind: BlockStock] = [:]
        for kind in Set(declarations.compactMap(BlockStock.Kind.init)) {
            stocks[kind] = try BlockStock(kind, seed: seed, kernels: kernels, pool: pool)
        }
        return try PiecewiseFile(metadata: metadata, declarations: declarations).write(to: path, progress: progress) {
            (index, rows, blocks) throws(ModelError) in
            let stock = BlockStock.Kind(declarations[index]).flatMap { stocks[$0] }
            fill(&blocks, declarations[index], index: index, rows: rows, stock: stock, pool: pool)
        }
    }

    /// Makes some rows of a tensor, in blocks of its type.
    private func fill(
        _ blocks: inout Buffer<UInt8>, _ tensor: GGUFWriter.Declaration, index: Int, rows: Range<Int>,
        stock: BlockStock?, pool: ThreadPool
    ) {
        let (columns, rowBytes) = (tensor.columns, tensor.rowBytes)
        let isNorm = tensor.dimensions.count == 1
        let shared = blocks.shared
        // Several rows at a time, for quantisers that make many blocks at once.
        let height = max(1, 4096 / columns)
        let chunks = (rows.count + height - 1) / height
        pool.parallelFor(chunks) { chunk, _ in
            let chunkRows = chunk * height..<min((chunk + 1) * height, rows.count)
            var bytes = shared.slice(chunkRows.lowerBound * rowBytes..<chunkRows.upperBound * rowBytes)
            if let stock {
                for row in chunkRows {
                    var random = Self.random(seed: seed, tensor: index, row: rows.lowerBound + row)
                    stock.fill(&bytes, from: (row - chunkRows.lowerBound) * rowBytes, count: rowBytes, &random)
                }
                return
            }
            var values = [Float](repeating: 1, count: chunkRows.count * columns)
            if !isNorm {
                var span = values.mutableSpan
                for row in chunkRows {
                    var random = Self.random(seed: seed, tensor: index, row: rows.lowerBound + row)
                    let first = (row - chunkRows.lowerBound) * columns
                    Self.draw(&span, first..<first + columns, scale: 1 / Float(columns).squareRoot(), &random)
                }
            }
            kernels.quantizeRows(values.span, columns: columns, as: tensor.type, into: &bytes)
        }
    }

    /// The random numbers of one row. The seed is mixed first: added as it is, the next seed would give the same rows,
    /// moved by one.
    static func random(seed: UInt64, tensor: Int, row: Int) -> Xoshiro256 {
        var mixed = Xoshiro256(seed: seed)
        return Xoshiro256(seed: mixed.next() ^ (UInt64(tensor) << 40 | UInt64(row)))
    }

    /// Draws weights. Sums of eight random bytes are as good as normal here, and take one random number each.
    static func draw(
        _ values: inout MutableSpan<Float>, _ range: Range<Int>, scale: Float, _ random: inout Xoshiro256
    ) {
        // The mean and the standard deviation of such a sum: 8 * 127.5, sqrt(8 * (256² - 1) / 12).
        let factor = scale / 209.02
        for index in range {
            let bits = random.next()
            let pairs = (bits & 0x00FF_00FF_00FF_00FF) &+ ((bits >> 8) & 0x00FF_00FF_00FF_00FF)
            let sum = (pairs &* 0x0001_0001_0001_0001) >> 48
            values[index] = (Float(sum) - 1020) * factor
        }
    }

    private var metadata: GGUFMetadata {
        var metadata = Self.metadata(of: shape, SyntheticVocabulary(size: shape.vocabularySize))
        metadata["general.description"] = .string("random weights of seed \(seed): for benchmarks, not for text")
        if let fileType = mix.fileType { metadata["general.file_type"] = .uint32(fileType.rawValue) }
        return metadata
    }

    /// What a file of `shape` says about it, whatever the types and the seed.
    static func metadata(of shape: ModelShape, _ vocabulary: SyntheticVocabulary) -> GGUFMetadata {
        var metadata: GGUFMetadata = [
            "general.architecture": .string("llama"),
            "general.name": .string(shape.name),
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
        if let end = vocabulary.endOfTurn { metadata["tokenizer.ggml.eot_token_id"] = .uint32(UInt32(end)) }
        return metadata
    }
}
