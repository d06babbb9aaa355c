/// The chunks of a text on their way through a model, block by block.
struct CalibrationText: ~Copyable {
    private let transformer: Transformer
    private let chunks: Int
    private let length: Int
    /// The residual of every token: (chunks, tokens, embedding).
    private var states: FloatBuffer
    /// Keys and values of one chunk in one block.
    private var cache: KVCache
    private var activations: Activations
    private var scratch: Scratch

    /// The embeddings of all chunks.
    init(_ plan: CalibrationPlan, _ model: Model) throws(ModelError) {
        let states = try FloatBuffer.allocate(
            plan.tokenCount * model.configuration.embeddingLength, purpose: "the residuals of the calibration text")
        let cache = try KVCache(plan.cache)
        let activations = try Activations(model.plan.activations)
        let scratch = try Scratch(model.plan.scratch)
        transformer = model.transformer
        chunks = plan.chunkCount
        length = plan.chunkLength
        self.states = states
        self.cache = cache
        self.activations = activations
        self.scratch = scratch
        transformer.rope.fill(
            0..<length, cosines: &self.activations.cosines, sines: &self.activations.sines)
        for (chunk, tokens) in plan.chunks.enumerated() {
            backend.lookUp(
                tokens.span, in: transformer.weights.embedding, into: &self.activations.residual,
                scratch: &self.scratch)
            keep(chunk)
        }
    }

    private var backend: CPUBackend { transformer.promptBackend }

    /// Takes all chunks through a float block, and adds up the moments of what its matrices meet. The residuals stay.
    ///
    /// - Returns: whether `progress` has let it come to its end.
    mutating func observe(
        _ block: Weights.Block, _ moments: inout BlockMoments, _ progress: inout CalibrationProgress
    ) -> Bool {
        let length = length
        let backend = backend
        for chunk in 0..<chunks {
            take(chunk)
            transformer.forward(
                block, layer: 0, position: 0, tokens: length, cache: &cache, state: &activations, scratch: &scratch,
                on: backend
            ) { input, x in moments.add(x, to: input, rows: length, on: backend.pool) }
            guard progress.advance(1) else { return false }
        }
        return true
    }

    /// Takes all chunks through a block, to the next one.
    ///
    /// - Returns: whether `progress` has let it come to its end.
    mutating func pass(through block: Weights.Block, _ progress: inout CalibrationProgress) -> Bool {
        for chunk in 0..<chunks {
            take(chunk)
            transformer.forward(
                block, layer: 0, position: 0, tokens: length, cache: &cache, state: &activations, scratch: &scratch,
                on: backend)
            keep(chunk)
            guard progress.advance(1) else { return false }
        }
        return true
    }

    /// Adds up the moments of what the output matrix meets.
    mutating func observeOutput(_ moments: inout InputMoments) {
        for chunk in 0..<chunks {
            backend.rmsNorm(
                states, at: elements(of: chunk).lowerBound, weight: transformer.weights.outputNorm,
                epsilon: transformer.configuration.normEpsilon, rows: length, into: &activations.normalized)
            moments.add(activations.normalized.span, rows: length, on: backend.pool)
        }
    }

    /// Where a chunk is in ``states``.
    private func elements(of chunk: Int) -> Range<Int> {
        let count = length * transformer.configuration.embeddingLength
        return chunk * count..<(chunk + 1) * count
    }

    /// Takes the residual of a chunk out.
    private mutating func take(_ chunk: Int) {
        let range = elements(of: chunk)
        Self.copy(states, range, to: &activations.residual, at: 0)
    }

    /// Puts the residual of a chunk back.
    private mutating func keep(_ chunk: Int) {
        let range = elements(of: chunk)
        Self.copy(activations.residual, 0..<range.count, to: &states, at: range.lowerBound)
    }

    private static func copy(
        _ source: borrowing FloatBuffer, _ range: Range<Int>, to target: inout FloatBuffer, at start: Int
    ) {
        let source = source.span.extracting(range)
        var target = target.mutableSlice(start..<start + range.count)
        for index in source.indices { target[index] = source[index] }
    }
}
