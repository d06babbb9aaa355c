public import GGUF

/// The sizes of a model, read from a file's metadata and checked against each other.
///
/// The keys, such as `llama.context_length`, are those of [GGUF's
/// specification](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
public struct ModelConfiguration: Sendable {
    /// The name in `general.architecture`.
    public let architectureName: String
    /// Positions that the model was trained for.
    public let contextLength: Int
    /// Elements of the residual stream: `n_embd`.
    public let embeddingLength: Int
    /// Transformer blocks.
    public let layers: Int
    /// Elements inside the feed-forward network: `n_ff`.
    public let feedForwardLength: Int
    /// Query heads, a multiple of ``keyValueHeads``.
    public let heads: Int
    /// Key/value heads; as many as ``heads`` without grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245).
    public let keyValueHeads: Int
    /// Elements of a query, a key or a value of one head.
    public let headSize: Int
    /// Tokens that the embedding matrix has rows for: the length of a row of logits.
    public let vocabularySize: Int
    /// Added to the mean square inside RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467); above 0.
    public let normEpsilon: Float
    /// Elements of a head that RoPE turns (Su et al. 2021, arXiv 2104.09864); an even number, at most ``headSize``.
    public let ropeDimensions: Int
    /// The base of RoPE's frequencies, mostly 10000.
    public let ropeBase: Double
    /// The factor that positions are divided by: all of them (linear scaling: Chen et al. 2023, arXiv 2306.15595), or
    /// those of slow pairs only (YaRN: Peng et al. 2023, arXiv 2309.00071); 1 without scaling.
    public let ropeScale: Double
    /// Positions that a query attends to, the nearest up to its own (Mistral 7B: Jiang et al. 2023, arXiv 2310.06825);
    /// nil where it attends to all.
    public let slidingWindow: Int?
    /// Keys below the architecture's name that nothing is known of, and that are ignored.
    public let unknownKeys: [String]

    /// How a longer context than that of the first training is reached, where YaRN does it.
    package let yarn: YaRN?

    /// What the file does not say.
    package let architecture: Architecture

    /// Elements of all query heads.
    package var queryLength: Int { heads * headSize }
    /// Elements of all key heads, and of all value heads.
    package var keyValueLength: Int { keyValueHeads * headSize }

    /// The sizes that attention needs.
    package var attention: AttentionShape {
        AttentionShape(heads: heads, keyValueHeads: keyValueHeads, headSize: headSize, window: slidingWindow)
    }

    /// Reads the sizes of `file`.
    ///
    /// - Throws: ``ModelError/unsupportedArchitecture(found:known:)`` for an architecture that is not known,
    ///   ``ModelError/unsupportedFeature(_:key:value:)`` for what is not computed,
    ///   ``ModelError/file(_:)`` for a key of another type,
    ///   ``ModelError/invalidHyperparameter(key:value:expected:)`` for one that is missing or makes no sense, and
    ///   ``ModelError/missingTensor(name:expected:)`` or ``ModelError/wrongShape(tensor:expected:found:)`` for the
    ///   embedding matrix.
    public init(file: GGUFFile) throws(ModelError) {
        try self.init(metadata: file.metadata) { () throws(ModelError) in try Self.vocabularySize(file) }
    }

