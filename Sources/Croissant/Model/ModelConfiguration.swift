public import GGUF

/// The sizes of a model, read from a file's metadata and checked against each other.
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
    /// Query heads.
    public let heads: Int
    /// Key/value heads; as many as ``heads`` without grouped-query attention.
    public let keyValueHeads: Int
    /// Elements of a head.
    public let headSize: Int
    /// Tokens that the embedding matrix has rows for.
    public let vocabularySize: Int
    /// Added to the mean square inside RMSNorm.
    public let normEpsilon: Float
    /// Elements of a head that RoPE turns.
    public let ropeDimensions: Int
    /// The base of RoPE's frequencies.
    public let ropeBase: Double
    /// The factor that positions are divided by (linear scaling); 1 without scaling.
    public let ropeScale: Double

    /// What the file does not say.
    package let architecture: Architecture

    /// Elements of all query heads.
    package var queryLength: Int { heads * headSize }
    /// Elements of all key heads, and of all value heads.
    package var keyValueLength: Int { keyValueHeads * headSize }

    /// The sizes that attention needs.
    package var attention: AttentionShape {
        AttentionShape(heads: heads, keyValueHeads: keyValueHeads, headSize: headSize)
    }

    /// Reads the sizes of `file`.
    public init(file: GGUFFile) throws(ModelError) {
        let reader = MetadataReader(metadata: file.metadata)
        let name = try reader.string("general.architecture")
        let architecture = try Architecture.named(name)
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
        normEpsilon = try reader.positive("\(name).attention.layer_norm_rms_epsilon")

        ropeDimensions = try reader.size("\(name).rope.dimension_count", limit: headSize, default: headSize)
        guard ropeDimensions % 2 == 0 else {
            throw .invalidHyperparameter(
                key: "\(name).rope.dimension_count", value: "\(ropeDimensions)", expected: "an even number")
        }
        ropeBase = Double(try reader.positive("\(name).rope.freq_base", default: 10000))
        ropeScale = try Self.ropeScale(reader, prefix: "\(name).rope")

        vocabularySize = try Self.vocabularySize(file)
    }

    /// The linear factor of `rope.scaling.*`, or of the older `rope.scale_linear`.
    private static func ropeScale(_ reader: MetadataReader, prefix: String) throws(ModelError) -> Double {
        let older = Double(try reader.positive("\(prefix).scale_linear", default: 1))
        let type = try reader.string("\(prefix).scaling.type", default: "linear")
        switch type {
        case "none": return 1
        case "linear": return Double(try reader.positive("\(prefix).scaling.factor", default: Float(older)))
        default:
            throw .invalidHyperparameter(key: "\(prefix).scaling.type", value: type, expected: "none or linear")
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

/// The sizes in a file's metadata, each with the range that makes sense.
private struct MetadataReader {
    let metadata: GGUFMetadata

    func string(_ key: String, default fallback: String? = nil) throws(ModelError) -> String {
        let value: String?
        do throws(GGUFError) { value = try metadata.string(key) } catch { throw .file(error) }
        guard let value = value ?? fallback else { throw missing(key, "a string") }
        return value
    }

    /// A whole number from 1 to `limit`.
    func size(_ key: String, limit: Int, default fallback: Int? = nil) throws(ModelError) -> Int {
        guard let value = try optionalSize(key, limit: limit) ?? fallback else { throw missing(key, "a number") }
        return value
    }

    /// A whole number from 1 to `limit`; nil where the file does not say. Files that list one number for each layer are
    /// accepted when all are the same.
    func optionalSize(_ key: String, limit: Int) throws(ModelError) -> Int? {
        guard metadata[key] != nil else { return nil }
        let values: Set<Int>
        do throws(GGUFError) {
            if case .array = metadata[key] {
                values = Set(try metadata.ints(key) ?? [])
            } else {
                values = Set([try metadata.int(key)].compactMap { $0 })
            }
        } catch {
            throw .file(error)
        }
        guard values.count <= 1 else {
            throw .invalidHyperparameter(
                key: key, value: "\(values.count) different numbers", expected: "the same for each layer")
        }
        guard let value = values.first, value >= 1 && value <= limit else {
            throw .invalidHyperparameter(
                key: key, value: values.first.map(String.init) ?? "nothing", expected: "1 to \(limit)")
        }
        return value
    }

    func positive(_ key: String, default fallback: Float? = nil) throws(ModelError) -> Float {
        let value: Float?
        do throws(GGUFError) { value = try metadata.float(key) } catch { throw .file(error) }
        guard let value = value ?? fallback else { throw missing(key, "a number") }
        guard value.isFinite && value > 0 else {
            throw .invalidHyperparameter(key: key, value: "\(value)", expected: "a positive number")
        }
        return value
    }

    private func missing(_ key: String, _ expected: String) -> ModelError {
        .invalidHyperparameter(key: key, value: "nothing", expected: expected)
    }
}
