import Foundation
import Testing

@Suite("Error lines: one clear line, on standard error, with a hint where there is a remedy")
struct ErrorLineTests {
    /// A command line that fails, and all that it says.
    struct Case: CustomTestStringConvertible {
        let arguments: [String]
        let error: String

        init(_ arguments: [String], _ error: String) {
            self.arguments = arguments
            self.error = error
        }

        var testDescription: String { error }
    }

    /// A file of three GiB that takes none on the disk.
    private static let long: String = {
        let path = Fixture.newPath("long.txt")
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let handle = FileHandle(forWritingAtPath: path)
        try? handle?.truncate(atOffset: 3 << 30)
        return path
    }()

    private static let folder = try? Fixture.newFolder("folder")
    private static let text = try? Fixture.newFile("notes.txt", "Not a model.\n")
    private static let empty = try? Fixture.newFile("empty.gguf", "")
    private static let cut = try? Fixture.newFile("cut.gguf", "GGUF\u{3}\0\0\0")
    private static let shape = try? Fixture.newFile("shape.json", Fixture.shape())

    static var files: [Case] {
        [
            Case(["-m", "/no/such.gguf", "-p", "a"], "error: no such file: /no/such.gguf\n"),
            Case(["-m", "", "-p", "a"], "error: no model: the path after -m is empty (expected a GGUF file)\n"),
            Case(
                ["-m", folder ?? "", "-p", "a"],
                """
                error: not a file: \(folder ?? "") (expected a GGUF file, found a folder)
                hint: name the .gguf file inside it

                """),
            Case(
                ["inspect", empty ?? ""],
                """
                error: file is empty: \(empty ?? "") (expected a GGUF file, found 0 bytes)
                hint: the file may be incomplete: download it again

                """),
            Case(
                ["inspect", text ?? ""], "error: not a GGUF file: \(text ?? "") (expected magic GGUF, found \"Not \")\n"
            ),
            Case(
                ["inspect", "/dev/null"],
                "error: not a regular file: /dev/null (expected a GGUF file, found a device)\n"),
            Case(["check", "/no/such.gguf"], "error: no such file: /no/such.gguf\n"),
            Case(
                ["check", text ?? "", "--json"],
                "error: not a GGUF file: \(text ?? "") (expected magic GGUF, found \"Not \")\n"),
            Case(["tokenize", "-m", "/no/such.gguf", "a"], "error: no such file: /no/such.gguf\n"),
            Case(["bench", "-m", "/no/such.gguf"], "error: no such file: /no/such.gguf\n"),
            Case(
                ["perplexity", "-m", "/no/such.gguf", "-f", text ?? ""], "error: no such file: /no/such.gguf\n"),
            Case(
                ["perplexity", "-m", Fixture.tiny, "-f", "/no/such.txt"],
                "error: cannot read text: /no/such.txt (No such file or directory)\n"),
            Case(
                ["perplexity", "-m", Fixture.tiny, "-f", text ?? "", "-c", "20"],
                """
                error: too few tokens: the text (expected at least one chunk of 20, found 14)
                hint: a longer text, or shorter chunks (-c)

                """),
            Case(
                ["perplexity", "-m", Fixture.tiny, "-f", long],
                "error: text too long: \(long) (expected at most 1.00 GiB, found more)\n"),
            Case(
                ["-m", Fixture.tiny, "-f", long],
                "error: text too long: \(long) (expected at most 1.00 GiB, found more)\n"),
            Case(
                ["quantize", Fixture.tiny, "/no/such/out.gguf", "Q8_0", "--calibration", long],
                "error: text too long: \(long) (expected at most 1.00 GiB, found more)\n"),
            Case(
                ["-m", Fixture.tiny, "-f", "/no/such.txt"],
                "error: cannot read text: /no/such.txt (No such file or directory)\n"),
            Case(
                ["-m", Fixture.tiny, "-f", folder ?? ""],
                "error: cannot read text: \(folder ?? "") (Is a directory)\n"),
            Case(
                ["-m", Fixture.tiny, "-p", "a", "-n", "0", "--logits", "/no/such/file.npy"],
                "error: cannot create file: /no/such/file.npy (No such file or directory)\n"),
            Case(
                ["synthesize", "/no/such/file.gguf", "--shape", shape ?? ""],
                "error: cannot create file: /no/such/file.gguf (No such file or directory)\n"),
            Case(
                ["synthesize", "x.gguf", "--shape", text ?? "" + ".json"],
                """
                error: '\(text ?? "")' is not a shape: expected croissant or a FILE.json
                Usage: croissant-gguf synthesize <out> [--shape <shape>] [--type <type>] [--pure] [--seed <n>] \
                [--threads <n>] [--quiet] [--verbose]
                  See 'croissant-gguf synthesize --help' for more information.

                """),
            Case(
                ["synthesize", "x", "--shape", "/no.json"],
                "error: cannot read text: /no.json (No such file or directory)\n"),
            Case(
                ["frobnicate"],
                """
                error: unknown command: frobnicate (expected demo, generate, bench, budget, \
                perplexity, inspect, check, tokenize, detokenize, convert, quantize, split, merge, edit, synthesize)
                hint: 'croissant-gguf --help' says what they do

                """),
        ]
    }

