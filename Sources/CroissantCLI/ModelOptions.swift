public import ArgumentParser
public import Croissant
import GGUF

/// How much is said on standard error.
struct OutputOptions: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Print results and errors only.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say more about what is done.")
    var verbose = false

    func validate() throws {
        if quiet && verbose { throw ValidationError("--quiet and --verbose contradict each other") }
    }
}

/// The options that say how a model is run, shared by every command that runs one.
struct RuntimeArguments: ParsableArguments {
    @Option(name: .shortAndLong, help: "Compute threads. (default: physical cores within the container's quota)")
    var threads: Int?

    @Option(
        name: [.customShort("b"), .customLong("batch-size")],
        help: "Prompt tokens per pass.")
    var batchSize = 512

    @Option(
        name: [.customLong("ctk", withSingleDash: true), .customLong("cache-type-k")],
        help: "Type of cached keys: f32, f16, bf16.", transform: tensorType)
    var keyType = GGMLType.f16

    @Option(
        name: [.customLong("ctv", withSingleDash: true), .customLong("cache-type-v")],
        help: "Type of cached values: f32, f16, bf16.", transform: tensorType)
    var valueType = GGMLType.f16

    @Option(
        help:
            "Where weights are: 'mapped' from the file, or 'resident' in huge-page memory. (default: resident where there is room)"
    )
    var weights: WeightPlacement?

    @Option(help: "How a batch is multiplied: auto, sgemm.")
    var prefill = Choice<PrefillMethod>.auto

    @Option(help: "What decode quantises activations to: auto, int8, int16, f32.")
    var activations = Choice<ActivationPrecision>.auto

    @Option(
        help:
            "Hard limit on weights, KV cache and scratch, such as 1.2GiB: refused before loading when it cannot hold.",
        transform: byteCount)
    var memoryBudget: ByteCount?

    @Option(
        help:
            "Force a kernel set: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")). (default: best found)"
    )
    var isa: InstructionSet?

    /// The options as the library takes them.
    func options(contextLength: Int?) -> RuntimeOptions {
        var options = RuntimeOptions(contextLength: contextLength)
        options.threads = threads
        options.batchSize = batchSize
        options.keyType = keyType
        options.valueType = valueType
        options.weights = weights
        options.prefill = prefill.value
        options.activations = activations.value
        options.memoryBudget = memoryBudget
        options.instructionSet = isa
        return options
    }
}

/// The model file and its context.
struct ModelArguments: ParsableArguments {
    @Option(
        name: .shortAndLong, help: ArgumentHelp("A .gguf file, or the first part of a split one.", valueName: "file"))
    var model: String?

    @Option(
        name: [.customShort("c"), .customLong("ctx-size")],
        help: "Context length in tokens. (default: the model's)")
    var contextLength: Int?

    /// The path of the model.
    func path() throws -> String {
        guard let model else {
            throw Failure(
                "no model: give a GGUF file with -m FILE",
                hint: "'croissant-gguf synthesize OUT.gguf' makes one with random weights")
        }
        return model
    }

    /// The model, loaded.
    func load(_ runtime: RuntimeArguments, output: OutputOptions, allLogits: Bool = false) throws -> Model {
        var options = runtime.options(contextLength: contextLength)
        options.allLogits = allLogits
        let model = try Model(contentsOf: try path(), options: options, isQuiet: output.quiet)
        if output.verbose { describe(model) }
        return model
    }

    private func describe(_ model: Model) {
        let plan = model.plan.items.map { "\($0.name) \(ByteCount($0.byteCount))" }.joined(separator: ", ")
        Console.note("kernels \(model.instructionSet.rawValue), \(model.threads) threads, BLAS \(Host.blasName)")
        Console.note("weights \(model.plan.weights.rawValue), context \(model.plan.contextLength); memory: \(plan)")
    }
}

extension Model {
    /// Loads a model with a progress bar.
    convenience init(contentsOf path: String, options: RuntimeOptions, isQuiet: Bool) throws {
        let file = try GGUFFile(path: path)
        let total = file.tensors.reduce(0) { $0 + $1.byteCount }
        let bar = ProgressBar("reading weights", total: total, isQuiet: isQuiet)
        defer { bar.finish() }
        try self.init(file, options: options) { bar.update($0) }
    }
}

/// A choice that may be left to the program.
enum Choice<Value: RawRepresentable & CaseIterable & Sendable>: ExpressibleByArgument, Sendable
where Value.RawValue == String {
    case auto
    case fixed(Value)

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else if let value = Value(rawValue: argument) {
            self = .fixed(value)
        } else {
            return nil
        }
    }

    /// The value, nil where the program chooses.
    var value: Value? {
        if case .fixed(let value) = self { value } else { nil }
    }

    static var allValueStrings: [String] { ["auto"] + Value.allCases.map(\.rawValue) }

    var defaultValueDescription: String {
        if case .fixed(let value) = self { value.rawValue } else { "auto" }
    }
}

extension PrefillMethod: ExpressibleByArgument {}

extension ActivationPrecision: ExpressibleByArgument {}
extension WeightPlacement: ExpressibleByArgument {}
extension InstructionSet: ExpressibleByArgument {}

/// A tensor type by its name, in any case.
func tensorType(_ name: String) throws -> GGMLType {
    guard let type = GGMLType(name: name) else {
        throw ValidationError("'\(name)' is not a tensor type, such as F16 or Q4_0")
    }
    return type
}

/// A size such as 1.2GiB.
func byteCount(_ text: String) throws -> ByteCount {
    guard let size = ByteCount(parsing: text) else {
        throw ValidationError("'\(text)' is not a size, such as 1.2GiB or 800MB")
    }
    return size
}
