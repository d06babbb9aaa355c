import Croissant
import GGUF
import Testing

/// A model file with one thing wrong, and the error that it must give.
struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout ModelFile) throws -> Void
    let expected: @Sendable (ModelError) -> Bool

    init(
        _ description: String, _ change: @escaping @Sendable (inout ModelFile) throws -> Void,
        expected: @escaping @Sendable (ModelError) -> Bool
    ) {
        testDescription = description
        self.change = change
        self.expected = expected
    }

    /// A metadata value that is named in the error, or a key that is missing.
    static func key(_ key: String, _ value: GGUFValue?, named other: String? = nil, _ description: String) -> Damage {
        Damage("\(key): \(description)") { file in
            file.metadata[key] = value
        } expected: { error in
            guard case .invalidHyperparameter(other ?? key, _, _) = error else { return false }
            return true
        }
    }

    /// A metadata value of the wrong type.
    static func type(_ key: String, _ value: GGUFValue) -> Damage {
        Damage("\(key): \(value.typeDescription)") { file in
            file.metadata[key] = value
        } expected: { error in
            guard case .file(.wrongValueType(key, _, _)) = error else { return false }
            return true
        }
    }

    static let tensors: [Damage] = [
        Damage("no embedding") { file in
            file.tensors.remove(at: try file.index(of: "token_embd.weight"))
        } expected: {
            $0 == .missingTensor(name: "token_embd.weight", expected: [])
        },
        Damage("no query projection") { file in
            file.tensors.remove(at: try file.index(of: "blk.1.attn_q.weight"))
        } expected: {
            $0 == .missingTensor(name: "blk.1.attn_q.weight", expected: [64, 64])
        },
        Damage("no final norm") { file in
            file.tensors.remove(at: try file.index(of: "output_norm.weight"))
        } expected: {
            $0 == .missingTensor(name: "output_norm.weight", expected: [64])
        },
        Damage("more blocks than tensors") { file in
            file.metadata["llama.block_count"] = .uint32(3)
        } expected: {
            $0 == .missingTensor(name: "blk.2.attn_norm.weight", expected: [64])
        },
        Damage("more tensors than blocks") { file in
            file.metadata["llama.block_count"] = .uint32(1)
        } expected: {
            $0 == .unexpectedTensor(name: "blk.1.attn_norm.weight")
        },
        Damage("a bias") { file in
            file.tensors.append(
                .init(name: "blk.0.attn_q.bias", dimensions: [2], type: .f32, bytes: bytes(of: [1, 2])))
        } expected: {
            $0 == .unexpectedTensor(name: "blk.0.attn_q.bias")
        },
        Damage("a transposed matrix") { file in
            try file.change("blk.0.ffn_up.weight") { $0.dimensions.reverse() }
        } expected: {
            $0 == .wrongShape(tensor: "blk.0.ffn_up.weight", expected: [64, 96], found: [96, 64])
        },
        Damage("a matrix with a third dimension") { file in
            try file.change("blk.0.ffn_up.weight") { $0.dimensions.append(1) }
        } expected: {
            $0 == .wrongShape(tensor: "blk.0.ffn_up.weight", expected: [64, 96], found: [64, 96, 1])
        },
        Damage("an embedding of one dimension") { file in
            try file.change("token_embd.weight") { $0.dimensions = [64 * 512] }
        } expected: {
            $0 == .wrongShape(tensor: "token_embd.weight", expected: [64, 1], found: [64 * 512])
        },
        Damage("a norm that is too long") { file in
            try file.set("output_norm.weight", to: Array(repeating: 1, count: 65), dimensions: [65])
        } expected: {
            $0 == .wrongShape(tensor: "output_norm.weight", expected: [64], found: [65])
        },
        Damage("an output matrix of another vocabulary") { file in
            try file.change("output.weight") { tensor in
                tensor.dimensions = [64, 256]
                tensor.bytes.removeLast(64 * 256 * 4)
            }
        } expected: {
            $0 == .wrongShape(tensor: "output.weight", expected: [64, 512], found: [64, 256])
        },
        Damage("integers in a matrix") { file in
            try file.change("blk.1.ffn_down.weight") { tensor in
                tensor.type = .i8
                tensor.bytes.removeLast(tensor.bytes.count * 3 / 4)
            }
        } expected: { error in
            guard case .unsupportedType("blk.1.ffn_down.weight", "I8", let expected) = error else { return false }
            return expected.contains("Q8_0")
        },
        Damage("a quantised norm") { file in
            try file.change("blk.0.attn_norm.weight") { tensor in
                tensor.type = .q8_0
                tensor.bytes = Array(repeating: 0, count: 2 * 34)
            }
        } expected: {
            $0 == .unsupportedType(tensor: "blk.0.attn_norm.weight", type: "Q8_0", expected: "F32, F16, BF16")
        },
        Damage("a norm that is no number") { file in
            var floats = [Float](repeating: 1, count: 64)
            floats[7] = .nan
            try file.set("blk.1.ffn_norm.weight", to: floats)
        } expected: { error in
            guard case .invalidWeight("blk.1.ffn_norm.weight", 7, _, _) = error else { return false }
            return true
        },
        Damage("an infinite norm") { file in
            try file.set("output_norm.weight", to: Array(repeating: -.infinity, count: 64))
        } expected: { error in
            guard case .invalidWeight("output_norm.weight", 0, _, _) = error else { return false }
            return true
        },
        Damage("a frequency divided by zero") { file in
            file.tensors.append(
                .init(
                    name: "rope_freqs.weight", dimensions: [8], type: .f32,
                    bytes: bytes(of: [1, 1, 1, 0, 1, 1, 1, 1])))
        } expected: { error in
            guard case .invalidWeight("rope_freqs.weight", 3, _, _) = error else { return false }
            return true
        },
        Damage("an architecture whose biases are not there") { file in
            file.rename(to: "qwen2")
        } expected: {
            $0 == .missingTensor(name: "blk.0.attn_q.bias", expected: [64])
        },
        Damage("a bias that is too long") { file in
            file.rename(to: "qwen2")
            for layer in 0..<2 {
                for (name, count) in [("q", 64), ("k", 32), ("v", layer == 0 ? 32 : 64)] {
                    file.tensors.append(
                        .init(
                            name: "blk.\(layer).attn_\(name).bias", dimensions: [count], type: .f32,
                            bytes: bytes(of: Array(repeating: 1, count: count))))
                }
            }
        } expected: {
            $0 == .wrongShape(tensor: "blk.1.attn_v.bias", expected: [32], found: [64])
        },
        Damage("norms of heads that are not there") { file in
            file.rename(to: "qwen3")
        } expected: {
            $0 == .missingTensor(name: "blk.0.attn_q_norm.weight", expected: [16])
        },
        Damage("a vocabulary with more tokens than embeddings") { file in
            for name in ["token_embd.weight", "output.weight"] {
                try file.change(name) { tensor in
                    tensor.dimensions = [64, 511]
                    tensor.bytes.removeLast(64 * 4)
                }
            }
        } expected: { error in
            guard case .invalidHyperparameter("tokenizer.ggml.tokens", "512 tokens", _) = error else { return false }
            return true
        },
        Damage("a tokenizer of another kind") { file in
            file.metadata["tokenizer.ggml.model"] = .string("klingon")
        } expected: { error in
            guard case .tokenizer(.unknownModel("klingon", _)) = error else { return false }
            return true
        },
    ]

    static let metadata: [Damage] = [
        Damage("an unknown architecture") { file in
            file.metadata["general.architecture"] = .string("lama")
        } expected: {
            $0 == .unsupportedArchitecture(found: "lama", known: ["llama", "qwen2", "qwen3"])
        },
        key("general.architecture", nil, "missing"),
        type("general.architecture", .uint32(1)),
        key("llama.embedding_length", nil, "missing"),
        key("llama.embedding_length", .uint32(0), "zero"),
        key("llama.embedding_length", .uint64(1 << 40), "huge"),
        key("llama.embedding_length", .int32(-64), "negative"),
        type("llama.embedding_length", .uint64(.max)),
        type("llama.embedding_length", .float32(64)),
        type("llama.embedding_length", .array(.string(["64"]))),
        key("llama.block_count", nil, "missing"),
        key("llama.block_count", .uint32(0), "zero"),
        key("llama.block_count", .uint32(.max), "huge"),
        key("llama.feed_forward_length", .int64(.min), "as negative as can be"),
        key("llama.feed_forward_length", .array(.int32([96, 64])), "different numbers"),
        key("llama.feed_forward_length", .array(.int32([])), "no numbers"),
        key("llama.context_length", nil, "missing"),
        key("llama.context_length", .uint32(0), "zero"),
        key("llama.context_length", .uint32(.max), "huge"),
        key("llama.attention.head_count", nil, "missing"),
        key("llama.attention.head_count", .uint32(0), "zero"),
        key("llama.attention.head_count", .uint32(6), "no divisor"),
        key("llama.attention.head_count", .uint32(128), named: "llama.attention.head_count", "more than elements"),
        key("llama.attention.head_count_kv", .uint32(0), "zero"),
        key("llama.attention.head_count_kv", .uint32(3), "no divisor"),
        key("llama.attention.head_count_kv", .uint32(8), "more than heads"),
        key("llama.attention.key_length", .uint32(0), "zero"),
        key("llama.attention.key_length", .uint32(1 << 20), "huge"),
        key("llama.attention.value_length", .uint32(32), "not the key length"),
        key("llama.attention.layer_norm_rms_epsilon", nil, "missing"),
        key("llama.attention.layer_norm_rms_epsilon", .float32(.nan), "no number"),
        key("llama.attention.layer_norm_rms_epsilon", .float32(.infinity), "infinite"),
        key("llama.attention.layer_norm_rms_epsilon", .float32(-1e-5), "negative"),
        key("llama.attention.layer_norm_rms_epsilon", .float64(1e300), "more than a float holds"),
        type("llama.attention.layer_norm_rms_epsilon", .string("1e-5")),
        key("llama.rope.dimension_count", .uint32(0), "zero"),
        key("llama.rope.dimension_count", .uint32(7), "odd"),
        key("llama.rope.dimension_count", .uint32(18), "more than a head has"),
        key("llama.rope.freq_base", .float32(0), "zero"),
        key("llama.rope.freq_base", .float32(.nan), "no number"),
        key("general.type", .string("adapter"), "an adapter"),
        key("llama.rope.scaling.type", .string("longrope"), "a scaling that there is not"),
        Damage("original context of 0") { file in
            file.metadata["llama.rope.scaling.type"] = .string("yarn")
            file.metadata["llama.rope.scaling.original_context_length"] = .uint32(0)
        } expected: { error in
            guard case .invalidHyperparameter("llama.rope.scaling.original_context_length", "0", _) = error
            else { return false }
            return true
        },
        key("llama.attention.sliding_window", .int32(-1), "negative"),
        key("llama.attention.sliding_window", .array(.uint32([0, 16])), "a window in one layer"),
        type("llama.attention.sliding_window", .bool(true)),
        type("llama.rope.scaling.type", .uint32(2)),
        key("llama.rope.scaling.factor", .float32(0), "zero"),
        key("llama.rope.scale_linear", .float32(-.infinity), "infinite"),
    ]
}

