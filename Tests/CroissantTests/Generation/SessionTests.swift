import Croissant
import GGUF
import Testing

@Suite("Sessions")
struct SessionTests {
    private static let file = Result { try ModelFile(shape: .tiny, seed: 3) }
    private static let tokens: [Int32] = [1, 300, 20, 400, 77, 5, 9, 33]

    private static func model(_ change: (inout RuntimeOptions) -> Void = { _ in }) throws -> Model {
        var options = RuntimeOptions.small
        change(&options)
        return try file.get().load(options)
    }

    @Test("a session that a generation gave back goes on where it ended")
    func takeSession() throws {
        let model = try Self.model { $0.batchSize = 1 }
        var generation = try Generator(
            try Session(model), promptTokens: Self.tokens, sampling: .greedy,
            limits: GenerationLimits(maximumTokens: 4))
        while try generation.nextToken() != nil {}
        let generated = generation.tokens
        var session = generation.takeSession()
        #expect(session.position == Self.tokens.count + 3, "the last token was not fed")
        let logits = try session.logits(after: [generated[3], 8])

        var fresh = try Session(model)
        #expect(try fresh.logits(after: Self.tokens + generated + [8]) == logits)
    }

    @Test("rewinding and feeding the same again gives the same logits", arguments: [0, 1, 5, 8])
    func rewind(position: Int) throws {
        for batchSize in [1, 16] {
            var session = try Session(try Self.model { $0.batchSize = batchSize })
            try session.evaluate(Array(Self.tokens.prefix(position)))
            let logits = try session.logits(after: Array(Self.tokens.dropFirst(position)) + [2])
            // Other tokens in their place.
            session.rewind(to: position)
            #expect(session.position == position && session.logitCount == 0)
            try session.evaluate([500, 501, 502])
            session.rewind(to: position)
            #expect(try session.logits(after: Array(Self.tokens.dropFirst(position)) + [2]) == logits)
        }
    }

    @Test("a context can be filled to its last position, and not further")
    func fill() throws {
        var session = try Session(try Self.model(), contextLength: 8)
        try session.evaluate(Self.tokens)
        #expect(session.position == 8)
        #expect(throws: ModelError.contextExceeded(tokens: 9, capacity: 8)) { try session.evaluate([1]) }
        #expect(try session.evaluate([]) == 0)
        session.rewind(to: 7)
        #expect(throws: ModelError.contextExceeded(tokens: 9, capacity: 8)) { try session.check([4, 4]) }
        #expect(throws: ModelError.invalidToken(id: -1, vocabularySize: 512)) { try session.check([-1]) }
        try session.check([4])
        #expect(session.position == 7, "nothing was fed")
        try session.evaluate([4])
        #expect(session.position == 8)
    }

    @Test("logits are there when they are asked for")
    func logits() throws {
        var session = try Session(try Self.model())
        #expect(session.logitCount == 0)
        try session.evaluate(Self.tokens, logits: .none)
        #expect(session.logitCount == 0)
        try session.evaluate([7])
        #expect(session.logitCount == 512)
    }

    @Test("all logits need a session that keeps them")
    func allLogits() throws {
        var session = try Session(try Self.model())
        #expect(throws: ModelError.self) { try session.evaluateAll(Self.tokens) { _, _ in } }

        var keeping = try Session(
            try Self.model {
                $0.allLogits = true
                $0.batchSize = 3
            })
        var ranges: [Range<Int>] = []
        var last: [Float] = []
        try keeping.evaluateAll(Self.tokens) { range, logits in
            ranges.append(range)
            #expect(logits.count == range.count * 512)
            last = Array(array(logits).suffix(512))
        }
        #expect(ranges == [0..<3, 3..<6, 6..<8])
        var single = try Session(try Self.model { $0.batchSize = 3 })
        #expect(largestDifference(try single.logits(after: Self.tokens), last) < 1e-5)
    }

    @Test(
        "what the last block leaves out changes no later logits", arguments: [GGMLType.f32, .q8_0, .q4_0], [1, 2])
    func lastBlock(type: GGMLType, threads: Int) throws {
        // Quantised caches want heads of 32.
        let shape = ModelShape(
            name: "wide heads", contextLength: 64, embeddingLength: 64, layers: 2, feedForwardLength: 96, heads: 2,
            keyValueHeads: 1, vocabularySize: 512)
        let file = try ModelFile(shape: shape, seed: 3)
        // A pass of 20 goes through tiles, and its last row alone through the end of the last block.
        let tokens = Array(0..<40).map { Int32(3 + $0 * 11) }
        var options = RuntimeOptions.exact(contextLength: 64, threads: threads)
        options.keyType = type
        options.valueType = type
        options.batchSize = 21
        var session = try Session(try file.load(options))
        let first = try session.logits(after: Array(tokens.prefix(20)))
        try session.evaluate(Array(tokens[20..<39]), logits: .none)
        let last = try session.logits(after: [tokens[39]])

        options.allLogits = true
        var keeping = try Session(try file.load(options))
        let all =
            try keeping.allLogits(of: Array(tokens.prefix(20))) + keeping.allLogits(of: Array(tokens.dropFirst(20)))
        #expect(largestDifference(first, Array(all[19 * 512..<20 * 512])) < 1e-5)
        #expect(largestDifference(last, Array(all.suffix(512))) < 1e-5)
    }

    @Test("prompts with threads of their own leave one row of a batch to them, too", arguments: [GGMLType.q4_0, .q6_K])
    func promptThreads(type: GGMLType) throws {
        let shape = ModelShape(
            name: "panels", contextLength: 64, embeddingLength: 256, layers: 2, feedForwardLength: 256, heads: 4,
            keyValueHeads: 2, vocabularySize: 512)
        let file = try ModelFile(shape: shape, type: type, seed: 3)
        let tokens = Array(0..<40).map { Int32(3 + $0 * 11) }
        var options = RuntimeOptions(contextLength: 64)
        (options.threads, options.promptThreads) = (1, 3)
        (options.activations, options.prefill) = (.int16, .int16)
        var session = try Session(try file.load(options))
        let last = try session.logits(after: tokens)
        (options.threads, options.promptThreads, options.allLogits) = (2, nil, true)
        var keeping = try Session(try file.load(options))
        let all = try keeping.allLogits(of: tokens)
        let largest = all.suffix(512).map(abs).max() ?? 0
        let difference = largestDifference(last, Array(all.suffix(512)))
        #expect(difference < 1e-3 * largest, "\(difference) of \(largest)")
    }

    @Test("sessions of one model do not see each other")
    func independent() throws {
        let model = try Self.model { $0.threads = 2 }
        var first = try Session(model)
        var second = try Session(model)
        var alone = try Session(model)
        try first.evaluate(Array(Self.tokens.prefix(4)))
        try second.evaluate([9, 8, 7])
        let logits = try first.logits(after: Array(Self.tokens.dropFirst(4)))
        try alone.evaluate(Array(Self.tokens.prefix(4)))
        #expect(try alone.logits(after: Array(Self.tokens.dropFirst(4))) == logits)
    }

    @Test("sessions of one model may run on several threads at once")
    func concurrent() async throws {
        let model = try Self.model { $0.threads = 2 }
        var alone = try Session(model)
        let expected = try alone.logits(after: Self.tokens)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10 {
                        var session = try Session(model)
                        guard try session.logits(after: Self.tokens) == expected else { return false }
                    }
                    return true
                }
            }
            for try await isSame in group { #expect(isSame) }
        }
    }
}
