#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Attention of a few tokens, as decode has them: memory is what takes time, so each key and each value is read from
/// it once, for all queries that share it.
///
/// A long context is cut into parts that threads attend to side by side; a running maximum lets them be put together
/// (arXiv 2311.01282), as it does the tiles of one part.
struct FewQueries: Sendable {
    /// Positions in a tile: its scores stay in the first-level cache. Those of a query alone take so little that its
    /// keys and its values can each be a stream that is long enough for the processor to follow.
    private static func tile(rows: Int) -> Int { rows == 1 ? 1024 : 256 }
    /// Positions that are worth a part of their own: fewer where heads alone do not keep many threads busy.
    private static func shortestPart(_ shape: AttentionShape) -> Int { shape.keyValueHeads < 16 ? 512 : 1024 }
    /// Parts of all key/value heads together: more than there are threads in most machines.
    private static let mostParts = 64

    /// The positions of each part.
    let parts: [Range<Int>]

    /// Cuts the context of a step.
    init(_ step: borrowing AttentionStep) {
        let positions = step.visible(row: 0).lowerBound..<step.firstPosition + step.tokens
        let count = min(Self.parts(step.shape), max(1, positions.count / Self.shortestPart(step.shape)))
        let length = (positions.count + count - 1) / count
        parts = stride(from: positions.lowerBound, to: positions.upperBound, by: length).map {
            $0..<min($0 + length, positions.upperBound)
        }
    }

    /// Parts of a key/value head, at most.
    private static func parts(_ shape: AttentionShape) -> Int { max(1, min(16, mostParts / shape.keyValueHeads)) }

    /// Floats that a thread needs: queries and scores.
    static func floats(_ shape: AttentionShape, tokens: Int) -> Int {
        let rows = tokens * shape.group
        return rows * shape.headSize + max(rows * tile(rows: rows), tile(rows: 1))
    }

    /// Floats that all parts need together: of every query a result, its largest score and its sum.
    static func partFloats(_ shape: AttentionShape, tokens: Int) -> Int {
        parts(shape) * tokens * shape.heads * (shape.headSize + 2)
    }

    /// Attention of all rows of a key/value head to one part of the context, which goes to its place among those of all
    /// parts, with the thread's floats from `start` on.
    func attend(
        part: Int, head: Int, _ step: borrowing AttentionStep, _ cache: borrowing KVCache,
        floats: borrowing SharedBuffer<Float>, at start: Int
    ) {
        let size = step.shape.headSize
        let rows = step.rows
        let kernels = step.kernels
        let source = step.queryRows(keyValueHead: head)
        for row in 0..<rows {
            let query = start + row * size
            kernels.spread(
                step.queries, source, row..<row + 1, times: step.shape.scale, into: floats, at: query, stride: 1)
            if cache.shape.rotatesKeys {
                var elements = floats.slice(query..<query + size)
                kernels.hadamard(&elements)
            }
        }
        let queries = floats.slice(start..<start + rows * size)
        let scoresStart = start + rows * size
        let tile = Self.tile(rows: rows)
        var scores = floats.slice(scoresStart..<scoresStart + rows * tile)
        let place = place(head: head, part: part, step)
        var out = floats.slice(place.out)
        out.update(repeating: 0)
        var maxima = floats.slice(place.maxima)
        maxima.update(repeating: -.infinity)
        var sums = floats.slice(place.sums)
        sums.update(repeating: 0)
        let part = self.parts[part]
        for first in stride(from: part.lowerBound, to: part.upperBound, by: tile) {
            let positions = first..<min(first + tile, part.upperBound)
            kernels.attentionScores(
                queries: queries.span, heads: rows,
                keys: cache.keys(layer: step.layer, head: head, positions: positions), type: cache.shape.keyType,
                positions: positions.count, into: &scores, stride: tile)
            for row in 0..<rows {
                let visible = step.visible(row: row).clamped(to: positions)
                let zero = scoresStart + row * tile - first  // the score of position 0
                var before = floats.slice(zero + first..<zero + visible.lowerBound)
                before.update(repeating: 0)
                var after = floats.slice(zero + visible.upperBound..<zero + positions.upperBound)
                after.update(repeating: 0)
                guard !visible.isEmpty else { continue }
                var seen = floats.slice(zero + visible.lowerBound..<zero + visible.upperBound)
                let maximum = max(maxima[row], kernels.maximum(seen.span))
                let correction = expf(maxima[row] - maximum)
                sums[row] = sums[row] * correction + kernels.exponentials(of: &seen, maximum: maximum)
                maxima[row] = maximum
                if correction != 1 {
                    var result = floats.slice(
                        place.out.lowerBound + row * size..<place.out.lowerBound + (row + 1) * size)
                    kernels.scale(&result, by: correction)
                }
            }
            kernels.attentionAccumulate(
                probabilities: scores.span, heads: rows, stride: tile,
                values: cache.values(layer: step.layer, head: head, positions: positions), type: cache.shape.valueType,
                positions: positions.count, into: &out)
        }
    }

    /// The parts of a key/value head, put together.
    func combine(
        head: Int, _ step: borrowing AttentionStep, _ floats: borrowing SharedBuffer<Float>, rotated: Bool,
        into out: borrowing SharedBuffer<Float>
    ) {
        let size = step.shape.headSize
        let targets = step.resultRows(keyValueHead: head)
        for row in 0..<step.rows {
            var maximum = -Float.infinity
            for part in parts.indices {
                let maxima = floats.slice(place(head: head, part: part, step).maxima)
                maximum = max(maximum, maxima[row])
            }
            var result = out.slice(targets[row])
            result.update(repeating: 0)
            var total: Float = 0
            for part in parts.indices {
                let place = place(head: head, part: part, step)
                let weight = expf(floats.slice(place.maxima)[row] - maximum)
                let start = place.out.lowerBound + row * size
                var partial = floats.slice(start..<start + size)
                step.kernels.scale(&partial, by: weight)
                step.kernels.add(partial.span, to: &result)
                total += weight * floats.slice(place.sums)[row]
            }
            step.kernels.scale(&result, by: 1 / total)
            if rotated { step.kernels.hadamard(&result) }
        }
    }

    /// Where the results, the largest scores and the sums of the rows of a key/value head are for one part.
    private func place(
        head: Int, part: Int, _ step: borrowing AttentionStep
    ) -> (out: Range<Int>, maxima: Range<Int>, sums: Range<Int>) {
        let results = step.rows * step.shape.headSize
        let start = (head * parts.count + part) * (results + 2 * step.rows)
        return (
            start..<start + results, start + results..<start + results + step.rows,
            start + results + step.rows..<start + results + 2 * step.rows
        )
    }
}
