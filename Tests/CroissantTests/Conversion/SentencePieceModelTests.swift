import Croissant
import Foundation
import GGUF
import Testing

/// A protocol buffer under construction.
private struct Message {
    var bytes: [UInt8] = []

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    mutating func add(_ field: Int, _ value: UInt64) {
        varint(UInt64(field << 3))
        varint(value)
    }

    mutating func add(_ field: Int, _ value: Float) {
        varint(UInt64(field << 3 | 5))
        bytes += CroissantTests.bytes(of: [value])
    }

    mutating func add(_ field: Int, _ content: [UInt8]) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(content.count))
        bytes += content
    }

    static func piece(_ text: String, _ score: Float, _ kind: UInt64) -> Message {
        var message = Message()
        message.add(1, Array(text.utf8))
        message.add(2, score)
        if kind != 1 { message.add(3, kind) }
        return message
    }
}

@Suite("tokenizer.model, SentencePiece's own file")
struct SentencePieceModelTests {
    /// A model of a few pieces.
    private static func model(
        type: UInt64 = 2, spacesBehind: UInt64 = 0, normalizer: String = "identity", map: [UInt8] = []
    ) -> [UInt8] {
        var model = Message()
        for (text, score, kind) in [
            ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<0x0A>", 0, 6), ("▁a", -1, 1), ("▁", -2, 1), ("a", -3, 1),
        ] as [(String, Float, UInt64)] {
            model.add(1, Message.piece(text, score, kind).bytes)
        }
        var trainer = Message()
        trainer.add(3, type)
        trainer.add(4, UInt64(8))  // vocab_size, which nothing reads
        trainer.add(24, spacesBehind)
        trainer.add(43, UInt64(bitPattern: -1))
        model.add(2, trainer.bytes)
        var rules = Message()
        rules.add(1, Array(normalizer.utf8))
        if !map.isEmpty { rules.add(2, map) }
        rules.add(4, UInt64(0))
        model.add(3, rules.bytes)
        return model.bytes
    }

    private func tokenizer(_ bytes: [UInt8], files: [String: String] = [:]) throws -> CheckpointTokenizer {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data(bytes).write(to: URL(filePath: folder.file("tokenizer.model")))
        for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: folder.file(name))) }
        return try CheckpointTokenizer(folder: folder.path, count: 9)
    }

    @Test("Pieces, scores, kinds, marks, and tokens that were added")
    func metadata() throws {
        let options =
            #"{"added_tokens_decoder": {"7": {"content": "<|im_end|>", "special": true}}, "eos_token": "<|im_end|>"}"#
        let metadata = try tokenizer(Self.model(), files: ["tokenizer_config.json": options]).metadata
        #expect(metadata["tokenizer.ggml.model"] == .string("llama"))
        #expect(
            metadata["tokenizer.ggml.tokens"]?.asArray?.asStrings
                == ["<unk>", "<s>", "</s>", "<0x0A>", "▁a", "▁", "a", "<|im_end|>", "[PAD8]"])
        #expect(try metadata.ints("tokenizer.ggml.token_type") == [2, 3, 3, 6, 1, 1, 1, 3, 5])
        #expect(try metadata.floats("tokenizer.ggml.scores") == [0, 0, 0, 0, -1, -2, -3, -1000, -1000])
        #expect(metadata["tokenizer.ggml.bos_token_id"] == .uint32(1))
        #expect(metadata["tokenizer.ggml.eos_token_id"] == .uint32(7))
        #expect(metadata["tokenizer.ggml.unknown_token_id"] == .uint32(0))
        #expect(metadata["tokenizer.ggml.padding_token_id"] == nil)
        #expect(metadata["tokenizer.ggml.add_bos_token"] == .bool(true))
        #expect(metadata["tokenizer.ggml.remove_extra_whitespaces"] == nil)
        #expect(try Tokenizer(metadata: metadata).encode("a\na") == [1, 4, 3, 6])
    }

    @Test("Models and rules that are not ours")
    func unsupported() throws {
        func problem(_ bytes: [UInt8]) -> String? {
            do {
                _ = try tokenizer(bytes)
                return nil
            } catch {
                return "\(error)".replacing(/\/[^ ,]*tokenizer\.model/, with: "t")
            }
        }
        #expect(problem(Self.model()) == nil)
        #expect(
            problem(Self.model(type: 1)) == "a SentencePiece model other than BPE is not supported: "
                + "t, trainer_spec.model_type (found another type)")
        #expect(
            problem(Self.model(spacesBehind: 1)) == "a vocabulary with spaces behind words is not supported: "
                + "t, trainer_spec.treat_whitespace_as_suffix (found true)")
        #expect(
            problem(Self.model(normalizer: "mine", map: [1])) == "replacing characters by a table is not supported: "
                + "t, normalizer_spec.name (found \"mine\")")
        #expect(
            problem([]) == "cannot read: t (expected content, found 0 bytes)")
        #expect(
            problem([0x0B]) == "not a SentencePiece model: t, byte 0 (expected a wire type of 0, 1, 2 or 5, found 3)")
        #expect(problem([0x0A, 0x7F]) == "not a SentencePiece model: t, byte 0 (expected at most 0 bytes, found 127)")
        #expect(
            try tokenizer(Self.model(normalizer: "nfkc", map: [1])).metadata["croissant.tokenizer.normalizer"]?
                .asArray?.asStrings == ["nfkc"])
    }

    @Test("A model that is cut or changed anywhere throws or loads, and never traps")
    func damaged() throws {
        let whole = Self.model()
        for length in 1..<whole.count { _ = try? tokenizer(Array(whole[..<length])) }
        for index in whole.indices {
            for byte: UInt8 in [0, 0x7F, 0x80, 0xFF] {
                var bytes = whole
                bytes[index] = byte
                _ = try? tokenizer(bytes)
            }
        }
    }
}
