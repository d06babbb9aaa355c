import Croissant
import Foundation
import GGUF
import Testing

@Suite("A checkpoint becomes the file that it was made of")
struct ModelConverterTests {
    /// Converts, and takes the result apart.
    private func convert(_ checkpoint: CheckpointFixture, shards: Int = 1, type: String? = nil) throws -> ModelFile {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try checkpoint.write(to: folder.path, shards: shards)
        let mix = try type.map { try #require(QuantizationMix(name: $0)) }
        let converter = try ModelConverter(folder: folder.path, name: "tiny", mix: mix)
        // Their vocabulary has 34 bytes only.
        #expect(
            converter.warnings == ["222 of the 256 bytes are no tokens: characters that have them cannot be expressed"])
        try converter.write(to: folder.file("out.gguf"), threads: 2)
        return try ModelFile(path: folder.file("out.gguf"))
    }

    /// What conversion says where it refuses; nil where it does not. No file is left behind.
    private func problem(_ checkpoint: CheckpointFixture) throws -> String? {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try checkpoint.write(to: folder.path)
        let names = try folder.names
        do throws(ConversionError) {
            try ModelConverter(folder: folder.path, mix: QuantizationMix(.f16)).write(to: folder.file("out.gguf"))
            return nil
        } catch {
            #expect(try folder.names == names)
            return "\(error)".replacing(folder.path + "/", with: "").replacing(folder.path, with: "FOLDER")
        }
    }

    private func tensor(_ name: String, of file: ModelFile) throws -> ModelFile.Tensor {
        file.tensors[try file.index(of: name)]
    }

    @Test(
        "The golden models come back: every weight, every hyper-parameter, the vocabulary",
        arguments: ["llama", "qwen2", "qwen3"], [1, 3])
    func goldenModels(architecture: String, shards: Int) throws {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden/\(architecture).gguf")
        let original = try ModelFile(path: url.path(percentEncoded: false))
        let converted = try convert(CheckpointFixture(golden: architecture), shards: shards)
        let expected = original.tensors.filter { $0.name != "rope_freqs.weight" }
        #expect(Set(converted.tensors.map(\.name)) == Set(expected.map(\.name)))
        for tensor in expected {
            let found = try self.tensor(tensor.name, of: converted)
            #expect(found.dimensions == tensor.dimensions && found.type == .f32)
            #expect(try floats(of: found) == floats(of: tensor), "\(tensor.name)")
        }
        for (key, value) in original.metadata where key.hasPrefix("\(architecture).") || key.hasPrefix("tokenizer.") {
            // The golden files name a token that texts do not begin with; nothing in the checkpoint does.
            if key.hasSuffix("_token_id") || key.hasSuffix("_token") { continue }
            #expect(converted.metadata[key]?.asDouble == value.asDouble, "\(key)")
            #expect(converted.metadata[key]?.asArray == value.asArray, "\(key)")
            #expect(converted.metadata[key]?.asString == value.asString, "\(key)")
        }
        #expect(converted.metadata["general.name"] == .string("tiny"))
        #expect(converted.metadata["general.file_type"] == .uint32(0))
        _ = try converted.load()
    }

    @Test("The checkpoint's own type is kept, bit by bit", arguments: [("F16", GGMLType.f16), ("BF16", .bf16)])
    func ownTypes(name: String, type: GGMLType) throws {
        var checkpoint = try CheckpointFixture(golden: "qwen2")
        checkpoint.round(to: name)
        let converted = try convert(checkpoint)
        let up = try tensor("blk.1.ffn_up.weight", of: converted)
        #expect(up.type == type)
        #expect(up.bytes == checkpoint.tensors.first { $0.name == "model.layers.1.mlp.up_proj.weight" }?.bytes)
        #expect(try tensor("blk.1.attn_q.bias", of: converted).type == .f32)
        #expect(converted.metadata["general.file_type"] == .uint32(name == "F16" ? 1 : 32))
    }

    @Test("Matrices are quantised as the kernels do it, vectors are not")
    func quantized() throws {
        let checkpoint = try CheckpointFixture(golden: "llama")
        let exact = try tensor("blk.0.attn_k.weight", of: try convert(checkpoint))
        let converted = try convert(checkpoint, type: "Q4_0")
        var blocks = [UInt8](repeating: 0, count: exact.dimensions.reduce(1, *) / 32 * 18)
        var span = blocks.mutableSpan
        let values = try floats(of: exact)
        Kernels(Kernels.bestInstructionSet).quantizeRows(
            values.span, columns: exact.dimensions[0], as: .q4_0, into: &span)
        #expect(try tensor("blk.0.attn_k.weight", of: converted).bytes == blocks)
        #expect(try tensor("output_norm.weight", of: converted).type == .f32)
        #expect(try tensor("output.weight", of: converted).type == .q8_0)  // Rows of 32 are no blocks of Q6_K.
    }

