import Croissant
import Foundation
import GGUF

/// A checkpoint in Hugging Face's layout, to be written to a folder: what tests convert.
struct CheckpointFixture {
    /// A tensor as a safetensors file holds it.
    struct Tensor {
        var name: String
        var type: String
        /// The slowest-changing size first.
        var shape: [Int]
        var bytes: [UInt8]

        /// A tensor of floats.
        init(_ name: String, _ shape: [Int], _ values: [Float]) {
            self.name = name
            self.shape = shape
            type = "F32"
            bytes = CroissantTests.bytes(of: values)
        }
    }

    /// config.json
    var config: [String: Any]
    /// The weights.
    var tensors: [Tensor]
    /// tokenizer.json
    var tokenizer: [String: Any]
    /// Other files, by name.
    var files: [String: String] = [:]

    /// Writes everything; the tensors to one file, or dealt out to several.
    func write(to folder: String, shards: Int = 1) throws {
        func write(_ name: String, _ data: Data) throws {
            try data.write(to: URL(filePath: folder).appending(path: name))
        }
        try write("config.json", JSONSerialization.data(withJSONObject: config))
        try write("tokenizer.json", JSONSerialization.data(withJSONObject: tokenizer))
        for (name, text) in files { try write(name, Data(text.utf8)) }
        guard shards > 1 else {
            try write("model.safetensors", Data(Self.safetensors(tensors)))
            return
        }
        var map: [String: String] = [:]
        for shard in 0..<shards {
            let name = "model-0000\(shard + 1)-of-0000\(shards).safetensors"
            let part = tensors.indices.filter { $0 % shards == shard }.map { tensors[$0] }
            for tensor in part { map[tensor.name] = name }
            try write(name, Data(Self.safetensors(part)))
        }
        let index: [String: Any] = ["metadata": ["total_size": 0], "weight_map": map]
        try write("model.safetensors.index.json", JSONSerialization.data(withJSONObject: index))
    }

    /// A safetensors file.
    static func safetensors(_ tensors: [Tensor]) throws -> [UInt8] {
        var header: [String: Any] = ["__metadata__": ["format": "pt"]]
        var data: [UInt8] = []
        for tensor in tensors {
            header[tensor.name] = [
                "dtype": tensor.type, "shape": tensor.shape,
                "data_offsets": [data.count, data.count + tensor.bytes.count],
            ]
            data += tensor.bytes
        }
        return file(header: Array(try JSONSerialization.data(withJSONObject: header)), data: data)
    }

    /// A safetensors file of a header and data that need not go together.
    static func file(header: [UInt8], data: [UInt8]) -> [UInt8] {
        let length = UInt64(header.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> UInt64(8 * $0)) } + header + data
    }

    /// Changes the tensor of this name.
    mutating func change(_ name: String, _ body: (inout Tensor) -> Void) {
        for index in tensors.indices where tensors[index].name == name { body(&tensors[index]) }
    }

    /// Rounds all weights: to the upper half of a float, or to a half float.
    mutating func round(to type: String) {
        for index in tensors.indices {
            let floats = floats(of: tensors[index].bytes)
            tensors[index].type = type
            tensors[index].bytes = floats.flatMap { value -> [UInt8] in
                let bits = type == "BF16" ? UInt16(value.bitPattern >> 16) : Float16(value).bitPattern
                return [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)]
            }
        }
    }
}

extension CheckpointFixture {
    /// One of the golden models, taken apart as `transformers` would have saved it; its matrices as floats.
    init(golden architecture: String) throws {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden/\(architecture).gguf")
        try self.init(try ModelFile(path: url.path(percentEncoded: false)))
    }

