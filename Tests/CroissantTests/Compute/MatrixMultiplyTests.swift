import Croissant
import Foundation
import GGUF
import Testing

@Suite("A product is the same product, whatever the layout, the method, the batch and the threads")
struct MatrixMultiplyTests {
    /// Rows that fill no whole panel, and more than one tile.
    private static let parts: [(type: GGMLType, rows: Int)] = [(.q4_0, 70), (.f16, 5), (.q8_0, 33), (.q5_1, 16)]

    /// Layers of types with blocks of 256, some of whose tiles meet activations of another form; with a part that has
    /// no such tiles, none of them do.
    private static let mixes: [[(type: GGMLType, rows: Int)]] = [
        [(.q4_K, 40), (.q6_K, 70), (.iq3_s, 16)], [(.q4_K, 40), (.q8_0, 33), (.f16, 5)], [(.q2_K, 17), (.tq2_0, 20)],
        [(.q8_0, 40), (.iq4_xs, 33)], [(.q4_0, 40), (.q5_1, 33), (.mxfp4, 17)],
    ]

    /// Batches around the widths that kernels have: vectors of 1, 2, 4 and 8, tiles of a few, up to 32; the largest meets
    /// tiles on every instruction set.
    private static let batches = [1, 2, 3, 5, 6, 8, 9, 12, 13, 31, 45, 67, 71]

    /// The largest error of any element, as a share of the length of its row times the length of its input: the rounding
    /// of floats, of 16 and of 8 bits.
    private static let tolerance: [ActivationPrecision: Double] = [.f32: 1e-6, .int16: 1e-5, .int8: 3e-3]

