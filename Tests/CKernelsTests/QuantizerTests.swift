import CKernels
import Testing

/// The types that have a quantiser.
private let quantizedTypes = types.filter { unsafe ck_quantizer($0, CK_ISA_SCALAR) != nil }

/// Types whose floats are rounded one by one, or by the rule of the reference, where no importance is given.
private let reproducedTypes = [
    CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_Q4_0, CK_TYPE_Q4_1, CK_TYPE_Q5_0, CK_TYPE_Q5_1, CK_TYPE_Q8_0,
    CK_TYPE_TQ1_0, CK_TYPE_TQ2_0, CK_TYPE_Q1_0,
]

/// Rows as blocks of a type, followed by a byte that must not change.
private func quantized(
    _ type: ck_type, _ isa: ck_isa, _ values: [Float], columns: Int, importance: [Float]? = nil
) throws -> [UInt8] {
    let quantize = try unsafe #require(unsafe ck_quantizer(type, isa))
    var blocks = [UInt8](repeating: 0xaa, count: type.rowBytes(values.count) + 1)
    unsafe quantize(values, values.count / columns, columns, importance, &blocks)
    #expect(blocks.removeLast() == 0xaa, "wrote beyond its blocks")
    return blocks
}

/// The sum of squared errors of blocks, over that of zeros; errors in column k count `importance[k]`.
private func relativeError(
    _ type: ck_type, _ blocks: [UInt8], _ values: [Float], importance: [Float] = [1]
) -> Double {
    var error = 0.0, all = 0.0
    for (index, (value, weight)) in zip(values, dequantized(type, blocks, values.count)).enumerated() {
        let difference = Double(value) - Double(weight)
        error += difference * difference * Double(importance[index % importance.count])
        all += Double(value) * Double(value) * Double(importance[index % importance.count])
    }
    return error / all
}

@Suite("Quantisers find blocks at least as good as others', the same on every instruction set")
struct QuantizerTests {
    @Test("Every type that has kernels has a quantiser")
    func isComplete() {
        #expect(quantizedTypes == types)
    }

