/// The sizes of the buffers that a pass goes through.
package struct ActivationShape: Sendable {
    /// Tokens in a pass.
    package let batchSize: Int
    /// Positions whose logits are kept: 1, as many as a guess and the token before it have, or all of a batch.
    package let logitRows: Int
    let embedding: Int
    let queries: Int
    let queryKeyValue: Int
    let hidden: Int
    let pairs: Int
    let vocabulary: Int

    /// The buffers of a model of `configuration`.
    package init(_ configuration: ModelConfiguration, batchSize: Int, draftTokens: Int = 0, allLogits: Bool) {
        self.batchSize = batchSize
        logitRows = allLogits ? batchSize : 1 + draftTokens
        embedding = configuration.embeddingLength
        queries = configuration.queryLength
        queryKeyValue = configuration.queryLength + 2 * configuration.keyValueLength
        hidden = configuration.feedForwardLength
        pairs = configuration.ropeDimensions / 2
        vocabulary = configuration.vocabularySize
    }

    /// Bytes that ``Activations`` will allocate.
    package var byteCount: Int {
        let perToken = 3 * embedding + queries + queryKeyValue + hidden + 2 * pairs
        return (batchSize * perToken + logitRows * vocabulary) * MemoryLayout<Float>.stride
    }
}

/// The buffers that a pass goes through, one set for a session.
package struct Activations: ~Copyable {
    /// The residual stream: (tokens, embedding).
    var residual: FloatBuffer
    /// The normalised residual: (tokens, embedding).
    var normalized: FloatBuffer
    /// Queries, keys and values of each token: (tokens, queries + 2 * keys).
    var queryKeyValue: FloatBuffer
    /// What attention found: (tokens, queries).
    var attention: FloatBuffer
    /// What a block's half adds to the residual: (tokens, embedding).
    var projected: FloatBuffer
    /// SiLU(gate) * up: (tokens, feed-forward).
    var hidden: FloatBuffer
    /// RoPE's angles: (tokens, pairs).
    var cosines: FloatBuffer
    /// RoPE's angles: (tokens, pairs).
    var sines: FloatBuffer
    /// (positions whose logits were asked for, vocabulary).
    var logits: FloatBuffer
    /// The sizes.
    package let shape: ActivationShape

    /// Allocates the buffers; throws where the system refuses the memory.
    package init(_ shape: ActivationShape) throws(ModelError) {
        self.shape = shape
        let tokens = shape.batchSize
        let purpose = "activations"
        let residual = try FloatBuffer.allocate(tokens * shape.embedding, purpose: purpose)
        let normalized = try FloatBuffer.allocate(tokens * shape.embedding, purpose: purpose)
        let queryKeyValue = try FloatBuffer.allocate(tokens * shape.queryKeyValue, purpose: purpose)
        let attention = try FloatBuffer.allocate(tokens * shape.queries, purpose: purpose)
        let projected = try FloatBuffer.allocate(tokens * shape.embedding, purpose: purpose)
        let hidden = try FloatBuffer.allocate(tokens * shape.hidden, purpose: purpose)
        let cosines = try FloatBuffer.allocate(tokens * shape.pairs, purpose: purpose)
        let sines = try FloatBuffer.allocate(tokens * shape.pairs, purpose: purpose)
        let logits = try FloatBuffer.allocate(shape.logitRows * shape.vocabulary, purpose: "logits")
        self.residual = residual
        self.normalized = normalized
        self.queryKeyValue = queryKeyValue
        self.attention = attention
        self.projected = projected
        self.hidden = hidden
        self.cosines = cosines
        self.sines = sines
        self.logits = logits
    }

    /// Bytes of its buffers.
    package var byteCount: Int {
        residual.byteCount + normalized.byteCount + queryKeyValue.byteCount + attention.byteCount + projected.byteCount
            + hidden.byteCount + cosines.byteCount + sines.byteCount + logits.byteCount
    }

    /// Moves the rows `rows` of the residual to its beginning; what was there is lost. In ascending order, so that the
    /// two may overlap; it is one row of a prompt, in a loop that takes a microsecond.
    mutating func keepResidual(of rows: Range<Int>) {
        guard rows.lowerBound > 0 else { return }
        let start = rows.lowerBound * shape.embedding
        let count = rows.count * shape.embedding
        var residual = residual.mutableSpan
        for element in 0..<count { residual[element] = residual[start + element] }
    }
}
