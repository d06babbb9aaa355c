import Croissant
import Foundation
import GGUF
import Testing

@Suite("Added tokens are found as by the program that the tokenizer is of")
struct AddedTokenTests {
    /// A tokenizer in another program's file, and texts with the tokens that the program gives them (see
    /// tokenizer_oracle.py).
    private struct Golden: Decodable {
        struct Line: Decodable {
            let text: String
            let ids: [Int32]

            init(from decoder: any Decoder) throws {
                var container = try decoder.unkeyedContainer()
                text = try container.decode(String.self)
                ids = try container.decode([Int32].self)
            }
        }

        let name: String
        let tokenizer: String?
        let model: Data?
        let texts: [Line]

        static func read(_ file: String) throws -> [Golden] {
            let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Golden/croissant/\(file)")
            return try JSONDecoder().decode([Golden].self, from: Data(contentsOf: url))
        }

        /// As `convert` writes it.
        func converted() throws -> GGUFMetadata {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            if let tokenizer {
                try Data(tokenizer.utf8).write(to: URL(filePath: folder.file("tokenizer.json")))
            } else {
                try model?.write(to: URL(filePath: folder.file("tokenizer.model")))
            }
            return try CheckpointTokenizer(folder: folder.path, count: 1600).metadata
        }

        func expectTokens() throws {
            let metadata = try converted()
            let tokenizer = try Tokenizer(metadata: metadata)
            #expect(texts.count > 20)
            for line in texts {
                let ids = tokenizer.encode(line.text, addBOS: false)
                #expect(ids == line.ids, "\(name): \(line.text.debugDescription)")
                // Piece by piece the same text comes as at once.
                var decoder = StreamingDecoder(tokenizer)
                let pieces = line.ids.map { decoder.feed($0) }.joined() + decoder.finish()
                #expect(pieces == tokenizer.decode(line.ids))
            }
            // What the tables take is known before.
            let (planned, held) = (Tokenizer.tableBytes(for: metadata), tokenizer.heldTableBytes)
            #expect(held <= planned + 256 && planned <= held + 256, "\(name)")
        }
    }

    @Test("tokenizer.json: white space, words, normal forms, overlaps and unknown characters as `tokenizers` has them")
    func recipes() throws {
        let recipes = try Golden.read("recipes.json")
        #expect(recipes.count == 7)
        for recipe in recipes { try recipe.expectTokens() }
    }

    @Test("tokenizer.model: user-defined symbols as SentencePiece has them")
    func sentencePiece() throws {
        let models = try Golden.read("sentencepiece.json")
        #expect(models.count == 4)
        for model in models { try model.expectTokens() }
    }

    @Test("What differs from llama.cpp's way is in keys of our own, and nothing else is")
    func keys() throws {
        let own = "croissant.tokenizer."
        let recipes = try Golden.read("recipes.json")
        for recipe in recipes {
            let metadata = try recipe.converted()
            #expect(metadata[own + "special_token_order"] == .string("leftmost"))
            let fuses = !recipe.name.contains("not fused") && !recipe.name.contains("NFKC")
            #expect(metadata[own + "fuse_unknown"] == (fuses ? nil : .bool(false)), "\(recipe.name)")
            let isNever = recipe.name.hasPrefix("Metaspace never")
            #expect((metadata[own + "prepend_scheme"] == .string("never")) == isNever)
            #expect(metadata[own + "unsplit_token_ids"] == nil)
        }
        let model = try #require(try Golden.read("sentencepiece.json").first)
        let metadata = try model.converted()
        #expect(metadata[own + "unsplit_token_ids"]?.asInts?.count == 10)
        #expect(metadata[own + "lstrip_token_ids"] == nil)
    }

    /// Pieces a, b, c, d, ▁, the bytes, and tokens with flags.
    private func tokenizer(
        _ tokens: [(text: String, flags: [String])], special: Bool = false, order: String? = "leftmost"
    ) throws -> Tokenizer {
        var fixture = VocabularyFixture.pieces("a", "b", "c", "d", "▁")
        fixture.addBytes()
        fixture.options["add_space_prefix"] = .bool(false)
        var lists: [String: [UInt32]] = [:]
        for (text, flags) in tokens {
            for flag in flags { lists[flag, default: []].append(UInt32(fixture.texts.count)) }
            fixture.add(text, special ? .control : .userDefined)
        }
        var metadata = fixture.metadata
        metadata["croissant.tokenizer.special_token_order"] = order.map { .string($0) }
        for (flag, ids) in lists { metadata["croissant.tokenizer.\(flag)_token_ids"] = .array(.uint32(ids)) }
        return try Tokenizer(metadata: metadata)
    }

    @Test("White space that a token takes with it can be another token, and comes again behind that")
    func whiteSpace() throws {
        let tokenizer = try tokenizer([("<x>", ["rstrip"]), ("<y>", ["lstrip"]), ("  ", [])])
        #expect(tokenizer.pieces("a<x>   b") == ["a", "<x>", "  ", "▁", "b"])
        #expect(tokenizer.pieces("a<x>  b") == ["a", "<x>", "  ", "b"])
        #expect(tokenizer.pieces("<x>     b") == ["<x>", "  ", "  ", "▁", "b"])
        #expect(tokenizer.pieces("a<x> b") == ["a", "<x>", "b"])
        #expect(tokenizer.pieces("a\u{3000}\t <y>b") == ["a", "<y>", "b"])
        #expect(tokenizer.pieces("<y> ") == ["<y>", "▁"])
        // `tokenizers` fails on these.
        let greedy = try self.tokenizer([("<x>", ["rstrip"]), (" ", ["lstrip", "rstrip"]), ("<y>", ["lstrip"])])
        #expect(greedy.pieces("a<x>   <y>b") == ["a", "<x>", " ", " ", " ", "<y>", "b"])
    }

