import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Makes a file with random weights.
struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a GGUF file of a given shape with random weights, for benchmarks.",
        discussion: """
            A FILE.json for --shape looks like this:
            {"name": "tiny", "contextLength": 512, "embeddingLength": 256, "layers": 2, "feedForwardLength": 704,
             "heads": 4, "keyValueHeads": 4, "vocabularySize": 512}
            """)

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"))
    var out: String

    @Option(help: "A shape by name (\(ModelShape.named.keys.sorted().joined(separator: ", "))), or a FILE.json.")
    var shape = "croissant"

    @Option(
        help: "Type of the matrices: \(ModelSynthesizer.types.map(\.name).joined(separator: ", ")).",
        transform: tensorType)
    var type = GGMLType.q4_0

    @Option(name: .shortAndLong, help: "Seed of the weights.")
    var seed: UInt64 = 0

    @Option(name: .shortAndLong, help: "Threads. (default: physical cores within the container's quota)")
    var threads: Int?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads takes 1 or more, not \(threads)") }
    }

    func run() throws {
        let synthesizer = try ModelSynthesizer(shape: try Self.shape(shape), type: type, seed: seed)
        try synthesizer.write(to: out, threads: threads, output: output)
        if !output.quiet { Console.note("wrote \(out): \(ByteCount(synthesizer.tensorBytes)) of \(type.name) weights") }
    }

    /// A shape by its name or from a file.
    private static func shape(_ name: String) throws -> ModelShape {
        if let shape = ModelShape.named[name] { return shape }
        guard name.hasSuffix(".json") else {
            throw ValidationError(
                "'\(name)' is not a shape: expected \(ModelShape.named.keys.sorted().joined(separator: ", ")) or a FILE.json"
            )
        }
        let text = try TextInput.file(name)
        do {
            let decoder = JSONDecoder()
            return try decoder.decode(ModelShape.self, from: Data(text.utf8))
        } catch {
            throw Failure("not a model shape: \(name) (\(Self.describe(error)))")
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "\(context.codingPath.map(\.stringValue).joined(separator: ".")) has the wrong type"
        default: "not JSON"
        }
    }
}

extension ModelSynthesizer {
    /// Writes the file with a progress bar; Ctrl-C leaves nothing behind.
    func write(to path: String, threads: Int?, output: OutputOptions) throws {
        let bar = ProgressBar("making \(type.name) weights", total: tensorBytes, isQuiet: output.quiet)
        Interruption.beginPolling()
        let isComplete = try write(to: path, threads: threads) { done in
            bar.update(done)
            return !Interruption.isRequested
        }
        bar.finish()
        guard isComplete else { throw Failure.interrupted }
    }
}
