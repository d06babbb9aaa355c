import Croissant
import DemonstrationModel
import GGUF
import Testing

@Suite("Guesses ahead change nothing but the time")
struct GuessTests {
    /// A story that has been told three times, and once more up to here: the demonstration model tells the rest, which
    /// is 29 tokens, and ends.
    private static let prompt: String = {
        let start = """
            Il était une fois un petit boulanger qui vivait dans le château. Il aimait rêver. Un jour, il voulait offrir \
            un cadeau à son ami, le cheval. Il est allé au marché et a acheté une écharpe. Puis il a préparé une soupe.
            """
        let end = """
            « Quelle belle écharpe ! » a dit le cheval. Ils ont mangé la soupe et ont chanté. Ils ont été heureux pendant \
            longtemps.
            """
        return String(repeating: start + " " + end + "\n", count: 3) + start
    }()

    /// A generation in floats, which several tokens at a time change little of.
    private static func generator(
        _ draftTokens: Int, _ limits: GenerationLimits = GenerationLimits(), contextLength: Int = 512,
        sampling: SamplingParameters = .greedy
    ) throws -> Generator {
        var options = RuntimeOptions.exact(contextLength: contextLength)
        options.draftTokens = draftTokens
        let session = try Session(try Model(GGUFFile.demonstration(), options: options))
        return try Generator(session, prompt: prompt, sampling: sampling, limits: limits)
    }

    /// What a generation came to.
    private struct Result {
        var tokens: [Int32] = []
        var text = ""
        let finishReason: FinishReason?
        let metrics: GenerationMetrics
        /// Positions that its session holds afterwards.
        let position: Int

        init(_ generation: consuming Generator) throws {
            while let piece = generation.next() { text += piece }
            tokens = generation.tokens
            finishReason = generation.finishReason
            metrics = generation.metrics
            position = generation.takeSession().position
        }
    }

    /// The result with up to `draftTokens` guessed at a time, which has to be what it is without.
    private static func result(
        _ draftTokens: Int, _ limits: GenerationLimits = GenerationLimits(), contextLength: Int = 512,
        sampling: SamplingParameters = .greedy
    ) throws -> Result {
        let plain = try Result(generator(0, limits, contextLength: contextLength, sampling: sampling))
        #expect(plain.metrics.draftedTokens == 0 && plain.metrics.acceptedTokens == 0)
        let guessing = try Result(generator(draftTokens, limits, contextLength: contextLength, sampling: sampling))
        #expect(guessing.tokens == plain.tokens && guessing.text == plain.text)
        #expect(guessing.finishReason == plain.finishReason && guessing.position == plain.position)
        #expect(guessing.metrics.acceptedTokens <= guessing.metrics.draftedTokens)
        return guessing
    }

    @Test("up to the end that the model makes, which was guessed, too", arguments: [1, 3, 15])
    func endOfGeneration(draftTokens: Int) throws {
        let result = try Self.result(draftTokens)
        #expect(result.finishReason == .endOfGeneration && result.tokens.count == 30)
        let saved = result.metrics.acceptedTokens
        #expect(saved * 4 > result.tokens.count, "\(saved) passes of \(result.tokens.count) saved")
    }

    @Test("up to the last token that is asked for, and up to the last position", arguments: 20..<24)
    func limits(count: Int) throws {
        let result = try Self.result(7, GenerationLimits(maximumTokens: count))
        #expect(result.finishReason == .length && result.tokens.count == count)
        #expect(result.metrics.acceptedTokens > 0)
        let prompt = try Self.generator(0).prompt.count
        let full = try Self.result(7, contextLength: prompt + count)
        #expect(full.finishReason == .contextFull && full.position == prompt + count)
    }

    @Test(
        "up to a stop string, with what was guessed beyond it taken back",
        arguments: ["a dit le", "cheval. Ils ont", "soupe et ont chanté. Ils ont été heureux"])
    func stopStrings(stop: String) throws {
        var limits = GenerationLimits()
        limits.stopStrings = [stop]
        let result = try Self.result(15, limits)
        #expect(result.finishReason == .stopString && !result.text.isEmpty)
    }

    @Test("draws by a seed")
    func draws() throws {
        let sampling = SamplingParameters(temperature: 0.9, seed: 5)
        let result = try Self.result(7, sampling: sampling)
        #expect(result.metrics.acceptedTokens > 10 && result.metrics.draftedTokens > result.metrics.acceptedTokens)
    }

    @Test("penalties for what was said, which guesses are no part of until they are chosen")
    func penalties() throws {
        var sampling = SamplingParameters(temperature: 0)
        sampling.repeatPenalty = 1.1
        let limits = GenerationLimits(maximumTokens: 40)
        let result = try Self.result(7, limits, sampling: sampling)
        #expect(result.metrics.acceptedTokens > 0 && result.metrics.draftedTokens > result.metrics.acceptedTokens)
        #expect(try result.tokens != Self.result(7, limits).tokens, "penalties forbid nothing")
    }

    @Test("what is not chosen is taken back, wherever the caller stops")
    func stopping() throws {
        var plain = try Self.generator(0)
        while plain.tokens.count < 28, try plain.nextToken() != nil {}
        var checked = 0
        for count in 20...27 {
            var guessing = try Self.generator(15)
            while guessing.tokens.count < count, try guessing.nextToken() != nil {}
            #expect(guessing.tokens == Array(plain.tokens.prefix(count)))
            if count % 2 == 0 {
                #expect(guessing.cancel() == "" && guessing.finishReason == .cancelled)
            }
            let fed = guessing.prompt.count + count - 1
            let session = guessing.takeSession()
            #expect(session.position == fed)
            if session.logits.isEmpty { checked += 1 }
        }
        #expect(checked > 4, "hardly ever did the last pass check guesses: \(checked) times of 8")
    }

    @Test("no more is guessed than fits in a pass, each guess has its logits in the plan, and nonsense is an error")
    func plan() throws {
        func plan(_ draftTokens: Int, _ batchSize: Int) throws -> MemoryPlan {
            var options = RuntimeOptions.exact(contextLength: 128)
            options.draftTokens = draftTokens
            options.batchSize = batchSize
            return try Model(GGUFFile.demonstration(), options: options).plan
        }
        #expect(try plan(0, 8).draftTokens == 0)
        #expect(try plan(5, 8).draftTokens == 5)
        #expect(try plan(8, 8).draftTokens == 7)
        #expect(try plan(64, 1).draftTokens == 0)
        #expect(try plan(5, 8).sessionBytes - plan(0, 8).sessionBytes == 5 * 1600 * 4)
        #expect(throws: ModelError.self) { try plan(-1, 8) }
        #expect(throws: ModelError.self) { try plan(65, 512) }
    }

    @Test("logits that are no numbers are an error that names the position before the guesses")
    func noNumbers() throws {
        var file = try ModelFile(shape: .tiny)
        try file.change("output.weight") { tensor in
            for byte in tensor.bytes.indices { tensor.bytes[byte] = 0xFF }
        }
        var options = RuntimeOptions.small
        options.draftTokens = 3
        var session = try Session(try file.load(options))
        try session.evaluateEach([1, 2, 3, 4])
        var sampler = Sampler(.greedy)
        for guesses in 0..<4 {
            do throws(ModelError) {
                _ = try session.sample(&sampler, before: guesses)
                Issue.record("nothing was thrown")
            } catch {
                #expect(error == .noNumbers(position: 3 - guesses))
            }
        }
    }
}
