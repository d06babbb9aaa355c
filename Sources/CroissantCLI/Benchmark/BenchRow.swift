import Croissant
import Foundation
import GGUF

/// The result of one test, under the names that JSON and tables have.
struct BenchRow: Codable, SavedRow {
    /// `general.name` of the file, or its path.
    let model: String
    /// The path as it was given; nil for a model that was made on the spot.
    let file: String?
    /// SHA-256 of the file, or of the first part of a split one, in hexadecimal; nil for a model that was made on the
    /// spot.
    let sha256: String?
    /// The name of the file's type, such as "Q4_K_M"; nil where the file does not say.
    let fileType: String?
    /// Bytes of all tensors.
    let modelBytes: Int
    /// Bytes of the tensors of each type.
    let typeBytes: [String: Int]
    /// Weights of all tensors.
    let parameters: Int
    /// Compute threads.
    let threads: Int
    /// Compute threads for batches.
    let promptThreads: Int
    /// Prompt tokens in a pass.
    let batchSize: Int
    /// Positions that the KV cache holds.
    let contextLength: Int
    /// Type of cached keys.
    let keyType: String
    /// Type of cached values.
    let valueType: String
    /// The instruction set in use.
    let kernels: String
    /// Where the weights are.
    let weights: String
    /// How batches are multiplied.
    let prefill: String
    /// What decode rounds activations to.
    let activations: String
    /// Seconds from opening the file to weights in memory.
    let loadSeconds: Double

    /// The test's name, such as "pp512".
    let test: String
    /// Tokens fed as a batch.
    let prompt: Int
    /// Tokens fed one by one.
    let generation: Int
    /// Tokens in the context before.
    let depth: Int
    /// Tokens a second of each run.
    let samples: [Double]
    /// Of the samples.
    let mean: Double
    /// Of the samples, with n - 1; 0 for a single one.
    let standardDeviation: Double
    /// Of the samples.
    let median: Double
    /// Seconds a token, of all tokens that were fed alone; nil where there were none.
    let tokenLatency: Latency?
    /// Seconds to the first logits, the median of all runs; nil without a prompt.
    let timeToFirstToken: Double?

    /// Bytes a second read from memory, at best and typically, and operations a second on floats and bytes at best.
    let roofline: Roofline
    /// Model bandwidth utilisation: bytes of weights and cache that a run read a second, as a share of what the same
    /// threads read just before and just after it, typically; the median of all runs. Nil for a prompt, which is not
    /// bound by it.
    let bandwidthUtilisation: Double?
    /// Operations a second, a product and its addition being two.
    let operations: Double
    /// Operations as a share of the roof of the numbers that are multiplied, bytes where activations are, else floats, just
    /// before and just after a run; the median of all runs. Nil for generation, and for activations of 16 bits.
    let peakShare: Double?

    /// What the memory plan says, in bytes.
    let plannedMemory: Int
    /// The limit: that of `--memory-budget`, or the plan's.
    let memoryBudget: Int
    /// Whether the peak is within it; nil where the kernel does not say how much it was.
    let withinBudget: Bool?
    /// The most memory that the process has had since it began to load this model, in bytes.
    let peakMemory: Int?
    /// The process's own, after the runs.
    let anonymousMemory: Int?
    /// Pages of mapped files, after the runs.
    let fileBackedMemory: Int?

    /// Where `energyPerToken` comes from: "rapl", "battery" or "unavailable".
    let energySource: EnergyMeter.Source
    /// Joules.
    let energyPerToken: Double?
    /// The second half of the runs against the first: below 1 where the machine became slower, as it does when it is too
    /// hot. Nil for fewer than four runs.
    let drift: Double?
    /// Why the figures are not to be trusted; empty for a quiet machine.
    let noise: [String]
    /// The machine.
    let host: HostFacts
    /// The commit that the program was built from; nil where that is not known.
    let commit: String?
    /// When the test ended, as ISO 8601 writes it; nil in results of older versions.
    let date: String?

    /// The model's name with its type, where the name does not say it.
    var title: String {
        guard let fileType, !model.contains(fileType) else { return model }
        return "\(model) \(fileType)"
    }

    /// Seconds a token.
    struct Latency: Codable {
        /// A tenth of the tokens took less.
        let p10: Double
        /// The median.
        let p50: Double
        /// A tenth of the tokens took more.
        let p90: Double

        /// Of some tokens; nil without any.
        fileprivate init?(_ seconds: [Double]) {
            guard !seconds.isEmpty else { return nil }
            let statistics = Statistics(seconds)
            (p10, p50, p90) = (statistics.quantile(0.1), statistics.median, statistics.quantile(0.9))
        }
    }