    /// A model file in the layout of a checkpoint.
    init(_ model: ModelFile) throws {
        let metadata = model.metadata
        let architecture = try metadata.require("general.architecture", as: .string)
        func number(_ key: String) throws -> Int { try metadata.require("\(architecture).\(key)", as: .int) }
        let heads = try number("attention.head_count")
        let hidden = try number("embedding_length")
        let headSize = try metadata.int("\(architecture).attention.key_length") ?? hidden / heads
        config = [
            "architectures": ["llama": ["LlamaForCausalLM"], "qwen2": ["Qwen2ForCausalLM"]][architecture]
                ?? ["Qwen3ForCausalLM"],
            "hidden_size": hidden,
            "num_hidden_layers": try number("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": try number("attention.head_count_kv"),
            "head_dim": headSize,
            "intermediate_size": try number("feed_forward_length"),
            "max_position_embeddings": try number("context_length"),
            "rms_norm_eps": Double(
                try metadata.require("\(architecture).attention.layer_norm_rms_epsilon", as: .float)),
            "rope_theta": Double(try metadata.float("\(architecture).rope.freq_base") ?? 10000),
            "hidden_act": "silu",
            "tie_word_embeddings": !model.tensors.contains { $0.name == "output.weight" },
            "vocab_size": try metadata.exactStrings("tokenizer.ggml.tokens")?.count ?? 0,
        ]
        tensors = try model.tensors.filter { $0.name != "rope_freqs.weight" }.map { tensor in
            var values = try floats(of: tensor)
            if architecture == "llama", tensor.name.hasSuffix("attn_q.weight") || tensor.name.hasSuffix("attn_k.weight")
            {
                values = Self.separatePairs(values, columns: tensor.dimensions[0], headSize: headSize)
            }
            return Tensor(Self.name(of: tensor.name), tensor.dimensions.reversed(), values)
        }
        tokenizer = try Self.byteLevelTokenizer(metadata)
    }

    /// From neighbouring pairs to first elements and then second ones, head by head: what conversion undoes.
    private static func separatePairs(_ values: [Float], columns: Int, headSize: Int) -> [Float] {
        let rows = stride(from: 0, to: values.count, by: columns).map { Array(values[$0..<$0 + columns]) }
        return stride(from: 0, to: rows.count, by: headSize).flatMap { head in
            let rows = rows[head..<head + headSize]
            let first = rows.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            let second = rows.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
            return (first + second).flatMap { $0 }
        }
    }

    private static func name(of name: String) -> String {
        var name = name
        for (gguf, checkpoint) in [
            ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("blk.", "model.layers."),
            ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"), ("attn_norm", "input_layernorm"),
            ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
            ("attn_output", "self_attn.o_proj"), ("ffn_norm", "post_attention_layernorm"),
            ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"),
        ] {
            name = name.replacing(gguf, with: checkpoint)
        }
        return name == "output.weight" ? "lm_head.weight" : name
    }

    /// As published with the models.
    private static let llama3 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    private static let qwen2 = llama3.replacing(#"\p{N}{1,3}"#, with: #"\p{N}"#)

    /// The golden models' vocabulary as tokenizer.json has it.
    private static func byteLevelTokenizer(_ metadata: GGUFMetadata) throws -> [String: Any] {
        let tokens = try metadata.require("tokenizer.ggml.tokens", as: .strings)
        let kinds = try metadata.require("tokenizer.ggml.token_type", as: .ints)
        let special = tokens.indices.filter { kinds[$0] != 1 }
        return [
            "added_tokens": special.map {
                ["id": $0, "content": tokens[$0], "special": kinds[$0] == 3] as [String: Any]
            },
            "normalizer": NSNull(),
            "pre_tokenizer": [
                "type": "Sequence",
                "pretokenizers": [
                    [
                        "type": "Split", "behavior": "Isolated", "invert": false,
                        "pattern": [
                            "Regex": try metadata.require("tokenizer.ggml.pre", as: .string) == "qwen2" ? qwen2 : llama3
                        ],
                    ] as [String: Any],
                    ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false] as [String: Any],
                ],
            ] as [String: Any],
            "decoder": ["type": "ByteLevel"],
            "model": [
                "type": "BPE", "byte_fallback": false,
                "ignore_merges": try metadata.require("tokenizer.ggml.pre", as: .string) == "llama-bpe",
                "vocab": Dictionary(
                    uniqueKeysWithValues: tokens.indices.filter { kinds[$0] == 1 }.map { (tokens[$0], $0) }),
                "merges": try metadata.require("tokenizer.ggml.merges", as: .strings),
            ] as [String: Any],
        ]
    }
}

/// The floats of a tensor in any type.
func floats(of tensor: ModelFile.Tensor) throws -> [Float] {
    let count = tensor.dimensions.reduce(1, *)
    var values = [Float](repeating: 0, count: count)
    var span = values.mutableSpan
    Kernels(.scalar).dequantize(tensor.bytes.rawBytes, as: tensor.type, count: count, into: &span)
    return values
}

/// Little-endian floats.
func floats(of bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { start in
        Float(bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
}
