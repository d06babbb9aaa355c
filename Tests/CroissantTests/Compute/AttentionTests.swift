import Croissant
import Foundation
import GGUF
import Testing

/// Queries, keys and values, and what attention must make of them.
private struct AttentionCase: Sendable, CustomTestStringConvertible {
    let heads: Int
    let keyValueHeads: Int
    let size: Int
    /// Positions that a query sees; nil for all.
    let window: Int?
    let keyType: GGMLType
    let valueType: GGMLType
    let testDescription: String
    let positions: Int
    /// (positions, heads * size + 2 * keyValueHeads * size)
    let rows: [Float]
    /// The first of the positions whose result is known.
    let firstExpected: Int
    /// (positions - firstExpected, heads * size), in doubles.
    let expected: [Double]

    var stride: Int { (heads + 2 * keyValueHeads) * size }
    var width: Int { heads * size }

    init(
        heads: Int, keyValueHeads: Int, size: Int = 12, window: Int? = nil, positions: Int = 300,
        firstExpected: Int = 0, keys: GGMLType = .f32, values: GGMLType = .f32, _ description: String
    ) {
        (self.heads, self.keyValueHeads, self.size, self.window) = (heads, keyValueHeads, size, window)
        (self.positions, self.firstExpected) = (positions, firstExpected)
        (keyType, valueType) = (keys, values)
        testDescription = description
        var generator = SeededGenerator(seed: UInt64(heads))
        // Every type of floats holds these exactly.
        rows = (0..<positions * (heads + 2 * keyValueHeads) * size).map { _ in
            Float(Int.random(in: -96...96, using: &generator)) / 32
        }
        let keyStart = heads * size
        let valueStart = keyStart + keyValueHeads * size
        var cached = rows.map(Double.init)
        let stride = (heads + 2 * keyValueHeads) * size
        for position in 0..<positions {
            for head in 0..<keyValueHeads {
                for (start, type) in [(keyStart, keys), (valueStart, values)] where !Self.isExact(type) {
                    let first = position * stride + start + head * size
                    let held = Self.held(Array(rows[first..<first + size]), as: type)
                    for i in 0..<size { cached[first + i] = held[i] }
                }
            }
        }
        expected = Self.attention(
            cached, heads: heads, keyValueHeads: keyValueHeads, size: size, window: window ?? positions,
            positions: firstExpected..<positions)
    }

    private static func isExact(_ type: GGMLType) -> Bool { [.f32, .f16, .bf16].contains(type) }

    /// What a cache of `type` holds of a head: those of four bits are rotated, where that is possible.
    private static func held(_ head: [Float], as type: GGMLType) -> [Double] {
        let kernels = Kernels(.scalar)
        let isRotated = type == .q4_0 && head.count.nonzeroBitCount == 1
        var elements = head
        var blocks = [UInt8](repeating: 0, count: type.byteCount(elements: head.count) ?? 0)
        var mutable = elements.mutableSpan
        if isRotated { kernels.hadamard(&mutable) }
        var bytes = blocks.mutableSpan
        kernels.quantize(mutable.span, as: type, into: &bytes)
        unsafe kernels.dequantize(bytes.span.bytes, as: type, count: head.count, into: &mutable)
        guard isRotated else { return elements.map(Double.init) }
        return (0..<head.count).map { row in
            elements.indices.reduce(0) { sum, column in
                sum + Double(elements[column]) * ((row & column).nonzeroBitCount % 2 == 0 ? 1 : -1)
            } / Double(head.count).squareRoot()
        }
    }

    /// softmax(q k / sqrt(size)) v, for every position over itself and those before it, `window` in all.
    private static func attention(
        _ rows: [Double], heads: Int, keyValueHeads: Int, size: Int, window: Int, positions: Range<Int>
    ) -> [Double] {
        let stride = (heads + 2 * keyValueHeads) * size
        var out: [Double] = []
        for position in positions {
            for head in 0..<heads {
                let query = position * stride + head * size
                let key = heads * size + head / (heads / keyValueHeads) * size
                let value = key + keyValueHeads * size
                let first = max(0, position - window + 1)
                var scores: [Double] = []
                for other in first...position {
                    var sum = 0.0
                    for i in 0..<size { sum += rows[query + i] * rows[other * stride + key + i] }
                    scores.append(exp(sum / Double(size).squareRoot()))
                }
                let total = scores.reduce(0, +)
                var result = [Double](repeating: 0, count: size)
                for (score, other) in zip(scores, first...position) {
                    for i in 0..<size { result[i] += score / total * rows[other * stride + value + i] }
                }
                out += result
            }
        }
        return out
    }

    static let all = [
        AttentionCase(heads: 4, keyValueHeads: 2, "two queries to a key"),
        AttentionCase(heads: 2, keyValueHeads: 2, "a query to a key"),
        AttentionCase(heads: 5, keyValueHeads: 1, "all queries to one key"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 1, "a query sees itself only"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 7, "a window of less than a tile"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 128, "a window of a tile of keys"),
        AttentionCase(heads: 2, keyValueHeads: 1, window: 140, "a window of more than a tile"),
    ]

