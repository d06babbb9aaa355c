import Croissant
import GGUF
import Testing

/// 256 greedy tokens of a trained model, from float64 arithmetic on its dequantised weights.
private struct GoldenText: Sendable, Decodable, CustomTestStringConvertible {
    let file: String
    let ids: [Int32]

    var testDescription: String { file }

    static let all: [GoldenText] = {
        guard TestData.isPresent,
            let texts = try? TestData.decode([String: GoldenText].self, from: "stories260K-greedy.json")
        else { return [] }
        return texts.sorted { $0.key < $1.key }.map(\.value)
    }()

    static let bos: Int32 = 1

    /// The ids that greedy sampling gives from BOS.
    func generate(_ options: RuntimeOptions) throws -> [Int32] { try generation(options).tokens }

    /// Greedy sampling from BOS, at its end.
    func generation(_ options: RuntimeOptions) throws -> Generator {
        let session = try Session(try Model(contentsOf: TestData.path(file), options: options))
        var limits = GenerationLimits(maximumTokens: ids.count)
        limits.ignoresEndOfGeneration = true
        var generation = try Generator(session, promptTokens: [Self.bos], sampling: .greedy, limits: limits)
        while try generation.nextToken() != nil {}
        return generation
    }
}

/// An instruction set with one of the other choices there are: their cross product takes too long for a debug build.
private struct Setting: Sendable, CustomTestStringConvertible {
    let options: RuntimeOptions

    init(_ index: Int, _ instructionSet: InstructionSet) {
        var options = RuntimeOptions.exact(contextLength: 257, threads: 1 + index % 2)
        options.weights = index % 2 == 0 ? .mapped : .resident
        options.instructionSet = instructionSet
        self.options = options
    }

    var testDescription: String { options.instructionSet?.rawValue ?? "" }
}

@Suite("Golden text", .enabled(if: TestData.isPresent, "needs ../shared/data"))
struct GoldenTextTests {
    @Test("all five files are there")
    func files() {
        #expect(GoldenText.all.count == 5)
        #expect(GoldenText.all.allSatisfy { $0.ids.count == 256 })
    }

    @Test(
        "float arithmetic repeats the text on every instruction set, whatever the threads and the place of the weights",
        arguments: GoldenText.all, Array(InstructionSet.supported.enumerated()).map(Setting.init))
    fileprivate func instructionSets(golden: GoldenText, setting: Setting) throws {
        #expect(try golden.generate(setting.options) == golden.ids)
    }

    @Test(
        "the text does not depend on threads or on where the weights are",
        arguments: [
            (1, WeightPlacement.mapped), (1, .resident), (2, .mapped), (2, .resident), (3, .mapped), (3, .resident),
        ])
    func threads(threads: Int, weights: WeightPlacement) throws {
        let golden = try #require(GoldenText.all.first { $0.file.contains("Q8_0") })
        var options = RuntimeOptions.exact(contextLength: 257, threads: threads)
        options.weights = weights
        #expect(try golden.generate(options) == golden.ids)
    }

    @Test("guesses ahead leave the text as it is", arguments: GoldenText.all, [1, 8])
    fileprivate func guesses(golden: GoldenText, draftTokens: Int) throws {
        var options = RuntimeOptions.exact(contextLength: 257, threads: 2)
        options.draftTokens = draftTokens
        let generation = try golden.generation(options)
        #expect(generation.tokens == golden.ids)
        #expect(generation.metrics.acceptedTokens > 0)
    }

    @Test(
        "with default settings the most likely token is the golden one nearly always", arguments: GoldenText.all,
        [1, 512])
    fileprivate func defaults(golden: GoldenText, batchSize: Int) throws {
        var options = RuntimeOptions(contextLength: 256)
        options.batchSize = batchSize
        options.allLogits = true
        let model = try Model(contentsOf: TestData.path(golden.file), options: options)
        var session = try Session(model)
        var agreed = 0
        try session.evaluateAll([GoldenText.bos] + golden.ids.dropLast()) { range, logits in
            let size = model.configuration.vocabularySize
            for (row, position) in range.enumerated() {
                let best = Sampler.argmax(logits.extracting(row * size..<(row + 1) * size))
                if best == golden.ids[position] { agreed += 1 }
            }
        }
        #expect(Double(agreed) >= 0.97 * 256, "\(agreed) of 256")
    }
}
