import CKernels
import Foundation
import Testing

@Suite("Attention agrees with float64 arithmetic")
struct AttentionTests {
    @Test("Scores and sums of values, for every head size and number of queries", arguments: cacheTypes, supportedISAs)
    func attends(type: ck_type, isa: ck_isa) throws {
        var random = Random(20)
        for headSize in [1, 3, 8, 16, 17, 24, 32, 63, 64, 80, 96, 128, 129, 256] where headSize % type.block == 0 {
            // Kernels take 4 keys at a time, and 64 values.
            for n in headSize == 64 || headSize == 128 ? [1, 2, 3, 4, 5, 8, 33, 64, 65, 130] : [1, 7] {
                for heads in n == 7 || n == 33 ? [1, 2, 3, 4, 5, 9] : [1, 6] {
                    try compare(type, isa, headSize: headSize, positions: n, heads: heads, &random)
                }
            }
        }
    }

    private func compare(
        _ type: ck_type, _ isa: ck_isa, headSize: Int, positions n: Int, heads: Int, _ random: inout Random
    ) throws {
        let attention = ck_attention(type, isa)
        let scores = unsafe try #require(unsafe attention.scores)
        let accumulate = unsafe try #require(unsafe attention.accumulate)
        let cache = randomBlocks(type, n * headSize, &random)
        let floats = dequantized(type, cache, n * headSize).map(Double.init)
        let queries = random.floats(heads * headSize)
        let stride = n + 3
        var found = [Float](repeating: 99, count: heads * stride)
        // What is asked for ahead lies beyond the cache.
        try unsafe withGuardedCopy(cache) { unsafe scores(queries, heads, $0, n, headSize, 8192, &found, stride) }
        let probabilities = random.floats(heads * stride).map(abs)
        let before = random.floats(heads * headSize)
        var out = before + [.nan]
        try unsafe withGuardedCopy(cache) {
            unsafe accumulate(probabilities, heads, stride, $0, n, headSize, 8192, &out)
        }
        #expect(out.last?.isNaN == true)
        for head in 0..<heads {
            let row = Array(found[head * stride..<(head + 1) * stride])
            #expect(row[n...] == [99, 99, 99], "nothing is written beyond the scores")
            let terms = (0..<n).map { j in
                (0..<headSize).map { floats[j * headSize + $0] * Double(queries[head * headSize + $0]) }
            }
            expectClose(
                row[..<n] + [.nan], terms.map { $0.reduce(0, +) },
                within: terms.map { 1e-6 * $0.map(abs).reduce(0, +) },
                "scores of query \(head) of \(heads), \(n) of \(headSize)")
            let parts = (0..<headSize).map { i in
                [Double(before[head * headSize + i])]
                    + (0..<n).map { Double(probabilities[head * stride + $0]) * floats[$0 * headSize + i] }
            }
            expectClose(
                out[head * headSize..<(head + 1) * headSize] + [.nan], parts.map { $0.reduce(0, +) },
                within: parts.map { 1e-6 * $0.map(abs).reduce(0, +) },
                "values for query \(head) of \(heads), \(n) of \(headSize)")
        }
    }

    /// Queries in a tile, and what they see.
    struct Tile: Sendable, CustomTestStringConvertible {
        let headSize: Int
        let rows: Int
        var group = 1
        var firstRow = 0
        var firstQuery = 0
        var window: Int?
        let positions: Int
        /// The longest tile of keys.
        var keys = 32

        var testDescription: String {
            "\(rows) rows of \(headSize), \(group) to a token, over \(positions) positions"
        }

        static let all = [
            Tile(headSize: 8, rows: 1, positions: 1),
            Tile(headSize: 12, rows: 50, positions: 50),
            Tile(headSize: 13, rows: 97, firstQuery: 20, positions: 117),
            Tile(headSize: 64, rows: 33, group: 2, firstRow: 1, firstQuery: 50, positions: 67),
            Tile(headSize: 32, rows: 100, group: 7, firstRow: 5, firstQuery: 3, positions: 18),
            Tile(headSize: 16, rows: 60, firstQuery: 30, window: 5, positions: 90),
            Tile(headSize: 16, rows: 96, firstQuery: 30, window: 40, positions: 126, keys: 29),
            Tile(headSize: 128, rows: 17, firstQuery: 128, window: 1, positions: 145, keys: 128),
        ]

