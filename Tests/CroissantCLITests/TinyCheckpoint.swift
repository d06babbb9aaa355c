import Foundation

/// A checkpoint as Hugging Face publishes them, for what converts one.
enum TinyCheckpoint {
    /// A tiny Llama in a new folder, with `change` made to its weights.
    static func make(
        config: [String: Any] = [:], _ change: (_ name: String, _ values: inout [Float]) -> Void = { _, _ in }
    ) throws -> String {
        let folder = try Fixture.newFolder("checkpoint")
        func write(_ name: String, _ object: Any) throws {
            try JSONSerialization.data(withJSONObject: object).write(to: URL(filePath: folder + "/" + name))
        }
        let base: [String: Any] = [
            "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "vocab_size": 32,
            "tie_word_embeddings": true, "rms_norm_eps": 1e-5,
        ]
        try write("config.json", base.merging(config) { $1 })
        let letters = ["<unk>", "<s>", "</s>", "▁"] + (97...122).map { String(Character(Unicode.Scalar($0))) }
        let tokenizer: [String: Any] = [
            "added_tokens": (0..<3).map { ["id": $0, "content": letters[$0], "special": true] as [String: Any] },
            "pre_tokenizer": ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"],
            "model": [
                "type": "BPE", "vocab": Dictionary(uniqueKeysWithValues: letters.enumerated().map { ($1, $0) }),
                "merges": [String](),
            ] as [String: Any],
        ]
        try write("tokenizer.json", tokenizer)
        try write("tokenizer_config.json", ["bos_token": "<s>", "eos_token": "</s>", "chat_template": "T"])

        var header: [String: Any] = [:]
        var data = Data()
        let block = "model.layers.0."
        for (name, shape) in [
            ("model.embed_tokens", [32, 32]), ("model.norm", [32]), (block + "input_layernorm", [32]),
            (block + "post_attention_layernorm", [32]), (block + "self_attn.q_proj", [32, 32]),
            (block + "self_attn.k_proj", [16, 32]), (block + "self_attn.v_proj", [16, 32]),
            (block + "self_attn.o_proj", [32, 32]), (block + "mlp.gate_proj", [64, 32]),
            (block + "mlp.up_proj", [64, 32]), (block + "mlp.down_proj", [32, 64]),
        ] {
            var values = (0..<shape.reduce(1, *)).map { Float(($0 * 7919 + name.count * 31) % 101 - 50) / 200 }
            change(name, &values)
            header[name + ".weight"] = [
                "dtype": "F32", "shape": shape, "data_offsets": [data.count, data.count + 4 * values.count],
            ]
            for value in values { data += (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
        }
        let text = try JSONSerialization.data(withJSONObject: header)
        var file = Data((0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) })
        file += text + data
        try file.write(to: URL(filePath: folder + "/model.safetensors"))
        return folder
    }
}
