import Croissant
import Foundation
import GGUF
import Testing

@Suite("tokenizer.json becomes a vocabulary that encodes as it does")
struct TokenizerJSONTests {
    /// A tokenizer of characters with marks of spaces, in Llama 2's way: ids are the order of the list.
    private static func llama(
        bytes: Bool = true, pieces: [String] = ["▁", "a", "b", "c", "ab", "▁a", "abc"],
        merges: [Any] = ["a b", "▁ a", "ab c"]
    ) -> [String: Any] {
        let byteTokens =
            bytes ? (0..<256).map { "<0x" + ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) + ">" } : []
        let tokens = ["<unk>", "<s>", "</s>"] + byteTokens + pieces
        return [
            "added_tokens": (0..<3).map { ["id": $0, "content": tokens[$0], "special": true] as [String: Any] }
                + [["id": tokens.count, "content": "<think>", "special": false] as [String: Any]],
            "normalizer": [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Prepend", "prepend": "▁"],
                    ["type": "Replace", "pattern": ["String": " "], "content": "▁"] as [String: Any],
                ],
            ] as [String: Any],
            "post_processor": [
                "type": "TemplateProcessing",
                "single": [
                    ["SpecialToken": ["id": "<s>", "type_id": 0] as [String: Any]],
                    ["Sequence": ["id": "A", "type_id": 0] as [String: Any]],
                ],
            ] as [String: Any],
            "model": [
                "type": "BPE", "unk_token": "<unk>", "byte_fallback": bytes,
                "vocab": Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) }), "merges": merges,
            ] as [String: Any],
        ]
    }

    private static let options =
        #"{"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}"#

    /// The keys that a tokenizer becomes, in a vocabulary of `count` tokens.
    private func metadata(
        _ tokenizer: [String: Any], count: Int, options: String = options, files: [String: String] = [:]
    ) throws -> GGUFMetadata {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = try JSONSerialization.data(withJSONObject: tokenizer)
        try data.write(to: URL(filePath: folder.file("tokenizer.json")))
        try Data(options.utf8).write(to: URL(filePath: folder.file("tokenizer_config.json")))
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: folder.file(name))) }
        return try CheckpointTokenizer(folder: folder.path, count: count).metadata
    }

    private func problem(_ change: (inout [String: Any]) -> Void, count: Int = 300) throws -> String? {
        var tokenizer = Self.llama()
        change(&tokenizer)
        do {
            _ = try Tokenizer(metadata: try metadata(tokenizer, count: count))
            return nil
        } catch {
            return "\(error)".replacing(/\/[^ ,]*tokenizer\.json/, with: "t")
        }
    }

    @Test("Kinds, scores, merges and marks of Llama 2's tokenizer", arguments: [false, true])
    func characters(pairs: Bool) throws {
        let merges: [Any] = pairs ? [["a", "b"], ["▁", "a"], ["ab", "c"]] : ["a b", "▁ a", "ab c"]
        let metadata = try metadata(Self.llama(merges: merges), count: 270)
        #expect(metadata["tokenizer.ggml.model"] == .string("llama"))
        #expect(metadata["tokenizer.ggml.add_bos_token"] == .bool(true))
        #expect(metadata["tokenizer.ggml.add_eos_token"] == .bool(false))
        #expect(metadata["tokenizer.ggml.add_space_prefix"] == .bool(true))
        #expect(metadata["tokenizer.ggml.merges"]?.asArray?.asStrings == ["a b", "▁ a", "ab c"])
        let kinds = try #require(try metadata.ints("tokenizer.ggml.token_type"))
        #expect(kinds[..<4] == [2, 3, 3, 6] && kinds[258] == 6 && kinds[259..<266].allSatisfy { $0 == 1 })
        #expect(kinds[266...] == [4, 5, 5, 5])
        let scores = try #require(try metadata.floats("tokenizer.ggml.scores"))
        #expect(scores[259..<266] == [-3, -3, -3, -3, 0, -1, -2])
        #expect(metadata["tokenizer.ggml.tokens"]?.asArray?.asStrings?[267...] == ["[PAD267]", "[PAD268]", "[PAD269]"])

        let tokenizer = try Tokenizer(metadata: metadata)
        #expect(tokenizer.encode("abc a<think>é") == [1, 259, 265, 264, 266, 259, 3 + 0xC3, 3 + 0xA9])
    }

    @Test("CroissantLLM's recipe: no bytes, no unknown token, and preparation in keys of our own")
    func croissant() throws {
        var tokenizer = Self.llama(bytes: false)
        tokenizer["normalizer"] = ["type": "NFKC"]
        tokenizer["pre_tokenizer"] =
            [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"],
                    ["type": "Digits", "individual_digits": true] as [String: Any],
                ],
            ] as [String: Any]
        var model = try #require(tokenizer["model"] as? [String: Any])
        model["byte_fallback"] = true
        model["unk_token"] = NSNull()
        tokenizer["model"] = model
        let metadata = try metadata(tokenizer, count: 11)
        #expect(metadata["croissant.tokenizer.normalizer"]?.asArray?.asStrings == ["nfkc"])
        #expect(metadata["croissant.tokenizer.split_digits"] == .bool(true))
        #expect(metadata["croissant.tokenizer.prepend_scheme"] == .string("first"))
        #expect(metadata["tokenizer.ggml.add_space_prefix"] == .bool(true))
        #expect(try metadata.ints("tokenizer.ggml.token_type")?.first == 3)
        // Characters without a token are dropped, as in the reference.
        #expect(try Tokenizer(metadata: metadata).encode("aéb") == [1, 3, 7])
    }

    @Test("Where Metaspace cuts before spaces, nothing merges across one", arguments: [true, false, nil])
    func cutsBeforeMarks(split: Bool?) throws {
        var tokenizer = Self.llama(
            pieces: ["▁", "a", "b", "▁▁", "a▁", "▁a", "a▁b"], merges: ["▁ ▁", "a ▁", "▁ a", "a▁ b"])
        tokenizer["normalizer"] = NSNull()
        var metaspace: [String: Any] = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"]
        metaspace["split"] = split
        tokenizer["pre_tokenizer"] = metaspace
        let pieces = try Tokenizer(metadata: try metadata(tokenizer, count: 267)).pieces("a b  a")
        #expect(pieces == (split == false ? ["a▁b", "▁▁", "a"] : ["a", "▁", "b", "▁", "▁a"]))
    }

    @Test("Two tokens that Swift takes for equal texts stay two")
    func canonicalEquivalence() throws {
        let text = try String(decoding: JSONSerialization.data(withJSONObject: Self.llama()), as: UTF8.self)
            .replacing("\"abc\":265", with: "\"\u{E9}\":265,\"e\u{301}\":266").replacing("\"ab c\"", with: "\"a b\"")
            .replacing("\"id\":266", with: "\"id\":267")
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data(text.utf8).write(to: URL(filePath: folder.file("tokenizer.json")))
        try Data(Self.options.utf8).write(to: URL(filePath: folder.file("tokenizer_config.json")))
        let metadata = try CheckpointTokenizer(folder: folder.path, count: 268).metadata
        let tokens = try #require(try metadata.exactStrings("tokenizer.ggml.tokens"))
        #expect(tokens.bytes(at: 265) == Array("\u{E9}".utf8))
        #expect(tokens.bytes(at: 266) == Array("e\u{301}".utf8))
    }

    @Test("What cannot be carried over is refused")
    func unsupported() throws {
        func set(_ key: String, _ value: Any) throws -> String? { try problem { $0[key] = value } }
        func setModel(_ key: String, _ value: Any) throws -> String? {
            try problem { tokenizer in
                var model = tokenizer["model"] as? [String: Any] ?? [:]
                model[key] = value
                tokenizer["model"] = model
            }
        }
        #expect(try problem { _ in } == nil)
        #expect(
            try setModel("type", "Unigram")
                == "a tokenizer model other than BPE is not supported: t, model.type (found \"Unigram\")")
        #expect(
            try setModel("end_of_word_suffix", "</w>")
                == "marking of parts of words is not supported: t, model.end_of_word_suffix (found \"</w>\")")
        #expect(
            try setModel("ignore_merges", true)
                == "this use of merges is not supported: t, model.ignore_merges (found true)")
        #expect(
            try setModel("merges", ["a x"])
                == "bad value: t, model.merges[0] (expected two tokens that together are a third, found \"a x\")")
        #expect(
            try setModel("merges", [["a", "b", "c"]])
                == "bad value: t, model.merges[0] (expected two tokens without spaces, found an array of 3)")
        #expect(
            try setModel("vocab", ["a": 0, "b": 0]).map { $0.hasPrefix("bad value: t, token ") } == true)
        #expect(
            try setModel("vocab", ["a": 300])
                == "bad value: t, token \"a\" (expected an id below vocab_size, 300, found 300)")
        #expect(
            try set("normalizer", ["type": "Lowercase"])
                == "this normalization is not supported: t, normalizer.type (found \"Lowercase\")")
        #expect(
            try set("normalizer", NSNull())
                == "BPE of characters without marks of spaces is not supported: t, pre_tokenizer (found nothing)")
        #expect(
            try set("pre_tokenizer", ["type": "Whitespace"])
                == "this way to cut texts into words is not supported: t, pre_tokenizer.type (found \"Whitespace\")")
        #expect(
            try set("post_processor", ["type": "BertProcessing"])
                == "this frame of texts is not supported: t, post_processor.type (found \"BertProcessing\")")
    }

    @Test("Byte-level ways of cutting words are recognised by their expressions", arguments: ["llama", "qwen2"])
    func byteLevel(architecture: String) throws {
        var checkpoint = try CheckpointFixture(golden: architecture)
        func name() throws -> GGUFValue? {
            try metadata(checkpoint.tokenizer, count: 64, options: "{}")["tokenizer.ggml.pre"]
        }
        #expect(try name() == .string(architecture == "llama" ? "llama-bpe" : "qwen2"))
        func set(_ parts: [[String: Any]]) {
            checkpoint.tokenizer["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": parts] as [String: Any]
        }
        guard architecture == "qwen2" else { return }
        let byte: [String: Any] = ["type": "ByteLevel", "add_prefix_space": false]
        set([byte])
        #expect(try name() == .string("gpt-2"))
        set([["type": "Digits", "individual_digits": true], byte])
        #expect(try name() == .string("smollm"))
        let split: [String: Any] = ["type": "Split", "pattern": ["Regex": "x+"], "behavior": "Isolated"]
        set([split, ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false]])
        #expect {
            _ = try name()
        } throws: {
            "\($0)".contains(
                "pre_tokenizer.pretokenizers[0].pattern.Regex (expected a way to cut texts into words that is known: "
                    + "gpt-2, smollm, llama-bpe, smaug-bpe, qwen2, found \"x+\")")
        }
    }

    @Test("A vocabulary without bytes, or with nothing, is refused")
    func emptyVocabularies() throws {
        let byte: [String: Any] = ["type": "ByteLevel", "add_prefix_space": false]
        func problem(_ tokens: [String: Int], byteLevel: Bool) throws -> String? {
            try self.problem { tokenizer in
                if byteLevel {
                    tokenizer["pre_tokenizer"] = byte
                    tokenizer["normalizer"] = nil
                }
                tokenizer["added_tokens"] = nil
                tokenizer["model"] = ["type": "BPE", "vocab": tokens, "merges": [String]()] as [String: Any]
            }
        }
        #expect(
            try problem([:], byteLevel: true)
                == "bad value: t, model.vocab (expected a token for each of the 256 bytes, found an object of 0)")
        #expect(
            try problem(["\u{2581}a": 0, "bc": 1], byteLevel: true)
                == "bad value: t, model.vocab (expected a token for each of the 256 bytes, found an object of 2)")
        #expect(
            try problem([:], byteLevel: false) == "bad value: t, model.vocab (expected tokens, found an object of 0)")
    }

    @Test("A file that is larger than any tokenizer is not read")
    func tooLarge() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("tokenizer.json")
        try Data().write(to: URL(filePath: path))
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.truncate(atOffset: 100 << 20)
        #expect(
            throws: ConversionError.notAFile(path, expected: "at most 64.0 MiB", found: "100.0 MiB")
        ) { _ = try CheckpointTokenizer(folder: folder.path, count: 1) }
    }

    @Test("Added tokens beyond the embedding are left out, and said")
    func beyond() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = try JSONSerialization.data(withJSONObject: Self.llama())
        try data.write(to: URL(filePath: folder.file("tokenizer.json")))
        try Data(Self.options.utf8).write(to: URL(filePath: folder.file("tokenizer_config.json")))
        let tokenizer = try CheckpointTokenizer(folder: folder.path, count: 266)
        #expect(
            tokenizer.warnings == ["token 266 \"<think>\" has no row in the embedding and is left out"])
        #expect(try tokenizer.metadata.exactStrings("tokenizer.ggml.tokens")?.count == 266)
    }

    @Test("The ends of turns and messages go by their texts, and all ends are kept")
    func ends() throws {
        var tokenizer = Self.llama()
        let texts = ["<|eom_id|>", "<|a|>", "<|eot_id|>", "<|b|>"]
        let added = try #require(tokenizer["added_tokens"] as? [[String: Any]])
        tokenizer["added_tokens"] =
            added + texts.enumerated().map { ["id": 267 + $0, "content": $1, "special": true] as [String: Any] }
        func ends(_ ids: String) throws -> GGUFMetadata {
            try metadata(tokenizer, count: 271, files: ["generation_config.json": "{\"eos_token_id\": \(ids)}"])
        }
        let all = try ends("[267, 268, 269, 270]")
        #expect(all["tokenizer.ggml.eos_token_id"] == .uint32(2))
        #expect(all["tokenizer.ggml.eot_token_id"] == .uint32(269))
        #expect(all["tokenizer.ggml.eom_token_id"] == .uint32(267))
        #expect(all["croissant.tokenizer.eos_token_ids"]?.asInts == [2, 267, 268, 269, 270])
        #expect(try Tokenizer(metadata: all).endOfGeneration == [2, 267, 268, 269, 270])
        let unnamed = try ends("[268, 270]")
        #expect(unnamed["tokenizer.ggml.eot_token_id"] == nil && unnamed["tokenizer.ggml.eom_token_id"] == nil)
        #expect(unnamed["croissant.tokenizer.eos_token_ids"]?.asInts == [2, 268, 270])
        let one = try ends("2")
        #expect(one["tokenizer.ggml.eot_token_id"] == nil && one["croissant.tokenizer.eos_token_ids"] == nil)
    }

    @Test("Chat templates: one, several by name, or a file of its own")
    func chatTemplates() throws {
        let one = try metadata(Self.llama(), count: 267, options: #"{"bos_token": "<s>", "chat_template": "T"}"#)
        #expect(one["tokenizer.chat_template"] == .string("T"))
        let several = try metadata(
            Self.llama(), count: 267,
            options:
                #"{"bos_token": "<s>", "chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "U"}]}"#,
            files: ["chat_template.jinja": "J"])
        #expect(several["tokenizer.chat_template"] == .string("J"))
        #expect(several["tokenizer.chat_template.tool_use"] == .string("U"))
        #expect(several["tokenizer.chat_templates"]?.asArray?.asStrings == ["tool_use"])
    }

    @Test("Of several chat templates of one name the last counts, as in transformers, with a warning")
    func repeatedTemplates() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try JSONSerialization.data(withJSONObject: Self.llama()).write(
            to: URL(filePath: folder.file("tokenizer.json")))
        let templates = ["a": "1", "b": "2"].sorted { $0.key < $1.key } + [(key: "a", value: "3")]
        let options: [String: Any] = [
            "bos_token": "<s>", "chat_template": templates.map { ["name": $0.key, "template": $0.value] },
        ]
        try JSONSerialization.data(withJSONObject: options).write(
            to: URL(filePath: folder.file("tokenizer_config.json")))
        let tokenizer = try CheckpointTokenizer(folder: folder.path, count: 267)
        #expect(tokenizer.warnings == ["two chat templates are called \"a\": chat_template[0] is left out"])
        #expect(tokenizer.metadata["tokenizer.chat_template.a"] == .string("3"))
        #expect(tokenizer.metadata["tokenizer.chat_templates"]?.asArray?.asStrings == ["b", "a"])
    }
}
