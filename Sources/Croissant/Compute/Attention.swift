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

    /// Query heads that share a key/value head.
    var group: Int { heads / keyValueHeads }

    /// The most tokens that are a few, see ``FewQueries``. A tile computes sixteen queries, whatever is in them: where each
    /// head has keys of its own, 9 and 12 tokens at a depth of 1536 take 1.24 and 1.12 times as long in tiles on Zen 4, and
    /// 1.35 and 1.18 times with its AVX2 alone (a whole pass, Q4_0, cache of f16).
    var fewTokens: Int { max(CPUBackend.vectorProducts, 12 / group) }
}

/// Where the rows of one key/value head are: `group` rows of the first token, as many of the next, and so on.
struct AttentionRows: Sendable {
    /// The first element of row 0.
    private let start: Int
    /// Elements from one token to the next.
    private let tokenStride: Int
    private let group: Int
    /// Elements of a row.
    let length: Int

    fileprivate init(of head: Int, _ shape: AttentionShape, tokenStride: Int) {
        start = head * shape.group * shape.headSize
        self.tokenStride = tokenStride
        group = shape.group
        length = shape.headSize
    }

    /// Rows of `length` elements, one after the other.
    init(length: Int) {
        start = 0
        tokenStride = length
        group = 1
        self.length = length
    }

    /// The elements of a row.
    subscript(row: Int) -> Range<Int> {
        let (token, head) = row.quotientAndRemainder(dividingBy: group)
        let first = start + token * tokenStride + head * length
        return first..<first + length
    }
}

/// One attention operation: what its workers share.
///
/// The queries of one key/value head are its rows: `group` of the first token, as many of the next, and so on. Every
/// worker takes some rows, or some positions, of one key/value head: how the work is cut depends on the sizes only, so
/// that any number of threads computes the same bits.
struct AttentionStep: ~Escapable, Sendable {
    let shape: AttentionShape
    let kernels: Kernels
    /// Rows of `queryStride` floats, one for each token, that begin with its queries (heads, head size).
    let queries: Span<Float>
    let queryStride: Int
    let layer: Int
    /// The position of the first token.
    let firstPosition: Int
    let tokens: Int
    /// Whether tiles are multiplied as integers.
    let integers: Bool

    @_lifetime(copy queries)
    fileprivate init(
        shape: AttentionShape, kernels: Kernels, queries: Span<Float>, queryStride: Int, layer: Int, firstPosition: Int,
        tokens: Int, integers: Bool
    ) {
        self.shape = shape
        self.kernels = kernels
        self.queries = queries
        self.queryStride = queryStride
        self.layer = layer
        self.firstPosition = firstPosition
        self.tokens = tokens
        self.integers = integers
    }

    /// Queries of one key/value head.
    var rows: Int { tokens * shape.group }

    /// The positions that `row` attends to.
    func visible(row: Int) -> Range<Int> { shape.visible(from: firstPosition + row / shape.group) }

    /// The queries of a key/value head in `queries`.
    func queryRows(keyValueHead head: Int) -> AttentionRows { AttentionRows(of: head, shape, tokenStride: queryStride) }

    /// Where their results go: rows of (tokens, heads, head size).
    func resultRows(keyValueHead head: Int) -> AttentionRows {
        AttentionRows(of: head, shape, tokenStride: shape.heads * shape.headSize)
    }
}

extension CPUBackend {
    /// Causal attention (arXiv 1706.03762), in a sliding window or not, of the newest `tokens` positions of one layer.
    ///
    /// - Parameters:
    ///   - queries: rows of `queryStride` floats that begin with queries (heads * headSize).
    ///   - firstRow: the row of the first new token.
    ///   - cache: holds keys and values of all positions, those of the new tokens included.
    ///   - firstPosition: the position of the first new token.
    ///   - precision: what the activations of a batch are rounded to: with int8, which is much coarser, queries, keys
    ///     and values of many tokens are rounded to integers of about 13 bits where that is faster.
    ///   - out: (tokens, heads * headSize).
    package func attention(
        _ shape: AttentionShape, queries: borrowing FloatBuffer, queryStride: Int, firstRow: Int,
        cache: borrowing KVCache, layer: Int, firstPosition: Int, tokens: Int, precision: ActivationPrecision,
        into out: inout FloatBuffer, scratch: inout Scratch
    ) {
        let workerFloats = scratch.attentionFloats
        let first = scratch.attention.count - pool.threadCount * workerFloats
        let step = AttentionStep(
            shape: shape, kernels: kernels, queries: queries.span.extracting(droppingFirst: firstRow * queryStride),
            queryStride: queryStride, layer: layer, firstPosition: firstPosition, tokens: tokens,
            integers: precision == .int8)
        let out = out.shared
        let floats = scratch.attention.shared
        if tokens <= shape.fewTokens {
            attend(FewQueries(step), step, cache, into: out, floats) { first + $0 * workerFloats }
        } else {
            attendInTiles(step, cache, into: out, floats) { first + $0 * workerFloats }
        }
    }

    /// A few tokens: a worker takes some positions of one key/value head, and streams through its keys and values.
    private func attend(
        _ few: FewQueries, _ step: AttentionStep, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        _ floats: borrowing SharedBuffer<Float>, _ start: @Sendable (_ worker: Int) -> Int
    ) {
        let heads = step.shape.keyValueHeads
        let parts = few.parts.count
        let rotated = cache.shape.rotatesValues
        pool.parallelRanges(heads * parts) { indices, worker in
            for index in indices {
                let (head, part) = index.quotientAndRemainder(dividingBy: parts)
                few.attend(part: part, head: head, step, cache, floats: floats, at: start(worker))
                if parts == 1 { few.combine(head: head, step, floats, rotated: rotated, into: out) }
            }
        }
        guard parts > 1 else { return }
        pool.parallelRanges(heads) { indices, _ in
            for head in indices { few.combine(head: head, step, floats, rotated: rotated, into: out) }
        }
    }

    /// Many tokens: a worker takes a tile of the queries of one key/value head.
    private func attendInTiles(
        _ step: AttentionStep, _ cache: borrowing KVCache, into out: borrowing SharedBuffer<Float>,
        _ floats: borrowing SharedBuffer<Float>, _ start: @Sendable (_ worker: Int) -> Int
    ) {
        let heads = step.shape.keyValueHeads
        let tiles = (step.rows + AttentionTile.rows - 1) / AttentionTile.rows
        pool.parallelFor(tiles * heads) { index, worker in
            // The last tile sees the most keys: it goes first, so that no thread is left with it at the end.
            let (reversed, head) = index.quotientAndRemainder(dividingBy: heads)
            let first = (tiles - 1 - reversed) * AttentionTile.rows
            let rows = first..<min(first + AttentionTile.rows, step.rows)
            AttentionTile(rows, of: step, at: start(worker)).attend(
                head: head, step, cache, into: out, floats: floats)
        }
    }
}
