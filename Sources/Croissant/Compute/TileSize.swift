/// How much of a matrix one worker unpacks at a time for the products of a batch.
package struct TileSize: Sendable, Equatable {
    /// Weights, for the second-level cache.
    private let elements: Int
    /// The most columns. Products with a part of the columns of a row are added to those with the parts before it.
    private let columns: Int

    /// Whole rows, whose tiles every second-level cache holds.
    package static let least = TileSize(elements: 1 << 18, columns: .max)

    init(elements: Int, columns: Int) {
        self.elements = elements
        self.columns = columns
    }

    /// The parts that rows of `count` columns are multiplied in: as few as can be, in whole blocks.
    package func parts(of count: Int) -> [Range<Int>] {
        let width = width(of: count)
        return stride(from: 0, to: count, by: width).map { $0..<min($0 + width, count) }
    }

    /// Rows of `columns` weights in a tile. Half of the rows are of what a gate gates; a gate's columns are one part, as
    /// what they yield is not kept.
    package func rows(columns: Int, isGated: Bool = false) -> Int {
        let elements = isGated ? elements / 2 : elements
        return Linear.wholePanels(
            of: elements, columns: isGated ? columns : width(of: columns), atMost: elements >> 12)
    }

    /// Columns of all parts but the last.
    private func width(of count: Int) -> Int {
        guard count > columns else { return max(count, 1) }
        let parts = (count + columns - 1) / columns
        return ((count + parts - 1) / parts + Self.blockColumns - 1) / Self.blockColumns * Self.blockColumns
    }

    /// Columns in whole blocks of any type.
    private static let blockColumns = 256
}
