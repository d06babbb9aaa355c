import Foundation
import Testing

@Suite("inspect: what a file holds, for people and for programs")
struct InspectTests {
    private struct Report: Decodable {
        struct Share: Decodable {
            let type: String
            let tensors: Int
            let weights: Int
            let bytes: Int
        }

        struct Tensor: Decodable {
            let name: String
            let type: String
            let dimensions: [Int]
            let offset: Int
            let bytes: Int
        }

        struct Metadata: Decodable {
            let name: String
            let layers: Int
            let epsilon: Double
            let addsBOS: Bool
            let tokens: [String]

            enum CodingKeys: String, CodingKey {
                case name = "general.name"
                case layers = "llama.block_count"
                case epsilon = "llama.attention.layer_norm_rms_epsilon"
                case addsBOS = "tokenizer.ggml.add_bos_token"
                case tokens = "tokenizer.ggml.tokens"
            }
        }

        let path: String
        let version: Int
        let fileSize: Int
        let parts: Int
        let metadata: Metadata
        let types: [Share]
        let tensors: [Tensor]
    }

    @Test("The text names the file, every key and every type")
    func text() throws {
        let run = try CLI.run(["inspect", Fixture.tiny])
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.first?.hasPrefix("\(Fixture.tiny): GGUF version 3, ") == true)
        #expect(lines.contains("general.name = \"tiny\""))
        #expect(lines.contains("llama.block_count = 2"))
        #expect(lines.contains("tokenizer.ggml.add_bos_token = true"))
        #expect(lines.contains("tokenizer.ggml.tokens = [\"<unk>\", \"<s>\", \"</s>\", \"<pad>\", … (512)]"))
        #expect(lines.contains { $0.hasPrefix("| Q4_0 |      15 | ") })
        // The output matrix, which published mixes keep finer.
        #expect(lines.contains { $0.hasPrefix("| Q8_0 |       1 | ") })
        #expect(lines.contains { $0.hasPrefix("| F32  |       5 | ") })
        #expect(!run.output.contains("blk.0"))
    }

    @Test("--tensors lists every tensor with its shape")
    func tensors() throws {
        let run = try CLI.run(["inspect", Fixture.tiny, "--tensors"])
        let rows = run.output.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains(".weight ") }
        #expect(rows.count == 21)
        #expect(
            rows.contains { $0.contains("token_embd.weight") && $0.contains(" Q4_0 ") && $0.contains(" 64 x 512 ") })
    }

    @Test("--metadata prints one whole value, as it is")
    func metadata() throws {
        #expect(try CLI.run(["inspect", Fixture.tiny, "--metadata", "general.name"]).output == "tiny\n")
        #expect(try CLI.run(["inspect", Fixture.tiny, "--metadata", "general.name", "--json"]).output == "\"tiny\"\n")
        #expect(try CLI.run(["inspect", Fixture.tiny, "--metadata", "llama.block_count"]).output == "2\n")
        let tokens = try CLI.run(["inspect", Fixture.tiny, "--metadata", "tokenizer.ggml.tokens", "--json"])
        #expect(try tokens.json([String].self).count == 512)
    }

    @Test("--json holds everything")
    func json() throws {
        let report = try CLI.run(["inspect", Fixture.tiny, "--json"]).json(Report.self)
        let attributes = try FileManager.default.attributesOfItem(atPath: Fixture.tiny)
        #expect(report.path == Fixture.tiny)
        #expect(report.version == 3)
        #expect(report.parts == 1)
        #expect(report.fileSize == attributes[.size] as? Int)
        #expect(report.metadata.name == "tiny")
        #expect(report.metadata.layers == 2)
        #expect(report.metadata.epsilon == 1e-5)
        #expect(report.metadata.addsBOS)
        #expect(report.metadata.tokens.count == 512)
        #expect(report.tensors.count == 21)
        #expect(report.types.map(\.type) == ["Q4_0", "Q8_0", "F32"])
        #expect(report.types.map(\.tensors) == [15, 1, 5])
        #expect(report.types.reduce(0) { $0 + $1.bytes } == report.tensors.reduce(0) { $0 + $1.bytes })
        let embedding = try #require(report.tensors.first { $0.name == "token_embd.weight" })
        #expect(embedding.dimensions == [64, 512])
        // Blocks of 32 weights in 18 bytes.
        #expect(embedding.bytes == 64 * 512 / 32 * 18)
        #expect(report.tensors.allSatisfy { $0.offset % 32 == 0 && $0.offset + $0.bytes <= report.fileSize })
    }
}
