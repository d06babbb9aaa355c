import Croissant
import Foundation
import GGUF
import Testing

@Suite("Second moments and their factors")
struct FeedbackFactorTests {
    @Test("The factors of a small matrix are those found by hand")
    func knownMatrix() {
        // transpose(U) * U with U = [2 1 3; 0 1 -1; 0 0 1]; what is below the diagonal is not looked at.
        var a: [Float] = [4, 2, 6, .nan, 2, 2, .nan, .nan, 11]
        var span = a.mutableSpan
        #expect(BLAS.factor(&span, n: 3))
        #expect([0, 1, 2, 4, 5, 8].map { a[$0] } == [2, 1, 3, 1, -1, 1])
        var inverse = a.mutableSpan
        #expect(BLAS.invert(&inverse, n: 3))
        // The inverse of the whole: [4.5 2.5 -2; . 2 -1; . . 1] by U's inverse [0.5 -0.5 -2; 0 1 1; 0 0 1].
        let expected: [Float] = [4.5, -2.5, -2, 2, 1, 1]
        for (found, expected) in zip([0, 1, 2, 4, 5, 8].map({ a[$0] }), expected) {
            #expect(abs(found - expected) < 1e-5)
        }
        var indefinite: [Float] = [1, 2, 2, 1]
        var other = indefinite.mutableSpan
        #expect(!BLAS.factor(&other, n: 2))
    }

    /// Inputs (rows, columns) each of which is much like its neighbours.
    static func inputs(rows: Int, columns: Int) -> [Float] {
        var random = Xoshiro256(seed: 5)
        return (0..<rows).flatMap { _ in
            var value: Float = 0
            return (0..<columns).map { column in
                let fresh = Float(random.next() >> 40) / Float(1 << 23) - 1
                value = 0.95 * value + fresh
                return value * (column % 16 == 3 ? 6 : 1)
            }
        }
    }

