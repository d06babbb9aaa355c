import Croissant
import Foundation
import GGUF
import Testing

@Suite("Texts are prepared as croissant.tokenizer.* say")
struct TextPreparationTests {
    private func tokenizer(_ fixture: VocabularyFixture, _ keys: [String: GGUFValue]) throws -> Tokenizer {
        var metadata = fixture.metadata
        for (key, value) in keys { metadata["croissant.tokenizer." + key] = value }
        return try Tokenizer(metadata: metadata)
    }

    private static let nfkc: GGUFValue = .array(.string(["nfkc"]))

    @Test("normalizer")
    func normalizer() throws {
        var fixture = VocabularyFixture.pieces("fi", "f", "i", "é", "e", "2", "\u{301}", "▁")
        fixture.options["add_space_prefix"] = .bool(false)
        let tokenizer = try tokenizer(fixture, ["normalizer": Self.nfkc])
        #expect(tokenizer.pieces("\u{FB01}e\u{301}²\u{A0}") == ["fi", "é", "2", "▁"])
        // Special tokens are found first: what is not one before does not become one.
        #expect(tokenizer.pieces("ﬁ</s>\u{301}") == ["fi", "</s>", "\u{301}"])
        let both = try self.tokenizer(fixture, ["normalizer": .array(.string(["nfkc", "nfd"]))])
        #expect(both.pieces("éﬁ") == ["e", "\u{301}", "fi"])
    }

    @Test("split_digits: numbers of every kind are words of their own, also those that are dropped")
    func splitDigits() throws {
        var fixture = VocabularyFixture.pieces("12", "▁1", "a1", "ab", "½2", "▁", "1", "2", "a", "b", "½")
        fixture.kinds[0] = Int32(Tokenizer.TokenKind.control.rawValue)
        fixture.options["unknown_token_id"] = .uint32(0)
        let split = try tokenizer(fixture, ["split_digits": .bool(true)])
        #expect(split.pieces("12 a1½2ab") == ["▁", "1", "2", "▁", "a", "1", "½", "2", "ab"])
        #expect(split.pieces("a٣b") == ["▁", "a", "b"])
        #expect(split.encoding(of: "a٣b").dropped == ["٣"])
        let whole = try tokenizer(fixture, [:])
        #expect(whole.pieces("12 a") == ["▁", "12", "▁", "a"])
        #expect(whole.pieces("a٣b") == ["▁", "ab"])
    }

    @Test("prepend_scheme: no second space, and before a text only where it says so")
    func prependScheme() throws {
        var fixture = VocabularyFixture.pieces("▁a", "▁", "a")
        fixture.add("[X]", .userDefined)
        let plain = try tokenizer(fixture, [:])
        #expect(plain.pieces(" a</s>a") == ["▁", "▁a", "</s>", "▁a"])
        let always = try tokenizer(fixture, ["prepend_scheme": .string("always")])
        #expect(always.pieces(" a</s>a") == ["▁a", "</s>", "▁a"])
        #expect(always.pieces("▁a[X] a") == ["▁a", "[X]", "▁a"])
        let first = try tokenizer(fixture, ["prepend_scheme": .string("first")])
        #expect(first.pieces("a</s>a[X] a") == ["▁a", "</s>", "a", "[X]", "▁a"])
        #expect(first.pieces("</s>a") == ["</s>", "a"])
        #expect(first.pieces("a") == ["▁a"])
        for text in ["a", "a</s> a", "</s> a", "a[X] a", "[X] a"] {
            let ids = first.encode(text)
            #expect(first.decode(ids, skipSpecial: false) == "<s>" + text)
            var decoder = StreamingDecoder(first, skipSpecial: false)
            #expect(ids.map { decoder.feed($0) }.joined() + decoder.finish() == "<s>" + text)
        }
        let normalizer: GGUFValue = .array(.string(["nmt_nfkc"]))
        let empty = try tokenizer(fixture, ["prepend_scheme": .string("always"), "normalizer": normalizer])
        #expect(empty.pieces("\u{1}") == [])
    }

