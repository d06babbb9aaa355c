import Croissant
import GGUF
import Testing

@Suite("Mixes: every matrix gets the type that a file of that name has elsewhere")
struct QuantizationMixTests {
    /// The sizes of a model, and lines about it.
    struct Case: Sendable {
        var layers: Int
        var embedding = 256
        var feedForward: Int
        var heads: Int
        var keyValueHeads: Int
        var lines: String
    }

    static let cases = [
        Case(layers: 24, feedForward: 704, heads: 4, keyValueHeads: 4, lines: GoldenMixes.mha),
        Case(layers: 32, feedForward: 512, heads: 4, keyValueHeads: 1, lines: GoldenMixes.gqa),
        Case(layers: 80, feedForward: 768, heads: 8, keyValueHeads: 1, lines: GoldenMixes.big),
        Case(layers: 10, feedForward: 360, heads: 4, keyValueHeads: 2, lines: GoldenMixes.ragged),
    ]

    /// The tensors of a Llama and their types in a mix.
    private func types(_ mix: QuantizationMix, _ model: Case) throws -> [(name: String, type: GGMLType?)] {
        let configuration = try ModelConfiguration(
            contextLength: 128, embeddingLength: model.embedding, layers: model.layers,
            feedForwardLength: model.feedForward, heads: model.heads, keyValueHeads: model.keyValueHeads,
            vocabularySize: 512)
        let tensors = TensorLayout(configuration).all.filter { $0.name != "rope_freqs.weight" }
        let facts = ModelFacts(
            layers: model.layers, queriesPerKey: model.heads / model.keyValueHeads)
        let types = mix.types(of: tensors.map { .init(name: $0.name, dimensions: $0.dimensions) }, in: facts)
        return zip(tensors, types).map { ($0.name, $1) }
    }

    @Test("A dry run of llama.cpp's quantiser says the same about every matrix", arguments: cases)
    func goldenMixes(model: Case) throws {
        let lines = model.lines.split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines {
            let parts = line.split(separator: " | ")
            let golden = GoldenLine(parts[1])
            let mix = try #require(QuantizationMix(name: String(parts[0])))
            #expect(mix.name == parts[0])
            for (name, type) in try types(mix, model) {
                let expected = name.contains("norm") ? nil : golden.type(of: name)
                #expect(type == expected, "\(mix.name): \(name)")
            }
        }
    }

    @Test("Numbers of layers that no model has are no trouble", arguments: [UInt64.max, UInt64(Int.max), 0])
    func manyLayers(layers: UInt64) {
        let facts = ModelFacts(["general.architecture": .string("llama"), "llama.block_count": .uint64(layers)])
        let tensors = [0, 7, Int.max].flatMap { layer in
            ["ffn_down", "ffn_up", "attn_v"].map { name in
                QuantizationMix.Tensor(name: "blk.\(layer).\(name).weight", dimensions: [256, 2])
            }
        }
        for fileType in FileType.allCases {
            #expect(QuantizationMix(fileType).types(of: tensors, in: facts).count == tensors.count)
        }
    }

    @Test("Published CroissantLLM files have the predicted sizes")
    func croissantSizes() throws {
        // Megabytes of tensors, from the reference of published files, whose sizes agree to one megabyte of metadata.
        let table: [(String, Double)] = [
            ("Q2_K", 557.9), ("Q3_K_S", 640.0), ("Q3_K_M", 702.3), ("Q3_K_L", 742.6), ("IQ4_XS", 748.8),
            ("Q4_0", 774.0), ("Q4_K_S", 812.1), ("Q4_K_M", 871.6), ("Q5_0", 934.0), ("Q5_K_S", 950.9),
            ("Q5_K_M", 999.9), ("Q6_K", 1169.5), ("Q8_0", 1429.8), ("F16", 2691.1),
        ]
        for (name, megabytes) in table {
            let shape = ModelShape.croissant
            let mix = try #require(QuantizationMix(name: name))
            let tensors = TensorLayout(try shape.configuration()).all.filter { $0.name != "rope_freqs.weight" }
            let types = mix.types(
                of: tensors.map { .init(name: $0.name, dimensions: $0.dimensions) },
                in: ModelFacts(layers: shape.layers, queriesPerKey: 1))
            let bytes = zip(tensors, types).reduce(0) { sum, pair in
                sum + ((pair.1 ?? .f32).byteCount(elements: pair.0.dimensions.reduce(1, *)) ?? 0)
            }
            #expect(abs(Double(bytes) / 1e6 - megabytes) <= 0.05001, "\(name): \(bytes)")
        }
    }

