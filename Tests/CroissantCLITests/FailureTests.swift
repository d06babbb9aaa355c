import Foundation
import Testing

@Suite("What goes wrong is said in one clear line, with the exit status of the contract")
struct FailureTests {
    /// One line that begins with `error:`, nothing on standard output, no signal.
    private func expectOneLine(_ run: Program.Output, status: Int32 = 1, containing parts: String...) {
        #expect(run.status == status)
        #expect(!run.endedBySignal)
        #expect(run.output.isEmpty)
        let errors = run.errorLines.filter { $0.hasPrefix("error: ") }
        #expect(errors.count == 1, "\(run.error)")
        for part in parts { #expect(run.error.contains(part), "\(run.error)") }
    }

    @Test("A model that is no GGUF file")
    func notAModel() throws {
        let folder = try TemporaryFolder()
        let empty = try folder.write("empty.gguf", "")
        let text = try folder.write("text.gguf", "Hello, this is not a model at all.\n")
        expectOneLine(
            try Program.run("generate", "-m", folder.path("missing.gguf"), "-p", ""), containing: "no such file")
        expectOneLine(try Program.run("generate", "-m", folder.url.path(), "-p", ""), containing: "folder")
        expectOneLine(try Program.run("generate", "-m", empty, "-p", ""), containing: "empty")
        expectOneLine(try Program.run("generate", "-m", text, "-p", ""), containing: "not a GGUF file", "GGUF")
        expectOneLine(try Program.run("inspect", text), containing: "not a GGUF file")
        expectOneLine(try Program.run("generate", "-p", "x"), containing: "no model")
    }

    @Test("A model that is cut short, at every 97th byte")
    func truncated() throws {
        let folder = try TemporaryFolder()
        let whole = try Data(contentsOf: URL(filePath: try folder.model()))
        let path = folder.path("cut.gguf")
        for length in stride(from: 1, to: whole.count, by: max(97, whole.count / 40)) {
            try whole.prefix(length).write(to: URL(filePath: path))
            expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "-n", "1"))
        }
    }

    @Test(
        "Wrong usage has status 64",
        arguments: [
            ["generate", "--temp"], ["generate", "--unknown"], ["nonsense"], ["bench", "-r", "0"],
            ["bench", "-p", "0", "-n", "0"], ["bench", "-p", "12,x"], ["generate", "-p", "a", "--ids", "1"],
            ["generate", "-p", "a", "--json", "--jsonl"], ["generate", "-p", "a", "-n", "-7"],
            ["generate", "-p", "a", "--isa", "mmx"], ["generate", "-p", "a", "--memory-budget", "much"],
            ["generate", "--ids", "1,two", "-m", "x.gguf"], ["synthesize"], ["synthesize", "x", "--type", "Q9_9"],
            ["generate", "-p", "a", "-q", "-v"], ["generate", "-p", "a", "--logits", "x.npy"],
        ])
    func usage(arguments: [String]) throws {
        let run = try Program.run(arguments)
        #expect(run.status == 64)
        #expect(run.output.isEmpty)
        #expect(!run.error.isEmpty)
    }

    @Test("Options that do not work with the model or the machine")
    func options() throws {
        let model = try TemporaryFolder().self
        let path = try model.model()
        expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "-c", "0"), containing: "context")
        expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "-t", "0"), containing: "threads")
        expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "-b", "0"), containing: "batch")
        expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "--temp", "-1"), containing: "temperature")
        expectOneLine(try Program.run("generate", "-m", path, "-p", "a", "-ctk", "q6_K"), containing: "key cache type")
        expectOneLine(try Program.run("generate", "-m", path, "--ids", "99999"), containing: "99999", "511")
        expectOneLine(try Program.run("generate", "-m", path, "--ids", ""), containing: "token")
        expectOneLine(
            try Program.run("generate", "-m", path, "-p", String(repeating: "word ", count: 500)), containing: "256")
        expectOneLine(try Program.run("bench", "-m", path, "-p", "200", "-d", "100"), containing: "256")
        expectOneLine(try Program.run("synthesize", "/nowhere/at/all.gguf", "-q"), containing: "/nowhere/at")
        expectOneLine(
            try Program.run("generate", "-m", path, "-p", "a", "-n", "0", "--logits", "/nowhere/l.npy"),
            containing: "/nowhere/l.npy")
    }

    @Test("A budget below the plan is refused with what would fit, one at the plan is kept")
    func budget() throws {
        let folder = try TemporaryFolder()
        let path = try folder.model()
        let refused = try Program.run("generate", "-m", path, "-p", "a", "-n", "2", "--memory-budget", "900KB")
        expectOneLine(refused, containing: "budget", "hint: ")
        let kept = try Program.run("generate", "-m", path, "-p", "a", "-n", "2", "--memory-budget", "64MiB", "--json")
        #expect(kept.status == 0)
        let memory = try #require(try kept.json()["memory"] as? [String: Any])
        #expect(try #require(memory["planned"] as? Int) <= 64 << 20)
    }

    @Test("Help and version are results")
    func help() throws {
        for arguments in [["--help"], ["help", "bench"], ["generate", "--help"], ["--version"]] {
            let run = try Program.run(arguments)
            #expect(run.status == 0)
            #expect(!run.output.isEmpty)
            #expect(run.error.isEmpty)
        }
    }
}

@Suite("Interrupted work ends with status 130 and leaves nothing behind")
struct InterruptionTests {
    @Test("Ctrl-C while text is generated")
    func generate() throws {
        let folder = try TemporaryFolder()
        let path = try folder.model(contextLength: 1 << 20)
        let arguments = ["generate", "-m", path, "-p", "a", "-n", "-1", "--ignore-eos", "-c", "200000"]
        let run = try Program.run(arguments) { process in
            Thread.sleep(forTimeInterval: 0.7)
            process.interrupt()
        }
        #expect(run.status == 130)
        #expect(!run.endedBySignal)
        #expect(!run.output.isEmpty)
    }

    @Test("Ctrl-C while a model is made")
    func synthesize() throws {
        let folder = try TemporaryFolder()
        let run = try Program.run(["synthesize", folder.path("large.gguf"), "--type", "F32"]) { process in
            Thread.sleep(forTimeInterval: 0.7)
            process.interrupt()
        }
        #expect(run.status == 130)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path()).isEmpty)
    }

    @Test("A reader that goes away ends the program quietly")
    func brokenPipe() throws {
        let folder = try TemporaryFolder()
        let path = try folder.model(contextLength: 1 << 20)
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        let command =
            "'\(Program.url.path())' generate -m '\(path)' -p a -c 100000 --ignore-eos -q --jsonl | head -n 2"
        shell.arguments = ["-c", command]
        let output = Pipe()
        let error = Pipe()
        shell.standardOutput = output
        shell.standardError = error
        try shell.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(text.split(separator: "\n").count == 2)
        #expect(error.fileHandleForReading.readDataToEndOfFile().isEmpty)
        shell.waitUntilExit()
    }
}
