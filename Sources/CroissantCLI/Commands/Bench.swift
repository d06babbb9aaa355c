import ArgumentParser
import Croissant
import Foundation
import GGUF
import TextTable

/// Measures tokens per second.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures tokens per second and memory.",
        discussion: """
            Every combination of the given lists is one test: prompt processing (pp) for each -p, text generation (tg) \
            for each -n. Without -m, a CroissantLLM-shaped model with random weights is made on the spot and removed \
            afterwards.
            """)

    @OptionGroup var model: ModelArguments

    @Option(
        name: [.customShort("p"), .customLong("n-prompt")], parsing: .next,
        help: "Prompt tokens, a comma-separated list; 0 for no such test.", transform: numbers)
    var prompt = Numbers([512])

    @Option(
        name: [.customShort("n"), .customLong("n-gen")],
        help: "Tokens to generate, a comma-separated list; 0 for no such test.", transform: numbers)
    var generate = Numbers([128])

    @Option(
        name: [.customShort("d"), .customLong("n-depth")],
        help: "Tokens already in the context, a comma-separated list.", transform: numbers)
    var depth = Numbers([0])

    @Option(
        name: [.customShort("r"), .customLong("repetitions")],
        help: "Counted runs of each test, after one that warms up.")
    var repetitions = 5

    @Option(help: "Type of the model that is made on the spot.", transform: tensorType)
    var type = GGMLType.q4_0

    @Option(name: .customShort("o"), help: "Output: md or json.")
    var format = OutputFormat.md

    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
        case md
        case json
    }

    func validate() throws {
        if repetitions < 1 { throw ValidationError("-r takes 1 or more, not \(repetitions)") }
        if tests.isEmpty { throw ValidationError("nothing to measure: -p and -n are both 0") }
    }

    /// One thing to measure.
    struct Test {
        enum Kind { case prompt, generation }

        let kind: Kind
        let tokens: Int
        let depth: Int

        /// Such as "pp512 @ d1024".
        var name: String {
            (kind == .prompt ? "pp" : "tg") + "\(tokens)" + (depth > 0 ? " @ d\(depth)" : "")
        }
    }

    private var tests: [Test] {
        depth.values.flatMap { depth in
            prompt.values.filter { $0 > 0 }.map { Test(kind: .prompt, tokens: $0, depth: depth) }
                + generate.values.filter { $0 > 0 }.map { Test(kind: .generation, tokens: $0, depth: depth) }
        }
    }

    func run() throws {
        defer { Temporary.removeAll() }
        let path = try model.model ?? makeModel()
        let longest = tests.map { $0.tokens + $0.depth }.max() ?? 1
        let options = runtime.options(contextLength: model.contextLength ?? longest)
        let loaded = try Model(contentsOf: path, options: options, isQuiet: output.quiet)
        for test in tests
        where test.tokens + test.depth > loaded.plan.contextLength
            || test.tokens + test.depth > loaded.configuration.contextLength
        {
            throw ModelError.contextExceeded(
                tokens: test.tokens + test.depth,
                capacity: min(loaded.plan.contextLength, loaded.configuration.contextLength))
        }
        var session = try Session(loaded)
        Interruption.beginPolling()
        var rows: [BenchRow] = []
        for test in tests where !Interruption.isRequested {
            let samples = try measure(test, &session)
            // An interrupted test has no row: its last run is not a whole one.
            if samples.count == repetitions {
                rows.append(BenchRow(test: test, samples: samples, model: loaded, options: options))
            }
        }
        try print(rows, loaded)
        try Interruption.check()
    }

    private func makeModel() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "croissant-gguf-bench-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        Temporary.add(folder.path())
        let path = folder.appending(path: "croissant-\(type.name).gguf").path()
        let synthesizer = try ModelSynthesizer(shape: .croissant, type: type)
        if !output.quiet {
            Console.note(
                "no model given: making a CroissantLLM-shaped one, \(type.name), \(ByteCount(synthesizer.tensorBytes))")
        }
        try synthesizer.write(to: path, threads: runtime.threads, output: output)
        return path
    }

    /// Seconds of each counted run.
    private func measure(_ test: Test, _ session: inout Session) throws -> [Double] {
        var random = Xoshiro256(seed: 1)
        let size = Int32(session.model.configuration.vocabularySize)
        let tokens = (0..<max(test.tokens, test.depth)).map { _ in Int32.random(in: 0..<size, using: &random) }
        session.rewind(to: 0)
        if test.depth > 0 {
            try session.evaluate(Array(tokens.prefix(test.depth)), logits: .none) { _ in !Interruption.isRequested }
        }
        guard session.position == test.depth else { return [] }
        let bar = ProgressBar(test.name, total: repetitions + 1, isQuiet: output.quiet)
        defer { bar.finish() }
        var samples: [Double] = []
        for repetition in 0...repetitions {
            session.rewind(to: test.depth)
            let begin = ContinuousClock.now
            switch test.kind {
            case .prompt:
                try session.evaluate(Array(tokens.prefix(test.tokens))) { _ in !Interruption.isRequested }
            case .generation:
                for token in tokens.prefix(test.tokens) {
                    try session.evaluate([token])
                    if Interruption.isRequested { break }
                }
            }
            if Interruption.isRequested { return samples }
            // The first run touches memory and wakes threads: it is not counted.
            if repetition > 0 { samples.append((ContinuousClock.now - begin).seconds) }
            bar.update(repetition + 1)
        }
        return samples
    }

    private func print(_ rows: [BenchRow], _ model: Model) throws {
        switch format {
        case .json: try Console.writeJSON(rows)
        case .md:
            let table = TextTable<BenchRow> {
                [
                    Column("model" <- $0.model.escaped),
                    Column("size" <- ByteCount($0.modelBytes).description, align: .right),
                    Column("params" <- $0.parameters.abbreviated, align: .right),
                    Column("threads" <- $0.threads, align: .right),
                    Column("type_k" <- $0.keyType), Column("test" <- $0.test, align: .right),
                    Column(
                        "t/s" <- "\($0.mean.formatted(places: 2)) ± \($0.standardDeviation.formatted(places: 2))",
                        align: .right),
                    Column(
                        "peak memory" <- ($0.peakMemory.map { ByteCount($0).description } ?? "unknown"), align: .right),
                ]
            }
            try Console.writeLine(table.string(for: rows, style: Style.pipe) ?? "")
            if !output.quiet {
                Console.note(
                    "kernels \(model.instructionSet.rawValue), BLAS \(Host.blasName), weights \(model.plan.weights.rawValue), planned memory \(ByteCount(model.plan.byteCount))"
                )
            }
        }
    }
}