    @Test("fuse_unknown: one unknown token for each character, or for a run of them in one word")
    func unknownCharacters() throws {
        let fixture = VocabularyFixture.pieces("▁a", "▁", "▁b")
        let (text, digits) = ("a 🦊🦊🦊 b", "a 🦊12🦊🦊")
        func pieces(_ text: String, _ keys: [String: GGUFValue]) throws -> [String] {
            try tokenizer(fixture, keys).pieces(text).map { $0 == "<unk>" ? "?" : $0 }
        }
        #expect(try pieces(text, [:]) == ["▁a", "▁", "?", "▁b"])
        #expect(try pieces(text, ["fuse_unknown": .bool(true)]) == ["▁a", "▁", "?", "▁b"])
        #expect(try pieces(text, ["fuse_unknown": .bool(false)]) == ["▁a", "▁", "?", "?", "?", "▁b"])
        #expect(try pieces(digits, [:]) == ["▁a", "▁", "?"])
        #expect(try pieces(digits, ["split_digits": .bool(true)]) == ["▁a", "▁", "?", "?", "?", "?"])
    }

    @Test("eos_token_ids: all of them end an answer")
    func ends() throws {
        let fixture = VocabularyFixture.pieces("a", "b", "c", "d")
        let tokenizer = try tokenizer(fixture, ["eos_token_ids": .array(.uint32([2, 4, 5, 6]))])
        #expect(tokenizer.endOfGeneration == [2, 4, 5, 6])
        #expect(tokenizer.repairs.isEmpty)
    }

    @Test("tokenizer.ggml.merges of characters: the list decides, not the scores")
    func merges() throws {
        // "abc" from a and bc only: ab exists, and makes nothing with c.
        var fixture = VocabularyFixture.pieces("ab", "bc", "abc", "a", "b", "c", "▁")
        fixture.addBytes()
        fixture.options["add_space_prefix"] = .bool(false)
        fixture.options["merges"] = .array(.string(["b c", "a b", "a bc", "x y", "nonsense", " "]))
        let tokenizer = try Tokenizer(metadata: fixture.metadata)
        #expect(tokenizer.pieces("abc ab é") == ["abc", "▁", "ab", "▁", "<0xC3>", "<0xA9>"])
        fixture.options["merges"] = .array(.string(["a b", "b c", "a bc"]))
        #expect(try Tokenizer(metadata: fixture.metadata).pieces("abc") == ["ab", "c"])
        // With equal scores too, which say nothing.
        fixture.scores = fixture.scores.map { _ in -1000 }
        let constant = try Tokenizer(metadata: fixture.metadata)
        #expect(constant.pieces("abc") == ["ab", "c"])
        #expect(constant.repairs.isEmpty)
    }

    @Test("bytes are normalised too, and refuse what is for characters")
    func byteLevel() throws {
        var fixture = VocabularyFixture()
        for piece in ["e", "Ã", "©", "Ã©", "Ì", "ģ"] { fixture.add(piece, .normal) }
        var metadata = fixture.metadata
        metadata["tokenizer.ggml.model"] = .string("gpt2")
        metadata["tokenizer.ggml.pre"] = .string("gpt-2")
        metadata["tokenizer.ggml.merges"] = .array(.string(["Ã ©"]))
        metadata["croissant.tokenizer.normalizer"] = .array(.string(["nfc"]))
        #expect(try Tokenizer(metadata: metadata).pieces("e\u{301}") == ["Ã©"])
        metadata["croissant.tokenizer.split_digits"] = .bool(true)
        #expect(throws: TokenizerError.self) { try Tokenizer(metadata: metadata) }
    }

    @Test("values that are unknown, of another type or out of range are refused")
    func refused() throws {
        let fixture = VocabularyFixture.pieces("a")
        for (key, value) in [
            ("normalizer", .array(.string(["lower"]))), ("normalizer", .string("nfc")), ("split_digits", .uint32(1)),
            ("prepend_scheme", .string("sometimes")), ("prepend_scheme", .bool(true)),
            ("eos_token_ids", .array(.uint32([4]))), ("eos_token_ids", .uint32(2)),
            ("eos_token_ids", .array(.int32([-1]))),
        ] as [(String, GGUFValue)] {
            #expect(throws: TokenizerError.self, "\(key)") { try tokenizer(fixture, [key: value]) }
        }
        #expect {
            try tokenizer(fixture, ["normalizer": .array(.string(["\u{1B}x"]))])
        } throws: {
            "\($0)" == "the value \"\\u{1b}x\" is not supported: croissant.tokenizer.normalizer"
        }
    }
}

