import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Measures tokens per second.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures tokens per second and memory.",
        discussion: """
            Every combination of the given lists is one test: prompt processing (pp) for each -p, text generation (tg) \
            for each -n, both together for each -pg, at each depth. Lists look like 128,512 or 256-1024+256 or \
            128-2048*2. Without -m, a CroissantLLM-shaped model with random weights is made on the spot and removed \
            afterwards.
            """)

    @OptionGroup var model: ModelArguments

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
        transform: promptAndGeneration)
    var both: [BenchTest] = []

    @Option(
        name: [.customShort("d"), .customLong("n-depth")], parsing: .unconditional,
        help: ArgumentHelp("Tokens already in the context. (default: 0)", valueName: "list"),
        transform: NumberList.init)
    var depth = NumberList([0])

    @Option(
        name: [.customShort("r"), .customLong("repetitions")], parsing: .unconditional,
        help: ArgumentHelp("Counted runs of each test, after one that warms up.", valueName: "n"))
    var repetitions = 5

    @Option(
        help: ArgumentHelp("Type of the model that is made on the spot. (default: Q4_0)", valueName: "type"),
        transform: quantizationMix)
    var type: QuantizationMix?

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: ArgumentHelp("Form of the result. (default: md)", valueName: "form"))
    var form: OutputForm?

    @Flag(help: "Print a JSON document: the same as -o json.")
    var json = false

    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    /// The form of the result.
    enum OutputForm: String, ExpressibleByArgument, CaseIterable {
        /// A table for people, in Markdown.
        case md
        /// One array of objects.
        case json
        /// One object a line, each as soon as its test is done.
        case jsonl
        /// Comma-separated, without the samples; lines as soon as their tests are done.
        case csv
    }

    func validate() throws {
        try requireRange("--repetitions", repetitions, 1...1 << 20)
        if tests.isEmpty { throw ValidationError("nothing to measure: -p and -n are both 0") }
        if type != nil && model.model != nil {
            throw ValidationError("--type is that of a model made on the spot, and -m names a file: use one of them")
        }
        if json && form != nil && form != .json { throw ValidationError("--json and -o ask for different forms") }
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
        defer { Temporary.removeAll() }
        let path = try model.model ?? makeModel()
        let options = runtime.options(defaultContext: tests.map(\.positions).max())
        let file = try GGUFFile(path: path)
        // Known before the weights are read.
        let trained = try ModelConfiguration(file: file).contextLength
        let capacity = min(options.contextLength ?? trained, trained)
        if let test = tests.first(where: { $0.positions > capacity }) {
            throw ModelError.contextExceeded(tokens: test.positions, capacity: capacity)
        }
        let loaded = try Model.load(file, options, output: output)
        var session = try Session(loaded)
        var report = BenchReport(form: json ? .json : form ?? .md)
        Interruption.setPolled(true)
        for test in tests where !Interruption.isRequested {
            let seconds = try measure(test, &session)
            // An interrupted test has no row: its last run is not a whole one.
            if seconds.count == repetitions {
                try report.add(BenchRow(test: test, seconds: seconds, model: loaded, options: options))
            }
        }
        try report.finish()
        if !output.quiet && !output.verbose {
            Console.note(
                "kernels \(loaded.instructionSet.rawValue), BLAS \(Host.blasName), weights \(loaded.plan.weights.rawValue), "
                    + "planned memory \(ByteCount(loaded.plan.byteCount))")
        }
        try Interruption.check()
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
        try synthesizer.write(to: path, threads: runtime.threads, output: output)
        return path
    }

    /// Seconds of each counted run; fewer where the user has asked to stop.
    private func measure(_ test: BenchTest, _ session: inout Session) throws -> [Double] {
        var random = Xoshiro256(seed: 1)
        let size = Int32(session.model.configuration.vocabularySize)
        let tokens = (0..<test.positions).map { _ in Int32.random(in: 0..<size, using: &random) }
        session.rewind(to: 0)
        if test.depth > 0 {
            let bar = ProgressBar("\(test.name) context", total: test.depth, isQuiet: output.quiet)
            defer { bar.finish() }
            try session.evaluate(Array(tokens.prefix(test.depth)), logits: .none) { done in
                bar.update(done)
                return !Interruption.isRequested
            }
        }
        if Interruption.isRequested { return [] }
        let bar = ProgressBar(test.name, total: repetitions + 1, isQuiet: output.quiet)
        defer { bar.finish() }
        var seconds: [Double] = []
        for repetition in 0...repetitions {
            session.rewind(to: test.depth)
            let begin = ContinuousClock.now
            if test.prompt > 0 {
                try session.evaluate(Array(tokens[test.depth..<test.depth + test.prompt])) { _ in
                    !Interruption.isRequested
                }
            }
            for token in tokens.suffix(test.generation) where !Interruption.isRequested {
                try session.evaluate([token])
            }
            if Interruption.isRequested { break }
            // The first run touches memory and wakes threads: it is not counted.
            if repetition > 0 { seconds.append((ContinuousClock.now - begin).seconds) }
            bar.update(repetition + 1)
        }
        return seconds
    }
}

/// Reads "512,128".
private func promptAndGeneration(_ text: String) throws -> BenchTest {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let prompt = parts[0], let generation = parts[1], NumberList.range.contains(prompt),
        NumberList.range.contains(generation), prompt + generation > 0
    else { throw ValidationError("'\(text)' is not a prompt length and a number of tokens, such as 512,128") }
    return BenchTest(prompt: prompt, generation: generation, depth: 0)
}
