import Croissant
import GGUF
import Testing

/// A small byte-level vocabulary written in a test.
private func byteLevel(
    _ texts: [String], merges: [String], pre: String = "gpt-2", options: [String: GGUFValue] = [:],
    change: (inout VocabularyFixture) -> Void = { _ in }
) throws -> Tokenizer {
    var fixture = VocabularyFixture()
    for text in texts { fixture.add(text, .normal) }
    change(&fixture)
    var metadata = fixture.metadata
    metadata["tokenizer.ggml.model"] = .string("gpt2")
    metadata["tokenizer.ggml.pre"] = .string(pre)
    metadata["tokenizer.ggml.merges"] = .array(.string(GGUFStrings(merges)))
    for (key, value) in options { metadata["tokenizer.ggml." + key] = value }
    return try Tokenizer(metadata: metadata)
}

@Suite("Byte-level BPE")
struct ByteLevelBPETests {
    @Test("merges in the order of the list, and the leftmost of equals first")
    func order() throws {
        let texts = ["a", "b", "c", "ab", "bc", "aa"]
        #expect(try byteLevel(texts, merges: ["a b", "b c"]).pieces("abc") == ["ab", "c"])
        #expect(try byteLevel(texts, merges: ["b c", "a b"]).pieces("abc") == ["a", "bc"])
        #expect(try byteLevel(texts, merges: ["a a"]).pieces("aaaaa") == ["aa", "aa", "a"])
    }

    @Test("merges pairs of tokens, not texts: the same text from other halves does not count")
    func pairs() throws {
        let texts = ["a", "b", "c", "ab", "bc", "abc"]
        #expect(try byteLevel(texts, merges: ["a b", "a bc"]).pieces("abc") == ["ab", "c"])
        #expect(try byteLevel(texts, merges: ["b c", "a bc"]).pieces("abc") == ["abc"])
        // "a b" is out of date once "b c" has been merged.
        #expect(try byteLevel(texts, merges: ["b c", "a b"]).pieces("abcab") == ["a", "bc", "ab"])
    }

    @Test("does not merge across words")
    func words() throws {
        let tokenizer = try byteLevel(
            ["a", "b", "Ġ", "1", "Ġb", "aĠ", "a1"], merges: ["a Ġ", "a 1", "Ġ b"])
        #expect(tokenizer.pieces("a b a1") == ["a", "Ġb", "Ġ", "a", "1"])
    }

    @Test("writes every byte by GPT-2's character")
    func alphabet() throws {
        let texts = ["!", "~", "¡", "¬", "®", "ÿ", "Ā", "ł", "Ń", "Ġ", "Ċ"]
        let bytes: [UInt8] = [0x21, 0x7E, 0xA1, 0xAC, 0xAE, 0xFF, 0x00, 0xA0, 0xAD, 0x20, 0x0A]
        let tokenizer = try byteLevel(texts, merges: [])
        for (id, byte) in bytes.enumerated() { #expect(tokenizer.decodeBytes([Int32(id)]) == [byte]) }
        #expect(tokenizer.pieces("\0 \n!~") == ["Ā", "Ġ", "Ċ", "!", "~"])
    }

    @Test("takes a whole word that is a token as it is only where merges are ignored")
    func ignoresMerges() throws {
        let texts = ["a", "b", "c", "Ġ", "bc", "Ġabc", "é", "Ã", "©", "Ã©"]
        #expect(
            try byteLevel(texts, merges: ["b c"], pre: "llama-bpe").pieces(" abcé abc") == [
                "Ġ", "a", "bc", "Ã", "©", "Ġabc",
            ])
        #expect(try byteLevel(texts, merges: ["b c"], pre: "llama-bpe").pieces(" abc é") == ["Ġabc", "Ġ", "Ã", "©"])
        #expect(try byteLevel(texts, merges: ["b c"], pre: "llama-bpe").pieces("é") == ["Ã©"])
        #expect(try byteLevel(texts, merges: ["b c"], pre: "glm4").pieces("é") == ["Ã©"])
        let ignoring = Set(try ["llama-bpe", "glm4"].flatMap { try PreTokenizer.named($0).names })
        for pre in PreTokenizer.names {
            let pieces = try byteLevel(texts, merges: ["b c"], pre: pre).pieces(" abc")
            #expect(pieces == (ignoring.contains(pre) ? ["Ġabc"] : ["Ġ", "a", "bc"]), "\(pre)")
        }
    }

    @Test("begins with BOS as the file says, and otherwise as the pre-tokenizer's models do")
    func markers() throws {
        func tokenizer(_ pre: String, _ options: [String: GGUFValue]) throws -> Tokenizer {
            try byteLevel(["a"], merges: [], pre: pre, options: options) {
                $0.add("<|begin|>", .control)
                $0.add("<|endoftext|>", .control)
            }
        }
        let bos: [String: GGUFValue] = ["bos_token_id": .uint32(1)]
        let beginning = try PreTokenizer.named("llama-bpe").names
        for pre in PreTokenizer.names {
            #expect(try tokenizer(pre, bos).encode("a") == (beginning.contains(pre) ? [1, 0] : [0]))
            #expect(try tokenizer(pre, bos).encode("a", addBOS: true) == [1, 0])
        }
        let never = bos.merging(["add_bos_token": .bool(false)]) { $1 }
        #expect(try tokenizer("llama-bpe", never).encode("a") == [0])
        let always = bos.merging(["add_bos_token": .bool(true)]) { $1 }
        #expect(try tokenizer("qwen2", always).encode("a") == [1, 0])
        // SentencePiece's ids mean nothing here.
        let silent = try tokenizer("llama-bpe", [:])
        #expect(silent.bos == nil && silent.eos == nil && silent.unknown == nil)
        #expect(silent.encode("a") == [0])
        #expect(silent.endOfGeneration == [2])
    }

