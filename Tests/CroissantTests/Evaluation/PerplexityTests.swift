import Croissant
import Foundation
import GGUF
import Testing

/// The 48 tokens that the reference logits belong to.
struct ReferenceIDs: Decodable {
    let ids: [Int32]

    static func load() throws -> [Int32] { try TestData.decode(Self.self, from: "random-mha-logits.json").ids }
}

extension Model {
    /// A model of the test data, to be evaluated in chunks of `length`, with floats throughout unless `change` says
    /// otherwise.
    static func evaluated(
        _ path: String, length: Int, threads: Int = 2, _ change: (inout RuntimeOptions) -> Void = { _ in }
    ) throws -> Model {
        var options = RuntimeOptions.exact(contextLength: length, threads: threads)
        change(&options)
        return try Model(contentsOf: path, options: options.evaluating(chunksOf: length))
    }
}

/// All chunks of a run.
func measure(_ perplexity: inout Perplexity) throws -> [PerplexityEstimate] {
    var chunks: [PerplexityEstimate] = []
    while let chunk = try perplexity.next() { chunks.append(chunk) }
    return chunks
}

@Suite("Perplexity is that of float64 arithmetic", .enabled(if: TestData.isPresent, "needs ../shared/data"))
struct ReferencePerplexityTests {
    /// By Benchmarks/Compare/golden.py: name, perplexity, standard error.
    static let golden: [(String, Double, Double)] = [
        ("IQ4_XS", 860.878050396, 204.300122569),
        ("Q2_K", 1135.324713734, 285.326177597),
        ("Q4_0", 955.760545871, 205.832361874),
        ("Q4_K_M", 842.613278985, 180.011011917),
        ("Q5_K_M", 917.558635458, 193.145857294),
        ("Q8_0", 874.147370893, 197.600757712),
        ("f32", 863.038259929, 195.044497339),
    ]

    @Test("with floats throughout, whatever the size of the passes", arguments: golden)
    func exact(name: String, expected: Double, error: Double) throws {
        let chunks = try TokenChunks(ReferenceIDs.load(), length: 48, beginning: nil)
        for batchSize in [512, 5] {
            let model = try Model.evaluated(TestData.path("random-mha-\(name).gguf"), length: 48) {
                $0.batchSize = batchSize
            }
            var perplexity = try Perplexity(model, chunks)
            let parts = try measure(&perplexity)
            #expect(parts == [perplexity.estimate])
            #expect(abs(perplexity.estimate.perplexity / expected - 1) < 1e-4)
            #expect(abs((perplexity.estimate.error ?? 0) / error - 1) < 1e-3)
            #expect(perplexity.estimate.scored == 23)
            #expect(perplexity.fedTokens == 47 && chunks.fedTokens == 47)
        }
    }

    @Test("over a text, cut and begun as llama.cpp does it", arguments: [2, 3])
    func text(chunks: Int) throws {
        // llama-perplexity -m stories260K.gguf -f fr_candide_voltaire.utf8.txt -c 256 --chunks 2, 3
        let golden = [2: (493.7707, 140.0541), 3: (447.7589, 100.0610)]
        let (expected, error) = try #require(golden[chunks])
        let text = try String(contentsOfFile: TestData.path("../text/fr_candide_voltaire.utf8.txt"), encoding: .utf8)
        let model = try Model.evaluated(TestData.path("stories260K.gguf"), length: 256)
        var perplexity = try Perplexity(model, text: text, chunks: chunks)
        _ = try measure(&perplexity)
        #expect(perplexity.estimate.scored == chunks * 127)
        #expect(abs(perplexity.estimate.perplexity / expected - 1) < 1e-3)
        #expect(abs((perplexity.estimate.error ?? 0) / error - 1) < 1e-3)
    }
}

@Suite("Chunks of a text")
struct TokenChunksTests {
    @Test(
        "whole chunks are taken, and the second half of each is scored",
        arguments: [
            // tokens, length, limit, chunks, first scored, scored in each
            (100, 10, nil, 10, 5, 4), (109, 10, nil, 10, 5, 4), (109, 11, nil, 9, 5, 5), (10, 10, nil, 1, 5, 4),
            (100, 10, 3, 3, 5, 4), (100, 10, 99, 10, 5, 4), (7, 3, nil, 2, 1, 1), (8, 4, 1, 1, 2, 1),
        ] as [(Int, Int, Int?, Int, Int, Int)])
    func counts(tokens: Int, length: Int, limit: Int?, chunks: Int, first: Int, scored: Int) throws {
        let all = (0..<Int32(tokens)).map { $0 }
        let cut = try TokenChunks(all, length: length, beginning: nil, limit: limit)
        #expect(cut.count == chunks && cut.firstScored == first && cut.scoredPerChunk == scored)
        #expect(cut.tokens == Array(all.prefix(chunks * length)))
        for index in 0..<chunks {
            let start = index * length
            #expect(cut.input(ofChunk: index) == Array(all[start..<start + length - 1]))
            #expect(cut.target(chunk: index, position: first) == Int32(start + first + 1))
            #expect(cut.target(chunk: index, position: length - 2) == Int32(start + length - 1))
        }
    }

