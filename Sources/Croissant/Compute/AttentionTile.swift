import GGUF

/// A tile of queries of one key/value head, against one tile of keys and values after the other: with a running maximum
/// and sum for each query (arXiv 2205.14135), the scores of the whole context are never in memory.
///
/// Keys and values become floats once for all queries of the tile. Everything lies in one thread's floats, at the
/// offsets that are the properties here; CKernels.h describes it at `ck_attention_tile`.
struct AttentionTile: Sendable {
    /// Queries in a tile, at most: whole panels of every instruction set, and enough that making floats of keys and
    /// values does not show.
    static let rows = 4 * attentionPanelMultiple
    /// Cached positions in a tile: keys, values, a panel of queries and its scores stay in the second-level cache.
    static let keys = attentionKeys

    /// Floats that a tile needs.
    static func floats(headSize: Int) -> Int {
        let stride = stride(headSize: headSize)
        return 2 * keys * stride + 2 * rows * stride + keys * attentionPanelMultiple + 2 * rows + laneRows * headSize
    }

    /// Floats from one key to the next.
    private static func stride(headSize: Int) -> Int {
        (headSize + attentionRowMultiple - 1) / attentionRowMultiple * attentionRowMultiple
    }

    /// Whether queries, keys and values are rounded to integers.
    let integers: Bool
    /// The tile's queries.
    let rows: Int
    /// Queries of one token.
    let group: Int
    /// Queries of the first token that come before the tile's.
    let firstRow: Int
    /// The position of the first token.
    let firstQuery: Int
    /// Positions that a query sees; nil for all.
    let window: Int?
    /// Elements of a head.
    let headSize: Int
    /// Floats from one key or value to the next.
    let stride: Int
    /// Where everything is.
    let floats: Range<Int>
    /// Keys: (keys, stride).
    let keys: Int
    /// Values: (keys, stride).
    let values: Int
    /// Queries, in panels.
    let queries: Int
    /// Results, in panels.
    let out: Int
    /// Scores of one panel.
    let scores: Int
    /// The largest score of each query.
    let maxima: Int
    /// The sum of exp(score - maximum) of each query.
    let sums: Int
    /// A few queries while they are rotated.
    private let rotated: Int
    /// The tile's first row of its key/value head.
    private let begin: Int

    /// The tile of some rows, in the floats from `start` on.
    init(_ rows: Range<Int>, of step: borrowing AttentionStep, at start: Int) {
        let shape = step.shape
        stride = Self.stride(headSize: shape.headSize)
        integers = step.integers
        self.rows = rows.count
        begin = rows.lowerBound
        group = shape.group
        firstRow = begin % group
        firstQuery = step.firstPosition + begin / group
        window = shape.window
        headSize = shape.headSize
        keys = start
        values = keys + Self.keys * stride
        queries = values + Self.keys * stride
        out = queries + Self.rows * stride
        scores = out + Self.rows * stride
        maxima = scores + Self.keys * attentionPanelMultiple
        sums = maxima + Self.rows
        rotated = sums + Self.rows
        floats = start..<start + Self.floats(headSize: shape.headSize)
    }

    /// Attention of the tile to all positions that one of its queries sees.
    func attend(
        head: Int, _ step: borrowing AttentionStep, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        floats: borrowing SharedBuffer<Float>
    ) {
        begin(head: head, step, rotated: cache.shape.rotatesKeys, floats)
        let start = step.visible(row: begin).lowerBound
        let end = step.visible(row: begin + rows - 1).upperBound
        for first in Swift.stride(from: start, to: end, by: Self.keys) {
            let positions = first..<min(first + Self.keys, end)
            dequantize(
                cache.keys(layer: step.layer, head: head, positions: positions), as: cache.shape.keyType,
                count: positions.count, step.kernels, floats, at: keys)
            dequantize(
                cache.values(layer: step.layer, head: head, positions: positions), as: cache.shape.valueType,
                count: positions.count, step.kernels, floats, at: values)
            step.kernels.attend(self, first: first, count: positions.count, in: floats)
        }
        finish(head: head, step, rotated: cache.shape.rotatesValues, floats, into: out)
    }

