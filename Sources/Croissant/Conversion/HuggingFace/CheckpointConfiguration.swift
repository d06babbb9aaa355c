import GGUF

/// What config.json says about a model, as the keys of a GGUF file.
///
/// Whatever changes the computation is either carried over or refused. What the keys say is checked once more by
/// ``ModelConfiguration``, as it will be when the file is loaded.
struct CheckpointConfiguration: Sendable {
    /// The row of the table.
    let architecture: CheckpointArchitecture
    /// The hyper-parameters.
    private(set) var metadata = GGUFMetadata()
    /// Whether the embedding serves as output matrix; nil where the configuration leaves it to the tensors.
    let tiesEmbeddings: Bool?
    /// The rows of the embedding, as the configuration has them.
    let vocabularySize: Int
    /// What each RoPE frequency is divided by (rotated pairs); nil without such a scaling.
    private(set) var ropeFactors: [Float]?

    /// Ranges wide enough for every model; the narrow ones are ModelConfiguration's.
    private static let sizes = 1...1 << 30

    /// Reads `config`, the top of config.json.
    init(_ config: JSONNode) throws(ConversionError) {
        architecture = try CheckpointArchitecture.named(in: config)
        guard !config["quantization_config"].exists else {
            throw config["quantization_config"].unsupported("a checkpoint that is quantised already")
        }
        let activation = config["hidden_act"]
        guard ["silu", "swish"].contains(try activation.optionalString() ?? "silu") else {
            throw activation.unsupported("an activation other than SiLU")
        }
        tiesEmbeddings = try config["tie_word_embeddings"].optionalBool()
        vocabularySize = try config["vocab_size"].int(Self.sizes)

        let layers = try config["num_hidden_layers"].int(Self.sizes)
        let hidden = try config["hidden_size"].int(Self.sizes)
        let heads = try config["num_attention_heads"].int(Self.sizes)
        let context = try config["max_position_embeddings"].int(Self.sizes)
        let keyValueHeads =
            architecture.mayOmitKeyValueHeads
            ? try config["num_key_value_heads"].optionalInt(Self.sizes) ?? heads
            : try config["num_key_value_heads"].int(Self.sizes)
        metadata["general.architecture"] = .string(architecture.name)
        set("context_length", context)
        set("embedding_length", hidden)
        set("block_count", layers)
        set("feed_forward_length", try config["intermediate_size"].int(Self.sizes))
        set("attention.head_count", heads)
        set("attention.head_count_kv", keyValueHeads)
        let headSize: Int
        if let size = try config["head_dim"].optionalInt(Self.sizes) {
            headSize = size
            set("attention.key_length", size)
            set("attention.value_length", size)
        } else if architecture.needsHeadSize {
            throw config["head_dim"].error(expected: "a whole number")
        } else {
            guard hidden % heads == 0 else {
                throw config["num_attention_heads"].error(expected: "a divisor of hidden_size, \(hidden)")
            }
            headSize = hidden / heads
        }
        set("attention.layer_norm_rms_epsilon", Float(try config["rms_norm_eps"].optionalNumber() ?? 1e-6))
        try setWindow(config, layers: layers)
        set("rope.dimension_count", headSize)
        try setRoPE(config, context: context, headSize: headSize)
    }

    private mutating func set(_ key: String, _ value: Int) {
        // Every number was read from `sizes`, which fits.
        metadata["\(architecture.name).\(key)"] = .uint32(UInt32(value))
    }

    private mutating func set(_ key: String, _ value: Float) {
        metadata["\(architecture.name).\(key)"] = .float32(value)
    }

    private mutating func set(_ key: String, _ value: String) {
        metadata["\(architecture.name).\(key)"] = .string(value)
    }

    /// The sliding window, where all layers have the same.
    private mutating func setWindow(_ config: JSONNode, layers: Int) throws(ConversionError) {
        let uses =
            architecture.name == "llama"
            ? architecture.alwaysSlides : try config["use_sliding_window"].bool(default: false)
        guard uses, let window = try config["sliding_window"].optionalInt(Self.sizes) else { return }
        var slides: Set<Bool> = []
        if config["layer_types"].exists {
            for node in try config["layer_types"].elements() {
                switch try node.string() {
                case "sliding_attention": slides.insert(true)
                case "full_attention": slides.insert(false)
                default: throw node.unsupported("this kind of attention")
                }
            }
        } else {
            // Qwen's layers from this one on slide.
            let first = try config["max_window_layers"].optionalInt(0...1 << 30) ?? 0
            if first > 0 { slides.insert(false) }
            if first < layers { slides.insert(true) }
        }
        guard slides.count == 1 else {
            throw config["sliding_window"].unsupported("a sliding window in some of the layers")
        }
        if slides == [true] { set("attention.sliding_window", window) }
    }
}