    @Test("BOS takes the place of the first token of each chunk that is fed, not of those that are kept")
    func beginning() throws {
        let chunks = try TokenChunks([1, 11, 12, 13, 14, 15, 16, 17], length: 4, beginning: 1)
        #expect(chunks.input(ofChunk: 0) == [1, 11, 12])
        #expect(chunks.input(ofChunk: 1) == [1, 15, 16])
        #expect(chunks.tokens[4] == 14)
    }

    @Test("a text that fills no chunk, and sizes that make no sense, are errors")
    func errors() {
        #expect(throws: EvaluationError.tooFewTokens(found: 9, needed: 10)) {
            try TokenChunks(Array(repeating: 1, count: 9), length: 10, beginning: nil)
        }
        #expect(throws: EvaluationError.tooFewTokens(found: 0, needed: 3)) {
            try TokenChunks([], length: 3, beginning: nil)
        }
        for (length, limit) in [(2, nil), (0, nil), (-1, nil), (.min, nil), (4, 0), (4, -1)] as [(Int, Int?)] {
            #expect(throws: EvaluationError.self) {
                try TokenChunks(Array(repeating: 1, count: 9), length: length, beginning: nil, limit: limit)
            }
        }
    }

    @Test("a text begins with the BOS that the file wants, ends without EOS, and holds no control tokens")
    func encoding() throws {
        var file = try ModelFile(shape: .tiny)
        file.metadata["tokenizer.ggml.add_eos_token"] = .bool(true)
        let model = try file.load()
        let ids = try TokenChunks.encoding(of: "le roi</s>", model).ids
        let tokenizer = try #require(model.tokenizer)
        #expect(ids.first == tokenizer.bos && ids.last != tokenizer.eos)
        #expect(!ids.dropFirst().contains { tokenizer.kind(of: $0) == .control })
        #expect(tokenizer.decode(ids) == "le roi</s>")
        #expect(TokenChunks.beginning(model) == tokenizer.bos)

        file.metadata["tokenizer.ggml.add_bos_token"] = .bool(false)
        let without = try file.load()
        #expect(try TokenChunks.encoding(of: "le roi</s>", without).ids == Array(ids.dropFirst()))
        #expect(TokenChunks.beginning(without) == nil)
    }
}

@Suite("Perplexity")
struct PerplexityTests {
    private static let file = Result { try ModelFile(shape: .tiny, seed: 5) }
    private static let tokens = (0..<60).map { Int32($0 * 37 % 512) }

    private func model(length: Int, _ change: (inout RuntimeOptions) -> Void = { _ in }) throws -> Model {
        var options = RuntimeOptions.small
        change(&options)
        return try Self.file.get().load(options.evaluating(chunksOf: length))
    }

    @Test("the logarithm of a softmax is float64's, of likely and of impossible tokens")
    func logSoftmax() {
        // numpy: x - x.max() - log(exp(x - x.max()).sum())
        let logits: [Float] = [0.5, -1.25, 3, 2.75, -0.5, 1.5, -2.5, 0]
        let golden = [
            -3.2804029188907093, -5.03040291889071, -0.7804029188907093, -1.0304029188907093, -4.28040291889071,
            -2.2804029188907093, -6.28040291889071, -3.7804029188907093,
        ]
        let kernels = Kernels(.scalar)
        let softmax = LogSoftmax(logits.span, kernels: kernels)
        for (logit, expected) in zip(logits, golden) {
            #expect(abs(softmax.logProbability(of: logit) - expected) < 1e-14)
        }
        let extreme: [Float] = [88.5, -88.5, -.infinity, 0]
        let certain = LogSoftmax(extreme.span, kernels: kernels)
        #expect(extreme.map { certain.logProbability(of: $0) } == [0, -177, -.infinity, -88.5])
    }

    @Test("the mean and its error are those of the definition, also where the values are large and close")
    func mean() {
        // numpy: v.mean(), v.std() / sqrt(len(v) - 1)
        for offset in [0, 1e9] {
            var mean = SampleMean()
            for value in [1.5, 2.25, 0.5, 7, 3.125] { mean.add(value + offset) }
            #expect(abs(mean.value - offset - 2.875) < 1e-6)
            #expect(abs((mean.error ?? 0) - 1.118033988749895) < 1e-6)
        }
        var estimate = PerplexityEstimate()
        #expect(estimate.perplexity == 1 && estimate.error == nil)
        estimate.add(1.5)
        #expect(estimate.error == nil)
        for value in [2.25, 0.5, 7, 3.125] { estimate.add(value) }
        #expect(abs(estimate.perplexity - 17.725424121461643) < 1e-12)
        #expect(abs((estimate.error ?? 0) - 19.81762663280136) < 1e-12)
    }

