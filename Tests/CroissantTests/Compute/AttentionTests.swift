import Croissant
import Foundation
import GGUF
import Testing

/// Queries, keys and values of 300 positions, and what attention must make of them.
private struct AttentionCase: Sendable, CustomTestStringConvertible {
    let heads: Int
    let keyValueHeads: Int
    /// Positions that a query sees; nil for all.
    let window: Int?
    let testDescription: String
    /// (positions, heads * size + 2 * keyValueHeads * size)
    let rows: [Float]
    /// (positions, heads * size), in doubles.
    let expected: [Double]

    static let positions = 300
    static let size = 12

    var stride: Int { (heads + 2 * keyValueHeads) * Self.size }
    var width: Int { heads * Self.size }

    init(heads: Int, keyValueHeads: Int, window: Int? = nil, _ description: String) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.window = window
        testDescription = description
        var generator = SeededGenerator(seed: UInt64(heads))
        // Every type of cache holds these exactly.
        rows = (0..<Self.positions * (heads + 2 * keyValueHeads) * Self.size).map { _ in
            Float(Int.random(in: -96...96, using: &generator)) / 32
        }
        expected = Self.attention(rows, heads: heads, keyValueHeads: keyValueHeads, window: window ?? Self.positions)
    }

    /// softmax(q k / sqrt(size)) v, for every position over itself and those before it, `window` in all.
    private static func attention(_ rows: [Float], heads: Int, keyValueHeads: Int, window: Int) -> [Double] {
        let stride = (heads + 2 * keyValueHeads) * size
        var out: [Double] = []
        for position in 0..<positions {
            for head in 0..<heads {
                let query = position * stride + head * size
                let key = heads * size + head / (heads / keyValueHeads) * size
                let value = key + keyValueHeads * size
                let first = max(0, position - window + 1)
                var scores: [Double] = []
                for other in first...position {
                    var sum = 0.0
                    for i in 0..<size { sum += Double(rows[query + i]) * Double(rows[other * stride + key + i]) }
                    scores.append(exp(sum / Double(size).squareRoot()))
                }
                let total = scores.reduce(0, +)
                var result = [Double](repeating: 0, count: size)
                for (score, other) in zip(scores, first...position) {
                    for i in 0..<size { result[i] += score / total * Double(rows[other * stride + value + i]) }
                }
                out += result
            }
        }
        return out
    }

    static let all = [
        AttentionCase(heads: 4, keyValueHeads: 2, "two queries to a key"),
        AttentionCase(heads: 2, keyValueHeads: 2, "a query to a key"),
        AttentionCase(heads: 3, keyValueHeads: 1, "all queries to one key"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 1, "a query sees itself only"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 7, "a window of less than a tile"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 256, "a window of a tile of keys"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 270, "a window of more than a tile"),
    ]

    /// The largest difference from the expected result, where positions are fed in passes of these lengths.
    func error(
        passes: [Int], type: GGMLType, threads: Int, instructionSet: InstructionSet = Kernels.bestInstructionSet
    ) throws -> Double {
        let context = passes.reduce(0, +)
        let shape = ModelShape(
            name: "attention", contextLength: context, embeddingLength: width, layers: 2, feedForwardLength: 1,
            heads: heads, keyValueHeads: keyValueHeads, vocabularySize: 512)
        let configuration = try shape.configuration()
        var options = RuntimeOptions(contextLength: context)
        (options.keyType, options.valueType, options.threads) = (type, type, threads)
        let attention = AttentionShape(
            heads: heads, keyValueHeads: keyValueHeads, headSize: Self.size, window: window)
        let plan = try MemoryPlan(configuration, tensors: [], options: options)
        let backend = CPUBackend(instructionSet: instructionSet, threads: threads, activations: .f32)
        var cache = try KVCache(plan.cache)
        var scratch = try Scratch(plan.scratch)
        var largest = 0.0
        var first = 0
        for tokens in passes {
            var input = try FloatBuffer.allocate(tokens * stride, purpose: "a test")
            var elements = input.mutableSpan
            for i in elements.indices { elements[i] = rows[first * stride + i] }
            var out = try FloatBuffer.allocate(tokens * width, purpose: "a test")
            backend.append(
                input, stride: stride, keysAt: width, valuesAt: width + keyValueHeads * Self.size,
                length: keyValueHeads * Self.size, rows: tokens, layer: 1, position: first, to: &cache)
            backend.attention(
                attention, queries: input, queryStride: stride, cache: cache, layer: 1,
                firstPosition: first, tokens: tokens, into: &out, scratch: &scratch)
            for i in 0..<tokens * width {
                let difference = abs(Double(out.span[i]) - expected[first * width + i])
                largest = max(largest, difference.isNaN ? .infinity : difference)
            }
            first += tokens
        }
        return largest
    }
}

@Suite("Attention by tiles and one by one are the same attention")
struct AttentionTests {
    /// Values reach 3; a float has 24 bits, and some hundred are added.
    private static let tolerance = 4e-6

    /// Borders of tiles of 64 queries and 256 keys.
    private static let contexts = [1, 5, 63, 64, 65, 255, 256, 257, 300]

    @Test("all positions in one pass", arguments: AttentionCase.all, [GGMLType.f32, .f16, .bf16])
    fileprivate func onePass(attention: AttentionCase, type: GGMLType) throws {
        for context in Self.contexts {
            let error = try attention.error(passes: [context], type: type, threads: 1 + context % 3)
            #expect(error < Self.tolerance, "\(context) positions: \(error)")
        }
    }

    @Test("passes that begin anywhere", arguments: AttentionCase.all, [GGMLType.f32, .f16])
    fileprivate func manyPasses(attention: AttentionCase, type: GGMLType) throws {
        for passes in [[64, 64, 64], [1, 63, 1, 64, 5], [250, 5, 1, 5, 39], [7, 200, 4, 3, 86], [256, 44]] {
            let error = try attention.error(passes: passes, type: type, threads: 2)
            #expect(error < Self.tolerance, "\(passes): \(error)")
        }
    }

    @Test("one by one, and up to four at a time", arguments: AttentionCase.all, [GGMLType.f32, .f16])
    fileprivate func oneByOne(attention: AttentionCase, type: GGMLType) throws {
        for length in 1...4 {
            let passes = Array(repeating: length, count: 260 / length)
            let error = try attention.error(passes: passes, type: type, threads: length == 1 ? 1 : 2)
            #expect(error < Self.tolerance, "\(length) at a time: \(error)")
        }
    }

    @Test("every instruction set", arguments: InstructionSet.supported)
    func instructionSets(instructionSet: InstructionSet) throws {
        for type in [GGMLType.f32, .f16, .bf16] {
            let error = try AttentionCase.all[0].error(
                passes: [70, 1, 2, 100], type: type, threads: 2, instructionSet: instructionSet)
            #expect(error < Self.tolerance, "\(type): \(error)")
        }
    }
}