        func seen(by row: Int) -> Range<Int> {
            let position = firstQuery + (firstRow + row) / group
            return max(0, position + 1 - (window ?? position + 1))..<position + 1
        }
    }

    @Test("A tile of queries, over all tiles of keys", arguments: Tile.all, supportedISAs)
    func attendsInTiles(tile: Tile, isa: ck_isa) {
        compare(tile, ck_attention_tiles(isa, false)) { 1e-5 * $0.map(abs).reduce(0, +) }
    }

    @Test("A tile of queries as integers", arguments: Tile.all, supportedISAs)
    func attendsInTilesOfIntegers(tile: Tile, isa: ck_isa) {
        // Half a step of a value, of which there are 4095 up to the largest, 1, and as much for the steps of 32
        // exponentials; and what scores are off by.
        compare(tile, ck_attention_tiles(isa, true)) { 1.0 / 4095 + 2e-3 * $0.map(abs).reduce(0, +) }
    }

    private func compare(
        _ tile: Tile, _ kernels: ck_attention_tile_kernels, tolerance: (_ terms: [Double]) -> Double
    ) {
        let size = tile.headSize
        var random = Random(22)
        let queries = random.floats(tile.rows * size, times: 4)
        let keys = random.floats(tile.positions * size)
        let values = random.floats(tile.positions * size)
        let found = results(tile, kernels, queries: queries, keys: keys, values: values)
        for row in 0..<tile.rows {
            let seen = tile.seen(by: row).clamped(to: 0..<tile.positions)
            let exponentials = seen.map { position in
                exp(
                    (0..<size).map { 0.5 * Double(queries[row * size + $0]) * Double(keys[position * size + $0]) }
                        .reduce(0, +))
            }
            let total = exponentials.reduce(0, +)
            let parts = (0..<size).map { i in
                zip(exponentials, seen).map { $0 / total * Double(values[$1 * size + i]) }
            }
            expectClose(
                found[row * size..<(row + 1) * size] + [.nan], parts.map { $0.reduce(0, +) },
                within: parts.map(tolerance), "row \(row)")
        }
    }

