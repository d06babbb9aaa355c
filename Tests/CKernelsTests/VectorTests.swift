import CKernels
import Foundation
import Testing

private let lengths = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 100, 255, 1000]

/// The distance of `value` from `exact` in units in the last place of a float near it.
private func ulps(_ value: Float, _ exact: Double) -> Double {
    let rounded = Float(exact)
    if value == rounded { return 0 }
    guard value.isFinite, rounded.isFinite else { return .infinity }
    return abs(Double(value) - exact) / Double(rounded.magnitude.ulp)
}

@Suite("Vector operations agree with their formulas")
struct VectorTests {
    @Test("exp is within 2 units in the last place over the whole range", arguments: supportedISAs)
    func exponential(isa: ck_isa) {
        let vector = ck_vector(isa)
        let count = 40000
        let values = (0..<count).map { Float(-110 + 200 * Double($0) / Double(count)) }
        var found = values
        _ = unsafe vector.exp_sum(&found, 0, count)
        let errors = (0..<count).map { ulps(found[$0], exp(Double(values[$0]))) }
        #expect(errors.max().map { $0 <= 2 } == true, "\(errors.max() ?? 0) units")
    }

    @Test("exp of the extremes is 0, 1 or infinity", arguments: supportedISAs)
    func exponentialOfExtremes(isa: ck_isa) {
        let huge = Float.greatestFiniteMagnitude
        var values = [-Float.infinity, -huge, -1000, -104.5, 0, -0.0, 0x1p-149, 88.73, 1000, huge, .infinity]
        _ = unsafe ck_vector(isa).exp_sum(&values, 0, values.count)
        #expect(values == [0, 0, 0, 0, 1, 1, 1, .infinity, .infinity, .infinity, .infinity])
    }

    @Test("Dot products, sums and maxima", arguments: supportedISAs)
    func reduces(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(10)
        for n in lengths {
            let a = random.floats(n, times: 3)
            let b = random.floats(n)
            let terms = zip(a, b).map { Double($0) * Double($1) }
            let dot = unsafe vector.dot(a, b, n)
            #expect(abs(Double(dot) - terms.reduce(0, +)) <= 1e-6 * terms.map(abs).reduce(0, +))
            for shift in [0, -10] as [Float] {
                let shifted = a.map { $0 + shift }
                #expect(unsafe vector.maximum(shifted, n) == shifted.max())
            }
            var exponentials = a + [.nan]
            let exact = a.map { exp(Double($0) - 3) }
            let sum = unsafe vector.exp_sum(&exponentials, 3, n)
            expectClose(exponentials, exact, within: exact.map { 6e-7 * $0 }, "exp_sum, \(n)")
            #expect(abs(Double(sum) - exact.reduce(0, +)) <= 1e-6 * exact.reduce(0, +))
        }
    }

    @Test("RMS norm, in place too", arguments: supportedISAs)
    func normalises(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(11)
        for n in lengths {
            let x = random.floats(n, times: 5)
            let weight = random.floats(n)
            let mean = x.map { Double($0) * Double($0) }.reduce(0, +) / Double(n)
            let exact = zip(x, weight).map { Double($0) * Double($1) / (mean + 1e-5).squareRoot() }
            var out: [Float] = []
            for passes in [false, true] {
                out = [Float](repeating: .nan, count: n + 1)
                unsafe vector.rms_norm(x, weight, 1e-5, n, &out, passes)
                ck_fence()
                expectClose(out, exact, within: exact.map { 1e-6 * abs($0) }, "rms_norm, \(n)")
            }
            var inPlace = x + [.nan]
            unsafe inPlace.withUnsafeMutableBufferPointer { buffer in
                unsafe vector.rms_norm(buffer.baseAddress, weight, 1e-5, n, buffer.baseAddress, false)
            }
            #expect(inPlace.dropLast() == out.dropLast())
        }
    }

    @Test("Sums and products of vectors, in place too", arguments: supportedISAs)
    func combines(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(12)
        for n in lengths {
            let a = random.floats(n)
            let b = random.floats(n)
            var out = [Float](repeating: .nan, count: n + 1)
            unsafe vector.add(a, b, n, &out)
            #expect(Array(out.dropLast()) == zip(a, b).map { $0 + $1 } && out[n].isNaN)
            var inPlace = a + [.nan]
            unsafe inPlace.withUnsafeMutableBufferPointer { buffer in
                unsafe vector.add(buffer.baseAddress, b, n, buffer.baseAddress)
            }
            #expect(inPlace.dropLast() == out.dropLast())
            unsafe vector.scale(&inPlace, 0.3, n)
            #expect(Array(inPlace.dropLast()) == out.dropLast().map { $0 * 0.3 } && inPlace[n].isNaN)

            let gate = random.floats(n, times: 20)
            let exact = zip(gate, b).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
            for passes in [false, true] {
                out = [Float](repeating: .nan, count: n + 1)
                unsafe vector.silu_multiply(gate + b, 2 * n, 1, n, &out, n, passes)
                ck_fence()
                expectClose(out, exact, within: exact.map { 1e-6 * abs($0) }, "silu, \(n)")
            }
        }
    }

    @Test("SiLU of huge gates is finite", arguments: supportedISAs)
    func siluOfExtremes(isa: ck_isa) {
        let huge = Float.greatestFiniteMagnitude
        let gate: [Float] = [-huge, -1000, -100, 0, 100, 1000, huge]
        var out = [Float](repeating: .nan, count: gate.count)
        let ups = [Float](repeating: 1, count: gate.count)
        unsafe ck_vector(isa).silu_multiply(gate + ups, 2 * gate.count, 1, gate.count, &out, gate.count, false)
        expectClose(out, [0, 0, 0, 0, 100, 1000, Double(huge)], within: [0, 0, 1e-40, 0, 1e-4, 1e-3, 0], "silu")
    }

