extension CPUBackend {
    /// Batches of up to this many tokens are multiplied vector by vector; larger ones tile by tile.
    package static let vectorProducts = 8

    /// y (tokens, rows) = x (tokens, columns) * transpose(layer).
    package func multiply(
        _ layer: Linear, _ x: borrowing FloatBuffer, tokens: Int, into y: inout FloatBuffer, scratch: inout Scratch
    ) {
        precondition(x.count >= tokens * layer.columns && y.count >= tokens * layer.rows, "buffers are too small")
        if tokens <= Self.vectorProducts {
            multiplyVectors(layer, x.span, tokens: tokens, into: &y, scratch: &scratch)
        } else {
            multiplyIntegers(layer, x.span, tokens: tokens, into: &y, &scratch.packed, tiles: &scratch.tiles)
            multiplyFloats(layer, x.span, tokens: tokens, into: &y, tiles: &scratch.floats)
        }
    }

    // MARK: Decode

    /// Weights as they are stored, against activations that are rounded once.
    private func multiplyVectors(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, scratch: inout Scratch
    ) {
        let columns = layer.columns
        var groups: [TokenGroup] = []
        if layer.parts.contains(where: { $0.layout == .panels }) {
            groups = TokenGroup.split(tokens, widths: Panel.vectorWidths)
            scratch.packed.pack(
                x, columns: columns, groups: groups, form: ColumnForm(activations), kernels: kernels, pool: pool)
        }
        let precisions = layer.parts.map { rowPrecision($0) }
        if activations != .f32, precisions.contains(activations) {
            for token in 0..<tokens {
                let row = x.extracting(token * columns..<(token + 1) * columns)
                scratch.quantized.store(row, at: token, precision: activations, kernels: kernels)
            }
        }
        multiplyChunks(
            layer, x, scratch.quantized, scratch.packed, tokens: tokens, groups: groups, precisions: precisions,
            into: y.shared)
    }

    /// What the activations that meet the rows of `matrix` are held in; nil for panels.
    private func rowPrecision(_ matrix: WeightMatrix) -> ActivationPrecision? {
        matrix.layout == .panels ? nil : kernels.precision(for: matrix.type, wanted: activations)
    }

    private func multiplyChunks(
        _ layer: Linear, _ x: Span<Float>, _ quantized: borrowing QuantizedColumns, _ packed: borrowing PackedColumns,
        tokens: Int, groups: [TokenGroup], precisions: [ActivationPrecision?], into y: borrowing SharedBuffer<Float>
    ) {
        let columns = layer.columns
        pool.parallelFor(layer.chunks.count) { index, _ in
            let tile = layer.chunks[index]
            let matrix = layer.parts[tile.part]
            guard let precision = precisions[tile.part] else {
                for group in groups {
                    kernels.multiply(
                        matrix, panels: tile.panels,
                        packed.group(group, columns: columns, form: ColumnForm(activations)),
                        into: y, at: group.tokens.lowerBound * layer.rows + tile.offset, stride: layer.rows)
                }
                return
            }
            for token in 0..<tokens {
                let vector =
                    precision == .f32
                    ? ActivationVector(x.extracting(token * columns..<(token + 1) * columns))
                    : quantized.vector(token, count: columns, precision: precision)
                kernels.multiply(matrix, rows: tile.rows, vector, into: y, at: token * layer.rows + tile.offset)
            }
        }
    }

    // MARK: Prefill

    /// Each worker unpacks the panels of a tile into its own cache, and multiplies group after group of tokens with them.
    private func multiplyIntegers(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, _ packed: inout PackedColumns,
        tiles: inout Buffer<UInt8>
    ) {
        guard !layer.integerTiles.isEmpty else { return }
        let form = kernels.tileForm(of: layer.integerTypes, precision: layer.batchPrecision)
        let groups = TokenGroup.split(tokens, widths: kernels.tileWidths(form))
        packed.pack(x, columns: layer.columns, groups: groups, form: form, kernels: kernels, pool: pool)
        multiplyTiles(layer, packed, form: form, groups: groups, into: y.shared, tiles: tiles.shared)
    }

    private func multiplyTiles(
        _ layer: Linear, _ packed: borrowing PackedColumns, form: ColumnForm, groups: [TokenGroup],
        into y: borrowing SharedBuffer<Float>, tiles: borrowing SharedBuffer<UInt8>
    ) {
        let columns = layer.columns
        let workerBytes = tiles.count / pool.threadCount
        pool.parallelFor(layer.integerTiles.count) { index, worker in
            let tile = layer.integerTiles[index]
            let matrix = layer.parts[tile.part]
            let size = kernels.tileBytes(of: matrix.type, columns: columns, form: form)
            // Tiles from the start of the worker's memory, and behind them room for a panel.
            let start = worker * workerBytes
            let end = start + tile.panels.count * size
            for (index, panel) in tile.panels.enumerated() {
                var unpacked = tiles.slice(start + index * size..<start + (index + 1) * size)
                switch matrix.layout {
                case .panels:
                    kernels.unpack(
                        matrix.panels(panel..<panel + 1), of: matrix.type, columns: columns, form: form,
                        into: &unpacked)
                case .rows:
                    let staging = end..<end + matrix.panelBytes
                    var packed = tiles.slice(staging)
                    kernels.pack(matrix, panel: panel, into: &packed)
                    kernels.unpack(
                        tiles.bytes(of: staging), of: matrix.type, columns: columns, form: form, into: &unpacked)
                }
            }
            for group in groups {
                let x = packed.group(group, columns: columns, form: form)
                kernels.multiply(
                    tiles: tiles.bytes(of: start..<end), of: matrix, panels: tile.panels, x, into: y,
                    at: group.tokens.lowerBound * layer.rows + tile.offset, stride: layer.rows)
            }
        }
    }

    /// Each worker dequantises a tile of rows into its own cache and multiplies all tokens with it.
    private func multiplyFloats(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, tiles: inout FloatBuffer
    ) {
        guard !layer.floatTiles.isEmpty else { return }
        let columns = layer.columns
        let workerFloats = tiles.count / pool.threadCount
        let y = y.shared
        let tiles = tiles.shared
        pool.parallelFor(layer.floatTiles.count) { index, worker in
            let tile = layer.floatTiles[index]
            let matrix = layer.parts[tile.part]
            let start = worker * workerFloats
            switch matrix.layout {
            case .rows:
                var floats = tiles.slice(start..<start + tile.rows.count * columns)
                kernels.dequantize(matrix, rows: tile.rows, into: &floats)
                BLAS.multiplyTransposed(
                    m: tokens, n: tile.rows.count, k: columns,
                    a: x, aStride: columns, b: floats.span, bStride: columns,
                    c: y, at: tile.offset, cStride: layer.rows)
            case .panels:
                let width = tile.panels.count * Panel.rows
                var floats = tiles.slice(start..<start + width * columns)
                for (index, panel) in tile.panels.enumerated() {
                    kernels.dequantize(
                        matrix.panels(panel..<panel + 1), of: matrix.type, columns: columns, into: &floats,
                        at: index * Panel.rows,
                        stride: width)
                }
                BLAS.multiply(
                    m: tokens, n: tile.rows.count, k: columns,
                    a: x, aStride: columns, b: floats.span, bStride: width,
                    beta: 0, c: y, at: tile.offset, cStride: layer.rows)
            }
        }
    }
}
