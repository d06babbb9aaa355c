import GGUF

extension CPUBackend {
    /// Batches of up to this many tokens meet weights as they are held, or packed on the way, and are rounded as decode
    /// rounds; larger ones meet tiles. On AVX2 most of 2 to 16 tokens, and with AVX-512 VNNI most of 2 to 64, meet panels
    /// and are rounded as batches, see ``Kernels/leastTiled(_:)``.
    package static let vectorProducts = 8

    /// y (tokens, outputs) = x (tokens, columns) * transpose(layer), gated where the layer is.
    package func multiply(
        _ layer: Linear, _ x: borrowing FloatBuffer, tokens: Int, into y: inout FloatBuffer, scratch: inout Scratch
    ) {
        precondition(
            x.count >= tokens * layer.columns && y.count >= tokens * layer.outputs, "buffers are too small")
        guard let precision = vectorPrecision(layer, tokens: tokens) else {
            multiplyIntegers(
                layer, x.span, tokens: tokens, into: &y, gates: &scratch.gates, &scratch.packed, tiles: &scratch.tiles)
            multiplyFloats(
                layer, x.span, tokens: tokens, into: &y, gates: &scratch.gates, &scratch.slabs, tiles: &scratch.floats)
            return
        }
        if layer.isGated {
            multiplyVectors(
                layer, x.span, tokens: tokens, precision, into: &scratch.gates, &scratch.packed, &scratch.quantized,
                tiles: &scratch.tiles)
            siluMultiply(scratch.gates.shared, rows: tokens, length: layer.outputs, into: y.shared)
        } else {
            multiplyVectors(
                layer, x.span, tokens: tokens, precision, into: &y, &scratch.packed, &scratch.quantized,
                tiles: &scratch.tiles)
        }
    }

    /// What `tokens` are rounded to that meet the weights of `layer` as vectors; nil where they meet tiles.
    ///
    /// Several tokens, too few for tiles, are a batch: that they are rounded as one makes 3 to 8 tokens 1.2 to 1.8 times
    /// as fast on Zen 3 (Q4_0, Q4_K_M, Q6_K), 4 to 8 tokens 1.1 to 1.5 times on Zen 4 (Q4_0, Q5_K_M, Q6_K, Q8_0), where a
    /// token alone waits for memory whatever it is rounded to.
    private func vectorPrecision(_ layer: Linear, tokens: Int) -> ActivationPrecision? {
        let types = layer.integerTypes
        if tokens > 1, layer.floatTiles.isEmpty, tokens < kernels.leastTiled(types) {
            let precision = kernels.favoured(layer.batchPrecision, of: types)
            if layer.parts.allSatisfy({ meeting($0, tokens: tokens, precision) == .panels }) { return precision }
        }
        return tokens <= Self.vectorProducts ? activations : nil
    }

    // MARK: Decode

    /// How a few tokens meet a part.
    private enum Meeting {
        /// Floats as they are.
        case floats
        /// Panels, into which rows are packed on the way.
        case panels
        /// Rows as they are in the file, one token after the other.
        case rows
    }

    private func meeting(_ matrix: WeightMatrix, tokens: Int, _ precision: ActivationPrecision) -> Meeting {
        if !Panel.exists(for: matrix.type) { return .floats }
        let isPanel = matrix.layout == .panels || Self.packsRows(of: matrix.type, tokens: tokens, precision)
        return isPanel ? .panels : .rows
    }

    /// Whether so many tokens meet rows side by side, as panels: to pack these takes about as long as one or two tokens
    /// take that meet rows.
    static func packsRows(of type: GGMLType, tokens: Int, _ precision: ActivationPrecision) -> Bool {
        tokens > 2 && precision != .f32 && !Panel.isPackedSlowly(type)
    }