    @Test("Moments do not depend on threads or on how inputs come", arguments: [300, 20])
    func moments(columns: Int) throws {
        let rows = 40
        let x = Self.inputs(rows: rows, columns: columns)
        var whole = try InputMoments(columns: columns)
        whole.add(x.span, rows: rows, on: ThreadPool(threadCount: 3))
        var parts = try InputMoments(columns: columns)
        var squares = try InputMoments(columns: columns, isDiagonal: true)
        let pool = ThreadPool(threadCount: 1)
        for part in 0..<4 {
            let some = x.span.extracting(part * 10 * columns..<(part + 1) * 10 * columns)
            parts.add(some, rows: 10, on: pool)
            squares.add(some, rows: 10, on: pool)
        }
        let importance = try whole.importance(of: "w")
        for (a, b) in zip(importance, try squares.importance(of: "w")) { #expect(abs(a - b) <= 1e-4 * b) }
        whole.close(importance, damping: 0)
        parts.close(try parts.importance(of: "w"), damping: 0)
        // In units of the mean of the diagonal.
        let unit = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(rows * columns)
        var wrong = 0
        for j in 0..<columns {
            for k in 0..<columns {
                let exact =
                    (0..<rows).reduce(0.0) {
                        $0 + Double(x[$1 * columns + j]) * Double(x[$1 * columns + k])
                    } / Double(rows) / unit
                let scale = Double(whole.hessian[j * columns + j] * whole.hessian[k * columns + k]).squareRoot()
                let (a, b) = (whole.hessian[j * columns + k], parts.hessian[j * columns + k])
                if !(abs(Double(a) - exact) <= 1e-5 * scale && abs(Double(b) - exact) <= 1e-5 * scale) { wrong += 1 }
                if whole.hessian[k * columns + j] != a { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    @Test("The factor is that of the inverse; inputs that were never seen do no harm")
    func factor() throws {
        let (rows, columns) = (100, 48)
        var x = Self.inputs(rows: rows, columns: columns)
        for row in 0..<rows { x[row * columns + 7] = 0 }
        var moments = try InputMoments(columns: columns)
        moments.add(x.span, rows: rows, on: ThreadPool(threadCount: 1))
        moments.close(try moments.importance(of: "w"), damping: 0.01)
        var factor = try FeedbackFactor(columns: 64)
        factor.factorize(moments)
        let u = factor.upper
        for j in 0..<columns {
            for k in 0..<columns {
                // Row j of transpose(U) * U, times column k of H.
                var sum = 0.0
                for m in 0..<columns {
                    let inverse = (0...min(j, m)).reduce(0.0) {
                        $0 + Double(u[$1 * columns + j]) * Double(u[$1 * columns + m])
                    }
                    sum += inverse * Double(moments.hessian[m * columns + k])
                }
                #expect(abs(sum - (j == k ? 1 : 0)) < 1e-2)
            }
            #expect(abs(factor.costs[j] * u[j * columns + j] * u[j * columns + j] - 1) < 1e-5)
        }
        // Nothing at all was seen.
        var none = try InputMoments(columns: columns)
        none.close(try none.importance(of: "w"), damping: 0.01)
        var identity = try FeedbackFactor(columns: columns)
        identity.factorize(none)
        #expect(identity.costs.allSatisfy { $0 == 1 })
        var bad = try InputMoments(columns: 16)
        bad.add([Float](repeating: .infinity, count: 16).span, rows: 1, on: ThreadPool(threadCount: 1))
        #expect(throws: ModelError.infiniteActivations(tensor: "w")) { try bad.importance(of: "w") }
    }

    @Test(
        "Inputs may be as small as they like: the costs of errors are the same, and those of what is as good as nothing are one",
        arguments: [
            (1e-6, false), (1e-14, false), (1e-16, true), (1e-19, true), (3e-20, true), (1e-21, true), (1e-25, true),
        ])
    func scale(factor: Double, isNothing: Bool) throws {
        let (rows, columns) = (100, 48)
        let x = Self.inputs(rows: rows, columns: columns)
        func costs(_ x: [Float]) throws -> [Float] {
            var moments = try InputMoments(columns: columns)
            moments.add(x.span, rows: rows, on: ThreadPool(threadCount: 1))
            moments.close(try moments.importance(of: "w"), damping: 0.01)
            var factor = try FeedbackFactor(columns: columns)
            factor.factorize(moments)
            return factor.costs
        }
        let small = try costs(x.map { Float(Double($0) * factor) })
        for (found, expected) in zip(small, isNothing ? small.map { _ in 1 } : try costs(x)) {
            #expect(abs(found - expected) <= 1e-2 * expected)
        }
    }

    @Test("A matrix that has no factor gets more on its diagonal, and at last that of the unit matrix")
    func withoutFactor() throws {
        // Two inputs that are one and the same, and no damping.
        var moments = try InputMoments(columns: 2)
        moments.add([1, 1, 2, 2, 3, 3].span, rows: 3, on: ThreadPool(threadCount: 1))
        moments.close(try moments.importance(of: "w"), damping: 0)
        var factor = try FeedbackFactor(columns: 2)
        factor.factorize(moments)
        #expect(factor.costs.allSatisfy { $0 > 0 && $0.isFinite })
    }

    @Test("A factor is asked between its steps whether to go on", arguments: 0...3)
    func stoppedFactor(steps: Int) throws {
        var moments = try InputMoments(columns: 16)
        moments.add([Float](repeating: 1, count: 16).span, rows: 1, on: ThreadPool(threadCount: 1))
        moments.close(try moments.importance(of: "w"), damping: 0.01)
        var factor = try FeedbackFactor(columns: 16)
        var left = steps
        let isComplete = factor.factorize(moments) {
            left -= 1
            return left >= 0
        }
        #expect(isComplete == (steps == 3))
    }

    @Test(
        "Products with inputs that go together are nearer with feedback than with importance, and nearer with that than without",
        arguments: [GGMLType.q4_0, .q5_1, .q8_0, .iq4_nl, .mxfp4, .q2_K, .q3_K, .q4_K, .iq4_xs])
    func synthetic(type: GGMLType) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let columns = 256
        let model = try ModelFile(
            shape: ModelShape(
                name: "small", contextLength: 128, embeddingLength: columns, layers: 1, feedForwardLength: 320,
                heads: 4, keyValueHeads: 4, vocabularySize: 512), seed: 4)
        try model.write(to: folder.file("model.gguf"))
        let file = try GGUFFile(path: folder.file("model.gguf"))
        let kernels = Kernels(Kernels.bestInstructionSet)
        let pool = ThreadPool(threadCount: 2)
        let store = try WeightStore(file: file, resident: [], kernels: kernels, pool: pool)
        let matrix = store.matrix(try #require(file.tensor(named: "blk.0.ffn_up.weight")))
        let x = Self.inputs(rows: 400, columns: columns)
        var moments = try InputMoments(columns: columns)
        moments.add(x.span, rows: 400, on: pool)
        let importance = try moments.importance(of: "w")
        moments.close(importance, damping: 0.01)
        var factor = try FeedbackFactor(columns: columns)
        factor.factorize(moments)
        let quantizer = FeedbackQuantizer(kernels: kernels, pool: pool)
        var exact = [Float](repeating: 0, count: matrix.rows * columns)
        var span = exact.mutableSpan
        kernels.dequantize(matrix, rows: 0..<matrix.rows, into: &span)
        func error(_ blocks: consuming Buffer<UInt8>?) -> Double {
            guard let blocks else { return .infinity }
            var weights = [Float](repeating: 0, count: exact.count)
            var span = weights.mutableSpan
            kernels.dequantize(blocks.bytes(of: 0..<blocks.count), as: type, count: exact.count, into: &span)
            var sum = 0.0
            for row in 0..<24 {
                let e = (0..<columns).map { exact[row * columns + $0] - weights[row * columns + $0] }
                for j in 0..<columns {
                    sum +=
                        Double(e[j])
                        * (0..<columns).reduce(0.0) {
                            $0 + Double(e[$1]) * Double(moments.hessian[j * columns + $1])
                        }
                }
            }
            return sum
        }
        let plain = error(
            try quantizer.quantize(matrix, as: type, importance: [Float](repeating: 1, count: columns)))
        let weighed = error(try quantizer.quantize(matrix, as: type, importance: importance))
        let fed = error(
            try quantizer.quantize(
                matrix, as: type,
                .init(importance: factor.costs, hessian: moments.hessian, factor: factor.upper)))
        #expect(weighed < plain * 1.01)
        #expect(fed < 0.6 * weighed, "\(fed / weighed)")
    }
}

@Suite("Calibration of a whole model")
struct CalibrationTests {
    private static let shape = ModelShape(
        name: "small", contextLength: 128, embeddingLength: 256, layers: 2, feedForwardLength: 352, heads: 4,
        keyValueHeads: 2, vocabularySize: 512)
    private static let text = (0..<400).map { "the cat \($0 * 7 % 97) sat on mat \($0)" }.joined(separator: ", ")

    private func options(
        _ mix: QuantizationMix, _ method: Quantizer.Calibration.Method = .gptq, text: String = text, chunks: Int = 4
    ) -> Quantizer.Options {
        var options = Quantizer.Options(mix: mix)
        var calibration = Quantizer.Calibration(text: text, name: "cats.txt")
        calibration.method = method
        calibration.contextLength = 64
        calibration.chunks = chunks
        options.calibration = calibration
        return options
    }

    private func make(_ folder: TemporaryFolder) throws -> GGUFFile {
        let path = folder.file("f32.gguf")
        try ModelSynthesizer(shape: Self.shape, type: .f32, seed: 3).write(to: path, threads: 1)
        return try GGUFFile(path: path)
    }

    @Test("Files have the same types and the same bytes with any number of threads", arguments: ["Q4_K_M", "Q4_0"])
    func deterministic(name: String) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        let mix = try #require(QuantizationMix(name: name))
        let plain = try Quantizer(file, options: .init(mix: mix))
        let quantizer = try Quantizer(file, options: options(mix))
        #expect(quantizer.tensors == plain.tensors)
        try plain.write(to: folder.file("plain"), threads: 1)
        for threads in [1, 3] { try quantizer.write(to: folder.file("\(threads)"), threads: threads) }
        let one = try ModelFile(path: folder.file("1"))
        let three = try ModelFile(path: folder.file("3"))
        let other = try ModelFile(path: folder.file("plain"))
        for ((a, b), (c, tensor)) in zip(zip(one.tensors, three.tensors), zip(other.tensors, quantizer.tensors)) {
            #expect(a.bytes == b.bytes, "\(a.name)")
            // Embeddings and norms are what they are without.
            let isCalibrated = quantizer.calibration?.method(for: tensor) != nil
            #expect((a.bytes == c.bytes) == !isCalibrated, "\(a.name)")
            #expect(isCalibrated == (a.name.hasPrefix("blk.") && !a.name.contains("norm") || a.name == "output.weight"))
        }
        #expect(one.metadata["quantize.imatrix.dataset"] == .string("cats.txt"))
        #expect(one.metadata["quantize.imatrix.entries_count"]?.asInt == 15)
        #expect(one.metadata["quantize.imatrix.chunks_count"]?.asInt == 4)
        #expect(one.metadata["quantize.calibration.method"] == .string("gptq"))
        _ = try Model(contentsOf: folder.file("1"), options: .small)
    }

    @Test("Types whose weights are rounded together are calibrated by importance")
    func fallback() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        let quantizer = try Quantizer(file, options: options(.init(pure: .tq2_0)))
        let methods = quantizer.tensors.map { quantizer.calibration?.method(for: $0) }
        #expect(Set(methods) == [nil, .importance, .gptq])  // Rows of 352 are Q4_0.
        #expect(try quantizer.write(to: folder.file("out"), threads: 1))
        let weighed = try Quantizer(file, options: options(.init(.q4_0), .importance))
        #expect(weighed.tensors.allSatisfy { weighed.calibration?.method(for: $0) != .gptq })
        #expect(try weighed.write(to: folder.file("out"), threads: 1))
        // Nothing has scales here.
        let floats = try Quantizer(file, options: options(.init(.f16)))
        #expect(try floats.write(to: folder.file("out"), threads: 1))
    }

    @Test("Without an output matrix, the embedding in its place is calibrated")
    func tiedEmbedding() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var model = try ModelFile(path: try make(folder).path)
        model.tensors.removeAll { $0.name == "output.weight" }
        try model.write(to: folder.file("tied.gguf"))
        let file = try GGUFFile(path: folder.file("tied.gguf"))
        let mix = QuantizationMix(.q4_K_M)
        let quantizer = try Quantizer(file, options: options(mix))
        let embedding = try #require(quantizer.tensors.first { $0.source.name == "token_embd.weight" })
        #expect(quantizer.calibration?.method(for: embedding) == .gptq)
        try quantizer.write(to: folder.file("calibrated"), threads: 2)
        try Quantizer(file, options: .init(mix: mix)).write(to: folder.file("plain"), threads: 2)
        let (one, other) = (try ModelFile(path: folder.file("calibrated")), try ModelFile(path: folder.file("plain")))
        let index = try one.index(of: "token_embd.weight")
        #expect(one.tensors[index].type == .q6_K)
        #expect(one.tensors[index].bytes != other.tensors[index].bytes)
        #expect(one.metadata["quantize.imatrix.entries_count"]?.asInt == 15)
        _ = try Model(contentsOf: folder.file("calibrated"), options: .small)
    }

    @Test("Types are the same with a text and without, so that files are as large")
    func types() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var shape = Self.shape
        shape.layers = 8
        shape.feedForwardLength = 256
        try ModelSynthesizer(shape: shape, type: .f16).write(to: folder.file("f16.gguf"), threads: 1)
        let file = try GGUFFile(path: folder.file("f16.gguf"))
        // What llama.cpp's recipes make larger or smaller where there is an importance matrix.
        for mix in [FileType.q4_0, .q5_0, .iq4_xs, .iq3_xxs] {
            let types = try [Quantizer.Options(mix: .init(mix)), options(.init(mix))].map {
                try Quantizer(file, options: $0).tensors.map(\.type)
            }
            #expect(types[0] == types[1])
        }
    }

    @Test("What a file says of its calibration goes when its weights are quantised again, and stays with them")
    func staleKeys() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        try Quantizer(file, options: options(.init(.q8_0), .importance)).write(to: folder.file("q8"), threads: 2)
        let calibrated = try GGUFFile(path: folder.file("q8"))
        func keys(_ metadata: GGUFMetadata) -> [String] { metadata.keys.filter { $0.hasPrefix("quantize.") } }
        #expect(keys(calibrated.metadata).count == 5)
        var plain = Quantizer.Options(mix: .init(.q4_0))
        plain.allowsRequantization = true
        #expect(keys(try Quantizer(calibrated, options: plain).metadata).isEmpty)
        let copied = try Quantizer(calibrated, options: .init(mix: .init(.q8_0)))
        #expect(keys(copied.metadata) == keys(calibrated.metadata))
        var again = options(.init(.q4_0))
        again.allowsRequantization = true
        again.calibration?.name = "dogs.txt"
        let metadata = try Quantizer(calibrated, options: again).metadata
        #expect(metadata["quantize.imatrix.dataset"] == .string("dogs.txt"))
        #expect(metadata["quantize.calibration.method"] == .string("gptq"))
        // A key of llama.cpp's alone.
        var foreign = try ModelFile(path: file.path)
        foreign.metadata["quantize.imatrix.file"] = .string("imatrix.dat")
        try foreign.write(to: folder.file("foreign"))
        let other = try Quantizer(try GGUFFile(path: folder.file("foreign")), options: options(.init(.q4_0)))
        #expect(other.metadata["quantize.imatrix.file"] == nil)
    }

