import CKernels
import Testing

@Suite("Blocks mean the same floats on every instruction set")
struct BlockTests {
    @Test(
        "Dequantising gives the floats of other implementations, bit for bit",
        .enabled(if: Golden.isPresent, "needs ../shared/data"), arguments: goldenTypes, supportedISAs)
    func dequantizesGoldenBlocks(type: ck_type, isa: ck_isa) throws {
        let blocks = try Golden.bytes("\(type.name).blocks")
        let expected = try Golden.floats("\(type.name).f32")
        var floats = [Float](repeating: .nan, count: expected.count)
        unsafe ck_kernels(type, isa).dequantize(blocks, &floats, floats.count)
        #expect(sameBits(floats, expected))
    }

    @Test(
        "Quantising gives the bytes of ggml's reference",
        .enabled(if: Golden.isPresent, "needs ../shared/data"),
        arguments: quantizableTypes.filter { goldenTypes.contains($0) }, supportedISAs)
    func quantizesGoldenSource(type: ck_type, isa: ck_isa) throws {
        let source = try Golden.floats("source.f32")
        let expected = try Golden.bytes("\(type.name).blocks")
        var blocks = [UInt8](repeating: 0xaa, count: expected.count)
        unsafe ck_kernels(type, isa).quantize(source, &blocks, source.count)
        #expect(blocks == expected)
    }

    @Test("Any blocks, at any address, dequantise as the scalar reference does", arguments: types, supportedISAs)
    func dequantizesLikeScalar(type: ck_type, isa: ck_isa) throws {
        var random = Random(1)
        for count in [1, 2, 7, 8, 43].map({ $0 * type.block }) {
            var blocks = randomBlocks(type, count, &random)
            // Extremes of f16: subnormal, negative, largest, zero.
            for (block, bits) in ([0x0001, 0x83ff, 0x7bff, 0x8000, 0x0400] as [UInt16]).enumerated()
            where block < count / type.block {
                blocks.setHalves(of: type, inBlock: block, bits)
            }
            let expected = dequantized(type, blocks, count)
            var floats = [Float](repeating: .nan, count: count + 1)
            try unsafe withGuardedCopy(blocks) { unsafe ck_kernels(type, isa).dequantize($0, &floats, count) }
            try unsafe withGuardedCopy(blocks + [0]) { start in  // at an odd address
                var again = floats
                unsafe ck_kernels(type, isa).dequantize(start, &again, count)
                #expect(sameBits(again, floats))
            }
            #expect(sameBits(Array(floats.dropLast()), expected), "\(count) columns")
            #expect(floats[count].isNaN, "wrote beyond its columns")
        }
    }

    @Test("Any floats quantise as the scalar reference does", arguments: quantizableTypes, supportedISAs)
    func quantizesLikeScalar(type: ck_type, isa: ck_isa) {
        var random = Random(2)
        for (round, count) in [1, 3, 8, 43].map({ $0 * type.block }).enumerated() {
            // Halves and ties, zero blocks, tiny and huge numbers.
            var values = random.floats(count, times: [1, 1e-6, 3e4, 0x1p-140][round])
            for i in values.indices where i % 5 == 0 { values[i] = (values[i] * 16).rounded() / 16 }
            if count > 64 { for i in 32..<64 { values[i] = 0 } }
            var expected = [UInt8](repeating: 0, count: type.rowBytes(count))
            var blocks = [UInt8](repeating: 0xaa, count: type.rowBytes(count) + 1)
            unsafe ck_kernels(type, CK_ISA_SCALAR).quantize(values, &expected, count)
            unsafe ck_kernels(type, isa).quantize(values, &blocks, count)
            #expect(Array(blocks.dropLast()) == expected, "\(count) columns")
            #expect(blocks.last == 0xaa, "wrote beyond its columns")
        }
    }

    @Test("Quantising rounds twice, like the reference, also where additions fuse", arguments: supportedISAs)
    func quantizesWithoutFusing(isa: ck_isa) {
        // Products just below a half, by half a unit in the last place of the sum: rounded first, the product is that
        // far off and the sum a tie, which goes up; fused, the sum stays below.
        for (type, steps, distance) in [(CK_TYPE_Q4_0, -8, 0x1p-21), (CK_TYPE_Q5_0, -16, 0x1p-20)] as [(_, Float, _)] {
            var random = Random(5)
            var values: [Float] = []
            for _ in 0..<64 {
                let largest = 1.5 + random.float() / 2
                var value = Float((0.5 - distance) / Double(1 / (largest / steps)))
                for _ in 0..<4 { value = value.nextDown }
                values.append(largest)
                for _ in 1..<32 {
                    values.append(value)
                    value = random.float() > 0.5 ? value.nextUp : value
                }
            }
            var expected: [[UInt8]] = []
            for start in stride(from: 0, to: values.count, by: 32) {
                let reciprocal = 1 / (values[start] / steps)
                expected.append(
                    (0..<16).map { lane in
                        let q = [lane, lane + 16].map { i in
                            let product = values[start + i] * reciprocal
                            let sum = product + (0.5 - steps)
                            return UInt8(sum) & 15
                        }
                        return q[0] | q[1] << 4
                    })
            }
            var blocks = [UInt8](repeating: 0, count: type.rowBytes(values.count))
            unsafe ck_kernels(type, isa).quantize(values, &blocks, values.count)
            let found = expected.indices.map { Array(blocks[..<(($0 + 1) * type.blockBytes)].suffix(16)) }
            #expect(found == expected, "\(type.name)")
        }
    }

