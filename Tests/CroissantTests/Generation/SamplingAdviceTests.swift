import Croissant
import GGUF
import Testing

@Suite("How to sample is what the model's makers advise, where they do")
struct SamplingAdviceTests {
    private func advice(
        _ values: [String: GGUFValue], _ shape: ModelShape = .croissant
    ) throws -> SamplingParameters? {
        var metadata = GGUFMetadata()
        for (key, value) in values { metadata["general.sampling.\(key)"] = value }
        return SamplingParameters.advice(in: metadata, for: try shape.configuration())
    }

    @Test("The keys of a file are read, in any number type; what they leave open keeps its default")
    func keys() throws {
        let advised = try #require(try advice(["temp": .float32(0.5), "top_k": .int32(12), "min_p": .float64(0.25)]))
        var expected = SamplingParameters(temperature: 0.5)
        expected.topK = 12
        expected.minP = 0.25
        #expect(advised == expected)
    }

    @Test("CroissantLLM's authors advise 0.4, 40, 0.9 and 1.05; a file's own advice is above theirs")
    func published() throws {
        let advised = try #require(try advice([:]))
        #expect(
            advised.temperature == 0.4 && advised.topK == 40 && advised.topP == 0.9 && advised.repeatPenalty == 1.05)
        #expect(try advice(["temp": .float32(1)])?.repeatPenalty == 1)
        var other = ModelShape.croissant
        other.layers = 2
        #expect(try advice([:], other) == nil)
    }

    @Test("What makes no sense is passed over")
    func nonsense() throws {
        var other = ModelShape.croissant
        other.layers = 2
        let bad: [String: GGUFValue] = [
            "temp": .float32(-1), "top_k": .int32(-3), "top_p": .float32(.nan), "min_p": .string("much"),
            "penalty_repeat": .float32(0), "penalty_last_n": .int64(-2),
        ]
        #expect(try advice(bad, other) == nil)
        #expect(try advice(bad.merging(["top_k": .uint32(5)]) { $1 }, other)?.topK == 5)
    }
}