    @Test("rows and panels, vectors and tiles, agree with float64", arguments: InstructionSet.supported)
    func agreesWithFloat64(instructionSet: InstructionSet) throws {
        let weights = try PackedWeights(Self.parts, columns: 96, tokens: 71)
        for layout in [WeightLayout.rows, .panels] {
            for precision in ActivationPrecision.allCases where layout == .rows || precision != .f32 {
                for batch in ActivationPrecision.allCases {
                    let product = try weights.product(
                        layout, instructionSet, decode: precision, batch: batch, threads: 2)
                    for tokens in Self.batches {
                        let used = tokens <= CPUBackend.vectorProducts ? precision : batch
                        let error = try product.error(tokens: tokens)
                        #expect(
                            error <= (Self.tolerance[used] ?? 0),
                            "\(layout), \(tokens) tokens, decode \(precision), batch \(batch): \(error)")
                    }
                }
            }
        }
    }

    @Test("layers of several types with large blocks agree with float64, too", arguments: InstructionSet.supported)
    func largeBlocks(instructionSet: InstructionSet) throws {
        for parts in Self.mixes {
            let weights = try PackedWeights(parts, columns: 512, tokens: 71)
            let areQuantized = parts.allSatisfy { Panel.exists(for: $0.type) }
            let leastTiled = areQuantized ? Kernels(instructionSet).leastTiled(parts.map(\.type)) : 1
            for layout in [WeightLayout.rows, .panels] {
                for batch in ActivationPrecision.allCases {
                    let product = try weights.product(layout, instructionSet, decode: .int16, batch: batch, threads: 2)
                    for tokens in [2, 6, 9, 12, 13, 32, 48, 49, 67, 71] {  // from 10 or 40 on floats meet tiles, too
                        // Two tokens meet rows as they are.
                        let isUntiled = batch != .f32 && tokens < leastTiled && (layout == .panels || tokens > 2)
                        let used = tokens > CPUBackend.vectorProducts || isUntiled ? batch : .int16
                        let error = try product.error(tokens: tokens)
                        #expect(
                            error <= (Self.tolerance[used] ?? 0),
                            "\(parts.map(\.type)), \(layout), \(tokens) tokens, batch \(batch): \(error)")
                    }
                }
            }
        }
    }

    /// Layers whose weights are all quantised.
    private static let quantized: [[(type: GGMLType, rows: Int)]] = [
        [(.q4_0, 70), (.q5_1, 16)], [(.q8_0, 33)], [(.iq4_nl, 40), (.q8_0, 7)],
    ]

    @Test(
        "batches that are too small for tiles are rounded as batches, or better, in the memory that was planned for them",
        arguments: InstructionSet.supported)
    func untiled(instructionSet: InstructionSet) throws {
        for parts in Self.quantized {
            let weights = try PackedWeights(parts, columns: 96, tokens: 18)
            for (layout, decode) in [(WeightLayout.rows, ActivationPrecision.f32), (.panels, .int8), (.panels, .int16)]
            {
                for batchSize in [2, 4, 12, 18] {
                    let product = try weights.product(
                        layout, instructionSet, decode: decode, batch: .int8, threads: 2, batchSize: batchSize)
                    for tokens in 2...batchSize {
                        let error = try product.error(tokens: tokens)
                        #expect(
                            error <= (Self.tolerance[.int8] ?? 0),
                            "\(parts.map(\.type)), \(layout), \(tokens) of \(batchSize) tokens: \(error)")
                    }
                }
            }
        }
    }

    @Test("batches that are too small for tiles are rounded as batches, whatever decode rounds to")
    func untiledRounding() throws {
        for instructionSet in InstructionSet.supported {
            for parts in Self.quantized {
                let weights = try PackedWeights(parts, columns: 96, tokens: 18)
                func results(decode: ActivationPrecision, tokens: Int) throws -> [Float] {
                    try weights.product(.panels, instructionSet, decode: decode, batch: .int8, threads: 2)
                        .results(tokens: tokens)
                }
                let leastTiled = max(2, Kernels(instructionSet).leastTiled(parts.map(\.type)))
                for tokens in 1..<18 {
                    let same = try results(decode: .int8, tokens: tokens) == results(decode: .int16, tokens: tokens)
                    let isBatch = tokens > 1 && tokens < leastTiled || tokens > CPUBackend.vectorProducts
                    #expect(same == isBatch, "\(instructionSet), \(parts.map(\.type)), \(tokens) tokens")
                }
            }
        }
    }

    @Test("a batch of few tokens meets panels, of more tokens for types that are taken from them fast")
    func leastTiled() {
        for instructionSet in InstructionSet.supported {
            let kernels = Kernels(instructionSet)
            let isAVX2 = [.avx2, .avx512].contains(instructionSet)
            let isVNNI = instructionSet == .avx512vnni
            #expect(kernels.leastTiled([.q4_0, .q8_0]) == (isAVX2 ? 17 : isVNNI ? 65 : 1))
            #expect(kernels.leastTiled([.q4_K, .q6_K]) == (isAVX2 ? 13 : isVNNI ? 49 : 1))
            #expect(kernels.leastTiled([.q4_0, .q6_K]) == (isAVX2 ? 13 : isVNNI ? 49 : 1))
            #expect(kernels.leastTiled([]) == 1)
            #expect(kernels.vectorWidths == (isVNNI || instructionSet == .amx ? [8, 4, 2, 1] : [4, 2, 1]))
            // Where 16 bits cost a batch no more than 8, it gets them.
            #expect(kernels.favoured(.int8, of: [.q8_0]) == (isAVX2 ? .int16 : .int8))
            #expect(kernels.favoured(.int8, of: [.q8_0, .q4_0]) == .int8)
            #expect(kernels.favoured(.int16, of: [.q4_0]) == .int16)
        }
    }

    @Test("AVX2 meets 16-bit activations as planes of bytes where all weights of a layer have fewer bits")
    func splitForm() {
        for instructionSet in InstructionSet.supported {
            let kernels = Kernels(instructionSet)
            let isAVX2 = [.avx2, .avx512].contains(instructionSet)
            #expect(kernels.panelForm(of: [.q4_0, .q6_K], precision: .int16) == (isAVX2 ? .splitInt16 : .int16))
            #expect(kernels.panelForm(of: [.iq3_s, .mxfp4], precision: .int16) == (isAVX2 ? .splitInt16 : .int16))
            #expect(kernels.panelForm(of: [.q4_0, .q8_0], precision: .int16) == .int16)
            #expect(kernels.panelForm(of: [.q4_0, .iq4_xs], precision: .int16) == .int16)
            #expect(kernels.panelForm(of: [], precision: .int16) == .int16)
            #expect(kernels.panelForm(of: [.q4_0, .q6_K], precision: .int8) == .int8)
        }
    }

    @Test("tiles meet activations in a form that all types of a layer have")
    func tileForm() {
        for instructionSet in InstructionSet.supported {
            let kernels = Kernels(instructionSet)
            let isAVX2 = [.avx2, .avx512].contains(instructionSet)
            let isWide = isAVX2 || instructionSet == .avx512vnni
            func form(
                _ types: [GGMLType], columns: Int = 256, _ precision: ActivationPrecision = .int8
            ) -> ColumnForm {
                kernels.tileForm(of: types, columns: columns, precision: precision)
            }
            let isMatrices = instructionSet == .amx
            let isPaired = instructionSet == .avx512vnni
            #expect(
                form([.q4_0, .q5_1, .mxfp4], columns: 32) == (isAVX2 ? .raisedInt8 : isMatrices ? .amxBF16 : .int8))
            #expect(form([]) == .int8)
            guard !isMatrices else {
                for types: [GGMLType] in [[.q4_K, .iq3_s], [.q8_0], [.q4_0, .q6_K]] {
                    #expect(form(types) == .amxBF16)
                    #expect(form(types, columns: 96) == .amxBF16)
                    #expect(form(types, columns: 64, .int16) == .amxInt16)
                    #expect(form(types, columns: 96, .int16) == .int16)
                }
                continue
            }
            #expect(form([.q4_K, .q6_K, .iq3_s]) == (isWide ? .wideInt8 : .int8))
            #expect(form([.q8_0, .iq4_xs]) == (isAVX2 ? .int11 : .int8))
            #expect(form([.q8_0, .iq4_nl]) == (isAVX2 ? .int11 : isPaired ? .pairedInt8 : .int8))
            #expect(form([.q4_0, .q5_0]) == (isAVX2 ? .raisedInt8 : isPaired ? .pairedInt8 : .int8))
            #expect(form([.q8_0, .iq4_nl], columns: 96) == (isAVX2 ? .int16 : .int8))
            for mixed: [GGMLType] in [[.q6_K, .q8_0], [.q4_0, .q6_K], []] {
                #expect(form(mixed) == .int8)
            }
            #expect(form([.q4_0, .q8_0]) == (isPaired ? .pairedInt8 : .int8))
            #expect(form([.q6_K], .int16) == .int16)
            #expect(form([.q8_0], .int16) == .int16)
        }
    }

    @Test("long rows agree with float64, where they are multiplied part by part", arguments: InstructionSet.supported)
    func longRows(instructionSet: InstructionSet) throws {
        for parts: [(type: GGMLType, rows: Int)] in [[(.q4_0, 150)], [(.q6_K, 20), (.q8_0, 16)]] {
            let weights = try PackedWeights(parts, columns: 4352, tokens: 67)
            for layout in [WeightLayout.rows, .panels] {
                for batch in [ActivationPrecision.int8, .int16] {
                    let product = try weights.product(layout, instructionSet, decode: .int16, batch: batch, threads: 2)
                    for tokens in [9, 32, 67] {
                        let error = try product.error(tokens: tokens)
                        #expect(error <= (Self.tolerance[batch] ?? 0), "\(parts), \(layout), \(tokens), \(batch)")
                    }
                }
            }
        }
    }

    @Test("fewer threads than planned share the memory, in whole cache lines", arguments: InstructionSet.supported)
    func fewerThreads(instructionSet: InstructionSet) throws {
        for (type, columns): (GGMLType, Int) in [(.q4_K, 512), (.q4_K, 768), (.q8_0, 512), (.q4_0, 544), (.f32, 300)] {
            let weights = try PackedWeights([(type, 130)], columns: columns, tokens: 67)
            for (layout, batch) in [(WeightLayout.rows, .int8), (.panels, .int8), (.panels, ActivationPrecision.int16)]
            {
                let all = try weights.product(layout, instructionSet, decode: .int16, batch: batch, threads: 4)
                let some = try weights.product(
                    layout, instructionSet, decode: .int16, batch: batch, threads: 3, plannedThreads: 4)
                for tokens in [2, 5, 8, 13, 67] {
                    #expect(try all.results(tokens: tokens) == some.results(tokens: tokens))
                }
            }
        }
    }

    @Test(
        "memory planned for so many tokens is enough for them", arguments: InstructionSet.supported,
        [1, 2, 3, 8, 9, 48, 49, 64, 65])
    func exactMemory(instructionSet: InstructionSet, tokens: Int) throws {
        for parts in Self.mixes {
            let weights = try PackedWeights(parts, columns: 512, tokens: tokens)
            for layout in [WeightLayout.rows, .panels] {
                for decode in [ActivationPrecision.int8, .int16] {
                    let product = try weights.product(
                        layout, instructionSet, decode: decode, batch: decode, threads: 2, batchSize: tokens)
                    let error = try product.error(tokens: tokens)
                    #expect(error <= (Self.tolerance[decode] ?? 0), "\(parts), \(layout), \(decode)")
                }
            }
        }
    }

    @Test("every thread count gives the same bits", arguments: [0, 1])
    func threads(layer: Int) throws {
        let weights = try PackedWeights(
            layer == 0 ? Self.parts : Self.mixes[0], columns: layer == 0 ? 96 : 512, tokens: 71)
        for layout in [WeightLayout.rows, .panels] {
            for batch in ActivationPrecision.allCases {
                let results = try [1, 2, 3].map { threads in
                    try Self.batches.flatMap { tokens in
                        try weights.product(
                            layout, Kernels.bestInstructionSet, decode: .int16, batch: batch, threads: threads
                        ).results(tokens: tokens)
                    }
                }
                #expect(results[0] == results[1] && results[1] == results[2])
            }
        }
    }

    /// Gates and what they gate: of one type, of two, of two that do not both meet integers.
    private static let gates: [[(type: GGMLType, rows: Int)]] = [
        [(.q4_0, 150), (.q4_0, 150)], [(.q8_0, 70), (.q5_1, 70)], [(.q4_0, 70), (.f16, 70)], [(.f16, 40), (.q8_0, 40)],
        [(.f32, 7), (.bf16, 7)],
        [(.q5_1, 70), (.q8_0, 70)], [(.q4_0, 7), (.q4_0, 7)], [(.q8_0, 20), (.q8_0, 20)], [(.q4_K, 40), (.q6_K, 40)],
        [(.q6_K, 20), (.iq4_xs, 20)],
    ]

    @Test("a gate and what it gates become SiLU(gate) * up", arguments: InstructionSet.supported, gates.indices)
    func gated(instructionSet: InstructionSet, index: Int) throws {
        let parts = Self.gates[index]
        let columns = parts.contains { $0.type.blockSize == 256 } ? 512 : 96
        let weights = try PackedWeights(parts, columns: columns, tokens: 67)
        let rows = parts[0].rows
        // Beside a quantised matrix, one of floats meets a batch as it is, and alone, as asked here, through the BLAS,
        // whose sums are rounded in another order.
        let longest = try #require(weights.lengths.rows.max())
        let isMixed = Set(parts.map { Panel.exists(for: $0.type) }).count == 2
        let rounding = weights.lengths.input.map { isMixed ? 1e-6 * $0 * longest : 0 }
        for layout in [WeightLayout.rows, .panels] {
            for batch in ActivationPrecision.allCases {
                let plain = try weights.product(
                    layout, instructionSet, decode: .int16, batch: isMixed ? .f32 : batch, threads: 1)
                for tokens in [1, 3, 8, 9, 16, 45, 64, 67] {
                    let gated = try weights.product(
                        layout, instructionSet, decode: .int16, batch: batch, threads: 3, batchSize: tokens,
                        isGated: true)
                    let both = try plain.results(tokens: tokens)
                    let results = try gated.results(tokens: tokens)
                    #expect(results.count == tokens * rows)
                    for (place, result) in results.enumerated() {
                        let (token, row) = place.quotientAndRemainder(dividingBy: rows)
                        let gate = Double(both[token * 2 * rows + row])
                        let up = Double(both[token * 2 * rows + rows + row])
                        let exact = gate / (1 + exp(-gate)) * up
                        // SiLU is no steeper than 1.1.
                        let error = 1e-6 * abs(exact) + rounding[token] * (abs(gate) + 1.1 * abs(up))
                        if abs(Double(result) - exact) <= error { continue }  // which nothing is for NaN
                        Issue.record("\(layout), batch \(batch), \(tokens) tokens: \(result) for \(exact)")
                        return
                    }
                }
            }
        }
    }

    @Test(
        "groups hold every token once, in widths that kernels have, and little more",
        arguments: [[12, 4], [8, 4], [8, 4, 2, 1], [4, 2, 1], [1], [6, 2]])
    func groups(widths: [Int]) {
        for tokens in 1...60 {
            let groups = TokenGroup.split(tokens, widths: widths)
            #expect(groups.flatMap { Array($0.tokens) } == Array(0..<tokens))
            var start = 0
            for group in groups {
                #expect(widths.contains(group.width) && group.tokens.count <= group.width && group.start == start)
                start += group.width
            }
            #expect(start - tokens < widths[0])
        }
    }

    @Test(
        "runs hold every group once, as many as there is room for, or one",
        arguments: [[32, 16], [12, 4], [8, 4], [4, 2, 1]], [32, 8])
    func runs(widths: [Int], most: Int) {
        for tokens in 1...100 {
            let groups = TokenGroup.split(tokens, widths: widths)
            let runs = groups.runs(ofTokens: most)
            #expect(runs.flatMap { Array($0) } == Array(groups.indices))
            let counts = runs.map { groups[$0].reduce(0) { $0 + $1.tokens.count } }
            #expect(zip(runs, counts).allSatisfy { $1 <= most || $0.count == 1 })
            for (run, count) in zip(runs.dropFirst(), counts) {
                #expect(count + groups[run.lowerBound].tokens.count > most)
            }
        }
    }
}

