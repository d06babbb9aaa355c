import Croissant
import GGUF
import Testing

@Suite("Hostile vocabularies")
struct HostileVocabularyTests {
    private static let valid: VocabularyFixture = {
        var fixture = VocabularyFixture.pieces("a", "b", "▁")
        fixture.addBytes(0x41...0x42)
        return fixture
    }()

    /// A change to a valid file, and the error it must lead to.
    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let error: TokenizerError
        let change: @Sendable (inout GGUFMetadata) -> Void

        init(_ name: String, _ error: TokenizerError, _ change: @escaping @Sendable (inout GGUFMetadata) -> Void) {
            testDescription = name
            self.error = error
            self.change = change
        }
    }

    private static func set(_ key: String, _ value: GGUFValue?) -> @Sendable (inout GGUFMetadata) -> Void {
        { $0["tokenizer.ggml." + key] = value }
    }

    private static func texts(_ change: (inout VocabularyFixture) -> Void) -> @Sendable (inout GGUFMetadata) -> Void {
        var fixture = valid
        change(&fixture)
        let metadata = fixture.metadata
        return { $0 = metadata }
    }

    static let damages: [Damage] = [
        Damage("no model", .missingKey("tokenizer.ggml.model"), set("model", nil)),
        Damage("another model", .unknownModel(found: "rwkv", known: ["llama", "gpt2"]), set("model", .string("rwkv"))),
        Damage("byte-level BPE without merges", .missingKey("tokenizer.ggml.merges"), set("model", .string("gpt2"))),
        Damage(
            "an unknown way to cut words",
            .unknownPreTokenizer(found: "tekken", known: PreTokenizer.names)
        ) {
            $0["tokenizer.ggml.model"] = .string("gpt2")
            $0["tokenizer.ggml.merges"] = .array(.string([]))
            $0["tokenizer.ggml.pre"] = .string("tekken")
        },
        Damage("no way to cut words", .missingPreTokenizer(known: PreTokenizer.names)) {
            $0["tokenizer.ggml.model"] = .string("gpt2")
            $0["tokenizer.ggml.merges"] = .array(.string([]))
        },
        Damage(
            "text in lower case",
            .unsupportedOption(
                key: "tokenizer.ggml.normalizer.lowercase", feature: "turning text into lower case"),
            set("normalizer.lowercase", .bool(true))),
        Damage(
            "text without accents",
            .unsupportedOption(key: "tokenizer.ggml.normalizer.strip_accents", feature: "removing accents"),
            set("normalizer.strip_accents", .bool(true))),
        Damage(
            "a table of characters",
            .unsupportedOption(
                key: "tokenizer.ggml.precompiled_charsmap", feature: "replacing characters by a table"),
            set("precompiled_charsmap", .array(.uint8([1, 2])))),
        Damage(
            "tokens that must not come",
            .unsupportedOption(key: "tokenizer.ggml.suppress_tokens", feature: "suppressing tokens"),
            set("suppress_tokens", .array(.int32([3])))),
        Damage("no tokens", .missingKey("tokenizer.ggml.tokens"), set("tokens", nil)),
        Damage(
            "an empty vocabulary", .countMismatch(key: "tokenizer.ggml.token_type", expected: 0, found: 8),
            set("tokens", .array(.string([])))),
        Damage("nothing at all", .emptyVocabulary) {
            $0 = ["tokenizer.ggml.model": .string("llama"), "tokenizer.ggml.tokens": .array(.string([]))]
        },
        Damage(
            "too few scores", .countMismatch(key: "tokenizer.ggml.scores", expected: 8, found: 1),
            set("scores", .array(.float32([0])))),
        Damage(
            "too many types", .countMismatch(key: "tokenizer.ggml.token_type", expected: 8, found: 9),
            set("token_type", .array(.int32(Array(repeating: 1, count: 9))))),
        Damage(
            "an unknown type", .unknownTokenKind(id: 7, found: 7),
            texts { $0.kinds[7] = 7 }),
        Damage(
            "a negative type", .unknownTokenKind(id: 3, found: -1),
            texts { $0.kinds[3] = -1 }),
        Damage(
            "the same text twice", .duplicateToken(text: "a", first: 3, second: 5),
            texts { $0.texts[5] = "a" }),
        Damage(
            "a byte token that is none", .malformedByteToken(id: 6, text: "<0x4G>"),
            texts { $0.texts[6] = "<0x4G>" }),
        Damage(
            "a byte token without text", .malformedByteToken(id: 6, text: ""),
            texts { $0.texts[6] = "" }),
        Damage(
            "BOS behind the end", .idOutOfRange(key: "tokenizer.ggml.bos_token_id", id: 8, vocabularySize: 8),
            set("bos_token_id", .uint32(8))),
        Damage(
            "EOS below zero", .idOutOfRange(key: "tokenizer.ggml.eos_token_id", id: -1, vocabularySize: 8),
            set("eos_token_id", .int32(-1))),
        Damage(
            "EOT beyond 32 bits",
            .idOutOfRange(key: "tokenizer.ggml.eot_token_id", id: 1 << 40, vocabularySize: 8),
            set("eot_token_id", .uint64(1 << 40))),
    ]

    @Test("are refused with an error that says what is wrong", arguments: damages)
    func refused(damage: Damage) throws {
        var metadata = Self.valid.metadata
        _ = try Tokenizer(metadata: metadata)
        damage.change(&metadata)
        #expect(throws: damage.error) { try Tokenizer(metadata: metadata) }
        #expect(!damage.error.description.isEmpty)
    }

    @Test("are not refused for options that ask for nothing")
    func neutralOptions() throws {
        var metadata = Self.valid.metadata
        metadata["tokenizer.ggml.normalizer.lowercase"] = .bool(false)
        metadata["tokenizer.ggml.normalizer.strip_accents"] = .bool(false)
        metadata["tokenizer.ggml.precompiled_charsmap"] = .array(.uint8([]))
        metadata["tokenizer.ggml.suppress_tokens"] = .array(.int32([]))
        #expect(try Tokenizer(metadata: metadata).encode("a", addBOS: false) == [5, 3])
    }

    @Test("are described in one line, with what was expected and what was found, escaped")
    func messages() {
        let model = TokenizerError.unknownModel(found: "\u{1B}[31mrwkv", known: ["llama", "gpt2"])
        #expect(
            "\(model)" == "unknown tokenizer: tokenizer.ggml.model "
                + "(expected one of llama, gpt2, found \"\\u{1b}[31mrwkv\")")
        let preTokenizer = TokenizerError.unknownPreTokenizer(found: "tekken", known: ["default", "gpt-2"])
        #expect(
            "\(preTokenizer)" == "unknown pre-tokenizer: tokenizer.ggml.pre "
                + "(expected one of default, gpt-2, found \"tekken\")")
        let silent = TokenizerError.missingPreTokenizer(known: ["default", "gpt-2"])
        #expect(
            "\(silent)" == "missing pre-tokenizer: tokenizer.ggml.pre "
                + "(expected one of default, gpt-2, found nothing)")
        #expect(silent.hint?.contains("--pre-tokenizer NAME") == true && preTokenizer.hint == nil)
        let option = TokenizerError.unsupportedOption(key: "tokenizer.ggml.x", feature: "juggling")
        #expect("\(option)" == "juggling is not supported: tokenizer.ggml.x")
        let twice = TokenizerError.duplicateToken(text: "a\n", first: 3, second: 5)
        #expect(
            "\(twice)" == "two tokens of the same text: tokenizer.ggml.tokens[5] "
                + "(expected a text of its own, found \"a\\n\", which is token 3)")
    }

    @Test(
        "are refused when a key has another type",
        arguments: [
            "model", "tokens", "scores", "token_type", "bos_token_id", "add_bos_token", "add_space_prefix",
            "remove_extra_whitespaces",
        ])
    func wrongTypes(key: String) {
        var metadata = Self.valid.metadata
        metadata["tokenizer.ggml." + key] = .float64(1.5)
        #expect {
            try Tokenizer(metadata: metadata)
        } throws: { error in
            if case .metadata = error as? TokenizerError { true } else { false }
        }
    }

    @Test("with tokens without text are read: nothing finds these, and they decode to nothing")
    func emptyTexts() throws {
        var fixture = Self.valid
        fixture.add("", .normal)
        fixture.add("", .control)
        fixture.add("", .userDefined)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("a b") == ["a", "▁", "b"])
        #expect(tokenizer.id(of: "") == nil)
        #expect(tokenizer.decode([3, 8, 9, 10, 4], skipSpecial: false) == "ab")
    }

    @Test("with a padding token behind the end, as published files have, are read without it")
    func padding() throws {
        var fixture = Self.valid
        fixture.options["padding_token_id"] = .uint32(.max)
        #expect(try fixture.tokenizer().padding == nil)
        fixture.options["padding_token_id"] = .uint32(3)
        #expect(try fixture.tokenizer().padding == 3)
    }

    @Test("with texts that are not UTF-8 decode to their bytes, repaired only in strings")
    func invalidUTF8() throws {
        var metadata = Self.valid.metadata
        var texts = GGUFStrings(Self.valid.texts.dropLast(2))
        texts.append(utf8: [0xF0, 0x9F])
        texts.append(utf8: [0x98, 0x80, 0xFF])
        metadata["tokenizer.ggml.tokens"] = .array(.string(texts))
        metadata["tokenizer.ggml.token_type"] = .array(.int32([2, 3, 3, 1, 1, 1, 1, 1]))
        let tokenizer = try Tokenizer(metadata: metadata)
        #expect(tokenizer.decodeBytes([6, 7]) == [0xF0, 0x9F, 0x98, 0x80, 0xFF])
        #expect(tokenizer.decode([6, 7]) == "😀\u{FFFD}")
        #expect(tokenizer.text(of: 6) == "\u{FFFD}")
    }

    @Test("with special tokens that are parts of characters never cut one", arguments: ["llama", "gpt2"])
    func partsOfCharacters(model: String) throws {
        for bytes in [[0xC3], [0xA9], [0x61, 0xC3], [0xA9, 0x62], [0x9F, 0x98], [0xFF]] as [[UInt8]] {
            var texts = GGUFStrings(["<unk>", "a", "b", "Ã", "©"])
            texts.append(utf8: bytes)
            let tokenizer = try Tokenizer(metadata: [
                "tokenizer.ggml.model": .string(model), "tokenizer.ggml.tokens": .array(.string(texts)),
                "tokenizer.ggml.token_type": .array(.int32([2, 1, 1, 1, 1, 4])),
                "tokenizer.ggml.merges": .array(.string([])), "tokenizer.ggml.add_space_prefix": .bool(false),
                "tokenizer.ggml.pre": .string("default"),
            ])
            #expect(!tokenizer.encode("aéb😀", addBOS: false).contains(5))
        }
    }
}