    @Test("An input that is infinite whatever the text is named by the matrix that it meets")
    func infiniteInputs() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let original = try ModelFile(path: try make(folder).path)
        for (norm, matrix) in [("blk.0.attn_norm", "blk.0.attn_q"), ("blk.1.ffn_norm", "blk.1.ffn_gate")] {
            var model = original
            try model.change(norm + ".weight") { $0.bytes.replaceSubrange(0..<4, with: bytes(of: [Float(1e30)])) }
            try model.write(to: folder.file("large.gguf"))
            for method in Quantizer.Calibration.Method.allCases {
                let quantizer = try Quantizer(
                    try GGUFFile(path: folder.file("large.gguf")), options: options(.init(.q4_0), method))
                #expect(throws: ModelError.infiniteActivations(tensor: matrix + ".weight")) {
                    try quantizer.write(to: folder.file("out"), threads: 2)
                }
            }
        }
        let error = ModelError.infiniteActivations(tensor: "blk.0.attn_q.weight")
        #expect("\(error)".hasPrefix("bad activations: the input of blk.0.attn_q.weight (expected "))
    }

    @Test("Matrices are written as they are made: in the order of the file, whatever that is")
    func order() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        try Quantizer(file, options: options(.init(.q4_K_M))).write(to: folder.file("out"), threads: 2)
        let expected = try ModelFile(path: folder.file("out"))
        var reversed = try ModelFile(path: file.path)
        reversed.tensors.reverse()
        try reversed.write(to: folder.file("reversed.gguf"))
        let quantizer = try Quantizer(
            try GGUFFile(path: folder.file("reversed.gguf")), options: options(.init(.q4_K_M)))
        var done: [Int] = []
        #expect(
            try quantizer.write(
                to: folder.file("out"), threads: 2,
                progress: {
                    done.append($0); return true
                }))
        #expect(done == done.sorted() && done.last == quantizer.sourceBytes)
        let made = try ModelFile(path: folder.file("out"))
        #expect(made.tensors.map(\.name) == expected.tensors.map(\.name).reversed())
        for (one, other) in zip(made.tensors, expected.tensors.reversed()) {
            #expect(one.bytes == other.bytes, "\(one.name)")
        }
    }

    @Test("A long chunk goes through a block in several passes, and is stopped after each of them")
    func longChunks() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var long = options(.init(.q4_0), chunks: 1)
        long.calibration?.contextLength = 1200
        let quantizer = try Quantizer(try make(folder), options: long)
        let plan = try #require(quantizer.calibration)
        // Three passes of a chunk through each of two blocks, twice; fifteen matrices.
        #expect(plan.steps == 2 * 2 * 3 + 15 * 4)
        // Activations are those of a pass.
        let activations = try #require(try plan.memory(threads: 1).first { $0.name == "activations" })
        #expect(activations.byteCount < 1200 * 256 * 4 * 6)
        var seen: [Int] = []
        #expect(
            try quantizer.write(
                to: folder.file("1"), threads: 1,
                calibrating: {
                    seen.append($0); return true
                }))
        #expect(seen.prefix(3) == [1, 2, 3] && seen.last == plan.steps)
        #expect(try quantizer.write(to: folder.file("2"), threads: 2))
        #expect(
            try Data(contentsOf: URL(filePath: folder.file("1"))) == Data(contentsOf: URL(filePath: folder.file("2"))))
        // Between the steps of a factor and of a matrix, too.
        #expect(seen.count > plan.steps / 4 + 12)
        #expect(try !quantizer.write(to: folder.file("3"), threads: 1, calibrating: { $0 < 2 }))
    }

    @Test("What cannot be calibrated with, or by, is an error before anything is written")
    func errors() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try make(folder)
        let mix = QuantizationMix(.q4_0)
        #expect(throws: ModelError.self) { try Quantizer(file, options: options(mix, text: "")) }
        #expect(throws: ModelError.self) { try Quantizer(file, options: options(mix, text: "one two three")) }
        #expect(throws: ModelError.self) { try Quantizer(file, options: options(mix, chunks: 0)) }
        var short = options(mix)
        short.calibration?.contextLength = 2
        #expect(throws: ModelError.self) { try Quantizer(file, options: short) }
        var model = try ModelFile(path: file.path)
        for key in model.metadata.keys where key.hasPrefix("tokenizer.") { model.metadata[key] = nil }
        try model.write(to: folder.file("mute.gguf"))
        #expect(throws: ModelError.noTokenizer(path: folder.file("mute.gguf"))) {
            try Quantizer(try GGUFFile(path: folder.file("mute.gguf")), options: options(mix))
        }
        var foreign = try ModelFile(path: file.path)
        foreign.metadata["general.architecture"] = .string("mamba")
        try foreign.write(to: folder.file("foreign.gguf"))
        #expect(throws: ModelError.self) {
            try Quantizer(try GGUFFile(path: folder.file("foreign.gguf")), options: options(mix))
        }
    }

    @Test("Chunks come from all over the text, each with BOS in front")
    func chunks() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let plan = try #require(Quantizer(try make(folder), options: options(.init(.q4_0))).calibration)
        #expect(plan.chunkCount == 4 && plan.chunkLength == 64 && plan.tokenCount == 256)
        #expect(plan.availableChunks > 4)
        let memory = try plan.memory(threads: 1)
        #expect(memory.contains { $0.name == "hidden states" && $0.byteCount == 256 * 256 * 4 })
        // Those of a block, which are more than the output matrix: q and output of 256 rows, k and v of 128, gate and up
        // of 352, down of 256 rows of 352.
        let weights = 256 * (2 * 256 + 2 * 128 + 3 * 352)
        #expect(memory.contains { $0.name == "quantised weights" && $0.byteCount == weights / 32 * 18 })
        #expect(memory.contains { $0.name == "second moments" && $0.byteCount >= 4 * (3 * 256 * 256 + 2 * 352 * 352) })
    }

    @Test("It can be stopped at every step, and leaves nothing")
    func stopped() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let quantizer = try Quantizer(try make(folder), options: options(.init(.q4_0), chunks: 2))
        let steps = try #require(quantizer.calibration).steps
        var seen: [Int] = []
        #expect(
            try quantizer.write(
                to: folder.file("out"), threads: 1,
                calibrating: {
                    seen.append($0); return true
                }))
        #expect(seen == seen.sorted() && seen.last == steps)
        try FileManager.default.removeItem(atPath: folder.file("out"))
        for step in seen where step % 5 == 0 || step == steps {
            #expect(try !quantizer.write(to: folder.file("out"), threads: 1, calibrating: { $0 < step }))
            #expect(try folder.names == ["f32.gguf"])
        }
    }

    @Test("A weight that is no number is named, whoever comes first")
    func badWeight() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        _ = try make(folder)
        var model = try ModelFile(path: folder.file("f32.gguf"))
        try model.change("blk.0.ffn_up.weight") { tensor in
            tensor.bytes.replaceSubrange(4 * 777..<4 * 778, with: [0, 0, 0xc0, 0x7f])
        }
        try model.write(to: folder.file("nan.gguf"))
        let file = try GGUFFile(path: folder.file("nan.gguf"))
        for type in [FileType.q4_0, .tq2_0] {
            let quantizer = try Quantizer(file, options: options(.init(type)))
            let limit = "a magnitude up to 65504.0 for \(type.shortName)"
            for threads in [1, 2] {
                #expect(
                    throws: ModelError.invalidWeight(
                        tensor: "blk.0.ffn_up.weight", index: 777, value: "NaN", expected: limit)
                ) { try quantizer.write(to: folder.file("out"), threads: threads) }
            }
        }
        #expect(try folder.names == ["f32.gguf", "nan.gguf"])
    }

    @Test(
        "Weights as large as a type can hold are calibrated like others, though errors that are fed forward enlarge them",
        arguments: [FileType.q4_0, .q8_0, .q5_0, .iq4_nl, .q4_K_M])
    func largestWeights(type: FileType) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var model = try ModelFile(path: try make(folder).path)
        var random = Xoshiro256(seed: 70)
        let row = (0..<256).map { column -> Float in
            if column % 8 == 0 { return column % 16 == 0 ? 65_500 : -65_500 }
            return 65_500 * (Float(random.next() >> 40) / Float(1 << 23) - 1)
        }
        try model.change("blk.0.ffn_up.weight") { tensor in
            tensor.bytes.replaceSubrange(4 * 70 * 256..<4 * 71 * 256, with: bytes(of: row))
        }
        try model.write(to: folder.file("large.gguf"))
        let file = try GGUFFile(path: folder.file("large.gguf"))
        #expect(try Quantizer(file, options: options(.init(type))).write(to: folder.file("out"), threads: 2))
        let out = try ModelFile(path: folder.file("out"))
        let tensor = out.tensors[try out.index(of: "blk.0.ffn_up.weight")]
        let count = tensor.dimensions.reduce(1, *)
        var weights = [Float](repeating: 0, count: count)
        var span = weights.mutableSpan
        Kernels(.scalar).dequantize(tensor.bytes.rawBytes, as: tensor.type, count: count, into: &span)
        // Within what a block of four bits can be wrong by.
        let errors = zip(weights[70 * 256..<71 * 256], row).map { abs($0 - $1) }
        #expect(errors.allSatisfy { $0 <= 65_500 * 0.3 }, "\(errors.max() ?? .nan)")
        _ = try Model(contentsOf: folder.file("out"), options: .small)
    }
}