    /// Weights as they are held, or packed on the way, against activations that are rounded once.
    private func multiplyVectors(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, _ precision: ActivationPrecision, into y: inout FloatBuffer,
        _ packed: inout PackedColumns, _ quantized: inout QuantizedColumns, tiles: inout Buffer<UInt8>
    ) {
        let columns = layer.columns
        let meetings = layer.parts.map { meeting($0, tokens: tokens, precision) }
        var panels: (groups: [TokenGroup], form: ColumnForm)?
        if meetings.contains(.panels) {
            let types = zip(layer.parts, meetings).compactMap { $1 == .panels ? $0.type : nil }
            let groups = TokenGroup.split(tokens, widths: kernels.vectorWidths)
            let form = kernels.panelForm(of: types, precision: precision)
            packed.pack(x, columns: columns, groups: groups, form: form, kernels: kernels, pool: pool)
            panels = (groups, form)
        }
        if meetings.contains(.rows), precision != .f32 {
            for token in 0..<tokens {
                let row = x.extracting(token * columns..<(token + 1) * columns)
                quantized.store(row, at: token, precision: precision, kernels: kernels)
            }
        }
        multiplyChunks(
            layer, x, quantized, packed, tokens: tokens, precision, panels: panels, meetings: meetings, into: y.shared,
            tiles: tiles.shared)
    }

    private func multiplyChunks(
        _ layer: Linear, _ x: Span<Float>, _ quantized: borrowing QuantizedColumns, _ packed: borrowing PackedColumns,
        tokens: Int, _ precision: ActivationPrecision, panels: (groups: [TokenGroup], form: ColumnForm)?,
        meetings: [Meeting], into y: borrowing SharedBuffer<Float>, tiles: borrowing SharedBuffer<UInt8>
    ) {
        let columns = layer.columns
        let workerBytes = tiles.count / pool.threadCount / 64 * 64
        pool.parallelRanges(layer.chunks.count) { indices, worker in
            var indices = indices
            while let tile = layer.chunks.first(of: &indices) {
                let matrix = layer.parts[tile.part]
                switch meetings[tile.part] {
                case .floats:
                    kernels.multiply(
                        matrix, rows: tile.rows, x.extracting(0..<tokens * columns), into: y, at: tile.offset,
                        stride: layer.rows)
                case .panels:
                    guard let panels else { preconditionFailure("no activations for panels") }
                    let x = packed.batch(columns: columns, form: panels.form)
                    if matrix.layout == .panels {
                        kernels.multiply(
                            matrix, panels: tile.panels, x, panels.groups[...], into: y, at: tile.offset,
                            stride: layer.rows)
                        continue
                    }
                    let staging = worker * workerBytes..<worker * workerBytes + matrix.panelBytes
                    for (index, panel) in tile.panels.enumerated() {
                        var bytes = tiles.slice(staging)
                        kernels.pack(matrix, panel: panel, columns: 0..<columns, into: &bytes)
                        kernels.multiply(
                            matrix, panel: panel, packed: tiles.bytes(of: staging), x, panels.groups[...], into: y,
                            at: tile.offset + index * Panel.rows, stride: layer.rows)
                    }
                case .rows:
                    for token in 0..<tokens {
                        let vector =
                            precision == .f32
                            ? ActivationVector(x.extracting(token * columns..<(token + 1) * columns))
                            : quantized.vector(token, count: columns, precision: precision)
                        kernels.multiply(matrix, rows: tile.rows, vector, into: y, at: token * layer.rows + tile.offset)
                    }
                }
            }
        }
    }

    // MARK: Prefill

    /// Each worker unpacks the panels of a tile into its own cache, and multiplies group after group of tokens with them.
    private func multiplyIntegers(
        _ layer: Linear, _ x: Span<Float>, tokens: Int, into y: inout FloatBuffer, gates: inout FloatBuffer,
        _ packed: inout PackedColumns, tiles: inout Buffer<UInt8>
    ) {
        guard !layer.integerTiles.isEmpty else { return }
        let form = kernels.tileForm(
            of: layer.integerTypes, columns: layer.columns, precision: layer.batchPrecision)
        let groups = TokenGroup.split(tokens, widths: kernels.tileWidths(form))
        packed.pack(x, columns: layer.columns, groups: groups, form: form, kernels: kernels, pool: pool)
        multiplyTiles(
            layer, packed, form: form, groups: groups, into: y.shared, gates: gates.shared, tiles: tiles.shared)
    }

