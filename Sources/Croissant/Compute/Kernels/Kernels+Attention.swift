internal import CKernels
package import GGUF

/// Attention over a cache: a few queries against positions as they are cached, and many in tiles of floats.
extension Kernels {
    /// scores[h * stride + j] = dot(query h, key j), for `heads` queries and keys of `type` that lie one after the other.
    package func attentionScores(
        queries: Span<Float>, heads: Int, keys: RawSpan, type: GGMLType, positions: Int,
        into scores: inout MutableSpan<Float>, stride: Int
    ) {
        let headSize = queries.count / heads
        checkCache(keys, type: type, positions: positions, headSize: headSize)
        precondition(
            queries.count == heads * headSize && (heads - 1) * stride + positions <= scores.count,
            "scores of \(heads) queries do not fit")
        unsafe queries.withUnsafeBufferPointer { queries in
            unsafe keys.withUnsafeBytes { keys in
                unsafe scores.withUnsafeMutableBufferPointer { scores in
                    unsafe attentionKernels(type).scores(
                        queries.baseAddress, heads, keys.baseAddress, positions, headSize, cacheLookahead,
                        scores.baseAddress, stride)
                }
            }
        }
    }

    /// out h += sum of probabilities[h * stride + j] * value j, for `heads` queries and values of `type` that lie one
    /// after the other.
    package func attentionAccumulate(
        probabilities: Span<Float>, heads: Int, stride: Int, values: RawSpan, type: GGMLType, positions: Int,
        into out: inout MutableSpan<Float>
    ) {
        let headSize = out.count / heads
        checkCache(values, type: type, positions: positions, headSize: headSize)
        precondition(
            out.count == heads * headSize && (heads - 1) * stride + positions <= probabilities.count,
            "\(heads) queries with \(probabilities.count) probabilities")
        unsafe probabilities.withUnsafeBufferPointer { probabilities in
            unsafe values.withUnsafeBytes { values in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe attentionKernels(type).accumulate(
                        probabilities.baseAddress, heads, stride, values.baseAddress, positions, headSize,
                        cacheLookahead, out.baseAddress)
                }
            }
        }
    }

    private func checkCache(_ bytes: RawSpan, type: GGMLType, positions: Int, headSize: Int) {
        precondition(
            type.byteCount(elements: positions * headSize) == bytes.byteCount,
            "\(bytes.byteCount) bytes for \(positions) positions of \(headSize)")
    }

    /// Makes of the queries of a tile, once, what keys meet.
    func begin(_ tile: AttentionTile, in floats: borrowing SharedBuffer<Float>) {
        guard let begin = unsafe attentionTiles(integers: tile.integers).begin else { return }
        var arguments = unsafe arguments(tile, first: 0, count: 0, in: floats)
        unsafe begin(&arguments)
    }

    /// Takes `count` keys and values, as floats, into the running softmax of a tile of queries; all of it lies in
    /// `floats` as `tile` says. Keys and values are used up.
    func attend(_ tile: AttentionTile, first position: Int, count: Int, in floats: borrowing SharedBuffer<Float>) {
        var arguments = unsafe arguments(tile, first: position, count: count, in: floats)
        unsafe attentionTiles(integers: tile.integers).attend(&arguments)
    }

    private func arguments(
        _ tile: AttentionTile, first position: Int, count: Int, in floats: borrowing SharedBuffer<Float>
    ) -> ck_attention_tile {
        precondition(
            tile.floats.lowerBound >= 0 && tile.floats.upperBound <= floats.count && count <= AttentionTile.keys
                && tile.rows <= AttentionTile.rows,
            "a tile of \(tile.rows) queries and \(count) keys does not fit")
        let base = unsafe floats.base
        return unsafe ck_attention_tile(
            head_size: tile.headSize, stride: tile.stride, rows: tile.rows, group: tile.group, first_row: tile.firstRow,
            first_query: tile.firstQuery, window: tile.window ?? .max, n: count, first_position: position,
            queries: base + tile.queries, keys: base + tile.keys, values: base + tile.values,
            scores: base + tile.scores, out: base + tile.out, maxima: base + tile.maxima, sums: base + tile.sums)
    }

    /// Queries side by side in a panel of an ``AttentionTile``.
    func attentionWidth(integers: Bool) -> Int { attentionTiles(integers: integers).width }

    /// Up to ``laneRows`` rows of `source` side by side: element i of the k-th of them, times `factor`, becomes
    /// floats[offset + i * stride + k].
    func spread(
        _ source: Span<Float>, _ rows: AttentionRows, _ range: Range<Int>, times factor: Float,
        into floats: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        checkLanes(range.count, length: rows.length, of: floats, at: offset, stride: stride)
        unsafe source.withUnsafeBufferPointer { source in
            unsafe withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: range.count) { places in
                for (lane, row) in range.enumerated() {
                    let elements = rows[row]
                    precondition(
                        elements.lowerBound >= 0 && elements.upperBound <= source.count, "row \(row) is not there")
                    unsafe places[lane] = unsafe source.baseAddress.map { unsafe $0 + elements.lowerBound }
                }
                unsafe ck_pack_lanes(
                    places.baseAddress, range.count, rows.length, factor, stride, floats.base + offset)
            }
        }
    }

    /// The way back, to `rows` of `out`: those of lane k are multiplied by factors[k]. `passes` says whether `out` goes
    /// past the caches, see ``resultsPass``.
    func gather(
        _ floats: borrowing SharedBuffer<Float>, at offset: Int, stride: Int, times factors: SIMD4<Float>,
        into out: borrowing SharedBuffer<Float>, _ rows: AttentionRows, _ range: Range<Int>, passing passes: Bool
    ) {
        checkLanes(range.count, length: rows.length, of: floats, at: offset, stride: stride)
        unsafe withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>?.self, capacity: range.count) { places in
            for (lane, row) in range.enumerated() {
                let elements = rows[row]
                precondition(
                    elements.lowerBound >= 0 && elements.upperBound <= out.count, "there is no room for row \(row)")
                unsafe places[lane] = unsafe out.base + elements.lowerBound
            }
            unsafe withUnsafeBytes(of: factors) { factors in
                unsafe ck_unpack_lanes(
                    floats.base + offset, range.count, rows.length,
                    factors.assumingMemoryBound(to: Float.self).baseAddress, stride, places.baseAddress, passes)
            }
        }
    }

    private func checkLanes(
        _ count: Int, length: Int, of floats: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(
            count > 0 && count <= min(laneRows, stride) && length > 0 && offset >= 0
                && (length - 1) * stride + count <= floats.count - offset, "\(count) lanes of \(length) do not fit")
    }
}

/// Rows that go to lanes of a panel together, at most.
let laneRows = Int(CK_LANE_ROWS)

/// Queries of a tile are laid out for any instruction set if their number is a multiple of this.
let attentionPanelMultiple = Int(CK_ATTENTION_WIDTH)

/// The elements of a head, as floats, are rounded up to a multiple of this.
let attentionRowMultiple = Int(CK_ATTENTION_ROWS)

/// Keys of a tile, at most.
let attentionKeys = Int(CK_ATTENTION_KEYS)
