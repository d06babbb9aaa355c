import Foundation
import Testing

/// Every command that the documentation tells people to type, as they would type it.
///
/// What runs the program is run, with small models in the place of large ones. What builds, installs, trains or measures
/// against other programs is not, as it would take minutes and change the machine: of such commands every script has to
/// exist and every option has to be one that it knows. A command of neither kind fails.
@Suite("The documentation's commands do what they are said to do")
struct DocumentedCommandsTests {
    @Test("Every block of commands runs from top to bottom", arguments: Documentation.all)
    func blocks(file: Documentation) throws {
        for block in file.blocks {
            let folder = try Placeholders.folder()
            for command in block { try check(command, in: folder) }
        }
    }

    @Test("Commands within the text have options that the program knows", arguments: Documentation.all)
    func mentions(file: Documentation) throws {
        for mention in file.mentions { try checkOptions(of: mention) }
    }

    @Test("What a transcript says that the most likely tokens are, they are")
    func transcripts() throws {
        let greedy = Documentation.all.flatMap(\.transcripts).filter { $0.command.contains("--temp 0") }
        #expect(!greedy.isEmpty)
        for (command, output) in greedy {
            let result = try CLI.shell(command.replacing("croissant-gguf ", with: #""$BIN" "#))
            #expect(result.status == 0)
            #expect(output.contains(result.output) && result.output.count > 1, "\(command)\n\(result.output)")
        }
    }

    @Test("What the demonstration recommends has options that the program knows")
    func recommendations() throws {
        let recommended = try CLI.run(["demo"]).error.matches(of: /\n  (croissant-gguf [^\n]*)/).map { String($0.1) }
        #expect(recommended.count >= 5)
        for command in recommended { try checkOptions(of: command) }
    }

    @Test("The documentation is found, and its commands are")
    func isFound() {
        #expect(Documentation.all.map(\.name).contains("README.md"))
        #expect(Documentation.all.reduce(0) { $0 + $1.blocks.count } >= 10)
        #expect(Documentation.all.reduce(0) { $0 + $1.mentions.count } >= 5)
    }

    @Test(
        "Mistakes in a command are noticed",
        arguments: [
            "croissant-gguf budget model.gguf --kontext 5", "croissant-gguf tokenise", "make install",
            "swift build --relase", "swift run KernelBenchmarks --kinds Q4_0", "Benchmarks/nothing.sh",
            "python3 Models/Training/train.py --epochs 3", "apt-get install -y libopenblas",
        ])
    func mistakes(command: String) {
        withKnownIssue { try check(command, in: Placeholders.folder()) }
    }

    /// Runs `command`, or checks what it is made of.
    private func check(_ command: String, in folder: String) throws {
        let program = command.replacing(".build/release/croissant-gguf", with: "croissant-gguf")
        if program.prefixMatch(of: /croissant-gguf|while |\#/) != nil {
            try run(program, in: folder)
        } else {
            for part in Self.parts(of: command) { try checkParts(of: part) }
        }
    }

    private func run(_ command: String, in folder: String) throws {
        // Under the name that users know it by, from a folder of their own. Where there is no jq, the program has to
        // work all the same.
        let result = try CLI.shell(
            """
            cd '\(folder)' && mkdir -p .bin && ln -sf "$BIN" .bin/croissant-gguf && PATH="$PWD/.bin:$PATH"
            command -v jq >/dev/null || jq() { cat; }
            \(Placeholders.shortened(command))
            """)
        // A pipe's status is its last command's.
        let hasFailed = result.status != 0 || result.error.contains("error: ")
        #expect(!hasFailed, "\(command)\n\(result.error)")
        // What writes files says so on standard error.
        let writes = command.contains(/\b(convert|quantize|split|edit|synthesize)\b|--save|>\s/)
        let isSilent = writes || command.hasPrefix("#")
        #expect(isSilent || !result.output.isEmpty, "\(command) prints nothing")
    }

    /// The commands of a line: those in quotes are one word, `sh -c` has its own.
    private static func parts(of line: String) -> [String] {
        line.replacing(/#.*/, with: "").replacing(/\$\(command -v sudo\) sh -c '([^']*)'/) { String($0.1) }
            .replacing("&&", with: "\n").split(separator: "\n")
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// Checks a command that is not run.
    private func checkParts(of command: String) throws {
        var words = command.split(whereSeparator: \.isWhitespace).map(String.init)
        let first = words.removeFirst()
        if first == "swift" {
            try checkSwift(words)
        } else if first == "apt-get" {
            try checkPackages(words)
        } else if first == "alias" {
            #expect(command.hasSuffix(#"="$PWD/.build/release/croissant-gguf""#))
        } else if first.hasSuffix("/pip") {
            #expect(words.first == "install")
            let file = try #require(words.last)
            // A file of requirements, or one package in one version.
            #expect(exists(file) || file.contains("=="), "\(command)")
        } else if first == "hf" {
            // Of Hugging Face's own program: a repository that the table names.
            #expect(words.first == "download")
            let isNamed = try text(of: "Models/README.md").contains("https://huggingface.co/\(words[1]))")
            #expect(isNamed, "no table has \(words[1])")
            #expect(words.filter { $0.hasPrefix("-") }.allSatisfy { ["--include", "--local-dir"].contains($0) })
        } else if first == "python3" && words.first == "-m" {
            #expect(words.dropFirst().first == "venv")
        } else if first == "python3" || first.hasSuffix("/python") {
            try checkScript(try #require(words.first), words.dropFirst())
        } else if exists(first) {
            try checkScript(first, words[...])
        } else {
            Issue.record("this is no command that is known: \(command)")
        }
    }

    private func checkSwift(_ words: [String]) throws {
        // With what the documentation uses of it.
        let known = [
            "build": ["-c"], "test": [], "run": ["-c"], "package": [],
        ]
        let command = try #require(words.first)
        var words = words.dropFirst()
        while let word = words.first, word.hasPrefix("-") {
            #expect(known[command]?.contains(word) == true, "swift \(command) \(word)")
            words = words.dropFirst(word == "-c" ? 2 : 1)
        }
        guard command == "run" || command == "package" else { return }
        let name = try #require(words.first)
        if command == "run" {
            let program = CLI.executable.deletingLastPathComponent().appending(path: name)
            let help = try Running(["--help"], executable: program).finish().output
            checkOptions(words.dropFirst(), of: help, name)
        } else {
            #expect(["generate-documentation", "generate-manual"].contains(name))
            for word in words.dropFirst() where !word.hasPrefix("-") { try checkManifest(names: word) }
        }
    }

    /// Packages of the system are those that the manifest names.
    private func checkPackages(_ words: [String]) throws {
        guard words.first == "install" else {
            #expect(words == ["update"])
            return
        }
        for package in words.dropFirst() where package != "-y" { try checkManifest(names: package) }
    }

    /// A script of the repository exists, and the options are in its text.
    private func checkScript(_ path: String, _ words: ArraySlice<String>) throws {
        try #require(exists(path), "there is no \(path)")
        let text = try text(of: path)
        for option in words where option.hasPrefix("-") && option != "--" {
            let isKnown = text.contains("\"\(option)\"") || text.contains("\(option)]")
            #expect(isKnown, "\(path) has no \(option)")
        }
    }

    private func checkOptions(of command: String) throws {
        let words = command.split(whereSeparator: \.isWhitespace).map(String.init).dropFirst()
        let name = words.first { !$0.hasPrefix("-") } ?? ""
        let help = try CLI.run(words.first == name ? ["help", name] : ["help", "generate"])
        #expect(help.status == 0, "\(command)\n\(help.error)")
        checkOptions(words, of: help.output, command)
    }

    /// Every option among `words` is one that `help` names.
    private func checkOptions(_ words: ArraySlice<String>, of help: String, _ command: String) {
        let known = Set(help.matches(of: /(?:^|[\s,\/\[])(--?[A-Za-z][\w-]*)/).map { String($0.1) })
        for word in words where word.wholeMatch(of: /--?[A-Za-z][\w-]*/) != nil {
            let isKnown = known.contains(word) || Self.hidden.contains(word)
            #expect(isKnown, "\(command) has no \(word)")
        }
    }

    /// Options of the whole program, which no command's help has.
    private static let hidden: Set = ["--version", "--generate-completion-script"]

    private func checkManifest(names word: String) throws {
        let isNamed = try text(of: "Package.swift").contains("\"\(word)\"")
        #expect(isNamed, "Package.swift has no \(word)")
    }

    private func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: Documentation.root.appending(path: path).path())
    }

    private func text(of path: String) throws -> String {
        try String(contentsOf: Documentation.root.appending(path: path), encoding: .utf8)
    }
}