    private func multiplyTiles(
        _ layer: Linear, _ packed: borrowing PackedColumns, form: ColumnForm, groups: [TokenGroup],
        into y: borrowing SharedBuffer<Float>, gates: borrowing SharedBuffer<Float>,
        tiles: borrowing SharedBuffer<UInt8>
    ) {
        let columns = layer.columns
        // Whole cache lines, however many threads share what was planned for more of them.
        let workerBytes = tiles.count / pool.threadCount / 64 * 64
        let workerGates = gates.count / pool.threadCount
        let runs = groups.runs(ofTokens: Panel.mostVectors)
        pool.parallelFor(layer.integerTiles.count) { index, worker in
            let tile = layer.integerTiles[index]
            let start = worker * workerBytes
            let x = packed.batch(columns: columns, form: form)
            guard layer.isGated else {
                for part in layer.columnParts {
                    let product = kernels.tileProduct(
                        of: layer.parts[tile.part], panels: tile.panels, columns: part, form: form)
                    let end = unpack(product, of: layer.parts[tile.part], tile.panels, into: tiles, at: start)
                    kernels.multiply(
                        product, tiles: tiles.bytes(of: start..<end), x, groups[...], before: nil, into: y,
                        at: tile.offset, stride: layer.rows, passing: kernels.resultsPass)
                }
                return
            }
            // What the gate's tile and that of what it gates yield for a few groups stays in the caches.
            let products = layer.parts.map {
                kernels.tileProduct(of: $0, panels: tile.panels, columns: 0..<columns, form: form)
            }
            let middle = unpack(products[0], of: layer.parts[0], tile.panels, into: tiles, at: start)
            let end = unpack(products[1], of: layer.parts[1], tile.panels, into: tiles, at: middle)
            let height = tile.rows.count
            let place = worker * workerGates
            for range in runs {
                let some = groups[range]
                let next = range.upperBound < groups.count ? groups[range.upperBound] : nil
                kernels.multiply(
                    products[0], tiles: tiles.bytes(of: start..<middle), x, some, before: nil, into: gates, at: place,
                    stride: 2 * height)
                kernels.multiply(
                    products[1], tiles: tiles.bytes(of: middle..<end), x, some, before: next, into: gates,
                    at: place + height, stride: 2 * height)
                let tokens = groups[range.lowerBound].tokens.lowerBound..<groups[range.upperBound - 1].tokens.upperBound
                kernels.siluMultiply(
                    gates, at: place, stride: 2 * height, rows: tokens.count, length: height, into: y,
                    at: tokens.lowerBound * layer.outputs + tile.offset, stride: layer.outputs,
                    passing: kernels.resultsPass)
            }
        }
    }

    /// Some panels of a matrix become tiles for `product`, one after the other from `start` on, with room for what comes of
    /// the columns of a panel behind the last.
    ///
    /// - Returns: the end of the tiles.
    private func unpack(
        _ product: Kernels.TileProduct, of matrix: WeightMatrix, _ panels: Range<Int>,
        into tiles: borrowing SharedBuffer<UInt8>, at start: Int
    ) -> Int {
        let end = start + panels.count * product.bytes
        for (index, panel) in panels.enumerated() {
            var tile = tiles.slice(start + index * product.bytes..<start + (index + 1) * product.bytes)
            switch matrix.layout {
            case .panels:
                let panel = matrix.panels(panel..<panel + 1)
                let columns = panel.extracting(product.panelBytes)
                kernels.fetch(columns)
                kernels.unpack(columns, for: product, into: &tile)
            case .rows:
                let staging = end..<end + Panel.byteCount(of: matrix.type, columns: product.columns.count)
                var packed = tiles.slice(staging)
                kernels.pack(matrix, panel: panel, columns: product.columns, into: &packed)
                kernels.unpack(tiles.bytes(of: staging), for: product, into: &tile)
            }
        }
        return end
    }
}
