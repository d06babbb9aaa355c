import Croissant
import GGUF

/// What was measured of one test.
struct BenchMeasurement {
    /// Seconds of each counted run.
    fileprivate(set) var seconds: [Double] = []
    /// Seconds from the beginning of each counted run to its first logits, where it begins with a prompt.
    fileprivate(set) var firstTokenSeconds: [Double] = []
    /// Seconds of every token that was fed alone, in all counted runs.
    fileprivate(set) var tokenSeconds: [Double] = []
    /// The roofs of the threads in question, measured just before each counted run, and after the last one: the memory
    /// of a machine that is shared is faster in one second than in the next.
    fileprivate(set) var rooflines: [Roofline] = []
    /// Processes that ran or wanted to before, on average over a minute.
    fileprivate(set) var loadBefore: Double?
    /// Processors that others kept busy, and that the hypervisor gave away, during the counted runs.
    fileprivate(set) var others: (busy: Double, stolen: Double)?
    /// What the energy comes from.
    fileprivate(set) var energySource = EnergyMeter.Source.unavailable
    /// Of the counted runs.
    fileprivate(set) var joules: Double?
    /// The memory of the process after the counted runs.
    fileprivate(set) var memory = ProcessMemory()
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
        var result = BenchMeasurement()
        result.loadBefore = loadBefore
        let bar = ProgressBar(test.name, total: repetitions + 1, isQuiet: isQuiet)
        defer { bar.finish() }
        // The first run touches memory and wakes threads: it is not counted.
        var warmUp = BenchMeasurement()
        try run(test, tokens, into: &warmUp)
        bar.update(1)
        let activity = HostActivity()
        let energy = EnergyMeter()
        for repetition in 0..<repetitions where !Interruption.isRequested {
            result.rooflines.append(roofline(of: test))
            try run(test, tokens, into: &result)
            bar.update(repetition + 2)
        }
        guard !Interruption.isRequested else { return nil }
        result.joules = energy.joules
        result.energySource = energy.source
        result.others = HostActivity().others(since: activity)
        result.memory = ProcessMemory()
        result.rooflines.append(roofline(of: test))
        return result
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
    private mutating func run(_ test: BenchTest, _ tokens: [Int32], into result: inout BenchMeasurement) throws {
        guard !Interruption.isRequested else { return }
        session.rewind(to: test.depth)
        let begin = ContinuousClock.now
        var last = begin
        if test.prompt > 0 {
            try session.evaluate(Array(tokens[test.depth..<test.depth + test.prompt])) { _ in
                !Interruption.isRequested
            }
            last = ContinuousClock.now
            result.firstTokenSeconds.append((last - begin).seconds)
        }
        for token in tokens.suffix(test.generation) where !Interruption.isRequested {
            try session.evaluate([token])
            let now = ContinuousClock.now
            result.tokenSeconds.append((now - last).seconds)
            last = now
        }
        result.seconds.append((last - begin).seconds)
    }
}
