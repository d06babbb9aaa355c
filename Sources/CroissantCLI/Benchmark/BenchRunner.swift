import Croissant
import GGUF

/// What was measured of one test.
struct BenchMeasurement {
    /// The counted runs.
    let runs: [BenchRun]
    /// The roofs of the threads in question, measured just before each counted run, and after the last one: the memory
    /// of a machine that is shared is faster in one second than in the next.
    let rooflines: [Roofline]
    /// Processes that ran or wanted to before, on average over a minute.
    let loadBefore: Double?
    /// Processors that others kept busy, and that the hypervisor gave away, during the counted runs.
    let others: (busy: Double, stolen: Double)?
    /// What the energy comes from.
    let energySource: EnergyMeter.Source
    /// The memory of the process after the counted runs.
    let memory: ProcessMemory
}

/// One run of a test.
struct BenchRun {
    /// From its beginning to its end.
    fileprivate(set) var seconds = 0.0
    /// From its beginning to its first logits, where it begins with a prompt.
    fileprivate(set) var firstTokenSeconds: Double?
    /// Of every token that was fed alone.
    fileprivate(set) var tokenSeconds: [Double] = []
    /// Energy that the machine used; nil where it cannot be told.
    fileprivate(set) var joules: Double?
}

/// Memory of this process in bytes, as the kernel counts it; nil where it does not say.
struct ProcessMemory {
    /// The most that was in use at one time since the model began to be loaded.
    let peak = HostMemory.peakResident
    /// The process's own.
    let anonymous = HostMemory.anonymous
    /// Pages of mapped files.
    let fileBacked = HostMemory.fileBacked
}

/// Runs tests in one session.
struct BenchRunner: ~Copyable {
    private var session: Session
    private let repetitions: Int
    private let isQuiet: Bool

    /// Seconds for each figure of a roofline: a few passes through the weights.
    private static let rooflineSeconds = 0.04

    /// A runner with a session of its own.
    init(_ model: Model, repetitions: Int, isQuiet: Bool) throws(ModelError) {
        session = try Session(model)
        self.repetitions = repetitions
        self.isQuiet = isQuiet
    }

    /// Measures one test; nil where the user has asked to stop: an unfinished test has no result.
    mutating func measure(_ test: BenchTest) throws -> BenchMeasurement? {
        var random = Xoshiro256(seed: 1)
        let size = Int32(session.model.configuration.vocabularySize)
        let tokens = (0..<test.positions).map { _ in Int32.random(in: 0..<size, using: &random) }
        let loadBefore = HostActivity.loadAverage
        session.rewind(to: 0)
        try fill(test, tokens)
        let bar = ProgressBar(test.name, total: repetitions + 1, isQuiet: isQuiet)
        defer { bar.finish() }
        // The first run touches memory and wakes threads: it is not counted.
        _ = try run(test, tokens)
        bar.update(1)
        let activity = HostActivity()
        var runs: [BenchRun] = []
        var rooflines: [Roofline] = []
        while runs.count < repetitions && !Interruption.isRequested {
            rooflines.append(roofline(of: test))
            runs.append(try run(test, tokens))
            bar.update(runs.count + 1)
        }
        guard !Interruption.isRequested else { return nil }
        let others = HostActivity().others(since: activity)
        return BenchMeasurement(
            runs: runs, rooflines: rooflines + [roofline(of: test)], loadBefore: loadBefore, others: others,
            energySource: EnergyMeter().source, memory: ProcessMemory())
    }

    private func roofline(of test: BenchTest) -> Roofline {
        session.model.measureRoofline(ofPrompt: test.prompt > 0, seconds: Self.rooflineSeconds)
    }

    /// Brings the context to the test's depth.
    private mutating func fill(_ test: BenchTest, _ tokens: [Int32]) throws {
        guard test.depth > 0 else { return }
        let bar = ProgressBar("\(test.name) context", total: test.depth, isQuiet: isQuiet)
        defer { bar.finish() }
        try session.evaluate(Array(tokens.prefix(test.depth)), logits: .none) { done in
            bar.update(done)
            return !Interruption.isRequested
        }
    }

    /// One run of a test, which an interruption ends early.
    private mutating func run(_ test: BenchTest, _ tokens: [Int32]) throws -> BenchRun {
        var result = BenchRun()
        guard !Interruption.isRequested else { return result }
        session.rewind(to: test.depth)
        let energy = EnergyMeter()
        let begin = ContinuousClock.now
        var last = begin
        if test.prompt > 0 {
            try session.evaluate(Array(tokens[test.depth..<test.depth + test.prompt])) { _ in
                !Interruption.isRequested
            }
            last = ContinuousClock.now
            result.firstTokenSeconds = (last - begin).seconds
        }
        for token in tokens.suffix(test.generation) where !Interruption.isRequested {
            try session.evaluate([token])
            let now = ContinuousClock.now
            result.tokenSeconds.append((now - last).seconds)
            last = now
        }
        result.seconds = (last - begin).seconds
        result.joules = energy.joules
        return result
    }
}