    @Test("Scalings of RoPE that the runtime has are carried over")
    func ropeScaling() throws {
        var checkpoint = try CheckpointFixture(golden: "llama")
        func metadata(_ scaling: [String: Any]) throws -> ModelFile {
            checkpoint.config["rope_scaling"] = scaling
            return try convert(checkpoint)
        }
        let linear = try metadata(["type": "linear", "factor": 4.0]).metadata
        #expect(linear["llama.rope.scaling.type"] == .string("linear"))
        #expect(linear["llama.rope.scaling.factor"] == .float32(4))
        let yarn = try metadata([
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 16,
        ]).metadata
        #expect(yarn["llama.rope.scaling.type"] == .string("yarn"))
        #expect(yarn["llama.rope.scaling.original_context_length"] == .uint32(32))
        #expect(yarn["llama.rope.scaling.yarn_beta_fast"] == .float32(16))
        checkpoint.config["rope_theta"] = 10000.0
        let llama3 = try metadata([
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        ])
        // Wavelengths 2π·10000^(i/8) against 64/4 and 64: 6.3 stays, 19.9 and 62.8 are between, the others slow.
        let factors = try floats(of: try tensor("rope_freqs.weight", of: llama3))
        let expected: [Float] = [1, 1.2939, 7.6674, 8, 8, 8, 8, 8]
        #expect(factors.count == 8 && largestDifference(factors, expected) < 1e-3, "\(factors)")
        // As version 5 of transformers writes it.
        checkpoint.config["rope_scaling"] = nil
        checkpoint.config["rope_theta"] = nil
        checkpoint.config["rope_parameters"] = ["rope_type": "default", "rope_theta": 77.0]
        #expect(try convert(checkpoint).metadata["llama.rope.freq_base"] == .float32(77))
    }

