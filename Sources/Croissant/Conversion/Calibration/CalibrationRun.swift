import GGUF

/// Quantises the matrices of a model block by block, from the first to the last, while a text passes through it.
///
/// All chunks of the text go through one block before any goes through the next: what is kept is the residual of every
/// token, and the second moments of one block's inputs. A block sees what the blocks before it make of the text *after*
/// they were quantised, so that its weights can make up for their errors too.
struct CalibrationRun {
    private let plan: CalibrationPlan
    private let model: Model
    private let quantizer: FeedbackQuantizer

    /// Makes ready to calibrate `file`; throws where that takes more memory than there is.
    init(_ plan: CalibrationPlan, of file: GGUFFile, threads: Int) throws(ModelError) {
        try plan.checkMemory(threads: threads, available: HostMemory.spare)
        self.plan = plan
        model = try Model(file, options: plan.runtime(threads: threads))
        let backend = model.transformer.promptBackend
        quantizer = FeedbackQuantizer(kernels: backend.kernels, pool: backend.pool)
    }

    /// What is added to the diagonal of H, as a share of its mean: GPTQ's own. A thousandth to a tenth gave divergences within
    /// 5% of each other on stories260K, none of them best for every type.
    private static let damping: Float = 0.01

    /// What there is so far.
    private struct Work: ~Copyable {
        var factor: FeedbackFactor
        var progress: CalibrationProgress
        /// Takes every quantised matrix.
        let keep: (WeightMatrix) throws(ModelError) -> Void
    }

    /// Calibrates everything; returns whether `progress`, which is told the steps that are done, of those of the plan, has
    /// let it come to its end.
    ///
    /// - Parameter keep: takes every quantised matrix, of which no more are held than those of a block.
    func run(
        progress report: ((Int) -> Bool)?, keeping keep: @escaping (WeightMatrix) throws(ModelError) -> Void
    ) throws(ModelError) -> Bool {
        let weights = model.transformer.weights
        var work = Work(
            factor: try FeedbackFactor(columns: plan.factorColumns), progress: CalibrationProgress(report), keep: keep)
        var text = try CalibrationText(plan, model)
        var moments = try BlockMoments(model.configuration, isDiagonal: !plan.usesFeedback)
        for block in weights.blocks {
            moments.reset()
            guard text.observe(block, &moments, &work.progress), let quantized = try quantize(block, &moments, &work),
                text.pass(through: quantized, &work.progress)
            else { return false }
        }
        if weights.output.parts.contains(where: { plan.matrices[$0.name] != nil }) {
            moments.attention.reset()
            guard text.observeOutput(&moments.attention, work.progress),
                try quantize(weights.output, &moments.attention, &work) != nil
            else { return false }
        }
        return true
    }

    /// The block with those of its matrices quantised that are to be; nil where `progress` has stopped it.
    private func quantize(
        _ block: Weights.Block, _ moments: inout BlockMoments, _ work: inout Work
    ) throws(ModelError) -> Weights.Block? {
        guard let queryKeyValue = try quantize(block.queryKeyValue, &moments.attention, &work),
            let attentionOutput = try quantize(block.attentionOutput, &moments.attentionOutput, &work),
            let gateUp = try quantize(block.gateUp, &moments.feedForward, &work),
            let down = try quantize(block.down, &moments.down, &work)
        else { return nil }
        return Weights.Block(
            attentionNorm: block.attentionNorm, queryKeyValue: queryKeyValue,
            queryKeyValueBias: block.queryKeyValueBias, queryNorm: block.queryNorm, keyNorm: block.keyNorm,
            attentionOutput: attentionOutput, feedForwardNorm: block.feedForwardNorm, gateUp: gateUp, down: down)
    }

    /// Quantises matrices that meet the same inputs; nil where `progress` has stopped it.
    private func quantize(
        _ layer: Linear, _ moments: inout InputMoments, _ work: inout Work
    ) throws(ModelError) -> Linear? {
        let tensors = layer.parts.map { plan.matrices[$0.name] }
        let importance = try moments.importance(of: layer.parts[0].name)
        if tensors.contains(where: { $0.map(plan.usesFeedback) ?? false }) {
            moments.close(importance, damping: Self.damping)
            guard work.factor.factorize(moments, while: work.progress.goesOn) else { return nil }
        }
        var parts: [WeightMatrix] = []
        for (matrix, tensor) in zip(layer.parts, tensors) {
            guard let tensor else {
                parts.append(matrix)
                continue
            }
            let goesOn = work.progress.goesOn
            guard
                let blocks = plan.usesFeedback(tensor)
                    ? try quantizer.quantize(
                        matrix, as: tensor.type,
                        .init(importance: work.factor.costs, hessian: moments.hessian, factor: work.factor.upper),
                        while: goesOn)
                    : try quantizer.quantize(matrix, as: tensor.type, importance: importance, while: goesOn)
            else { return nil }
            let quantized = try WeightStore.matrix(tensor, of: model.file, blocks: blocks)
            try work.keep(quantized)
            parts.append(quantized)
            guard work.progress.advance(CalibrationProgress.stepsOfMatrix) else { return nil }
        }
        return Linear(parts, batchPrecision: .f32, isGated: layer.isGated)
    }
}

extension WeightStore {
    /// The matrix of what a tensor has become.
    fileprivate static func matrix(
        _ tensor: Quantizer.Tensor, of file: GGUFFile, blocks: consuming Buffer<UInt8>
    ) throws(ModelError) -> WeightMatrix {
        let info: TensorInfo
        do throws(GGUFError) { info = try TensorInfo(.init(tensor.source, type: tensor.type)) } catch {
            throw .file(error)
        }
        return WeightStore(info, of: file, blocks: blocks).matrix(info)
    }
}

/// How far a calibration is, in steps of about the same length.
struct CalibrationProgress {
    private var done = 0
    private let report: ((Int) -> Bool)?

    /// Steps that quantising a matrix counts; taking a chunk through a block is one, or one for each of its passes.
    static let stepsOfMatrix = 4

    /// No steps yet.
    init(_ report: ((Int) -> Bool)?) { self.report = report }

    /// Counts steps; whether to go on.
    mutating func advance(_ steps: Int) -> Bool {
        done += steps
        return goesOn()
    }

    /// Whether to go on.
    func goesOn() -> Bool { report?(done) ?? true }
}
