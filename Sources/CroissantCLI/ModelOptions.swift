public import ArgumentParser
public import Croissant
import DemonstrationModel
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
    @Option(
        name: [.customShort("c"), .customLong("ctx-size")], parsing: .unconditional,
        help: ArgumentHelp("Context length in tokens; 0 for the model's, or 512 for perplexity.", valueName: "n"))
    var contextLength = 0

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Compute threads. (default: physical cores within the container's quota)", valueName: "n"))
    var threads: Int?

    @Option(
        name: [.customLong("tb", withSingleDash: true), .customLong("threads-batch")], parsing: .unconditional,
        help: ArgumentHelp("Compute threads for batches of a prompt. (default: those of -t)", valueName: "n"))
    var promptThreads: Int?

    @Option(
        name: [.customShort("b"), .customLong("batch-size")], parsing: .unconditional,
        help: ArgumentHelp("Prompt tokens per pass.", valueName: "n"))
    var batchSize = 512

    @Option(
        name: [.customLong("ctk", withSingleDash: true), .customLong("cache-type-k")],
        help: ArgumentHelp("Type of cached keys: f32, f16, bf16, q8_0, q4_0. (default: f16)", valueName: "type"),
        transform: cacheType)
    var keyType = GGMLType.f16

    @Option(
        name: [.customLong("ctv", withSingleDash: true), .customLong("cache-type-v")],
        help: ArgumentHelp("Type of cached values: f32, f16, bf16, q8_0, q4_0. (default: f16)", valueName: "type"),
        transform: cacheType)
    var valueType = GGMLType.f16

    @Option(
        help: ArgumentHelp(
            "Where weights are: mapped from the file, or resident in huge-page memory. (default: resident where there is room)",
            valueName: "place"))
    var weights: WeightPlacement?

    @Option(help: ArgumentHelp("How a batch is multiplied.", valueName: "how"))
    var prefill = Choice<PrefillMethod>.auto

    @Option(help: ArgumentHelp("What decode quantises activations to.", valueName: "type"))
    var activations = Choice<ActivationPrecision>.auto

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Hard limit on the memory of the process, such as 1.2GiB: what would exceed it is refused before it is loaded.",
            valueName: "size"),
        transform: byteCount)
    var memoryBudget: ByteCount?

    @Option(help: ArgumentHelp("Force a kernel set. (default: best found)", valueName: "name"))
    var isa: InstructionSet?

    func validate() throws {
        try requireRange("--ctx-size", contextLength, 0...1 << 24)
        try requireThreads(threads)
        try requireThreads(promptThreads, "--threads-batch")
        try requireRange("--batch-size", batchSize, 1...1 << 16)
    }

    /// The options as the library takes them.
    ///
    /// - Parameter defaultContext: the context length where the user gave none; the model's when nil.
    func options(defaultContext: Int? = nil) -> RuntimeOptions {
        var options = RuntimeOptions(contextLength: contextLength == 0 ? defaultContext : contextLength)
        options.threads = threads
        options.promptThreads = promptThreads
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

/// The model file of a command that runs it.
struct ModelArguments: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "A .gguf file, or the first part of a split one. (default: the built-in demonstration model)",
            valueName: "file"), completion: .model)
    var model: String?

    @Option(
        help: ArgumentHelp("A tokenizer.json to use in place of the file's tokenizer.", valueName: "file"),
        completion: .file())
    var tokenizer: String?

    /// Opens the model, with the tokenizer that is to be used.
    ///
    /// - Parameter quiet: whether nothing is said about tokens that the model does not have.
    func open(quiet: Bool = false) throws -> GGUFFile {
        try check()
        let file = try model.map { path throws(GGUFError) in try GGUFFile(path: path) } ?? GGUFFile.demonstration()
        guard let tokenizer else { return file }
        let override = try TokenizerOverride(file, tokenizer: tokenizer)
        if !quiet { for warning in override.warnings { Console.warn(warning) } }
        return override.file
    }

    /// Refuses paths that name nothing, before a prompt is waited for.
    func check() throws {
        if model == "" { throw Failure("no model: the path after -m is empty (expected a GGUF file)") }
        if tokenizer == "" {
            throw Failure("no tokenizer: the path after --tokenizer is empty (expected a tokenizer.json)")
        }
    }
}

