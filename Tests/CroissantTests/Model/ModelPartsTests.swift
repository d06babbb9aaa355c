import Croissant
import GGUF
import Testing

@Suite("The parts of a model")
struct ModelPartsTests {
    private static let tokens: [Int32] = [1, 17, 400, 255, 301, 42]

    @Test("a model without output matrix uses the embedding", arguments: [GGMLType.f32, .q8_0, .q4_0])
    func tiedOutput(type: GGMLType) throws {
        var repeated = try ModelFile(shape: .tiny, type: type)
        let embedding = repeated.tensors[try repeated.index(of: "token_embd.weight")]
        try repeated.change("output.weight") { $0.bytes = embedding.bytes }
        var tied = repeated
        tied.tensors.remove(at: try tied.index(of: "output.weight"))
        var session = try Session(try tied.load())
        var other = try Session(try repeated.load())
        let logits = try session.logits(after: Self.tokens)
        #expect(logits.allSatisfy { $0.isFinite })
        #expect(try other.logits(after: Self.tokens) == logits)
    }

    @Test("norms may be half floats, and tensors may come in any order")
    func otherFile() throws {
        var file = try ModelFile(shape: .tiny)
        var plain = try Session(try file.load())
        for index in file.tensors.indices where file.tensors[index].dimensions.count == 1 {
            // 1, as an IEEE half and as a bfloat.
            let bytes: [UInt8] = index % 2 == 0 ? [0x00, 0x3C] : [0x80, 0x3F]
            file.tensors[index].type = index % 2 == 0 ? .f16 : .bf16
            file.tensors[index].bytes = Array(repeatElement(bytes, count: 64).joined())
        }
        file.tensors.reverse()
        var other = try Session(try file.load())
        #expect(try other.logits(after: Self.tokens) == plain.logits(after: Self.tokens))
    }

    @Test("a batch, small batches and single tokens give the same logits", arguments: [GGMLType.f32, .f16, .q5_1])
    func batches(type: GGMLType) throws {
        let file = try ModelFile(shape: .tiny, type: type)
        var generator = SeededGenerator(seed: 5)
        let tokens = (0..<100).map { _ in Int32.random(in: 0..<512, using: &generator) }
        var expected: [Float] = []
        for batchSize in [100, 1, 3, 4, 5, 64] {
            var options = RuntimeOptions.exact(contextLength: 100, threads: 2)
            options.batchSize = batchSize
            options.allLogits = true
            var session = try Session(try file.load(options))
            let logits = try session.allLogits(of: tokens)
            if expected.isEmpty { expected = logits }
            let difference = largestDifference(logits, expected)
            #expect(difference < 2e-5, "batches of \(batchSize): \(difference)")
        }
    }

    @Test(
        "weights that are no numbers are an error, and those that are too large may be",
        arguments: [Float.nan, .infinity, 1e38])
    func badWeights(value: Float) throws {
        var file = try ModelFile(shape: .tiny)
        try file.set("blk.0.attn_q.weight", to: Array(repeating: value, count: 64 * 64))
        try file.set("blk.1.ffn_up.weight", to: Array(repeating: -value, count: 64 * 96))
        for precision in ActivationPrecision.allCases {
            var options = RuntimeOptions.small
            options.activations = precision
            for sampling in [SamplingParameters.greedy, SamplingParameters(temperature: 1)] {
                var generation = try Generator(
                    try Session(try file.load(options)), promptTokens: Self.tokens + Self.tokens, sampling: sampling,
                    limits: GenerationLimits(maximumTokens: 3))
                do throws(ModelError) {
                    while let token = try generation.nextToken() { #expect((0..<512).contains(token.id)) }
                } catch {
                    let fed = 2 * Self.tokens.count + generation.tokens.count
                    #expect(error == .noNumbers(position: fed - 1))
                }
                #expect(value.isFinite || generation.finishReason == .noNumbers && generation.tokens.isEmpty)
            }
        }
    }
}