    @Test("Every half converts exactly, and back", arguments: [CK_TYPE_F16, CK_TYPE_BF16], supportedISAs)
    func convertsEveryHalf(type: ck_type, isa: ck_isa) {
        let halves = (0...UInt16.max).flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        var floats = [Float](repeating: 0, count: 65536)
        unsafe ck_kernels(type, isa).dequantize(halves, &floats, floats.count)
        let wrong = (0...UInt16.max).first { half in
            let expected =
                type == CK_TYPE_F16 ? exactFloat(half) : Float(bitPattern: UInt32(half) << 16)
            let found = floats[Int(half)]
            return expected.isNaN ? !found.isNaN : expected.bitPattern != found.bitPattern
        }
        #expect(wrong == nil)
        var back = [UInt8](repeating: 0, count: halves.count)
        unsafe ck_kernels(type, isa).quantize(floats, &back, floats.count)
        let changed = floats.indices.first { i in
            !floats[i].isNaN && (back[2 * i] != halves[2 * i] || back[2 * i + 1] != halves[2 * i + 1])
        }
        #expect(changed == nil)
    }

    @Test("Every power of two of MXFP4, and every scale of NVFP4", arguments: supportedISAs)
    func scalesOfEightBits(isa: ck_isa) {
        let one: UInt8 = 0x22  // two weights of 1
        for code in UInt8.min...UInt8.max {
            var floats = [Float](repeating: .nan, count: 64)
            let power = [code] + [UInt8](repeating: one, count: 16)
            unsafe ck_kernels(CK_TYPE_MXFP4, isa).dequantize(power, &floats, 32)
            #expect(
                floats.prefix(32).allSatisfy { $0 == Float(sign: .plus, exponent: Int(code) - 127, significand: 1) })

            let scales = [code, 0x38, 0, code] + [UInt8](repeating: one, count: 32)
            unsafe ck_kernels(CK_TYPE_NVFP4, isa).dequantize(scales, &floats, 64)
            let exponent = Int(code >> 3 & 15)
            let fraction = Float(code & 7) / 8
            let scale =
                code == 0x7f
                ? 0
                : Float(sign: .plus, exponent: max(exponent, 1) - 7, significand: fraction + (exponent > 0 ? 1 : 0))
            for (group, expected) in [scale, 1, 0, scale].enumerated() {
                #expect(floats[16 * group..<16 * group + 16].allSatisfy { $0 == expected }, "code \(code)")
            }
        }
    }

    @Test("Every byte of TQ1_0 is the digits that the format says", arguments: supportedISAs)
    func ternaryDigits(isa: ck_isa) {
        let powers = [1, 3, 9, 27, 81]
        for byte in 0..<256 {
            let block = [UInt8](repeating: UInt8(byte), count: 52) + [0, 0x3c]
            var floats = [Float](repeating: .nan, count: 256)
            unsafe ck_kernels(CK_TYPE_TQ1_0, isa).dequantize(block, &floats, 256)
            let expected = (0..<256).map { i in
                let digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4
                return Float((byte * powers[digit] & 255) * 3 / 256 - 1)
            }
            #expect(sameBits(floats, expected), "byte \(byte)")
        }
    }

    @Test("Doubles become the nearest floats", arguments: supportedISAs)
    func roundsDoubles(isa: ck_isa) {
        let doubles = [0.1, -1 / 3.0, 1e300, -1e300, 1e-300, 0x1.000001p0, 0x1.000003p0, 0x1.8p-149, -0.0, .infinity]
        var floats = [Float](repeating: .nan, count: doubles.count)
        unsafe ck_kernels(CK_TYPE_F64, isa).dequantize(doubles, &floats, doubles.count)
        #expect(sameBits(floats, doubles.map(Float.init)))
        var back = [Double](repeating: .nan, count: floats.count)
        unsafe ck_kernels(CK_TYPE_F64, isa).quantize(floats, &back, floats.count)
        #expect(back == floats.map(Double.init))
    }

    @Test("Floats round to the nearest half, ties to even", arguments: supportedISAs)
    func roundsToHalves(isa: ck_isa) {
        // (float, f16, bf16)
        let table: [(Float, UInt16, UInt16)] = [
            (65519.996, 0x7bff, 0x4780), (65520, 0x7c00, 0x4780), (-70000, 0xfc00, 0xc789),
            (0x1p-24, 0x0001, 0x3380), (0x1p-25, 0x0000, 0x3300), (0x1.000002p-25, 0x0001, 0x3300),
            (0x1.8p-24, 0x0002, 0x33c0), (0x1.ffep-15, 0x0400, 0x3880), (0x1.ffbp-15, 0x03ff, 0x3880),
            (1.00048828125, 0x3c00, 0x3f80), (1.00146484375, 0x3c02, 0x3f80), (1.00390625, 0x3c04, 0x3f80),
            (1.01171875, 0x3c0c, 0x3f82), (.infinity, 0x7c00, 0x7f80), (-0.0, 0x8000, 0x8000),
        ]
        for (type, expected) in [(CK_TYPE_F16, table.map(\.1)), (CK_TYPE_BF16, table.map(\.2))] {
            var halves = [UInt16](repeating: 0, count: table.count)
            unsafe ck_kernels(type, isa).quantize(table.map(\.0), &halves, table.count)
            #expect(halves == expected, "\(type.name)")
        }
    }
}

/// The value of an f16, by its definition.
private func exactFloat(_ half: UInt16) -> Float {
    let sign: Float = half & 0x8000 == 0 ? 1 : -1
    let exponent = Int(half >> 10) & 31
    let mantissa = Float(half & 0x3ff)
    switch exponent {
    case 0: return sign * mantissa * 0x1p-24
    case 31: return mantissa == 0 ? sign * .infinity : .nan
    default: return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + mantissa / 1024)
    }
}
