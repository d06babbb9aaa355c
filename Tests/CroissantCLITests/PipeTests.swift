import Foundation
import Testing

@Suite("Pipes and streams: output arrives at once, and a missing reader or writer is no crash")
struct PipeTests {
    private let model = ["MODEL": Fixture.tiny]

    @Test("Text reaches a pipe while it is generated")
    func streaming() throws {
        let running = try Running(["-m", Fixture.long, "--ids", "1", "-n", "-1", "--ignore-eos", "-t", "1"])
        var sizes: Set<Int> = []
        try waitUntil("three pieces of text") {
            sizes.insert(running.output.current.count)
            return sizes.count > 3
        }
        running.signal(SIGINT)
        #expect(try running.finish().status == 130)
    }

    @Test(
        "A reader that has enough ends the program quietly",
        arguments: [
            #""$BIN" -m "$MODEL" --ids 1 -n -1 --ignore-eos -q | head -c 5 > /dev/null"#,
            #""$BIN" -m "$MODEL" --ids 1 -n -1 --ignore-eos -q --jsonl | head -1 > /dev/null"#,
            #""$BIN" inspect "$MODEL" --json | head -1 > /dev/null"#,
            #""$BIN" inspect "$MODEL" --tensors | true"#,
            #""$BIN" check "$MODEL" | true"#,
            #""$BIN" bench -m "$MODEL" -p 1-50 -n 0 -r 1 -q -o jsonl | head -1 > /dev/null"#,
            #"echo le roi et la reine | "$BIN" perplexity -m "$MODEL" -c 4 -q | true"#,
            #""$BIN" --help | true"#,
        ])
    func reader(command: String) throws {
        let result = try CLI.shell("{ \(command); } && echo done", environment: model)
        #expect(result.output == "done\n")
        #expect(result.error.isEmpty)
    }

