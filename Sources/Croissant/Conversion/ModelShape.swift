/// The sizes of a model to be made, without its weights.
public struct ModelShape: Sendable, Equatable, Decodable {
    /// What `general.name` says.
    public var name: String
    /// Positions.
    public var contextLength: Int
    /// Elements of the residual stream.
    public var embeddingLength: Int
    /// Transformer blocks.
    public var layers: Int
    /// Elements inside the feed-forward network.
    public var feedForwardLength: Int
    /// Query heads.
    public var heads: Int
    /// Key/value heads.
    public var keyValueHeads: Int
    /// Tokens.
    public var vocabularySize: Int

    /// A shape of these sizes. ``ModelSynthesizer`` checks whether they make sense together.
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

    /// CroissantLLMChat (arXiv 2402.00786): 1.3 billion weights, a feed-forward length that is no multiple of 256.
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
