/// The shapes that scratch memory has to serve.
package struct ScratchShape: Sendable {
    /// The row lengths of the weight matrices, each once.
    package let columns: [Int]
    /// Elements in a head.
    package let headSize: Int
    /// Positions that the cache can hold.
    package let contextLength: Int
    /// Tokens in a pass.
    package let batchSize: Int
    /// Threads, each with scratch of its own.
    package let threads: Int
}

/// Memory that operations use and leave behind: one set for a session.
package struct Scratch: ~Copyable {
    /// Panels of dequantised weights, one a thread.
    var panels: FloatBuffer
    /// Scores, keys and values of attention tiles, one set a thread.
    var attention: FloatBuffer
    /// The quantised input of a matrix-vector product.
    var quantized: QuantizedColumns
    /// The shapes that it was made for.
    let shape: ScratchShape

    /// Allocates scratch; throws where the system refuses the memory.
    package init(_ shape: ScratchShape) throws(ModelError) {
        self.shape = shape
        let panels = try FloatBuffer.allocate(shape.threads * shape.panelFloats, purpose: "weight panels")
        let attention = try FloatBuffer.allocate(shape.threads * shape.attentionFloats, purpose: "attention tiles")
        let quantized = try QuantizedColumns(capacity: shape.longestRow, vectors: shape.vectors)
        self.panels = panels
        self.attention = attention
        self.quantized = quantized
    }

    /// Bytes of its buffers.
    package var byteCount: Int { panels.byteCount + attention.byteCount + quantized.byteCount }
}

extension ScratchShape {
    /// Bytes that ``Scratch`` will allocate.
    package var byteCount: Int {
        threads * (panelFloats + attentionFloats) * MemoryLayout<Float>.stride
            + QuantizedColumns.byteCount(capacity: longestRow, vectors: vectors)
    }

    /// The vectors that are multiplied one by one before a batch is worth a panel.
    var vectors: Int { min(batchSize, CPUBackend.vectorProducts) }

    /// The longest row of any weight matrix.
    fileprivate var longestRow: Int { columns.max() ?? 0 }

    /// Floats of one thread's panel; no batch, no panel.
    var panelFloats: Int {
        guard batchSize > CPUBackend.vectorProducts else { return 0 }
        return columns.map { Linear.panelRows(columns: $0) * $0 }.max() ?? 0
    }

    /// Floats of one thread's attention tile.
    var attentionFloats: Int {
        max(contextLength, batchSize > CPUBackend.vectorProducts ? AttentionTile.floats(headSize: headSize) : 0)
    }
}
