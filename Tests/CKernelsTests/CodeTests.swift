import CKernels
import Testing

/// The types whose weights are rounded one by one.
private let codedTypes = types.filter { unsafe ck_type_codes($0.rawValue).count > 0 }

/// Blocks of `type` with other codes.
private func replacing(_ codes: [UInt8], in blocks: [UInt8], _ type: ck_type) throws -> [UInt8] {
    var blocks = blocks + [0xaa]
    let put = try unsafe #require(unsafe ck_type_codes(type.rawValue).put)
    unsafe put(codes, &blocks, codes.count)
    #expect(blocks.removeLast() == 0xaa, "wrote beyond its blocks")
    return blocks
}

/// The place of a code between the first, 0, and the last, 1.
private func place(_ code: Int, _ type: ck_type) -> Float {
    let codes = unsafe ck_type_codes(type.rawValue)
    guard let ladder = unsafe codes.ladder else { return Float(code) / Float(unsafe codes.count - 1) }
    return unsafe ladder[code]
}

/// Blocks with the weights that their scales have for the first code and for the last.
private struct CodedBlocks {
    let type: ck_type
    let blocks: [UInt8]
    let first: [Float]
    let last: [Float]

    init(_ type: ck_type, columns: Int, _ random: inout Random) throws {
        self.type = type
        blocks = randomBlocks(type, columns, &random)
        let lastCode = UInt8(unsafe ck_type_codes(type.rawValue).count - 1)
        first = dequantized(type, try replacing([UInt8](repeating: 0, count: columns), in: blocks, type), columns)
        last = dequantized(
            type, try replacing([UInt8](repeating: lastCode, count: columns), in: blocks, type), columns)
    }

    /// What a weight with that code is.
    func weight(_ column: Int, _ code: Int) -> Float {
        first[column] + (last[column] - first[column]) * place(code, type)
    }

    /// The code whose weight is nearest.
    func nearest(_ column: Int, to weight: Float) -> Int {
        (0..<Int(unsafe ck_type_codes(type.rawValue).count)).min {
            abs(self.weight(column, $0) - weight) < abs(self.weight(column, $1) - weight)
        } ?? 0
    }

    /// How much rounding may be off.
    func tolerance(_ column: Int) -> Float { 1e-5 * max(abs(first[column]), abs(last[column])) }
}

