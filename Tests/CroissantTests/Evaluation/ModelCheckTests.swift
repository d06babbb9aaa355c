import Croissant
import GGUF
import Testing

extension ModelFile {
    /// Writes the file, checks it, and removes it.
    func check(threads: Int = 2) throws -> ModelCheck {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try write(to: folder.file("model.gguf"))
        return try ModelCheck(GGUFFile(path: folder.file("model.gguf")), threads: threads)
    }
}

extension ModelCheck {
    /// The findings of one kind.
    fileprivate func of(_ kind: Kind) -> [Finding] { findings.filter { $0.kind == kind } }
}

@Suite("A check finds what loading refuses")
struct CheckedDamageTests {
    @Test("every damaged model has an error, and what loading says is among them", arguments: Damage.tensors)
    func tensors(damage: Damage) throws { try check(damage) }

    @Test("damaged metadata too", arguments: Damage.metadata)
    func metadata(damage: Damage) throws { try check(damage) }

    private func check(_ damage: Damage) throws {
        var file = try ModelFile(shape: .tiny)
        try damage.change(&file)
        let error = try #require(try file.loadError())
        let check = try file.check()
        #expect(check.isComplete)
        let errors = check.findings.filter { $0.severity == .error }
        #expect(check.findings.prefix(errors.count).elementsEqual(errors), "errors come first")
        if case .invalidWeight(let tensor, _, let value, _) = error, Float(value)?.isFinite != true {
            // What is not finite is counted, not only named.
            #expect(errors.contains { $0.kind == .notFinite && $0.subject == tensor })
        } else {
            #expect(errors.contains { $0.message == "\(error)" }, "\(error)")
        }
        for finding in check.findings {
            #expect(!finding.message.contains("\n") && finding.remedy?.contains("\n") != true)
        }
    }

    @Test("keys of the architecture that nothing is known of are warnings")
    func unknownKeys() throws {
        var file = try ModelFile(shape: .tiny)
        file.metadata["llama.mystery"] = .uint32(1)
        let check = try file.check()
        #expect(check.findings.map(\.subject) == ["llama.mystery"] && check.count(.warning) == 1)
    }

    @Test("all that is wrong is found, not only the first thing")
    func everything() throws {
        var file = try ModelFile(shape: .tiny)
        file.metadata["llama.block_count"] = .uint32(3)
        try file.change("blk.0.ffn_up.weight") { $0.dimensions.reverse() }
        try file.change("blk.1.attn_k.weight") { $0.dimensions.reverse() }
        file.tensors.append(.init(name: "mystery", dimensions: [1], type: .f32, bytes: bytes(of: [.nan])))
        file.metadata["tokenizer.ggml.bos_token_id"] = .uint32(9999)
        let check = try file.check()
        #expect(check.of(.missingTensor).count == 9)
        #expect(check.of(.wrongShape).compactMap(\.subject) == ["blk.0.ffn_up.weight", "blk.1.attn_k.weight"])
        #expect(check.of(.unexpectedTensor).map(\.subject) == ["mystery"])
        #expect(check.of(.notFinite).map(\.subject) == ["mystery"])
        #expect(check.of(.tokenizer).count == 1)
        #expect(check.count(.error) == 9 + 2 + 1 + 1 + 1)
        #expect(check.findings.allSatisfy { $0.severity != .error || $0.remedy != nil })
    }

    @Test("a tokenizer that does not say how it cuts texts is found with what mends it")
    func missingPreTokenizer() throws {
        var file = try ModelFile(shape: .tiny)
        file.metadata["tokenizer.ggml.model"] = .string("gpt2")
        file.metadata["tokenizer.ggml.merges"] = .array(.string([]))
        file.metadata["tokenizer.ggml.pre"] = nil
        let finding = try #require(try file.check().of(.tokenizer).first)
        #expect(finding.severity == .error && finding.message.hasPrefix("missing pre-tokenizer: tokenizer.ggml.pre "))
        #expect(finding.remedy == TokenizerError.missingPreTokenizer(known: []).hint)
    }
}