    /// Reads the sizes in the metadata of a file, which need not exist yet.
    ///
    /// - Parameter rows: the rows of the embedding matrix, asked for once the metadata are known to make sense.
    package init(
        metadata: GGUFMetadata, vocabularySize rows: () throws(ModelError) -> Int
    ) throws(ModelError) {
        let reader = HyperparameterReader(metadata: metadata)
        let kind = try reader.string("general.type", default: "model")
        guard kind == "model" else {
            throw .invalidHyperparameter(key: "general.type", value: kind, expected: "model")
        }
        let name = try reader.string("general.architecture")
        let architecture = try Architecture.named(name)
        unknownKeys = try Hyperparameters.check(metadata, of: name)
        self.architecture = architecture
        architectureName = name

        embeddingLength = try reader.size("\(name).embedding_length", limit: 1 << 20)
        layers = try reader.size("\(name).block_count", limit: 1 << 12)
        feedForwardLength = try reader.size("\(name).feed_forward_length", limit: 1 << 22)
        contextLength = try reader.size("\(name).context_length", limit: 1 << 28)
        heads = try reader.size("\(name).attention.head_count", limit: 1 << 14)
        keyValueHeads = try reader.size("\(name).attention.head_count_kv", limit: 1 << 14, default: heads)
        guard heads % keyValueHeads == 0 else {
            throw .invalidHyperparameter(
                key: "\(name).attention.head_count_kv", value: "\(keyValueHeads)",
                expected: "a divisor of \(heads) heads")
        }
        let keyLength: Int
        if let length = try reader.optionalSize("\(name).attention.key_length", limit: 1 << 14) {
            keyLength = length
        } else {
            guard embeddingLength % heads == 0, embeddingLength / heads <= 1 << 14 else {
                throw .invalidHyperparameter(
                    key: "\(name).attention.head_count", value: "\(heads)",
                    expected: "a divisor of the embedding length, \(embeddingLength), without attention.key_length")
            }
            keyLength = embeddingLength / heads
        }
        let valueLength = try reader.size("\(name).attention.value_length", limit: 1 << 14, default: keyLength)
        guard keyLength == valueLength else {
            throw .invalidHyperparameter(
                key: "\(name).attention.value_length", value: "\(valueLength)",
                expected: "the key length, \(keyLength)")
        }
        headSize = keyLength
        slidingWindow = try reader.optionalSize(
            "\(name).attention.sliding_window", limit: 1 << 28, zeroMeansNone: true)
        normEpsilon = try reader.positive("\(name).attention.layer_norm_rms_epsilon")

        ropeDimensions = try reader.size("\(name).rope.dimension_count", limit: headSize, default: headSize)
        guard ropeDimensions % 2 == 0 else {
            throw .invalidHyperparameter(
                key: "\(name).rope.dimension_count", value: "\(ropeDimensions)", expected: "an even number")
        }
        ropeBase = Double(try reader.positive("\(name).rope.freq_base", default: 10000))
        (ropeScale, yarn) = try Self.ropeScaling(reader, prefix: "\(name).rope", contextLength: contextLength)

        vocabularySize = try rows()
    }

    /// What `rope.scaling.*` says, or the older `rope.scale_linear`.
    private static func ropeScaling(
        _ reader: HyperparameterReader, prefix: String, contextLength: Int
    ) throws(ModelError) -> (scale: Double, yarn: YaRN?) {
        let older = try reader.positive("\(prefix).scale_linear", default: 1)
        let factor = Double(try reader.positive("\(prefix).scaling.factor", default: older))
        let type = try reader.string("\(prefix).scaling.type", default: "linear")
        switch type {
        case "none":
            return (1, nil)
        case "linear":
            return (factor, nil)
        case "yarn":
            let yarn = YaRN(
                originalContextLength: try reader.size(
                    "\(prefix).scaling.original_context_length", limit: 1 << 28, default: contextLength),
                fastTurns: Double(try reader.positive("\(prefix).scaling.yarn_beta_fast", default: 32)),
                slowTurns: Double(try reader.positive("\(prefix).scaling.yarn_beta_slow", default: 1)))
            return (factor, yarn)
        default:
            throw .invalidHyperparameter(
                key: "\(prefix).scaling.type", value: type, expected: "none, linear or yarn")
        }
    }

    /// The sizes of a Llama that does not come from a file.
    package init(
        contextLength: Int, embeddingLength: Int, layers: Int, feedForwardLength: Int, heads: Int, keyValueHeads: Int,
        vocabularySize: Int
    ) throws(ModelError) {
        architecture = try Architecture.named("llama")
        architectureName = architecture.name
        self.contextLength = contextLength
        self.embeddingLength = embeddingLength
        self.layers = layers
        self.feedForwardLength = feedForwardLength
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.vocabularySize = vocabularySize
        headSize = embeddingLength / heads
        ropeDimensions = headSize
        normEpsilon = 1e-5
        ropeBase = 10000
        ropeScale = 1
        yarn = nil
        slidingWindow = nil
        unknownKeys = []
    }

    /// The rows of the embedding matrix.
    private static func vocabularySize(_ file: GGUFFile) throws(ModelError) -> Int {
        let name = TensorLayout.embeddingName
        guard let embedding = file.tensor(named: name) else {
            throw .missingTensor(name: name, expected: [])
        }
        // Token ids are 32-bit.
        guard embedding.rows <= Int(Int32.max) else {
            throw .wrongShape(
                tensor: embedding.name, expected: [embedding.columns, Int(Int32.max)], found: embedding.dimensions)
        }
        return embedding.rows
    }
}
