private import GGUF

/// Why a generation ended.
public enum FinishReason: String, Sendable {
    /// The model said so.
    case endOfGeneration
    /// A stop string appeared.
    case stopString
    /// As many tokens as were asked for.
    case length
    /// No position was left in the context.
    case contextFull
    /// The caller stopped it.
    case cancelled
    /// The model gave no numbers to choose by: see ``ModelError/noNumbers(position:)``.
    case noNumbers
}

/// How far a generation goes.
public struct GenerationLimits: Sendable {
    /// The most tokens to generate, 0 or more; until the model ends or the context is full when nil, the default.
    public var maximumTokens: Int?
    /// Texts that end the generation and are no part of the result: none by default, empty ones ignored. See
    /// ``StopMatcher``.
    public var stopStrings: [String] = []
    /// Whether tokens of ``Tokenizer/endOfGeneration`` are taken as any other. By default the first one ends the
    /// generation.
    public var ignoresEndOfGeneration = false
    /// Whether control and unknown tokens appear in the text. By default they are left out.
    public var showsSpecialTokens = false

    /// No limits but the model's own.
    public init() {}

    /// At most `maximumTokens` tokens, 0 or more; no limit but the model's own when nil.
    public init(maximumTokens: Int?) { self.maximumTokens = maximumTokens }

    /// Throws ``ModelError/invalidOption(name:value:expected:)`` for a limit that makes no sense.
    public func validate() throws(ModelError) {
        if let maximumTokens, maximumTokens < 0 {
            throw .invalidOption(name: "maximum tokens", value: "\(maximumTokens)", expected: "0 or more")
        }
    }
}

/// One token of a generation.
public struct GeneratedToken: Sendable {
    /// Its id, from 0 to below ``ModelConfiguration/vocabularySize``.
    public let id: Int32
    /// The text that became certain with it: empty while a character or a possible stop string is incomplete, and for a
    /// model without a tokenizer.
    public let text: String
}

/// Continues a prompt, token by token.
///
/// ```swift
/// var generation = try Generator(session, prompt: "Bonjour", sampling: .init(temperature: 0.4))
/// while let piece = generation.next() { print(piece, terminator: "") }
/// ```
public struct Generator: ~Copyable {
    /// The session that runs; ``takeSession()`` gives it back.
    private var session: Session
    /// The tokens of the prompt, with the BOS that the tokenizer put before them.
    public let prompt: [Int32]
    /// Characters of the prompt that the vocabulary has no token for, and that were left out.
    public let dropped: [Unicode.Scalar]
    /// The generated tokens so far.
    public private(set) var tokens: [Int32] = []
    /// Why the generation ended; nil while it has not.
    public private(set) var finishReason: FinishReason?
    /// What it took.
    public private(set) var metrics = GenerationMetrics()
    /// The seed of the draws: that of the sampling parameters, or the random one in its place.
    public var seed: UInt64 { sampler.seed }

    private var sampler: Sampler
    private var decoder: StreamingDecoder?
    private var stops: StopMatcher
    private let limits: GenerationLimits
    private var hasStarted = false
    /// What guesses the tokens to come, if that is wanted.
    private var lookup: PromptLookup?
    /// The last tokens that the session was fed with, as long as nobody has chosen them; and how many there were.
    private var guesses: ArraySlice<Int32> = []
    private var guessed = 0
    /// Positions of the session that hold the prompt and chosen tokens.
    private var position: Int { session.position - guesses.count }

