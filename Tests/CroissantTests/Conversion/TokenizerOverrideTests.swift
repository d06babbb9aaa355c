import Croissant
import Foundation
import GGUF
import Testing

@Suite("A tokenizer.json takes the place of a file's tokenizer")
struct TokenizerOverrideTests {
    private static let json = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Golden/croissant/tokenizer.json").path(percentEncoded: false)

    /// An open file of a tiny model with 512 embeddings.
    private func open(_ folder: TemporaryFolder, _ change: (inout ModelFile) -> Void = { _ in }) throws -> GGUFFile {
        var file = try ModelFile(shape: .tiny)
        change(&file)
        try file.write(to: folder.file("model.gguf"))
        return try GGUFFile(path: folder.file("model.gguf"))
    }

    @Test("The model loads with it, plans its memory, and keeps what it does not say")
    func replaces() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try open(folder)
        let override = try TokenizerOverride(file, tokenizer: Self.json)
        #expect(override.warnings.isEmpty)
        let model = try Model(override.file)
        let tokenizer = try #require(model.tokenizer)
        #expect(tokenizer.vocabularySize == 512)
        #expect(tokenizer.text(of: 421) == "<|im_end|>")
        #expect(tokenizer.encode("\u{FB01}", addBOS: false) == tokenizer.encode("fi", addBOS: false))
        #expect(tokenizer.bos == 1 && tokenizer.addsBOS)
        #expect(model.allocations["tokenizer"].map { $0 <= model.plan.tokenizerBytes + 4096 } == true)
        let silent = try open(folder) { $0.metadata["tokenizer.ggml.model"] = nil }
        #expect(try Model(TokenizerOverride(silent, tokenizer: Self.json).file).tokenizer != nil)
    }

    @Test("What cannot be used is refused")
    func refused() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try open(folder)
        #expect(throws: ConversionError.file(.fileNotFound("/none/tokenizer.json"))) {
            _ = try TokenizerOverride(file, tokenizer: "/none/tokenizer.json")
        }
        for text in ["", "{", "{}", "[]", #"{"model": {"type": "Unigram"}}"#] {
            let path = folder.file("t.json")
            try Data(text.utf8).write(to: URL(filePath: path))
            #expect(throws: ConversionError.self) { _ = try TokenizerOverride(file, tokenizer: path) }
        }
        #expect(throws: ConversionError.self) { _ = try TokenizerOverride(file, tokenizer: folder.path) }
        // More tokens than embeddings: one of them could be looked up outside the matrix.
        let text = try String(contentsOfFile: Self.json, encoding: .utf8)
            .replacing("\"<extra_id_99>\":103", with: "\"<extra_id_99>\":512")
        let path = folder.file("large.json")
        try Data(text.utf8).write(to: URL(filePath: path))
        #expect {
            _ = try TokenizerOverride(file, tokenizer: path)
        } throws: {
            "\($0)".hasSuffix("token \"<extra_id_99>\" (expected an id below vocab_size, 512, found 512)")
        }
    }
}
