internal import GGUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How far the probabilities that a model gives are from those of another, over the scored tokens of a text.
///
/// The numbers are those that llama.cpp's `llama-perplexity --kl-divergence` prints.
public struct DivergenceStatistics: Sendable {
    /// The perplexity of the model that is judged.
    public private(set) var perplexity = PerplexityEstimate()
    /// The perplexity of the model that the logits were saved from. The file holds these with 16 bits, and none more
    /// than 16 nats below the most likely token's.
    public private(set) var basePerplexity = PerplexityEstimate()
    /// ln(``perplexity`` / ``basePerplexity``), in nats: the mean of the differences of both losses.
    public private(set) var logRatio = SampleMean()
    /// The Kullback–Leibler divergence of each position, sum of p_base ln(p_base / p), in nats. Tokens with p_base
    /// below exp(-16), of which the file knows no more than that, are left out.
    public private(set) var divergence = Distribution()
    /// By how much the probability of the text's own token changes, from -1 to 1: p - p_base.
    public private(set) var probabilityChange = Distribution()
    /// The share of positions, 0 to 1, where both models hold the same token most likely.
    public private(set) var sameTop = SampleMean()
    private var squaredChange = SampleMean()

    /// Nothing compared yet.
    public init() {}

    /// The number of positions that were compared.
    public var count: Int { logRatio.count }

    /// The root of the mean square of ``probabilityChange``, 0 to 1.
    public var rootMeanSquareChange: Double { squaredChange.value.squareRoot() }
    /// The standard error of ``rootMeanSquareChange``, that of the mean square carried through the root; nil for fewer
    /// than two positions.
    public var rootMeanSquareChangeError: Double? {
        squaredChange.error.map { rootMeanSquareChange > 0 ? $0 / (2 * rootMeanSquareChange) : 0 }
    }

    /// Values with their mean and their quantiles.
    public struct Distribution: Sendable {
        /// One value for each position that was compared, in the order of the text.
        public private(set) var values: [Double] = []
        /// Their mean.
        public private(set) var mean = SampleMean()

        /// No values.
        public init() {}

        /// The values below which the given shares of all values lie, between two values in proportion: one for each of
        /// `shares`, which are cut to 0 to 1. 0.5 gives the median, 0 and 1 give the extremes. Nil without any values,
        /// and for shares that are no numbers.
        ///
        /// Complexity: O(n log n) for n values.
        public func quantiles(_ shares: [Double]) -> [Double]? {
            guard !values.isEmpty, !shares.contains(where: \.isNaN) else { return nil }
            let sorted = values.sorted()
            return shares.map { share in
                let place = min(max(share, 0), 1) * Double(sorted.count - 1)
                let lower = Int(place)
                let upper = min(lower + 1, sorted.count - 1)
                return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
            }
        }

        fileprivate mutating func add(_ value: Double) {
            values.append(value)
            mean.add(value)
        }
    }

    /// Adds a position.
    package mutating func add(_ position: PositionDivergence) {
        perplexity.add(position.loss)
        basePerplexity.add(position.baseLoss)
        logRatio.add(position.loss - position.baseLoss)
        divergence.add(position.divergence)
        let change = exp(-position.loss) - exp(-position.baseLoss)
        probabilityChange.add(change)
        squaredChange.add(change * change)
        sameTop.add(position.isSameTop ? 1 : 0)
    }
}

/// What is compared at one position.
package struct PositionDivergence: BitwiseCopyable, Sendable {
    /// -ln p of the next token.
    package var loss = 0.0
    /// -ln p_base of the next token.
    package var baseLoss = 0.0
    /// The sum over the vocabulary of p_base ln(p_base / p).
    package var divergence = 0.0
    /// Whether both have the same most likely token, the first one of equals.
    package var isSameTop = false
    /// Whether the saved row is one.
    package var isValid = false

    /// Compares logits with a saved row; `target` is the next token.
    init(_ logits: Span<Float>, base: borrowing LogitsRow, target: Int, kernels: Kernels) {
        guard base.isValid else { return }
        isValid = true
        let softmax = LogSoftmax(logits, kernels: kernels)
        var top = 0
        var baseTop = 0
        var largest = base.logProbability(of: 0)
        for token in logits.indices {
            if logits[token] > logits[top] { top = token }
            let logBase = base.logProbability(of: token)
            if logBase > largest {
                largest = logBase
                baseTop = token
            }
            if logBase > -LogitsLayout.range {
                let logBase = Double(logBase)
                divergence += exp(logBase) * (logBase - softmax.logProbability(of: logits[token]))
            }
        }
        isSameTop = top == baseTop
        loss = -softmax.logProbability(of: logits[target])
        baseLoss = -Double(base.logProbability(of: target))
    }

    /// Nothing compared.
    package init() {}
}

