#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How well a model predicts tokens: the exponential of the mean negative logarithm of their probabilities.
public struct PerplexityEstimate: Sendable, Equatable {
    /// The mean negative log-likelihood of a token, in nats.
    public private(set) var loss = SampleMean()

    /// Nothing scored yet.
    public init() {}

    /// The number of tokens that were scored.
    public var scored: Int { loss.count }
    /// exp(``loss``), 1 or more: as many equally likely tokens would be as hard to guess among. 1 before any is scored.
    public var perplexity: Double { exp(loss.value) }
    /// The standard error of ``perplexity``, that of the loss carried through the exponential; nil for fewer than two
    /// tokens.
    public var error: Double? { loss.error.map { $0 * perplexity } }

    /// Adds a token by its negative log-likelihood.
    package mutating func add(_ loss: Double) { self.loss.add(loss) }
}

/// The perplexity of a model over a text, chunk by chunk, as llama.cpp's llama-perplexity measures it.
///
/// ```swift
/// let options = RuntimeOptions().evaluating(chunksOf: 512)
/// let model = try Model(contentsOf: "model.gguf", options: options)
/// var perplexity = try Perplexity(model, text: text)
/// while let chunk = try perplexity.next() {
///     print(chunk.perplexity, "of this chunk,", perplexity.estimate.perplexity, "so far")
/// }
/// ```
///
/// Memory is that of a session with a context of one chunk; the logits of a pass are scored before the next one. The
/// result does not depend on the number of threads.
public struct Perplexity: ~Copyable {
    /// What all chunks so far give.
    public private(set) var estimate = PerplexityEstimate()
    /// The number of chunks that are done, of ``chunks``.
    public private(set) var doneChunks = 0
    private var feeder: ChunkFeeder
    private var writer: LogitsFileWriter?
    /// Whether a run that saves logits was stopped within a chunk: its file cannot be continued.
    private var isAbandoned = false

    /// Prepares to measure `model`, which must have been loaded with ``RuntimeOptions/evaluating(chunksOf:)``.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - chunks: the text, cut into chunks.
    ///   - logits: where to save the probabilities of all scored positions, for ``KLDivergence``. The file appears with
    ///     the last chunk; stopping before leaves none.
    /// - Throws: ``EvaluationError/model(_:)`` for a model that was loaded otherwise, or for which there is no
    ///   memory; ``EvaluationError/otherVocabulary(_:expected:found:)`` or
    ///   ``EvaluationError/invalidLogitsFile(_:_:expected:found:)`` where `logits` was begun for another vocabulary or
    ///   other chunks.
    public init(
        _ model: Model, _ chunks: TokenChunks, savingTo logits: consuming LogitsFileWriter? = nil
    ) throws(EvaluationError) {
        try logits?.check(chunks, vocabularySize: model.configuration.vocabularySize)
        feeder = try ChunkFeeder(model, chunks)
        writer = logits
    }

    /// Prepares to measure `model` over a text, in chunks of the context length that it was loaded with.
    ///
    /// - Parameters:
    ///   - model: the model.
    ///   - text: the text, of at least one chunk. Texts of control tokens in it are plain text.
    ///   - chunks: the most chunks to take, 1 or more; all when nil.
    /// - Throws: ``EvaluationError/tooFewTokens(found:needed:)`` for a text shorter than a chunk, and what
    ///   ``init(_:_:savingTo:)`` throws.
    public init(_ model: Model, text: String, chunks: Int? = nil) throws(EvaluationError) {
        let encoding = try TokenChunks.encoding(of: text, model)
        try self.init(
            model,
            TokenChunks(
                encoding.ids, length: model.plan.contextLength, beginning: TokenChunks.beginning(model), limit: chunks))
    }

    /// The chunks.
    public var chunks: TokenChunks { feeder.chunks }
    /// The memory that was planned.
    public var plan: MemoryPlan { feeder.plan }
    /// Tokens that have been fed so far, of ``TokenChunks/fedTokens``.
    public var fedTokens: Int { feeder.fedTokens }

    /// Measures the next chunk.
    ///
    /// - Parameter progress: called after each pass with the tokens fed so far; returning false stops, and this chunk
    ///   counts for nothing.
    /// - Returns: what this chunk alone gives; nil at the end, and when stopped.
    /// - Throws: ``EvaluationError/notFinite(chunk:position:)`` where the model computes no number,
    ///   ``EvaluationError/file(_:)`` where logits cannot be saved.
    public mutating func next(progress: ((Int) -> Bool)? = nil) throws(EvaluationError) -> PerplexityEstimate? {
        let index = doneChunks
        let chunks = chunks
        guard index < chunks.count, !isAbandoned else { return nil }
        let backend = feeder.model.transformer.backend
        var writer = writer.take()
        isAbandoned = writer != nil
        var positions = try Buffer<PositionLoss>.scores(chunks.scoredPerChunk)
        let isWhole = try feeder.feed(index, progress: progress) { scored, logits throws(EvaluationError) in
            let size = logits.count / scored.count
            let results = positions.shared
            backend.pool.parallelFor(scored.count) { row, _ in
                let slot = scored.lowerBound + row - chunks.firstScored
                var result = results.slice(slot..<slot + 1)
                result[0] = PositionLoss(
                    logits.extracting(row * size..<(row + 1) * size),
                    target: Int(chunks.target(chunk: index, position: scored.lowerBound + row)),
                    kernels: backend.kernels)
            }
            for row in 0..<scored.count {
                let slot = scored.lowerBound + row - chunks.firstScored
                let softmax = results.slice(slot..<slot + 1)[0].softmax
                try writer?.append(logits.extracting(row * size..<(row + 1) * size), softmax)
            }
        }
        guard isWhole else { return nil }
        var chunk = PerplexityEstimate()
        for slot in 0..<positions.count where !positions.span[slot].loss.isFinite {
            throw .notFinite(chunk: index, position: chunks.firstScored + slot)
        }
        for slot in 0..<positions.count {
            chunk.add(positions.span[slot].loss)
            estimate.add(positions.span[slot].loss)
        }
        doneChunks += 1
        isAbandoned = false
        if doneChunks == chunks.count {
            try writer?.finish()
        } else {
            self.writer = writer
        }
        return chunk
    }
}

/// What is known of one position.
private struct PositionLoss: BitwiseCopyable, Sendable {
    /// -ln p of the next token.
    var loss = 0.0
    /// What makes probabilities of the logits.
    var softmax: LogSoftmax

    init(_ logits: Span<Float>, target: Int, kernels: Kernels) {
        softmax = LogSoftmax(logits, kernels: kernels)
        loss = -softmax.logProbability(of: logits[target])
    }
}

extension Buffer {
    /// A buffer for the scores of `count` positions.
    static func scores(_ count: Int) throws(EvaluationError) -> Buffer {
        do throws(ModelError) { return try .allocate(count, purpose: "scores") } catch { throw .model(error) }
    }
}
