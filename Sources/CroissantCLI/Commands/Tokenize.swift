import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Text to token ids.
struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turns text into token ids.",
        discussion: """
            The text is the argument, the file of -f, or standard input. An argument that begins with a dash comes \
            after --.
            """)

    @OptionGroup var model: ModelArguments

    @Argument(help: "The text.")
    var text: String?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Read the text from a file.", valueName: "file"), completion: .file())
    var file: String?

    @Flag(help: "Print the ids only, separated by spaces.")
    var ids = false

    @Flag(help: "Put no BOS token before the text.")
    var noBos = false

    @Flag(help: "Take special tokens in the text for plain text.")
    var noSpecial = false

    @Flag(help: "Print a JSON document.")
    var json = false

    func validate() throws {
        if text != nil && file != nil { throw ValidationError("the text is given twice, as an argument and with -f") }
        if ids && json { throw ValidationError("--ids and --json are different forms of one result: use one of them") }
    }

    func run() throws {
        let tokenizer = try model.loadTokenizer()
        let input =
            try text ?? file.map(TextInput.file)
            ?? TextInput.standardInput(missing: "no text: give it as an argument, with -f FILE or on standard input")
        let encoding = tokenizer.encoding(of: input, addBOS: noBos ? false : nil, parseSpecial: !noSpecial)
        if !encoding.dropped.isEmpty {
            Console.warn("the vocabulary has no token for \(encoding.dropped.count) characters, which were left out")
        }
        if json {
            try Console.writeJSON(
                Result(
                    tokens: encoding.ids, texts: encoding.ids.map { tokenizer.text(of: $0) ?? "" },
                    dropped: encoding.dropped.map { String($0) }))
        } else if ids {
            try Console.writeLine(encoding.ids.map(String.init).joined(separator: " "))
        } else {
            for id in encoding.ids {
                try Console.writeLine("\(id)\t\((tokenizer.text(of: id) ?? "").escaped)")
            }
        }
    }

    private struct Result: Encodable {
        let tokens: [Int32]
        let texts: [String]
        let dropped: [String]
    }
}

/// Token ids to text.
struct Detokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turns token ids into text.",
        discussion: "The ids are the arguments or standard input, separated by spaces or commas.")

    @OptionGroup var model: ModelArguments

    @Argument(help: "Token ids.")
    var ids: [String] = []

    @Flag(help: "Show special tokens too.")
    var special = false

    @Flag(help: "Print a JSON document.")
    var json = false

    func run() throws {
        let tokenizer = try model.loadTokenizer()
        let words =
            try ids.isEmpty
            ? TextInput.standardInput(missing: "no ids: give them as arguments or on standard input")
            : ids.joined(separator: " ")
        let tokens = try TextInput.ids(words)
        for id in tokens where id < 0 || Int(id) >= tokenizer.vocabularySize {
            throw ModelError.invalidToken(id: Int(id), vocabularySize: tokenizer.vocabularySize)
        }
        let text = tokenizer.decode(tokens, skipSpecial: !special)
        if json {
            try Console.writeJSON(Result(tokens: tokens, text: text))
        } else {
            try Console.writeForeign(text + "\n")
        }
    }

    private struct Result: Encodable {
        let tokens: [Int32]
        let text: String
    }
}

extension ModelArguments {
    /// The tokenizer of the file, without loading the weights.
    func loadTokenizer() throws -> Tokenizer {
        let file = try open()
        guard file.metadata["tokenizer.ggml.model"] != nil else { throw ModelError.noTokenizer(path: file.path) }
        return try Tokenizer(metadata: file.metadata)
    }
}
