package import GGUF

/// The weights of a model, ready to compute with.
package struct Weights: Sendable {
    /// A row for each token: (vocabulary, embedding).
    let embedding: WeightMatrix
    /// The blocks, first to last.
    let blocks: [Block]
    /// (embedding)
    let outputNorm: [Float]
    /// embedding -> vocabulary
    let output: Linear
    /// (rotated pairs), where the file has them.
    let ropeFactors: [Float]?

    /// The weights of one transformer block.
    struct Block: Sendable {
        /// (embedding)
        let attentionNorm: [Float]
        /// embedding -> queries, keys, values
        let queryKeyValue: Linear
        /// (queries + keys + values), where the architecture has it.
        let queryKeyValueBias: [Float]?
        /// (head), where the architecture has it.
        let queryNorm: [Float]?
        /// (head), where the architecture has it.
        let keyNorm: [Float]?
        /// queries -> embedding
        let attentionOutput: Linear
        /// (embedding)
        let feedForwardNorm: [Float]
        /// embedding -> feed-forward, gated
        let gateUp: Linear
        /// feed-forward -> embedding
        let down: Linear

        /// All vectors that are held.
        var vectors: [[Float]] {
            [attentionNorm, feedForwardNorm] + [queryKeyValueBias, queryNorm, keyNorm].compactMap { $0 }
        }
    }

    /// Takes the tensors of `layout`, which has checked `file`, from `store`.
    package init(
        _ layout: TensorLayout, file: GGUFFile, store: WeightStore, kernels: Kernels, plan: MemoryPlan
    ) throws(ModelError) {
        let batch = plan.prefill.precision
        let tileSize = kernels.tileSize(for: batch)
        let tensors = TensorFetcher(file: file, store: store, kernels: kernels)
        embedding = try tensors.matrix(layout.embedding)
        var blocks: [Block] = []
        for block in layout.blocks {
            var biases: [Float] = []
            for bias in block.queryKeyValueBiases { biases += try tensors.vector(bias) }
            blocks.append(
                Block(
                    attentionNorm: try tensors.vector(block.attentionNorm),
                    queryKeyValue: Linear(
                        [
                            try tensors.matrix(block.query), try tensors.matrix(block.key),
                            try tensors.matrix(block.value),
                        ], batchPrecision: batch, tileSize: tileSize),
                    queryKeyValueBias: biases.isEmpty ? nil : biases,
                    queryNorm: try tensors.vector(block.queryNorm), keyNorm: try tensors.vector(block.keyNorm),
                    attentionOutput: Linear(
                        [try tensors.matrix(block.attentionOutput)], batchPrecision: batch, tileSize: tileSize),
                    feedForwardNorm: try tensors.vector(block.feedForwardNorm),
                    gateUp: Linear(
                        [try tensors.matrix(block.gate), try tensors.matrix(block.up)], batchPrecision: batch,
                        isGated: true, tileSize: tileSize),
                    down: Linear([try tensors.matrix(block.down)], batchPrecision: batch, tileSize: tileSize)))
        }
        self.blocks = blocks
        outputNorm = try tensors.vector(layout.outputNorm)
        let outputBatch = Self.outputPrecision(plan.prefill, plan.precision)
        output = Linear(
            [tensors.has(layout.output) ? try tensors.matrix(layout.output) : embedding],
            batchPrecision: outputBatch, tileSize: kernels.tileSize(for: outputBatch))
        ropeFactors = tensors.has(layout.ropeFactors) ? try tensors.vector(layout.ropeFactors, isPositive: true) : nil
    }

    /// What a matrix is for.
    struct Role {
        let tensor: TensorInfo
        /// Whether it is multiplied with activations.
        let isProduct: Bool
        /// Whether its rows are looked up.
        let isLookup: Bool
        /// What the activations of a batch are rounded to.
        let batch: ActivationPrecision
    }

    /// What the matrices among `tensors` are for.
    static func roles(
        of tensors: [TensorInfo], _ prefill: PrefillMethod, _ activations: ActivationPrecision
    ) -> [Role] {
        let isTied = !tensors.contains { $0.name == TensorLayout.outputName }
        return tensors.filter { $0.dimensions.count == 2 }.map { tensor in
            let isLookup = tensor.name == TensorLayout.embeddingName
            let isOutput = isTied ? isLookup : tensor.name == TensorLayout.outputName
            return Role(
                tensor: tensor, isProduct: !isLookup || isTied, isLookup: isLookup,
                batch: isOutput ? outputPrecision(prefill, activations) : prefill.precision)
        }
    }

    /// Logits are wanted as precise as those of decode: the output matrix never meets coarser activations in a batch.
    private static func outputPrecision(
        _ prefill: PrefillMethod, _ activations: ActivationPrecision
    ) -> ActivationPrecision {
        prefill == .sgemm ? .f32 : activations == .f32 ? .int16 : activations
    }

    /// Bytes of the norms, biases and factors that are held.
    package var vectorBytes: Int {
        let vectors = blocks.flatMap(\.vectors) + [outputNorm, ropeFactors ?? []]
        return vectors.reduce(0) { $0 + $1.count } * MemoryLayout<Float>.stride
    }

    /// Floats of the norms, biases and factors of `tensors`, which are copied out of the file.
    package static func vectorFloats(_ tensors: [TensorInfo]) -> Int {
        tensors.reduce(0) { $0 + ($1.dimensions.count == 1 ? $1.elementCount : 0) }
    }
}

/// Tensors by name.
private struct TensorFetcher {
    let file: GGUFFile
    let store: WeightStore
    let kernels: Kernels

    func has(_ tensor: ExpectedTensor) -> Bool { file.tensor(named: tensor.name) != nil }

    func matrix(_ tensor: ExpectedTensor) throws(ModelError) -> WeightMatrix {
        guard let info = file.tensor(named: tensor.name) else {
            throw .missingTensor(name: tensor.name, expected: tensor.dimensions)
        }
        return store.matrix(info)
    }

    /// The vector that an architecture may do without.
    func vector(_ tensor: ExpectedTensor?) throws(ModelError) -> [Float]? {
        guard let tensor else { return nil }
        return try vector(tensor, isPositive: false)
    }

    /// A vector as floats, all of them finite, and above zero if `isPositive`: one bad number here would spoil every
    /// token, and finding it costs nothing.
    func vector(_ tensor: ExpectedTensor, isPositive: Bool = false) throws(ModelError) -> [Float] {
        guard let info = file.tensor(named: tensor.name) else {
            throw .missingTensor(name: tensor.name, expected: tensor.dimensions)
        }
        // Read, not looked at in the mapping: one touch there can bring in megabytes around it.
        let bytes = try WeightStore.read(info, of: file)
        var floats = [Float](repeating: 0, count: info.elementCount)
        var span = floats.mutableSpan
        kernels.dequantize(bytes.bytes(of: 0..<bytes.count), as: info.type, count: info.elementCount, into: &span)
        if let index = floats.firstIndex(where: { !$0.isFinite || (isPositive && $0 <= 0) }) {
            throw .invalidWeight(
                tensor: tensor.name, index: index, value: "\(floats[index])",
                expected: isPositive ? "a finite number above 0" : "a finite number")
        }
        return floats
    }
}
