import Croissant
import GGUF
import Testing

@Suite("The memory of a tokenizer is known before it is made")
struct TokenizerMemoryTests {
    /// Less than the allocator rounds up for small tables: 16 bytes for each of ten.
    private static let rounding = 160

    private func expect(_ metadata: GGUFMetadata, atMost excess: Int = 0) throws {
        let planned = Tokenizer.tableBytes(for: metadata)
        let held = try Tokenizer(metadata: metadata).heldTableBytes
        #expect(held <= planned + Self.rounding)
        #expect(held >= planned - excess)
    }

    private var fixture: VocabularyFixture {
        var fixture = VocabularyFixture.pieces("a", "b", "ab", "▁", "▁a")
        fixture.addBytes()
        fixture.add("<|im_start|>", .control)
        fixture.add("<tool>", .userDefined)
        fixture.add("<tool><tool>", .userDefined)
        return fixture
    }

    @Test("tables of pieces with scores")
    func sentencePiece() throws {
        try expect(fixture.metadata)
        var large = fixture
        for number in 0..<5000 { large.add("piece\(number)", .normal, score: -Float(number)) }
        for number in 0..<700 { large.add("<special\(number)>", .userDefined) }
        try expect(large.metadata)
        #expect(Tokenizer.tableBytes(for: large.metadata) > 6000 * (8 + 4 + 1))
    }

    @Test("tables of merges")
    func byteLevel() throws {
        var metadata = fixture.metadata
        metadata["tokenizer.ggml.model"] = .string("gpt2")
        metadata["tokenizer.ggml.pre"] = .string("gpt-2")
        metadata["tokenizer.ggml.merges"] = .array(.string(["a b"]))
        try expect(metadata)
    }

    @Test("where a file does not say enough, no more than some hundred bytes are planned in vain")
    func bounds() throws {
        // An end that is called user-defined becomes a control token, and a special token without text is never found.
        var strange = fixture
        strange.add("<|im_end|>", .userDefined)
        strange.add("", .control)
        try expect(strange.metadata, atMost: 2 * 8)
        var silent = fixture.metadata
        silent["tokenizer.ggml.token_type"] = nil
        try expect(silent, atMost: 256)
        #expect(Tokenizer.tableBytes(for: [:]) == 0)
    }

    @Test("special tokens that are not UTF-8, or nothing, are planned for, and never found")
    func halfCharacters() throws {
        var texts = GGUFStrings(["<unk>", "a", "<é>", ""])
        texts.append(utf8: [0xE2])
        let metadata: GGUFMetadata = [
            "tokenizer.ggml.model": .string("llama"), "tokenizer.ggml.tokens": .array(.string(texts)),
            "tokenizer.ggml.token_type": .array(.int32([2, 1, 3, 3, 3])),
            "croissant.tokenizer.special_token_order": .string("leftmost"),
            "croissant.tokenizer.normalizer": .array(.string(["nfkc"])),
            "croissant.tokenizer.normalized_token_ids": .array(.uint32([2, 3, 4])),
        ]
        try expect(metadata, atMost: 256)
    }

    @Test("a vocabulary that is read from a file has no room to spare")
    func metadata() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try ModelFile(shape: .tiny)
        try file.write(to: folder.file("model.gguf"))
        let read = try GGUFFile(path: folder.file("model.gguf")).metadata
        #expect(read.arrayBytes == file.metadata.arrayBytes)
        #expect(read.arrayBytes > 512 * (8 + 4 + 4))
        #expect(read.heldArrayBytes >= read.arrayBytes)
        #expect(read.heldArrayBytes <= read.arrayBytes + 4 * 16)
    }
}
