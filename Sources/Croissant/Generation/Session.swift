/// One sequence of tokens in progress: the KV cache, and the buffers that a pass goes through.
///
/// A session has one owner and is not copied; several sessions may share a ``Model``.
public struct Session: ~Copyable {
    /// The model.
    public let model: Model
    /// The memory that this session was planned with.
    public let plan: MemoryPlan
    private var cache: KVCache
    private var activations: Activations
    private var scratch: Scratch
    private var logitRows = 0

    /// A session with nothing in its context.
    ///
    /// - Parameters:
    ///   - model: the model, which the session keeps.
    ///   - contextLength: positions that the cache holds, as for ``RuntimeOptions/contextLength``; what the model was
    ///     loaded with when nil.
    /// - Throws: ``ModelError/overBudget(planned:budget:remedy:)``, ``ModelError/overContainer(needed:limit:)`` or
    ///   ``ModelError/outOfMemory(bytes:purpose:)`` where this context needs more than the model's budget, the container
    ///   or the system allows, and ``ModelError/invalidOption(name:value:expected:)`` for a length that makes no sense.
    public init(_ model: Model, contextLength: Int? = nil) throws(ModelError) {
        var options = model.options
        options.threads = model.threads
        options.promptThreads = model.promptThreads
        if let contextLength { options.contextLength = contextLength }
        let plan = try MemoryPlan(
            model.configuration, tensors: model.tensors, tokenizerBytes: model.plan.tokenizerBytes, options: options,
            residence: model.plan.residence)
        try plan.check(beyond: model.plan)
        let cache = try KVCache(plan.cache)
        let activations = try Activations(plan.activations)
        let scratch = try Scratch(plan.scratch)
        self.model = model
        self.plan = plan
        self.cache = cache
        self.activations = activations
        self.scratch = scratch
    }

    /// Positions that the context holds: at least 1.
    public var contextLength: Int { plan.contextLength }
    /// Positions that are in use, from 0 to ``contextLength``: the next token is fed at this one.
    public var position: Int { cache.count }

    /// Bytes of the buffers that it owns, by the names of the plan's items.
    package var allocations: [String: Int] {
        ["KV cache": cache.byteCount, "activations": activations.byteCount, "scratch": scratch.byteCount]
    }

    /// Forgets all positions from `position` on, for instance to try another continuation. There are no ``logits``
    /// then.
    ///
    /// - Parameter position: what ``position`` becomes: the number of tokens to keep.
    /// - Precondition: `position` is at least 0, and not beyond ``position``.
    public mutating func rewind(to position: Int) {
        cache.truncate(to: position)
        logitRows = 0
    }

    /// Which logits ``evaluate(_:logits:progress:)`` leaves behind.
    public enum LogitSelection: Sendable {
        /// None.
        case none
        /// Those of the last token.
        case last
    }

    /// Throws what ``evaluate(_:logits:progress:)`` would throw of `tokens`, and feeds nothing: what a stranger gave is
    /// checked before a ``Generator`` takes the session.
    ///
    /// - Throws: ``ModelError/contextExceeded(tokens:capacity:)`` where there is no room for them,
    ///   ``ModelError/invalidToken(id:vocabularySize:)`` for an id outside the vocabulary.
    public func check(_ tokens: [Int32]) throws(ModelError) {
        guard tokens.count <= contextLength - position else {
            throw .contextExceeded(tokens: position + tokens.count, capacity: contextLength)
        }
        let size = model.configuration.vocabularySize
        if let stranger = tokens.first(where: { $0 < 0 || Int($0) >= size }) {
            throw .invalidToken(id: Int(stranger), vocabularySize: size)
        }
    }