    @Test("Without an output matrix, the embedding is what it would be")
    func tiedEmbedding() {
        let facts = ModelFacts(layers: 1, queriesPerKey: 1)
        let embedding = QuantizationMix.Tensor(name: "token_embd.weight", dimensions: [256, 512])
        let output = QuantizationMix.Tensor(name: "output.weight", dimensions: [256, 512])
        let narrow = QuantizationMix.Tensor(name: "token_embd.weight", dimensions: [96, 512])
        #expect(QuantizationMix(.q4_0).types(of: [embedding], in: facts) == [.q6_K])
        #expect(QuantizationMix(.q4_0).types(of: [embedding, output], in: facts) == [.q4_0, .q6_K])
        #expect(QuantizationMix(.iq2_xs).types(of: [embedding], in: facts) == [.q5_K])
        #expect(QuantizationMix(.q4_K_M).types(of: [narrow], in: facts) == [.q8_0])
        #expect(QuantizationMix(pure: .q4_0).types(of: [embedding, output], in: facts) == [.q4_0, .q4_0])
    }

    @Test("What is no matrix of weights stays as it is")
    func untouched() {
        let tensors: [(String, [Int])] = [
            ("blk.0.attn_norm.weight", [256]), ("blk.0.attn_norm.weight", [256, 4]), ("blk.0.attn_q.bias", [256, 2]),
            ("rope_freqs.weight", [64]), ("blk.0.ffn_gate_inp.weight", [256, 8]), ("position_embd.weight", [256, 64]),
            ("blk.0.attn_q.weight", [256, 1]),
        ]
        let types = QuantizationMix(.q8_0).types(
            of: tensors.map { .init(name: $0, dimensions: $1) }, in: ModelFacts(layers: 1, queriesPerKey: 1))
        #expect(types.allSatisfy { $0 == nil })
        #expect(types.count == tensors.count)
        let experts = QuantizationMix.Tensor(name: "blk.0.ffn_up_exps.weight", dimensions: [256, 64, 8])
        #expect(
            QuantizationMix(.q8_0).types(of: [experts], in: ModelFacts(layers: 1, queriesPerKey: 1)) == [.q8_0])
    }

    @Test("Names are those of file types, else those of tensor types")
    func names() throws {
        for type in FileType.allCases {
            let mix = try #require(QuantizationMix(name: type.shortName.lowercased()))
            #expect(mix == QuantizationMix(type))
            #expect(mix.fileType == type)
            #expect(!mix.isPure)
        }
        #expect(QuantizationMix(name: "mxfp4") == QuantizationMix(pure: .mxfp4))
        #expect(QuantizationMix(name: "Q4_K") == QuantizationMix(pure: .q4_K))
        #expect(QuantizationMix(.q4_K_M).pure == QuantizationMix(pure: .q4_K))
        #expect(QuantizationMix(pure: .q8_0).fileType == .q8_0)
        #expect(QuantizationMix(pure: .mxfp4).fileType == nil)
        for name in ["", "Q4", "Q8_1", "I32", "Q4_K_M ", "é"] { #expect(QuantizationMix(name: name) == nil) }
    }

    @Test("Facts are read from metadata, and guessed where there are none")
    func facts() {
        let metadata: GGUFMetadata = [
            "general.architecture": .string("x"), "x.block_count": .uint32(24), "x.attention.head_count": .uint32(8),
            "x.attention.head_count_kv": .array(.int32([2, 4])),
        ]
        #expect(ModelFacts(metadata) == ModelFacts(layers: 24, queriesPerKey: 4))
        #expect(ModelFacts([:]) == ModelFacts(layers: 0, queriesPerKey: 1))
        let strange: GGUFMetadata = [
            "general.architecture": .string("x"), "x.block_count": .int32(-1), "x.attention.head_count_kv": .uint32(0),
            "x.attention.head_count": .string("8"),
        ]
        #expect(ModelFacts(strange) == ModelFacts(layers: 0, queriesPerKey: 1))
    }
}

extension QuantizationMixTests.Case: CustomTestStringConvertible {
    var testDescription: String {
        "\(layers) layers, \(feedForward), \(heads)/\(keyValueHeads)"
    }
}

/// A line of ``GoldenMixes`` taken apart.
private struct GoldenLine {
    private let base: String
    /// By the middle of a tensor's name.
    private var exceptions: [Substring: [Substring]] = [:]

    init(_ text: Substring) {
        let parts = text.split(separator: "; ")
        base = String(parts[0])
        for part in parts.dropFirst() {
            let words = part.split(separator: " ")
            exceptions[words[0]] = Array(words.dropFirst())
        }
    }

    /// The type of the tensor of that name.
    func type(of name: String) -> GGMLType? {
        let parts = name.split(separator: ".")
        let isLayer = parts[0] == "blk"
        let layer = isLayer ? Int(parts[1]) ?? 0 : 0
        for exception in exceptions[isLayer ? parts[2] : parts[0]] ?? [] {
            let halves = exception.split(separator: "@")
            let layers = halves.count == 1 ? nil : halves[1].split(separator: ",").map { $0.split(separator: "-") }
            let holds = layers?.contains { range in
                (Int(range[0]) ?? 0)...(Int(range[range.count - 1]) ?? 0) ~= layer
            }
            if holds ?? true { return GGMLType(name: String(halves[0])) }
        }
        return GGMLType(name: base)
    }
}
