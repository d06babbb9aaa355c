/// What a token costs, and what this machine could do at best.
extension Model {
    /// The matrices that a token is multiplied by: all but a lookup of the embedding.
    private var products: [Linear] { products(of: transformer.weights.blocks[...]) + [transformer.weights.output] }

    /// The matrices that every token of a prompt is multiplied by: from the last block, all but the last token want keys
    /// and values alone.
    private var promptProducts: [Linear] {
        let blocks = transformer.weights.blocks
        return products(of: blocks.dropLast()) + blocks.suffix(1).map(\.queryKeyValue)
    }

    private func products(of blocks: ArraySlice<Weights.Block>) -> [Linear] {
        blocks.flatMap { [$0.queryKeyValue, $0.attentionOutput, $0.gateUp, $0.down] }
    }

    /// Bytes of weights that decode reads for each token, as they are held.
    package var weightBytesPerToken: Int {
        products.flatMap(\.parts).reduce(0) { $0 + $1.heldBytes.byteCount }
    }

    /// Bytes of keys and values of one position, which decode reads for each token after it.
    package var cacheBytesPerPosition: Int { plan.cache.byteCount / plan.cache.capacity }

    /// Operations of a token, a product of two numbers and its addition being two: with the weights, and with the
    /// `positions` that it attends to.
    ///
    /// - Parameter isPrompt: whether it is a token of a prompt other than the last, of which nobody wants to know what
    ///   follows.
    package func operations(positions: Int, isPrompt: Bool) -> Double {
        let weights = (isPrompt ? promptProducts : products).reduce(0) { $0 + $1.rows * $1.columns }
        let seen = min(positions, configuration.attention.window ?? positions)
        let attention = 2 * seen * configuration.queryLength * (configuration.layers - (isPrompt ? 1 : 0))
        return 2 * Double(weights + attention)
    }

    /// Operations a second that a prompt could reach with `roofline`: every product at the roof of the numbers that it
    /// multiplies. Nil where activations of 16 bits were asked for, whose roof is not measured; what tiles multiply as
    /// 16 bits of their own accord is held against the roof of bytes: full bytes on AVX2, and everything on AMX, whose
    /// products of bfloat16 are of half as many, and so reach half of that roof at most.
    package func promptRoof(_ roofline: Roofline) -> Double? {
        var operations = 0.0
        var seconds = 0.0
        for layer in promptProducts {
            for part in layer.parts {
                let roof: Double
                switch layer.batchActivations(of: part) {
                case .int8: roof = roofline.byteOperations
                case .f32: roof = roofline.floatOperations
                case .int16: return nil
                }
                let count = 2 * Double(part.rows * part.columns)
                operations += count
                seconds += count / roof
            }
        }
        return operations / seconds
    }

    /// Measures the roofs of the threads that feed a prompt, or of those that decode, with these weights.
    ///
    /// - Parameter seconds: for each of the three.
    package func measureRoofline(ofPrompt isPrompt: Bool, seconds: Double) -> Roofline {
        let backend = isPrompt ? transformer.promptBackend : transformer.backend
        return Roofline.measure(
            reading: products.flatMap(\.parts), kernels: backend.kernels, pool: backend.pool, seconds: seconds)
    }
}
