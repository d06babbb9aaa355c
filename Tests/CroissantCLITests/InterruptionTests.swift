import Foundation
import Testing

@Suite("Interruption: work stops at once, with what is done, and leaves no half files")
struct InterruptionTests {
    private static let endless = ["--ids", "1", "-n", "-1", "-c", "200000", "--ignore-eos", "-ctk", "f32"]

    /// Waits until a verbose run has described its model, and a little longer.
    private func waitUntilItWorks(_ running: Running) throws {
        try waitUntil("the description of the model") { running.error.current.contains(Array("norms".utf8)) }
        Thread.sleep(forTimeInterval: 0.5)
    }

    @Test(
        "Ctrl-C ends a generation with 130, the text so far and the reason",
        arguments: [SIGINT, SIGQUIT, SIGTERM, SIGHUP])
    func generation(signal: Int32) throws {
        let running = try Running(["-m", Fixture.long] + Self.endless)
        try running.output.wait(forBytes: 20)
        running.signal(signal)
        let result = try running.finish()
        #expect(result.status == 128 + signal)
        #expect(result.output.hasSuffix("\n"))
        #expect(result.error.hasSuffix("; interrupted\nerror: interrupted\n"))
    }

    @Test("An interrupted generation still prints whole JSON")
    func json() throws {
        let running = try Running(["-m", Fixture.long, "--json", "-v"] + Self.endless)
        try waitUntilItWorks(running)
        running.signal(SIGINT)
        let result = try running.finish()
        #expect(result.status == 130)
        #expect(try result.json(Generation.self).finishReason == "cancelled")
    }

    @Test("An interrupted generation gives the text that it held back, too")
    func heldBack() throws {
        // What could begin one of these is held back: every letter.
        let stops = "abcdefghijklmnopqrstuvwxyz".flatMap { ["--stop", "\($0)\u{1}\u{1}"] }
        let running = try Running(["-m", Fixture.long, "--json", "-v"] + Self.endless + stops)
        try waitUntilItWorks(running)
        running.signal(SIGINT)
        let result = try running.finish().json(Generation.self)
        let text = try CLI.run(["detokenize", "-m", Fixture.long] + result.tokens.map { "\($0)" }).output
        #expect(text == result.text + "\n")
    }

    @Test("A long prompt can be interrupted, and what it was writing is removed", arguments: [false, true])
    func prompt(writesLogits: Bool) throws {
        let file = try Fixture.newFile("prompt.txt", String(repeating: "5 ", count: 50_000))
        let folder = try Fixture.newFolder("logits")
        let options = writesLogits ? ["-n", "0", "--logits", folder + "/logits.npy"] : []
        let running = try Running(
            ["-m", Fixture.long, "-f", file, "-c", "200000", "-b", "16", "-v"] + options)
        if writesLogits {
            try waitUntil("the file of logits") {
                try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
            }
        } else {
            try waitUntilItWorks(running)
        }
        running.signal(SIGINT)
        let result = try running.finish(limit: 20)
        #expect(result.status == 130)
        #expect(result.error.hasSuffix("error: interrupted\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("Ctrl-C, once or twice, leaves no part of a file that synthesize was writing", arguments: [1, 2])
    func synthesize(times: Int) throws {
        let folder = try Fixture.newFolder("interrupted")
        let shape = try Fixture.newFile("large.json", Fixture.shape(layers: 1000, vocabulary: 1 << 20))
        let running = try Running(["synthesize", folder + "/out.gguf", "--shape", shape, "--type", "F32"])
        try waitUntil("a temporary file") { try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }
        for _ in 0..<times {
            running.signal(SIGINT)
            Thread.sleep(forTimeInterval: 0.002)
        }
        let result = try running.finish()
        #expect(result.status == 130)
        #expect(result.output.isEmpty)
        #expect(result.error == "error: interrupted\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("An interrupted benchmark prints the tests that were done")
    func bench() throws {
        let running = try Running(
            ["bench", "-m", Fixture.long, "-p", "1", "-n", "100000", "-r", "1", "-o", "jsonl"])
        try running.output.wait(forBytes: 10)
        Thread.sleep(forTimeInterval: 0.2)
        running.signal(SIGINT)
        let result = try running.finish()
        #expect(result.status == 130)
        let rows = result.output.split(separator: "\n")
        #expect(rows.count == 1)
        #expect(try JSONDecoder().decode(BenchResult.self, from: Data(try #require(rows.first).utf8)).test == "pp1")
    }

    @Test("A temporary model of a benchmark is removed")
    func temporaryModel() throws {
        let folder = try Fixture.newFolder("temporary")
        let running = try Running(["bench", "--type", "F32"], environment: ["TMPDIR": folder])
        try waitUntil("the folder of the model") {
            try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty
        }
        running.signal(SIGINT)
        #expect(try running.finish().status == 130)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("Waiting for a prompt can be interrupted")
    func waiting() throws {
        let result = try CLI.shell(
            """
            mkfifo "$FIFO"; exec 3<>"$FIFO"
            "$BIN" -m "$MODEL" < "$FIFO" & pid=$!
            sleep 1; kill -TERM $pid; wait $pid
            """, environment: ["FIFO": Fixture.newPath("fifo"), "MODEL": Fixture.tiny])
        #expect(result.status == 143)
    }

    #if os(Linux)
    /// Runs the program as a user who may have so many threads: limits do not hold for the superuser.
    private static func runAsNobody(threads: Int) throws -> RunResult {
        try CLI.shell(
            #"exec prlimit --nproc=\#(threads) setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN" --version"#,
            environment: ["OPENBLAS_NUM_THREADS": "1"])
    }

    private static let runsAsNobody = (try? runAsNobody(threads: 100))?.status == 0

    @Test(
        "Where the system has no threads to wait for signals, one line says so, instead of waiting for ever",
        .enabled(if: runsAsNobody, "needs root, prlimit, setpriv, and folders that others may read"))
    func noThreads() throws {
        let run = try Self.runAsNobody(threads: 2)
        #expect(run.status == 1 && run.output.isEmpty)
        #expect(run.errorLines.first == "error: no threads: the system gave fewer than 2")
        #expect(run.errorLines.count == 2 && run.errorLines.last?.hasPrefix("hint: 'ulimit -u'") == true)
    }
    #endif
}