/// Compares a model with the logits that another one — its unquantised original, mostly — gave for the same text.
///
/// ```swift
/// let base = try LogitsFile(path: "base.logits")
/// let options = RuntimeOptions().evaluating(chunksOf: base.chunkLength)
/// let model = try Model(contentsOf: "model-Q4_K_M.gguf", options: options)
/// var comparison = try KLDivergence(model, base: base)
/// while try comparison.next() != nil {}
/// print(comparison.statistics.divergence.mean.value, "nats")
/// ```
public struct KLDivergence: ~Copyable {
    /// What all chunks so far give.
    public private(set) var statistics = DivergenceStatistics()
    /// The number of chunks that are done, of ``chunks``.
    public private(set) var doneChunks = 0
    private let base: LogitsFile
    private var feeder: ChunkFeeder

    /// Prepares to compare `model`, which must have been loaded with ``RuntimeOptions/evaluating(chunksOf:)`` for the
    /// chunks of `base`.
    ///
    /// - Parameters:
    ///   - model: the model to judge, whose vocabulary has as many tokens as that of `base`.
    ///   - base: the logits to compare with, and the tokens that they belong to.
    ///   - chunks: the most chunks to take, 1 or more; all when nil.
    /// - Throws: ``EvaluationError/otherVocabulary(_:expected:found:)`` for logits of another vocabulary,
    ///   ``EvaluationError/model(_:)`` for a model that was loaded otherwise or for which there is no memory.
    public init(_ model: Model, base: LogitsFile, chunks: Int? = nil) throws(EvaluationError) {
        try base.check(vocabularySize: model.configuration.vocabularySize)
        let chunks = try TokenChunks(
            base.tokens, length: base.chunkLength, beginning: TokenChunks.beginning(model), limit: chunks)
        let feeder = try ChunkFeeder(model, chunks)
        self.base = base
        self.feeder = feeder
    }

    /// The chunks.
    public var chunks: TokenChunks { feeder.chunks }
    /// The memory that was planned.
    public var plan: MemoryPlan { feeder.plan }
    /// Tokens that have been fed so far, of ``TokenChunks/fedTokens``.
    public var fedTokens: Int { feeder.fedTokens }

    /// Compares the next chunk.
    ///
    /// - Parameter progress: called after each pass with the tokens fed so far; returning false stops, and this chunk
    ///   counts for nothing.
    /// - Returns: what this chunk alone gives; nil at the end, and when stopped.
    /// - Throws: ``EvaluationError/notFinite(chunk:position:)`` where the model computes no number,
    ///   ``EvaluationError/invalidLogits(_:chunk:position:)`` where the file holds none.
    public mutating func next(progress: ((Int) -> Bool)? = nil) throws(EvaluationError) -> DivergenceStatistics? {
        let index = doneChunks
        let chunks = chunks
        guard index < chunks.count else { return nil }
        let backend = feeder.model.transformer.backend
        let layout = base.layout
        let range = layout.rows(ofChunk: index)
        let file = base.file
        let saved = file.bytes.extracting(range)
        var positions = try Buffer<PositionDivergence>.scores(chunks.scoredPerChunk)
        let isWhole = try feeder.feed(index, progress: progress) { scored, logits in
            let size = logits.count / scored.count
            let positions = positions.shared
            backend.pool.parallelFor(scored.count) { row, _ in
                let slot = scored.lowerBound + row - chunks.firstScored
                let place = slot * layout.rowBytes..<(slot + 1) * layout.rowBytes
                let base = LogitsRow(saved.extracting(place))
                // What has been read is not needed again: its pages go, as no plan has room for those of a chunk.
                defer {
                    file.advise(
                        .dontNeed, range: range.lowerBound + place.lowerBound..<range.lowerBound + place.upperBound)
                }
                var result = positions.slice(slot..<slot + 1)
                result[0] = PositionDivergence(
                    logits.extracting(row * size..<(row + 1) * size), base: base,
                    target: Int(chunks.target(chunk: index, position: scored.lowerBound + row)),
                    kernels: backend.kernels)
            }
        }
        guard isWhole else { return nil }
        var chunk = DivergenceStatistics()
        for slot in 0..<positions.count {
            let position = positions.span[slot]
            guard position.isValid else {
                throw .invalidLogits(base.path, chunk: index, position: chunks.firstScored + slot)
            }
            guard position.loss.isFinite, position.divergence.isFinite else {
                throw .notFinite(chunk: index, position: chunks.firstScored + slot)
            }
        }
        for slot in 0..<positions.count {
            chunk.add(positions.span[slot])
            statistics.add(positions.span[slot])
        }
        doneChunks += 1
        return chunk
    }
}
