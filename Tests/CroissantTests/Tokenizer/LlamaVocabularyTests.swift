import Croissant
import Foundation
import GGUF
import Testing

/// The vocabulary of Llama with llama.cpp's test vectors, and texts to try it on.
private enum SharedData {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "shared/data")
    static let vocabulary = folder.appending(path: "vocab/ggml-vocab-llama-spm.gguf").path(percentEncoded: false)
    static let isPresent = FileManager.default.fileExists(atPath: vocabulary)

    static let tokenizer = Result { try Tokenizer(metadata: GGUFFile(path: vocabulary).metadata) }

    /// Texts and their ids, without BOS.
    static let vectors: [(text: String, ids: [Int32])] = {
        guard let input = try? String(contentsOfFile: vocabulary + ".inp", encoding: .utf8),
            let output = try? String(contentsOfFile: vocabulary + ".out", encoding: .utf8)
        else { return [] }
        let texts = input.components(separatedBy: "\n__ggml_vocab_test__\n")
        let lines = output.components(separatedBy: "\n")
        return zip(texts, lines).map { text, line in (text, line.split(separator: " ").compactMap { Int32($0) }) }
    }()

    static func text(_ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: "text/" + name), encoding: .utf8)
    }
}

@Suite("Llama's vocabulary", .enabled(if: SharedData.isPresent, "needs ../shared/data"))
struct LlamaVocabularyTests {
    let tokenizer: Tokenizer

    init() throws {
        tokenizer = try SharedData.tokenizer.get()
    }

    @Test("gives the ids of llama.cpp's vectors, and their text back")
    func vectors() {
        #expect(SharedData.vectors.count == 47)
        for (text, ids) in SharedData.vectors {
            #expect(tokenizer.encode(text, addBOS: false) == ids, "\(text.debugDescription)")
            #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8))
        }
    }

    @Test("names its special tokens as the file does")
    func specialTokens() {
        #expect(tokenizer.vocabularySize == 32000)
        #expect(tokenizer.bos == 1)
        #expect(tokenizer.eos == 2)
        #expect(tokenizer.unknown == 0)
        #expect(tokenizer.padding == nil)
        #expect(tokenizer.endOfGeneration == [2])
        #expect(tokenizer.text(of: 15043) == "▁Hello")
        #expect(tokenizer.id(of: "▁Hello") == 15043)
        #expect(tokenizer.kind(of: 13) == .byte)
        #expect(tokenizer.text(of: 32000) == nil)
        #expect(tokenizer.kind(of: -1) == nil)
        #expect(tokenizer.decode([-1, 15043, 32000]) == "Hello")
    }

    @Test("begins with BOS by default, and has special tokens only where they are asked for")
    func special() {
        #expect(tokenizer.encode("Hello") == [1, 15043])
        #expect(tokenizer.encode("") == [1])
        #expect(tokenizer.encode("", addBOS: false) == [])
        #expect(tokenizer.encode("a<s>b", addBOS: false) == [263, 1, 289])
        #expect(tokenizer.encode("a<s>b", addBOS: false, parseSpecial: false) == [263, 29966, 29879, 29958, 29890])
        #expect(tokenizer.encode("<s> b", addBOS: false) == [1, 29871, 289])
        #expect(tokenizer.decode([1, 15043, 2, 15043]) == "HelloHello")
        #expect(tokenizer.decode([1, 15043, 2, 15043], skipSpecial: false) == "<s>Hello</s>Hello")
    }

    @Test("loses nothing of random text, token by token or at once")
    func randomTexts() {
        var generator = SeededGenerator(seed: 1)
        for length in 0..<150 {
            let text = randomText(length: length, using: &generator)
            for parseSpecial in [false, true] {
                let ids = tokenizer.encode(text, parseSpecial: parseSpecial)
                #expect(Array(tokenizer.decodeBytes(ids.dropFirst(), skipSpecial: false)) == Array(text.utf8))
                var decoder = StreamingDecoder(tokenizer, after: ids.first, skipSpecial: false)
                var streamed = ""
                for id in ids.dropFirst() {
                    let piece = decoder.feed(id)
                    #expect(!piece.unicodeScalars.contains("\u{FFFD}") || text.unicodeScalars.contains("\u{FFFD}"))
                    streamed += piece
                }
                #expect(decoder.finish() == "")
                #expect(Array(streamed.utf8) == Array(text.utf8))
            }
        }
    }

    @Test(
        "loses nothing of French and English",
        arguments: [
            "fr_alice_bue1869.utf8.txt", "fr_candide_voltaire.utf8.txt", "en_alice_carroll.utf8.txt",
            "en_tinyshakespeare_first200k.txt",
        ])
    func books(name: String) throws {
        let text = String(try SharedData.text(name).unicodeScalars.prefix(60_000))
        let ids = tokenizer.encode(text)
        #expect(ids.count < text.utf8.count / 2)
        #expect(Array(tokenizer.decode(ids).utf8) == Array(text.utf8))
    }

    @Test("streams any sequence of tokens as it decodes it at once")
    func randomIDs() {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<200 {
            // Many byte tokens, so that characters are cut and damaged in every way.
            let ids = (0..<40).map { _ in
                Bool.random(using: &generator)
                    ? Int32.random(in: 131...258, using: &generator) : Int32.random(in: 0..<32000, using: &generator)
            }
            var decoder = StreamingDecoder(tokenizer)
            let streamed = ids.map { decoder.feed($0) }.joined() + decoder.finish()
            #expect(Array(streamed.utf8) == Array(tokenizer.decode(ids).utf8))
        }
    }

    @Test(
        "takes long texts without spaces, of one character, and of characters that have no token",
        arguments: ["a", "=", "<", " ", "\0", "😀", "é", "<s>", "ab"])
    func longTexts(unit: String) {
        let text = String(repeating: unit, count: 30_000)
        let ids = tokenizer.encode(text, addBOS: false, parseSpecial: false)
        #expect(Array(tokenizer.decodeBytes(ids)) == Array(text.utf8))
        #expect(tokenizer.encode(text, addBOS: false).count <= ids.count)
    }
}
