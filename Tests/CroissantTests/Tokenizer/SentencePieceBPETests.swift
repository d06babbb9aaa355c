import Croissant
import GGUF
import Testing

@Suite("SentencePiece BPE")
struct SentencePieceBPETests {
    @Test("merges the pair with the highest score, and the leftmost of equals")
    func order() throws {
        let leftFirst = try VocabularyFixture.pieces("ab", "bc", "a", "b", "c").tokenizer()
        #expect(leftFirst.pieces("abc") == ["ab", "c"])
        let rightFirst = try VocabularyFixture.pieces("bc", "ab", "a", "b", "c").tokenizer()
        #expect(rightFirst.pieces("abc") == ["a", "bc"])
        let equal = try VocabularyFixture.pieces("aa", "a").tokenizer()
        #expect(equal.pieces("aaaaa") == ["aa", "aa", "a"])

        var ties = VocabularyFixture.sentencePiece
        for piece in ["a", "b", "c"] { ties.add(piece, .normal, score: -9) }
        for piece in ["bc", "ab"] { ties.add(piece, .normal, score: -1) }
        #expect(try ties.tokenizer().pieces("abc") == ["ab", "c"])
    }

    @Test("does not merge a pair whose halves have changed since it was found")
    func staleness() throws {
        // "bc" goes first; then "ab" and "cd" are out of date, and "abc" is found anew.
        let tokenizer = try VocabularyFixture.pieces("bc", "ab", "cd", "abc", "a", "b", "c", "d").tokenizer()
        #expect(tokenizer.pieces("abcd") == ["abc", "d"])
        #expect(tokenizer.pieces("abab") == ["ab", "ab"])
    }

    @Test("joins words where the vocabulary has a token with a space inside or at its end")
    func spacesInsideTokens() throws {
        let inside = try VocabularyFixture.pieces("a▁", "a▁b", "a", "b", "▁", "▁b").tokenizer()
        #expect(inside.pieces("a b") == ["a▁b"])
        #expect(inside.pieces("b b") == ["b", "▁b"])
        let runs = try VocabularyFixture.pieces("▁▁", "▁a", "▁", "a").tokenizer()
        #expect(runs.pieces("a   a") == ["a", "▁▁", "▁a"])
    }

