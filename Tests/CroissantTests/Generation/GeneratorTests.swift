import Croissant
import GGUF
import Testing

/// A run of a generator, piece by piece.
private struct Run {
    var ids: [Int32] = []
    var pieces: [String] = []
    let finishReason: FinishReason?
    let metrics: GenerationMetrics

    var text: String { pieces.joined() }

    init(_ generation: consuming Generator) throws {
        while let token = try generation.nextToken() {
            ids.append(token.id)
            pieces.append(token.text)
            #expect(generation.tokens == ids)
        }
        finishReason = generation.finishReason
        metrics = generation.metrics
        let afterTheEnd = try generation.nextToken()
        #expect(afterTheEnd == nil, "a generation that has ended stays ended")
    }
}

@Suite("Generation")
struct GeneratorTests {
    private static let file = Result { try ModelFile(shape: .tiny, seed: 3) }
    /// The same draws in every test: hot, so that the text is varied.
    private static let sampling = SamplingParameters(temperature: 1.5, seed: 11)
    private static let prompt = "Le roi de France"

    /// A model of the file, with another end of generation if one is given.
    private static func model(end: Int32? = nil, _ change: (inout RuntimeOptions) -> Void = { _ in }) throws -> Model {
        var file = try file.get()
        if let end { file.metadata["tokenizer.ggml.eos_token_id"] = .uint32(UInt32(end)) }
        var options = RuntimeOptions.small
        options.contextLength = 128
        change(&options)
        return try file.load(options)
    }

    private static func run(_ model: Model, _ limits: GenerationLimits) throws -> Run {
        try Run(Generator(try Session(model), prompt: prompt, sampling: sampling, limits: limits))
    }

    /// Forty tokens without any limit but that.
    private static func longRun(_ model: Model) throws -> Run {
        var limits = GenerationLimits(maximumTokens: 40)
        limits.ignoresEndOfGeneration = true
        return try run(model, limits)
    }

    // MARK: Text

    @Test("the pieces together are the decoded ids")
    func pieces() throws {
        let model = try Self.model()
        let tokenizer = try #require(model.tokenizer)
        let run = try Self.longRun(model)
        #expect(run.ids.count == 40 && run.finishReason == .length)
        let prompt = tokenizer.encode(Self.prompt)
        let whole = tokenizer.decode(prompt + run.ids)
        #expect(whole == tokenizer.decode(prompt) + run.text)
        #expect(run.text.count > 40, "the text is too short to say anything")
    }

    @Test("the same seed gives the same text, whether ids or text are given, and next() gives the same pieces")
    func repeats() throws {
        let model = try Self.model()
        let run = try Self.longRun(model)
        #expect(try Self.longRun(model).ids == run.ids)
        let ids = try #require(model.tokenizer).encode(Self.prompt)
        var limits = GenerationLimits(maximumTokens: 40)
        limits.ignoresEndOfGeneration = true
        var generation = try Generator(
            try Session(model), promptTokens: ids, sampling: Self.sampling, limits: limits)
        #expect(generation.prompt == ids && generation.dropped.isEmpty && generation.seed == 11)
        var pieces: [String] = []
        while let piece = generation.next() { pieces.append(piece) }
        #expect(pieces == run.pieces)
        #expect(generation.finishReason == .length)
    }

    // MARK: Why it ends

    @Test("as many tokens as were asked for, none included", arguments: [0, 1, 7])
    func length(maximum: Int) throws {
        let model = try Self.model()
        let run = try Self.run(model, GenerationLimits(maximumTokens: maximum))
        #expect(run.ids == Array(try Self.longRun(model).ids.prefix(maximum)))
        #expect(run.finishReason == .length)
        #expect(run.metrics.generatedTokens == maximum)
    }

    @Test("a negative number of tokens is an error")
    func negativeLength() throws {
        let model = try Self.model()
        #expect(throws: ModelError.self) { _ = try Self.run(model, GenerationLimits(maximumTokens: -1)) }
    }

    @Test("the context is full after its last position", arguments: [0, 1, 5])
    func contextFull(free: Int) throws {
        let model = try Self.model()
        let prompt = try #require(model.tokenizer).encode(Self.prompt)
        let session = try Session(model, contextLength: prompt.count + free)
        var limits = GenerationLimits()
        limits.ignoresEndOfGeneration = true
        let run = try Run(Generator(session, prompt: Self.prompt, sampling: Self.sampling, limits: limits))
        #expect(run.finishReason == .contextFull)
        // The last token needs no position: nothing is computed from it.
        #expect(run.ids == Array(try Self.longRun(model).ids.prefix(free + 1)))
    }