    @Test("writes special tokens as they are, and finds them so")
    func specialTokens() throws {
        let tokenizer = try byteLevel(["a", "Ġ", "Ġa", "Ã", "©"], merges: ["Ġ a"], pre: "llama-bpe") {
            $0.add("<éĠ>", .userDefined)
            $0.add("<|é|>", .control)
            $0.add("<0x41>", .normal)
            $0.add("a日", .normal)
        }
        #expect(tokenizer.pieces(" a<éĠ> a<|é|>é") == ["Ġa", "<éĠ>", "Ġa", "<|é|>", "Ã", "©"])
        let text = "a<éĠ> a<|é|> a"
        #expect(tokenizer.decode(tokenizer.encode(text), skipSpecial: false) == text)
        #expect(tokenizer.decode(tokenizer.encode(text)) == "a<éĠ> a a")
        // Texts that are no bytes in GPT-2's alphabet stand for themselves, and no token of a byte is special.
        #expect(tokenizer.decode([7, 8, 0]) == "<0x41>a日a")
        #expect(tokenizer.kind(of: 7) == .normal)
    }

    @Test("never makes a control or user-defined token out of ordinary text")
    func noInjection() throws {
        let tokenizer = try byteLevel(["E", "O", "S", "EO", "Ġ"], merges: ["E O", "EO S", "Ġ E"], pre: "llama-bpe") {
            $0.add("EOS", .control)
            $0.add("ĠE", .userDefined)
        }
        #expect(tokenizer.pieces("EOS EO", parseSpecial: false) == ["EO", "S", "Ġ", "EO"])
        #expect(tokenizer.pieces(" E") == ["Ġ", "E"])
        #expect(tokenizer.pieces("EOS") == ["EOS"])
    }

    @Test("leaves out merges that are damaged, and merges of tokens that are missing")
    func damagedMerges() throws {
        let damaged = [
            "", " ", "  ", "   ", "a", "ab", " a", "a ", "a  b", "a b c", " a b", "x y", "a x", "x b", "b a", "a\tb",
            "\0", "é é", "a " + String(repeating: "b", count: 100_000),
        ]
        let texts = ["a", "b", "c", "bc", "x y"]
        #expect(try byteLevel(texts, merges: damaged + ["b c"]).pieces("abc") == ["a", "bc"])
        // "a b" and "c a" name tokens whose result is missing.
        #expect(try byteLevel(texts, merges: ["a b", "c a", "b c"]).pieces("abca") == ["a", "bc", "a"])

        var invalid = GGUFStrings(["b c"])
        invalid.append(utf8: [0xC3, 0x20, 0xFF])
        invalid.append(utf8: [0xFF])
        var fixture = VocabularyFixture()
        for text in texts { fixture.add(text, .normal) }
        var metadata = fixture.metadata
        metadata["tokenizer.ggml.model"] = .string("gpt2")
        metadata["tokenizer.ggml.pre"] = .string("gpt-2")
        metadata["tokenizer.ggml.merges"] = .array(.string(invalid))
        #expect(try Tokenizer(metadata: metadata).pieces("abc") == ["a", "bc"])
    }

    @Test("counts the first of merges that are listed twice")
    func repeatedMerges() throws {
        let tokenizer = try byteLevel(["a", "b", "c", "ab", "bc"], merges: ["a b", "b c", "a b"])
        #expect(tokenizer.pieces("abc") == ["ab", "c"])
    }

    @Test("drops characters whose bytes have no tokens, says so, and merges across the gap")
    func dropped() throws {
        let tokenizer = try byteLevel(["a", "b", "ab", "Ã"], merges: ["a b"])
        let encoding = tokenizer.encoding(of: "aéb a")
        #expect(encoding.ids == [2, 0])
        #expect(encoding.dropped == ["é", " "])
        #expect(tokenizer.encoding(of: "a\u{301}b").ids == [0, 1])  // Three words.
        let symbols = try byteLevel(["!", "?", "!?"], merges: ["! ?"])
        #expect(symbols.encoding(of: "!€?").ids == [2])
        #expect(symbols.encoding(of: "€").ids == [])
        #expect(symbols.encoding(of: "€").dropped == ["€"])
    }

    @Test("writes the unknown token for each character whose bytes have no tokens, where there is one")
    func unknown() throws {
        let tokenizer = try byteLevel(["a", "b", "ab"], merges: ["a b"], options: ["unknown_token_id": .uint32(3)]) {
            $0.add("<unk>", .unknown)
        }
        #expect(tokenizer.pieces("abéàab") == ["ab", "<unk>", "<unk>", "ab"])
        #expect(tokenizer.encoding(of: "é").dropped == [])
    }

    @Test("decodes tokens whose texts are not UTF-8 to their bytes")
    func invalidUTF8() throws {
        var texts = GGUFStrings(["a"])
        for bytes in [[0xC4], [0xC4, 0x41], [0x80], [0xF0, 0x9F, 0x98, 0x80], [0xFF]] as [[UInt8]] {
            texts.append(utf8: bytes)
        }
        let tokenizer = try Tokenizer(metadata: [
            "tokenizer.ggml.model": .string("gpt2"), "tokenizer.ggml.tokens": .array(.string(texts)),
            "tokenizer.ggml.merges": .array(.string([])), "tokenizer.ggml.pre": .string("gpt-2"),
        ])
        #expect(tokenizer.decodeBytes(0..<6) == [0x61, 0xC4, 0xC4, 0x41, 0x80, 0xF0, 0x9F, 0x98, 0x80, 0xFF])
    }
}