@Suite("A check reads every value")
struct TensorScanTests {
    @Test("a file without faults has no findings, in every type", arguments: ModelSynthesizer.types)
    func intact(type: GGMLType) throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 512
        let check = try ModelFile(shape: shape, type: type).check()
        #expect(check.findings.isEmpty)
        #expect(check.isComplete && check.scannedTensors == 21)
    }

    @Test("no number and infinity are found wherever they are, and counted", arguments: [1, 2, 3])
    func places(threads: Int) throws {
        // A matrix of two tiles and a quarter.
        var shape = ModelShape.tiny
        shape.vocabularySize = 9216
        let rows = 9216
        let intact = try ModelFile(shape: shape)
        for places in [
            [(0, 0)], [(rows - 1, 63)], [(4095, 63)], [(4096, 0)], [(5, 7), (5, 8), (8191, 0), (9000, 63)],
        ] {
            var file = intact
            try file.change("output.weight") { tensor in
                for (index, (row, column)) in places.enumerated() {
                    let value: Float = index % 2 == 0 ? .nan : -.infinity
                    tensor.bytes.replaceSubrange(
                        4 * (row * 64 + column)..<4 * (row * 64 + column) + 4, with: bytes(of: [value]))
                }
            }
            let check = try file.check(threads: threads)
            let finding = try #require(check.findings.first)
            #expect(check.findings.count == 1 && finding.kind == .notFinite && finding.subject == "output.weight")
            let infinite = places.count > 1 ? " and \(places.count / 2) infinite" : ""
            #expect(
                finding.message
                    == "not finite: output.weight (\((places.count + 1) / 2) NaN\(infinite) of \(rows * 64) "
                    + "values, the first at row \(places[0].0), column \(places[0].1))")
        }
    }

    @Test(
        "scales that are no number or infinite spoil their block, in every type whose scales can be",
        // Those of 8 bits, which are powers of two or small numbers, cannot.
        arguments: ModelSynthesizer.types.filter { $0.blockSize > 1 && $0 != .mxfp4 && $0 != .nvfp4 },
        [UInt16(0x7E00), 0x7C00, 0xFC00])
    func scales(type: GGMLType, half: UInt16) throws {
        // Where a block has its 16-bit scale: at the start in most types, at the end in some. IQ1_M keeps its four bits
        // at a time, at the top of four numbers.
        let offsets: [GGMLType: Int] = [
            .q2_K: 80, .q3_K: 108, .q6_K: 208, .tq1_0: 52, .tq2_0: 64,
        ]
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 512
        var file = try ModelFile(shape: shape, type: type)
        let offset = offsets[type] ?? 0
        let block = 3
        try file.change("blk.1.attn_v.weight") { tensor in
            let start = block * type.blockBytes + offset
            guard type != .iq1_m else {
                for index in 0..<4 {
                    let top = start + 48 + 2 * index + 1
                    tensor.bytes[top] = tensor.bytes[top] & 0x0F | UInt8(half >> (4 * index) & 0xF) << 4
                }
                return
            }
            tensor.bytes[start] = UInt8(truncatingIfNeeded: half)
            tensor.bytes[start + 1] = UInt8(truncatingIfNeeded: half >> 8)
        }
        let check = try file.check()
        #expect(check.findings.count == 1)
        let finding = try #require(check.findings.first)
        #expect(finding.kind == .notFinite && finding.subject == "blk.1.attn_v.weight")
        let element = block * type.blockSize
        #expect(finding.message.contains("the first at row \(element / 256), column "))
    }

    @Test("a tensor of zeros is a warning, one with a single other value is none")
    func zeros() throws {
        var file = try ModelFile(shape: .tiny)
        try file.change("blk.0.ffn_gate.weight") { tensor in
            tensor.bytes = Array(repeating: 0, count: tensor.bytes.count)
            // Zero has a sign too.
            tensor.bytes[7] = 0x80
        }
        let check = try file.check()
        #expect(check.of(.allZero).map(\.subject) == ["blk.0.ffn_gate.weight"])
        #expect(check.findings.count == 1 && check.count(.warning) == 1)
        try file.change("blk.0.ffn_gate.weight") { $0.bytes[$0.bytes.count - 4] = 1 }
        #expect(try file.check().findings.isEmpty)
    }

    @Test("stopping leaves what was found so far, and says so")
    func stopping() throws {
        var shape = ModelShape.tiny
        shape.vocabularySize = 1 << 14
        let file = try ModelFile(shape: shape)
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try file.write(to: folder.file("model.gguf"))
        let gguf = try GGUFFile(path: folder.file("model.gguf"))
        var calls: [Int] = []
        let stopped = try ModelCheck(gguf, threads: 1) { done in
            calls.append(done)
            return false
        }
        #expect(calls.count == 1 && !stopped.isComplete && stopped.scannedTensors < 21)
        calls = []
        let whole = try ModelCheck(gguf, threads: 1) { done in
            calls.append(done)
            return done < gguf.tensors.reduce(0) { $0 + $1.byteCount }
        }
        #expect(whole.isComplete && whole.scannedTensors == 21)
        #expect(calls.last == gguf.tensors.reduce(0) { $0 + $1.byteCount })
        #expect(calls == calls.sorted() && calls.count > 1)
    }

    @Test("threads that no pool has are refused")
    func threads() throws {
        let file = try ModelFile(shape: .tiny)
        for threads in [0, -1, 513] {
            #expect(throws: ModelError.self) { _ = try file.check(threads: threads) }
        }
    }
}

