/// The sizes of a model to be made, without its weights.
public struct ModelShape: Sendable, Equatable, Decodable {
    /// What `general.name` says.
    public var name: String
    /// Positions that it is trained for, 1 to 2^24.
    public var contextLength: Int
    /// Elements of the residual stream, 1 to 65536: a multiple of twice ``heads``.
    public var embeddingLength: Int
    /// Transformer blocks, 1 to 1024.
    public var layers: Int
    /// Elements inside the feed-forward network, 1 to 262144.
    public var feedForwardLength: Int
    /// Query heads, a multiple of ``keyValueHeads``.
    public var heads: Int
    /// Key/value heads, at least 1.
    public var keyValueHeads: Int
    /// Tokens in the vocabulary, 512 to 2^20.
    public var vocabularySize: Int

    /// A shape of these sizes. ``ModelSynthesizer`` and ``ShapePlanner`` check whether they make sense together.
    ///
    /// - Parameters:
    ///   - name: what `general.name` says.
    ///   - contextLength: positions.
    ///   - embeddingLength: elements of the residual stream.
    ///   - layers: transformer blocks.
    ///   - feedForwardLength: elements inside the feed-forward network.
    ///   - heads: query heads.
    ///   - keyValueHeads: key/value heads.
    ///   - vocabularySize: tokens in the vocabulary.
    public init(
        name: String, contextLength: Int, embeddingLength: Int, layers: Int, feedForwardLength: Int, heads: Int,
        keyValueHeads: Int, vocabularySize: Int
    ) {
        self.name = name
        self.contextLength = contextLength
        self.embeddingLength = embeddingLength
        self.layers = layers
        self.feedForwardLength = feedForwardLength
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.vocabularySize = vocabularySize
    }

    /// CroissantLLMChat (Faysse et al. 2024, arXiv 2402.00786): 1.3 billion weights, a feed-forward length that is no
    /// multiple of 256.
    public static let croissant = ModelShape(
        name: "CroissantLLM-shaped random weights", contextLength: 2048, embeddingLength: 2048, layers: 24,
        feedForwardLength: 5504, heads: 16, keyValueHeads: 16, vocabularySize: 32002)

    /// The shapes with a name, as `--shape` takes it.
    public static let named: [String: ModelShape] = ["croissant": .croissant]

    /// The configuration that a file of this shape has, once the sizes are known to make sense together.
    package func configuration() throws(ModelError) -> ModelConfiguration {
        try check("context_length", contextLength, 1...1 << 24)
        try check("embedding_length", embeddingLength, 1...1 << 16)
        try check("layers", layers, 1...1 << 10)
        try check("feed_forward_length", feedForwardLength, 1...1 << 18)
        try check("heads", heads, 1...embeddingLength)
        try check("key_value_heads", keyValueHeads, 1...heads)
        try check("vocabulary_size", vocabularySize, SyntheticVocabulary.minimumSize...1 << 20)
        guard embeddingLength % (2 * heads) == 0 else {
            throw .invalidHyperparameter(
                key: "heads", value: "\(heads)", expected: "a divisor of half of embedding_length, \(embeddingLength)")
        }
        guard heads % keyValueHeads == 0 else {
            throw .invalidHyperparameter(
                key: "key_value_heads", value: "\(keyValueHeads)", expected: "a divisor of heads, \(heads)")
        }
        return try ModelConfiguration(
            contextLength: contextLength, embeddingLength: embeddingLength, layers: layers,
            feedForwardLength: feedForwardLength, heads: heads, keyValueHeads: keyValueHeads,
            vocabularySize: vocabularySize)
    }

    private func check(_ key: String, _ value: Int, _ range: ClosedRange<Int>) throws(ModelError) {
        guard range.contains(value) else {
            throw .invalidHyperparameter(
                key: key, value: "\(value)", expected: "\(range.lowerBound) to \(range.upperBound)")
        }
    }
}
