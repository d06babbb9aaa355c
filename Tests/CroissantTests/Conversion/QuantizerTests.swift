import Croissant
import Foundation
import GGUF
import Testing

@Suite("Quantising files")
struct QuantizerTests {
    /// Rows of whole blocks, except in the way back from the feed-forward network.
    private static let shape = ModelShape(
        name: "small", contextLength: 128, embeddingLength: 256, layers: 2, feedForwardLength: 352, heads: 4,
        keyValueHeads: 2, vocabularySize: 512)

    /// The names of the mixes to be made. Searching the grids of the smallest ones takes seconds where C is not optimised.
    private static let mixes = ModelSynthesizer.mixes.map(\.name).filter { name in
        #if DEBUG
        return !["IQ1", "IQ2", "IQ3"].contains(name.prefix(3))
        #else
        return true
        #endif
    }

    private func make(_ folder: TemporaryFolder, type: GGMLType = .f32) throws -> GGUFFile {
        let path = folder.file("\(type.name).gguf")
        try ModelSynthesizer(shape: Self.shape, type: type, seed: 3).write(to: path, threads: 1)
        return try GGUFFile(path: path)
    }

    /// The tensor as floats.
    private func floats(_ tensor: ModelFile.Tensor) -> [Float] {
        let count = tensor.dimensions.reduce(1, *)
        var floats = [Float](repeating: 0, count: count)
        var span = floats.mutableSpan
        Kernels(.scalar).dequantize(tensor.bytes.rawBytes, as: tensor.type, count: count, into: &span)
        return floats
    }

    @Test("every tensor gets the type of the recipe, and the blocks that its rows become", arguments: mixes)
    func blocks(name: String) throws {
        let mix = try #require(QuantizationMix(name: name))
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        let quantizer = try Quantizer(file, options: .init(mix: mix))
        for threads in [1, 3] {
            #expect(try quantizer.write(to: folder.file("\(threads)"), threads: threads))
        }
        #expect(
            try Data(contentsOf: URL(filePath: folder.file("1")))
                == Data(contentsOf: URL(filePath: folder.file("3"))))