@Suite("Calibrated files are nearer to the original", .enabled(if: TestData.isPresent, "needs ../shared/data"))
struct CalibratedDivergenceTests {
    private static let book = {
        let folder = URL(filePath: TestData.path("")).deletingLastPathComponent()
        let bytes = (try? Data(contentsOf: folder.appending(path: "text/en_alice_carroll.utf8.txt"))) ?? Data()
        return String(decoding: bytes, as: UTF8.self)
    }()

    /// The mean divergence of a quantised file from the original, on a part of the book that it was not calibrated with.
    private func divergence(_ options: Quantizer.Options, _ folder: TemporaryFolder) throws -> Double {
        let path = folder.file("out.gguf")
        let file = try GGUFFile(path: TestData.path("stories260K.gguf"))
        try Quantizer(file, options: options).write(to: path, threads: 2)
        var runtime = RuntimeOptions().evaluating(chunksOf: 128)
        runtime.threads = 2
        runtime.activations = .f32
        runtime.prefill = .sgemm
        let logits = folder.file("logits")
        if !FileManager.default.fileExists(atPath: logits) {
            let model = try Model(file, options: runtime)
            let encoding = try TokenChunks.encoding(of: String(Self.book.suffix(20_000)), model)
            let chunks = try TokenChunks(
                encoding.ids, length: 128, beginning: TokenChunks.beginning(model), limit: 16)
            var perplexity = try Perplexity(
                model, chunks,
                savingTo: LogitsFileWriter(
                    path: logits, chunks: chunks, vocabularySize: model.configuration.vocabularySize))
            while try perplexity.next() != nil {}
        }
        var comparison = try KLDivergence(
            Model(contentsOf: path, options: runtime), base: LogitsFile(path: logits))
        while try comparison.next() != nil {}
        return comparison.statistics.divergence.mean.value
    }

    @Test("By a third with errors fed forward; less so with importance alone", arguments: ["Q4_0"])
    func stories(name: String) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var options = Quantizer.Options(mix: try #require(QuantizationMix(name: name)))
        let plain = try divergence(options, folder)
        var calibration = Quantizer.Calibration(text: String(Self.book.prefix(60_000)), name: "alice")
        calibration.contextLength = 256
        calibration.chunks = 40
        calibration.method = .importance
        options.calibration = calibration
        let weighed = try divergence(options, folder)
        options.calibration?.method = .gptq
        let fed = try divergence(options, folder)
        #expect(fed <= 0.7 * plain, "\(fed / plain)")
        #expect(fed < weighed && weighed < plain, "\(fed), \(weighed), \(plain)")
    }
}
