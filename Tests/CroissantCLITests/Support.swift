import Dispatch
import Foundation
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// What a run of the program left behind.
struct RunResult {
    /// The exit status; the negative number of the signal where one ended the program.
    let status: Int32
    /// Standard output.
    let output: String
    /// Standard error.
    let error: String

    /// The lines of standard error.
    var errorLines: [String] { error.split(separator: "\n").map(String.init) }

    /// Standard output as JSON.
    func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(output.utf8))
    }
}

/// The built executable.
enum CLI {
    /// Beside the test bundle, in debug and release builds alike.
    static let executable: URL = {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        let neighbour = bundle ?? URL(filePath: CommandLine.arguments[0])
        return neighbour.deletingLastPathComponent().appending(path: "croissant-gguf")
    }()

    /// Runs the program to its end; after `limit` seconds it is killed.
    static func run(
        _ arguments: [String], stdin: String? = nil, environment: [String: String] = [:], limit: Double = 60
    ) throws -> RunResult {
        try run(arguments, input: stdin.map { Data($0.utf8) }, environment: environment, limit: limit)
    }

    /// The same with the bytes of standard input; there is none when nil.
    static func run(
        _ arguments: [String], input: Data?, environment: [String: String] = [:], limit: Double = 60
    ) throws -> RunResult {
        try Running(arguments, input: input, environment: environment).finish(limit: limit)
    }

    /// Runs `command` in a shell where `$BIN` is the program, for what only a shell can set up.
    static func shell(_ command: String, environment: [String: String] = [:]) throws -> RunResult {
        let environment = environment.merging(["BIN": executable.path()]) { given, _ in given }
        return try Running(
            ["-c", command], executable: URL(filePath: "/bin/sh"), input: nil, environment: environment
        ).finish(limit: 60)
    }
}

/// A run in progress.
final class Running {
    /// Standard output so far.
    let output: Collector
    /// Standard error so far.
    let error: Collector
    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)

    /// Starts the program.
    init(
        _ arguments: [String], executable: URL = CLI.executable, input: Data? = nil, environment: [String: String] = [:]
    ) throws {
        process.executableURL = executable
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, given in given }
        if let input {
            let file = Fixture.newPath("stdin")
            try input.write(to: URL(filePath: file))
            process.standardInput = try FileHandle(forReadingFrom: URL(filePath: file))
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        let (outputPipe, errorPipe) = (Pipe(), Pipe())
        process.standardOutput = outputPipe
        process.standardError = errorPipe
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
        output = Collector(outputPipe.fileHandleForReading)
        error = Collector(errorPipe.fileHandleForReading)
    }

    /// Sends a signal.
    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for the end; after `limit` seconds the program is killed, which fails the test.
    func finish(limit: Double = 60) throws -> RunResult {
        if ended.wait(timeout: .now() + limit) == .timedOut {
            signal(SIGKILL)
            ended.wait()
            Issue.record("ran longer than \(limit) s: \(process.arguments ?? [])")
        }
        let status = process.terminationStatus
        return RunResult(
            status: process.terminationReason == .uncaughtSignal ? -status : status,
            output: String(decoding: output.all(), as: UTF8.self), error: String(decoding: error.all(), as: UTF8.self))
    }
}

/// Reads a pipe on a thread of its own.
final class Collector: Sendable {
    private let data = Mutex(Data())
    private let isAtEnd = DispatchSemaphore(value: 0)

    /// Begins to read.
    init(_ handle: FileHandle) {
        Thread.detachNewThread { [self] in
            while case let piece = handle.availableData, !piece.isEmpty { data.withLock { $0.append(piece) } }
            // Foundation keeps processes, and with them their pipes: some hundred runs would leave a thousand files open,
            // with which its Process.run crashes now and then.
            try? handle.close()
            isAtEnd.signal()
        }
    }

    /// What has arrived so far.
    var current: Data { data.withLock { $0 } }

    /// Everything, once the pipe is closed; a child that outlives its killed parent may hold it open.
    func all() -> Data {
        _ = isAtEnd.wait(timeout: .now() + 5)
        return current
    }

    /// Waits until `count` bytes have arrived.
    func wait(forBytes count: Int) throws {
        try waitUntil("\(count) bytes of output") { self.current.count >= count }
    }
}

/// Waits until a condition holds, and fails the test after 30 seconds.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try !condition() {
        try #require(ContinuousClock.now < deadline, "waited in vain for \(what)")
        Thread.sleep(forTimeInterval: 0.002)
    }
}

/// Files that tests read.
enum Fixture {
    /// `../shared/data` beside the repository.
    static let shared = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "shared/data")

    /// Whether it is there.
    static let hasShared = FileManager.default.fileExists(atPath: stories)

    /// A model of 260 thousand weights that writes stories.
    static let stories = path("models/stories260K.gguf")

    /// A file of `../shared/data`.
    static func path(_ name: String) -> String { shared.appending(path: name).path() }

    /// Logits that llama.cpp's own program wrote, part of the repository.
    static let recordedLogits = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/LogitsFile/llama-perplexity.logits").path()

    /// A small model with a byte-level vocabulary, part of the repository.
    static let golden = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "CroissantTests/Golden/qwen2.gguf").path()

    /// A folder for this run of the tests, removed at its end.
    static let folder: URL = {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "croissant-cli-tests-\(ProcessInfo.processInfo.processIdentifier)")
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: Fixture.folder) }
        return folder
    }()

    private static let paths = Atomic<Int>(0)

    /// A path where nothing is yet.
    static func newPath(_ name: String) -> String {
        folder.appending(path: "\(paths.add(1, ordering: .relaxed).newValue)-\(name)").path()
    }

    /// A new file.
    static func newFile(_ name: String, _ content: String) throws -> String {
        let path = newPath(name)
        try Data(content.utf8).write(to: URL(filePath: path))
        return path
    }

    /// A folder where nothing is yet.
    static func newFolder(_ name: String) throws -> String {
        let path = newPath(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// A description of a small Llama. With the lengths given here, all rows are whole blocks of 32.
    static func shape(
        layers: Int = 2, embedding: Int = 64, feedForward: Int = 160, vocabulary: Int = 512, context: Int = 512
    ) -> String {
        """
        {"name": "tiny", "contextLength": \(context), "embeddingLength": \(embedding), "layers": \(layers),
         "feedForwardLength": \(feedForward), "heads": 4, "keyValueHeads": 2, "vocabularySize": \(vocabulary)}
        """
    }

    /// A model with random weights in Q4_0, made once.
    static let tiny = model("tiny", shape())

    /// The same with a context that takes minutes to fill, made once.
    static let long = model("long", shape(context: 200_000))

    /// The path of a new model, or a text that says in a test's output why there is none.
    private static func model(_ name: String, _ shape: String) -> String {
        do {
            let path = newPath(name + ".gguf")
            let result = try CLI.run(["synthesize", path, "--shape", try newFile(name + ".json", shape)])
            return result.status == 0 ? path : "no model: \(result.error)"
        } catch {
            return "no model: \(error)"
        }
    }
}
