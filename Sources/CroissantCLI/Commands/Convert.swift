import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Makes a GGUF file of a checkpoint.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a GGUF file of a Hugging Face checkpoint: config.json, *.safetensors and a tokenizer.",
        discussion: """
            Llama, Mistral, Qwen2 and Qwen3, with weights in F32, F16 or BF16. The tokenizer is read from tokenizer.json, \
            or from tokenizer.model where there is none.
            """)

    @Argument(help: ArgumentHelp("The folder of the checkpoint.", valueName: "folder"), completion: .directory)
    var folder: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"), completion: .file())
    var out: String

    @Option(
        help: ArgumentHelp(
            "What the matrices are quantised to, such as Q4_K_M, Q8_0 or F16. (default: the checkpoint's type)",
            valueName: "type"),
        completion: .types, transform: quantizationMix)
    var type: QuantizationMix?

    @Flag(help: "Give all matrices the same type, instead of the mix that files of this name have.")
    var pure = false

    @Option(help: ArgumentHelp("The name of the model in the file. (default: the folder's name)", valueName: "text"))
    var name: String?

    @Flag(help: "Check everything but the weights, list the tensors with their types and sizes, and write nothing.")
    var dryRun = false

    @OptionGroup var threadOption: ThreadOption

    @Flag(help: "Print a JSON document about all tensors.")
    var json = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if pure && type == nil { throw ValidationError("--pure needs a --type") }
    }

    func run() throws {
        let converter = try ModelConverter(
            folder: folder, name: name ?? Self.name(ofFolder: folder), mix: pure ? type?.pure : type)
        if !output.quiet { for warning in converter.warnings { Console.warn(warning) } }
        var cost: WorkCost?
        if !dryRun {
            cost = try ProgressBar.show(
                "converting to \(converter.mix.name)", total: converter.tensorBytes, output: output
            ) { try converter.write(to: out, threads: threadOption.threads, progress: $0) }
        }
        let report = ConvertReport(converter, folder: folder, out: out, seconds: cost?.seconds)
        if json {
            try Console.writeJSON(report)
        } else if dryRun {
            try Console.writeLine(report.table)
        }
        guard let cost else { return }
        if !output.quiet { Console.note("wrote \(out.escaped): \(report.summary)") }
        if output.verbose { Console.note(cost.text) }
    }

    /// The name of a checkpoint by where it lies.
    private static func name(ofFolder folder: String) -> String? {
        let path = URL(filePath: folder).standardizedFileURL.path(percentEncoded: false)
        return (CheckpointFolder.cachedRepository(in: path) ?? path).split(separator: "/").last.map(String.init)
    }
}