@Suite("A check knows the traps of community files")
struct CommunityFileTests {
    /// A model with CroissantLLM's vocabulary as converters write it: its special tokens, no byte tokens, every score
    /// the same.
    private static func croissant(chat: Bool = true) throws -> ModelFile {
        var file = try ModelFile(shape: .tiny)
        var tokens = ["<unk>", "<s>", "</s>", "<pad>"] + (0..<100).map { "<extra_id_\($0)>" }
        var kinds: [Int32] = [2, 3, 3, 3] + Array(repeating: 3, count: 100)
        if chat {
            tokens += ["<|im_start|>", "<|im_end|>"]
            kinds += [3, 3]
        }
        tokens += ["▁", "f", "i", "fi", "1", "2", "\u{FB01}"]
        while tokens.count < 512 { tokens.append("x\(tokens.count)") }
        kinds += Array(repeating: 1, count: 512 - kinds.count)
        file.metadata["tokenizer.ggml.tokens"] = .array(.string(GGUFStrings(tokens)))
        file.metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
        file.metadata["tokenizer.ggml.scores"] = .array(.float32(Array(repeating: -1000, count: 512)))
        file.metadata["tokenizer.ggml.eot_token_id"] = nil
        file.metadata["llama.context_length"] = .uint32(2048)
        return file
    }

    /// The kinds of all findings, errors apart.
    private func kinds(_ file: ModelFile) throws -> Set<ModelCheck.Kind> {
        let check = try file.check()
        #expect(check.count(.error) == 0)
        #expect(check.findings.allSatisfy { $0.remedy != nil })
        return Set(check.findings.map(\.kind))
    }

    @Test("a file of the usual conversion has all of them that a vocabulary can have")
    func all() throws {
        let found = try kinds(Self.croissant())
        #expect(found == [.byteTokens, .mergeOrder, .normalization, .endOfGeneration, .contextLength])
    }

    @Test("a synthetic file has none")
    func none() throws {
        #expect(try kinds(ModelFile(shape: .tiny)).isEmpty)
    }

    @Test("2: characters without byte tokens are left out as CroissantLLM's, elsewhere become the unknown token")
    func byteTokens() throws {
        var file = try Self.croissant()
        file.metadata["croissant.tokenizer.split_digits"] = .bool(false)
        let finding = try #require(try file.check().of(.byteTokens).first)
        #expect(finding.severity == .warning)
        #expect(finding.message.contains("become the unknown token"))
        #expect(try #require(try file.load().tokenizer).encode("愛").contains(0))

        file.metadata["croissant.tokenizer.split_digits"] = nil
        #expect(try #require(try file.check().of(.byteTokens).first).message.contains("are left out"))
        #expect(try #require(try file.load().tokenizer).encoding(of: "愛").dropped == ["愛"])
    }

