import Croissant
import GGUF
import Testing

@Suite("Nothing that the metadata ask for is ignored")
struct HyperparameterTests {
    private static let intact = Result { try ModelFile(shape: .tiny) }

    private func loadError(_ key: String, _ value: GGUFValue) throws -> ModelError? {
        var file = try Self.intact.get()
        file.metadata[key] = value
        return try file.loadError()
    }

    @Test(
        "what is not computed here is refused by its name",
        arguments: [
            ("expert_count", .uint32(8), "mixture of experts", "8"),
            ("expert_used_count", .uint32(2), "mixture of experts", "2"),
            ("expert_weights_norm", .bool(true), "mixture of experts", "true"),
            ("hidden_activation", .string("gelu"), "an activation other than SiLU", "\"gelu\""),
            ("use_parallel_residual", .bool(true), "a parallel residual", "true"),
            ("embedding_scale", .float32(12), "a scale of embeddings", "12.0"),
            ("residual_scale", .float32(0.22), "a scale of residuals", "0.22"),
            ("logit_scale", .float32(0.0625), "a scale of logits", "0.0625"),
            ("attn_logit_softcapping", .float32(50), "soft capping of attention scores", "50.0"),
            ("final_logit_softcapping", .float32(30), "soft capping of logits", "30.0"),
            ("attention.causal", .bool(false), "attention to later positions", "false"),
            ("attention.clamp_kqv", .float32(8), "clamping of queries, keys and values", "8.0"),
            ("attention.max_alibi_bias", .float32(8), "ALiBi", "8.0"),
            ("attention.scale", .float32(0.1), "a scale of attention scores", "0.1"),
            ("attention.temperature_scale", .float32(0.1), "a temperature of attention", "0.1"),
            ("attention.shared_kv_layers", .uint32(1), "sharing of keys and values by layers", "1"),
            (
                "attention.sliding_window_pattern", .array(.bool([false, true])),
                "a sliding window in some of the layers", "array of 2 bool"
            ),
            (
                "rope.dimension_sections", .array(.int32([16, 24, 24, 0])), "RoPE in several dimensions",
                "array of 4 int32"
            ),
            ("rope.scaling.attn_factor", .float32(1.19), "a factor of RoPE's magnitude", "1.19"),
            ("rope.scaling.alpha", .float32(1000), "NTK-aware scaling of RoPE", "1000.0"),
            ("rope.scaling.yarn_ext_factor", .float32(0.5), "another mixture of YaRN", "0.5"),
            ("rope.scaling.yarn_attn_factor", .float32(0.5), "another magnitude of YaRN", "0.5"),
            ("rope.scaling.yarn_log_multiplier", .float32(0.1), "another magnitude of YaRN", "0.1"),
            ("nextn_predict_layers", .uint32(1), "prediction of several tokens", "1"),
            ("pooling_type", .uint32(3), "pooling of embeddings", "3"),
            ("decoder_block_count", .uint32(2), "an encoder before the decoder", "2"),
            ("leading_dense_block_count", .uint32(1), "mixture of experts", "1"),
            ("interleave_moe_layer_step", .uint32(2), "mixture of experts", "2"),
        ] as [(String, GGUFValue, String, String)])
    func unsupported(name: String, value: GGUFValue, feature: String, found: String) throws {
        let key = "llama." + name
        #expect(try loadError(key, value) == .unsupportedFeature(feature, key: key, value: found))
        // A value of a type that makes no sense is not taken for one that asks for nothing either.
        #expect(try loadError(key, .string("\u{1B}[2J")) != nil)
    }

    @Test(
        "values that ask for nothing are accepted, and so is what changes nothing",
        arguments: [
            ("expert_count", .uint32(0)), ("expert_used_count", .int64(0)), ("use_parallel_residual", .bool(false)),
            ("hidden_activation", .string("silu")), ("logit_scale", .float32(1)), ("embedding_scale", .float32(0)),
            ("attention.causal", .bool(true)), ("attention.clamp_kqv", .float32(0)),
            ("attention.sliding_window_pattern", .array(.bool([false, false]))),
            ("attention.sliding_window", .uint32(0)), ("attention.sliding_window", .array(.uint32([16, 16]))),
            ("rope.dimension_sections", .array(.int32([0, 0, 0, 0]))), ("rope.scaling.attn_factor", .float32(1)),
            ("rope.scaling.yarn_ext_factor", .float32(-1)), ("rope.scaling.yarn_attn_factor", .float32(1)),
            ("rope.scaling.finetuned", .bool(true)), ("vocab_size", .uint32(32000)),
            ("tensor_data_layout", .string("Meta AI original pth")), ("attention.value_length", .uint32(16)),
            ("attention.key_length", .uint32(16)), ("pooling_type", .uint32(0)),
        ] as [(String, GGUFValue)])
    func neutral(name: String, value: GGUFValue) throws {
        #expect(try loadError("llama." + name, value) == nil)
    }

    @Test("a key that nothing is known of is ignored by name, unless it belongs to another architecture")
    func unknown() throws {
        var file = try ModelFile(shape: .tiny)
        file.metadata["llama.frobnication"] = .uint32(1)
        file.metadata["llamas.frobnication"] = .uint32(1)
        file.metadata["qwen2.expert_count"] = .uint32(8)
        #expect(try file.load().configuration.unknownKeys == ["llama.frobnication"])
    }

    @Test("the messages are one line that says what there is not")
    func messages() throws {
        let experts = ModelError.unsupportedFeature("mixture of experts", key: "llama.expert_count", value: "8")
        #expect("\(experts)" == "mixture of experts is not supported: llama.expert_count (found 8)")
        let architecture = ModelError.unsupportedArchitecture(found: "rwkv\n", known: ["llama", "qwen2"])
        #expect(
            "\(architecture)" == "unknown architecture: general.architecture "
                + "(expected one of llama, qwen2, found \"rwkv\\n\")")
    }
}
