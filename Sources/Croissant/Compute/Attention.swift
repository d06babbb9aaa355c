#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The sizes of an attention layer.
package struct AttentionShape: Sendable {
    /// Query heads.
    package let heads: Int
    /// Key/value heads; each serves `heads / keyValueHeads` query heads.
    package let keyValueHeads: Int
    /// Elements of a head.
    package let headSize: Int
    /// Positions that a query attends to, the nearest up to its own; nil for all.
    package let window: Int?

    /// Heads of these sizes.
    package init(heads: Int, keyValueHeads: Int, headSize: Int, window: Int? = nil) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.window = window
    }

    /// The positions that the query at `position` attends to.
    func visible(from position: Int) -> Range<Int> {
        max(0, position + 1 - (window ?? position + 1))..<position + 1
    }

    /// The factor of the scores: 1 / sqrt(head size).
    var scale: Float { 1 / Float(headSize).squareRoot() }
}

/// The tiles that prefill cuts attention into.
enum AttentionTile {
    /// Queries in a tile.
    static let queries = 64
    /// Cached positions in a tile.
    static let keys = 256

    /// Floats that a worker needs: keys and values as floats, scores, and what a running softmax keeps for each query.
    static func floats(headSize: Int) -> Int {
        2 * keys * headSize + queries * keys + 2 * queries
    }
}

extension CPUBackend {
    /// Causal attention (arXiv 1706.03762), in a sliding window or not, of the newest `tokens` positions of one layer.
    ///
    /// - Parameters:
    ///   - queries: rows of `queryStride` floats that begin with the queries (tokens, heads * headSize).
    ///   - cache: holds keys and values of all positions, those of the new tokens included.
    ///   - firstPosition: the position of the first new token.
    ///   - out: (tokens, heads * headSize).
    package func attention(
        _ shape: AttentionShape, queries: borrowing FloatBuffer, queryStride: Int, cache: borrowing KVCache, layer: Int,
        firstPosition: Int, tokens: Int, into out: inout FloatBuffer, scratch: inout Scratch
    ) {
        let tileFloats = scratch.attention.count / pool.threadCount
        let step = AttentionStep(
            shape: shape, kernels: kernels, queries: queries.span, queryStride: queryStride, layer: layer,
            firstPosition: firstPosition, tokens: tokens)
        let out = out.shared
        let tiles = scratch.attention.shared
        if tokens <= Self.vectorProducts {
            attendOneByOne(step, cache, into: out, tiles: tiles, tileFloats: tileFloats)
        } else {
            attendInTiles(step, cache, into: out, tiles: tiles, tileFloats: tileFloats)
        }
    }

    /// Decode: a worker takes one head of one token, and streams through its keys, then through its values.
    private func attendOneByOne(
        _ step: AttentionStep, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        tiles: borrowing SharedBuffer<Float>, tileFloats: Int
    ) {
        pool.parallelFor(step.tokens * step.shape.heads) { index, worker in
            let (token, head) = index.quotientAndRemainder(dividingBy: step.shape.heads)
            let start = worker * tileFloats
            let count = step.shape.visible(from: step.firstPosition + token).count
            var scores = tiles.slice(start..<start + count)
            step.attend(token: token, head: head, cache, into: out, scores: &scores)
        }
    }

    /// Prefill: a worker takes a tile of queries of one head.
    private func attendInTiles(
        _ step: AttentionStep, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        tiles: borrowing SharedBuffer<Float>, tileFloats: Int
    ) {
        let queryTiles = (step.tokens + AttentionTile.queries - 1) / AttentionTile.queries
        pool.parallelFor(queryTiles * step.shape.heads) { index, worker in
            // The last tile sees the most keys: it goes first, so that no thread is left with it at the end.
            let (reversed, head) = index.quotientAndRemainder(dividingBy: step.shape.heads)
            let first = (queryTiles - 1 - reversed) * AttentionTile.queries
            let queries = first..<min(first + AttentionTile.queries, step.tokens)
            step.attend(queries, head: head, cache, into: out, tiles: tiles, at: worker * tileFloats)
        }
    }
}

/// One attention operation: what its workers share.
private struct AttentionStep: ~Escapable, Sendable {
    let shape: AttentionShape
    let kernels: Kernels
    let queries: Span<Float>
    let queryStride: Int
    let layer: Int
    let firstPosition: Int
    let tokens: Int

    @_lifetime(copy queries)
    init(
        shape: AttentionShape, kernels: Kernels, queries: Span<Float>, queryStride: Int, layer: Int, firstPosition: Int,
        tokens: Int
    ) {
        self.shape = shape
        self.kernels = kernels
        self.queries = queries
        self.queryStride = queryStride
        self.layer = layer
        self.firstPosition = firstPosition
        self.tokens = tokens
    }

    private func keyValueHead(of head: Int) -> Int {
        head / (shape.heads / shape.keyValueHeads)
    }