    @Test("Files that are not what they should be are named with the reason", arguments: files)
    func file(_ test: Case) throws {
        let result = try CLI.run(test.arguments)
        #expect(result.error == test.error)
        #expect(result.output.isEmpty)
        #expect(result.status == (test.arguments[0] == "frobnicate" || test.error.contains("Usage:") ? 64 : 1))
    }

    static var values: [Case] {
        [
            Case(["-m", Fixture.tiny, "--ids", "512"], "error: unknown token: 512 (expected 0 to 511)\n"),
            Case(["-m", Fixture.tiny, "--ids", "-1"], "error: unknown token: -1 (expected 0 to 511)\n"),
            Case(["detokenize", "-m", Fixture.tiny, "512"], "error: unknown token: 512 (expected 0 to 511)\n"),
            Case(
                ["-m", Fixture.tiny, "--ids", "1,2,3,4,5", "-c", "4"],
                """
                error: the context is full: 5 tokens were given, 4 fit
                hint: a larger context (-c) holds more, up to what the model was trained for

                """),
            Case(
                ["-m", Fixture.tiny, "--ids", "1,2,3,4,5", "-c", "4", "-n", "0", "--logits", "/no/x.npy"],
                """
                error: the context is full: 5 tokens were given, 4 fit
                hint: a larger context (-c) holds more, up to what the model was trained for

                """),
            Case(
                ["-m", Fixture.tiny, "--ids", "1,2", "-n", "0", "--weights", "mapped", "--logits", Fixture.tiny],
                """
                error: output is the same file as the input: \(Fixture.tiny)
                hint: choose another output

                """),
            Case(
                ["bench", "-m", Fixture.tiny, "-p", "16", "-n", "0", "-d", "10000"],
                """
                error: the context is full: 10016 tokens were given, 512 fit
                hint: a larger context (-c) holds more, up to what the model was trained for

                """),
            Case(
                ["inspect", Fixture.tiny, "--metadata", "no.such\u{1B}[31mkey"],
                """
                error: no such key: no.such\\u{1b}[31mkey
                hint: 'croissant-gguf inspect FILE' lists the keys

                """),
        ]
    }

    @Test("Values that the model does not take are named with what it takes", arguments: values)
    func value(_ test: Case) throws {
        let result = try CLI.run(test.arguments)
        #expect(result.error == test.error)
        #expect(result.output.isEmpty)
        #expect(result.status == 1)
    }

