import CKernels
import Testing

/// FNV-1a of 64 bits, of the weights that gguf's own dequantisers make of `pseudoRandomBlocks`: printed by
/// make_dequantization_hashes.py.
private let recordedHashes: [(type: ck_type, hash: UInt64)] = [
    (CK_TYPE_F32, 0x42f5_6761_530f_3af0),
    (CK_TYPE_F16, 0xb302_3743_a1b7_02e6),
    (CK_TYPE_Q4_0, 0x4747_33a7_f730_014b),
    (CK_TYPE_Q4_1, 0x1d31_8d86_bb8b_2b96),
    (CK_TYPE_Q5_0, 0x9333_4808_cf81_ae64),
    (CK_TYPE_Q5_1, 0x915d_5684_b305_90f1),
    (CK_TYPE_Q8_0, 0xa618_cf08_79ec_51b7),
    (CK_TYPE_Q2_K, 0x1e85_8c48_0448_5f1d),
    (CK_TYPE_Q3_K, 0x2102_8902_31a0_433f),
    (CK_TYPE_Q4_K, 0xba5d_8cfb_95c9_9af3),
    (CK_TYPE_Q5_K, 0xdc58_0a14_b540_34b5),
    (CK_TYPE_Q6_K, 0x5451_78ac_aae0_a31c),
    (CK_TYPE_IQ2_XXS, 0x9990_a78b_58a6_4224),
    (CK_TYPE_IQ2_XS, 0xb649_599a_bf26_2b43),
    (CK_TYPE_IQ3_XXS, 0x822d_43dc_e4bb_db21),
    (CK_TYPE_IQ1_S, 0x21ff_d1c0_177e_dbf1),
    (CK_TYPE_IQ4_NL, 0xab24_4c72_5463_fbe8),
    (CK_TYPE_IQ3_S, 0x8d88_b5ad_7720_4e01),
    (CK_TYPE_IQ2_S, 0x8d76_9f3f_e66f_5a3b),
    (CK_TYPE_IQ4_XS, 0x5811_f9a1_4d3d_9de4),
    (CK_TYPE_IQ1_M, 0x052c_dbea_71eb_6865),
    (CK_TYPE_BF16, 0x4ef7_a480_1114_7ea2),
    (CK_TYPE_TQ1_0, 0x69db_0909_5d00_ea56),
    (CK_TYPE_TQ2_0, 0xf3a2_9bc9_e02e_5ebb),
    (CK_TYPE_MXFP4, 0x8f39_1791_24bb_98e1),
    (CK_TYPE_NVFP4, 0xf572_2a6b_1f1b_7adf),
]

/// Weights of each type.
private let weightCount = 65536

/// What keeps the numbers of a block of `type` finite: bytes of it, and the bits of each that stay. In an f16 without bit
/// 14 the exponent is at most 15, so that it is below 2; four bits of the f16 of IQ1_M are the upper half of its last
/// byte.
private func finiteBits(of type: ck_type) -> [(byte: Int, bits: UInt8)] {
    switch type {
    case CK_TYPE_MXFP4: [(0, 0x7f)]
    case CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_IQ1_M: [(type.blockBytes - 1, 0xbf)]
    default: type.halves.map { ($0 + 1, 0xbf) }
    }
}

/// Blocks of `type` that any program can make again: a byte from the upper half of each number of splitmix64, whose seed
/// is the type's id.
private func pseudoRandomBlocks(_ type: ck_type) -> [UInt8] {
    var random = Random(Int(type.rawValue))
    var blocks = (0..<type.rowBytes(weightCount)).map { _ in UInt8(truncatingIfNeeded: random.bits() >> 32) }
    for start in stride(from: 0, to: blocks.count, by: type.blockBytes) {
        for (byte, bits) in finiteBits(of: type) { blocks[start + byte] &= bits }
    }
    return blocks
}

/// FNV-1a of the bits of floats, the lowest byte of each first.
private func hash(_ floats: [Float]) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for float in floats {
        var bits = float.bitPattern
        for _ in 0..<4 {
            hash = (hash ^ UInt64(bits & 0xff)) &* 0x0000_0100_0000_01b3
            bits >>= 8
        }
    }
    return hash
}

@Suite("Blocks mean what they mean to another implementation")
struct DequantizationTests {
    @Test("Every bit of the weights is that of gguf's dequantisers", arguments: recordedHashes.map(\.type))
    func hashes(type: ck_type) throws {
        let expected = try #require(recordedHashes.first { $0.type == type }).hash
        let blocks = pseudoRandomBlocks(type)
        for isa in supportedISAs {
            var weights = [Float](repeating: .nan, count: weightCount)
            unsafe ck_kernels(type, isa).dequantize(blocks, &weights, weightCount)
            let found = hash(weights)
            #expect(found == expected, "\(isa.testDescription): 0x\(String(found, radix: 16))")
        }
    }

    @Test("Only types that gguf has no dequantiser for have no hash")
    func isComplete() {
        let recorded = recordedHashes.map(\.type)
        #expect(types.filter { !recorded.contains($0) }.map(\.name) == ["F64", "Q1_0", "Q2_0"])
    }
}
