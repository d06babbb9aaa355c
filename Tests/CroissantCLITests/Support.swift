import Foundation
import Synchronization

/// The built executable, run as a user runs it.
enum Program {
    /// What a run left behind.
    struct Output {
        let status: Int32
        let output: String
        let error: String
        let endedBySignal: Bool

        /// The lines of standard error.
        var errorLines: [String] { error.split(separator: "\n").map(String.init) }

        /// Standard output as JSON.
        func json() throws -> [String: Any] {
            let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
            guard let object = value as? [String: Any] else { throw CocoaError(.propertyListReadCorrupt) }
            return object
        }
    }

    /// Beside the test bundle.
    static let url = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "croissant-gguf")

    /// Runs the program to its end; one that takes longer than a minute is killed.
    static func run(_ arguments: String..., input: String? = nil) throws -> Output {
        try run(arguments, input: input)
    }

    /// Runs the program to its end. `started` is called with the running process.
    static func run(_ arguments: [String], input: String? = nil, started: (Process) throws -> Void = { _ in }) throws
        -> Output
    {
        let process = Process()
        process.executableURL = url
        process.arguments = arguments
        let output = Pipe()
        let error = Pipe()
        let source = Pipe()
        process.standardOutput = output
        process.standardError = error
        process.standardInput = input == nil ? FileHandle.nullDevice : source
        try process.run()
        let watchdog = DispatchWorkItem { if process.isRunning { process.terminate() } }
        DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: watchdog)
        defer { watchdog.cancel() }
        if let input {
            source.fileHandleForWriting.write(Data(input.utf8))
            try source.fileHandleForWriting.close()
        }
        // Both pipes are emptied at once: a full one would stop the program.
        let errorText = Mutex(Data())
        let errorHandle = error.fileHandleForReading
        let reading = DispatchGroup()
        DispatchQueue.global().async(group: reading) {
            let data = errorHandle.readDataToEndOfFile()
            errorText.withLock { $0 = data }
        }
        try started(process)
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        reading.wait()
        return Output(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            error: errorText.withLock { String(decoding: $0, as: UTF8.self) },
            endedBySignal: process.terminationReason == .uncaughtSignal)
    }
}

/// Golden data made by other programs; absent outside the project's own workshop.
enum Golden {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "shared/data")
    static let isPresent = FileManager.default.fileExists(atPath: folder.path())

    static func path(_ name: String) -> String { folder.appending(path: name).path() }

    static func json(_ name: String) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: name)))
        return value as? [String: Any] ?? [:]
    }
}

/// A folder of a test's own, removed with it.
final class TemporaryFolder: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "croissant-gguf-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appending(path: name).path() }

    /// Writes a file, and returns its path.
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: url.appending(path: name))
        return path(name)
    }

    /// A tiny model with random weights.
    func model(type: String = "Q4_0", contextLength: Int = 256) throws -> String {
        let shape = try write(
            "shape.json",
            """
            {"name": "tiny", "contextLength": \(contextLength), "embeddingLength": 64, "layers": 2,
             "feedForwardLength": 96, "heads": 4, "keyValueHeads": 2, "vocabularySize": 512}
            """)
        let path = path("tiny-\(type).gguf")
        let run = try Program.run("synthesize", path, "--shape", shape, "--type", type)
        guard run.status == 0 else { throw CocoaError(.fileWriteUnknown) }
        return path
    }
}
