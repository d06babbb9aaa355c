package import GGUF

/// Weight matrices that share one input, applied together: `y = [w0 x; w1 x; …]`.
///
/// Query, key and value projections are one such layer: the input is quantised once, and the threads meet once. Gate and
/// up projections are another, whose products become `SiLU(gate x) * (up x)` before they have left the caches.
package struct Linear: Sendable {
    /// The matrices, in the order of their results.
    package let parts: [WeightMatrix]
    /// The length of the input.
    package let columns: Int
    /// The rows of all parts together.
    package let rows: Int
    /// Whether the parts are a gate and what it gates, of the same size.
    package let isGated: Bool
    /// The length of the output.
    package var outputs: Int { isGated ? rows / 2 : rows }
    /// Rows that one worker multiplies at a time with tokens that meet no tiles.
    let chunks: RowTiles
    /// What batches meet as integers: rows whose panels one worker unpacks at a time. Of a gated layer, rows of the gate:
    /// those that it gates go with them.
    let integerTiles: RowTiles
    /// The columns that they are multiplied in.
    let columnParts: [Range<Int>]
    /// What batches meet as floats: rows that one worker multiplies at a time; of a gated layer likewise.
    let floatTiles: RowTiles
    /// Whether a batch meets a part, of those in `floatTiles`, through the BLAS.
    let meetsBLAS: [Bool]
    /// What activations of a batch are rounded to for `integerTiles`.
    let batchPrecision: ActivationPrecision
    /// The types of the matrices in `integerTiles`.
    let integerTypes: [GGMLType]
    /// What the activations of a batch are rounded to: f32 where no matrix meets integers. Tiles may take a form with more
    /// bits than 8, see ``ColumnForm``.
    var batchActivations: ActivationPrecision { integerTiles.isEmpty ? .f32 : batchPrecision }

    /// The panels of some rows that begin at a multiple of ``Panel/rows``.
    static func panels(of rows: Range<Int>) -> Range<Int> {
        rows.lowerBound / Panel.rows..<(rows.upperBound + Panel.rows - 1) / Panel.rows
    }

    /// Combines matrices with the same number of columns.
    ///
    /// - Parameters:
    ///   - batchPrecision: what the activations of a batch are rounded to: f32 for products of floats.
    ///   - isGated: whether the parts are a gate and what it gates. Both meet floats where one of them has to.
    ///   - tileSize: how much one worker unpacks to integers at a time, see ``Kernels/tileSize(for:)``.
    package init(
        _ parts: [WeightMatrix], batchPrecision: ActivationPrecision, isGated: Bool = false,
        tileSize: TileSize = .least
    ) {
        precondition(!parts.isEmpty && parts.allSatisfy { $0.columns == parts[0].columns }, "parts of different inputs")
        precondition(!isGated || parts.count == 2 && parts[0].rows == parts[1].rows, "not a gate and what it gates")
        meetsBLAS = parts.map { Self.meetsBLAS($0.type, batchPrecision: batchPrecision) }
        let batchPrecision =
            isGated && Self.gatesFloats(parts.map(\.type), batchPrecision: batchPrecision) ? .f32 : batchPrecision
        self.parts = parts
        self.isGated = isGated
        self.batchPrecision = batchPrecision
        columns = parts[0].columns
        rows = parts.reduce(0) { $0 + $1.rows }
        let isInteger = parts.map { Self.batchActivations(of: $0, wanted: batchPrecision) != .f32 }
        integerTypes = zip(parts, isInteger).filter(\.1).map(\.0.type)
        let partRows = parts.map(\.rows)
        chunks = RowTiles(of: partRows, height: Self.chunkRows(columns: columns))
        let tiled = isGated ? [partRows[0]] : partRows
        integerTiles = RowTiles(of: tiled, height: tileSize.rows(columns: columns, isGated: isGated)) { isInteger[$0] }
        columnParts = isGated ? [0..<columns] : tileSize.parts(of: columns)
        floatTiles = RowTiles(of: tiled, height: Self.floatRows(columns: columns)) { !isInteger[$0] }
    }

    /// Whether a gate and what it gates, of these types, meet floats in a batch: as one of them alone would.
    package static func gatesFloats(_ types: [GGMLType], batchPrecision: ActivationPrecision) -> Bool {
        batchPrecision == .f32 || !types.allSatisfy(Panel.exists)
    }

    /// Whether a batch meets weights of `type` through the BLAS, where it meets them as floats: where that was asked for,
    /// and where they are quantised and what gates them, or what they gate, is not. Weights that are not quantised meet
    /// floats as they are otherwise (see float_products.h).
    package static func meetsBLAS(_ type: GGMLType, batchPrecision: ActivationPrecision) -> Bool {
        batchPrecision == .f32 || Panel.exists(for: type)
    }

    /// What the activations of a batch are really rounded to where they meet `part`: f32 for a type without panels.
    func batchActivations(of part: WeightMatrix) -> ActivationPrecision {
        Self.batchActivations(of: part, wanted: batchPrecision)
    }

    private static func batchActivations(
        of part: WeightMatrix, wanted: ActivationPrecision
    ) -> ActivationPrecision {
        Panel.exists(for: part.type) ? wanted : .f32
    }

    /// Rows in a chunk of a matrix-vector product, the least that a thread takes: a microsecond of work or two, so that
    /// the last one does not keep the other threads waiting.
    static func chunkRows(columns: Int) -> Int { wholePanels(of: 1 << 16, columns: columns, atMost: 128) }

    /// Rows in a tile of weights that a batch meets as floats. Dequantised, they are a mebibyte, which the second-level
    /// cache holds, or what makes up for the packing of all activations that a BLAS begins each product with.
    package static func floatRows(columns: Int) -> Int {
        max(
            wholePanels(of: 1 << 18, columns: columns, atMost: 256),
            wholePanels(of: 1 << 20, columns: columns, atMost: 128))
    }

    /// As many rows as `elements` allow, in whole panels.
    static func wholePanels(of elements: Int, columns: Int, atMost limit: Int) -> Int {
        max(Panel.rows, min(limit, elements / max(columns, 1) / Panel.rows * Panel.rows))
    }
}
