import GGUF

/// The rows of a projection to heads, of which GGUF's Llama wants pairs that RoPE turns side by side, where checkpoints
/// have the first elements of all pairs and then the second ones.
struct HeadRows: Sendable, Equatable {
    /// Rows of a head.
    let headSize: Int

    /// The row of the checkpoint that becomes row `row` of the file.
    func sourceRow(_ row: Int) -> Int {
        let (head, place) = row.quotientAndRemainder(dividingBy: headSize)
        return head * headSize + place % 2 * (headSize / 2) + place / 2
    }
}

/// Which tensor of a file comes from which of a checkpoint.
enum CheckpointLayout {
    /// A tensor of the file, in the order of the file.
    struct Source {
        /// Its name in the file.
        let name: String
        /// Its sizes, the length of a row first.
        let dimensions: [Int]
        /// Where its elements come from.
        let origin: Origin
    }

    /// Where elements come from.
    enum Origin {
        /// A tensor of the checkpoint, its type, and the order of its rows where that changes.
        case checkpoint(CheckpointTensors.Entry, GGMLType, HeadRows?)
        /// The configuration.
        case values([Float])
    }

    /// Finds every tensor of the layout of `sizes`, checks its shape and type, and refuses tensors that have no place
    /// in it.
    static func sources(
        of checkpoint: CheckpointTensors, _ configuration: CheckpointConfiguration, _ sizes: ModelConfiguration
    ) throws(ConversionError) -> [Source] {
        let layout = TensorLayout(sizes)
        let outputName = CheckpointArchitecture.checkpointName(of: layout.output.name) ?? layout.output.name
        let isTied = configuration.tiesEmbeddings ?? (checkpoint[outputName] == nil)
        var sources: [Source] = []
        // A matrix that is tied may be saved a second time.
        var known: Set<String> = [outputName]
        for tensor in layout.all {
            if tensor.name == layout.ropeFactors.name {
                if let factors = configuration.ropeFactors {
                    sources.append(Source(name: tensor.name, dimensions: tensor.dimensions, origin: .values(factors)))
                }
                continue
            }
            if tensor.name == layout.output.name && isTied { continue }
            guard let name = CheckpointArchitecture.checkpointName(of: tensor.name) else {
                preconditionFailure("\(tensor.name) has no name in checkpoints")
            }
            known.insert(name)
            let shape = Array(tensor.dimensions.reversed())
            guard let entry = checkpoint[name] else { throw .missingTensor(name, expected: shape) }
            guard entry.tensor.shape == shape else {
                throw .wrongShape(tensor: name, expected: shape, found: entry.tensor.shape)
            }
            guard let type = entry.tensor.type else {
                throw .invalidTensorFile(
                    checkpoint.path(of: entry), item: name, problem: "unsupported type", expected: "F32, F16 or BF16",
                    found: entry.tensor.typeName)
            }
            let heads = isReordered(tensor, sizes) ? HeadRows(headSize: sizes.headSize) : nil
            sources.append(
                Source(name: tensor.name, dimensions: tensor.dimensions, origin: .checkpoint(entry, type, heads)))
        }
        for entry in checkpoint.all
        where !known.contains(entry.tensor.name) && !CheckpointArchitecture.isDerived(entry.tensor.name) {
            throw .unexpectedTensor(entry.tensor.name, file: checkpoint.path(of: entry))
        }
        return sources
    }

    /// Whether rows of a tensor are elements of heads that RoPE turns by neighbouring pairs.
    private static func isReordered(_ tensor: ExpectedTensor, _ sizes: ModelConfiguration) -> Bool {
        guard sizes.architecture.rope == .adjacent, tensor.isMatrix else { return false }
        return tensor.name.hasSuffix("attn_q.weight") || tensor.name.hasSuffix("attn_k.weight")
    }
}