    /// Caches that are not exact, and what they are said to hold.
    static let quantized = [
        AttentionCase(heads: 4, keyValueHeads: 2, size: 32, keys: .q8_0, values: .q8_0, "q8_0"),
        AttentionCase(heads: 2, keyValueHeads: 1, size: 64, keys: .q4_0, values: .q4_0, "q4_0"),
        AttentionCase(heads: 2, keyValueHeads: 1, size: 32, keys: .q4_0, values: .f16, "keys of q4_0"),
        AttentionCase(heads: 1, keyValueHeads: 1, size: 32, window: 70, keys: .q8_0, values: .q4_0, "values of q4_0"),
        AttentionCase(heads: 2, keyValueHeads: 2, size: 96, keys: .q4_0, values: .q4_0, "q4_0 that cannot be rotated"),
    ]

    /// Long contexts, of which the last positions attend.
    static let long = [
        AttentionCase(heads: 2, keyValueHeads: 2, size: 8, positions: 2100, firstExpected: 2096, "two heads"),
        AttentionCase(heads: 16, keyValueHeads: 16, size: 8, positions: 2100, firstExpected: 2096, "many heads"),
        AttentionCase(heads: 3, keyValueHeads: 1, size: 8, positions: 1030, firstExpected: 1020, "two parts"),
        AttentionCase(
            heads: 2, keyValueHeads: 1, size: 8, window: 1100, positions: 2100, firstExpected: 2090, "a window"),
        AttentionCase(
            heads: 2, keyValueHeads: 1, size: 32, positions: 1600, firstExpected: 1595, keys: .q8_0, values: .q4_0,
            "quantised"),
    ]

    /// What comes out where positions are fed in passes of these lengths, from `start` on; those before only go to the
    /// cache. The types of the cache are the case's own, or `type`.
    /// Of each pass `lastOnly` wants to know the last position's alone.
    func results(
        passes: [Int], from start: Int = 0, type: GGMLType? = nil, threads: Int, lastOnly: Bool = false,
        precision: ActivationPrecision = .f32, instructionSet: InstructionSet = Kernels.bestInstructionSet
    ) throws -> [Float] {
        let context = start + passes.reduce(0, +)
        let shape = ModelShape(
            name: "attention", contextLength: context, embeddingLength: width, layers: 2, feedForwardLength: 1,
            heads: heads, keyValueHeads: keyValueHeads, vocabularySize: 512)
        var options = RuntimeOptions(contextLength: context)
        (options.keyType, options.valueType, options.threads) = (type ?? keyType, type ?? valueType, threads)
        let passes = (start > 0 ? [start] : []) + passes
        // Memory for the longest pass, and not for a token more.
        options.batchSize = passes.max() ?? 1
        let attention = AttentionShape(heads: heads, keyValueHeads: keyValueHeads, headSize: size, window: window)
        let plan = try MemoryPlan(shape.configuration(), tensors: [], options: options)
        let backend = CPUBackend(instructionSet: instructionSet, threads: threads, activations: .f32)
        var cache = try KVCache(plan.cache)
        var scratch = try Scratch(plan.scratch)
        var results: [Float] = []
        var first = 0
        for tokens in passes {
            var input = try FloatBuffer.allocate(tokens * stride, purpose: "a test")
            var elements = input.mutableSpan
            for i in elements.indices { elements[i] = rows[first * stride + i] }
            backend.append(
                &input, stride: stride, keysAt: width, valuesAt: width + keyValueHeads * size,
                length: keyValueHeads * size, rows: tokens, layer: 1, position: first, to: &cache)
            if first >= start {
                let row = lastOnly ? tokens - 1 : 0
                var out = try FloatBuffer.allocate((tokens - row) * width, purpose: "a test")
                backend.attention(
                    attention, queries: input, queryStride: stride, firstRow: row, cache: cache, layer: 1,
                    firstPosition: first + row, tokens: tokens - row, precision: precision, into: &out,
                    scratch: &scratch)
                results += array(out.span)
            }
            first += tokens
        }
        return results
    }

    /// The largest difference from the expected result.
    func error(
        passes: [Int], from start: Int = 0, type: GGMLType? = nil, threads: Int,
        precision: ActivationPrecision = .f32, instructionSet: InstructionSet = Kernels.bestInstructionSet
    ) throws -> Double {
        let results = try results(
            passes: passes, from: start, type: type, threads: threads, precision: precision,
            instructionSet: instructionSet)
        return results.indices.reduce(0) { largest, i in
            let difference = abs(Double(results[i]) - expected[(start - firstExpected) * width + i])
            return max(largest, difference.isNaN ? .infinity : difference)
        }
    }
}

@Suite("Attention by tiles and one by one are the same attention")
struct AttentionTests {
    /// Values reach 3; a float has 24 bits, and some hundred are added.
    private static let tolerance = 4e-6

    /// Four bits may make more of 3, and a longer head has larger scores.
    private static let quantizedTolerance = 8e-6

    /// Elements of about 13 bits are off by 1e-4 of the largest, 3 or what four bits make of it; scores, and with them
    /// the weights of values, by what tens of products of them add up to.
    private static let integerTolerance = 5e-3

