/// Some rows of one matrix of a ``Linear``.
package struct RowTile: Sendable, Equatable {
    package let part: Int
    /// Begins at a multiple of ``Panel/rows``.
    package let rows: Range<Int>
    /// Where their results go among those of all parts.
    package let offset: Int

    /// The panels of these rows.
    var panels: Range<Int> { Linear.panels(of: rows) }
}

/// The rows of several matrices in tiles, none of which has rows of two of them.
///
/// Tiles are computed when they are asked for: a list of them would grow with the model.
package struct RowTiles: RandomAccessCollection, Sendable {
    /// The tiles of one matrix.
    private struct Run: Sendable {
        let part: Int
        let rows: Int
        let offset: Int
        let tiles: Range<Int>
    }

    private let height: Int
    private let runs: [Run]

    package let startIndex = 0
    package var endIndex: Int { runs.last?.tiles.upperBound ?? 0 }

    /// Cuts those parts, of so many `rows`, that are `chosen` into tiles of `height` rows, the last one of each into what
    /// is left.
    package init(of rows: [Int], height: Int, where chosen: (_ part: Int) -> Bool = { _ in true }) {
        var runs: [Run] = []
        var offset = 0
        var count = 0
        for (part, rows) in rows.enumerated() {
            if chosen(part) {
                let tiles = count..<count + (rows + height - 1) / height
                runs.append(Run(part: part, rows: rows, offset: offset, tiles: tiles))
                count = tiles.upperBound
            }
            offset += rows
        }
        self.height = height
        self.runs = runs
    }

    package subscript(index: Int) -> RowTile { tile(of: index..<index + 1, in: run(of: index)) }

    /// The first tiles of `indices` that are of one matrix, as one; they are taken away from `indices`.
    package func first(of indices: inout Range<Int>) -> RowTile? {
        guard let index = indices.first else { return nil }
        let run = run(of: index)
        let taken = indices.clamped(to: run.tiles)
        indices = taken.upperBound..<indices.upperBound
        return tile(of: taken, in: run)
    }

    private func run(of index: Int) -> Run {
        guard let run = runs.first(where: { $0.tiles.contains(index) }) else {
            preconditionFailure("tile \(index) of \(count)")
        }
        return run
    }

    private func tile(of indices: Range<Int>, in run: Run) -> RowTile {
        let start = (indices.lowerBound - run.tiles.lowerBound) * height
        let end = Swift.min((indices.upperBound - run.tiles.lowerBound) * height, run.rows)
        return RowTile(part: run.part, rows: start..<end, offset: run.offset + start)
    }
}