/// The file of a command that looks at it.
struct FileArgument: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A .gguf file, or the first part of a split one. (default: the built-in demonstration model)",
            valueName: "file"), completion: .model)
    var file: String?

    func open() throws -> GGUFFile {
        try file.map { path throws(GGUFError) in try GGUFFile(path: path) } ?? GGUFFile.demonstration()
    }
}

extension Model {
    /// Loads a model with a progress bar, and says what a user should know about it.
    static func load(_ file: GGUFFile, _ options: RuntimeOptions, output: OutputOptions) throws -> Model {
        let bytes = file.tensorBytes
        let bar = ProgressBar("reading weights", total: bytes, isQuiet: output.quiet)
        let model: Model
        do {
            defer { bar.finish() }
            model = try Model(file, options: options) { bar.update($0) }
        }
        if output.verbose { model.describe() }
        if !output.quiet {
            for key in model.configuration.unknownKeys { Console.warn("unknown key: \(key.escaped) is ignored") }
            model.warnAboutPlan()
        }
        return model
    }

    private func describe() {
        Console.note("kernels \(instructionSet.rawValue), \(threads) threads, BLAS \(Host.blasName)")
        Console.note(
            "context \(plan.contextLength), weights \(plan.weights.rawValue), planned memory \(ByteCount(plan.byteCount)):"
        )
        for item in plan.items { Console.note("  \(item.name) \(ByteCount(item.byteCount))") }
    }

    private func warnAboutPlan() {
        if plan.contextLength > configuration.contextLength {
            Console.warn(
                "context \(plan.contextLength) is longer than the \(configuration.contextLength) the model was trained for"
            )
        }
        // The weights are there by now; the rest comes with the session.
        if let available = HostMemory.available, plan.sessionBytes > available {
            Console.warn(
                "the plan needs \(ByteCount(plan.sessionBytes)) beside the weights, and this machine has \(ByteCount(available)) left: a smaller context (-c) needs less"
            )
        }
    }
}

/// A choice that may be left to the program.
enum Choice<Value: RawRepresentable & CaseIterable & Sendable>: ExpressibleByArgument, Sendable
where Value.RawValue == String {
    /// The program chooses.
    case auto
    /// The user has chosen.
    case fixed(Value)

    /// Reads "auto" or the raw value of a choice.
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
extension Quantizer.Calibration.Method: ExpressibleByArgument {}

/// A type of cached keys or values by its name, in any case.
func cacheType(_ name: String) throws -> GGMLType {
    let known = Kernels.cacheTypes
    guard let type = GGMLType(name: name), known.contains(type) else {
        let names = known.map { $0.name.lowercased() }.joined(separator: ", ")
        throw ValidationError("'\(name)' is not a type of cached keys or values: expected \(names)")
    }
    return type
}

/// A tensor type by its name, in any case.
func tensorType(_ name: String) throws -> GGMLType {
    guard let type = GGMLType(name: name) else {
        throw ValidationError("'\(name)' is not a tensor type, such as F16 or Q4_0")
    }
    return type
}

extension CompletionKind {
    /// Files with models.
    static var model: CompletionKind { .file(extensions: ["gguf"]) }

    /// What the matrices of a file are quantised to.
    static var types: CompletionKind { .list(ModelSynthesizer.mixes.map(\.name)) }

    /// What one matrix is quantised to.
    static var weightTypes: CompletionKind { .list(Quantizer.types.map(\.name)) }
}

/// What matrices are quantised to, by the name of a published file type or of a tensor type, in any case.
func quantizationMix(_ name: String) throws -> QuantizationMix {
    guard let mix = QuantizationMix(name: name) else {
        throw ValidationError("'\(name)' is not a type of files or tensors, such as Q4_K_M or F16")
    }
    return mix
}

/// A size such as 1.2GiB.
func byteCount(_ text: String) throws -> ByteCount {
    guard let size = ByteCount(parsing: text) else {
        throw ValidationError("'\(text)' is not a size, such as 1.2GiB or 800MB")
    }
    return size
}

/// Refuses a number outside its range.
func requireRange(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
        throw ValidationError("\(option): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
    }
}

/// The threads of a command that runs no model.
struct ThreadOption: ParsableArguments {
    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Threads. (default: physical cores within the container's quota)", valueName: "n"))
    var threads: Int?

    func validate() throws { try requireThreads(threads) }
}

/// Refuses a number of threads that no pool takes.
func requireThreads(_ threads: Int?, _ option: String = "--threads") throws {
    if let threads { try requireRange(option, threads, 1...ThreadPool.maximumThreads) }
}