    /// Continues text, encoded with what the model's file wants before it, such as BOS.
    ///
    /// Texts of control tokens in the prompt, such as `</s>` or `<|im_start|>`, become those tokens: text from
    /// strangers is better encoded with `parseSpecial: false` (``Tokenizer/encode(_:addBOS:parseSpecial:)``) and given
    /// as tokens.
    ///
    /// - Parameters:
    ///   - session: the sequence to go on with; the prompt is fed from its ``Session/position`` on, once generation
    ///     starts.
    ///   - text: the prompt, of at least one token.
    ///   - sampling: how tokens are chosen.
    ///   - limits: where to stop.
    /// - Throws: ``ModelError/contextExceeded(tokens:capacity:)`` for a prompt that the session has no room for,
    ///   ``ModelError/invalidOption(name:value:expected:)`` for sampling, limits or an empty prompt that make no sense,
    ///   ``ModelError/noTokenizer(path:)``. The session is gone then. To keep it, encode the text first, and check the
    ///   tokens as ``init(_:promptTokens:sampling:limits:)`` says.
    public init(
        _ session: consuming Session, prompt text: String, sampling: SamplingParameters = SamplingParameters(),
        limits: GenerationLimits = GenerationLimits()
    ) throws(ModelError) {
        guard let tokenizer = session.model.tokenizer else { throw .noTokenizer(path: session.model.file.path) }
        let encoding = tokenizer.encoding(of: text)
        try self.init(session, encoding.ids, dropped: encoding.dropped, sampling, limits)
    }

    /// Continues tokens, exactly as they are: nothing is put before them.
    ///
    /// - Parameters:
    ///   - session: the sequence to go on with; the prompt is fed from its ``Session/position`` on, once generation
    ///     starts.
    ///   - promptTokens: at least one id, each from 0 to below ``ModelConfiguration/vocabularySize``.
    ///   - sampling: how tokens are chosen.
    ///   - limits: where to stop.
    /// - Throws: ``ModelError/contextExceeded(tokens:capacity:)`` for more tokens than the session has room for,
    ///   ``ModelError/invalidToken(id:vocabularySize:)`` for an id outside the vocabulary,
    ///   ``ModelError/invalidOption(name:value:expected:)`` for sampling or limits that make no sense, or no tokens.
    ///   The session is gone then: ``Session/check(_:)``, ``SamplingParameters/validate()`` and
    ///   ``GenerationLimits/validate()`` throw the same beforehand, but for no tokens.
    public init(
        _ session: consuming Session, promptTokens: [Int32], sampling: SamplingParameters = SamplingParameters(),
        limits: GenerationLimits = GenerationLimits()
    ) throws(ModelError) {
        try self.init(session, promptTokens, dropped: [], sampling, limits)
    }

    private init(
        _ session: consuming Session, _ prompt: [Int32], dropped: [Unicode.Scalar], _ sampling: SamplingParameters,
        _ limits: GenerationLimits
    ) throws(ModelError) {
        try sampling.validate()
        try limits.validate()
        guard !prompt.isEmpty else {
            throw .invalidOption(name: "prompt", value: "no tokens", expected: "at least one token to continue from")
        }
        try session.check(prompt)
        sampler = Sampler(sampling)
        decoder = session.model.tokenizer.map { tokenizer in
            StreamingDecoder(tokenizer, after: prompt.last, skipSpecial: !limits.showsSpecialTokens)
        }
        stops = StopMatcher(limits.stopStrings)
        lookup = PromptLookup(most: session.plan.draftTokens)
        self.limits = limits
        self.prompt = prompt
        self.dropped = dropped
        self.session = session
    }

    /// Feeds the prompt, if that has not happened yet. ``nextToken()`` does so by itself.
    ///
    /// - Parameter progress: called after each pass with the number of tokens done; returning false cancels, after the
    ///   last pass too.
    /// - Throws: nothing in practice: the prompt was checked when the generator was made.
    public mutating func start(progress: ((Int) -> Bool)? = nil) throws(ModelError) {
        guard !hasStarted, finishReason == nil else { return }
        hasStarted = true
        for token in prompt { accept(token) }
        let clock = ContinuousClock()
        let begin = clock.now
        var isCancelled = false
        metrics.promptTokens = try session.evaluate(prompt) { done in
            isCancelled = progress.map { !$0(done) } ?? false
            return !isCancelled
        }
        metrics.promptTime = clock.now - begin
        if isCancelled { finishReason = .cancelled }
    }

