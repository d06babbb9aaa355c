import Croissant
import Foundation
import GGUF
import Testing

@Suite("Editing metadata")
struct MetadataEditTests {
    private func edited(
        _ file: GGUFFile, _ values: [(key: String, value: GGUFValue)], removing keys: [String] = []
    ) throws(ModelError) -> GGUFMetadata {
        try MetadataEdit(of: file, setting: values, removing: keys).metadata
    }

    private func withFile(_ body: (GGUFFile, TemporaryFolder) throws -> Void) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try ModelSynthesizer(shape: .tiny, type: .q4_0).write(to: folder.file("model.gguf"), threads: 1)
        try body(try GGUFFile(path: folder.file("model.gguf")), folder)
    }

    @Test("keys are set in place, added at the end, and removed; tensors stay")
    func edit() throws {
        try withFile { file, folder in
            let metadata = try edited(
                file, [("general.name", .string("other")), ("a.b", .int8(-1)), ("general.alignment", .uint32(64))],
                removing: ["general.description"])
            #expect(try file.copy(to: folder.file("out.gguf"), metadata: metadata))
            let copy = try GGUFFile(path: folder.file("out.gguf"))
            #expect(
                copy.metadata.keys
                    == file.metadata.keys.filter { $0 != "general.description" } + ["a.b", "general.alignment"])
            #expect(copy.metadata["general.name"] == .string("other"))
            #expect(copy.alignment == 64)
            let (before, after) = (try ModelFile(path: file.path), try ModelFile(path: copy.path))
            for (old, new) in zip(before.tensors, after.tensors) {
                #expect(old.name == new.name && old.bytes == new.bytes && old.type == new.type)
            }
            _ = try Model(contentsOf: copy.path, options: .small)
        }
    }

    @Test("what would make a file unloadable is refused")
    func refusals() throws {
        try withFile { file, folder in
            let values: [(key: String, value: GGUFValue)] = [
                ("general.architecture", .string("nonsense")), ("llama.block_count", .uint32(3)),
                ("llama.embedding_length", .uint32(65)), ("tokenizer.ggml.model", .string("nonsense")),
                ("tokenizer.ggml.tokens", .array(.string(["a"]))), ("llama.expert_count", .uint32(8)),
            ]
            for value in values {
                #expect(throws: ModelError.self, "\(value.key)") { try edited(file, [value]) }
            }
            for key in ["llama.block_count", "general.architecture", "tokenizer.ggml.tokens"] {
                #expect(throws: ModelError.self, "\(key)") { try edited(file, [], removing: [key]) }
            }
            #expect(throws: ModelError.file(.missingKey("no.such", expected: "a key to remove"))) {
                try edited(file, [], removing: ["no.such"])
            }
            for key in ["split.count", "split.no"] {
                #expect(throws: ModelError.self) { try edited(file, [(key, .uint16(1))]) }
            }
            #expect(throws: GGUFError.invalidAlignment(found: "3")) {
                try file.copy(
                    to: folder.file("out.gguf"), metadata: try edited(file, [("general.alignment", .uint32(3))]))
            }
            let names = try folder.names
            #expect(names == ["model.gguf"])
        }
    }

    @Test("a file that does not load may be mended, and edited otherwise")
    func mending() throws {
        try withFile { file, folder in
            var metadata = file.metadata
            metadata["llama.block_count"] = .uint32(3)
            try file.copy(to: folder.file("broken.gguf"), metadata: metadata)
            let broken = try GGUFFile(path: folder.file("broken.gguf"))
            let mended = try edited(broken, [("llama.block_count", .uint32(2))])
            #expect(mended == file.metadata)
            let renamed = try edited(broken, [("general.name", .string("x"))])
            #expect(renamed.count == metadata.count)
        }
    }
}