@Suite("A damaged model is an error that says what is wrong")
struct DamagedModelTests {
    private static let intact = Result { try ModelFile(shape: .tiny) }

    @Test("the model loads as long as nothing is wrong with it")
    func intact() throws {
        let model = try Self.intact.get().load()
        #expect(model.configuration.heads == 4 && model.configuration.keyValueHeads == 2)
        #expect(model.configuration.headSize == 16 && model.configuration.vocabularySize == 512)
        #expect(model.configuration.normEpsilon == 1e-5 && model.configuration.ropeBase == 10000)
    }

    @Test("tensors", arguments: Damage.tensors)
    func tensors(damage: Damage) throws { try check(damage) }

    @Test("metadata", arguments: Damage.metadata)
    func metadata(damage: Damage) throws { try check(damage) }

    private func check(_ damage: Damage) throws {
        var file = try Self.intact.get()
        try damage.change(&file)
        guard let error = try file.loadError() else {
            Issue.record("it was loaded")
            return
        }
        #expect(damage.expected(error), "\(error)")
        #expect(!"\(error)".contains("\n") && !"\(error)".isEmpty)
    }

    @Test("numbers may be of any integer type, and one for each layer where all are the same")
    func otherTypes() throws {
        var file = try Self.intact.get()
        file.metadata["llama.embedding_length"] = .int64(64)
        file.metadata["llama.feed_forward_length"] = .array(.uint16([96, 96]))
        file.metadata["llama.attention.head_count_kv"] = .array(.int32([2, 2]))
        file.metadata["llama.rope.freq_base"] = .float64(10000)
        file.metadata["llama.attention.key_length"] = .uint8(16)
        file.metadata["llama.rope.dimension_count"] = nil
        #expect(try file.load().configuration.feedForwardLength == 96)
    }

