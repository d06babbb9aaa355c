import Foundation
import Testing

@Suite("tokenize and detokenize: llama.cpp's vectors through the executable")
struct TokenizeVectorTests {
    /// A text with its ids.
    struct Vector {
        let text: String
        let ids: String
    }

    private static let model = Fixture.path("vocab/ggml-vocab-llama-spm.gguf")

    private static func vectors() throws -> [Vector] {
        let texts = try String(contentsOfFile: model + ".inp", encoding: .utf8)
            .components(separatedBy: "\n__ggml_vocab_test__\n")
        let ids = try String(contentsOfFile: model + ".out", encoding: .utf8).components(separatedBy: "\n")
        let vectors = zip(texts, ids).map { text, line in
            Vector(text: text, ids: line.split(separator: " ").joined(separator: " "))
        }
        try #require(vectors.count == 47)
        return vectors
    }

    @Test(
        "Every text gives its ids", .enabled(if: Fixture.hasShared, "needs ../shared/data"), arguments: 0..<4)
    func forward(quarter: Int) throws {
        for (index, vector) in try Self.vectors().enumerated() where index % 4 == quarter {
            let run = try CLI.run(["tokenize", "-m", Self.model, "--ids", "--no-bos"], stdin: vector.text)
            #expect(run.output == vector.ids + "\n", "\(vector.text.debugDescription)")
            #expect(run.error.isEmpty)
        }
    }

    @Test("The ids of all texts give the texts", .enabled(if: Fixture.hasShared, "needs ../shared/data"))
    func back() throws {
        // One after the other, each behind a BOS that shows where it begins.
        let vectors = try Self.vectors()
        let ids = vectors.map { "1 " + $0.ids }.joined(separator: " ")
        let run = try CLI.run(["detokenize", "-m", Self.model, "--special"], stdin: ids)
        #expect(run.output == vectors.map { "<s>" + $0.text }.joined() + "\n")
        #expect(run.error.isEmpty)
    }
}

@Suite("tokenize and detokenize: options and forms of output")
struct TokenizeTests {
    private struct Tokens: Decodable {
        let tokens: [Int32]
        let texts: [String]
        let dropped: [String]
    }

    private struct Text: Decodable {
        let tokens: [Int32]
        let text: String
    }

    private let model = ["-m", Fixture.tiny]

    @Test("A text comes as an argument, from a file or from standard input")
    func sources() throws {
        let text = "a b\nc"
        let argument = try CLI.run(["tokenize", "--ids", text] + model)
        #expect(argument.status == 0)
        #expect(argument.output.hasPrefix("1 "))
        let file = try Fixture.newFile("text.txt", text)
        #expect(try CLI.run(["tokenize", "--ids", "-f", file] + model).output == argument.output)
        #expect(try CLI.run(["tokenize", "--ids"] + model, stdin: text).output == argument.output)
    }

    @Test("Lines show id and text, --ids the ids, --json both")
    func forms() throws {
        let json = try CLI.run(["tokenize", "--json", "to be"] + model).json(Tokens.self)
        let ids = try CLI.run(["tokenize", "--ids", "to be"] + model).output
        #expect(ids == json.tokens.map(String.init).joined(separator: " ") + "\n")
        let lines = try CLI.run(["tokenize", "to be"] + model).output
        #expect(lines == zip(json.tokens, json.texts).map { "\($0)\t\($1)\n" }.joined())
        #expect(json.dropped.isEmpty)
    }

    @Test("Another tokenizer takes the place of the file's, here and where text is continued")
    func otherTokenizer() throws {
        let json = URL(filePath: Fixture.golden).deletingLastPathComponent().appending(path: "croissant/tokenizer.json")
        let other = ["--tokenizer", json.path()] + model
        let result = try CLI.run(["tokenize", "--json", "ﬁ 漢 漢"] + other)
        #expect(try result.json(Tokens.self).texts.last == "▁")
        #expect(try result.json(Tokens.self).dropped == ["漢", "漢"])
        #expect(result.errorLines == ["warning: the vocabulary has no token for 2 characters, which were left out"])
        let generated = try CLI.run(["generate", "-n", "1", "-p", "ﬁ 漢 漢"] + other)
        #expect(generated.status == 0)
        #expect(generated.errorLines.filter { $0.hasPrefix("warning: the vocabulary") }.count == 1)
        #expect(try CLI.run(["detokenize", "--special", "420"] + other).output == "<|im_start|>\n")
        let missing = try CLI.run(["tokenize", "--tokenizer", "/none.json", "a"] + model)
        #expect(missing.status == 1 && missing.error == "error: no such file: /none.json\n")
    }

    @Test("BOS and special tokens can be left out")
    func specialTokens() throws {
        func ids(_ options: String...) throws -> [Substring] {
            try CLI.run(["tokenize", "--ids", "</s>"] + options + model).output.split { " \n".contains($0) }
        }
        #expect(try ids() == ["1", "2"])
        #expect(try ids("--no-bos") == ["2"])
        #expect(try ids("--no-bos", "--no-special").count > 1)
    }

    @Test("Ids come as arguments with spaces or commas, or from standard input")
    func detokenize() throws {
        let ids = try CLI.run(["tokenize", "--ids", "to be or not"] + model).output
        #expect(try CLI.run(["detokenize"] + model, stdin: ids).output == "to be or not\n")
        let words = ids.split { " \n".contains($0) }.map(String.init)
        #expect(try CLI.run(["detokenize"] + words + model).output == "to be or not\n")
        #expect(try CLI.run(["detokenize", words.joined(separator: ",")] + model).output == "to be or not\n")
        #expect(try CLI.run(["detokenize", "--special"] + words + model).output.hasPrefix("<s>"))
        let json = try CLI.run(["detokenize", "--json"] + words + model).json(Text.self)
        #expect(json.text == "to be or not")
        #expect(json.tokens.map(String.init) == words)
    }

    @Test("Nothing is no error: an empty text has its BOS, no ids have no text")
    func empty() throws {
        #expect(try CLI.run(["tokenize", "--ids", ""] + model).output == "1\n")
        #expect(try CLI.run(["tokenize", "--ids"] + model).output == "1\n")
        #expect(try CLI.run(["detokenize"] + model).output == "\n")
    }
}
