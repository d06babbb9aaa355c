import Foundation
import GGUF
import Testing

@Suite("Tensor types and file types")
struct GGMLTypeTests {
    /// id, name, elements in a block, bytes of a block: ggml.h and sizeof of the structs of ggml-common.h at ggml
    /// d99724f2 (2026-08-21).
    static let golden: [(UInt32, String, Int, Int)] = [
        (0, "F32", 1, 4), (1, "F16", 1, 2), (2, "Q4_0", 32, 18), (3, "Q4_1", 32, 20), (6, "Q5_0", 32, 22),
        (7, "Q5_1", 32, 24), (8, "Q8_0", 32, 34), (9, "Q8_1", 32, 36), (10, "Q2_K", 256, 84), (11, "Q3_K", 256, 110),
        (12, "Q4_K", 256, 144), (13, "Q5_K", 256, 176), (14, "Q6_K", 256, 210), (15, "Q8_K", 256, 292),
        (16, "IQ2_XXS", 256, 66), (17, "IQ2_XS", 256, 74), (18, "IQ3_XXS", 256, 98), (19, "IQ1_S", 256, 50),
        (20, "IQ4_NL", 32, 18), (21, "IQ3_S", 256, 110), (22, "IQ2_S", 256, 82), (23, "IQ4_XS", 256, 136),
        (24, "I8", 1, 1), (25, "I16", 1, 2), (26, "I32", 1, 4), (27, "I64", 1, 8), (28, "F64", 1, 8),
        (29, "IQ1_M", 256, 56), (30, "BF16", 1, 2), (34, "TQ1_0", 256, 54), (35, "TQ2_0", 256, 66),
        (39, "MXFP4", 32, 17), (40, "NVFP4", 64, 36), (41, "Q1_0", 128, 18), (42, "Q2_0", 64, 18),
    ]

    @Test("every type has ggml's id, name and block", arguments: golden)
    func table(id: UInt32, name: String, blockSize: Int, blockBytes: Int) throws {
        let type = try #require(GGMLType(rawValue: id))
        #expect(type.name == name)
        #expect(type.blockSize == blockSize)
        #expect(type.blockBytes == blockBytes)
        #expect(GGMLType(name: name.lowercased()) == type)
        #expect(type.isStoredInFiles == !["Q8_1", "Q8_K"].contains(name))
    }

    @Test("there are no other types, and no id is both current and removed")
    func complete() {
        #expect(GGMLType.allCases.count == Self.golden.count)
        let removed = (0..<100 as Range<UInt32>).filter { GGMLType.removedName(id: $0) != nil }
        #expect(removed == [4, 5, 31, 32, 33, 36, 37, 38])
        #expect(removed.allSatisfy { GGMLType(rawValue: $0) == nil })
        #expect(GGMLType(name: "Q4_K_M") == nil)
    }

    @Test("byte counts are those of whole blocks, or nil")
    func byteCount() {
        #expect(GGMLType.q4_K.byteCount(elements: 512) == 288)
        #expect(GGMLType.q4_K.byteCount(elements: 0) == 0)
        #expect(GGMLType.q4_K.byteCount(elements: 5504) == nil)
        #expect(GGMLType.f32.byteCount(elements: -1) == nil)
        #expect(GGMLType.f64.byteCount(elements: Int.max / 4) == nil)
        #expect(GGMLType.q6_K.bitsPerWeight == 6.5625)
    }

    @Test(
        "blocks that ggml wrote have the size of the table", .enabled(if: SharedData.isPresent, "needs ../shared/data"))
    func blocksOfGGML() throws {
        let folder = SharedData.path("blocks")
        var seen = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".blocks") {
            let type = try #require(GGMLType(name: String(name.dropLast(7))))
            #expect(try contents(of: "\(folder)/\(name)").count == type.byteCount(elements: 6144), "\(name)")
            seen += 1
        }
        #expect(seen > 20)
    }

    @Test(
        "file types have llama.cpp's number and names",
        arguments: [
            (0, "F32", "all F32"), (7, "Q8_0", "Q8_0"), (8, "Q5_0", "Q5_0"), (15, "Q4_K_M", "Q4_K - Medium"),
            (21, "Q2_K_S", "Q2_K - Small"), (30, "IQ4_XS", "IQ4_XS - 4.25 bpw"), (32, "BF16", "BF16"),
            (38, "MXFP4_MOE", "MXFP4 MoE"),
        ])
    func fileTypes(value: UInt32, short: String, long: String) throws {
        let type = try #require(FileType(fileValue: value))
        #expect(type.shortName == short)
        #expect(type.name == long)
        #expect(FileType(name: short.lowercased()) == type)
        #expect(FileType(fileValue: value | 1024) == type)
    }

    @Test("removed and unknown file types are not taken for others", arguments: [4, 5, 6, 33, 34, 35, 42, 1028])
    func unknownFileTypes(value: UInt32) {
        #expect(FileType(fileValue: value) == nil)
    }
}
