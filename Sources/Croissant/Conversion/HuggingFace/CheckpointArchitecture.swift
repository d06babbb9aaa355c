/// An architecture of Hugging Face's `transformers` that can be converted: one row for each.
struct CheckpointArchitecture: Sendable {
    /// The class that `architectures` names in config.json.
    let className: String
    /// What GGUF calls it.
    let name: String
    /// Whether configurations may leave out the number of key/value heads, as those from before there were any do.
    var mayOmitKeyValueHeads = false
    /// Whether `head_dim` has to be given, because its default is no fraction of the hidden size.
    var needsHeadSize = false
    /// Whether `sliding_window` holds without `use_sliding_window`.
    var alwaysSlides = false

    /// Every architecture. Mistral's blocks are Llama's.
    static let all = [
        CheckpointArchitecture(className: "LlamaForCausalLM", name: "llama", mayOmitKeyValueHeads: true),
        CheckpointArchitecture(className: "MistralForCausalLM", name: "llama", alwaysSlides: true),
        CheckpointArchitecture(className: "Qwen2ForCausalLM", name: "qwen2"),
        CheckpointArchitecture(className: "Qwen3ForCausalLM", name: "qwen3", needsHeadSize: true),
    ]

    /// The architecture that `config`, the top of config.json, names.
    static func named(in config: JSONNode) throws(ConversionError) -> CheckpointArchitecture {
        let names = config["architectures"]
        guard let first = try names.elements().first else { throw names.error(expected: knownNames) }
        let className = try first.string()
        guard let found = all.first(where: { $0.className == className }) else {
            throw first.error(expected: knownNames)
        }
        return found
    }

    private static var knownNames: String { "one of " + all.map(\.className).joined(separator: ", ") }

    /// The name that checkpoints give to a tensor of GGUF; nil for tensors that they do not have.
    static func checkpointName(of name: String) -> String? {
        if let name = modelNames[name] { return name }
        let parts = name.split(separator: ".")
        guard parts.count == 4, parts[0] == "blk", let part = blockNames[String(parts[2])] else { return nil }
        return "model.layers.\(parts[1]).\(part).\(parts[3])"
    }

    private static let modelNames = [
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    ]

    private static let blockNames = [
        "attn_norm": "input_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "attn_output": "self_attn.o_proj",
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    ]

    /// Whether a tensor of a checkpoint can be left out: tables that old versions saved and that follow from the
    /// configuration.
    static func isDerived(_ name: String) -> Bool { name.hasSuffix(".rotary_emb.inv_freq") }
}