    @Test("A reader of messages that goes away does not end the work")
    func messageReader() throws {
        let result = try CLI.shell(
            #"{ "$BIN" -m "$MODEL" --ids 1 -n 5 -v --json 2>&1 >&3 | true; } 3>&1"#, environment: model)
        #expect(try result.json(Generation.self).finishReason.isEmpty == false)
    }

    @Test(
        "Output that cannot be written is an error",
        arguments: [
            (#""$BIN" -m "$MODEL" --ids 1 -n 5 -q"#, "No space left on device", "> /dev/full"),
            (#""$BIN" -m "$MODEL" --ids 1 -n 5 -q --json"#, "No space left on device", "> /dev/full"),
            (#""$BIN" inspect "$MODEL""#, "No space left on device", "> /dev/full"),
            (#""$BIN" check "$MODEL""#, "No space left on device", "> /dev/full"),
            (#""$BIN" check "$MODEL" --json"#, "Bad file descriptor", ">&-"),
            (#""$BIN" --help"#, "No space left on device", "> /dev/full"),
            (#""$BIN" --version"#, "Bad file descriptor", ">&-"),
            (#""$BIN" -m "$MODEL" --ids 1 -n 5 -q"#, "Bad file descriptor", ">&-"),
            (#""$BIN" tokenize -m "$MODEL" a"#, "Bad file descriptor", ">&-"),
            (#""$BIN" bench -m "$MODEL" -p 1 -n 0 -r 1 -q"#, "Bad file descriptor", ">&-"),
            (
                #"echo le roi et la reine | "$BIN" perplexity -m "$MODEL" -c 4 -q"#, "No space left on device",
                "> /dev/full"
            ),
            (
                #"echo le roi et la reine | "$BIN" perplexity -m "$MODEL" -c 4 -q --json"#, "Bad file descriptor",
                ">&-"
            ),
        ].filter { hasFullDevice || !$0.2.contains("/dev/full") })
    func unwritable(command: String, reason: String, redirection: String) throws {
        let result = try CLI.shell("\(command) \(redirection)", environment: model)
        #expect(result.status == 1)
        #expect(result.error == "error: cannot write: standard output (\(reason))\n")
    }

    /// Linux has a device that is always full.
    private static let hasFullDevice = FileManager.default.fileExists(atPath: "/dev/full")

    @Test("A file that takes no bytes is an error", .enabled(if: hasFullDevice, "needs /dev/full"))
    func fullDevice() throws {
        let result = try CLI.run(["-m", Fixture.tiny, "--ids", "1", "-n", "0", "--logits", "/dev/full"])
        #expect(result.status == 1)
        #expect(result.error == "error: cannot write file: /dev/full (No space left on device)\n")
    }

    @Test("A result does not end up in a file that took the number of a closed stream")
    func closedOutput() throws {
        let path = Fixture.newPath("logits.npy")
        let environment = model.merging(["FILE": path]) { given, _ in given }
        let result = try CLI.shell(
            #""$BIN" -m "$MODEL" --ids 1,2 -n 0 --logits "$FILE" --json >&-"#, environment: environment)
        #expect(result.status == 1)
        #expect(result.error == "error: cannot write: standard output (Bad file descriptor)\n")
        #expect(try LogitsTests.Matrix(path: path).rows == 2)
    }

    @Test("A closed standard input is an error only where it is read")
    func closedInput() throws {
        let read = try CLI.shell(#""$BIN" -m "$MODEL" <&-"#, environment: model)
        #expect(read.status == 1)
        #expect(read.error == "error: cannot read text: standard input (Bad file descriptor)\n")
        #expect(try CLI.shell(#""$BIN" -m "$MODEL" --ids 1 -n 2 -q <&-"#, environment: model).status == 0)
    }

    /// A run whose standard input is open to be written, too, so that it has no end.
    private func waiting(_ command: String) throws -> Running {
        let open = #"mkfifo "$PIPE"; exec 3<>"$PIPE"; exec "$BIN" \#(command) <&3"#
        let environment = ["BIN": CLI.executable.path(), "PIPE": Fixture.newPath("pipe")].merging(model) { $1 }
        return try Running(["-c", open], executable: URL(filePath: "/bin/sh"), environment: environment)
    }

    @Test(
        "Whoever leaves standard input open hears what is waited for",
        arguments: [#"generate -m "$MODEL""#, #"perplexity -m "$MODEL""#, #"tokenize -m "$MODEL""#, ""])
    func openInput(command: String) throws {
        let running = try waiting(command)
        defer { running.signal(SIGKILL) }
        try waitUntil("the hint") {
            running.error.current == Data("hint: waiting for the end of standard input\n".utf8)
        }
        running.signal(SIGINT)
        #expect(try running.finish().status == 130)
    }

    @Test("With -q nothing is said while standard input is open", arguments: [#"generate -m "$MODEL" -q"#, "-q"])
    func quietInput(command: String) throws {
        let running = try waiting(command)
        Thread.sleep(forTimeInterval: 4)
        // Not by Ctrl-C, which a program that has hardly begun on a busy machine does not know yet.
        running.signal(SIGKILL)
        let run = try running.finish()
        #expect(run.status == -SIGKILL && run.output.isEmpty && run.error.isEmpty)
    }

    @Test("An empty standard input is an empty prompt")
    func emptyInput() throws {
        let result = try CLI.run(["-m", Fixture.tiny, "-n", "3", "--json"])
        #expect(try result.json(Generation.self).promptTokens == [1])
    }

    @Test("Without any stream the work is still done")
    func noStreams() throws {
        let path = Fixture.newPath("out.gguf")
        let shape = try Fixture.newFile("shape.json", Fixture.shape())
        let result = try CLI.shell(
            #""$BIN" synthesize "$OUT" --shape "$SHAPE" <&- >&- 2>&-"#, environment: ["OUT": path, "SHAPE": shape])
        #expect(result.status == 0)
        #expect(try CLI.run(["inspect", path]).status == 0)
    }
}
