import CKernels
import Testing

@Suite("The registry answers any question")
struct RegistryTests {
    @Test("Ids without kernels have no name", arguments: [4, 5, 31, 32, 33, 36, 38, 43, 99, UInt32.max])
    func rejectsUnknownIds(id: UInt32) {
        let traits = unsafe ck_traits(id)
        #expect(unsafe traits.name == nil)
        #expect(unsafe traits.block == 0)
        #expect(unsafe traits.block_bytes == 0)
    }

    @Test("Traits are those of the format")
    func knowsTraits() {
        let expected: [(ck_type, String, Int, Int)] = [
            (CK_TYPE_F32, "F32", 1, 4), (CK_TYPE_F16, "F16", 1, 2), (CK_TYPE_BF16, "BF16", 1, 2),
            (CK_TYPE_Q4_0, "Q4_0", 32, 18), (CK_TYPE_Q4_1, "Q4_1", 32, 20), (CK_TYPE_Q5_0, "Q5_0", 32, 22),
            (CK_TYPE_Q5_1, "Q5_1", 32, 24), (CK_TYPE_Q8_0, "Q8_0", 32, 34),
            (CK_TYPE_Q2_K, "Q2_K", 256, 84), (CK_TYPE_Q3_K, "Q3_K", 256, 110), (CK_TYPE_Q4_K, "Q4_K", 256, 144),
            (CK_TYPE_Q5_K, "Q5_K", 256, 176), (CK_TYPE_Q6_K, "Q6_K", 256, 210),
            (CK_TYPE_IQ3_XXS, "IQ3_XXS", 256, 98), (CK_TYPE_IQ3_S, "IQ3_S", 256, 110),
            (CK_TYPE_IQ4_NL, "IQ4_NL", 32, 18), (CK_TYPE_IQ4_XS, "IQ4_XS", 256, 136),
            (CK_TYPE_F64, "F64", 1, 8), (CK_TYPE_IQ1_S, "IQ1_S", 256, 50), (CK_TYPE_IQ1_M, "IQ1_M", 256, 56),
            (CK_TYPE_IQ2_XXS, "IQ2_XXS", 256, 66), (CK_TYPE_IQ2_XS, "IQ2_XS", 256, 74),
            (CK_TYPE_IQ2_S, "IQ2_S", 256, 82), (CK_TYPE_TQ1_0, "TQ1_0", 256, 54), (CK_TYPE_TQ2_0, "TQ2_0", 256, 66),
            (CK_TYPE_MXFP4, "MXFP4", 32, 17), (CK_TYPE_NVFP4, "NVFP4", 64, 36), (CK_TYPE_Q1_0, "Q1_0", 128, 18),
            (CK_TYPE_Q2_0, "Q2_0", 64, 18),
        ]
        for (type, name, block, bytes) in expected {
            #expect(type.name == name)
            #expect(type.block == block)
            #expect(type.blockBytes == bytes)
        }
    }

    @Test("Every type has its kernels on every instruction set", arguments: types, supportedISAs)
    func isComplete(type: ck_type, isa: ck_isa) {
        let kernels = ck_kernels(type, isa)
        #expect(unsafe kernels.dequantize != nil)
        #expect(unsafe kernels.gemv.0 != nil)
        #expect(unsafe (kernels.gemv.1 != nil) == (kernels.gemv.2 != nil))
    }

    @Test("What can be quantised on one instruction set can be on every", arguments: quantizableTypes, supportedISAs)
    func quantizesEverywhere(type: ck_type, isa: ck_isa) {
        #expect(unsafe ck_kernels(type, isa).quantize != nil)
    }

    @Test("The best instruction set is supported, and scalar always is")
    func choosesASupportedSet() {
        #expect(ck_isa_supported(CK_ISA_SCALAR))
        #expect(ck_isa_supported(ck_isa_best()))
        #expect(!ck_isa_supported(ck_isa(rawValue: UInt32(CK_ISA_COUNT))))
    }

    @Test("Instruction sets have the names that --isa takes")
    func namesSets() {
        let names = (0..<UInt32(CK_ISA_COUNT)).map { ck_isa(rawValue: $0).testDescription }
        #expect(
            names == ["scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "neon", "neon-dotprod", "neon-i8mm"])
    }

    @Test("What a cache may hold has attention, and nothing else", arguments: supportedISAs)
    func knowsCaches(isa: ck_isa) {
        for type in types {
            #expect(unsafe (ck_attention(type, isa).scores != nil) == cacheTypes.contains(type))
            #expect(unsafe (ck_attention(type, isa).accumulate != nil) == cacheTypes.contains(type))
        }
    }
}