    @Test("a prompt longer than the context is an error with both numbers")
    func promptTooLong() throws {
        let model = try Self.model()
        let count = try #require(model.tokenizer).encode(Self.prompt).count
        let expected = ModelError.contextExceeded(tokens: count, capacity: count - 1)
        #expect(throws: expected) {
            _ = try Generator(try Session(model, contextLength: count - 1), prompt: Self.prompt)
        }
        #expect("\(expected)".contains("\(count) tokens") && "\(expected)".contains("\(count - 1) fit"))

        var session = try Session(model, contextLength: count + 2)
        try session.evaluate([1, 2, 3])
        let full = ModelError.contextExceeded(tokens: count + 3, capacity: count + 2)
        do throws(ModelError) {
            _ = try Generator(session, prompt: Self.prompt)
            Issue.record("positions that are in use were not counted")
        } catch {
            #expect(error == full)
        }
    }

    @Test("an end of generation ends it, unless it is ignored")
    func endOfGeneration() throws {
        let plain = try Self.longRun(try Self.model())
        // A token that first comes up somewhere in the middle.
        let position = try #require((5..<30).first { !plain.ids.prefix($0).contains(plain.ids[$0]) })
        let model = try Self.model(end: plain.ids[position])
        #expect(try #require(model.tokenizer).endOfGeneration.contains(plain.ids[position]))
        let run = try Self.run(model, GenerationLimits(maximumTokens: 40))
        #expect(run.finishReason == .endOfGeneration)
        #expect(run.ids == Array(plain.ids.prefix(position + 1)))
        #expect(run.text == plain.pieces.prefix(position).joined(), "the end is no part of the text")
        let ignoring = try Self.longRun(model)
        #expect(ignoring.ids == plain.ids && ignoring.finishReason == .length)
    }

    @Test("a stop string ends the text before it, also where it spans pieces")
    func stopString() throws {
        let model = try Self.model()
        let plain = try Self.longRun(model)
        var spanning = 0
        for index in 3..<30 where !plain.pieces[index].isEmpty && !plain.pieces[index + 1].isEmpty {
            // The end of one piece and the beginning of the next.
            let stop = String(plain.pieces[index].suffix(2)) + String(plain.pieces[index + 1].prefix(2))
            guard let found = plain.text.utf8Range(of: stop) else { continue }
            var limits = GenerationLimits(maximumTokens: 40)
            limits.ignoresEndOfGeneration = true
            limits.stopStrings = ["no such text", stop]
            let run = try Self.run(model, limits)
            #expect(run.finishReason == .stopString)
            #expect(run.text == found.before, "stop string '\(stop)'")
            #expect(run.ids == Array(plain.ids.prefix(run.ids.count)))
            spanning += 1
        }
        #expect(spanning >= 5)
    }

    @Test("what was held back for a stop string that does not come is given with the last token")
    func heldBack() throws {
        let model = try Self.model()
        let plain = try Self.longRun(model)
        var limits = GenerationLimits(maximumTokens: 40)
        limits.ignoresEndOfGeneration = true
        // Begins like the end of the text, and goes on otherwise.
        limits.stopStrings = [String(plain.text.suffix(6)) + "\u{1}"]
        let run = try Self.run(model, limits)
        #expect(run.finishReason == .length)
        #expect(run.text == plain.text)
        #expect(run.pieces != plain.pieces, "nothing was held back")
    }

    // MARK: Cancelling

    @Test("cancelling from progress stops after the pass, the last one too", arguments: [1, 2, 3])
    func cancelFromProgress(passes: Int) throws {
        let model = try Self.model { $0.batchSize = 4 }
        var generation = try Generator(
            try Session(model), promptTokens: Array(10..<20), sampling: Self.sampling)
        var done: [Int] = []
        try generation.start { tokens in
            done.append(tokens)
            return done.count < passes
        }
        #expect(done == Array([4, 8, 10].prefix(passes)))
        #expect(generation.finishReason == .cancelled)
        #expect(generation.metrics.promptTokens == done.last)
        #expect(try generation.nextToken() == nil)
        #expect(generation.tokens.isEmpty)
        let session = generation.takeSession()
        #expect(session.position == done.last)
    }

    @Test("progress that goes on sees every pass, once")
    func progress() throws {
        let model = try Self.model { $0.batchSize = 4 }
        var generation = try Generator(
            try Session(model), promptTokens: Array(10..<20), sampling: Self.sampling)
        var done: [Int] = []
        for _ in 0..<2 {
            try generation.start { tokens in
                done.append(tokens)
                return true
            }
        }
        #expect(done == [4, 8, 10])
        #expect(generation.finishReason == nil)
        #expect(try generation.nextToken() != nil)
    }

    @Test("cancel() ends it and gives what was held back")
    func cancel() throws {
        let model = try Self.model()
        let plain = try Self.longRun(model)
        var limits = GenerationLimits()
        limits.ignoresEndOfGeneration = true
        limits.stopStrings = [plain.pieces.prefix(5).joined() + "\u{1}"]
        var generation = try Generator(
            try Session(model), prompt: Self.prompt, sampling: Self.sampling, limits: limits)
        var text = ""
        for _ in 0..<5 { text += try generation.nextToken()?.text ?? "" }
        #expect(text.isEmpty, "all of it could be the stop string")
        text += generation.cancel()
        #expect(text == plain.pieces.prefix(5).joined())
        #expect(generation.finishReason == .cancelled)
        #expect(generation.cancel().isEmpty)
        #expect(try generation.nextToken() == nil)
    }

    @Test("what is cancelled before it starts feeds nothing")
    func cancelledEarly() throws {
        var generation = try Generator(try Session(try Self.model()), prompt: Self.prompt)
        #expect(generation.cancel().isEmpty)
        #expect(try generation.nextToken() == nil)
        try generation.start()
        #expect(generation.takeSession().position == 0)
    }

    // MARK: Errors

    @Test("a model that gives no numbers is an error, however tokens are chosen", arguments: [0, 0.8] as [Float])
    func noNumbers(temperature: Float) throws {
        var file = try ModelFile(shape: .tiny)
        try file.change("output.weight") { tensor in
            for byte in tensor.bytes.indices { tensor.bytes[byte] = 0xFF }
        }
        var generation = try Generator(
            try Session(try file.load(.small)), promptTokens: [1, 2, 3], sampling: .init(temperature: temperature))
        do throws(ModelError) {
            _ = try generation.nextToken()
            Issue.record("nothing was thrown")
        } catch {
            #expect(error == .noNumbers(position: 2))
        }
        #expect(generation.finishReason == .noNumbers && generation.tokens.isEmpty)
        #expect(generation.next() == nil)
    }

    @Test("ids outside the vocabulary are refused before anything runs", arguments: [-1, 512, .max, .min] as [Int32])
    func strangers(id: Int32) throws {
        let model = try Self.model()
        let expected = ModelError.invalidToken(id: Int(id), vocabularySize: 512)
        #expect(throws: expected) { _ = try Generator(try Session(model), promptTokens: [1, id]) }
        var session = try Session(model)
        do throws(ModelError) {
            try session.evaluate([1, id])
            Issue.record("it was evaluated")
        } catch {
            #expect(error == expected)
        }
        #expect(session.position == 0)
    }

    @Test("no tokens, and sampling that makes no sense, are errors")
    func badArguments() throws {
        let model = try Self.model()
        #expect(throws: ModelError.self) { _ = try Generator(try Session(model), promptTokens: []) }
        #expect(throws: ModelError.self) {
            _ = try Generator(try Session(model), prompt: "x", sampling: SamplingParameters(temperature: -1))
        }
    }

    // MARK: Metrics

    @Test("metrics count what happened")
    func metrics() throws {
        let model = try Self.model()
        let run = try Self.longRun(model)
        #expect(run.metrics.promptTokens == (try #require(model.tokenizer).encode(Self.prompt).count))
        #expect(run.metrics.generatedTokens == 40)
        #expect(run.metrics.promptTime > .zero && run.metrics.generationTime > .zero)
        let seconds = run.metrics.generationTime.seconds
        #expect(abs(run.metrics.generationSpeed * seconds - 39) < 1e-6, "the first one came with the prompt")
        #expect(run.metrics.promptSpeed > 0)
        let none = try Generator(try Session(model), promptTokens: [1]).metrics
        #expect(none.promptSpeed == 0 && none.generationSpeed == 0)
        #expect(Duration.milliseconds(1250).seconds == 1.25)
    }
}

extension String {
    /// What stands before the first occurrence of `other`, compared byte for byte; nil where there is none.
    fileprivate func utf8Range(of other: String) -> (before: String, length: Int)? {
        let (bytes, wanted) = (Array(utf8), Array(other.utf8))
        guard wanted.count <= bytes.count else { return nil }
        for start in 0...bytes.count - wanted.count where Array(bytes[start..<start + wanted.count]) == wanted {
            return (String(decoding: bytes[..<start], as: UTF8.self), wanted.count)
        }
        return nil
    }
}
