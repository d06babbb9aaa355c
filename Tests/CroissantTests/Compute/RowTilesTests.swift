import Croissant
import Testing

@Suite("Rows of several matrices in tiles")
struct RowTilesTests {
    /// Whole tiles, no rows, less than a tile, whole tiles and a rest.
    private static let rows = [64, 0, 5, 70]

    @Test("every row is in one tile, and no tile has rows of two matrices")
    func covers() {
        let tiles = RowTiles(of: Self.rows, height: 32)
        #expect(tiles.map(\.part) == [0, 0, 2, 3, 3, 3])
        #expect(tiles.map(\.rows) == [0..<32, 32..<64, 0..<5, 0..<32, 32..<64, 64..<70])
        #expect(tiles.map(\.offset) == [0, 32, 64, 69, 101, 133])
    }

    @Test("matrices that are left out keep their place among the results")
    func leavesOut() {
        let tiles = RowTiles(of: Self.rows, height: 48) { $0 != 2 }
        #expect(tiles.map(\.part) == [0, 0, 3, 3])
        #expect(tiles.map(\.offset) == [0, 48, 69, 117])
        #expect(RowTiles(of: Self.rows, height: 48) { _ in false }.isEmpty)
    }

    @Test("a run of tiles is taken in parts of one matrix each")
    func takes() {
        let tiles = RowTiles(of: Self.rows, height: 32)
        var indices = 1..<5
        var taken: [RowTile] = []
        while let tile = tiles.first(of: &indices) { taken.append(tile) }
        #expect(taken.map(\.part) == [0, 2, 3])
        #expect(taken.map(\.rows) == [32..<64, 0..<5, 0..<64])
        #expect(taken.map(\.offset) == [32, 64, 69])
        #expect(indices.isEmpty)
    }
}