    @Test("puts a space before the text and after special tokens, if the file wants one")
    func spacePrefix() throws {
        var fixture = VocabularyFixture.pieces("▁a", "▁▁", "a", "▁")
        fixture.add("[X]", .userDefined)
        fixture.options["add_space_prefix"] = .bool(true)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("aa</s>a[X]a") == ["▁a", "a", "</s>", "▁a", "[X]", "▁a"])
        #expect(tokenizer.pieces("") == [])
        for text in ["", " ", "a", " a", "[X] a", "a</s> </s>a", " [X]"] {
            #expect(tokenizer.decode(tokenizer.encode(text), skipSpecial: false) == "<s>" + text)
        }
        #expect(try VocabularyFixture.pieces("▁a", "a", "▁").tokenizer().pieces("aa</s>a") == ["a", "a", "</s>", "a"])
    }

    @Test("takes a user-defined run of spaces, as older files have, for spaces")
    func userDefinedSpaces() throws {
        var fixture = VocabularyFixture.pieces("▁a", "▁", "a")
        fixture.add("▁▁", .userDefined, score: 1)
        fixture.options["add_space_prefix"] = .bool(true)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("a   a") == ["▁a", "▁▁", "▁a"])
        #expect(tokenizer.decode(tokenizer.encode("a   a")) == "a   a")
    }

    @Test("removes spaces at both ends and doubled ones only where the file says so")
    func extraSpaces() throws {
        var fixture = VocabularyFixture.pieces("▁a", "▁▁", "a", "▁")
        #expect(try fixture.tokenizer().pieces(" a  a ") == ["▁a", "▁", "▁a", "▁"])
        fixture.options["remove_extra_whitespaces"] = .bool(true)
        #expect(try fixture.tokenizer().pieces("  a  a ") == ["a", "▁a"])
        #expect(try fixture.tokenizer().pieces("   ") == [])
    }

    @Test("writes a character that has no token in bytes")
    func byteFallback() throws {
        var fixture = VocabularyFixture.pieces("a")
        fixture.addBytes()
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("aé") == ["a", "<0xC3>", "<0xA9>"])
        #expect(tokenizer.decode(tokenizer.encode("\0é😀a")) == "\0é😀a")
        #expect(tokenizer.encoding(of: "😀").dropped == [])
    }

    @Test("writes one unknown token for a run of characters without token and bytes")
    func unknown() throws {
        var fixture = VocabularyFixture.pieces("a", "▁")
        fixture.addBytes(0...0x7F)
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("aéàaé") == ["a", "<unk>", "a", "<unk>"])
        #expect(tokenizer.pieces("é\u{1}é") == ["<unk>", "<0x01>", "<unk>"])
        #expect(tokenizer.pieces("é é") == ["<unk>", "▁", "<unk>"])
        #expect(tokenizer.encoding(of: "é").dropped == [])
    }

    @Test("drops a character where not even the unknown token is written, says so, and merges across the gap")
    func dropped() throws {
        var fixture = VocabularyFixture.pieces("ab", "a", "b", "▁")
        fixture.kinds[0] = Int32(Tokenizer.TokenKind.control.rawValue)
        fixture.options["unknown_token_id"] = .uint32(0)
        let tokenizer = try fixture.tokenizer()
        let encoding = tokenizer.encoding(of: "a😀b é b", addBOS: false)
        #expect(encoding.ids.map { tokenizer.text(of: $0) } == ["ab", "▁", "▁", "b"])
        #expect(encoding.dropped == ["😀", "é"])
        #expect(tokenizer.encoding(of: "ab", addBOS: false).dropped.isEmpty)
        #expect(tokenizer.encode("😀", addBOS: false) == [])

        fixture.texts[6] = "c"
        fixture.options["add_space_prefix"] = .bool(true)
        let withoutSpace = try fixture.tokenizer().encoding(of: "a b", addBOS: false)
        #expect(withoutSpace.ids == [3])
        #expect(withoutSpace.dropped == [" "])
    }

    @Test("ranks by id where all scores are the same, or absent", arguments: [-1000, 0, Float.nan])
    func constantScores(score: Float) throws {
        var fixture = VocabularyFixture.sentencePiece
        for piece in ["a", "b", "c", "bc", "ab"] { fixture.add(piece, .normal, score: score) }
        #expect(try fixture.tokenizer().pieces("abc") == ["a", "bc"])
        fixture.texts.swapAt(6, 7)
        #expect(try fixture.tokenizer().pieces("abc") == ["ab", "c"])
        fixture.options["add_space_prefix"] = .bool(false)
        var metadata = fixture.metadata
        metadata["tokenizer.ggml.scores"] = nil
        #expect(try Tokenizer(metadata: metadata).pieces("abc") == ["ab", "c"])
    }

    @Test("orders infinite, positive and zero scores, and puts NaN last")
    func unusualScores() throws {
        let scores: [Float] = [.infinity, 2, 1, 0, -1, -.infinity]
        let withNaN = scores.dropLast().map { ($0, Float.nan) }
        for (high, low) in Array(zip(scores, scores.dropFirst())) + withNaN {
            var fixture = VocabularyFixture.sentencePiece
            for piece in ["a", "b", "c"] { fixture.add(piece, .normal, score: -5) }
            fixture.add("ab", .normal, score: low)
            fixture.add("bc", .normal, score: high)
            #expect(try fixture.tokenizer().pieces("abc") == ["a", "bc"], "\(high) before \(low)")
        }
    }

    @Test("never makes a control, unknown or byte token out of ordinary text")
    func noInjection() throws {
        var fixture = VocabularyFixture.pieces(
            "</", "</s", "s", "<", ">", "/", "<0", "<0x", "<0x4", "<0x41", "0", "x", "4")
        fixture.add("1", .normal, score: -20)
        fixture.addBytes()
        let tokenizer = try fixture.tokenizer()
        #expect(tokenizer.pieces("</s>", parseSpecial: false) == ["</s", ">"])
        #expect(tokenizer.pieces("</s>", parseSpecial: true) == ["</s>"])
        #expect(tokenizer.pieces("<0x41>") == ["<0x41", ">"])
    }
}
