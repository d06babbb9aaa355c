import ArgumentParser
import Croissant
import GGUF

/// Rewrites a file in other types.
struct Quantize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rewrites a GGUF file in another type.",
        discussion: """
            TYPE is a published mix of types or one that all matrices get: \(Self.typeNames). Where rows are not whole \
            blocks of a type, matrices get one with smaller blocks; --dry-run shows all of them.
            Q3_K, Q4_K and Q5_K are one type for all matrices; the mixes that llama-quantize means by these names are \
            Q3_K_M, Q4_K_M and Q5_K_M. MXFP4_MOE is for models with experts: every matrix of others becomes Q8_0, and \
            MXFP4 is what gives them four bits.
            """)

    @Argument(
        help: ArgumentHelp("A .gguf file, or the first part of a split one.", valueName: "in"), completion: .model)
    var input: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"), completion: .file())
    var out: String

    @Argument(
        help: ArgumentHelp("What the matrices are quantised to.", valueName: "type"), completion: .types,
        transform: quantizationMix)
    var type: QuantizationMix

    @Flag(help: "Give all matrices the same type, instead of the mix that files of this name have.")
    var pure = false

    @Option(
        help: ArgumentHelp(
            "A type for matrices in whose names a regular expression is found, such as ffn_down=Q6_K; may be repeated, and the last one that fits counts.",
            valueName: "name=type"),
        transform: typeOverride)
    var tensorType: [Quantizer.TypeOverride] = []

    @Option(
        help: ArgumentHelp("The type of the output matrix.", valueName: "type"), completion: .weightTypes,
        transform: weightType)
    var outputTensorType: GGMLType?

    @Option(
        help: ArgumentHelp("The type of the token embedding.", valueName: "type"), completion: .weightTypes,
        transform: weightType)
    var tokenEmbeddingType: GGMLType?

    @Flag(help: "Quantise weights that are quantised already, and add up the errors.")
    var allowRequantize = false

    @Flag(help: "Print what would become of each tensor, and write nothing.")
    var dryRun = false

    @OptionGroup var threadOption: ThreadOption

    @Flag(help: "Print a JSON document about all tensors.")
    var json = false

    @OptionGroup(title: "Calibration") var calibration: CalibrationArguments
    @OptionGroup var output: OutputOptions

    private static var typeNames: String { ModelSynthesizer.mixes.map(\.name).joined(separator: ", ") }

    func run() throws {
        var options = Quantizer.Options(mix: pure ? type.pure : type)
        options.overrides = tensorType
        options.outputType = outputTensorType
        options.embeddingType = tokenEmbeddingType
        options.allowsRequantization = allowRequantize
        options.calibration = try calibration.settings()
        let file = try GGUFFile(path: input)
        let quantizer = try Quantizer(file, options: options)
        if !output.quiet {
            file.warnOfRepairs()
            for unused in quantizer.unusedOverrides {
                Console.warn("no matrix has such a name: --tensor-type \(unused.pattern.escaped)=\(unused.type.name)")
            }
        }
        if !output.quiet && type == QuantizationMix(.mxfp4_MoE) && !quantizer.hasExperts {
            Console.warn("MXFP4_MOE makes every matrix of a model without experts Q8_0: MXFP4 gives them four bits")
        }
        let calibrationMemory = try quantizer.calibration?.memory(threads: threadOption.threads) ?? []
        if !output.quiet { quantizer.calibration?.warn(about: quantizer) }
        let begin = ContinuousClock.now
        if !dryRun { try write(quantizer) }
        let report = QuantizeReport(
            quantizer, out: out, calibrationMemory: calibrationMemory,
            seconds: dryRun ? nil : (ContinuousClock.now - begin).seconds)
        if json {
            try Console.writeJSON(report)
        } else if dryRun {
            try Console.writeLine(report.table)
        }
        if !dryRun && !output.quiet { Console.note("wrote \(out.escaped): \(report.summary)") }
        if output.verbose { report.noteDetails() }
    }

    private func write(_ quantizer: Quantizer) throws {
        let steps = quantizer.calibration?.steps ?? 0
        let stages = [
            ProgressBar.Stage(label: "calibrating", total: steps),
            ProgressBar.Stage(label: "quantising to \(quantizer.options.mix.name)", total: quantizer.sourceBytes),
        ]
        try ProgressBar.show(stages, output: output) { progress in
            try quantizer.write(
                to: out, threads: threadOption.threads, progress: { progress(1, $0) }, calibrating: { progress(0, $0) })
        }
    }
}

extension Quantizer {
    /// Whether the model has several matrices for one purpose, which tokens choose from.
    fileprivate var hasExperts: Bool { tensors.contains { $0.source.name.contains("_exps.") } }
}

/// A type for some matrices, such as "ffn_down=Q6_K".
private func typeOverride(_ text: String) throws -> Quantizer.TypeOverride {
    guard let equals = text.lastIndex(of: "="), equals != text.startIndex else {
        throw ValidationError("'\(text)' is not a name and a type, such as ffn_down=Q6_K")
    }
    let pattern = String(text[..<equals])
    do { _ = try NamePattern(pattern) } catch .invalidOption(_, _, let expected) {
        throw ValidationError("'\(pattern)' finds no names (expected \(expected))")
    }
    return Quantizer.TypeOverride(pattern: pattern, type: try weightType(String(text[text.index(after: equals)...])))
}

/// A type that weights can be quantised to, by its name, in any case.
private func weightType(_ name: String) throws -> GGMLType {
    let type = try tensorType(name)
    guard Quantizer.types.contains(type) else {
        throw ValidationError("'\(name)' is not a type that weights are quantised to, such as F16 or Q4_0")
    }
    return type
}
