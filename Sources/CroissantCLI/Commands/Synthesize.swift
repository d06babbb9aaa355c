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
            {"name": "tiny", "contextLength": 512, "embeddingLength": 256,
             "layers": 2, "feedForwardLength": 704, "heads": 4,
             "keyValueHeads": 4, "vocabularySize": 512}
            """)

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"))
    var out: String

    @Option(help: "A shape by name (\(Self.shapeNames)), or a FILE.json.")
    var shape = "croissant"

    @Option(
        help: ArgumentHelp(
            "What the matrices are quantised to: \(Self.typeNames). (default: Q4_0)", valueName: "type"),
        transform: quantizationMix)
    var type = QuantizationMix(.q4_0)

    @Flag(help: "Give all matrices the same type, instead of the mix that files of this name have.")
    var pure = false

    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("Seed of the weights.", valueName: "n"))
    var seed: UInt64 = 0

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Threads. (default: physical cores within the container's quota)", valueName: "n"))
    var threads: Int?

    @OptionGroup var output: OutputOptions

    private static var shapeNames: String { ModelShape.named.keys.sorted().joined(separator: ", ") }

    private static var typeNames: String {
        ModelSynthesizer.mixes.map(\.name).joined(separator: ", ")
    }

    func validate() throws {
        try requireThreads(threads)
        if ModelShape.named[shape] == nil && !shape.hasSuffix(".json") {
            throw ValidationError("'\(shape)' is not a shape: expected \(Self.shapeNames) or a FILE.json")
        }
    }

    func run() throws {
        let synthesizer = try ModelSynthesizer(shape: try modelShape(), mix: pure ? type.pure : type, seed: seed)
        if output.verbose {
            let shape = synthesizer.shape
            Console.note(
                "\(shape.name.escaped): \(shape.layers) layers of \(shape.embeddingLength), \(shape.vocabularySize) tokens, seed \(seed)"
            )
        }
        try synthesizer.write(to: out, threads: threads, output: output)
        if !output.quiet {
            Console.note(
                "wrote \(out.escaped): \(ByteCount(synthesizer.tensorBytes)) of \(synthesizer.mix.name) weights")
        }
    }

    /// The shape by its name or from its file.
    private func modelShape() throws -> ModelShape {
        if let named = ModelShape.named[shape] { return named }
        let text = try TextInput.file(shape)
        do {
            return try JSONDecoder().decode(ModelShape.self, from: Data(text.utf8))
        } catch {
            throw Failure("not a model shape: \(shape) (\(Self.describe(error)))")
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing"
        case DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty,
            DecodingError.valueNotFound(_, let context) where !context.codingPath.isEmpty:
            "\(context.codingPath.map(\.stringValue).joined(separator: ".")) has the wrong type"
        default: "expected a JSON object with a name and whole numbers"
        }
    }
}

extension ModelSynthesizer {
    /// Writes the file with a progress bar; Ctrl-C leaves nothing behind.
    func write(to path: String, threads: Int?, output: OutputOptions) throws {
        Interruption.setPolled(true)
        defer { Interruption.setPolled(false) }
        let bar = ProgressBar("making \(mix.name) weights", total: tensorBytes, isQuiet: output.quiet)
        let isComplete = try write(to: path, threads: threads) { done in
            bar.update(done)
            return !Interruption.isRequested
        }
        bar.finish()
        guard isComplete else { throw Failure.interrupted }
    }
}