    @Test("A word of its own has no letter, mark, digit or underscore beside it")
    func words() throws {
        let tokenizer = try tokenizer([("ab", ["single_word"]), ("abc", ["single_word"])])
        func isFound(_ text: String) -> Bool { tokenizer.pieces(text).contains("ab") }
        for text in ["ab", "ab abc", "ab²", "ab!", "-ab-", "«ab»"] { #expect(isFound(text), "\(text)") }
        for text in ["ab_", "ab\u{200D}", "ab\u{301}", "ab٣", "abⅣ", "aba", "éab", "abcd"] {
            #expect(!isFound(text), "\(text)")
        }
        #expect(tokenizer.pieces("abcd ab") == ["a", "b", "c", "d", "▁", "ab"])
    }

    @Test("Of tokens that overlap the leftmost is found, there the longest, and control tokens hide others")
    func order() throws {
        let tokens: [(String, [String])] = [("ab", []), ("bcd", []), ("abc", []), ("cd", ["normalized"])]
        #expect(try tokenizer(tokens).pieces("abcd bcd") == ["abc", "d", "▁", "bcd"])
        #expect(try tokenizer(tokens, order: nil).pieces("abcd") == ["abc", "d"])
        #expect(try tokenizer([("ab", []), ("bcd", [])], order: nil).pieces("abcd") == ["a", "bcd"])
        #expect(try tokenizer([("ab", []), ("bcd", [])]).pieces("abcd") == ["ab", "c", "d"])
        #expect(try tokenizer([("ab", ["normalized"]), ("bc", [])]).pieces("abc") == ["a", "bc"])
        let special = try tokenizer([("ab", [])], special: true)
        #expect(special.pieces("ab") == ["ab"])
        #expect(special.pieces("ab", parseSpecial: false) == ["a", "b"])
    }

    @Test("Ordinary text does not become an added token, unless the vocabulary has it too")
    func merging() throws {
        #expect(try tokenizer([("e\u{301}", []), ("é", ["single_word"])]).pieces("aé").prefix(2) == ["a", "<0xC3>"])
        #expect(try tokenizer([("é", ["single_word", "merged"])]).pieces("aé") == ["a", "é"])
    }

    @Test("Lists that make no sense are refused or harmless")
    func hostile() throws {
        func metadata(_ keys: [String: GGUFValue]) -> GGUFMetadata {
            var fixture = VocabularyFixture.pieces("a", "b", "▁", "a b")
            fixture.addBytes()
            for text in ["<x>", " ", "  ", "a", "é", "\u{301}"] where !fixture.texts.contains(text) {
                fixture.add(text, .userDefined)
            }
            var metadata = fixture.metadata
            for (key, value) in keys { metadata["croissant.tokenizer." + key] = value }
            return metadata
        }
        for (key, value) in [
            ("special_token_order", .string("rightmost")), ("special_token_order", .bool(true)),
            ("lstrip_token_ids", .uint32(1)), ("rstrip_token_ids", .array(.int32([-1]))),
            ("single_word_token_ids", .array(.uint32([100_000]))), ("merged_token_ids", .array(.string(["a"]))),
            ("normalized_token_ids", .array(.uint64([.max]))), ("unsplit_token_ids", .array(.float32([1]))),
            ("fuse_unknown", .uint32(0)),
        ] as [(String, GGUFValue)] {
            #expect(throws: TokenizerError.self, "\(key)") { _ = try Tokenizer(metadata: metadata([key: value])) }
        }
        let names = ["lstrip", "rstrip", "single_word", "normalized", "merged", "unsplit"]
        let count = metadata([:])["tokenizer.ggml.tokens"]?.asArray?.count ?? 0
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<60 {
            var keys: [String: GGUFValue] = ["special_token_order": .string("leftmost")]
            for name in names where Bool.random(using: &generator) {
                let ids = (0..<Int.random(in: 0...400, using: &generator)).map { _ in
                    UInt32.random(in: 0..<UInt32(count), using: &generator)
                }
                keys[name + "_token_ids"] = .array(.uint32(ids))
            }
            if Bool.random(using: &generator) { keys["normalizer"] = .array(.string(["nfkc"])) }
            if Bool.random(using: &generator) { keys["prepend_scheme"] = .string("first") }
            let metadata = metadata(keys)
            let tokenizer = try Tokenizer(metadata: metadata)
            #expect(tokenizer.heldTableBytes <= Tokenizer.tableBytes(for: metadata) + 256)
            for parseSpecial in [true, false] {
                let text = randomText(length: 60, using: &generator)
                let ids = tokenizer.encode(text, parseSpecial: parseSpecial)
                _ = tokenizer.decode(ids)
            }
        }
    }

    @Test("White space is looked at once, however many tokens would take it", .timeLimit(.minutes(1)))
    func manySpaces() throws {
        let tokenizer = try tokenizer([("<x>", ["lstrip", "rstrip"]), (" ", ["lstrip", "rstrip"])])
        let text = "<x>" + String(repeating: " ", count: 200_000) + "<x>"
        #expect(tokenizer.encode(text, addBOS: false).count == 200_002)
    }
}
