/// Weight matrices that share one input, applied together: `y = [w0 x; w1 x; …]`.
///
/// Query, key and value projections are one such layer, gate and up projections another: the input is quantised once,
/// and the threads meet once.
package struct Linear: Sendable {
    /// The matrices, in the order of their results.
    package let parts: [WeightMatrix]
    /// The length of the input.
    package let columns: Int
    /// The length of the output, that of all parts together.
    package let rows: Int
    /// Rows that one worker multiplies with a vector at a time.
    let chunks: [Tile]
    /// Rows that one worker dequantises at a time.
    let panels: [Tile]

    /// Some rows of one part.
    struct Tile: Sendable {
        let part: Int
        let rows: Range<Int>
        /// Where in the output their results go.
        let offset: Int
    }

    /// Combines matrices with the same number of columns.
    package init(_ parts: [WeightMatrix]) {
        precondition(!parts.isEmpty && parts.allSatisfy { $0.columns == parts[0].columns }, "parts of different inputs")
        self.parts = parts
        columns = parts[0].columns
        rows = parts.reduce(0) { $0 + $1.rows }
        chunks = Self.tiles(of: parts, height: Self.chunkRows(columns: columns))
        panels = Self.tiles(of: parts, height: Self.panelRows(columns: columns))
    }

    private static func tiles(of parts: [WeightMatrix], height: Int) -> [Tile] {
        var tiles: [Tile] = []
        var offset = 0
        for (index, part) in parts.enumerated() {
            for start in stride(from: 0, to: part.rows, by: height) {
                let rows = start..<min(start + height, part.rows)
                tiles.append(Tile(part: index, rows: rows, offset: offset + start))
            }
            offset += part.rows
        }
        return tiles
    }

    /// Rows in a chunk of a matrix-vector product: large enough that handing it out costs nothing (some microseconds of
    /// work), small enough that the last one does not keep the other threads waiting.
    static func chunkRows(columns: Int) -> Int {
        max(16, min(128, (1 << 18) / max(columns, 1) / 16 * 16))
    }

    /// Rows in a panel of dequantised weights: a mebibyte, which the second-level cache holds.
    package static func panelRows(columns: Int) -> Int {
        max(16, min(256, (1 << 18) / max(columns, 1) / 16 * 16))
    }
}