    @Test("Softmax, with masked positions", arguments: supportedISAs)
    func softmax(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(13)
        for n in lengths {
            var x = random.floats(n, times: 30)
            if n > 2 { x[1] = -.infinity }
            let largest = x.max() ?? 0
            let terms = x.map { exp(Double($0 - largest)) }  // the difference rounded, as it is in the vector
            let total = terms.reduce(0, +)
            var found = x + [.nan]
            unsafe vector.softmax(&found, n)
            expectClose(
                found, terms.map { $0 / total }, within: terms.map { 2e-6 * $0 / total + 1e-44 }, "softmax, \(n)")
        }
    }

    @Test("Rotations of adjacent pairs and of halves", arguments: supportedISAs)
    func rotates(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(14)
        for pairs in [1, 2, 3, 8, 15, 16, 17, 32, 48, 64] {
            let x = random.floats(2 * pairs)
            let angles = random.floats(pairs, times: 3)
            let cosines = angles.map { Float(cos(Double($0))) }
            let sines = angles.map { Float(sin(Double($0))) }
            for isAdjacent in [true, false] {
                var exact = x.map(Double.init)
                for i in 0..<pairs {
                    let (first, second) = isAdjacent ? (2 * i, 2 * i + 1) : (i, i + pairs)
                    let (a, b) = (Double(x[first]), Double(x[second]))
                    exact[first] = a * Double(cosines[i]) - b * Double(sines[i])
                    exact[second] = a * Double(sines[i]) + b * Double(cosines[i])
                }
                var found = x + [.nan]
                if isAdjacent {
                    unsafe vector.rope_adjacent(&found, cosines, sines, pairs)
                } else {
                    unsafe vector.rope_halves(&found, cosines, sines, pairs)
                }
                expectClose(found, exact, within: exact.map { _ in 3e-7 }, "adjacent \(isAdjacent), \(pairs) pairs")
            }
        }
    }

    /// The squared error of rounding by largest / limit.
    private func roundingError(_ x: ArraySlice<Float>, _ largest: Float, _ limit: Float) -> Double {
        x.reduce(0) { sum, value in
            let integer = (value * (limit / largest)).rounded(.toNearestOrEven)
            let error = Double(value) - Double(largest) / Double(limit) * Double(integer)
            return sum + error * error
        }
    }

    @Test("Quantised activations: nearest integers, scales, sums", arguments: supportedISAs)
    func quantises(isa: ck_isa) {
        let vector = ck_vector(isa)
        var random = Random(15)
        let n = 32 * 7
        var x = random.floats(n, times: 4)
        for i in 0..<32 { x[i] = 0 }
        for i in 32..<64 { x[i] = Float(i - 47) }  // 127 / 16 has exact ties
        for i in 64..<96 { x[i] *= 0x1p-120 }  // too small for a reciprocal: zero
        x[100] = -400
        for limit in [127, 32767] as [Float] {
            var int8 = [Int8](repeating: 99, count: n + 1)
            var int16 = [Int16](repeating: 99, count: n + 1)
            var scales = [Float](repeating: .nan, count: n / 32)
            var sums = [Int32](repeating: -1, count: n / 16)
            if limit == 127 {
                unsafe vector.quantize_int8(x, n, &int8, &scales, &sums)
                int16 = int8.map(Int16.init)
            } else {
                unsafe vector.quantize_int16(x, n, &int16, &scales, &sums)
            }
            #expect(int16[n] == 99)
            for block in 0..<n / 32 {
                let columns = 32 * block..<32 * block + 32
                let largest = x[columns].map(\.magnitude).max() ?? 0
                let isZero = largest < 0x1p-100
                // Bytes reach 127 or 126, whichever rounds with the smaller error.
                let taken = limit == 127 && !isZero && scales[block] != largest / 127 ? 126 : limit
                #expect(scales[block] == (isZero ? 0 : largest / taken))
                if limit == 127 && !isZero {
                    let error = roundingError(x[columns], largest, taken)
                    #expect(error <= 1.0001 * roundingError(x[columns], largest, 253 - taken))
                }
                for i in columns {
                    let exact = isZero ? 0 : (x[i] * (taken / largest)).rounded(.toNearestOrEven)
                    #expect(Float(int16[i]) == exact, "block \(block), column \(i)")
                }
                for half in 0..<2 {
                    let part = int16[columns].dropFirst(16 * half).prefix(16)
                    #expect(Int(sums[2 * block + half]) == part.map(Int.init).reduce(0, +))
                }
            }
        }
    }

    @Test("Rotates by the Hadamard matrix, and back", arguments: supportedISAs)
    func rotatesHeads(isa: ck_isa) {
        var random = Random(21)
        for n in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let x = random.floats(n)
            var found = x + [.nan]
            unsafe ck_vector(isa).hadamard(&found, n)
            let expected = (0..<n).map { row in
                (0..<n).map { column in
                    Double(x[column]) * ((row & column).nonzeroBitCount % 2 == 0 ? 1 : -1) / Double(n).squareRoot()
                }
            }
            expectClose(
                found, expected.map { $0.reduce(0, +) }, within: expected.map { 1e-6 * $0.map(abs).reduce(0, +) },
                "\(n) elements")
            unsafe ck_vector(isa).hadamard(&found, n)
            expectClose(found, x.map(Double.init), within: x.map { _ in 1e-6 }, "\(n) elements and back")
        }
    }
}