        let before = try ModelFile(path: file.path)
        let after = try ModelFile(path: folder.file("1"))
        let types = mix.types(
            of: before.tensors.map { .init(name: $0.name, dimensions: $0.dimensions) },
            in: ModelFacts(layers: 2, queriesPerKey: 2))
        let kernels = Kernels(.scalar)
        for ((old, new), type) in zip(zip(before.tensors, after.tensors), types) {
            #expect(new.name == old.name && new.dimensions == old.dimensions)
            #expect(new.type == type ?? old.type)
            var expected = [UInt8](repeating: 0, count: new.bytes.count)
            var span = expected.mutableSpan
            kernels.quantizeRows(floats(old).span, columns: old.dimensions[0], as: new.type, into: &span)
            #expect(new.bytes == expected, "\(new.name)")
        }
        #expect(after.metadata["general.file_type"]?.asInt == mix.fileType.map { Int($0.rawValue) })
        #expect(after.metadata["general.quantization_version"] == .uint32(2))
        for (key, value) in before.metadata where !["general.file_type"].contains(key) {
            #expect(after.metadata[key] == value)
        }
        _ = try Model(contentsOf: folder.file("1"), options: .small)
    }

    @Test(
        "the types are those of llama.cpp's files, and simple ones have the same bytes",
        .enabled(if: TestData.isPresent, "needs ../shared/data"),
        arguments: ["Q4_0", "Q8_0", "Q2_K", "Q4_K_M", "Q5_K_M", "IQ4_XS"])
    func goldenFiles(name: String) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try GGUFFile(path: TestData.path("random-mha-f32.gguf"))
        let mix = try #require(QuantizationMix(name: name))
        #expect(try Quantizer(file, options: .init(mix: mix)).write(to: folder.file("ours"), threads: 2))
        let ours = try ModelFile(path: folder.file("ours"))
        let theirs = try ModelFile(path: TestData.path("random-mha-\(name).gguf"))
        #expect(ours.metadata["general.file_type"] == theirs.metadata["general.file_type"])
        #expect(ours.tensors.count == theirs.tensors.count)
        for tensor in ours.tensors {
            let other = theirs.tensors[try theirs.index(of: tensor.name)]
            #expect(tensor.type == other.type && tensor.dimensions == other.dimensions, "\(tensor.name)")
            // Those whose blocks are searched for are as good, and not the same.
            if [.f32, .q4_0, .q5_0, .q5_1, .q8_0].contains(tensor.type) {
                #expect(tensor.bytes == other.bytes, "\(tensor.name)")
            }
        }
    }

    @Test(
        "trained weights in 16, 8 and 5 bits have the bytes of published files",
        .enabled(if: TestData.isPresent, "needs ../shared/data"),
        arguments: [("F16", 37), ("Q8_0", 32), ("Q5_1", 31)])
    func stories(name: String, matrices: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try GGUFFile(path: TestData.path("stories260K.gguf"))
        let theirs = try ModelFile(path: TestData.path("stories260K-\(name).gguf"))
        let mix = try #require(QuantizationMix(name: name))
        #expect(try Quantizer(file, options: .init(mix: mix)).write(to: folder.file("ours"), threads: 2))
        let ours = try ModelFile(path: folder.file("ours")).tensors
        var compared: [GGMLType: Int] = [:]
        for tensor in ours {
            let other = theirs.tensors[try theirs.index(of: tensor.name)]
            guard tensor.type == other.type else { continue }
            #expect(tensor.bytes == other.bytes, "\(tensor.name)")
            compared[tensor.type, default: 0] += 1
        }
        #expect(compared[mix.baseType] == matrices)
        #expect(compared[.f32] == 11)
    }

    @Test("F16 and BF16 are read as well as F32, and blocks only if they may")
    func sources() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let mix = QuantizationMix(.q4_0)
        for type in [GGMLType.f16, .bf16, .f64] {
            let file = try make(folder, type: type)
            #expect(try Quantizer(file, options: .init(mix: mix)).write(to: folder.file("out"), threads: 1))
            _ = try Model(contentsOf: folder.file("out"), options: .small)
        }
        let file = try make(folder, type: .q8_0)
        #expect(throws: ModelError.requantization(tensor: "token_embd.weight", type: "Q8_0")) {
            try Quantizer(file, options: .init(mix: mix))
        }
        // What has its type already is copied.
        #expect(try Quantizer(file, options: .init(mix: .init(.q8_0))).tensors.allSatisfy(\.isCopied))
        var options = Quantizer.Options(mix: mix)
        options.allowsRequantization = true
        #expect(try Quantizer(file, options: options).write(to: folder.file("out"), threads: 1))
        _ = try Model(contentsOf: folder.file("out"), options: .small)
    }

    @Test("types by name, the last that matches; those of embedding and output over everything else")
    func overrides() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        var options = Quantizer.Options(mix: .init(.q4_0))
        options.overrides = [
            .init(pattern: "FFN_", type: .q8_0), .init(pattern: #"blk\.1\.ffn_(up|down)"#, type: .q6_K),
            .init(pattern: "norm", type: .f16), .init(pattern: "token_embd", type: .q4_1),
        ]
        options.embeddingType = .f16
        options.outputType = .q5_1
        let quantizer = try Quantizer(file, options: options)
        let types = Dictionary(uniqueKeysWithValues: quantizer.tensors.map { ($0.source.name, $0) })
        #expect(types["blk.0.ffn_up.weight"]?.type == .q8_0)
        #expect(types["blk.1.ffn_gate.weight"]?.type == .q8_0)
        #expect(types["blk.1.ffn_up.weight"]?.type == .q6_K)
        // Rows of 352 are no whole blocks of 256.
        #expect(types["blk.1.ffn_down.weight"]?.type == .q8_0)
        #expect(types["blk.1.ffn_down.weight"]?.substituted == .q6_K)
        #expect(types["blk.0.attn_q.weight"]?.type == .q4_0)
        #expect(types["token_embd.weight"]?.type == .f16)
        #expect(types["output.weight"]?.type == .q5_1)
        #expect(types["output_norm.weight"]?.type == .f32)
        #expect(quantizer.unusedOverrides == [.init(pattern: "norm", type: .f16)])
        #expect(quantizer.byteCount == quantizer.tensors.reduce(0) { $0 + $1.byteCount })
        #expect(try quantizer.write(to: folder.file("out"), threads: 2))
        #expect(try GGUFFile(path: folder.file("out")).tensors.map(\.type) == quantizer.tensors.map(\.type))

        options.overrides = [.init(pattern: "(", type: .q8_0)]
        #expect(throws: ModelError.self) { try Quantizer(file, options: options) }
        options.overrides = [.init(pattern: "ffn", type: .i32)]
        #expect(throws: ModelError.self) { try Quantizer(file, options: options) }
    }

    @Test(
        "a weight that the type cannot express is named, and nothing is left",
        arguments: [Float.nan, .infinity, -.infinity, 65536].flatMap { value in
            [GGMLType.f16, .q4_0, .q4_K, .q8_0].map { (value, $0) }
        } + [(.nan, .mxfp4), (-1e20, .mxfp4)])
    func badWeights(value: Float, type: GGMLType) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var model = try ModelFile(path: try make(folder).path)
        for (name, element) in [("blk.1.attn_k.weight", 5000), ("blk.1.ffn_up.weight", 70_000)] {
            try model.change(name) { $0.bytes.replaceSubrange(4 * element..<4 * element + 4, with: bytes(of: [value])) }
        }
        let path = folder.file("bad.gguf")
        try model.write(to: path)
        let quantizer = try Quantizer(try GGUFFile(path: path), options: .init(mix: .init(pure: type)))
        for threads in [1, 2, 5] {
            do {
                try quantizer.write(to: folder.file("out"), threads: threads)
                Issue.record("nothing was thrown")
            } catch .invalidWeight(let tensor, let index, let found, _) {
                #expect(tensor == "blk.1.attn_k.weight")
                #expect(index == 5000)
                #expect(found == (value.isNaN ? "NaN" : "\(value)"))
            }
        }
        #expect(try folder.names == ["F32.gguf", "bad.gguf"])
        // As 32-bit floats they stay what they are, if they are numbers.
        let copier = try Quantizer(try GGUFFile(path: path), options: .init(mix: .init(.f32)))
        if value.isFinite {
            #expect(try copier.write(to: folder.file("f")))
        } else {
            let found = value.isNaN ? "NaN" : "\(value)"
            #expect(
                throws: ModelError.invalidWeight(
                    tensor: "blk.1.attn_k.weight", index: 5000, value: found, expected: "a finite number")
            ) { try copier.write(to: folder.file("f")) }
        }
    }

    @Test(
        "a number that is none is named where it would only be copied: such a file would not load",
        arguments: [("blk.1.attn_norm.weight", 7), ("output_norm.weight", 255)])
    func badCopies(name: String, element: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var model = try ModelFile(path: try make(folder).path)
        try model.change(name) {
            $0.bytes.replaceSubrange(4 * element..<4 * element + 4, with: bytes(of: [Float.nan]))
        }
        try model.write(to: folder.file("bad.gguf"))
        let file = try GGUFFile(path: folder.file("bad.gguf"))
        for mix in [QuantizationMix(.q4_0), QuantizationMix(.f32)] {
            #expect(
                throws: ModelError.invalidWeight(
                    tensor: name, index: element, value: "NaN", expected: "a finite number")
            ) { try Quantizer(file, options: .init(mix: mix)).write(to: folder.file("out"), threads: 2) }
        }
        #expect(try folder.names == ["F32.gguf", "bad.gguf"])
    }

    @Test("whole numbers and blocks are copied whatever their bytes are")
    func copiesOfOtherTypes() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var model = try ModelFile(path: try make(folder).path)
        model.tensors.append(
            .init(name: "numbers", dimensions: [8], type: .i32, bytes: [UInt8](repeating: 0xFF, count: 32)))
        try model.write(to: folder.file("more.gguf"))
        let file = try GGUFFile(path: folder.file("more.gguf"))
        #expect(try Quantizer(file, options: .init(mix: .init(.q8_0))).write(to: folder.file("out"), threads: 1))
        let out = try ModelFile(path: folder.file("out"))
        #expect(out.tensors.last?.bytes == model.tensors.last?.bytes)
    }

    @Test("large tensors are the same, however they are cut into pieces")
    func pieces() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var shape = Self.shape
        shape.vocabularySize = 40_000
        shape.layers = 1
        try ModelSynthesizer(shape: shape, type: .f16).write(to: folder.file("large.gguf"), threads: 2)
        let file = try GGUFFile(path: folder.file("large.gguf"))
        var calls: [Int] = []
        let quantizer = try Quantizer(file, options: .init(mix: .init(.q8_0)))
        let isComplete = try quantizer.write(to: folder.file("out"), threads: 2) { done in
            calls.append(done)
            return true
        }
        #expect(isComplete)
        #expect(calls == calls.sorted() && calls.last == quantizer.sourceBytes && calls.count > 2)
        let before = try ModelFile(path: file.path)
        let after = try ModelFile(path: folder.file("out"))
        for (old, new) in zip(before.tensors, after.tensors) where new.type != old.type {
            var expected = [UInt8](repeating: 0, count: new.bytes.count)
            var span = expected.mutableSpan
            Kernels(Kernels.bestInstructionSet).quantizeRows(
                floats(old).span, columns: old.dimensions[0], as: new.type, into: &span)
            #expect(new.bytes == expected, "\(new.name)")
        }
        for limit in 1...3 {
            var left = limit
            let isComplete = try quantizer.write(to: folder.file("stopped"), threads: 2) { _ in
                left -= 1
                return left > 0
            }
            #expect(!isComplete)
        }
        #expect(try folder.names == ["large.gguf", "out"])
    }

    @Test("a split file becomes one, and none of its parts is replaced")
    func shards() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        let splitter = try GGUFSplitter(file, prefix: folder.file("part"), maximumTensors: 5)
        try splitter.write()
        let split = try GGUFFile(path: splitter.shards.path(at: 0))
        let options = Quantizer.Options(mix: .init(.q4_K_M))
        #expect(try Quantizer(split, options: options).write(to: folder.file("from-parts")))
        #expect(try Quantizer(file, options: options).write(to: folder.file("from-one")))
        #expect(
            try Data(contentsOf: URL(filePath: folder.file("from-parts")))
                == Data(contentsOf: URL(filePath: folder.file("from-one"))))
        for path in split.shardPaths {
            #expect(throws: ModelError.file(.outputIsInput(path))) {
                try Quantizer(split, options: options).write(to: path)
            }
        }
    }
}
