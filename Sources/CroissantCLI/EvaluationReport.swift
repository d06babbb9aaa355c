import Croissant
import Foundation
import GGUF

/// How far an evaluation has come: a bar on a terminal, and in verbose mode a line for each chunk.
struct EvaluationProgress {
    private let bar: ProgressBar
    private let chunks: Int
    private let isVerbose: Bool
    private let begin = ContinuousClock.now

    /// Begins to measure the time.
    init(_ label: String, _ chunks: TokenChunks, _ output: OutputOptions) {
        bar = ProgressBar(label, total: chunks.fedTokens, isQuiet: output.quiet)
        self.chunks = chunks.count
        isVerbose = output.verbose
    }

    /// Shows the tokens that are done; false when the user wants to stop.
    func update(_ tokens: Int) -> Bool {
        bar.update(tokens)
        return !Interruption.isRequested
    }

    /// Says what all chunks up to this one, counted from 1, give.
    func note(chunk: Int, _ text: String) {
        guard isVerbose else { return }
        bar.finish()
        Console.note("chunk \(chunk) of \(chunks): \(text)")
    }

    /// Removes the bar; how long it took.
    func finish(tokens: Int) -> EvaluationTimings {
        bar.finish()
        return EvaluationTimings(tokens: tokens, seconds: (ContinuousClock.now - begin).seconds)
    }
}

/// How long an evaluation took.
struct EvaluationTimings: Encodable {
    /// Tokens that were fed.
    let tokens: Int
    let seconds: Double
    let perSecond: Double

    init(tokens: Int, seconds: Double) {
        self.tokens = tokens
        self.seconds = seconds
        perSecond = seconds > 0 ? Double(tokens) / seconds : 0
    }

    /// What a person wants to know at the end.
    func text(chunks: Int, of total: Int, scored: Int) -> String {
        var parts = [
            (chunks == total ? "" : "\(chunks) of ") + "\(total) chunk\(total == 1 ? "" : "s")",
            "\(scored) token\(scored == 1 ? "" : "s") scored",
            "\(perSecond.formatted(places: 1)) t/s",
        ]
        if let peak = HostMemory.peakResident { parts.append("peak \(ByteCount(peak))") }
        if Interruption.isRequested { parts.append("interrupted") }
        return parts.joined(separator: "; ")
    }
}

/// The document of `perplexity --json`.
struct PerplexityReport: Encodable {
    /// This and the next three: nothing where no chunk was done.
    let perplexity: Double?
    let error: Double?
    /// The mean negative log-likelihood of a token in nats, and its standard error.
    let loss: Double?
    let lossError: Double?
    let scored: Int
    let chunkLength: Int
    let totalChunks: Int
    let chunks: [Chunk]
    let timings: EvaluationTimings
    let memory: Host.Memory
    let model: String

    init(
        estimate: PerplexityEstimate, chunks: [Chunk], of all: TokenChunks, timings: EvaluationTimings,
        plan: MemoryPlan, model: Model
    ) {
        let known = estimate.scored > 0 ? estimate : nil
        perplexity = known?.perplexity
        error = known?.error
        loss = known?.loss.value
        lossError = known?.loss.error
        scored = estimate.scored
        chunkLength = all.length
        totalChunks = all.count
        self.chunks = chunks
        self.timings = timings
        memory = Host.Memory(plan)
        self.model = model.file.path
    }

    /// The values of one chunk.
    struct Chunk: Encodable {
        /// Of this chunk alone.
        let perplexity: Double
        /// The mean negative log-likelihood of its tokens, in nats.
        let loss: Double
        /// Of all chunks up to this one.
        let runningPerplexity: Double
        let runningError: Double?

        init(_ chunk: PerplexityEstimate, running: PerplexityEstimate) {
            perplexity = chunk.perplexity
            loss = chunk.loss.value
            runningPerplexity = running.perplexity
            runningError = running.error
        }
    }
}

/// The document of `perplexity --kl-divergence --json`. Divergences are in nats, probabilities from 0 to 1.
struct DivergenceReport: Encodable {
    /// Of the model, and of the one that the logits were saved from.
    let perplexity: Mean
    let basePerplexity: Mean
    /// ln(perplexity / base perplexity).
    let logRatio: Mean
    let divergence: Spread
    /// The change of the probability of the text's own tokens.
    let probabilityChange: Spread
    let rootMeanSquareChange: Mean
    /// The share of positions with the same most likely token.
    let sameTop: Mean
    let scored: Int
    let chunkLength: Int
    let totalChunks: Int
    let chunks: [Chunk]
    let timings: EvaluationTimings
    let memory: Host.Memory
    let model: String
    let logits: String

    init(
        _ statistics: DivergenceStatistics, chunks: [Chunk], of all: TokenChunks, timings: EvaluationTimings,
        plan: MemoryPlan, model: Model, base: LogitsFile
    ) {
        perplexity = Mean(statistics.perplexity)
        basePerplexity = Mean(statistics.basePerplexity)
        logRatio = Mean(statistics.logRatio)
        divergence = Spread(statistics.divergence)
        probabilityChange = Spread(statistics.probabilityChange)
        rootMeanSquareChange = Mean(
            value: statistics.count > 0 ? statistics.rootMeanSquareChange : nil,
            error: statistics.rootMeanSquareChangeError)
        sameTop = Mean(statistics.sameTop)
        scored = statistics.count
        chunkLength = all.length
        totalChunks = all.count
        self.chunks = chunks
        self.timings = timings
        memory = Host.Memory(plan)
        self.model = model.file.path
        logits = base.path
    }

