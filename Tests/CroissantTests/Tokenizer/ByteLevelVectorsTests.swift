import Croissant
import Foundation
import GGUF
import Testing

/// Trained vocabularies with what Hugging Face's tokenizers make of some texts; `make_fixtures.py` beside them recorded
/// both.
private struct RecordedVocabulary: Decodable {
    /// Value of `tokenizer.ggml.pre`.
    let pre: String
    /// Texts of the tokens, in order of id: ordinary ones, then control tokens, then user-defined ones.
    let tokens: [String]
    /// How many control tokens there are.
    let control: Int
    /// How many user-defined tokens there are.
    let userDefined: Int
    /// Merges, from the first.
    let merges: [String]
    /// The ids of each text, with special tokens found in it.
    let ids: [[Int32]]

    static func named(_ name: String) throws -> RecordedVocabulary { try decode("\(name).json") }

    static func texts() throws -> [String] { try decode("texts.json") }

    private static func decode<T: Decodable>(_ name: String) throws -> T {
        let folder = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/ByteLevelBPE")
        return try JSONDecoder().decode(T.self, from: Data(contentsOf: folder.appending(path: name)))
    }

    func tokenizer() throws -> Tokenizer {
        var kinds = [Int32](repeating: 1, count: tokens.count)
        for id in (tokens.count - userDefined)..<tokens.count { kinds[id] = 4 }
        for id in (tokens.count - userDefined - control)..<(tokens.count - userDefined) { kinds[id] = 3 }
        return try Tokenizer(metadata: [
            "tokenizer.ggml.model": .string("gpt2"),
            "tokenizer.ggml.pre": .string(pre),
            "tokenizer.ggml.tokens": .array(.string(GGUFStrings(tokens))),
            "tokenizer.ggml.token_type": .array(.int32(kinds)),
            "tokenizer.ggml.merges": .array(.string(GGUFStrings(merges))),
        ])
    }
}

@Suite("Byte-level BPE, recorded")
struct ByteLevelVectorsTests {
    @Test(
        "gives the ids that Hugging Face's tokenizers give, and their text back, at once and token by token",
        arguments: ["default", "gpt-2", "smollm", "llama-bpe", "qwen2"])
    func vectors(name: String) throws {
        let vocabulary = try RecordedVocabulary.named(name)
        let tokenizer = try vocabulary.tokenizer()
        let texts = try RecordedVocabulary.texts()
        #expect(texts.count == 300)
        #expect(vocabulary.ids.count == texts.count)
        for (text, ids) in zip(texts, vocabulary.ids) {
            #expect(tokenizer.encode(text, addBOS: false) == ids, "\(text.debugDescription)")
            #expect(Array(tokenizer.decode(ids, skipSpecial: false).utf8) == Array(text.utf8))

            let ordinary = tokenizer.encode(text, addBOS: false, parseSpecial: false)
            #expect(!ordinary.contains { tokenizer.kind(of: $0) == .control })
            var decoder = StreamingDecoder(tokenizer)
            let streamed = ordinary.map { decoder.feed($0) }.joined() + decoder.finish()
            #expect(Array(streamed.utf8) == Array(text.utf8))
        }
    }

    @Test(
        "takes long texts of one character, and texts without any end of a word",
        arguments: [
            "a", " ", "\n", " \n", "1", "=", "é", "😀", "\0", "'", "'s", "a1", "<|im_end", "\u{3000}",
        ])
    func longTexts(unit: String) throws {
        let text = String(repeating: unit, count: 5_000)
        for name in ["default", "gpt-2", "smollm", "llama-bpe", "qwen2"] {
            let tokenizer = try RecordedVocabulary.named(name).tokenizer()
            #expect(Array(tokenizer.decodeBytes(tokenizer.encode(text))) == Array(text.utf8))
        }
    }

    @Test("streams any sequence of tokens as it decodes it at once")
    func randomIDs() throws {
        let tokenizer = try RecordedVocabulary.named("llama-bpe").tokenizer()
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            // Half of them single bytes, so that characters are cut and damaged in every way.
            let ids = (0..<40).map { _ in
                Int32.random(in: 0..<(Bool.random(using: &generator) ? 256 : 1009), using: &generator)
            }
            var decoder = StreamingDecoder(tokenizer)
            let streamed = ids.map { decoder.feed($0) }.joined() + decoder.finish()
            #expect(Array(streamed.utf8) == Array(tokenizer.decode(ids).utf8))
        }
    }
}
