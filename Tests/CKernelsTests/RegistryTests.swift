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

    // What an instruction set lacks comes from those that it falls back on, in the end from the scalar kernels: that
    // every lookup gives a function says something of these alone.
    @Test("Every type has its scalar kernels", arguments: types)
    func isComplete(type: ck_type) {
        let kernels = ck_kernels(type, CK_ISA_SCALAR)
        #expect(unsafe kernels.dequantize != nil)
        let isFloat = floatTypes.contains(type)
        #expect(unsafe (kernels.gemv.0 != nil) == !isFloat)
        #expect(unsafe (kernels.gemv.1 != nil) == !isFloat)
        #expect(unsafe (kernels.gemv.2 != nil) == !isFloat)
        #expect(unsafe (kernels.gemm != nil) == isFloat)
    }

    @Test(
        "Products of the types that published files hold are not the scalar ones on any other instruction set",
        arguments: publishedTypes, supportedISAs.filter { $0 != CK_ISA_SCALAR })
    func hasProductsOfItsOwn(type: ck_type, isa: ck_isa) {
        let scalar = products(type, CK_ISA_SCALAR)
        let found = products(type, isa)
        #expect(Set(found.keys) == (floatTypes.contains(type) ? ["batch"] : ["f32", "int16", "int8"]))
        for (precision, product) in found { #expect(product != scalar[precision], "\(precision)") }
    }

    @Test(
        "Integer products use the dot products of the instruction sets that are made of them",
        arguments: publishedTypes.filter { !floatTypes.contains($0) },
        supportedISAs.filter { [CK_ISA_AVXVNNI, CK_ISA_AVX512VNNI, CK_ISA_NEON_DOTPROD].contains($0) })
    func usesDotProducts(type: ck_type, isa: ck_isa) throws {
        let below = try #require(
            [CK_ISA_AVXVNNI: CK_ISA_AVX2, CK_ISA_AVX512VNNI: CK_ISA_AVX512, CK_ISA_NEON_DOTPROD: CK_ISA_NEON][isa])
        let (without, with) = (products(type, below), products(type, isa))
        // NEON has dot products of bytes only.
        for precision in isa == CK_ISA_NEON_DOTPROD ? ["int8"] : ["int8", "int16"] {
            #expect(with[precision] != without[precision], "\(precision)")
        }
        #expect(with["f32"] == without["f32"], "floats come from below")
    }

    @Test("Floats can be rounded one by one, or block by block, to the types that the reference rounds so")
    func knowsRounding() {
        #expect(
            quantizableTypes.map(\.name) == [
                "F32", "F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F64", "BF16", "TQ1_0", "TQ2_0", "MXFP4",
            ])
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
            names == [
                "scalar", "avx2", "avxvnni", "avx512", "avx512vnni", "amx", "neon", "neon-dotprod", "neon-i8mm",
            ])
    }

    @Test("What a cache may hold has attention, and nothing else", arguments: supportedISAs)
    func knowsCaches(isa: ck_isa) {
        for type in types {
            #expect(unsafe (ck_attention(type, isa).scores != nil) == cacheTypes.contains(type))
            #expect(unsafe (ck_attention(type, isa).accumulate != nil) == cacheTypes.contains(type))
        }
    }
}

/// The types that are not quantised: no product of theirs takes rounded activations.
private let floatTypes = [CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_F64]

/// The types of the tensors in the files that people publish of CroissantLLM.
private let publishedTypes = [
    CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_Q4_0, CK_TYPE_Q4_1, CK_TYPE_Q5_0, CK_TYPE_Q5_1, CK_TYPE_Q8_0,
    CK_TYPE_Q2_K, CK_TYPE_Q3_K, CK_TYPE_Q4_K, CK_TYPE_Q5_K, CK_TYPE_Q6_K, CK_TYPE_IQ3_XXS, CK_TYPE_IQ3_S,
    CK_TYPE_IQ4_NL, CK_TYPE_IQ4_XS,
]

/// The addresses of the products of a type on an instruction set, by the precision of the activations.
private func products(_ type: ck_type, _ isa: ck_isa) -> [String: UInt] {
    let kernels = ck_kernels(type, isa)
    let gemv = unsafe kernels.gemv
    let named = unsafe [("f32", gemv.0), ("int16", gemv.1), ("int8", gemv.2)]
    var addresses = Dictionary(
        uniqueKeysWithValues: unsafe named.compactMap { name, product in
            unsafe product.map { (name, unsafe unsafeBitCast($0, to: UInt.self)) }
        })
    addresses["batch"] = unsafe kernels.gemm.map { unsafe unsafeBitCast($0, to: UInt.self) }
    return addresses
}
