import Croissant
import GGUF
import Testing

@Suite("Streaming decoder")
struct StreamingDecoderTests {
    private let tokenizer: Tokenizer
    private let firstByte: Int32

    init() throws {
        var fixture = VocabularyFixture.pieces("a", "▁a", "▁")
        firstByte = Int32(fixture.texts.count)
        fixture.addBytes()
        fixture.options["add_space_prefix"] = .bool(true)
        tokenizer = try fixture.tokenizer()
    }

    private func feed(_ bytes: [UInt8]) -> (pieces: [String], rest: String) {
        var decoder = StreamingDecoder(tokenizer)
        let pieces = bytes.map { decoder.feed(firstByte + Int32($0)) }
        return (pieces, decoder.finish())
    }

    @Test("returns a character with the last of its bytes")
    func wholeCharacters() {
        #expect(feed(Array("aé€😀".utf8)).pieces == ["a", "", "é", "", "", "€", "", "", "", "😀"])
        #expect(feed(Array("é".utf8)).rest == "")
    }

    @Test("returns U+FFFD as soon as bytes cannot become a character, and at the end")
    func damagedCharacters() {
        #expect(feed([0x80, 0x41]).pieces == ["\u{FFFD}", "A"])
        #expect(feed([0xFF]).pieces == ["\u{FFFD}"])
        #expect(feed([0xC3, 0x41]).pieces == ["", "\u{FFFD}A"])
        #expect(feed([0xC3, 0xC3, 0xA9]).pieces == ["", "\u{FFFD}", "é"])
        #expect(feed([0xE0, 0x80]).pieces == ["", "\u{FFFD}\u{FFFD}"])
        #expect(feed([0xED, 0xA0]).pieces == ["", "\u{FFFD}\u{FFFD}"])
        #expect(feed([0xF0, 0x80]).pieces == ["", "\u{FFFD}\u{FFFD}"])
        #expect(feed([0xF4, 0x90]).pieces == ["", "\u{FFFD}\u{FFFD}"])
        #expect(feed([0xC0]).pieces == ["\u{FFFD}"])
        #expect(feed([0xF0, 0x9F, 0x98]) == (["", "", ""], "\u{FFFD}"))
    }

    @Test("agrees with decoding at once for all sequences of the bytes that matter")
    func allSequences() {
        let bytes: [UInt8] = [0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xE1, 0xED, 0xF0, 0xF1, 0xF4, 0xFF]
        for first in bytes {
            for second in bytes {
                for third in bytes {
                    for fourth in [0x41, 0x80, 0xBF, 0xC2] as [UInt8] {
                        let sequence = [first, second, third, fourth]
                        let streamed = feed(sequence)
                        #expect(streamed.pieces.joined() + streamed.rest == String(decoding: sequence, as: UTF8.self))
                    }
                }
            }
        }
    }

    @Test("removes the prefix space at the start of a text and after special tokens, and no other space")
    func prefixSpace() {
        var atStart = StreamingDecoder(tokenizer)
        #expect([4, 4, 2, 4].map { atStart.feed($0) } == ["a", " a", "", "a"])
        var afterBOS = StreamingDecoder(tokenizer, after: 1)
        #expect(afterBOS.feed(4) == "a")
        var afterText = StreamingDecoder(tokenizer, after: 3)
        #expect(afterText.feed(4) == " a")
        var visible = StreamingDecoder(tokenizer, skipSpecial: false)
        #expect([1, 4, 2].map { visible.feed($0) } == ["<s>", "a", "</s>"])
    }
}
