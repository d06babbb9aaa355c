import ArgumentParser
import Croissant
import GGUF

/// Makes a file with random weights.
struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a GGUF file of a given shape with random weights, for benchmarks.",
        discussion: ShapeArgument.fileHelp)

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"), completion: .file())
    var out: String

    @Option(help: "A shape by name (\(ShapeArgument.names)), or a FILE.json.")
    var shape = ShapeArgument.croissant

    @Option(
        help: ArgumentHelp(
            "What the matrices are quantised to: \(Self.typeNames). (default: Q4_0)", valueName: "type"),
        completion: .types, transform: quantizationMix)
    var type = QuantizationMix(.q4_0)

    @Flag(help: "Give all matrices the same type, instead of the mix that files of this name have.")
    var pure = false

    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("Seed of the weights.", valueName: "n"))
    var seed: UInt64 = 0

    @OptionGroup var threadOption: ThreadOption

    @OptionGroup var output: OutputOptions

    private static var typeNames: String {
        ModelSynthesizer.mixes.map(\.name).joined(separator: ", ")
    }

    func validate() throws {
        try shape.validate()
    }

    func run() throws {
        if let file = shape.file, SystemFile.areSame(out, file) { throw GGUFError.outputIsInput(out) }
        let synthesizer = try ModelSynthesizer(shape: try shape.shape(), mix: pure ? type.pure : type, seed: seed)
        if output.verbose {
            let shape = synthesizer.shape
            Console.note(
                "\(shape.name.escaped): \(shape.layers) layers of \(shape.embeddingLength), \(shape.vocabularySize) tokens, seed \(seed)"
            )
        }
        try synthesizer.write(to: out, threads: threadOption.threads, output: output)
        if !output.quiet {
            Console.note(
                "wrote \(out.escaped): \(ByteCount(synthesizer.tensorBytes)) of \(synthesizer.mix.name) weights")
        }
    }
}

extension ModelSynthesizer {
    /// Writes the file with a progress bar; Ctrl-C leaves nothing behind.
    func write(to path: String, threads: Int?, output: OutputOptions) throws {
        try ProgressBar.show("making \(mix.name) weights", total: tensorBytes, output: output) { progress in
            try write(to: path, threads: threads, progress: progress)
        }
    }
}