    /// Where element 0 of a row is in panels that begin at `start`.
    private func lane(_ row: Int, of start: Int, width: Int) -> Int {
        let (panel, lane) = row.quotientAndRemainder(dividingBy: width)
        return start + panel * stride * width + lane
    }

    /// Scaled queries in panels, and a softmax of nothing.
    private func begin(
        head: Int, _ step: borrowing AttentionStep, rotated: Bool, _ floats: borrowing SharedBuffer<Float>
    ) {
        let width = step.kernels.attentionWidth(integers: integers)
        let source = step.queryRows(keyValueHead: head)
        let few = AttentionRows(length: headSize)
        for first in Swift.stride(from: 0, to: rows, by: laneRows) {
            let range = first..<min(first + laneRows, rows)
            let lanes = lane(first, of: queries, width: width)
            guard rotated else {
                step.kernels.spread(
                    step.queries, source, range.shifted(by: begin), times: step.shape.scale, into: floats, at: lanes,
                    stride: width)
                continue
            }
            for (index, row) in range.shifted(by: begin).enumerated() {
                let query = self.rotated + few[index].lowerBound
                step.kernels.spread(
                    step.queries, source, row..<row + 1, times: step.shape.scale, into: floats, at: query, stride: 1)
                var elements = floats.slice(query..<query + headSize)
                step.kernels.hadamard(&elements)
            }
            let queries = floats.slice(self.rotated..<self.rotated + laneRows * headSize)
            step.kernels.spread(
                queries.span, few, 0..<range.count, times: 1, into: floats, at: lanes, stride: width)
        }
        var results = floats.slice(out..<out + Self.rows * stride)
        results.update(repeating: 0)
        var largest = floats.slice(maxima..<maxima + Self.rows)
        largest.update(repeating: -.infinity)
        var totals = floats.slice(sums..<sums + Self.rows)
        totals.update(repeating: 0)
        step.kernels.begin(self, in: floats)
    }

    private func dequantize(
        _ blocks: RawSpan, as type: GGMLType, count: Int, _ kernels: Kernels, _ floats: borrowing SharedBuffer<Float>,
        at start: Int
    ) {
        if stride == headSize {
            var elements = floats.slice(start..<start + count * headSize)
            kernels.dequantize(blocks, as: type, count: count * headSize, into: &elements)
        } else {
            let rowBytes = blocks.byteCount / count
            for position in 0..<count {
                let bytes = position * rowBytes..<(position + 1) * rowBytes
                var elements = floats.slice(start + position * stride..<start + position * stride + headSize)
                kernels.dequantize(blocks.extracting(bytes), as: type, count: headSize, into: &elements)
            }
        }
    }

    /// Results, divided by the sums, to where they belong.
    private func finish(
        head: Int, _ step: borrowing AttentionStep, rotated: Bool, _ floats: borrowing SharedBuffer<Float>,
        into result: borrowing SharedBuffer<Float>
    ) {
        let width = step.kernels.attentionWidth(integers: integers)
        let totals = floats.slice(sums..<sums + rows)
        let targets = step.resultRows(keyValueHead: head)
        for first in Swift.stride(from: 0, to: rows, by: laneRows) {
            let range = first..<min(first + laneRows, rows)
            var factors = SIMD4<Float>()
            for (index, row) in range.enumerated() { factors[index] = 1 / totals[row] }
            step.kernels.gather(
                floats, at: lane(first, of: out, width: width), stride: width, times: factors, into: result, targets,
                range.shifted(by: begin), passing: step.kernels.resultsPass && !rotated)
            guard rotated else { continue }
            for row in range.shifted(by: begin) {
                var elements = result.slice(targets[row])
                step.kernels.hadamard(&elements)
            }
        }
    }
}

extension Range<Int> {
    fileprivate func shifted(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
