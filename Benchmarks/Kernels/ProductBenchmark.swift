import Croissant
import Foundation
import GGUF
import TextTable

/// Matrices of one type in a file, as many as make up a working set.
struct WeightFile {
    let file: GGUFFile
    let type: GGMLType
    let shape: MatrixShape
    private let path: String

    /// Rows of a matrix before they repeat.
    private static let differentRows = 64

    /// Writes matrices of random weights, at least `bytes` in all.
    init(type: GGMLType, shape: MatrixShape, bytes: Int) throws {
        guard let size = type.byteCount(elements: shape.rows * shape.columns) else {
            preconditionFailure("the command line has checked that rows are whole blocks")
        }
        let declarations = (0..<(bytes + size - 1) / size).map {
            GGUFWriter.Declaration(name: "\($0)", dimensions: [shape.columns, shape.rows], type: type)
        }
        var random = Xoshiro256(seed: 1)
        // Quantising takes its time: a few rows are repeated. They differ, as identical ones would let every lookup in a
        // grid find the entry that the row before has brought into the cache.
        let rows = min(shape.rows, Self.differentRows)
        let values = (0..<rows * shape.columns).map { _ in Float.random(in: -1...1, using: &random) }
        var some = [UInt8](repeating: 0, count: size / shape.rows * rows)
        var blocks = some.mutableSpan
        Kernels(Kernels.bestInstructionSet).quantizeRows(values.span, columns: shape.columns, as: type, into: &blocks)
        let matrix = Array(repeatElement(some, count: (shape.rows + rows - 1) / rows).joined().prefix(size))
        path = FileManager.default.temporaryDirectory.appending(path: "kernels-\(UUID().uuidString).gguf").path()
        var writer = try GGUFWriter(path: path, metadata: GGUFMetadata(), tensors: declarations)
        for declaration in declarations { try writer.write(matrix.span, of: declaration.name) }
        try writer.finish()
        file = try GGUFFile(path: path)
        self.type = type
        self.shape = shape
    }

    /// Removes the file.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// Products with the matrices of a file in one layout and precision.
struct ProductBenchmark {
    private let weights: WeightFile
    private let backend: CPUBackend
    private let store: WeightStore
    private let layers: [Linear]
    private let layout: WeightLayout
    private let batchPrecision: ActivationPrecision
    private let bytes: Int
    private let scratch: ScratchShape

    /// How often a product's speed is compared with the roofs around it.
    private static let comparisons = 10
    /// Seconds for each figure of a roofline: a few passes through the weights.
    private static let rooflineSeconds = 0.02

    init(
        _ weights: WeightFile, layout: WeightLayout, precision: ActivationPrecision, instructionSet: InstructionSet,
        threads: Int, tokens: Int
    ) throws {
        self.weights = weights
        self.layout = layout
        batchPrecision = precision
        backend = CPUBackend(
            instructionSet: instructionSet, threads: threads,
            activations: Kernels(instructionSet).precision(for: weights.type, wanted: precision))
        let plans = weights.file.tensors.map { WeightPlan(tensor: $0, layout: layout) }
        let store = try WeightStore(file: weights.file, resident: plans, kernels: backend.kernels, pool: backend.pool)
        self.store = store
        let tileSize = backend.kernels.tileSize(for: precision)
        layers = weights.file.tensors.map {
            Linear([store.matrix($0)], batchPrecision: precision, tileSize: tileSize)
        }
        bytes = plans.reduce(0) { $0 + $1.byteCount }
        var scratch = ScratchShape(
            AttentionShape(heads: 1, keyValueHeads: 1, headSize: 1), batchSize: tokens, threads: threads)
        // Panels meet floats in a batch only, as sgemm's right-hand side.
        let decode = precision == .f32 && layout == .panels ? .int16 : precision
        for plan in plans {
            scratch.include(plan, batchSize: tokens, decode: decode, batch: precision, kernels: backend.kernels)
        }
        self.scratch = scratch
    }

    private func roofline() -> Roofline {
        Roofline.measure(
            reading: layers.flatMap(\.parts), kernels: backend.kernels, pool: backend.pool,
            seconds: Self.rooflineSeconds)
    }