    @Test("chunks know nothing of one another, and their order is that of the text")
    func chunks() throws {
        let model = try model(length: 12)
        var whole = try Perplexity(model, TokenChunks(Self.tokens, length: 12, beginning: 1))
        let parts = try measure(&whole)
        #expect(parts.count == 5 && whole.doneChunks == 5)
        #expect(try whole.next() == nil)
        for (index, part) in parts.enumerated() {
            let tokens = Array(Self.tokens[index * 12..<(index + 1) * 12])
            var alone = try Perplexity(model, TokenChunks(tokens, length: 12, beginning: 1))
            #expect(try alone.next() == part)
        }
        #expect(Set(parts.map(\.perplexity)).count == 5)
        let losses = parts.map(\.loss.value)
        #expect(abs(whole.estimate.loss.value - losses.reduce(0, +) / 5) < 1e-12)
    }

    @Test("threads do not change a digit")
    func threads() throws {
        let estimates = try [1, 2, 3].map { threads in
            var perplexity = try Perplexity(
                try model(length: 20) { $0.threads = threads }, TokenChunks(Self.tokens, length: 20, beginning: 1))
            _ = try measure(&perplexity)
            return perplexity.estimate
        }
        #expect(Set(estimates.map(\.perplexity)).count == 1)
    }

    @Test("stopping leaves the chunks that are done, after any pass", arguments: [20, 23, 27, 29, 33, 37])
    func stopping(limit: Int) throws {
        let model = try model(length: 20) { $0.batchSize = 4 }
        var perplexity = try Perplexity(model, TokenChunks(Self.tokens, length: 20, beginning: nil))
        let first = try #require(try perplexity.next())
        var last = 0
        let stopped = try perplexity.next { done in
            last = done
            return done < limit
        }
        // Passes end after 4, 8, 10, 14, 18 and 19 tokens of a chunk: there is nothing to stop after the last.
        #expect(last >= limit && last < limit + 4)
        #expect(stopped == nil && perplexity.doneChunks == 1 && perplexity.estimate == first)
        #expect(try perplexity.next { _ in true } != nil)
        #expect(perplexity.doneChunks == 2 && perplexity.fedTokens == 2 * 19)
    }

    @Test("the plan is a session's with one chunk of context and the logits of one pass")
    func plan() throws {
        let options = RuntimeOptions().evaluating(chunksOf: 1000)
        #expect(options.contextLength == 1000 && options.batchSize == 500 && options.allLogits)
        #expect(RuntimeOptions().evaluating(chunksOf: 4096).batchSize == 512)
        #expect(RuntimeOptions().evaluating(chunksOf: 3).batchSize == 1)

        let model = try model(length: 40)
        let perplexity = try Perplexity(model, TokenChunks(Self.tokens, length: 40, beginning: nil))
        #expect(perplexity.plan.byteCount == model.plan.byteCount)
        #expect(perplexity.plan.contextLength == 40 && perplexity.plan.batchSize == 16)
        var budget = RuntimeOptions.small
        budget.memoryBudget = ByteCount(model.plan.byteCount)
        _ = try Self.file.get().load(budget.evaluating(chunksOf: 40))
        guard case .overBudget = try Self.file.get().loadError(budget.evaluating(chunksOf: 41)) else {
            Issue.record("a longer chunk took no more memory")
            return
        }
    }

    @Test("a model that was loaded for something else is refused")
    func otherOptions() throws {
        let plain = try Self.file.get().load()
        #expect(throws: EvaluationError.self) {
            _ = try Perplexity(plain, TokenChunks(Self.tokens, length: 20, beginning: nil))
        }
    }

    @Test("tokens that the model does not have are refused, also where they are only predicted")
    func strangers() throws {
        let model = try model(length: 20)
        for (tokens, beginning) in [([1, 2, 512], nil), ([1, -1, 2], nil), ([1, 2, 3], 512)] as [([Int32], Int32?)] {
            #expect(throws: EvaluationError.self) {
                _ = try Perplexity(model, TokenChunks(tokens, length: 3, beginning: beginning))
            }
        }
    }

    @Test("a model that gives no numbers is an error, with the place")
    func notANumber() throws {
        var file = try ModelFile(shape: .tiny)
        try file.change("output.weight") { tensor in
            for byte in 0..<4 { tensor.bytes[byte] = 0xFF }
        }
        let model = try file.load(RuntimeOptions.small.evaluating(chunksOf: 20))
        #expect(throws: EvaluationError.notFinite(chunk: 0, position: 10)) {
            _ = try Perplexity(model, TokenChunks(Self.tokens, length: 20, beginning: nil)).run()
        }
    }
}

extension Perplexity {
    /// All chunks of a new run.
    consuming func run() throws -> PerplexityEstimate {
        var run = self
        _ = try measure(&run)
        return run.estimate
    }
}
