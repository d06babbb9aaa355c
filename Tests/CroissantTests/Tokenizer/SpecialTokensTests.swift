import Croissant
import GGUF
import Testing

@Suite("Special tokens")
struct SpecialTokensTests {
    private var fixture: VocabularyFixture {
        var fixture = VocabularyFixture.pieces("a", "b", "c", "d", "e")
        fixture.addBytes()
        return fixture
    }

    @Test("are found in a text: user-defined ones always, control and unknown ones on request")
    func kinds() throws {
        var fixture = fixture
        fixture.add("[ab]", .userDefined)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("a[ab]</s><unk>b") == ["a", "[ab]", "</s>", "<unk>", "b"])
        let ordinary = tokenizer.pieces("a[ab]</s>b", parseSpecial: false)
        #expect(ordinary.prefix(3) == ["a", "[ab]", "<0x3C>"])
        #expect(!ordinary.contains("</s>"))
    }

    @Test("are found longest first over the whole text, then leftmost first")
    func precedence() throws {
        var fixture = fixture
        for text in ["ab", "bcd", "ababe", "de"] { fixture.add(text, .userDefined) }
        let tokenizer = try fixture.tokenizer()
        for parseSpecial in [false, true] {
            #expect(tokenizer.pieces("abcd", parseSpecial: parseSpecial) == ["a", "bcd"])
            #expect(tokenizer.pieces("abab", parseSpecial: parseSpecial) == ["ab", "ab"])
            #expect(tokenizer.pieces("abababe", parseSpecial: parseSpecial) == ["ab", "ababe"])
            #expect(tokenizer.pieces("bcde", parseSpecial: parseSpecial) == ["bcd", "e"])
            #expect(tokenizer.pieces("abdeab", parseSpecial: parseSpecial) == ["ab", "de", "ab"])
        }
    }

    @Test("are found shorter where the longer one that stands there has lost to another")
    func beginnings() throws {
        var fixture = fixture
        for text in ["ab", "abc", "abcd", "cdeab"] { fixture.add(text, .userDefined) }
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("abcdabc") == ["abcd", "abc"])
        #expect(tokenizer.pieces("abcdeab") == ["ab", "cdeab"])
        #expect(tokenizer.pieces("cdeabcd") == ["cdeab", "c", "d"])
    }

    @Test("are found in time that does not grow with the number of tokens", .timeLimit(.minutes(1)))
    func manyTokens() throws {
        // Looking for each length at each position would hash more than 10^10 bytes here.
        var fixture = fixture
        for length in 1...1500 { fixture.add(String(repeating: "b", count: length) + "c", .userDefined) }
        let text = String(repeating: "bd", count: 20000)
        #expect(try fixture.tokenizer().pieces(text).filter { $0.count > 1 }.isEmpty)
    }

    @Test("end a generation by key and by text, also where files contradict each other")
    func endOfGeneration() throws {
        var fixture = fixture
        let imEnd = Int32(fixture.texts.count)
        fixture.add("<|im_end|>", .userDefined)
        fixture.add("<|eot_id|>", .control)
        fixture.add("<|endoftext|>", .normal)
        fixture.add("[done]", .control)
        fixture.options["eos_token_id"] = .uint32(UInt32(imEnd))
        fixture.options["eot_token_id"] = .uint32(UInt32(imEnd + 3))
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.eos == imEnd)
        #expect(tokenizer.endOfGeneration == [2, imEnd, imEnd + 1, imEnd + 3])
        #expect(tokenizer.kind(of: imEnd) == .control)
        #expect(!tokenizer.encode("<|im_end|>", parseSpecial: false).contains(imEnd))
    }

    @Test("end a generation where models of source code begin another file")
    func endOfFile() throws {
        var fixture = fixture
        let first = Int32(fixture.texts.count)
        for text in ["<|fim_prefix|>", "<|fim_pad|>", "<|file_sep|>", "<REPO>"] { fixture.add(text, .userDefined) }
        fixture.options["fim_pre_token_id"] = .uint32(UInt32(first))
        fixture.options["fim_rep_token_id"] = .uint32(UInt32(first + 3))
        #expect(try fixture.tokenizer().endOfGeneration == [2, first + 1, first + 2, first + 3])
    }

    @Test("begin and end a text as the file says, unless the caller says otherwise")
    func markers() throws {
        var fixture = fixture
        #expect(try fixture.tokenizer().pieces("a") == ["a"])
        #expect(try fixture.tokenizer().encode("a") == [1, 3])
        fixture.options["add_bos_token"] = .bool(false)
        fixture.options["add_eos_token"] = .bool(true)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.encode("a") == [3, 2])
        #expect(tokenizer.encode("a", addBOS: true) == [1, 3, 2])
        #expect(tokenizer.encode("a", addBOS: false) == [3])
        #expect(!tokenizer.addsBOS && tokenizer.addsEOS)
    }

    @Test("are known from their ids and texts where a file has no token types")
    func withoutTypes() throws {
        var metadata = fixture.metadata
        metadata["tokenizer.ggml.token_type"] = nil
        metadata["tokenizer.ggml.bos_token_id"] = .uint32(1)
        metadata["tokenizer.ggml.unknown_token_id"] = .uint32(0)
        let tokenizer = try Tokenizer(metadata: metadata)
        #expect(tokenizer.kind(of: 0) == .unknown)
        #expect(tokenizer.kind(of: 1) == .control)
        #expect(tokenizer.endOfGeneration == [2])
        #expect(tokenizer.kind(of: 2) == .control)
        #expect(tokenizer.id(of: "<0x41>").flatMap(tokenizer.kind) == .byte)
        #expect(tokenizer.kind(of: 3) == .normal)
    }
}
