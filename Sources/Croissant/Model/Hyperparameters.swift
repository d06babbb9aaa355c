import GGUF

/// The keys that a file may have below the name of its architecture, such as `llama.block_count`.
///
/// A key that changes what a model computes is either read, or refused unless its value asks for nothing: a model that
/// is computed without one of its parts still writes text, only worse. Keys that nothing is known of, which converters
/// add from time to time, are for the user to judge.
enum Hyperparameters {
    /// What a key is to this runtime.
    private enum Role {
        /// ``ModelConfiguration`` reads it.
        case read
        /// It changes nothing.
        case informative
        /// It asks for a feature that there is not, unless its value is one of these.
        case unsupported(_ feature: String, unless: [Neutral])
    }

    /// A value by which a key asks for nothing.
    private enum Neutral {
        /// A number, or any array of it.
        case number(Double)
        /// A truth value, or any array of it.
        case truth(Bool)
        /// A name.
        case name(String)

        func matches(_ value: GGUFValue) -> Bool {
            switch self {
            case .number(let number):
                if let numbers = value.asFloats { return numbers.allSatisfy { Double($0) == number } }
                return value.asDouble == number
            case .truth(let truth):
                if case .array(.bool(let truths)) = value { return truths.allSatisfy { $0 == truth } }
                return value.asBool == truth
            case .name(let name):
                return value.asString == name
            }
        }
    }

    /// Every key there is, without the name of the architecture.
    private static let roles: [String: Role] = [
        "context_length": .read,
        "embedding_length": .read,
        "block_count": .read,
        "feed_forward_length": .read,
        "attention.head_count": .read,
        "attention.head_count_kv": .read,
        "attention.key_length": .read,
        "attention.value_length": .read,
        "attention.layer_norm_rms_epsilon": .read,
        "attention.sliding_window": .read,
        "rope.dimension_count": .read,
        "rope.freq_base": .read,
        "rope.scale_linear": .read,
        "rope.scaling.type": .read,
        "rope.scaling.factor": .read,
        "rope.scaling.original_context_length": .read,
        "rope.scaling.yarn_beta_fast": .read,
        "rope.scaling.yarn_beta_slow": .read,

        "vocab_size": .informative,  // The rows of the embedding matrix are what counts.
        "tensor_data_layout": .informative,  // Where the rows of Llama's projections were reordered.
        "rope.scaling.finetuned": .informative,

        "hidden_activation": .unsupported(
            "an activation other than SiLU", unless: [.name("silu"), .name("swish"), .name("swiglu")]),
        "use_parallel_residual": .unsupported("a parallel residual", unless: [.truth(false)]),
        "embedding_scale": .unsupported("a scale of embeddings", unless: [.number(0), .number(1)]),
        "residual_scale": .unsupported("a scale of residuals", unless: [.number(0), .number(1)]),
        "logit_scale": .unsupported("a scale of logits", unless: [.number(0), .number(1)]),
        "attn_logit_softcapping": .unsupported("soft capping of attention scores", unless: [.number(0)]),
        "final_logit_softcapping": .unsupported("soft capping of logits", unless: [.number(0)]),
        "attention.causal": .unsupported("attention to later positions", unless: [.truth(true)]),
        "attention.clamp_kqv": .unsupported("clamping of queries, keys and values", unless: [.number(0)]),
        "attention.max_alibi_bias": .unsupported("ALiBi", unless: [.number(0)]),
        "attention.scale": .unsupported("a scale of attention scores", unless: [.number(0)]),
        "attention.temperature_scale": .unsupported("a temperature of attention", unless: [.number(0)]),
        "attention.shared_kv_layers": .unsupported("sharing of keys and values by layers", unless: [.number(0)]),
        "attention.sliding_window_pattern": .unsupported(
            "a sliding window in some of the layers", unless: [.number(0), .truth(false)]),
        "rope.dimension_sections": .unsupported("RoPE in several dimensions", unless: [.number(0)]),
        "rope.scaling.attn_factor": .unsupported("a factor of RoPE's magnitude", unless: [.number(1)]),
        "rope.scaling.alpha": .unsupported("NTK-aware scaling of RoPE", unless: [.number(0), .number(1)]),
        // Minus one and one are how files say that YaRN's own value holds.
        "rope.scaling.yarn_ext_factor": .unsupported("another mixture of YaRN", unless: [.number(-1), .number(1)]),
        "rope.scaling.yarn_attn_factor": .unsupported("another magnitude of YaRN", unless: [.number(-1), .number(1)]),
        "rope.scaling.yarn_log_multiplier": .unsupported("another magnitude of YaRN", unless: [.number(0)]),
        "nextn_predict_layers": .unsupported("prediction of several tokens", unless: [.number(0)]),
        "pooling_type": .unsupported("pooling of embeddings", unless: [.number(0)]),
        "decoder_block_count": .unsupported("an encoder before the decoder", unless: [.number(0)]),
        "leading_dense_block_count": .unsupported("mixture of experts", unless: [.number(0)]),
        "interleave_moe_layer_step": .unsupported("mixture of experts", unless: [.number(0)]),
    ]

    private static func role(of name: String) -> Role? {
        if name.hasPrefix("expert_") { return .unsupported("mixture of experts", unless: [.number(0), .truth(false)]) }
        return roles[name]
    }

    /// Throws where `metadata` asks `architecture` for something that is not computed here; returns the keys that nothing
    /// is known of.
    static func check(_ metadata: GGUFMetadata, of architecture: String) throws(ModelError) -> [String] {
        let prefix = architecture + "."
        var unknown: [String] = []
        for (key, value) in metadata where key.hasPrefix(prefix) {
            switch role(of: String(key.dropFirst(prefix.count))) {
            case .read, .informative:
                continue
            case .unsupported(let feature, let neutral):
                if neutral.contains(where: { $0.matches(value) }) { continue }
                throw .unsupportedFeature(feature, key: key, value: value.description)
            case nil:
                unknown.append(key)
            }
        }
        return unknown
    }
}

extension GGUFValue {
    /// The value for a message: arrays, which may be long, by their type.
    fileprivate var description: String {
        switch self {
        case .string(let text): text.quoted
        case .bool(let truth): "\(truth)"
        case .float32, .float64: asFloat.map { "\($0)" } ?? typeDescription
        case .array: typeDescription
        default: asInt.map { "\($0)" } ?? typeDescription
        }
    }
}

/// The sizes in a file's metadata, each with the range that makes sense.
struct HyperparameterReader {
    /// The metadata of the file.
    let metadata: GGUFMetadata

    /// A text.
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

    /// A whole number from 1 to `limit`; nil where the file does not say, or says 0 and `zeroMeansNone`. Files that list
    /// one number for each layer are accepted when all are the same.
    func optionalSize(_ key: String, limit: Int, zeroMeansNone: Bool = false) throws(ModelError) -> Int? {
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
        if zeroMeansNone, values == [0] { return nil }
        guard let value = values.first, value >= 1 && value <= limit else {
            throw .invalidHyperparameter(
                key: key, value: values.first.map(String.init) ?? "nothing",
                expected: "\(zeroMeansNone ? 0 : 1) to \(limit)")
        }
        return value
    }

    /// A finite number above 0.
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
