package import GGUF

/// A tensor that a model has.
package struct ExpectedTensor: Sendable {
    /// Its name in the file.
    package let name: String
    /// Its shape in GGUF order: the row length first.
    package let dimensions: [Int]
    /// Whether files may do without it.
    package let isOptional: Bool

    /// Whether it is a matrix of a product, which can be quantised; the others are vectors of floats.
    package var isMatrix: Bool { dimensions.count == 2 }

    fileprivate init(_ name: String, _ dimensions: Int..., isOptional: Bool = false) {
        self.name = name
        self.dimensions = dimensions
        self.isOptional = isOptional
    }
}

/// The tensors of a model: their names, as converters write them, and their shapes.
///
/// Loading, synthesis and memory planning all read this one list.
package struct TensorLayout: Sendable {
    /// The tensor whose rows tell the size of the vocabulary.
    static let embeddingName = "token_embd.weight"
    /// The tensor that turns the last residual into logits.
    static let outputName = "output.weight"

    /// (embedding, vocabulary): a row for each token.
    package let embedding: ExpectedTensor
    /// The blocks, first to last.
    package let blocks: [Block]
    /// (embedding)
    package let outputNorm: ExpectedTensor
    /// (embedding, vocabulary); absent where the embedding serves twice.
    package let output: ExpectedTensor
    /// (rotated pairs): what each RoPE frequency is divided by, where there is such a thing (Llama 3).
    package let ropeFactors: ExpectedTensor

    /// The tensors of one transformer block.
    package struct Block: Sendable {
        /// (embedding)
        package let attentionNorm: ExpectedTensor
        /// (embedding, queries)
        package let query: ExpectedTensor
        /// (embedding, keys)
        package let key: ExpectedTensor
        /// (embedding, values)
        package let value: ExpectedTensor
        /// (queries), (keys), (values): none in most architectures.
        package let queryKeyValueBiases: [ExpectedTensor]
        /// (head): none in most architectures.
        package let queryNorm: ExpectedTensor?
        /// (head): none in most architectures.
        package let keyNorm: ExpectedTensor?
        /// (queries, embedding)
        package let attentionOutput: ExpectedTensor
        /// (embedding)
        package let feedForwardNorm: ExpectedTensor
        /// (embedding, feed-forward)
        package let gate: ExpectedTensor
        /// (embedding, feed-forward)
        package let up: ExpectedTensor
        /// (feed-forward, embedding)
        package let down: ExpectedTensor

        /// All of them, in the order of the forward pass.
        package var all: [ExpectedTensor] {
            [attentionNorm, query, key, value] + queryKeyValueBiases + [queryNorm, keyNorm].compactMap { $0 }
                + [attentionOutput, feedForwardNorm, gate, up, down]
        }
    }

    /// The tensors of a model of `configuration`.
    package init(_ configuration: ModelConfiguration) {
        let embedding = configuration.embeddingLength
        let vocabulary = configuration.vocabularySize
        let queries = configuration.queryLength
        let keys = configuration.keyValueLength
        let hidden = configuration.feedForwardLength
        let architecture = configuration.architecture
        self.embedding = ExpectedTensor(Self.embeddingName, embedding, vocabulary)
        outputNorm = ExpectedTensor("output_norm.weight", embedding)
        output = ExpectedTensor(Self.outputName, embedding, vocabulary, isOptional: true)
        ropeFactors = ExpectedTensor("rope_freqs.weight", configuration.ropeDimensions / 2, isOptional: true)
        blocks = (0..<configuration.layers).map { layer in
            let prefix = "blk.\(layer)"
            return Block(
                attentionNorm: ExpectedTensor("\(prefix).attn_norm.weight", embedding),
                query: ExpectedTensor("\(prefix).attn_q.weight", embedding, queries),
                key: ExpectedTensor("\(prefix).attn_k.weight", embedding, keys),
                value: ExpectedTensor("\(prefix).attn_v.weight", embedding, keys),
                queryKeyValueBiases: architecture.hasQueryKeyValueBias
                    ? [
                        ExpectedTensor("\(prefix).attn_q.bias", queries),
                        ExpectedTensor("\(prefix).attn_k.bias", keys),
                        ExpectedTensor("\(prefix).attn_v.bias", keys),
                    ] : [],
                queryNorm: architecture.normalizesHeads
                    ? ExpectedTensor("\(prefix).attn_q_norm.weight", configuration.headSize) : nil,
                keyNorm: architecture.normalizesHeads
                    ? ExpectedTensor("\(prefix).attn_k_norm.weight", configuration.headSize) : nil,
                attentionOutput: ExpectedTensor("\(prefix).attn_output.weight", queries, embedding),
                feedForwardNorm: ExpectedTensor("\(prefix).ffn_norm.weight", embedding),
                gate: ExpectedTensor("\(prefix).ffn_gate.weight", embedding, hidden),
                up: ExpectedTensor("\(prefix).ffn_up.weight", embedding, hidden),
                down: ExpectedTensor("\(prefix).ffn_down.weight", hidden, embedding))
        }
    }

    /// Every tensor, in the order in which files are written and read.
    package var all: [ExpectedTensor] {
        [embedding] + blocks.flatMap(\.all) + [outputNorm, output, ropeFactors]
    }

    /// Checks that `file` has each tensor, in the shape that the metadata asks for, in a type that kernels exist for,
    /// and no tensor whose part in the computation is unknown. Returns those of the list that it has.
    package func check(_ file: GGUFFile) throws(ModelError) -> [TensorInfo] {
        if let problem = problems(in: file).first { throw problem }
        return all.compactMap { file.tensor(named: $0.name) }
    }

    /// Everything that is wrong with the tensors of `file`: those of the list first, in its order.
    package func problems(in file: GGUFFile) -> [ModelError] {
        let names = Set(all.map(\.name))
        return all.compactMap { problem(with: $0, in: file) }
            + file.tensors.filter { !names.contains($0.name) }.map { .unexpectedTensor(name: $0.name) }
    }

    private func problem(with expected: ExpectedTensor, in file: GGUFFile) -> ModelError? {
        guard let info = file.tensor(named: expected.name) else {
            return expected.isOptional ? nil : .missingTensor(name: expected.name, expected: expected.dimensions)
        }
        guard info.dimensions == expected.dimensions else {
            return .wrongShape(tensor: info.name, expected: expected.dimensions, found: info.dimensions)
        }
        let allowed = expected.isMatrix ? Kernels.canCompute(info.type) : Self.vectorTypes.contains(info.type)
        guard !allowed else { return nil }
        let known = expected.isMatrix ? GGMLType.allCases.filter(Kernels.canCompute) : Self.vectorTypes
        return .unsupportedType(
            tensor: info.name, type: info.type.name, expected: known.map(\.name).joined(separator: ", "))
    }

    /// Norms, biases and factors are never quantised.
    private static let vectorTypes: [GGMLType] = [.f32, .f16, .bf16]
}