    @Test("a file without a tokenizer loads, takes ids, and says why it takes no text")
    func noTokenizer() throws {
        var file = try Self.intact.get()
        for key in file.metadata.keys where key.hasPrefix("tokenizer.") { file.metadata[key] = nil }
        let model = try file.load()
        #expect(model.tokenizer == nil)
        #expect(throws: ModelError.noTokenizer(path: model.file.path)) {
            _ = try Generator(try Session(model), prompt: "Bonjour")
        }
        var generation = try Generator(
            try Session(model), promptTokens: [1, 400], sampling: .greedy, limits: GenerationLimits(maximumTokens: 3))
        while let token = try generation.nextToken() { #expect(token.text.isEmpty) }
        #expect(generation.tokens.count == 3)
    }

    @Test("what is no GGUF file, or none at all, is an error of the file")
    func noFile() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        #expect(throws: ModelError.file(.fileNotFound(folder.file("x")))) {
            _ = try Model(contentsOf: folder.file("x"))
        }
        #expect(throws: ModelError.self) { _ = try Model(contentsOf: folder.path) }
    }

    @Test("metadata changed at random give an error or a model that generates", arguments: 0..<8)
    func randomMetadata(part: Int) throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 32
        shape.heads = 2
        shape.keyValueHeads = 1
        shape.layers = 1
        shape.feedForwardLength = 32
        var base = try ModelFile(shape: shape, type: .q8_0)
        base.tensors.remove(at: try base.index(of: "output.weight"))
        var generator = SeededGenerator(seed: UInt64(part))
        let keys = base.metadata.keys.filter { !$0.hasPrefix("general.") || $0 == "general.architecture" }
        let others = [
            "llama.attention.key_length", "llama.attention.value_length", "llama.rope.scaling.type",
            "llama.rope.scaling.factor", "llama.rope.scaling.original_context_length", "llama.rope.scale_linear",
            "llama.attention.sliding_window", "llama.expert_count", "tokenizer.ggml.eom_token_id",
            "tokenizer.ggml.remove_extra_whitespaces",
        ]
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var loaded = 0
        var refused = 0
        for _ in 0..<300 {
            var file = base
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let key = (keys + others).randomElement(using: &generator) ?? ""
                file.metadata[key] = Self.mutate(file.metadata[key], using: &generator)
            }
            let path = folder.file("variant.gguf")
            do {
                try file.write(to: path)
                let model = try Model(contentsOf: path, options: .small)
                var limits = GenerationLimits(maximumTokens: 1)
                limits.ignoresEndOfGeneration = true
                let session = try Session(model)
                var generation =
                    model.tokenizer == nil
                    ? try Generator(session, promptTokens: [5], limits: limits)
                    : try Generator(session, prompt: "le roi", limits: limits)
                #expect(try generation.nextToken() != nil)
                // A check reads every value: now and then is enough.
                if loaded % 10 == 0 { #expect(try ModelCheck(model.file, threads: 1).count(.error) == 0) }
                loaded += 1
            } catch let error as ModelError {
                #expect(!"\(error)".isEmpty)
                if refused % 10 == 0 {
                    let check = try ModelCheck(GGUFFile(path: path), threads: 1)
                    #expect(check.findings.contains { $0.severity == .error && $0.message == "\(error)" })
                }
                refused += 1
            }
        }
        #expect(loaded > 20 && refused > 20, "\(loaded) loaded, \(refused) refused")
    }

    /// Another value, of the same type or not.
    private static func mutate(_ value: GGUFValue?, using generator: inout SeededGenerator) -> GGUFValue? {
        let numbers = [
            0, 1, 2, 3, 7, 16, 31, 32, 33, 64, 255, 511, 512, 513, 1 << 15, 1 << 20, 1 << 31, 1 << 32, 1 << 62, .max,
            -1, .min,
        ]
        let number = numbers.randomElement(using: &generator) ?? 0
        let fractions: [Double] = [0, 1, -1, 0.5, 1e-45, 1e-300, 1e38, 1e300, .nan, .infinity, -.infinity, 10000]
        let fraction = fractions.randomElement(using: &generator) ?? 0
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: return nil
        case 1: return .uint32(UInt32(truncatingIfNeeded: number))
        case 2: return .int64(Int64(number))
        case 3: return .uint64(UInt64(bitPattern: Int64(number)))
        case 4: return .float32(Float(fraction))
        case 5: return .float64(fraction)
        case 6:
            return .string(
                ["", "none", "linear", "yarn", "llama", "\u{0}", "gpt2"].randomElement(using: &generator) ?? "")
        case 7: return .array(.int32([Int32(truncatingIfNeeded: number), Int32(truncatingIfNeeded: number)]))
        case 8: return .array(.float32([Float(fraction)]))
        case 9: return .bool(number % 2 == 0)
        case 10: return value.flatMap { shorten($0, using: &generator) } ?? .array(.string([]))
        default: return .array(.array([.bool([true])]))
        }
    }

    /// An array with one element changed, or with fewer; a number next to a number.
    private static func shorten(_ value: GGUFValue, using generator: inout SeededGenerator) -> GGUFValue? {
        switch value {
        case .uint32(let number): return .uint32(number &+ 1)
        case .array(.int32(var values)) where !values.isEmpty:
            values[Int.random(in: 0..<values.count, using: &generator)] = Int32.random(in: -1...7, using: &generator)
            return .array(.int32(values))
        case .array(.float32(var values)) where !values.isEmpty:
            values[Int.random(in: 0..<values.count, using: &generator)] = .nan
            return .array(.float32(values))
        case .array(.string(let strings)):
            return .array(.string(GGUFStrings(strings.prefix(Int.random(in: 0...strings.count, using: &generator)))))
        default: return nil
        }
    }
}
