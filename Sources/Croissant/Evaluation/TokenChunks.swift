private import GGUF

/// A text as chunks of equal length, cut as llama.cpp's llama-perplexity cuts it.
///
/// The text is tokenised once. Each chunk is fed by itself, with BOS in place of its first token where the model wants
/// one. Its second half is scored, so that every scored token has at least half a chunk before it: position p counts by
/// the probability that it gives to token p + 1, for p from length / 2 to length - 2. What follows the last whole chunk
/// is left out.
public struct TokenChunks: Sendable {
    /// The tokens of all chunks, one after the other, as the tokenizer gave them.
    public let tokens: [Int32]
    /// Tokens in a chunk.
    public let length: Int
    /// What takes the place of the first token of each chunk; nil where that token stays.
    public let beginning: Int32?

    /// The shortest chunk with a token to score.
    public static let minimumLength = 3

    /// Whole chunks of tokens.
    ///
    /// - Parameters:
    ///   - tokens: the ids of the whole text; at least one chunk.
    ///   - length: tokens in a chunk, ``minimumLength`` or more.
    ///   - beginning: what takes the place of the first token of each chunk: the BOS of a model that wants one.
    ///   - limit: the most chunks to take, 1 or more; all when nil.
    /// - Throws: ``EvaluationError/tooFewTokens(found:needed:)`` for less than one chunk,
    ///   ``EvaluationError/model(_:)`` for a length or a limit that makes no sense.
    public init(
        _ tokens: [Int32], length: Int, beginning: Int32?, limit: Int? = nil
    ) throws(EvaluationError) {
        guard length >= Self.minimumLength else {
            throw .model(
                .invalidOption(
                    name: "chunk length", value: "\(length)", expected: "\(Self.minimumLength) tokens or more"))
        }
        if let limit, limit < 1 {
            throw .model(.invalidOption(name: "number of chunks", value: "\(limit)", expected: "1 or more"))
        }
        let count = min(tokens.count / length, limit ?? .max)
        guard count > 0 else { throw .tooFewTokens(found: tokens.count, needed: length) }
        self.tokens = Array(tokens.prefix(count * length))
        self.length = length
        self.beginning = beginning
    }

    /// The tokens of a text to be cut into chunks: with the model's BOS, without its EOS, and with the texts of control
    /// tokens taken for plain text.
    ///
    /// - Parameters:
    ///   - text: the text, of any length.
    ///   - model: the model whose tokenizer is used.
    /// - Throws: ``EvaluationError/model(_:)`` for a model without a tokenizer.
    public static func encoding(of text: String, _ model: Model) throws(EvaluationError) -> Tokenizer.Encoding {
        guard let tokenizer = model.tokenizer else { throw .model(.noTokenizer(path: model.file.path)) }
        var encoding = tokenizer.encoding(of: text, addBOS: false, parseSpecial: false)
        if let bos = beginning(model) { encoding.ids.insert(bos, at: 0) }
        return encoding
    }

    /// What chunks begin with for `model`: its BOS, where it wants one.
    public static func beginning(_ model: Model) -> Int32? {
        model.tokenizer.flatMap { $0.addsBOS ? $0.bos : nil }
    }

    /// The number of chunks.
    public var count: Int { tokens.count / length }
    /// The tokens of each chunk whose probability counts.
    public var scoredPerChunk: Int { length - 1 - firstScored }
    /// Tokens that have been fed after the last chunk: the last one of each predicts nothing that is known.
    public var fedTokens: Int { count * fedPerChunk }
    /// The first position whose logits are looked at.
    package var firstScored: Int { length / 2 }
    /// Tokens of each chunk that are fed.
    package var fedPerChunk: Int { length - 1 }

    /// What is fed of a chunk.
    package func input(ofChunk index: Int) -> [Int32] {
        var input = Array(tokens[index * length..<index * length + fedPerChunk])
        if let beginning { input[0] = beginning }
        return input
    }

    /// The token that follows a position of a chunk.
    package func target(chunk: Int, position: Int) -> Int32 { tokens[chunk * length + position + 1] }
}

extension RuntimeOptions {
    /// The same options with what evaluating chunks of `length` tokens, ``TokenChunks/minimumLength`` or more, takes: a
    /// context of one chunk, and passes of at most half of one that keep all their logits.
    public func evaluating(chunksOf length: Int) -> RuntimeOptions {
        var options = self
        options.contextLength = length
        options.batchSize = max(1, min(batchSize, length / 2))
        options.allLogits = true
        return options
    }
}

/// Feeds chunks to a session.
struct ChunkFeeder: ~Copyable {
    private var session: Session
    /// The chunks.
    let chunks: TokenChunks
    /// Tokens that have been fed so far.
    private(set) var fedTokens = 0

    /// Prepares to feed `chunks` to a model whose options were made by ``RuntimeOptions/evaluating(chunksOf:)``.
    init(_ model: Model, _ chunks: TokenChunks) throws(EvaluationError) {
        guard model.options.allLogits else {
            throw .model(
                .invalidOption(
                    name: "allLogits", value: "false", expected: "a model loaded with options.evaluating(chunksOf:)"))
        }
        // Tokens that are only predicted never reach the session.
        let size = model.configuration.vocabularySize
        let all = [chunks.tokens, chunks.beginning.map { [$0] } ?? []].joined()
        if let stranger = all.first(where: { $0 < 0 || Int($0) >= size }) {
            throw .model(.invalidToken(id: Int(stranger), vocabularySize: size))
        }
        session = try Self.session(model, contextLength: chunks.length)
        self.chunks = chunks
    }

    private static func session(_ model: Model, contextLength: Int) throws(EvaluationError) -> Session {
        do throws(ModelError) { return try Session(model, contextLength: contextLength) } catch { throw .model(error) }
    }

    /// The model.
    var model: Model { session.model }
    /// The memory that the session was planned with.
    var plan: MemoryPlan { session.plan }

    /// Feeds a chunk, and hands over the logits (positions, vocabulary) of its scored positions, pass by pass.
    ///
    /// - Parameters:
    ///   - progress: called after each pass with the tokens fed so far; returning false stops.
    ///   - body: an error that it throws ends the chunk.
    /// - Returns: whether all of the chunk was fed.
    mutating func feed(
        _ index: Int, progress: ((Int) -> Bool)?,
        _ body: (_ positions: Range<Int>, _ logits: Span<Float>) throws(EvaluationError) -> Void
    ) throws(EvaluationError) -> Bool {
        let input = chunks.input(ofChunk: index)
        // What was fed of this chunk before it was stopped does not count.
        let before = index * chunks.fedPerChunk
        var failure: EvaluationError?
        session.rewind(to: 0)
        do throws(ModelError) {
            var isStopped = false
            try session.evaluate(Array(input[..<chunks.firstScored]), logits: .none) { done in
                isStopped = progress.map { !$0(before + done) } ?? false
                return !isStopped
            }
            fedTokens = before + session.position
            if isStopped { return false }
            for start in stride(from: chunks.firstScored, to: input.count, by: session.plan.batchSize) {
                let end = min(start + session.plan.batchSize, input.count)
                try session.evaluateAll(Array(input[start..<end])) { _, logits in
                    do throws(EvaluationError) { try body(start..<end, logits) } catch { failure = error }
                }
                fedTokens = before + end
                if failure != nil { break }
                if let progress, !progress(fedTokens), end < input.count { return false }
            }
        } catch {
            throw .model(error)
        }
        if let failure { throw failure }
        return true
    }
}
