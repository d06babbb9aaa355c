import GGUF

extension CPUBackend {
    /// The products of many tokens with the parts of a layer that meet them as floats: each worker multiplies all tokens
    /// with a tile of rows.
    func multiplyFloats(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, gates: inout FloatBuffer,
        _ slabs: inout FloatBuffer, tiles: inout FloatBuffer
    ) {
        guard !layer.floatTiles.isEmpty else { return }
        let rows = x.extracting(0..<tokens * layer.columns)
        let hasSlabs = layer.parts.indices.contains { prefersSlabs(layer, part: $0, tokens: tokens) }
        if hasSlabs {
            laySlabs(rows, tokens: tokens, columns: layer.columns, into: slabs.shared)
        }
        let input = FloatInput(
            tokens: tokens, rows: rows, slabs: slabs.span.extracting(0..<(hasSlabs ? rows.count : 0)))
        multiplyTiles(layer, input, into: y.shared, gates: gates.shared, tiles: tiles.shared)
    }

    private func prefersSlabs(_ layer: Linear, part: Int, tokens: Int) -> Bool {
        !layer.meetsBLAS[part] && kernels.prefersSlabs(layer.parts[part].type, tokens: tokens)
    }

    /// All threads lay the columns of x (tokens, columns) side by side.
    private func laySlabs(
        _ x: Span<Float>, tokens: Int, columns: Int, into slabs: borrowing SharedBuffer<Float>
    ) {
        let parts = Kernels.slabs(of: columns)
        pool.parallelFor(parts.count) { index, _ in
            let part = parts[index]
            var slab = slabs.slice(part.lowerBound * tokens..<part.upperBound * tokens)
            kernels.laySlab(x, columns: columns, part: part, into: &slab)
        }
    }

    private func multiplyTiles(
        _ layer: Linear, _ x: FloatInput, into y: borrowing SharedBuffer<Float>, gates: borrowing SharedBuffer<Float>,
        tiles: borrowing SharedBuffer<Float>
    ) {
        // Whole cache lines, however many threads share what was planned for more of them.
        let workerFloats = tiles.count / pool.threadCount / 16 * 16
        let workerGates = gates.count / pool.threadCount
        pool.parallelFor(layer.floatTiles.count) { index, worker in
            let tile = layer.floatTiles[index]
            let floats = worker * workerFloats..<(worker + 1) * workerFloats
            guard layer.isGated else {
                multiply(
                    layer, part: tile.part, tile.rows, x, tiles: tiles, floats, into: y, at: tile.offset,
                    stride: layer.rows)
                return
            }
            let height = tile.rows.count
            let place = worker * workerGates
            for part in layer.parts.indices {
                multiply(
                    layer, part: part, tile.rows, x, tiles: tiles, floats, into: gates, at: place + part * height,
                    stride: 2 * height)
            }
            kernels.siluMultiply(
                gates, at: place, stride: 2 * height, rows: x.tokens, length: height, into: y, at: tile.offset,
                stride: layer.outputs)
        }
    }

    /// Products of some rows of a matrix with all tokens: as they are, or as tiles of floats in those of `tiles` that are
    /// the worker's.
    private func multiply(
        _ layer: Linear, part: Int, _ rows: Range<Int>, _ x: FloatInput, tiles: borrowing SharedBuffer<Float>,
        _ floats: Range<Int>, into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        let matrix = layer.parts[part]
        let columns = matrix.columns
        guard layer.meetsBLAS[part] else {
            if prefersSlabs(layer, part: part, tokens: x.tokens) {
                var floats = tiles.slice(floats)
                kernels.multiply(
                    matrix, rows: rows, slabs: x.slabs, tiles: &floats, into: y, at: offset, stride: stride)
            } else {
                kernels.multiply(matrix, rows: rows, x.rows, into: y, at: offset, stride: stride)
            }
            return
        }
        let start = floats.lowerBound
        switch matrix.layout {
        case .rows:
            var floats = tiles.slice(start..<start + rows.count * columns)
            kernels.dequantize(matrix, rows: rows, into: &floats)
            BLAS.multiplyTransposed(
                m: x.tokens, n: rows.count, k: columns, a: x.rows, aStride: columns, b: floats.span, bStride: columns,
                c: y, at: offset, cStride: stride)
        case .panels:
            let panels = Linear.panels(of: rows)
            let width = panels.count * Panel.rows
            var floats = tiles.slice(start..<start + width * columns)
            for (index, panel) in panels.enumerated() {
                kernels.dequantize(
                    matrix.panels(panel..<panel + 1), of: matrix.type, columns: columns, into: &floats,
                    at: index * Panel.rows, stride: width)
            }
            BLAS.multiply(
                m: x.tokens, n: rows.count, k: columns, a: x.rows, aStride: columns, b: floats.span, bStride: width,
                beta: 0, c: y, at: offset, cStride: stride)
        }
    }
}

/// The activations of a batch as floats.
private struct FloatInput: ~Escapable {
    let tokens: Int
    /// (tokens, columns)
    let rows: Span<Float>
    /// The same in slabs, see ``Kernels/laySlab(_:columns:part:into:)``; empty where nothing meets them.
    let slabs: Span<Float>

    @_lifetime(copy rows, copy slabs)
    init(tokens: Int, rows: Span<Float>, slabs: Span<Float>) {
        self.tokens = tokens
        self.rows = rows
        self.slabs = slabs
    }
}
