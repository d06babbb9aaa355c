/// The forward pass of the Llama family (arXiv 2302.13971), top to bottom like the paper, with the parts that Qwen 2
/// (arXiv 2407.10671) and Qwen 3 (arXiv 2505.09388) add to it where a block has weights for them.
package struct Transformer: Sendable {
    let configuration: ModelConfiguration
    let weights: Weights
    let rope: RoPE
    /// What feeds a few tokens at a time.
    let backend: CPUBackend
    /// What feeds batches, with as many threads as they are worth.
    let promptBackend: CPUBackend

    /// Which positions' logits a pass computes: the last block and the output matrix are a tenth of the work, and
    /// prompts need them once.
    package enum Logits: Sendable {
        /// None.
        case none
        /// The last position's.
        case last
        /// Every position's.
        case all

        /// The rows of a pass of `tokens` that they are computed from.
        func rows(of tokens: Int) -> Range<Int> {
            switch self {
            case .none: tokens..<tokens
            case .last: tokens - 1..<tokens
            case .all: 0..<tokens
            }
        }
    }

    /// Feeds `tokens`, which continue what `cache` holds, and leaves the logits asked for in `state.logits`.
    package func forward(
        _ tokens: Span<Int32>, cache: inout KVCache, state: inout Activations, scratch: inout Scratch, logits: Logits
    ) {
        let count = tokens.count
        let position = cache.count
        precondition(
            count > 0 && count <= state.shape.batchSize, "\(count) tokens in a batch of \(state.shape.batchSize)")
        precondition(count <= cache.shape.capacity - position, "loading and prefill check the context")

        let backend = count > CPUBackend.vectorProducts ? promptBackend : backend
        backend.lookUp(tokens, in: weights.embedding, into: &state.residual, scratch: &scratch)
        rope.fill(position..<position + count, cosines: &state.cosines, sines: &state.sines)
        let wanted = logits.rows(of: count)
        for (layer, block) in weights.blocks.enumerated() {
            // Later passes need every token's keys and values, but nobody reads what the last block makes of a token
            // unless its logits are asked for: with 24 blocks that is a thirtieth of a prompt's work. What a batch leaves
            // of few rows is multiplied as decode multiplies.
            let rows = layer == weights.blocks.count - 1 ? wanted : 0..<count
            forward(
                block, layer: layer, position: position, tokens: count, results: rows, cache: &cache, state: &state,
                scratch: &scratch, on: backend)
        }
        cache.advance(by: count)
        predict(rows: wanted.count, &state, &scratch, on: backend)
    }

    /// What the matrices of a block are multiplied with.
    enum BlockInput: CaseIterable {
        /// (tokens, embedding): the normalised residual, for queries, keys and values.
        case attention
        /// (tokens, queries): what attention found, for its output.
        case attentionOutput
        /// (tokens, embedding): the normalised residual, for gate and up.
        case feedForward
        /// (tokens, feed-forward): SiLU(gate) * up, for down.
        case down
    }

    /// Takes `state.residual` (tokens, embedding) through one block, whose keys and values are those of `layer` in the
    /// cache, from `position` on; the angles of these positions are in `state` already.
    ///
    /// - Parameters:
    ///   - results: the rows that go all the way, which `state.residual` begins with afterwards; of the others, keys
    ///     and values are stored, and that is all.
    ///   - observe: is shown what the matrices of the block are multiplied with.
    func forward(
        _ block: Weights.Block, layer: Int, position: Int, tokens count: Int, results: Range<Int>,
        cache: inout KVCache, state: inout Activations, scratch: inout Scratch, on backend: CPUBackend,
        observing observe: (BlockInput, borrowing FloatBuffer) -> Void = { _, _ in }
    ) {
        backend.rmsNorm(
            state.residual, weight: block.attentionNorm, epsilon: configuration.normEpsilon, rows: count,
            into: &state.normalized)
        observe(.attention, state.normalized)
        backend.multiply(
            block.queryKeyValue, state.normalized, tokens: count, into: &state.queryKeyValue, scratch: &scratch)
        if let bias = block.queryKeyValueBias {
            backend.add(bias, toRowsOf: &state.queryKeyValue, rows: count)
        }
        normalizeHeads(block, tokens: count, &state, on: backend)
        rotateAndStore(layer: layer, position: position, tokens: count, &state, &cache, on: backend)

        guard !results.isEmpty else { return }
        state.keepResidual(of: results)
        backend.attention(
            configuration.attention, queries: state.queryKeyValue, queryStride: state.shape.queryKeyValue,
            firstRow: results.lowerBound, cache: cache, layer: layer, firstPosition: position + results.lowerBound,
            tokens: results.count, precision: block.queryKeyValue.batchActivations, into: &state.attention,
            scratch: &scratch)
        observe(.attentionOutput, state.attention)
        backend.multiply(
            block.attentionOutput, state.attention, tokens: results.count, into: &state.projected, scratch: &scratch)
        backend.add(state.projected, to: &state.residual, count: results.count * configuration.embeddingLength)

        backend.rmsNorm(
            state.residual, weight: block.feedForwardNorm, epsilon: configuration.normEpsilon, rows: results.count,
            into: &state.normalized)
        observe(.feedForward, state.normalized)
        backend.multiply(block.gateUp, state.normalized, tokens: results.count, into: &state.hidden, scratch: &scratch)
        observe(.down, state.hidden)
        backend.multiply(block.down, state.hidden, tokens: results.count, into: &state.projected, scratch: &scratch)
        backend.add(state.projected, to: &state.residual, count: results.count * configuration.embeddingLength)
    }

    /// Normalises each head of the queries and of the keys, where the block has norms for them.
    private func normalizeHeads(
        _ block: Weights.Block, tokens: Int, _ state: inout Activations, on backend: CPUBackend
    ) {
        let heads = [
            (block.queryNorm, 0..<configuration.heads),
            (block.keyNorm, configuration.heads..<configuration.heads + configuration.keyValueHeads),
        ]
        for case (let weight?, let range) in heads {
            backend.rmsNorm(
                ofHeads: range, of: &state.queryKeyValue, stride: state.shape.queryKeyValue, weight: weight,
                epsilon: configuration.normEpsilon, rows: tokens)
        }
    }

    /// Turns queries and keys by their positions, and appends keys and values to the cache.
    private func rotateAndStore(
        layer: Int, position: Int, tokens: Int, _ state: inout Activations, _ cache: inout KVCache,
        on backend: CPUBackend
    ) {
        let stride = state.shape.queryKeyValue
        let queries = configuration.queryLength
        let keys = configuration.keyValueLength
        backend.rotate(
            &state.queryKeyValue, stride: stride, heads: configuration.heads + configuration.keyValueHeads,
            headSize: configuration.headSize, rows: tokens, cosines: state.cosines, sines: state.sines, rope: rope)
        backend.append(
            &state.queryKeyValue, stride: stride, keysAt: queries, valuesAt: queries + keys, length: keys, rows: tokens,
            layer: layer, position: position, to: &cache)
    }

    /// The final norm and the output matrix, for the first `rows` of the residual.
    private func predict(
        rows: Int, _ state: inout Activations, _ scratch: inout Scratch, on backend: CPUBackend
    ) {
        guard rows > 0 else { return }
        precondition(rows <= state.shape.logitRows, "logits of \(rows) positions were not planned")
        backend.rmsNorm(
            state.residual, weight: weights.outputNorm, epsilon: configuration.normEpsilon, rows: rows,
            into: &state.normalized)
        backend.multiply(weights.output, state.normalized, tokens: rows, into: &state.logits, scratch: &scratch)
    }
}