    /// The median speed of products with `tokens` vectors over about `seconds`, in parts with the roofs measured between
    /// them: a machine that is shared, or that grows hot, is faster in one second than in the next.
    func measure(tokens: Int, seconds: Double) throws -> BenchmarkRow {
        let shape = weights.shape
        var random = Xoshiro256(seed: 2)
        var x = try FloatBuffer.allocate(tokens * shape.columns, purpose: "activations")
        var elements = x.mutableSpan
        for index in elements.indices { elements[index] = Float.random(in: -1...1, using: &random) }
        var y = try FloatBuffer.allocate(tokens * shape.rows, purpose: "products")
        var scratch = try Scratch(scratch)
        var all: [Double] = []
        var parts: [Double] = []
        // The first product touches memory and wakes threads: it is not counted.
        backend.multiply(layers[0], x, tokens: tokens, into: &y, scratch: &scratch)
        var roofs = [roofline()]
        for _ in 0..<Self.comparisons {
            var times: [Double] = []
            let begin = ContinuousClock.now
            repeat {
                let layer = layers[(1 + all.count + times.count) % layers.count]
                let start = ContinuousClock.now
                backend.multiply(layer, x, tokens: tokens, into: &y, scratch: &scratch)
                times.append((ContinuousClock.now - start).seconds)
            } while (ContinuousClock.now - begin).seconds < seconds / Double(Self.comparisons)
            all += times
            parts.append(median(times))
            roofs.append(roofline())
        }
        let weightBytes = bytes / layers.count
        let operations = 2 * Double(shape.rows * shape.columns * tokens)
        let isBLAS = batchPrecision == .f32 && tokens > CPUBackend.vectorProducts
        /// The median share that a speed is of the roof just before and just after.
        func share(_ units: Double, _ roof: (Roofline) -> Double) -> Double {
            median(parts.enumerated().map { units / $1 / roof(Roofline.best(of: roofs[$0...$0 + 1])) })
        }
        return BenchmarkRow(
            type: weights.type.name, rows: shape.rows, columns: shape.columns,
            layout: layout == .panels ? "panels" : "rows",
            kernels: isBLAS ? "BLAS" : backend.kernels.instructionSet.rawValue, threads: backend.pool.threadCount,
            activations: backend.activations.rawValue, tokens: tokens, samples: all.count, seconds: median(all),
            weightBytes: weightBytes, roofline: Roofline.best(of: roofs),
            readShare: share(Double(weightBytes), \.typicalReadBytes),
            peakShare: share(
                operations, backend.activations == .f32 ? \.floatOperations : \.byteOperations))
    }
}

/// The median of at least one value.
private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// The speed of one product.
struct BenchmarkRow: Encodable {
    let type: String
    let rows: Int
    let columns: Int
    let layout: String
    let kernels: String
    let threads: Int
    let activations: String
    let tokens: Int
    let samples: Int
    /// The median.
    let seconds: Double
    /// Of one matrix, as it is held.
    let weightBytes: Int
    /// The best of what was measured between parts.
    let roofline: Roofline
    /// Bytes of weights a second as a share of what the same threads typically read, the median of all parts.
    let readShare: Double
    /// Operations a second as a share of the roof of bytes, or of floats where activations are, the median of all parts.
    let peakShare: Double

    private var readBytes: Double { Double(weightBytes) / seconds }
    private var operations: Double { 2 * Double(rows * columns * tokens) / seconds }

    static var table: TextTable<BenchmarkRow> {
        TextTable<BenchmarkRow> {
            [
                Column("type" <- $0.type), Column("shape" <- "\($0.rows)x\($0.columns)"),
                Column("layout" <- $0.layout), Column("kernels" <- $0.kernels),
                Column("threads" <- $0.threads, align: .right), Column("activations" <- $0.activations),
                Column("tokens" <- $0.tokens, align: .right),
                Column("GB/s" <- digits($0.readBytes / 1e9, 1), align: .right),
                Column("of read" <- percent($0.readShare), align: .right),
                Column("Gop/s" <- digits($0.operations / 1e9, 0), align: .right),
                Column("of peak" <- percent($0.peakShare), align: .right),
            ]
        }
    }

    private static func percent(_ share: Double) -> String { digits(100 * share, 0) + "%" }

    private static func digits(_ value: Double, _ places: Int) -> String { String(format: "%.\(places)f", value) }
}