    @Test(
        "The error is at most 1% above that of ggml's blocks",
        .enabled(if: Golden.isPresent, "needs ../shared/data"), arguments: quantizedTypes.filter { $0 != CK_TYPE_F64 })
    func errors(type: ck_type) throws {
        let source = try Golden.floats("source.f32")
        let golden = try Golden.bytes("\(type.name).blocks")
        let blocks = try quantized(type, CK_ISA_SCALAR, source, columns: 256)
        let ratio = (relativeError(type, blocks, source) / relativeError(type, golden, source)).squareRoot()
        #expect(!(ratio > 1.01))
        if reproducedTypes.contains(type) { #expect(blocks == golden) }
    }

    @Test("The same bytes on every instruction set, with importance and without", arguments: quantizedTypes)
    func sameBytes(type: ck_type) throws {
        var random = Random(11)
        // An odd number of blocks: batches are not full at the end.
        for (round, count) in [3, 1, 7, 2].enumerated() {
            let columns = max(type.block, 32) * count
            var values = random.floats(3 * columns, times: [1, 1e-3, 3e4, 1e-12][round])
            for i in values.indices where i % 5 == 0 { values[i] = (values[i] * 16).rounded() / 16 }
            for i in values.indices.dropFirst(32).prefix(32) { values[i] = 0 }
            for i in values.indices.suffix(16) { values[i] = abs(values[i]) }
            let importance = random.floats(columns).map(abs)
            for importance in [nil, importance] {
                let expected = try quantized(type, CK_ISA_SCALAR, values, columns: columns, importance: importance)
                for isa in supportedISAs {
                    let blocks = try quantized(type, isa, values, columns: columns, importance: importance)
                    #expect(blocks == expected, "\(isa.testDescription), \(count) blocks, round \(round)")
                }
            }
        }
    }

    @Test("Rows do not depend on their neighbours", arguments: quantizedTypes)
    func rowsByThemselves(type: ck_type) throws {
        var random = Random(12)
        let columns = max(type.block, 32) * 3
        let values = random.floats(5 * columns)
        let importance = random.floats(columns).map(abs)
        let all = try quantized(type, CK_ISA_SCALAR, values, columns: columns, importance: importance)
        let rows = try (0..<5).flatMap { row in
            try quantized(
                type, CK_ISA_SCALAR, Array(values[row * columns..<(row + 1) * columns]), columns: columns,
                importance: importance)
        }
        #expect(all == rows)
    }

    @Test("Important columns become more precise", arguments: quantizedTypes.filter { $0.block > 1 })
    func importance(type: ck_type) throws {
        var random = Random(13)
        let columns = 512
        let values = random.floats(4 * columns)
        let importance = (0..<columns).map { Float($0 % 7 == 0 ? 50 : 1) }
        let with = try quantized(type, ck_isa_best(), values, columns: columns, importance: importance)
        let without = try quantized(type, ck_isa_best(), values, columns: columns)
        let better = relativeError(type, with, values, importance: importance)
        let worse = relativeError(type, without, values, importance: importance)
        #expect(better <= worse)
        let even = [Float](repeating: 3, count: columns)
        let same = try quantized(type, ck_isa_best(), values, columns: columns, importance: even)
        #expect(relativeError(type, same, values) <= relativeError(type, without, values) * 1.02)
    }

    @Test("All that is zero, tiny, huge or alike becomes finite weights", arguments: quantizedTypes)
    func extremes(type: ck_type) throws {
        let limit = min(ck_quantizer_limit(type), 0x1p120)
        let columns = 512
        for value in [0, -0.0, Float.leastNonzeroMagnitude, 0x1p-133, 1e-30, 1e-7, -3e-5, 1, -1, limit, -limit] {
            let alternating = (0..<columns).map { $0 % 3 == 0 ? -value : value }
            let single = (0..<columns).map { $0 % 100 == 7 ? value : 0 }
            for values in [[Float](repeating: value, count: columns), alternating, single] {
                for importance in [nil, [Float](repeating: 0, count: columns), values.map { abs($0) > 0 ? 2 : 0 }] {
                    let blocks = try quantized(
                        type, ck_isa_best(), values, columns: columns, importance: importance)
                    let weights = dequantized(type, blocks, columns)
                    #expect(weights.allSatisfy { abs($0) <= 2 * limit }, "\(value)")
                    if value == 0 { #expect(weights.allSatisfy { $0 == 0 }) }
                }
            }
        }
    }

    @Test("What no type can be made of is found")
    func beyond() {
        for index in [0, 1, 63, 64, 200] {
            for value in [Float.nan, .infinity, -.infinity, -.nan, 65536] {
                var values = [Float](repeating: -65504, count: 201)
                #expect(unsafe ck_first_beyond(values, 201, ck_quantizer_limit(CK_TYPE_Q4_K)) == 201)
                values[index] = value
                #expect(unsafe ck_first_beyond(values, 201, ck_quantizer_limit(CK_TYPE_Q4_K)) == index)
                if index < 200 { values[200] = .nan }
                #expect(unsafe ck_first_beyond(values, 201, ck_quantizer_limit(CK_TYPE_Q4_K)) == index)
            }
        }
        #expect(unsafe ck_first_beyond([.greatestFiniteMagnitude], 1, ck_quantizer_limit(CK_TYPE_F32)) == 1)
        #expect(unsafe ck_first_beyond([], 0, 1) == 0)
    }

    @Test("The largest floats that a type takes stay finite, the next ones do not")
    func limits() throws {
        for (type, limit) in [(CK_TYPE_F16, 65519.996), (CK_TYPE_BF16, 0x1.fefffep127)] as [(ck_type, Float)] {
            #expect(ck_quantizer_limit(type) == limit)
            let weights = dequantized(type, try quantized(type, CK_ISA_SCALAR, [limit, limit.nextUp], columns: 2), 2)
            #expect(weights[0].isFinite)
            #expect(weights[1] == .infinity)
        }
    }
}