    @Test("A model cut off anywhere is refused in one line, with the place", arguments: [4, 8, 24, 100, 5000, 30000])
    func truncated(length: Int) throws {
        let whole = try Data(contentsOf: URL(filePath: Fixture.tiny))
        let path = Fixture.newPath("truncated.gguf")
        try whole.prefix(length).write(to: URL(filePath: path))
        for arguments in [["-p", "a", "-m", path], ["inspect", path], ["tokenize", "a", "-m", path]] {
            let result = try CLI.run(arguments)
            #expect(result.status == 1)
            #expect(result.output.isEmpty)
            #expect(result.errorLines.count == 2)
            #expect(result.error.hasPrefix("error: "))
            #expect(result.errorLines.last?.hasPrefix("hint: ") == true)
        }
    }

    @Test("A file that does not name its pre-tokenizer is refused by all commands, with what mends it")
    func missingPreTokenizer() throws {
        var data = try Data(contentsOf: URL(filePath: Fixture.golden))
        // A key of the same length in its place.
        let key = try #require(data.range(of: Data("tokenizer.ggml.pre".utf8)))
        data.replaceSubrange(key, with: Data("tokenizer.ggml.was".utf8))
        let path = Fixture.newPath("silent.gguf")
        try data.write(to: URL(filePath: path))
        for arguments in [["-p", "a", "-m", path], ["tokenize", "a", "-m", path], ["detokenize", "1", "-m", path]] {
            let result = try CLI.run(arguments)
            #expect(result.status == 1)
            #expect(result.output.isEmpty)
            let lines = result.errorLines
            #expect(lines.count == 2)
            #expect(
                lines.first?.wholeMatch(
                    of: /error: missing pre-tokenizer: tokenizer.ggml.pre \(expected one of default, gpt-2, .*\)/)
                    != nil, "\(lines)")
            #expect(lines.first?.hasSuffix(", found nothing)") == true)
            #expect(
                lines.last == """
                    hint: the file does not say how its model cuts text into words: convert the model again with a \
                    current converter, or name the way: 'gguf-new-metadata IN OUT --pre-tokenizer NAME' (llama-bpe for \
                    Llama 3, qwen2 for Qwen 2 and 3; default is what other programs assume)
                    """)
        }
    }

    @Test("What a usage error repeats of the command line is escaped, and stays on its line")
    func escapedUsage() throws {
        let result = try CLI.run(["inspect", Fixture.tiny, "a\u{1B}[31m\r\nb\u{202E}\n"])
        #expect(result.status == 64)
        #expect(result.errorLines.first == #"error: Unexpected argument 'a\u{1b}[31m\r\nb\u{202e}\n'"#)
        #expect(result.errorLines.dropFirst().first?.hasPrefix("Usage: ") == true)
    }

    @Test("Ids on standard input that are none are named")
    func idsFromInput() throws {
        let result = try CLI.run(["detokenize", "-m", Fixture.tiny], stdin: "1 two 3")
        #expect(result.status == 64)
        #expect(result.error == "error: not a token id: two (expected a whole number)\n")
    }

    @Test("Text that is not UTF-8 is read, with a warning")
    func invalidText() throws {
        let result = try CLI.run(["tokenize", "-m", Fixture.tiny, "--ids"], input: Data([0x61, 0xFF, 0x62]))
        #expect(result.status == 0)
        #expect(result.error == "warning: not UTF-8: standard input; U+FFFD stands for what cannot be read\n")
    }

    @Test("A context beyond the model's is used, with a warning that --quiet silences")
    func longContext() throws {
        let arguments = ["-m", Fixture.tiny, "--ids", "1", "-n", "0", "-c", "1024"]
        let loud = try CLI.run(arguments)
        #expect(loud.error.hasPrefix("warning: context 1024 is longer than the 512 the model was trained for\n"))
        #expect(loud.status == 0)
        #expect(try CLI.run(arguments + ["-q"]).error.isEmpty)
    }
}