    @Test("3: scores that are all the same, or not there")
    func mergeOrder() throws {
        var file = try Self.croissant()
        #expect(try #require(try file.check().of(.mergeOrder).first).message.contains("the score -1000.0"))
        file.metadata["tokenizer.ggml.scores"] = nil
        #expect(try #require(try file.check().of(.mergeOrder).first).message.contains("there are no scores"))
        // Special tokens have other scores in many files.
        var scores = [Float](repeating: -1000, count: 512)
        scores[1] = 0
        file.metadata["tokenizer.ggml.scores"] = .array(.float32(scores))
        #expect(try file.check().of(.mergeOrder).count == 1)
        scores[300] = -999
        file.metadata["tokenizer.ggml.scores"] = .array(.float32(scores))
        #expect(try file.check().of(.mergeOrder).isEmpty)
    }

    @Test("4: text that is prepared as CroissantLLM's, as the file does not say")
    func normalization() throws {
        var file = try Self.croissant()
        #expect(try #require(try file.check().of(.normalization).first).severity == .note)
        let tokenizer = try #require(try file.load().tokenizer)
        #expect(tokenizer.encode("\u{FB01}²") == tokenizer.encode("fi2"))
        file.metadata["croissant.tokenizer.normalizer"] = .array(.string(["nfc"]))
        #expect(try file.check().of(.normalization).isEmpty)
    }

    @Test("5: an end of turn that ends nothing is a warning, one that does a note")
    func endOfGeneration() throws {
        var file = try Self.croissant()
        let note = try #require(try file.check().of(.endOfGeneration).first)
        #expect(note.severity == .note && note.message.contains("EOS is 2, and <|im_end|> is token 105"))
        guard case .array(.int32(var kinds)) = file.metadata["tokenizer.ggml.token_type"] else { return }
        kinds[105] = 1
        var normal = file
        normal.metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
        let warning = try #require(try normal.check().of(.endOfGeneration).first)
        #expect(warning.severity == .warning && warning.remedy?.contains("--stop '<|im_end|>'") == true)
        #expect(try #require(try normal.load().tokenizer).endOfGeneration == [2])
        // What the remedies say helps.
        for key in ["eot_token_id", "eos_token_id"] {
            var cured = file
            cured.metadata["tokenizer.ggml." + key] = .uint32(105)
            #expect(try cured.check().of(.endOfGeneration).isEmpty)
            normal.metadata["tokenizer.ggml." + key] = .uint32(105)
        }
        #expect(try normal.check().of(.endOfGeneration).isEmpty)
        file = try Self.croissant(chat: false)
        #expect(try file.check().of(.endOfGeneration).isEmpty)
    }

    @Test("6: the context that the model was trained with is a note, another a warning")
    func contextLength() throws {
        var file = try Self.croissant()
        #expect(try #require(try file.check().of(.contextLength).first).severity == .note)
        file.metadata["llama.context_length"] = .uint32(4096)
        let warning = try #require(try file.check().of(.contextLength).first)
        #expect(warning.severity == .warning && warning.remedy == "run it with -c 2048")
        // A small model with its tokenizer, such as the one that is built in.
        file.metadata["llama.context_length"] = .uint32(512)
        #expect(try file.check().of(.contextLength).isEmpty)
    }

    @Test(
        "1: rows that hold no blocks of 256, in the files where it matters",
        .enabled(if: TestData.isPresent, "needs ../shared/data"),
        arguments: [
            ("Q4_K_M", "in place of Q4_K there are 1 Q5_0, 1 Q8_0"),
            ("Q5_K_M", "in place of Q5_K there are 1 Q5_1, 1 Q8_0"),
            ("Q2_K", "in place of Q2_K there are 2 Q4_0"),
            ("IQ4_XS", "in place of IQ4_XS there are 2 IQ4_NL"), ("Q4_0", nil), ("Q8_0", nil), ("f32", nil),
        ] as [(String, String?)])
    func mixedTypes(name: String, expected: String?) throws {
        let check = try ModelCheck(GGUFFile(path: TestData.path("random-mha-\(name).gguf")))
        #expect(check.findings.count == (expected == nil ? 0 : 1))
        if let expected {
            #expect(check.of(.mixedTypes).first?.message.hasSuffix(expected) == true)
            #expect(check.of(.mixedTypes).first?.severity == .note)
        }
    }
}