/// The result of one test.
struct BenchRow: Encodable {
    let model: String
    let modelBytes: Int
    let parameters: Int
    let threads: Int
    let batchSize: Int
    let keyType: String
    let valueType: String
    let kernels: String
    let weights: String
    let test: String
    /// Tokens a second of each run.
    let samples: [Double]
    let mean: Double
    let standardDeviation: Double
    let median: Double
    let plannedMemory: Int
    let peakMemory: Int?

    init(test: Bench.Test, samples seconds: [Double], model: Model, options: RuntimeOptions) {
        self.model = model.file.metadata["general.name"]?.asString ?? model.file.path
        modelBytes = model.weightBytes
        parameters = model.parameterCount
        threads = model.threads
        batchSize = model.plan.batchSize
        keyType = options.keyType.name
        valueType = options.valueType.name
        kernels = model.instructionSet.rawValue
        weights = model.plan.weights.rawValue
        self.test = test.name
        samples = seconds.map { Double(test.tokens) / $0 }
        let mean = samples.reduce(0, +) / Double(samples.count)
        self.mean = mean
        let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        standardDeviation = samples.count > 1 ? (squares / Double(samples.count - 1)).squareRoot() : 0
        let sorted = samples.sorted()
        median = (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
        plannedMemory = model.plan.byteCount
        peakMemory = HostMemory.peakResident
    }
}

/// A comma-separated list of numbers.
struct Numbers: CustomStringConvertible {
    let values: [Int]

    init(_ values: [Int]) { self.values = values }

    var description: String { values.map(String.init).joined(separator: ",") }
}

/// Reads such a list.
private func numbers(_ text: String) throws -> Numbers {
    let values = try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
        guard let value = Int(word), value >= 0, value <= 1 << 24 else {
            throw ValidationError("'\(text)' is not a list of numbers, such as 128,512")
        }
        return value
    }
    return Numbers(values)
}