@Suite("Weights are rounded one by one, within blocks whose scales are known")
struct CodeTests {
    // A type that is missing here for no reason would be calibrated without feedback.
    @Test("Of the types that are quantised, only those with grids of points, or with three weights, have no codes")
    func isComplete() {
        #expect(
            integerTypes.filter { !codedTypes.contains($0) }.map(\.name) == [
                "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ3_S", "IQ2_S", "IQ1_M", "TQ1_0", "TQ2_0",
            ])
        #expect(codedTypes.allSatisfy(integerTypes.contains))
        #expect(unsafe ck_type_codes(UInt32(CK_TYPE_COUNT)).count == 0)
    }

    @Test("Every code of every column is where its ladder says", arguments: codedTypes)
    func ladder(type: ck_type) throws {
        var random = Random(21)
        let columns = 512
        let blocks = try CodedBlocks(type, columns: columns, &random)
        let count = Int(unsafe ck_type_codes(type.rawValue).count)
        for shift in 0..<count {
            let codes = (0..<columns).map { ($0 + shift) % count }
            let weights = dequantized(type, try replacing(codes.map { UInt8($0) }, in: blocks.blocks, type), columns)
            let wrong = (0..<columns).filter {
                !(abs(weights[$0] - blocks.weight($0, codes[$0])) <= blocks.tolerance($0))
            }
            #expect(wrong.isEmpty, "codes from \(shift) on")
        }
    }

    @Test("Blocks get back their own weights with their own codes", arguments: codedTypes)
    func roundTrip(type: ck_type) throws {
        var random = Random(22)
        let columns = 768
        let blocks = try CodedBlocks(type, columns: columns, &random)
        let weights = dequantized(type, blocks.blocks, columns)
        let codes = (0..<columns).map { UInt8(blocks.nearest($0, to: weights[$0])) }
        let zeroed = try replacing([UInt8](repeating: 0, count: columns), in: blocks.blocks, type)
        #expect(dequantized(type, try replacing(codes, in: zeroed, type), columns) == weights)
    }

    @Test("Errors go forward by the factor, the same on every instruction set", arguments: codedTypes)
    func feedForward(type: ck_type) throws {
        var random = Random(23)
        let (rows, columns, reach, stride) = (3, max(type.block, 32), max(type.block, 32) + 7, 300)
        let blocks = try (0..<rows).map { _ in try CodedBlocks(type, columns: columns, &random) }
        let weights = (0..<rows).flatMap { row in
            (0..<stride).map { column in
                let column = min(column, columns - 1)
                let (first, last) = (blocks[row].first[column], blocks[row].last[column])
                return first + (last - first) * (0.5 + 0.7 * random.float())
            }
        }
        var factor = random.floats(columns * stride, times: 0.05)
        for column in 0..<columns { factor[column * (stride + 1)] = 1 + abs(random.float()) }
        var results: [[Float]] = []
        for isa in supportedISAs {
            var (changed, codes) = (weights, [UInt8](repeating: 0xff, count: rows * columns))
            var errors = [Float](repeating: 0, count: rows * stride)
            unsafe blocks.flatMap(\.first).withUnsafeBufferPointer { first in
                unsafe blocks.flatMap(\.last).withUnsafeBufferPointer { last in
                    unsafe factor.withUnsafeBufferPointer { factor in
                        unsafe changed.withUnsafeMutableBufferPointer { weights in
                            unsafe codes.withUnsafeMutableBufferPointer { codes in
                                unsafe errors.withUnsafeMutableBufferPointer { errors in
                                    var step = unsafe ck_feedback(
                                        rows: rows, columns: columns, reach: reach, weights: weights.baseAddress,
                                        stride: stride, factor: factor.baseAddress, factor_stride: stride,
                                        first: first.baseAddress, last: last.baseAddress, codes: codes.baseAddress,
                                        errors: errors.baseAddress, error_stride: stride)
                                    var table = unsafe ck_type_codes(type.rawValue)
                                    unsafe ck_feedback_of(isa).feed_forward(&step, &table)
                                }
                            }
                        }
                    }
                }
            }
            results.append(changed + errors + codes.map(Float.init))
            guard isa == CK_ISA_SCALAR else { continue }
            for row in 0..<rows {
                var expected = weights[row * stride..<(row + 1) * stride].map(Double.init)
                let tolerance = 1e-5 * (expected.map(abs).max() ?? 0)
                var wrong: [Int] = []
                for column in 0..<columns {
                    let code = Int(codes[row * columns + column])
                    let nearest = blocks[row].nearest(column, to: Float(expected[column]))
                    let distances = [code, nearest].map {
                        abs(expected[column] - Double(blocks[row].weight(column, $0)))
                    }
                    let error =
                        (expected[column] - Double(blocks[row].weight(column, code)))
                        / Double(factor[column * (stride + 1)])
                    if !(abs(distances[0] - distances[1]) <= tolerance)
                        || !(abs(Double(errors[row * stride + column]) - error) <= tolerance)
                    {
                        wrong.append(column)
                    }
                    for k in column + 1..<reach { expected[k] -= error * Double(factor[column * stride + k]) }
                }
                #expect(wrong.isEmpty)
                #expect(
                    changed[row * stride + reach..<(row + 1) * stride]
                        == weights[row * stride + reach..<(row + 1) * stride])
            }
        }
        #expect(results.allSatisfy { sameBits($0, results[0]) })
    }

    @Test("Descent makes the error smaller, the same on every instruction set", arguments: codedTypes)
    func descend(type: ck_type) throws {
        var random = Random(24)
        let (rows, columns) = (2, max(type.block, 32) * 2)
        let blocks = try (0..<rows).map { _ in try CodedBlocks(type, columns: columns, &random) }
        // Inputs that go together: H = X^T X.
        let inputs = (0..<8).map { _ in random.floats(columns) }
        var hessian = [Float](repeating: 0, count: columns * columns)
        for j in 0..<columns {
            for k in 0..<columns { hessian[j * columns + k] = inputs.reduce(0) { $0 + $1[j] * $1[k] } }
            hessian[j * columns + j] += 0.1
        }
        var exact: [Float] = [], rounded: [Float] = []
        for row in 0..<rows {
            for column in 0..<columns {
                let (first, last) = (blocks[row].first[column], blocks[row].last[column])
                exact.append(first + (last - first) * (0.5 + 0.5 * random.float()))
                rounded.append(blocks[row].weight(column, blocks[row].nearest(column, to: exact[exact.count - 1])))
            }
        }
        func gradient(_ weights: [Float]) -> [Float] {
            (0..<rows * columns).map { index in
                let row = index / columns
                return (0..<columns).reduce(0) { sum, k in
                    sum + (exact[row * columns + k] - weights[row * columns + k])
                        * hessian[k * columns + index % columns]
                }
            }
        }
        func error(_ weights: [Float]) -> Double {
            zip(zip(exact, weights), gradient(weights)).reduce(0) { $0 + Double($1.0.0 - $1.0.1) * Double($1.1) }
        }
        var results: [[Float]] = []
        for isa in supportedISAs {
            var (weights, gradient) = (rounded, gradient(rounded))
            var codes = [UInt8](repeating: 0xff, count: rows * columns)
            unsafe blocks.flatMap(\.first).withUnsafeBufferPointer { first in
                unsafe blocks.flatMap(\.last).withUnsafeBufferPointer { last in
                    unsafe hessian.withUnsafeBufferPointer { hessian in
                        unsafe weights.withUnsafeMutableBufferPointer { weights in
                            unsafe gradient.withUnsafeMutableBufferPointer { gradient in
                                unsafe codes.withUnsafeMutableBufferPointer { codes in
                                    var step = unsafe ck_descent(
                                        rows: rows, columns: columns, moments: hessian.baseAddress,
                                        first: first.baseAddress, last: last.baseAddress,
                                        weights: weights.baseAddress, gradient: gradient.baseAddress,
                                        codes: codes.baseAddress)
                                    var table = unsafe ck_type_codes(type.rawValue)
                                    unsafe ck_feedback_of(isa).descend(&step, &table)
                                }
                            }
                        }
                    }
                }
            }
            results.append(weights + gradient + codes.map(Float.init))
            for row in 0..<rows {
                let made = dequantized(
                    type,
                    try replacing(
                        Array(codes[row * columns..<(row + 1) * columns]), in: blocks[row].blocks, type), columns)
                let wrong = (0..<columns).filter {
                    !(abs(made[$0] - weights[row * columns + $0]) <= blocks[row].tolerance($0))
                }
                #expect(wrong.isEmpty)
            }
            #expect(error(weights) < error(rounded))
        }
        #expect(results.allSatisfy { sameBits($0, results[0]) })
    }
}