    @Test("Sliding windows of all layers are carried over, those of some refused")
    func windows() throws {
        var mistral = try CheckpointFixture(golden: "llama")
        mistral.config["architectures"] = ["MistralForCausalLM"]
        mistral.config["sliding_window"] = 7
        #expect(try convert(mistral).metadata["llama.attention.sliding_window"] == .uint32(7))
        var qwen = try CheckpointFixture(golden: "qwen2")
        qwen.config["sliding_window"] = 7
        #expect(try convert(qwen).metadata["qwen2.attention.sliding_window"] == nil)
        qwen.config["use_sliding_window"] = true
        qwen.config["max_window_layers"] = 1
        #expect(
            try problem(qwen)
                == "a sliding window in some of the layers is not supported: config.json, sliding_window (found 7)")
    }

    @Test("An output matrix that is tied is left out, even where it was saved")
    func tied() throws {
        var checkpoint = try CheckpointFixture(golden: "qwen2")
        checkpoint.config["tie_word_embeddings"] = true
        #expect(!(try convert(checkpoint).tensors.contains { $0.name == "output.weight" }))
        checkpoint.config["tie_word_embeddings"] = nil
        #expect(try convert(checkpoint).tensors.contains { $0.name == "output.weight" })
        checkpoint.tensors.removeAll { $0.name == "lm_head.weight" }
        #expect(!(try convert(checkpoint).tensors.contains { $0.name == "output.weight" }))
        checkpoint.config["tie_word_embeddings"] = false
        #expect(try problem(checkpoint) == "missing tensor: lm_head.weight (expected shape [64, 32], found none)")
    }

    @Test("A configuration that cannot be carried over is refused by the value that says so")
    func unsupported() throws {
        let yarn: [String: Any] = ["type": "yarn", "factor": 4, "attention_factor": 3]
        let cases: [(key: String, value: Any, message: String)] = [
            (
                "architectures", ["GPT2LMHeadModel"],
                "bad value: config.json, architectures[0] (expected one of LlamaForCausalLM, MistralForCausalLM, "
                    + "Qwen2ForCausalLM, Qwen3ForCausalLM, found \"GPT2LMHeadModel\")"
            ),
            (
                "hidden_act", "gelu",
                "an activation other than SiLU is not supported: config.json, hidden_act (found \"gelu\")"
            ),
            (
                "quantization_config", ["bits": 4],
                "a checkpoint that is quantised already is not supported: config.json, quantization_config "
                    + "(found an object of 1)"
            ),
            (
                "rope_scaling", ["type": "dynamic", "factor": 2],
                "this scaling of RoPE is not supported: config.json, rope_scaling.type (found \"dynamic\")"
            ),
            (
                "rope_scaling", "linear",
                "bad value: config.json, rope_scaling (expected an object, found \"linear\")"
            ),
            (
                "rope_scaling", ["type": "linear"],
                "bad value: config.json, rope_scaling.factor (expected a number from 1, found nothing)"
            ),
            (
                "rope_scaling", yarn,
                "another magnitude of YaRN is not supported: config.json, rope_scaling.attention_factor (found 3)"
            ),
            (
                "partial_rotary_factor", 0.5,
                "RoPE of a part of a head is not supported: config.json, partial_rotary_factor (found 0.5)"
            ),
            (
                "hidden_size", "32",
                "bad value: config.json, hidden_size (expected a whole number from 1 to 1073741824, found \"32\")"
            ),
            (
                "num_attention_heads", -1,
                "bad value: config.json, num_attention_heads (expected a whole number from 1 to 1073741824, found -1)"
            ),
            (
                "num_key_value_heads", 3,
                "bad value: llama.attention.head_count_kv (expected a divisor of 4 heads, found 3)"
            ),
            (
                "intermediate_size", 65,
                "wrong shape: model.layers.0.mlp.gate_proj.weight (expected [65, 32], found [64, 32])"
            ),
            ("vocab_size", 65, "wrong shape: model.embed_tokens.weight (expected [65, 32], found [64, 32])"),
        ]
        for (key, value, message) in cases {
            var checkpoint = try CheckpointFixture(golden: "llama")
            checkpoint.config[key] = value
            #expect(try problem(checkpoint) == message)
        }
    }

    @Test("Tensors that are missing, unknown, of a strange type, or hold what is no number")
    func badTensors() throws {
        let name = "model.layers.1.self_attn.q_proj.weight"
        var checkpoint = try CheckpointFixture(golden: "llama")
        checkpoint.tensors.removeAll { $0.name == name }
        #expect(try problem(checkpoint) == "missing tensor: \(name) (expected shape [64, 32], found none)")

        checkpoint = try CheckpointFixture(golden: "llama")
        checkpoint.tensors.append(.init("model.layers.0.self_attn.q_proj.bias", [64], Array(repeating: 0, count: 64)))
        #expect(
            try problem(checkpoint) == "unexpected tensor: model.safetensors, model.layers.0.self_attn.q_proj.bias "
                + "(expected only tensors of the architecture)")
        checkpoint.tensors[checkpoint.tensors.count - 1].name = "model.layers.0.self_attn.rotary_emb.inv_freq"
        #expect(try problem(checkpoint) == nil)

        checkpoint = try CheckpointFixture(golden: "llama")
        checkpoint.change(name) { $0.type = "I32" }
        #expect(
            try problem(checkpoint)
                == "unsupported type: model.safetensors, tensor \"\(name)\" (expected F32, F16 or BF16, found I32)")

        // Rows are reordered on their way to the file: the message has the index in the checkpoint.
        for (bad, found) in [(Float.nan, "NaN"), (1e6, "1000000.0")] {
            checkpoint = try CheckpointFixture(golden: "llama")
            checkpoint.change(name) { tensor in
                var values = floats(of: tensor.bytes)
                values[37] = bad
                values[1000] = -bad
                tensor.bytes = bytes(of: values)
            }
            #expect(
                try problem(checkpoint)
                    == "bad weight: \(name)[37] (expected a magnitude up to 65519.996 for F16, found \(found))")
        }
    }

    @Test("A model card in which nothing stands is none; a configuration that is no object is refused")
    func emptyAndOddFiles() throws {
        var checkpoint = try CheckpointFixture(golden: "llama")
        checkpoint.files["README.md"] = ""
        #expect(try problem(checkpoint) == nil)
        checkpoint.files["generation_config.json"] = "[1]"
        #expect(try problem(checkpoint)?.hasPrefix("bad value: generation_config.json (expected an object") == true)
    }

    @Test("Advice on sampling that makes no sense is left out, and said")
    func sampling() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var checkpoint = try CheckpointFixture(golden: "llama")
        func convert(_ generation: String) throws -> (metadata: GGUFMetadata, warnings: [String]) {
            checkpoint.files["generation_config.json"] = generation
            try checkpoint.write(to: folder.path)
            let converter = try ModelConverter(folder: folder.path)
            let place = folder.file("generation_config.json") + ", "
            return (converter.metadata, converter.warnings.dropFirst().map { $0.replacing(place, with: "") })
        }
        let bad = try convert(
            #"""
            {"do_sample": true, "temperature": -1, "top_p": 7, "min_p": "0.1", "repetition_penalty": 1e300, "top_k": 2.5}
            """#)
        #expect(bad.metadata.keys.filter { $0.hasPrefix("general.sampling.") }.isEmpty)
        #expect(
            bad.warnings == [
                "bad value: temperature (expected 0 or more, found -1): left out",
                "bad value: top_p (expected above 0, at most 1, found 7): left out",
                "bad value: min_p (expected a number, found \"0.1\"): left out",
                "bad value: repetition_penalty (expected above 0, found 1e+300): left out",
                "bad value: top_k (expected a whole number from 0 to 2147483647, found 2.5): left out",
            ])
        let good = try convert(#"{"do_sample": true, "temperature": 0.5, "top_p": 7, "repetition_penalty": 1.2}"#)
        #expect(good.metadata["general.sampling.temp"] == .float32(0.5))
        #expect(good.metadata["general.sampling.penalty_repeat"] == .float32(1.2))
        #expect(good.warnings.count == 1)
        #expect(try convert(#"{"do_sample": "yes"}"#).warnings.count == 1)
    }

    @Test("The cache of Hugging Face's programs says by its folders what a checkpoint is")
    func cache() throws {
        let cache = "/home/me/.cache/huggingface/hub/"
        let base = cache + "models--croissantllm--CroissantLLMBase/snapshots/0123abcd/"
        #expect(CheckpointFolder.cachedRepository(in: base) == "croissantllm/CroissantLLMBase")
        #expect(CheckpointFolder.cachedRepository(in: cache + "models--a--b--c/snapshots/0") == "a/b--c")
        #expect(CheckpointFolder.cachedRepository(in: cache + "models--gpt2") == "gpt2")
        #expect(CheckpointFolder.cachedRepository(in: "CroissantLLMBase") == nil)
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let snapshot = folder.file("models--croissantllm--Nano/snapshots/0")
        try FileManager.default.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
        try CheckpointFixture(golden: "llama").write(to: snapshot)
        let metadata = try ModelConverter(folder: snapshot).metadata
        #expect(metadata["general.organization"] == .string("croissantllm"))
        #expect(metadata["general.repo_url"] == .string("https://huggingface.co/croissantllm/Nano"))
    }

    @Test("Where the checkpoint says that it comes from")
    func provenance() throws {
        var checkpoint = try CheckpointFixture(golden: "llama")
        checkpoint.files["README.md"] = """
            ---
            license: "mit"  # see LICENSE
            license_name: the usual # one
            model_creator: l'école
            datasets: [ "a, b/c", 'd/e', l'eau]
            language:
            - fr
            - en
            base_model: croissantllm/CroissantLLMBase
            tags: [a, b]
            model-index:
              - name: deeper
            ---
            # A model
            license: none
            """
        checkpoint.files["generation_config.json"] =
            #"{"do_sample": true, "temperature": 0.4, "top_k": 40, "eos_token_id": [62, 63]}"#
        checkpoint.files["tokenizer_config.json"] =
            ##"{"chat_template": "{{ messages }}", "eos_token": "<|im_end|>", "bos_token": {"content": "<|begin|>"}}"##
        let metadata = try convert(checkpoint).metadata
        #expect(metadata["general.license"] == .string("mit"))
        #expect(metadata["general.license.name"] == .string("the usual"))
        #expect(metadata["general.organization"] == .string("l'école"))
        #expect(metadata["general.dataset.count"] == .uint32(3))
        #expect(metadata["general.dataset.0.organization"] == .string("a, b"))
        #expect(metadata["general.dataset.1.repo_url"] == .string("https://huggingface.co/datasets/d/e"))
        #expect(metadata["general.dataset.2.name"] == .string("l'eau"))
        #expect(metadata["general.languages"]?.asArray?.asStrings == ["fr", "en"])
        #expect(metadata["general.tags"]?.asArray?.asStrings == ["a", "b"])
        #expect(metadata["general.base_model.count"] == .uint32(1))
        #expect(metadata["general.base_model.0.name"] == .string("CroissantLLMBase"))
        #expect(metadata["general.base_model.0.organization"] == .string("croissantllm"))
        #expect(metadata["general.sampling.temp"] == .float32(0.4))
        #expect(metadata["general.sampling.top_k"] == .int32(40))
        #expect(metadata["tokenizer.chat_template"] == .string("{{ messages }}"))
        #expect(metadata["tokenizer.ggml.bos_token_id"] == .uint32(61))
        #expect(metadata["tokenizer.ggml.eos_token_id"] == .uint32(63))
        #expect(metadata["tokenizer.ggml.eot_token_id"] == .uint32(63))
        #expect(metadata["croissant.tokenizer.eos_token_ids"]?.asArray?.asInts == [63, 62])
        #expect(try Tokenizer(metadata: metadata).endOfGeneration == [62, 63])
    }
}
