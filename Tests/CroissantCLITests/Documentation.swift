import Foundation
import Testing

/// What the documentation tells its readers to type.
struct Documentation: Sendable, CustomTestStringConvertible {
    /// The repository.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Every file of the documentation that has commands.
    static let all: [Documentation] = {
        let libraries = ["Croissant", "GGUF", "DemonstrationModel"].map { "Sources/\($0)/\($0).docc" }
        let folders = ["", "Benchmarks", "Models"] + libraries
        return folders.flatMap { folder -> [Documentation] in
            let folder = root.appending(path: folder)
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
            return names.filter { $0.hasSuffix(".md") }.sorted().map { Documentation(folder.appending(path: $0)) }
        }
    }()

    /// Path from the repository.
    let name: String
    /// Blocks of commands that belong together: those between fences that say `sh`, and those that are indented; in
    /// transcripts, whose fences say `console`, what follows a `$`.
    let blocks: [[String]]
    /// What transcripts say that a command prints.
    let transcripts: [(command: String, output: String)]
    /// What begins with the program's name within a line of text.
    let mentions: [String]

    var testDescription: String { name }

    private init(_ file: URL) {
        name = String(file.path().dropFirst(Self.root.path().count))
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        var blocks: [[String]] = []
        var block: [String] = []
        var fence: Substring?
        var prose = ""
        var transcripts: [(command: String, output: String)] = []
        for line in (text + "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                fence = fence == nil ? line.dropFirst(3) : nil
            } else if let fence {
                if fence == "sh" {
                    block.append(String(line))
                } else if fence == "console", line.hasPrefix("$ ") {
                    block.append(String(line.dropFirst(2)))
                    transcripts.append((command: String(line.dropFirst(2)), output: ""))
                } else if fence == "console", let last = transcripts.indices.last {
                    transcripts[last].output += line + "\n"
                }
                continue
            } else if line.hasPrefix("    ") {
                block.append(String(line.dropFirst(4)))
                continue
            } else {
                prose += line + "\n"
            }
            if fence == nil, !block.isEmpty {
                blocks.append(Self.joined(block))
                block = []
            }
        }
        self.blocks = blocks
        self.transcripts = transcripts
        mentions = prose.matches(of: /`(croissant-gguf [^`]*)`/).map { String($0.1).replacing("\n", with: " ") }
    }

    /// Commands that go on in the next line become one; empty lines go.
    private static func joined(_ lines: [String]) -> [String] {
        var commands: [String] = []
        var goesOn = false
        for line in lines where !line.isEmpty {
            if goesOn, let last = commands.popLast() {
                commands.append(last + "\n" + line)
            } else {
                commands.append(line)
            }
            goesOn = line.hasSuffix("\\") || line.hasSuffix("|") || line.hasSuffix("&&")
        }
        return commands
    }
}

/// The files that commands of the documentation name.
enum Placeholders {
    /// A new folder with all of them, small: a command that reads one and writes the next works as in earnest.
    static func folder() throws -> String {
        let folder = try Fixture.newFolder("documented")
        // Copies, because a command may write over a file.
        func copy(_ target: String, _ names: String...) throws {
            for name in names { try FileManager.default.copyItem(atPath: target, toPath: folder + "/" + name) }
        }
        // It has a chat template, which a conversation asks for.
        let chat = Documentation.root.appending(path: "Models/croissant-nano-Q6_K.gguf").path()
        try copy(chat, "croissantllmchat.gguf")
        try copy(tiny, "model.gguf", "a.gguf", "b.gguf", "random.gguf", "model-Q4_0.gguf", "croissant-Q4_0.gguf")
        try copy(tinyFloats, "model-F16.gguf", "model-f32.gguf")
        try copy(results, "before.jsonl", "after.jsonl")
        try copy(checkpoint, "CroissantLLMChat-v0.1", "croissant-nano")
        // A line that looks like an option, and a last one without its end.
        let text = "- Bonjour, dit-il.\n" + String(repeating: "Le petit renard dort sous le vieux pont. ", count: 400)
        for name in ["text.txt", "corpus.txt"] {
            try Data(text.utf8).write(to: URL(filePath: folder + "/" + name))
        }
        return folder
    }

    /// What a documented command becomes so that it takes seconds, and everything else of it stays.
    static func shortened(_ command: String) -> String {
        var command = command
        // A model of CroissantLLM's size would be written.
        if command.contains(" synthesize ") {
            command = command.replacing(/synthesize \S+/) { $0.0 + " --shape \(shape)" }
        }
        // Without a file, it would measure a model of CroissantLLM's size.
        command = command.replacing("bench -p 512 -n 128", with: "bench -m model.gguf -p 8 -n 2 -r 1")
        // Each row of results takes a second at least.
        command = command.replacing("-p 128,512 -n 64", with: "-p 8 -n 2 -r 1")
        // Three parts of a small model.
        return command.replacing("--max-size 500MiB", with: "--max-size 120KiB")
    }

    private static let shape = path("shape.json") { path in
        try Data(Fixture.shape(embedding: 128, feedForward: 352).utf8).write(to: URL(filePath: path))
    }

    private static let tiny = path("tiny.gguf") { path in
        try require(try CLI.run(["synthesize", path, "--shape", shape]))
    }

    private static let tinyFloats = path("tiny-F16.gguf") { path in
        try require(try CLI.run(["synthesize", path, "--shape", shape, "--type", "F16"]))
    }

    private static let checkpoint = path("checkpoint") { path in
        try FileManager.default.copyItem(atPath: try TinyCheckpoint.make(), toPath: path)
        try Data(#"{"bos_token": "<s>", "eos_token": "</s>", "chat_template": "<|im_start|> <|im_end|>"}"#.utf8)
            .write(to: URL(filePath: path + "/tokenizer_config.json"))
    }

    private static let results = path("results.jsonl") { path in
        let bench = try CLI.run(["bench", "-m", tiny, "-p", "8", "-n", "2", "-r", "2", "-o", "jsonl"])
        try require(bench)
        try Data(bench.output.utf8).write(to: URL(filePath: path))
    }

    private static func require(_ result: RunResult) throws {
        if result.status != 0 { throw Problem(text: result.error) }
    }

    private struct Problem: Error { let text: String }

    /// A new path, once `make` has put something there, or a text that says in a test's output why there is nothing.
    private static func path(_ name: String, _ make: (String) throws -> Void) -> String {
        do {
            let path = Fixture.newPath(name)
            try make(path)
            return path
        } catch {
            return "nothing: \(error)"
        }
    }
}