/// Random matrices of several types in a file, and random vectors with their exact products.
private struct PackedWeights {
    let file: GGUFFile
    let columns: Int
    let rows: Int
    /// (tokens, columns)
    let input: [Float]
    /// The exact products of what the weights stand for with the vectors: (tokens, rows).
    let exact: [Double]
    /// The lengths of the vectors, and of the rows.
    let lengths: (input: [Double], rows: [Double])

    init(_ parts: [(type: GGMLType, rows: Int)], columns: Int, tokens: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let declarations = parts.enumerated().map { index, part in
            GGUFWriter.Declaration(name: "\(index)", dimensions: [columns, part.rows], type: part.type)
        }
        let kernels = Kernels(.scalar)
        var random = Xoshiro256(seed: 7)
        var weights: [[Double]] = []
        var writer = try GGUFWriter(path: folder.file("weights.gguf"), metadata: GGUFMetadata(), tensors: declarations)
        for (part, declaration) in zip(parts, declarations) {
            let count = part.rows * columns
            let values = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
            var blocks = [UInt8](repeating: 0, count: try #require(part.type.byteCount(elements: count)))
            var out = blocks.mutableSpan
            kernels.quantizeRows(values.span, columns: columns, as: part.type, into: &out)
            var floats = [Float](repeating: 0, count: count)
            var span = floats.mutableSpan
            kernels.dequantize(unsafe blocks.span.bytes, as: part.type, count: count, into: &span)
            weights += stride(from: 0, to: count, by: columns).map { floats[$0..<$0 + columns].map(Double.init) }
            try writer.write(blocks.span, of: declaration.name)
        }
        try writer.finish()
        file = try GGUFFile(path: folder.file("weights.gguf"))
        self.columns = columns
        rows = weights.count
        input = (0..<tokens * columns).map { _ in Float.random(in: -3...3, using: &random) }
        let vectors = stride(from: 0, to: input.count, by: columns).map { [input] start in
            input[start..<start + columns].map(Double.init)
        }
        func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        exact = vectors.flatMap { vector in weights.map { dot($0, vector) } }
        lengths = (vectors.map { dot($0, $0).squareRoot() }, weights.map { dot($0, $0).squareRoot() })
    }

    /// The matrices as one layer.
    func product(
        _ layout: WeightLayout, _ instructionSet: InstructionSet, decode: ActivationPrecision,
        batch: ActivationPrecision, threads: Int, plannedThreads: Int? = nil, batchSize: Int = 80,
        isGated: Bool = false
    ) throws -> Product {
        let backend = CPUBackend(instructionSet: instructionSet, threads: threads, activations: decode)
        let plans = file.tensors.map { tensor in
            WeightPlan(tensor: tensor, layout: Panel.exists(for: tensor.type) ? layout : .rows)
        }
        let store = try WeightStore(file: file, resident: plans, kernels: backend.kernels, pool: backend.pool)
        var scratch = ScratchShape(
            AttentionShape(heads: 1, keyValueHeads: 1, headSize: 16), batchSize: batchSize,
            threads: plannedThreads ?? threads)
        for plan in plans {
            scratch.include(plan, batchSize: batchSize, decode: decode, batch: batch, kernels: backend.kernels)
        }
        let layer = Linear(
            file.tensors.map { store.matrix($0) }, batchPrecision: batch, isGated: isGated,
            tileSize: backend.kernels.tileSize(for: batch))
        if isGated {
            scratch.include(
                gateRows: layer.outputs, columns: columns, batchSize: batchSize,
                types: file.tensors.map(\.type), batch: batch, kernels: backend.kernels)
        }
        return Product(weights: self, layer: layer, backend: backend, scratch: scratch)
    }
}

/// A layer that is ready to multiply.
private struct Product {
    let weights: PackedWeights
    let layer: Linear
    let backend: CPUBackend
    let scratch: ScratchShape

    /// The layer applied to the first vectors: (tokens, rows).
    func results(tokens: Int) throws -> [Float] {
        var x = try FloatBuffer.allocate(tokens * weights.columns, purpose: "a test")
        var elements = x.mutableSpan
        for i in elements.indices { elements[i] = weights.input[i] }
        var y = try FloatBuffer.allocate(tokens * layer.outputs, purpose: "a test")
        var scratch = try Scratch(scratch)
        backend.multiply(layer, x, tokens: tokens, into: &y, scratch: &scratch)
        return array(y.span)
    }

    /// The largest error of any element, as a share of the length of its row times that of its vector.
    func error(tokens: Int) throws -> Double {
        let results = try results(tokens: tokens)
        return results.indices.reduce(0) { largest, index in
            let (token, row) = index.quotientAndRemainder(dividingBy: weights.rows)
            let scale = weights.lengths.input[token] * weights.lengths.rows[row]
            let error = abs(Double(results[index]) - weights.exact[index]) / scale
            return error.isNaN ? .infinity : max(largest, error)
        }
    }
}
