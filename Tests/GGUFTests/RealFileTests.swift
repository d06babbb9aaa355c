import GGUF
import Testing

/// Golden values: PyPI gguf 0.19.0 (GGUFReader) on the same files.
@Suite("Real files", .enabled(if: SharedData.isPresent, "needs ../shared/data"))
struct RealFileTests {
    struct Golden: Sendable {
        let name: String
        let fileType: FileType?
        let pairs: Int
        let dataOffset: Int
        let tensorBytes: Int
        let types: [GGMLType: Int]
        let last: String
        let lastOffset: Int
        /// CRC-32 of the last tensor's bytes.
        let lastChecksum: UInt32
    }

    static let mhaLast = "blk.1.ffn_up.weight"
    static let storiesLast = "blk.4.ffn_norm.weight"

    static let golden: [Golden] = [
        .init(
            name: "random-mha-IQ4_XS", fileType: .iq4_xs, pairs: 22, dataOffset: 12672, tensorBytes: 1_046_528,
            types: [.q6_K: 1, .f32: 5, .iq4_xs: 13, .iq4_nl: 2], last: mhaLast, lastOffset: 963_456,
            lastChecksum: 0x21DF_BFB1),
        .init(
            name: "random-mha-Q2_K", fileType: .q2_K, pairs: 22, dataOffset: 12672, tensorBytes: 793_600,
            types: [.q6_K: 1, .f32: 5, .q2_K: 9, .q3_K: 4, .q4_0: 2], last: mhaLast, lastOffset: 747_136,
            lastChecksum: 0xBDED_8178),
        .init(
            name: "random-mha-Q4_0", fileType: .q4_0, pairs: 22, dataOffset: 12672, tensorBytes: 1_089_536,
            types: [.q6_K: 1, .f32: 5, .q4_0: 15], last: mhaLast, lastOffset: 1_000_832, lastChecksum: 0xF7BA_7F65),
        .init(
            name: "random-mha-Q4_K_M", fileType: .q4_K_M, pairs: 22, dataOffset: 12672, tensorBytes: 1_219_072,
            types: [.q6_K: 2, .f32: 5, .q4_K: 12, .q5_0: 1, .q8_0: 1], last: mhaLast, lastOffset: 1_130_368,
            lastChecksum: 0xB557_A6D6),
        .init(
            name: "random-mha-Q5_K_M", fileType: .q5_K_M, pairs: 22, dataOffset: 12672, tensorBytes: 1_394_176,
            types: [.q6_K: 2, .f32: 5, .q5_K: 12, .q5_1: 1, .q8_0: 1], last: mhaLast, lastOffset: 1_282_944,
            lastChecksum: 0x9C6C_5D7C),
        .init(
            name: "random-mha-Q8_0", fileType: .q8_0, pairs: 22, dataOffset: 12672, tensorBytes: 1_989_632,
            types: [.q8_0: 16, .f32: 5], last: mhaLast, lastOffset: 1_810_816, lastChecksum: 0x7801_D080),
        .init(
            name: "random-mha-f32", fileType: .f32, pairs: 21, dataOffset: 12640, tensorBytes: 7_476_224,
            types: [.f32: 21], last: "output.weight", lastOffset: 6_964_576, lastChecksum: 0x5CC3_BF92),
        .init(
            name: "stories260K-F16", fileType: .f16, pairs: 18, dataOffset: 14112, tensorBytes: 587_008,
            types: [.f16: 37, .f32: 11], last: storiesLast, lastOffset: 600_864, lastChecksum: 0x338B_E486),
        .init(
            name: "stories260K-Q4_0", fileType: .q4_0, pairs: 19, dataOffset: 14144, tensorBytes: 246_240,
            types: [.q4_0: 32, .f32: 11, .f16: 5], last: storiesLast, lastOffset: 260_288, lastChecksum: 0x338B_E486),
        .init(
            name: "stories260K-Q5_1", fileType: .q5_1, pairs: 19, dataOffset: 14144, tensorBytes: 290_688,
            types: [.q5_1: 32, .f32: 11, .f16: 5], last: storiesLast, lastOffset: 304_576, lastChecksum: 0x338B_E486),
        .init(
            name: "stories260K-Q8_0", fileType: .q8_0, pairs: 19, dataOffset: 14144, tensorBytes: 364_768,
            types: [.q8_0: 32, .f32: 11, .f16: 5], last: storiesLast, lastOffset: 378_816, lastChecksum: 0x338B_E486),
        .init(
            name: "stories260K", fileType: nil, pairs: 19, dataOffset: 14176, tensorBytes: 1_171_200,
            types: [.f32: 48], last: storiesLast, lastOffset: 1_185_120, lastChecksum: 0x338B_E486),
    ]