    /// The row of a test of `model`.
    init(_ test: BenchTest, _ measured: BenchMeasurement, of model: Model, _ source: BenchSource) {
        let options = model.options
        let plan = model.plan
        self.model = model.file.metadata["general.name"]?.asString ?? model.file.path
        file = source.path
        sha256 = source.sha256
        fileType = model.file.fileType?.shortName
        modelBytes = model.weightBytes
        typeBytes = model.file.tensors.reduce(into: [:]) { $0[$1.type.name, default: 0] += $1.byteCount }
        parameters = model.parameterCount
        threads = model.threads
        promptThreads = model.promptThreads
        batchSize = plan.batchSize
        contextLength = plan.contextLength
        keyType = options.keyType.name
        valueType = options.valueType.name
        kernels = model.instructionSet.rawValue
        weights = plan.weights.rawValue
        prefill = plan.prefill.rawValue
        activations = plan.precision.rawValue
        loadSeconds = source.loadSeconds

        self.test = test.name
        prompt = test.prompt
        generation = test.generation
        depth = test.depth
        samples = measured.runs.map { Double(test.tokens) / $0.seconds }
        let statistics = Statistics(samples)
        mean = statistics.mean
        standardDeviation = statistics.standardDeviation
        median = statistics.median
        tokenLatency = Latency(measured.runs.flatMap(\.tokenSeconds))
        let firstTokens = measured.runs.compactMap(\.firstTokenSeconds)
        timeToFirstToken = firstTokens.isEmpty ? nil : Statistics(firstTokens).median

        let roofs = measured.rooflines
        let roofline = Roofline.best(of: roofs)
        self.roofline = roofline
        let around = measured.runs.indices.map { Roofline.best(of: roofs[$0...$0 + 1]) }
        let cost = TestCost(test, of: model)
        bandwidthUtilisation =
            test.prompt == 0 && roofline.readBytes > 0
            ? Statistics(zip(samples, around).map { cost.bytesPerToken * $0 / $1.typicalReadBytes }).median : nil
        operations = cost.operationsPerToken * median
        let peakShares = zip(samples, around).compactMap { speed, roof in
            model.promptRoof(roof).map { cost.operationsPerToken * speed / $0 }
        }
        peakShare = test.generation == 0 && !peakShares.isEmpty ? Statistics(peakShares).median : nil

        plannedMemory = plan.byteCount
        memoryBudget = options.memoryBudget?.bytes ?? plan.byteCount
        peakMemory = measured.memory.peak
        anonymousMemory = measured.memory.anonymous
        fileBackedMemory = measured.memory.fileBacked
        withinBudget = peakMemory.map { [memoryBudget] in $0 <= memoryBudget }

        energySource = measured.energySource
        let joules = measured.runs.compactMap(\.joules)
        let energy = joules.reduce(0, +)
        energyPerToken = energy > 0 ? energy / Double(test.tokens * joules.count) : nil
        drift = Self.drift(samples)
        noise = Self.noise(statistics, drift, measured.others)
        host = HostFacts(loadBefore: measured.loadBefore, others: measured.others)
        commit = builtCommit
        date = Date.now.formatted(.iso8601)
    }

    /// The median of the second half of the samples by that of the first.
    private static func drift(_ samples: [Double]) -> Double? {
        guard samples.count >= 4 else { return nil }
        let half = samples.count / 2
        return Statistics(Array(samples.suffix(half))).median / Statistics(Array(samples.prefix(half))).median
    }

    /// More than this share is not called chance.
    private static let tolerance = 0.05

    private static func noise(
        _ statistics: Statistics, _ drift: Double?, _ others: (busy: Double, stolen: Double)?
    ) -> [String] {
        var reasons: [String] = []
        let variation = statistics.standardDeviation / statistics.mean
        if variation > tolerance { reasons.append("runs differ by \(variation.percent)") }
        if let drift, abs(drift - 1) > tolerance {
            let change = drift < 1 ? "slower (throttling, or other work)" : "faster"
            reasons.append("the second half of the runs was \(abs(drift - 1).percent) \(change)")
        }
        if let others, others.busy > 0.1 {
            reasons.append("other processes kept \(others.busy.formatted(places: 1)) processors busy")
        }
        if let others, others.stolen > 0.02 {
            reasons.append("the hypervisor gave \(others.stolen.formatted(places: 2)) processors to others")
        }
        return reasons
    }
}

/// Where a model comes from, and how long it took to load.
struct BenchSource {
    /// The path as it was given; nil for a model that was made on the spot.
    let path: String?
    /// SHA-256 of the file, in hexadecimal.
    let sha256: String?
    /// Seconds from opening the file to weights in memory.
    let loadSeconds: Double
}

/// What a token of a test costs.
private struct TestCost {
    /// Bytes of weights and cache that decode reads.
    let bytesPerToken: Double
    /// Operations, on average.
    let operationsPerToken: Double

    init(_ test: BenchTest, of model: Model) {
        // A token reads the positions before it: half of what the test itself adds, on average.
        let positions = test.depth + test.tokens / 2
        bytesPerToken = Double(model.weightBytesPerToken + positions * model.cacheBytesPerPosition)
        let last = test.prompt > 0 ? 1 : 0
        let prompt = Double(test.prompt - last) * model.operations(positions: positions, isPrompt: true)
        let generation = Double(test.generation + last) * model.operations(positions: positions, isPrompt: false)
        operationsPerToken = (prompt + generation) / Double(test.tokens)
    }
}

/// The machine, and what else it did.
struct HostFacts: Codable {
    /// The processor's name.
    let cpu: String?
    /// Physical cores that this process may use, within the container's quota.
    let cores: Int
    /// Memory of the machine in bytes.
    let memory: Int?
    /// The limit of the container in bytes.
    let memoryLimit: Int?
    /// The operating system.
    let system: String
    /// The BLAS and the kernels that it uses.
    let blas: String
    /// What decides the clock frequency, such as "performance".
    let governor: String?
    /// Processes that ran or wanted to before the test, on average over a minute.
    let loadBefore: Double?
    /// Processors that other processes kept busy during the test.
    let otherProcesses: Double?
    /// Processors that the hypervisor gave to others during the test.
    let stolen: Double?

    /// This machine.
    init(loadBefore: Double?, others: (busy: Double, stolen: Double)?) {
        cpu = HostProcessors.modelName
        cores = HostProcessors.recommendedThreads
        memory = HostMemory.total
        memoryLimit = HostMemory.containerLimit
        system = ProcessInfo.processInfo.operatingSystemVersionString
        blas = Host.blasName
        governor = HostActivity.governor
        self.loadBefore = loadBefore
        otherProcesses = others?.busy
        stolen = others?.stolen
    }
}