// MARK: - RoPE

extension CheckpointConfiguration {
    /// The base of the frequencies and what a longer context does to them. Version 5 of `transformers` has both in one
    /// object, older ones apart.
    private mutating func setRoPE(_ config: JSONNode, context: Int, headSize: Int) throws(ConversionError) {
        let rope = config["rope_parameters"].exists ? config["rope_parameters"] : config["rope_scaling"]
        try rope.requireObject()
        let theta = rope["rope_theta"].exists ? rope["rope_theta"] : config["rope_theta"]
        let base = try theta.optionalNumber() ?? 10000
        set("rope.freq_base", Float(base))
        for part in [config["partial_rotary_factor"], rope["partial_rotary_factor"]] {
            guard try part.optionalNumber() ?? 1 == 1 else { throw part.unsupported("RoPE of a part of a head") }
        }
        for kind in ["full_attention", "sliding_attention"] where rope[kind].exists {
            throw rope[kind].unsupported("RoPE that differs from layer to layer")
        }
        let type = rope["rope_type"].exists ? rope["rope_type"] : rope["type"]
        switch try type.optionalString() ?? "default" {
        case "default", "none":
            // A factor without a type would be one that nothing applies.
            guard !rope["factor"].exists || type.exists else { throw type.error(expected: "a kind of scaling") }
        case "linear":
            set("rope.scaling.type", "linear")
            set("rope.scaling.factor", Float(try Self.factor(rope)))
        case "yarn":
            try setYaRN(rope, context: context)
        case "llama3":
            // ModelConfiguration refuses larger heads, but has not seen this one yet.
            ropeFactors = try Self.llama3Factors(rope, base: base, context: context, headSize: min(headSize, 1 << 16))
        default:
            throw type.unsupported("this scaling of RoPE")
        }
    }

    private static func factor(_ rope: JSONNode) throws(ConversionError) -> Double {
        guard let factor = try rope["factor"].optionalNumber(), factor >= 1, factor.isFinite else {
            throw rope["factor"].error(expected: "a number from 1")
        }
        return factor
    }

    private mutating func setYaRN(_ rope: JSONNode, context: Int) throws(ConversionError) {
        let factor = try Self.factor(rope)
        for name in ["mscale", "mscale_all_dim"] where try rope[name].optionalNumber() ?? 0 != 0 {
            throw rope[name].unsupported("another magnitude of YaRN")
        }
        if let magnitude = try rope["attention_factor"].optionalNumber() {
            guard abs(magnitude - YaRN.magnitude(scale: factor)) < 1e-6 else {
                throw rope["attention_factor"].unsupported("another magnitude of YaRN")
            }
        }
        guard try rope["truncate"].bool(default: true) else {
            throw rope["truncate"].unsupported("YaRN with limits that are no whole pairs")
        }
        set("rope.scaling.type", "yarn")
        set("rope.scaling.factor", Float(factor))
        let original = try rope["original_max_position_embeddings"].optionalInt(Self.sizes) ?? context
        set("rope.scaling.original_context_length", original)
        if let fast = try rope["beta_fast"].optionalNumber() { set("rope.scaling.yarn_beta_fast", Float(fast)) }
        if let slow = try rope["beta_slow"].optionalNumber() { set("rope.scaling.yarn_beta_slow", Float(slow)) }
    }

    /// Llama 3's factors: slow pairs are divided by `factor`, fast ones not, and those between by something between
    /// (`_compute_llama3_parameters` of `transformers`, and llama.cpp's `rope_freqs.weight`).
    static func llama3Factors(
        _ rope: JSONNode, base: Double, context: Int, headSize: Int
    ) throws(ConversionError) -> [Float] {
        let factor = try factor(rope)
        let low = try rope["low_freq_factor"].optionalNumber() ?? 1
        let high = try rope["high_freq_factor"].optionalNumber() ?? 4
        guard low > 0, high > low else {
            throw rope["high_freq_factor"].error(expected: "a number above low_freq_factor, \(low), which is positive")
        }
        guard base > 0 else { throw rope["rope_theta"].error(expected: "a positive number") }
        let original = Double(try rope["original_max_position_embeddings"].optionalInt(sizes) ?? context)
        return RoPE.wavelengths(dimensions: headSize, base: base).map { wavelength in
            if wavelength < original / high { return 1 }
            if wavelength > original / low { return Float(factor) }
            let smooth = (original / wavelength - low) / (high - low)
            return Float(1 / ((1 - smooth) / factor + smooth))
        }
    }
}