    /// A mean with its standard error; nothing where there are no values.
    struct Mean: Encodable {
        let value: Double?
        let error: Double?

        init(value: Double?, error: Double?) {
            self.value = value
            self.error = error
        }

        init(_ mean: SampleMean) { self.init(value: mean.count > 0 ? mean.value : nil, error: mean.error) }

        init(_ estimate: PerplexityEstimate) {
            self.init(value: estimate.scored > 0 ? estimate.perplexity : nil, error: estimate.error)
        }
    }

    /// A mean with quantiles; nothing where there are no values.
    struct Spread: Encodable {
        let mean: Mean
        let minimum: Double?
        let median: Double?
        let maximum: Double?
        /// By per cent, such as "99.9".
        let percentiles: [String: Double]

        init(_ values: DivergenceStatistics.Distribution) {
            mean = Mean(values.mean)
            let shares = DivergenceStatistics.percentiles
            let quantiles = values.quantiles([0, 0.5, 1] + shares.map(\.share))
            minimum = quantiles?[0]
            median = quantiles?[1]
            maximum = quantiles?[2]
            percentiles = Dictionary(uniqueKeysWithValues: zip(shares.map(\.name), quantiles?.dropFirst(3) ?? []))
        }
    }

    /// The values of one chunk, each a mean over its positions.
    struct Chunk: Encodable {
        let perplexity: Double
        let basePerplexity: Double
        let divergence: Double
        let probabilityChange: Double
        let rootMeanSquareChange: Double
        let sameTop: Double

        init(_ chunk: DivergenceStatistics) {
            perplexity = chunk.perplexity.perplexity
            basePerplexity = chunk.basePerplexity.perplexity
            divergence = chunk.divergence.mean.value
            probabilityChange = chunk.probabilityChange.mean.value
            rootMeanSquareChange = chunk.rootMeanSquareChange
            sameTop = chunk.sameTop.value
        }
    }
}

// MARK: Text

extension PerplexityEstimate {
    /// Such as "PPL = 13.5106 ± 0.0923".
    var text: String { "PPL = \(number)" }

    fileprivate var number: String {
        "\(perplexity.formatted(places: 4)) ± \(error?.formatted(places: 4) ?? "unknown")"
    }
}

extension SampleMean {
    /// Such as "0.012345 ± 0.000123"; in per cent, "1.23 ± 0.01 %".
    func text(places: Int, inPercent: Bool = false) -> String {
        let factor = inPercent ? 100.0 : 1
        let error = error.map { ($0 * factor).formatted(places: places) } ?? "unknown"
        return "\((value * factor).formatted(places: places)) ± \(error)" + (inPercent ? " %" : "")
    }
}

extension DivergenceStatistics {
    /// The quantiles that are printed, beside the extremes and the median, by per cent.
    fileprivate static let percentiles = ["99.9", "99", "95", "90", "75", "25", "10", "5", "1", "0.1"].compactMap {
        name in Double(name).map { (name: name, share: $0 / 100) }
    }

    /// The table that people read.
    var text: String {
        let change = SampleMean.inPercent(rootMeanSquareChange, rootMeanSquareChangeError)
        var rows = [
            ("PPL(Q)", perplexity.number), ("PPL(base)", basePerplexity.number),
            ("ln(PPL(Q) / PPL(base))", logRatio.text(places: 6)),
            ("same top p", sameTop.text(places: 3, inPercent: true)), ("RMS Δp", change),
            ("mean Δp", probabilityChange.mean.text(places: 3, inPercent: true)),
        ]
        rows += Self.rows("Δp", probabilityChange) { "\(($0 * 100).formatted(places: 3)) %" }
        rows.append(("mean KLD", divergence.mean.text(places: 6)))
        rows += Self.rows("KLD", divergence) { $0.formatted(places: 6) }
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { name, value in
            name + String(repeating: " ", count: width + 2 - name.count) + value
        }.joined(separator: "\n")
    }

    /// The quantiles of one of the distributions, largest first.
    private static func rows(
        _ name: String, _ values: Distribution, _ format: (Double) -> String
    ) -> [(String, String)] {
        let named = percentiles.map { (name: "\($0.name) %", share: $0.share) }
        let all =
            [("maximum", 1)] + named.filter { $0.share > 0.5 } + [("median", 0.5)]
            + named.filter { $0.share < 0.5 } + [("minimum", 0)]
        let quantiles = values.quantiles(all.map(\.1)) ?? []
        return zip(all, quantiles).map { ("\($0.0) \(name)", format($1)) }
    }
}

extension SampleMean {
    fileprivate static func inPercent(_ value: Double, _ error: Double?) -> String {
        "\((value * 100).formatted(places: 3)) ± \(error.map { ($0 * 100).formatted(places: 3) } ?? "unknown") %"
    }
}