    @Test("models have the tensors and metadata that gguf-py finds", arguments: golden)
    func models(_ golden: Golden) throws {
        let file = try GGUFFile(path: SharedData.path("models/\(golden.name).gguf"))
        #expect(file.version == 3)
        #expect(file.alignment == 32)
        #expect(file.tensorDataOffset == golden.dataOffset)
        #expect(file.metadata.count == golden.pairs)
        let fileType = try file.metadata.int("general.file_type").flatMap { FileType(fileValue: UInt32($0)) }
        #expect(fileType == golden.fileType)
        #expect(file.tensors.reduce(0) { $0 + $1.byteCount } == golden.tensorBytes)
        #expect(Dictionary(grouping: file.tensors, by: \.type).mapValues(\.count) == golden.types)
        let last = try #require(file.tensors.last)
        #expect(last.name == golden.last)
        #expect(last.offset == golden.lastOffset)
        #expect(crc32(copy(file.bytes(of: last))) == golden.lastChecksum)
        #expect(try file.metadata.float("llama.attention.layer_norm_rms_epsilon") == 1e-5)
        try expectVocabulary(file.metadata, count: 512, totalBytes: 2305, checksum: 0x33FA_D4EA, lastScore: -252)
    }

    @Test("the Llama vocabulary is read exactly, and quickly")
    func vocabulary() throws {
        let path = SharedData.path("vocab/ggml-vocab-llama-spm.gguf")
        let file = try GGUFFile(path: path)
        #expect(file.tensors.isEmpty)
        #expect(file.metadata.count == 22)
        #expect(try file.metadata.string("general.name") == "llama-spm")
        try expectVocabulary(
            file.metadata, count: 32000, totalBytes: 210_919, checksum: 0x1C02_B3E0, lastScore: -31740)
        #expect(try file.metadata.strings("tokenizer.ggml.tokens")?.last == "给")
    }

    private func expectVocabulary(
        _ metadata: GGUFMetadata, count: Int, totalBytes: Int, checksum: UInt32, lastScore: Float
    ) throws {
        let tokens = try metadata.require("tokenizer.ggml.tokens", as: .exactStrings)
        #expect(tokens.count == count)
        #expect(Array(tokens.prefix(5)) == ["<unk>", "<s>", "</s>", "<0x00>", "<0x01>"])
        #expect(tokens.totalByteCount == totalBytes)
        #expect(crc32(tokens.indices.flatMap { tokens.bytes(at: $0) }) == checksum)
        let scores = try metadata.require("tokenizer.ggml.scores", as: .floats)
        #expect(scores.count == count)
        #expect(scores[300] == -41)
        #expect(scores.last == lastScore)
    }

    /// CRC-32 as zlib computes it.
    private func crc32(_ bytes: [UInt8]) -> UInt32 {
        let table = (0..<256 as Range<UInt32>).map { byte in
            (0..<8).reduce(byte) { value, _ in value & 1 == 0 ? value >> 1 : 0xEDB8_8320 ^ (value >> 1) }
        }
        return ~bytes.reduce(~0) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8) }
    }
}
