package import GGUF

/// The sizes of the memory that operations use and leave behind.
package struct ScratchShape: Sendable {
    /// Threads, each with scratch of its own.
    private let threads: Int
    /// Whether batches meet dequantised weights, which the BLAS multiplies.
    package private(set) var usesBLAS = false
    /// Floats of one thread's tiles of weights.
    private var tileFloats = 0
    /// Bytes of one thread's tiles of unpacked weights, and of the panel that rows become on their way there, or to tokens
    /// that meet no tiles.
    private var tileBytes = 0
    private var stagingBytes = 0
    /// Floats of a batch in slabs.
    fileprivate var slabFloats = 0
    /// Floats of what a gate and its up yield.
    fileprivate var gateFloats = 0
    /// Floats that one thread attends with.
    fileprivate let attentionFloats: Int
    /// Floats of the parts that attention of a few tokens is put together from.
    private let partFloats: Int
    /// The longest rows that vectors are quantised for, and how many vectors.
    fileprivate var quantizedColumns = 0
    fileprivate var quantizedVectors = 0
    fileprivate var packed = PackedColumns.Shape()

    /// Scratch for attention alone: what it needs does not depend on the context.
    ///
    /// - Parameter batchSize: tokens in a pass.
    package init(_ attention: AttentionShape, batchSize: Int, threads: Int) {
        self.threads = threads
        let few = min(batchSize, attention.fewTokens)
        let tile = batchSize > few ? AttentionTile.floats(headSize: attention.headSize) : 0
        attentionFloats = max(tile, FewQueries.floats(attention, tokens: few))
        partFloats = FewQueries.partFloats(attention, tokens: few)
    }

    /// Makes room for products of up to `batchSize` tokens with a matrix.
    ///
    /// - Parameters:
    ///   - decode: what activations of a token are held in, and of a few where those are no batch.
    ///   - batch: what those of a batch are held in.
    package mutating func include(
        _ plan: WeightPlan, batchSize: Int, decode: ActivationPrecision, batch: ActivationPrecision, kernels: Kernels
    ) {
        let tensor = plan.tensor
        let columns = tensor.columns
        let vectors = min(batchSize, CPUBackend.vectorProducts)
        switch plan.layout {
        case .panels:
            // What is split takes as much room.
            packed.include(
                tokens: vectors, columns: columns, widths: kernels.vectorWidths, form: ColumnForm(decode))
        case .rows where kernels.precision(for: tensor.type, wanted: decode) != .f32:
            quantizedColumns = max(quantizedColumns, columns)
            quantizedVectors = vectors
            if CPUBackend.packsRows(of: tensor.type, tokens: vectors, decode) {
                packed.include(
                    tokens: vectors, columns: columns, widths: kernels.vectorWidths, form: ColumnForm(decode))
                stagingBytes = max(stagingBytes, Panel.byteCount(of: tensor.type, columns: columns))
            }
        case .rows: break
        }
        let isInteger = batch != .f32 && Panel.exists(for: tensor.type)
        if isInteger, batchSize > 1 {
            // What is too few for tiles meets panels, however rows are held.
            let few = min(batchSize, kernels.leastTiled([tensor.type]) - 1)
            let form = ColumnForm(kernels.favoured(batch, of: [tensor.type]))
            if few > 1 { packed.include(tokens: few, columns: columns, widths: kernels.vectorWidths, form: form) }
            if plan.layout == .rows, few > 1 || batchSize > CPUBackend.vectorProducts {
                stagingBytes = max(stagingBytes, Panel.byteCount(of: tensor.type, columns: columns))
            }
        }
        guard batchSize > CPUBackend.vectorProducts else { return }
        if isInteger {
            let size = kernels.tileSize(for: batch)
            func panels(isGated: Bool) -> Int {
                Linear.panels(of: 0..<min(tensor.rows, size.rows(columns: columns, isGated: isGated))).count
            }
            // A matrix meets activations in the form that its type likes best, or, where another one of its layer has
            // none of that, in the plain one.
            let best = kernels.tileForm(of: [tensor.type], columns: columns, precision: batch)
            for form in [best, ColumnForm(batch)] {
                packed.include(tokens: batchSize, columns: columns, widths: kernels.tileWidths(form), form: form)
                func bytes(_ columns: Int) -> Int { kernels.tileBytes(of: tensor.type, columns: columns, form: form) }
                // A gate's tile comes with one of what it gates.
                tileBytes = max(
                    tileBytes, panels(isGated: false) * bytes(size.parts(of: columns).first?.count ?? 0),
                    2 * panels(isGated: true) * bytes(columns))
            }
        } else if Linear.meetsBLAS(tensor.type, batchPrecision: batch) {
            include(dequantizedRows: tensor.rows, columns: columns)
        } else if kernels.prefersSlabs(tensor.type, tokens: batchSize) {
            slabFloats = max(slabFloats, batchSize * columns)
            include(tileFloats: Kernels.slabTileFloats)
        }
    }

    /// Makes room for a tile of dequantised rows.
    private mutating func include(dequantizedRows rows: Int, columns: Int) {
        usesBLAS = true
        let height = min(rows, Linear.floatRows(columns: columns))
        include(tileFloats: Linear.panels(of: 0..<height).count * Panel.rows * columns)
    }

    /// Makes room for the products of up to `batchSize` tokens with a gate and what it gates, each (rows, columns).
    ///
    /// - Parameters:
    ///   - types: those of the gate and of what it gates.
    ///   - precision: what activations of a batch are held in, where the types allow it.
    ///   - kernels: what multiplies.
    package mutating func include(
        gateRows rows: Int, columns: Int, batchSize: Int, types: [GGMLType], batch precision: ActivationPrecision,
        kernels: Kernels
    ) {
        let isFloat = Linear.gatesFloats(types, batchPrecision: precision)
        let vectors = isFloat ? 0 : kernels.leastTiled(types) - 1
        let few = min(batchSize, max(CPUBackend.vectorProducts, vectors)) * 2 * rows
        let tokens = isFloat ? batchSize : Panel.mostVectors
        let height =
            isFloat
            ? Linear.floatRows(columns: columns)
            : kernels.tileSize(for: .int8).rows(columns: columns, isGated: true)
        let batch = batchSize > CPUBackend.vectorProducts ? threads * tokens * 2 * min(rows, height) : 0
        gateFloats = max(gateFloats, few, batch)
        if isFloat, batch > 0, types.contains(where: { Linear.meetsBLAS($0, batchPrecision: precision) }) {
            include(dequantizedRows: rows, columns: columns)
        }
    }

    /// Makes room for `tileFloats` floats a thread.
    package mutating func include(tileFloats: Int) { self.tileFloats = max(self.tileFloats, tileFloats) }
}