    /// One query against the positions that it sees. `scores` has room for each of them.
    func attend(
        token: Int, head: Int, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        scores: inout MutableSpan<Float>
    ) {
        let size = shape.headSize
        let positions = shape.visible(from: firstPosition + token)
        let start = token * queryStride + head * size
        let keyValueHead = keyValueHead(of: head)
        kernels.attentionScores(
            query: queries.extracting(start..<start + size),
            keys: cache.keys(layer: layer, head: keyValueHead, positions: positions),
            type: cache.shape.keyType, scale: shape.scale, into: &scores)
        kernels.softmax(&scores)
        let target = (token * shape.heads + head) * size
        var result = out.slice(target..<target + size)
        result.update(repeating: 0)
        kernels.attentionAccumulate(
            probabilities: scores.span,
            values: cache.values(layer: layer, head: keyValueHead, positions: positions),
            type: cache.shape.valueType, into: &result)
    }

    /// A tile of queries against all positions that one of them sees, a tile of keys at a time, with a running maximum
    /// and sum for each query (arXiv 2205.14135): the scores of the whole context are never in memory.
    func attend(
        _ tokens: Range<Int>, head: Int, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        tiles: borrowing SharedBuffer<Float>, at keysStart: Int
    ) {
        let size = shape.headSize
        let outStride = shape.heads * size
        let valuesStart = keysStart + AttentionTile.keys * size
        let scoresStart = valuesStart + AttentionTile.keys * size
        let maximaStart = scoresStart + AttentionTile.queries * AttentionTile.keys
        var maxima = tiles.slice(maximaStart..<maximaStart + tokens.count)
        var sums = tiles.slice(maximaStart + AttentionTile.queries..<maximaStart + AttentionTile.queries + tokens.count)
        for query in 0..<tokens.count {
            maxima[query] = -.infinity
            sums[query] = 0
            let target = (tokens.lowerBound + query) * outStride + head * size
            var result = out.slice(target..<target + size)
            result.update(repeating: 0)
        }
        let keyValueHead = keyValueHead(of: head)
        let start = shape.visible(from: firstPosition + tokens.lowerBound).lowerBound
        let end = firstPosition + tokens.upperBound
        for first in stride(from: start, to: end, by: AttentionTile.keys) {
            let tile = first..<min(first + AttentionTile.keys, end)
            var keys = tiles.slice(keysStart..<keysStart + tile.count * size)
            kernels.dequantize(
                cache.keys(layer: layer, head: keyValueHead, positions: tile), as: cache.shape.keyType,
                count: tile.count * size, into: &keys)
            let queryStart = tokens.lowerBound * queryStride + head * size
            BLAS.multiplyTransposed(
                m: tokens.count, n: tile.count, k: size, alpha: shape.scale,
                a: queries.extracting(queryStart..<queryStart + (tokens.count - 1) * queryStride + size),
                aStride: queryStride, b: keys.span, bStride: size,
                c: tiles, at: scoresStart, cStride: AttentionTile.keys)
            for query in 0..<tokens.count {
                let row = scoresStart + query * AttentionTile.keys
                let visible = shape.visible(from: firstPosition + tokens.lowerBound + query).clamped(to: tile)
                var before = tiles.slice(row..<row + visible.lowerBound - first)
                before.update(repeating: 0)
                var after = tiles.slice(row + visible.upperBound - first..<row + tile.count)
                after.update(repeating: 0)
                guard !visible.isEmpty else { continue }
                var scores = tiles.slice(row + visible.lowerBound - first..<row + visible.upperBound - first)
                let maximum = max(maxima[query], kernels.maximum(scores.span))
                let correction = maxima[query] == -.infinity ? 0 : expf(maxima[query] - maximum)
                sums[query] = sums[query] * correction + kernels.exponentials(of: &scores, maximum: maximum)
                maxima[query] = maximum
                if correction != 1 {
                    let target = (tokens.lowerBound + query) * outStride + head * size
                    var result = out.slice(target..<target + size)
                    kernels.scale(&result, by: correction)
                }
            }
            var values = tiles.slice(valuesStart..<valuesStart + tile.count * size)
            kernels.dequantize(
                cache.values(layer: layer, head: keyValueHead, positions: tile), as: cache.shape.valueType,
                count: tile.count * size, into: &values)
            let scoresSpan = tiles.slice(scoresStart..<scoresStart + AttentionTile.queries * AttentionTile.keys)
            BLAS.multiply(
                m: tokens.count, n: size, k: tile.count, a: scoresSpan.span, aStride: AttentionTile.keys,
                b: values.span, bStride: size, beta: 1,
                c: out, at: tokens.lowerBound * outStride + head * size, cStride: outStride)
        }
        for query in 0..<tokens.count {
            let target = (tokens.lowerBound + query) * outStride + head * size
            var result = out.slice(target..<target + size)
            kernels.scale(&result, by: 1 / sums[query])
        }
    }
}