    /// The results of all rows, one after the other.
    private func results(
        _ tile: Tile, _ kernels: ck_attention_tile_kernels, queries: [Float], keys: [Float], values: [Float]
    ) -> [Float] {
        let width = kernels.width
        #expect(Int(CK_ATTENTION_WIDTH) % width == 0)
        let size = tile.headSize
        let multiple = Int(CK_ATTENTION_ROWS)
        let stride = (size + multiple - 1) / multiple * multiple
        let paddedRows = (tile.rows + width - 1) / width * width
        let paddedKeys = (tile.keys + multiple - 1) / multiple * multiple

        // What is not set belongs to nobody.
        var panels = [Float](repeating: .nan, count: paddedRows * stride)
        func lane(_ row: Int) -> Int { row / width * stride * width + row % width }
        for first in Swift.stride(from: 0, to: tile.rows, by: Int(CK_LANE_ROWS)) {
            let rows = first..<min(first + Int(CK_LANE_ROWS), tile.rows)
            unsafe queries.withUnsafeBufferPointer { queries in
                let places = unsafe rows.map { row in unsafe queries.baseAddress.map { unsafe $0 + row * size } }
                unsafe panels.withUnsafeMutableBufferPointer { panels in
                    unsafe ck_pack_lanes(
                        places, rows.count, size, 0.5, width, panels.baseAddress.unsafelyUnwrapped + lane(first))
                }
            }
        }
        var out = [Float](repeating: 0, count: paddedRows * stride)
        var maxima = [Float](repeating: -.infinity, count: paddedRows)
        var sums = [Float](repeating: 0, count: paddedRows)
        var scores = [Float](repeating: .nan, count: paddedKeys * width)
        for first in Swift.stride(from: 0, to: tile.positions, by: tile.keys) {
            let count = min(tile.keys, tile.positions - first)
            var keyTile = [Float](repeating: .nan, count: paddedKeys * stride)
            var valueTile = keyTile
            for position in 0..<count {
                for i in 0..<size {
                    keyTile[position * stride + i] = keys[(first + position) * size + i]
                    valueTile[position * stride + i] = values[(first + position) * size + i]
                }
            }
            unsafe scores.withUnsafeMutableBufferPointer { scores in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe maxima.withUnsafeMutableBufferPointer { maxima in
                        unsafe sums.withUnsafeMutableBufferPointer { sums in
                            unsafe panels.withUnsafeMutableBufferPointer { panels in
                                unsafe keyTile.withUnsafeMutableBufferPointer { keys in
                                    unsafe valueTile.withUnsafeMutableBufferPointer { values in
                                        var arguments = unsafe ck_attention_tile(
                                            head_size: size, stride: stride, rows: tile.rows, group: tile.group,
                                            first_row: tile.firstRow, first_query: tile.firstQuery,
                                            window: tile.window ?? .max, n: count, first_position: first,
                                            queries: panels.baseAddress, keys: keys.baseAddress,
                                            values: values.baseAddress, scores: scores.baseAddress,
                                            out: out.baseAddress, maxima: maxima.baseAddress, sums: sums.baseAddress)
                                        if first == 0, let begin = unsafe kernels.begin { unsafe begin(&arguments) }
                                        unsafe kernels.attend(&arguments)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }

        var results = [Float](repeating: .nan, count: tile.rows * size)
        for first in Swift.stride(from: 0, to: tile.rows, by: Int(CK_LANE_ROWS)) {
            let rows = first..<min(first + Int(CK_LANE_ROWS), tile.rows)
            unsafe out.withUnsafeBufferPointer { out in
                unsafe results.withUnsafeMutableBufferPointer { results in
                    let places = unsafe rows.map { row in
                        unsafe results.baseAddress.map { unsafe $0 + row * size }
                    }
                    unsafe ck_unpack_lanes(
                        out.baseAddress.unsafelyUnwrapped + lane(first), rows.count, size,
                        rows.map { 1 / sums[$0] }, width, places, false)
                }
            }
        }
        return results
    }

    @Test("Integers are what the sets compute with whose products of them are faster", arguments: supportedISAs)
    func choosesIntegers(isa: ck_isa) {
        let faster = [CK_ISA_AVX2, CK_ISA_AVXVNNI, CK_ISA_AVX512, CK_ISA_AVX512VNNI, CK_ISA_AMX]
        // Only queries of integers have to be made.
        #expect(unsafe (ck_attention_tiles(isa, true).begin != nil) == faster.contains(isa))
        #expect(unsafe ck_attention_tiles(isa, false).begin == nil)
    }

    @Test("What is not finite leaves no result that looks like one", arguments: [false, true], supportedISAs)
    func notFinite(integers: Bool, isa: ck_isa) {
        let tile = Tile(headSize: 20, rows: 60, firstQuery: 20, positions: 80)
        let kernels = ck_attention_tiles(isa, integers)
        var random = Random(23)
        let queries = random.floats(tile.rows * tile.headSize)
        let keys = random.floats(tile.positions * tile.headSize)
        for place in [0, 17, 19] {
            for value in [Float.nan, .infinity, -.infinity] {
                var poisoned = keys
                poisoned[25 * tile.headSize + place] = value
                let found = [
                    results(tile, kernels, queries: queries, keys: keys, values: poisoned),
                    value.isNaN ? results(tile, kernels, queries: queries, keys: poisoned, values: keys) : [.nan],
                ]
                let element = 10 * tile.headSize + place
                #expect(!found[0][element].isFinite, "\(value) in a value")
                #expect(found[1].suffix(tile.headSize).allSatisfy { $0.isNaN }, "\(value) in a key")
                poisoned = queries
                poisoned[30 * tile.headSize + place] = .nan
                let row = results(tile, kernels, queries: poisoned, keys: keys, values: keys)
                #expect(row[30 * tile.headSize..<31 * tile.headSize].allSatisfy { $0.isNaN }, "a query")
                #expect(row[..<(30 * tile.headSize)].allSatisfy { $0.isFinite }, "other queries")
            }
        }
    }
}