@Suite("CroissantLLM's recipe gives the tokens of its reference")
struct CroissantTokenizerTests {
    /// A tokenizer that `tokenizers` has trained, and lines with their tokens (see tokenizer_oracle.py).
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Golden/croissant")

    private static func lines() throws -> [(text: String, ids: [Int32])] {
        let data = try Data(contentsOf: folder.appending(path: "tokens.json"))
        let rows = try #require(try JSONSerialization.jsonObject(with: data) as? [[Any]])
        return rows.map { ($0[0] as? String ?? "", ($0[1] as? [Int] ?? []).map { Int32($0) }) }
    }

    private static func converted() throws -> GGUFMetadata {
        try CheckpointTokenizer(folder: folder.path(percentEncoded: false), count: 422).metadata
    }

    /// As files are that others made of it.
    private static func published(score: Float = -1000) throws -> GGUFMetadata {
        var metadata = try converted()
        for key in metadata.keys where key.hasPrefix("croissant.") { metadata[key] = nil }
        metadata["tokenizer.ggml.merges"] = nil
        metadata["tokenizer.ggml.scores"] = .array(.float32(Array(repeating: score, count: 422)))
        return metadata
    }

    private func expectTokens(_ metadata: GGUFMetadata) throws {
        let tokenizer = try Tokenizer(metadata: metadata)
        let lines = try Self.lines()
        #expect(lines.count > 300)
        for (text, ids) in lines { #expect(tokenizer.encode(text, addBOS: false) == ids, "\(text.debugDescription)") }
    }

    @Test("converted")
    func whole() throws {
        let metadata = try Self.converted()
        try expectTokens(metadata)
        #expect(try Tokenizer(metadata: metadata).repairs.isEmpty)
    }

    @Test("with scores that are all the same, no merges, and no word about the rest", arguments: [-1000, 0])
    func constant(score: Float) throws {
        let metadata = try Self.published(score: score)
        try expectTokens(metadata)
        #expect(try Tokenizer(metadata: metadata).repairs == [.mergeOrder, .croissantPreparation])
    }

    @Test("where the file calls the unknown token one")
    func unknown() throws {
        var metadata = try Self.published()
        guard case .array(.int32(var kinds)) = metadata["tokenizer.ggml.token_type"] else { return }
        kinds[0] = 2
        metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
        try expectTokens(metadata)
        #expect(try Tokenizer(metadata: metadata).encoding(of: "a漢b").dropped == ["漢"])
    }

    @Test("Its tables are planned to the byte, with merges and without")
    func memory() throws {
        for metadata in [try Self.converted(), try Self.published()] {
            let planned = Tokenizer.tableBytes(for: metadata)
            let held = try Tokenizer(metadata: metadata).heldTableBytes
            #expect(held >= planned && held <= planned + 160)
        }
    }

    @Test("No text whatsoever stops it", arguments: [false, true])
    func anything(isPublished: Bool) throws {
        let tokenizer = try Tokenizer(metadata: isPublished ? Self.published() : Self.converted())
        var generator = SeededGenerator(seed: 11)
        for length in 0..<200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            var scalars = String.UnicodeScalarView()
            for _ in 0..<length {
                let range: ClosedRange<UInt32> = Bool.random(using: &generator) ? 0x300...0x36F : 0...0x10FFFF
                if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &generator)) { scalars.append(scalar) }
            }
            for text in [String(decoding: bytes, as: UTF8.self), String(scalars)] {
                let ids = tokenizer.encode(text)
                var decoder = StreamingDecoder(tokenizer)
                #expect(ids.map { decoder.feed($0) }.joined() + decoder.finish() == tokenizer.decode(ids))
            }
        }
        for unit in ["a", " ", "1", "\u{301}", "\u{301}\u{323}", "\u{1100}\u{1161}", "\u{FDFA}", "😀", "▁", "٣", "ab"] {
            _ = tokenizer.encode(String(repeating: unit, count: 20_000))
        }
    }
}
