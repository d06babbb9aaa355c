import Croissant
import Foundation
import GGUF
import Testing

/// A file that cannot be run here, and the one line that loading it says.
private struct UnsupportedFile: Sendable, CustomTestStringConvertible {
    let line: String
    /// What is changed before the file is written.
    var change: @Sendable (inout ModelFile) throws -> Void = { _ in }
    /// What is changed in the bytes of the file.
    var patch: @Sendable (inout [UInt8]) throws -> Void = { _ in }

    var testDescription: String { line }

    /// Changes the entry of the embedding in the list of tensors: dimensions (64-bit each), then the type (32-bit).
    static func patchEmbedding(columns: UInt8, type: UInt8) -> @Sendable (inout [UInt8]) throws -> Void {
        { bytes in
            let name = Array("token_embd.weight".utf8)
            let start = try #require(bytes.indices.first { bytes[$0...].starts(with: name) }) + name.count
            #expect(Array(bytes[start..<start + 4]) == [2, 0, 0, 0])
            bytes[start + 4] = columns
            bytes[start + 20] = type
        }
    }

    static let all = [
        UnsupportedFile(
            line: "unknown architecture: general.architecture "
                + "(expected one of llama, qwen2, qwen3, found \"gemma3\")",
            change: { $0.metadata["general.architecture"] = .string("gemma3") }),
        UnsupportedFile(
            line: "mixture of experts is not supported: llama.expert_count (found 8)",
            change: { $0.metadata["llama.expert_count"] = .uint32(8) }),
        UnsupportedFile(
            line: "bad value: llama.rope.scaling.type (expected none, linear or yarn, found longrope)",
            change: { $0.metadata["llama.rope.scaling.type"] = .string("longrope") }),
        UnsupportedFile(
            line: "bad value: llama.attention.value_length (expected the key length, 16, found 32)",
            change: { $0.metadata["llama.attention.value_length"] = .uint32(32) }),
        UnsupportedFile(
            line: "unexpected tensor: blk.0.attn_output.bias (expected only tensors of the architecture)",
            change: {
                $0.tensors.append(
                    .init(
                        name: "blk.0.attn_output.bias", dimensions: [64], type: .f32,
                        bytes: bytes(of: Array(repeating: 0, count: 64))))
            }),
        UnsupportedFile(
            line: "unknown pre-tokenizer: tokenizer.ggml.pre (expected one of "
                + PreTokenizer.names.joined(separator: ", ") + ", found \"tekken\")",
            change: {
                $0.metadata["tokenizer.ggml.model"] = .string("gpt2")
                $0.metadata["tokenizer.ggml.merges"] = .array(.string([]))
                $0.metadata["tokenizer.ggml.pre"] = .string("tekken")
            }),
        UnsupportedFile(
            line: "missing pre-tokenizer: tokenizer.ggml.pre (expected one of "
                + PreTokenizer.names.joined(separator: ", ") + ", found nothing)",
            change: {
                $0.metadata["tokenizer.ggml.model"] = .string("gpt2")
                $0.metadata["tokenizer.ggml.merges"] = .array(.string([]))
                $0.metadata["tokenizer.ggml.pre"] = nil
            }),
        UnsupportedFile(
            line: "unknown tokenizer: tokenizer.ggml.model (expected one of llama, gpt2, found \"t5\")",
            change: { $0.metadata["tokenizer.ggml.model"] = .string("t5") }),
        UnsupportedFile(
            line: "unknown tensor type: tensor \"token_embd.weight\" (expected a ggml type id up to 42, found 99)",
            patch: patchEmbedding(columns: 64, type: 99)),
        UnsupportedFile(
            line: "rows that are not whole blocks: tensor \"token_embd.weight\" "
                + "(expected a multiple of 32 for Q8_0, found 48)",
            patch: patchEmbedding(columns: 48, type: 8)),
    ]
}

@Suite("A file that cannot be run says why in one line")
struct UnsupportedFileTests {
    private static let intact = Result { try ModelFile(shape: .tiny) }

    @Test("the line names the place, what was expected and what was found", arguments: UnsupportedFile.all)
    fileprivate func line(file: UnsupportedFile) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("model.gguf")
        var model = try Self.intact.get()
        try file.change(&model)
        try model.write(to: path)
        var bytes = Array(try Data(contentsOf: URL(filePath: path)))
        try file.patch(&bytes)
        try Data(bytes).write(to: URL(filePath: path))
        let error = #expect(throws: ModelError.self) { try Model(contentsOf: path, options: .small) }
        #expect(error.map { "\($0)" } == file.line)
    }
}
