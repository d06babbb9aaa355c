extension CPUBackend {
    /// Batches of up to this many tokens are multiplied vector by vector; larger ones panel by panel.
    package static let vectorProducts = 4

    /// y (tokens, rows) = x (tokens, columns) * transpose(layer).
    package func multiply(
        _ layer: Linear, _ x: borrowing FloatBuffer, tokens: Int, into y: inout FloatBuffer, scratch: inout Scratch
    ) {
        precondition(x.count >= tokens * layer.columns && y.count >= tokens * layer.rows, "buffers are too small")
        if tokens <= Self.vectorProducts {
            multiplyVectors(layer, x.span, tokens: tokens, into: &y, scratch: &scratch)
        } else {
            multiplyPanels(layer, x.span, tokens: tokens, into: &y, panels: &scratch.panels)
        }
    }

    /// Decode: the rows of the file as they are, against activations that are rounded once.
    private func multiplyVectors(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, scratch: inout Scratch
    ) {
        let columns = layer.columns
        let precisions = layer.parts.map { kernels.precision(for: $0.type, wanted: activations) }
        if activations != .f32, precisions.contains(activations) {
            for token in 0..<tokens {
                let row = x.extracting(token * columns..<(token + 1) * columns)
                scratch.quantized.store(row, at: token, precision: activations, kernels: kernels)
            }
        }
        let y = y.shared
        multiplyRows(layer, x, scratch.quantized, tokens: tokens, precisions: precisions, into: y)
    }

    private func multiplyRows(
        _ layer: Linear, _ x: Span<Float>, _ quantized: borrowing QuantizedColumns, tokens: Int,
        precisions: [ActivationPrecision], into y: borrowing SharedBuffer<Float>
    ) {
        let columns = layer.columns
        pool.parallelFor(layer.chunks.count) { index, _ in
            let tile = layer.chunks[index]
            let matrix = layer.parts[tile.part]
            let precision = precisions[tile.part]
            for token in 0..<tokens {
                let vector =
                    precision == .f32
                    ? ActivationVector(x.extracting(token * columns..<(token + 1) * columns))
                    : quantized.vector(token, count: columns, precision: precision)
                kernels.multiply(matrix, rows: tile.rows, vector, into: y, at: token * layer.rows + tile.offset)
            }
        }
    }

    /// Prefill: each worker dequantises a panel of rows into its own cache and multiplies all tokens with it.
    private func multiplyPanels(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, panels: inout FloatBuffer
    ) {
        let columns = layer.columns
        let panelFloats = panels.count / pool.threadCount
        let y = y.shared
        let panels = panels.shared
        pool.parallelFor(layer.panels.count) { index, worker in
            let tile = layer.panels[index]
            let start = worker * panelFloats
            var panel = panels.slice(start..<start + tile.rows.count * columns)
            kernels.dequantize(layer.parts[tile.part], rows: tile.rows, into: &panel)
            BLAS.multiplyTransposed(
                m: tokens, n: tile.rows.count, k: columns,
                a: x, aStride: columns, b: panel.span, bStride: columns,
                c: y, at: tile.offset, cStride: layer.rows)
        }
    }
}
