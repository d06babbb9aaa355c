import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Measures tokens per second.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures tokens per second and memory.",
        discussion: """
            There is a test of prompt processing (pp) for each -p, of text generation (tg) for each -n, and of both \
            together for each -pg: at each depth, for each model, with each combination of the runtime options. Lists \
            look like 128,512 or 256-1024+256 (in steps of 256) or 128-2048*2 (doubling). Without -m, a \
            CroissantLLM-shaped model with random weights is made on the spot and removed afterwards.

            MBU, model bandwidth utilisation, is for generation: the bytes of weights and cache that it reads a \
            second, as a share of what the same threads typically read from memory. "Of peak" is for prompts: their \
            operations a second, as a share of the most that these threads reach. Both limits are measured before and \
            after each run.
            """)

    @Option(
        name: [.short, .customLong("model")],
        help: ArgumentHelp(
            "A .gguf file, or the first part of a split one; may be repeated.", valueName: "file"), completion: .model)
    var models: [String] = []

    @Option(
        name: [.customShort("p"), .customLong("n-prompt")], parsing: .unconditional,
        help: ArgumentHelp("Prompt tokens; 0 for no such test. (default: 512)", valueName: "list"),
        transform: NumberList.init)
    var prompt = NumberList([512])

    @Option(
        name: [.customShort("n"), .customLong("n-gen")], parsing: .unconditional,
        help: ArgumentHelp("Tokens to generate; 0 for no such test. (default: 128)", valueName: "list"),
        transform: NumberList.init)
    var generate = NumberList([128])

    @Option(
        name: .customLong("pg", withSingleDash: true),
        help: ArgumentHelp(
            "A prompt and tokens to generate after it, timed as one; may be repeated.", valueName: "p,n"),
        transform: BenchTest.promptAndGeneration)
    var both: [BenchTest] = []

    @Option(
        name: [.customShort("d"), .customLong("n-depth")], parsing: .unconditional,
        help: ArgumentHelp("Tokens already in the context. (default: 0)", valueName: "list"),
        transform: NumberList.init)
    var depth = NumberList([0])

    @Option(
        name: [.customShort("r"), .customLong("repetitions")], parsing: .unconditional,
        help: ArgumentHelp("Runs of each test that count, after one that warms up.", valueName: "n"))
    var repetitions = 5

    @Option(
        help: ArgumentHelp("Type of the model that is made on the spot. (default: Q4_0)", valueName: "type"),
        completion: .types, transform: quantizationMix)
    var type: QuantizationMix?

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("Form of the result. (default: md)", valueName: "form"))
    var form: BenchForm?

    @Flag(help: "Print a JSON document: the same as -o json.")
    var json = false

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Measure nothing: print what was saved with -o json or -o jsonl in the form of -o.", valueName: "file"),
        completion: .file())
    var show: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Measure nothing: compare what was saved in two files, the speeds of the second as multiples of the first's.",
            valueName: "file"), completion: .file())
    var compare: [String] = []

    @OptionGroup(title: "Runtime") var settings: BenchSettings
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try requireRange("--repetitions", repetitions, 1...1 << 20)
        if tests.isEmpty { throw ValidationError("nothing to measure: -p and -n are both 0") }
        if models.contains("") { throw ValidationError("the path after -m is empty (expected a GGUF file)") }
        if type != nil && !models.isEmpty {
            throw ValidationError("--type is that of a model made on the spot, and -m names a file: use one of them")
        }
        if json && form != nil && form != .json { throw ValidationError("--json and -o ask for different forms") }
        if ![0, 2].contains(compare.count) {
            throw ValidationError("--compare: expected two files, found \(compare.count)")
        }
        if !compare.isEmpty && ![nil, .md, .json].contains(form) {
            throw ValidationError("--compare: expected -o md or json")
        }
        if [!models.isEmpty, !show.isEmpty, !compare.isEmpty].count(where: { $0 }) > 1 {
            throw ValidationError("-m measures, --show and --compare read what was measured: use one of them")
        }
    }

    private var tests: [BenchTest] {
        depth.values.flatMap { depth in
            let pairs =
                prompt.values.map { ($0, 0) } + generate.values.map { (0, $0) }
                + both.map { ($0.prompt, $0.generation) }
            return pairs.filter { $0.0 + $0.1 > 0 }.map { BenchTest(prompt: $0.0, generation: $0.1, depth: depth) }
        }
    }

    func run() throws {
        if !compare.isEmpty {
            let comparison = try BenchComparison.read(compare[0], compare[1])
            return try json || form == .json
                ? Console.writeJSON(comparison) : Console.writeLine(comparison.text)
        }
        var report = BenchReport(form: json ? .json : form ?? .md, budget: settings.memoryBudget?.bytes)
        if show.isEmpty { try measure(into: &report) } else { try show(in: &report) }
        try report.finish()
        try Interruption.check()
    }

    /// Rows of saved results.
    private func show(in report: inout BenchReport) throws {
        for path in show {
            for row in try SavedResult.read(path, as: BenchRow.self) { try report.add(row) }
        }
    }

    /// All tests of all models.
    private func measure(into report: inout BenchReport) throws {
        defer { Temporary.removeAll() }
        let combinations = settings.combinations(defaultContext: tests.map(\.positions).max())
        let paths = try models.isEmpty ? [makeModel()] : models
        // A file that cannot be loaded is found before hours have gone into the one before it.
        for path in paths { try check(path, combinations) }
        defer { Interruption.setPolled(false) }
        for path in paths {
            // Read before anything is measured, and only where it is printed.
            let isPrinted = ![.md, .svg].contains(report.form) && !models.isEmpty
            let digest = isPrinted ? try FileDigest.sha256(of: path) : nil
            for options in combinations where !Interruption.isRequested {
                try measure(path, digest, options, into: &report)
            }
        }
    }

    /// Refuses what cannot be measured: a file that is none, or a context that cannot hold the tests.
    private func check(_ path: String, _ combinations: [RuntimeOptions]) throws {
        let file = try GGUFFile(path: path)
        let trained = try ModelConfiguration(file: file).contextLength
        for options in combinations {
            let capacity = min(options.contextLength ?? trained, trained)
            if let test = tests.first(where: { $0.positions > capacity }) {
                throw ModelError.contextExceeded(tokens: test.positions, capacity: capacity)
            }
            _ = try MemoryPlan(file: file, options: options)
        }
    }

    /// Loads a model with one combination of options, and measures all tests.
    private func measure(
        _ path: String, _ digest: String?, _ options: RuntimeOptions, into report: inout BenchReport
    ) throws {
        Host.resetPeakMemory()
        Interruption.setPolled(false)
        let begin = ContinuousClock.now
        let model = try Model.load(try GGUFFile(path: path), options, output: output)
        let source = BenchSource(
            path: models.isEmpty ? nil : path, sha256: digest, loadSeconds: (ContinuousClock.now - begin).seconds)
        Interruption.setPolled(true)
        if !output.quiet && !output.verbose {
            Console.note(
                "kernels \(model.instructionSet.rawValue), BLAS \(Host.blasName), weights \(model.plan.weights.rawValue), "
                    + "planned memory \(ByteCount(model.plan.byteCount))")
        }
        var runner = try BenchRunner(model, repetitions: repetitions, isQuiet: output.quiet)
        for test in tests where !Interruption.isRequested {
            guard let measured = try runner.measure(test) else { continue }
            let row = BenchRow(test, measured, of: model, source)
            try report.add(row)
            if !output.quiet {
                for reason in row.noise { Console.warn("\(test.name): noisy: \(reason)") }
            }
        }
    }

    private func makeModel() throws -> String {
        let type = type ?? QuantizationMix(.q4_0)
        let synthesizer = try ModelSynthesizer(shape: .croissant, mix: type)
        // From here on there is a folder that must not stay: whoever interrupts is heard by the synthesis.
        Interruption.setPolled(true)
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "croissant-gguf-bench-\(ProcessInfo.processInfo.processIdentifier)")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure("cannot create folder: \(folder.path())", hint: "TMPDIR names the folder for temporary files")
        }
        Temporary.add(folder.path())
        let path = folder.appending(path: "croissant-\(type.name).gguf").path()
        if !output.quiet {
            Console.note(
                "no model given: making a CroissantLLM-shaped one, \(type.name), \(ByteCount(synthesizer.tensorBytes))")
        }
        try synthesizer.write(to: path, threads: settings.threads?.values.max(), output: output)
        return path
    }
}

/// The form of a benchmark's result.
enum BenchForm: String, ExpressibleByArgument, CaseIterable {
    /// A table for people, in Markdown.
    case md
    /// One array of objects.
    case json
    /// One object a line, each as soon as its test is done.
    case jsonl
    /// Comma-separated; lines as soon as their tests are done.
    case csv
    /// Statements that make a table and fill it; each as soon as its test is done.
    case sql
    /// A picture of speed against memory.
    case svg
}