    /// Feeds tokens, in passes of at most the plan's batch size.
    ///
    /// - Parameters:
    ///   - tokens: ids from 0 to below ``ModelConfiguration/vocabularySize``, at most as many as positions are free.
    ///   - logits: which logits are wanted afterwards, in ``logits``; there are none where `progress` stops before the
    ///     last pass.
    ///   - progress: called after each pass with the number of tokens done; returning false stops there.
    /// - Returns: the number of tokens that were fed.
    /// - Throws: ``ModelError/contextExceeded(tokens:capacity:)`` or ``ModelError/invalidToken(id:vocabularySize:)``,
    ///   before anything is fed.
    @discardableResult
    public mutating func evaluate(
        _ tokens: [Int32], logits: LogitSelection = .last, progress: ((Int) -> Bool)? = nil
    ) throws(ModelError) -> Int {
        try check(tokens)
        var done = 0
        while done < tokens.count {
            let end = min(done + plan.batchSize, tokens.count)
            let isLast = end == tokens.count
            forward(tokens[done..<end], logits: isLast && logits == .last ? .last : .none)
            done = end
            if let progress, !progress(done), !isLast { break }
        }
        return done
    }

    /// Feeds tokens and hands over the logits of every one of them, pass by pass.
    ///
    /// The model must have been loaded with ``RuntimeOptions/allLogits``.
    ///
    /// - Parameters:
    ///   - tokens: ids from 0 to below ``ModelConfiguration/vocabularySize``, at most as many as positions are free.
    ///   - body: called after each pass, at most ``MemoryPlan/batchSize`` tokens, in the order of the tokens. Its
    ///     `tokens` are indices of the array `tokens`, which begin at 0 wherever in the context the session is. Its
    ///     `logits` have the shape (`tokens.count`, ``ModelConfiguration/vocabularySize``), row after row: row i tells
    ///     what follows token `tokens.lowerBound + i`. They are overwritten by the next pass.
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for a model that was loaded otherwise, and what
    ///   ``evaluate(_:logits:progress:)`` throws, before anything is fed.
    public mutating func evaluateAll(
        _ tokens: [Int32], _ body: (_ tokens: Range<Int>, _ logits: Span<Float>) -> Void
    ) throws(ModelError) {
        guard model.options.allLogits else {
            throw .invalidOption(name: "allLogits", value: "false", expected: "true, to keep every position's logits")
        }
        try check(tokens)
        for start in stride(from: 0, to: tokens.count, by: plan.batchSize) {
            let range = start..<min(start + plan.batchSize, tokens.count)
            forward(tokens[range], logits: .all)
            body(range, self.logits)
        }
    }

    /// Feeds tokens in one pass, and keeps the logits of each of them in ``logits``.
    ///
    /// - Parameter tokens: up to one more than the plan's ``MemoryPlan/draftTokens``.
    /// - Throws: as ``evaluate(_:logits:progress:)``.
    package mutating func evaluateEach(_ tokens: [Int32]) throws(ModelError) {
        precondition(tokens.count <= plan.activations.logitRows, "logits of \(tokens.count) tokens were not planned")
        try check(tokens)
        forward(tokens[...], logits: .all)
    }

    /// The logits of the last pass, of shape (rows, ``ModelConfiguration/vocabularySize``): one row, of the last token;
    /// a row for each token of the pass after ``evaluateAll(_:_:)``; none where none were asked for. Before a softmax,
    /// and as the model gives them: sampling leaves them with its penalties applied.
    public var logits: Span<Float> {
        @_lifetime(borrow self)
        get { activations.logits.span.extracting(0..<logitRows * model.configuration.vocabularySize) }
    }

    /// Chooses the next token by the logits of the last one, or of that before the last `guesses`.
    ///
    /// - Throws: ``ModelError/noNumbers(position:)`` where its own logit, the largest mostly, is none.
    package mutating func sample(_ sampler: inout Sampler, before guesses: Int = 0) throws(ModelError) -> Int32 {
        precondition(guesses >= 0 && guesses < logitRows, "there are no logits to sample from")
        let size = model.configuration.vocabularySize
        let row = logitRows - 1 - guesses
        var logits = activations.logits.mutableSlice(row * size..<(row + 1) * size)
        let token = sampler.sample(&logits)
        guard logits[Int(token)].isFinite else { throw .noNumbers(position: position - 1 - guesses) }
        return token
    }

    private mutating func forward(_ tokens: ArraySlice<Int32>, logits: Transformer.Logits) {
        model.transformer.forward(
            tokens.span, cache: &cache, state: &activations, scratch: &scratch, logits: logits)
        logitRows =
            switch logits {
            case .none: 0
            case .last: 1
            case .all: tokens.count
            }
    }
}