    /// The next token; nil at the end, whose reason is then in ``finishReason``.
    ///
    /// With the last token comes all text that was held back.
    ///
    /// - Throws: ``ModelError/noNumbers(position:)`` where weights are damaged: nothing else in practice, as
    ///   ``start(progress:)``.
    public mutating func nextToken() throws(ModelError) -> GeneratedToken? {
        try start()
        guard finishReason == nil else { return nil }
        guard limits.maximumTokens != 0 else {
            finishReason = .length
            return nil
        }
        let clock = ContinuousClock()
        let begin = clock.now
        if let last = tokens.last { try feed(last) }
        let token: Int32
        do throws(ModelError) {
            token = try session.sample(&sampler, before: guesses.count)
        } catch {
            finishReason = .noNumbers
            throw error
        }
        accept(token)
        tokens.append(token)
        metrics.generatedTokens += 1
        metrics.generationTime += clock.now - begin
        let text = text(of: token)
        return GeneratedToken(id: token, text: text)
    }

    /// Counts a token of the prompt, or one that was chosen.
    private mutating func accept(_ token: Int32) {
        sampler.accept(token)
        lookup?.accept(token)
    }

    /// Has the session hold `token`, the last one, and the logits of what follows it.
    private mutating func feed(_ token: Int32) throws(ModelError) {
        if guesses.first == token {
            guesses.removeFirst()
            metrics.acceptedTokens += 1
            return
        }
        forgetGuesses()
        // The last token of all is not fed, nor is one behind the last position.
        let wanted = limits.maximumTokens.map { $0 - tokens.count - 1 } ?? .max
        let guess = lookup?.guess(atMost: min(wanted, session.contextLength - session.position - 1)) ?? []
        guard !guess.isEmpty else {
            try session.evaluate([token])
            return
        }
        try session.evaluateEach([token] + guess)
        guesses = guess[...]
        guessed = guess.count
        metrics.draftedTokens += guessed
    }

    /// Takes back what was guessed and not chosen.
    private mutating func forgetGuesses() {
        guard guessed > 0 else { return }
        lookup?.learn(right: guessed - guesses.count, of: guessed)
        session.rewind(to: position)
        guesses = []
        guessed = 0
    }

    /// The next piece of text; nil at the end, whose reason is then in ``finishReason``. Pieces may be empty.
    public mutating func next() -> String? {
        // The prompt was checked by init, and what else may fail is a reason to end.
        (try? nextToken())?.text
    }

    /// Ends the generation before its own end.
    ///
    /// - Returns: The text that was held back: with it, the pieces are all the text of ``tokens``.
    @discardableResult
    public mutating func cancel() -> String {
        guard finishReason == nil else { return "" }
        finishReason = .cancelled
        let match = stops.feed(decoder?.finish() ?? "")
        return match.stop == nil ? match.emit + stops.finish() : match.emit
    }

    /// Ends the generation and gives back its session, for instance to go on with other text.
    ///
    /// The session holds the prompt and all of ``tokens`` but the last, which has not been fed: up to
    /// ``Session/position``, as a generation that was cancelled, or never started, has not fed all of its prompt. Guesses
    /// (``RuntimeOptions/draftTokens``) are taken back, and where the last pass checked some, there are no logits.
    public consuming func takeSession() -> Session {
        forgetGuesses()
        return session
    }

    /// The text that becomes certain with `token`, after deciding whether it is the last one.
    private mutating func text(of token: Int32) -> String {
        let isEnd =
            !limits.ignoresEndOfGeneration && session.model.tokenizer?.endOfGeneration.contains(token) == true
        var certain = ""
        if isEnd {
            finishReason = .endOfGeneration
            if limits.showsSpecialTokens { certain = decoder?.feed(token) ?? "" }
        } else {
            certain = decoder?.feed(token) ?? ""
            if let maximum = limits.maximumTokens, tokens.count >= maximum {
                finishReason = .length
            } else if position == session.contextLength {
                finishReason = .contextFull
            }
        }
        if finishReason != nil { certain += decoder?.finish() ?? "" }
        let match = stops.feed(certain)
        if match.stop != nil {
            finishReason = .stopString
            return match.emit
        }
        return finishReason == nil ? match.emit : match.emit + stops.finish()
    }
}
