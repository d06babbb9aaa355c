/// The chunks of a text on their way through a model, block by block.
struct CalibrationText: ~Copyable {
    private let transformer: Transformer
    private let chunks: Int
    private let length: Int
    /// The tokens of a chunk that go through a block together.
    private let passes: [Range<Int>]
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
        passes = plan.passes
        self.states = states
        self.cache = cache
        self.activations = activations
        self.scratch = scratch
        for (chunk, tokens) in plan.chunks.enumerated() {
            for pass in passes {
                backend.lookUp(
                    tokens.span.extracting(pass), in: transformer.weights.embedding, into: &self.activations.residual,
                    scratch: &self.scratch)
                keep(pass, of: chunk)
            }
        }
    }

    private var backend: CPUBackend { transformer.promptBackend }

    /// Takes all chunks through a float block, and adds up the moments of what its matrices meet. The residuals stay.
    ///
    /// - Returns: whether `progress` has let it come to its end.
    mutating func observe(
        _ block: Weights.Block, _ moments: inout BlockMoments, _ progress: inout CalibrationProgress
    ) -> Bool {
        let backend = backend
        return forEachPass(of: block, &progress) { input, x, rows in
            moments.add(x, to: input, rows: rows, on: backend.pool)
        }
    }

    /// Takes all chunks through a block, to the next one.
    ///
    /// - Returns: whether `progress` has let it come to its end.
    mutating func pass(through block: Weights.Block, _ progress: inout CalibrationProgress) -> Bool {
        forEachPass(of: block, &progress, keepsStates: true)
    }

    /// Takes all chunks through a block.
    private mutating func forEachPass(
        of block: Weights.Block, _ progress: inout CalibrationProgress, keepsStates: Bool = false,
        observing observe: (Transformer.BlockInput, borrowing FloatBuffer, _ rows: Int) -> Void = { _, _, _ in }
    ) -> Bool {
        let backend = backend
        for chunk in 0..<chunks {
            for pass in passes {
                take(pass, of: chunk)
                transformer.rope.fill(pass, cosines: &activations.cosines, sines: &activations.sines)
                transformer.forward(
                    block, layer: 0, position: pass.lowerBound, tokens: pass.count, results: 0..<pass.count,
                    cache: &cache, state: &activations, scratch: &scratch, on: backend
                ) { input, x in observe(input, x, pass.count) }
                if keepsStates { keep(pass, of: chunk) }
                guard progress.advance(1) else { return false }
            }
        }
        return true
    }

    /// Adds up the moments of what the output matrix meets.
    ///
    /// - Returns: whether `progress` has let it come to its end.
    mutating func observeOutput(_ moments: inout InputMoments, _ progress: CalibrationProgress) -> Bool {
        for chunk in 0..<chunks {
            for pass in passes {
                backend.rmsNorm(
                    states, at: elements(of: pass, of: chunk).lowerBound, weight: transformer.weights.outputNorm,
                    epsilon: transformer.configuration.normEpsilon, rows: pass.count, into: &activations.normalized)
                moments.add(activations.normalized.span, rows: pass.count, on: backend.pool)
            }
            guard progress.goesOn() else { return false }
        }
        return true
    }

    /// Where tokens of a chunk are in ``states``.
    private func elements(of tokens: Range<Int>, of chunk: Int) -> Range<Int> {
        let width = transformer.configuration.embeddingLength
        let start = chunk * length
        return (start + tokens.lowerBound) * width..<(start + tokens.upperBound) * width
    }

    /// Takes the residuals of tokens of a chunk out.
    private mutating func take(_ tokens: Range<Int>, of chunk: Int) {
        Self.copy(states, elements(of: tokens, of: chunk), to: &activations.residual, at: 0)
    }

    /// Puts the residuals of tokens of a chunk back.
    private mutating func keep(_ tokens: Range<Int>, of chunk: Int) {
        let range = elements(of: tokens, of: chunk)
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