/// Memory that operations use and leave behind: one set for a session.
package struct Scratch: ~Copyable {
    /// Tiles of weights as floats, some a thread.
    var floats: FloatBuffer
    /// The input of a product of floats, in slabs.
    var slabs: FloatBuffer
    /// Tiles of unpacked weights, or a panel of rows, some a thread.
    var tiles: Buffer<UInt8>
    /// What gates and ups yield: for tokens that meet no tiles, or for a tile and some of a batch, one a thread.
    var gates: FloatBuffer
    /// Attention to parts of the context, then scores, keys and values of attention tiles, one set a thread.
    var attention: FloatBuffer
    /// Floats of one thread's set.
    let attentionFloats: Int
    /// The input of a product with rows, quantised.
    var quantized: QuantizedColumns
    /// The input of a product with panels, quantised.
    var packed: PackedColumns

    /// Allocates scratch; throws where the system refuses the memory.
    package init(_ shape: ScratchShape) throws(ModelError) {
        let floats = try FloatBuffer.allocate(shape.floats, purpose: "dequantised weights")
        let slabs = try FloatBuffer.allocate(shape.slabFloats, purpose: "activations in slabs")
        let tiles = try Buffer<UInt8>.allocate(shape.tiles, purpose: "unpacked weights")
        let gates = try FloatBuffer.allocate(shape.gateFloats, purpose: "gates")
        let attention = try FloatBuffer.allocate(shape.attention, purpose: "attention tiles")
        let quantized = try QuantizedColumns(capacity: shape.quantizedColumns, vectors: shape.quantizedVectors)
        let packed = try PackedColumns(shape.packed)
        self.floats = floats
        self.slabs = slabs
        self.tiles = tiles
        self.gates = gates
        self.attention = attention
        attentionFloats = shape.attentionFloats
        self.quantized = quantized
        self.packed = packed
    }

    /// Bytes of its buffers.
    package var byteCount: Int {
        floats.byteCount + slabs.byteCount + tiles.byteCount + gates.byteCount + attention.byteCount
            + quantized.byteCount + packed.byteCount
    }
}

extension ScratchShape {
    fileprivate var floats: Int { threads * tileFloats }
    /// Every thread's begin on a cache line.
    fileprivate var tiles: Int { threads * ((tileBytes + stagingBytes + 63) / 64 * 64) }
    fileprivate var attention: Int { partFloats + threads * attentionFloats }

    /// Bytes that ``Scratch`` will allocate.
    package var byteCount: Int {
        (floats + slabFloats + gateFloats + attention) * MemoryLayout<Float>.stride + tiles
            + QuantizedColumns.byteCount(capacity: quantizedColumns, vectors: quantizedVectors) + packed.byteCount
    }
}
