import Croissant
import Foundation
import GGUF
import Testing

@Suite("Synthesised models")
struct ModelSynthesizerTests {
    private func write(
        _ type: GGMLType, seed: UInt64 = 0, threads: Int, to path: String
    ) throws -> Data {
        try ModelSynthesizer(shape: .tiny, type: type, seed: seed).write(to: path, threads: threads)
        return try Data(contentsOf: URL(filePath: path))
    }

    /// The types that are made. Searching the grids of the smallest ones takes seconds where C is not optimised.
    private static let types = ModelSynthesizer.types.filter { type in
        #if DEBUG
        return !["IQ1", "IQ2", "IQ3"].contains(type.name.prefix(3))
        #else
        return true
        #endif
    }

    @Test("a file has the same bytes whatever the number of threads", arguments: types)
    func sameBytes(type: GGMLType) throws {
        // A shape that blocks of 256 fit in too.
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 256
        shape.layers = 1
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let files = try [1, 2].map { threads in
            let path = folder.file("\(threads).gguf")
            try ModelSynthesizer(shape: shape, type: type, seed: 5).write(to: path, threads: threads)
            return try Data(contentsOf: URL(filePath: path))
        }
        #expect(files[0] == files[1])

        let model = try Model(contentsOf: folder.file("1.gguf"), options: .small)
        #expect(model.weightBytes == (try ModelSynthesizer(shape: shape, type: type).tensorBytes))
        #expect(model.tensors.allSatisfy { $0.type == ($0.dimensions.count == 2 ? type : .f32) })
        var generation = try Generator(
            try Session(model), prompt: "Le roi de France", sampling: SamplingParameters(temperature: 1, seed: 1),
            limits: GenerationLimits(maximumTokens: 2))
        while let token = try generation.nextToken() { #expect((0..<512).contains(token.id)) }
    }

    @Test("another seed gives other weights, not the same ones moved by a row")
    func seeds() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        #expect(
            try write(.f32, seed: 1, threads: 1, to: folder.file("a"))
                == write(.f32, seed: 1, threads: 1, to: folder.file("b")))
        #expect(
            try write(.f32, seed: 1, threads: 1, to: folder.file("a"))
                != write(.f32, seed: 2, threads: 1, to: folder.file("b")))
        func rows(_ seed: UInt64) throws -> Set<[UInt8]> {
            let file = try ModelFile(shape: .tiny, type: .f32, seed: seed)
            let bytes = file.tensors[try file.index(of: "token_embd.weight")].bytes
            return Set(stride(from: 0, to: bytes.count, by: 256).map { Array(bytes[$0..<$0 + 256]) })
        }
        let first = try rows(1)
        #expect(first.count == 512, "rows repeat")
        #expect(try first.isDisjoint(with: rows(2)))
    }

    @Test("a tensor that is made in pieces does not repeat its first one")
    func pieces() throws {
        var shape = ModelShape.tiny
        shape.layers = 1
        shape.vocabularySize = (1 << 16) + 32  // A piece has four million elements: 2^16 rows of 64.
        let file = try ModelFile(shape: shape, type: .q8_0)
        let tensor = file.tensors[try file.index(of: "token_embd.weight")]
        let rows = stride(from: 0, to: tensor.bytes.count, by: 68).map { tensor.bytes[$0..<$0 + 68] }
        #expect(rows.count == shape.vocabularySize)
        #expect(Set(rows.prefix(32)).isDisjoint(with: rows.suffix(32)))
    }

    @Test("the tensors of a published mix have its types, and the file says which it is")
    func publishedMix() throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 320
        shape.layers = 1
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let synthesizer = try ModelSynthesizer(shape: shape, mix: QuantizationMix(.q4_K_M))
        try synthesizer.write(to: folder.file("model.gguf"), threads: 1)
        let file = try GGUFFile(path: folder.file("model.gguf"))
        func type(_ name: String) -> GGMLType? { file.tensor(named: name)?.type }
        #expect(type("token_embd.weight") == .q4_K)
        #expect(type("output.weight") == .q6_K)
        #expect(type("blk.0.attn_q.weight") == .q4_K)
        #expect(type("blk.0.attn_v.weight") == .q6_K)
        #expect(type("blk.0.ffn_down.weight") == .q8_0)
        #expect(type("blk.0.ffn_norm.weight") == .f32)
        #expect(file.metadata["general.file_type"] == .uint32(15))
        #expect(file.tensors.reduce(0) { $0 + $1.byteCount } == synthesizer.tensorBytes)
        _ = try Model(contentsOf: folder.file("model.gguf"), options: .small)
    }

    @Test("a large tensor is put together from quantised pieces: all rows differ, and weights are spread as drawn ones")
    func stock() throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 256
        shape.layers = 1
        shape.vocabularySize = 5000
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = try [1, 2].map { threads in
            try ModelSynthesizer(shape: shape, type: .q8_0, seed: 3).write(to: folder.file("a.gguf"), threads: threads)
            return try Data(contentsOf: URL(filePath: folder.file("a.gguf")))
        }
        #expect(data[0] == data[1])
        let file = try ModelFile(path: folder.file("a.gguf"))
        let tensor = file.tensors[try file.index(of: "token_embd.weight")]
        let rowBytes = 8 * 34
        let rows = Set(stride(from: 0, to: tensor.bytes.count, by: rowBytes).map { tensor.bytes[$0..<$0 + rowBytes] })
        // 2048 pieces of a row each: by chance, a few thousand rows are twins.
        #expect(rows.count > 1500)
        let count = 256 * 5000
        var floats = [Float](repeating: 0, count: count)
        var span = floats.mutableSpan
        Kernels(.scalar).dequantize(tensor.bytes.rawBytes, as: .q8_0, count: count, into: &span)
        let mean = floats.reduce(0, +) / Float(count)
        let variance = floats.reduce(0) { $0 + $1 * $1 } / Float(count)
        #expect(abs(mean) < 0.001)
        #expect(abs(variance * 256 - 1) < 0.02)
    }

    @Test("weights have mean 0 and variance 1 / columns")
    func moments() throws {
        let file = try ModelFile(shape: .tiny, type: .f32)
        for name in ["token_embd.weight", "blk.1.ffn_down.weight"] {
            let tensor = file.tensors[try file.index(of: name)]
            let values = stride(from: 0, to: tensor.bytes.count, by: 4).map { start in
                Double(Float(bitPattern: tensor.bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }))
            }
            let count = Double(values.count)
            let mean = values.reduce(0, +) / count
            let variance = values.reduce(0) { $0 + $1 * $1 } / count
            let columns = Double(tensor.dimensions[0])
            #expect(abs(mean) < 5 / (columns * count).squareRoot())
            #expect(abs(variance * columns - 1) < 0.05)
        }
    }

    @Test("the vocabulary encodes any text and decodes it again", arguments: [512, 2000, 32002])
    func vocabulary(size: Int) throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 32
        shape.heads = 2
        shape.keyValueHeads = 1
        shape.feedForwardLength = 32
        shape.layers = 1
        shape.vocabularySize = size
        let model = try ModelFile(shape: shape, type: .q4_0).load()
        let tokenizer = try #require(model.tokenizer)
        #expect(tokenizer.vocabularySize == size)
        for text in ["Le roi de France", "the queen, 42!", "où ça ? à l’œuvre…", "한국 🥐\n\t<s>"] {
            let ids = tokenizer.encode(text, parseSpecial: false)
            #expect(ids.allSatisfy { (0..<Int32(size)).contains($0) })
            #expect(tokenizer.decode(ids) == text)
        }
    }

    // MARK: Errors

    @Test("shapes that make no sense are errors that name the size")
    func badShapes() throws {
        func key(_ change: (inout ModelShape) -> Void) -> String? {
            var shape = ModelShape.tiny
            change(&shape)
            do throws(ModelError) {
                _ = try ModelSynthesizer(shape: shape, type: .f32)
                return nil
            } catch {
                guard case .invalidHyperparameter(let key, _, _) = error else { return nil }
                return key
            }
        }
        for value in [0, -1, .max, .min] {
            #expect(key { $0.contextLength = value } == "context_length")
            #expect(key { $0.embeddingLength = value } == "embedding_length")
            #expect(key { $0.layers = value } == "layers")
            #expect(key { $0.feedForwardLength = value } == "feed_forward_length")
            #expect(key { $0.heads = value } == "heads")
            #expect(key { $0.keyValueHeads = value } == "key_value_heads")
            #expect(key { $0.vocabularySize = value } == "vocabulary_size")
        }
        #expect(key { $0.heads = 3 } == "heads")
        #expect(key { $0.heads = 64 } == "heads", "a head of one element has no pairs")
        #expect(key { $0.keyValueHeads = 3 } == "key_value_heads")
        #expect(key { $0.vocabularySize = 511 } == "vocabulary_size")
        #expect(key { _ in } == nil)
    }

    @Test(
        "types that cannot be made, or do not fit the rows, are errors",
        arguments: [
            GGMLType.i8, .q8_1, .q8_K, .q4_K,
        ])
    func badTypes(type: GGMLType) {
        #expect(throws: ModelError.self) { _ = try ModelSynthesizer(shape: .tiny, type: type) }
    }

    @Test("rows that are not whole blocks are an error that names the tensor")
    func partialBlocks() {
        var shape = ModelShape.tiny
        shape.feedForwardLength = 100
        let expected = ModelError.invalidOption(
            name: "type", value: "Q8_0", expected: "a type whose block divides the rows of blk.0.ffn_down.weight, 100")
        #expect(throws: expected) { _ = try ModelSynthesizer(shape: shape, type: .q8_0) }
    }

    @Test("a thread count that makes no sense is an error", arguments: [0, -1, 513, .max])
    func badThreads(threads: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        #expect(throws: ModelError.self) {
            try ModelSynthesizer(shape: .tiny, type: .f32).write(to: folder.file("x"), threads: threads)
        }
        #expect(try folder.names.isEmpty)
    }

    @Test("progress counts up to all bytes; stopping anywhere leaves no file")
    func cancelling() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let synthesizer = try ModelSynthesizer(shape: .tiny, type: .q4_0)
        var steps: [Int] = []
        #expect(
            try synthesizer.write(to: folder.file("whole"), threads: 2) { done in
                steps.append(done)
                return true
            })
        #expect(steps == steps.sorted() && steps.last == synthesizer.tensorBytes)
        for stop in [0, steps.count / 2, steps.count - 1] {
            var calls = 0
            #expect(
                try !synthesizer.write(to: folder.file("part"), threads: 2) { _ in
                    calls += 1
                    return calls <= stop
                })
            #expect(try folder.names == ["whole"])
        }
    }

    @Test("a folder that is not there is an error of the file")
    func noFolder() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        do throws(ModelError) {
            try ModelSynthesizer(shape: .tiny, type: .f32).write(to: folder.file("no/such/folder.gguf"), threads: 1)
            Issue.record("it was written")
        } catch {
            guard case .file = error else { throw error }
        }
        #expect(try folder.names.isEmpty)
    }

    @Test("a shape is read from JSON, and a named one is CroissantLLM's")
    func shapes() throws {
        let json = """
            {"name": "x", "contextLength": 128, "embeddingLength": 64, "layers": 2, "feedForwardLength": 96, "heads": 4,
             "keyValueHeads": 2, "vocabularySize": 512}
            """
        var expected = ModelShape.tiny
        expected.name = "x"
        #expect(try JSONDecoder().decode(ModelShape.self, from: Data(json.utf8)) == expected)
        let croissant = try ModelSynthesizer(shape: .croissant, type: .f16)
        // 1,345,431,552 weights, of which the norms are floats.
        #expect(croissant.tensorBytes == 2 * 1_345_431_552 + 2 * 49 * 2048)
        #expect(ModelShape.named["croissant"] == .croissant)
    }
}