    /// Borders of tiles of keys, of the tiles of queries of one head and of two, and of panels.
    private static let contexts = [1, 5, 16, 17, 48, 96, 97, 128, 129, 192, 193, 257, 300]

    @Test("all positions in one pass", arguments: AttentionCase.all, [GGMLType.f32, .f16, .bf16])
    fileprivate func onePass(attention: AttentionCase, type: GGMLType) throws {
        for context in Self.contexts {
            let error = try attention.error(passes: [context], type: type, threads: 1 + context % 3)
            #expect(error < Self.tolerance, "\(context) positions: \(error)")
        }
    }

    @Test("the last position of a pass alone", arguments: AttentionCase.all)
    fileprivate func lastOnly(attention: AttentionCase) throws {
        for context in Self.contexts {
            let all = try attention.results(passes: [context], threads: 2)
            let last = try attention.results(passes: [context], threads: 2, lastOnly: true)
            let difference = largestDifference(last, Array(all.suffix(last.count)))
            #expect(
                last.count == attention.width && difference < 2 * Float(Self.tolerance), "\(context): \(difference)")
        }
    }

    @Test("passes that begin anywhere", arguments: AttentionCase.all, [GGMLType.f32, .f16])
    fileprivate func manyPasses(attention: AttentionCase, type: GGMLType) throws {
        for passes in [[64, 64, 64], [1, 63, 1, 64, 5], [250, 5, 1, 5, 39], [7, 200, 4, 3, 86], [256, 44]] {
            let error = try attention.error(passes: passes, type: type, threads: 2)
            #expect(error < Self.tolerance, "\(passes): \(error)")
        }
    }

    @Test("as integers, where activations are", arguments: AttentionCase.all + AttentionCase.quantized)
    fileprivate func integers(attention: AttentionCase) throws {
        for instructionSet in InstructionSet.supported {
            for passes in [[300], [129, 5, 30, 64]] + Self.contexts.filter({ $0 > 4 }).map({ [$0] }) {
                let error = try attention.error(
                    passes: passes, threads: 2, precision: .int8, instructionSet: instructionSet)
                #expect(error < Self.integerTolerance, "\(passes) on \(instructionSet): \(error)")
            }
        }
    }

    @Test("one by one, and some at a time, on both sides of a few", arguments: AttentionCase.all, [GGMLType.f32, .f16])
    fileprivate func someAtATime(attention: AttentionCase, type: GGMLType) throws {
        for length in [1, 2, 3, 4, 8, 9, 11, 12, 13] {
            let passes = Array(repeating: length, count: 260 / length)
            let error = try attention.error(passes: passes, type: type, threads: length == 1 ? 1 : 2)
            #expect(error < Self.tolerance, "\(length) at a time: \(error)")
        }
    }

    @Test("quantised caches hold what their types can, and attention is exact", arguments: AttentionCase.quantized)
    fileprivate func quantizedCaches(attention: AttentionCase) throws {
        for passes in [[300], [130, 1, 4, 129], Array(repeating: 3, count: 20)] {
            let error = try attention.error(passes: passes, threads: 2)
            #expect(error < Self.quantizedTolerance, "\(passes): \(error)")
        }
    }

    @Test("a context of many parts", arguments: AttentionCase.long)
    fileprivate func parts(attention: AttentionCase) throws {
        for tokens in 1...4 {
            let start = attention.positions - tokens
            for first in [start, attention.firstExpected] {
                let error = try attention.error(passes: [tokens], from: first, threads: 2)
                #expect(error < Self.tolerance, "\(tokens) tokens after \(first): \(error)")
            }
        }
    }

    @Test("any number of threads computes the same bits", arguments: AttentionCase.long)
    fileprivate func threads(attention: AttentionCase) throws {
        for (passes, start) in [([1, 3], attention.firstExpected), ([300], 0)] {
            let one = try attention.results(passes: passes, from: start, threads: 1)
            for threads in [2, 3, 7] {
                let many = try attention.results(passes: passes, from: start, threads: threads)
                #expect(many == one, "\(threads) threads, \(passes) tokens")
                let integers = try [1, threads].map {
                    try attention.results(passes: passes, from: start, threads: $0, precision: .int8)
                }
                #expect(integers[0] == integers[1], "\(threads) threads, \(passes) tokens as integers")
            }
        }
    }

    @Test("every instruction set", arguments: InstructionSet.supported)
    func instructionSets(instructionSet: InstructionSet) throws {
        for attention in AttentionCase.all.prefix(2) {
            for type in [GGMLType.f32, .f16, .bf16] {
                let error = try attention.error(
                    passes: [70, 1, 2, 7, 12, 13, 100], type: type, threads: 2, instructionSet: instructionSet)
                #expect(error < Self.tolerance, "\(attention.testDescription), \(type): \(error)")
            }
        }
        for attention in AttentionCase.quantized {
            let error = try attention.error(passes: [70, 1, 3, 7, 12, 30], threads: 2, instructionSet: instructionSet)
            #expect(error < Self.quantizedTolerance, "\(attention.testDescription): \(error)")
        }
    }
}
