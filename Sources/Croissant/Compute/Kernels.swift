internal import CKernels
package import GGUF

/// The C kernels of one instruction set, behind spans whose sizes are checked.
///
/// This file is the only one that knows CKernels.
@safe package struct Kernels: @unchecked Sendable {
    // Sendable: the tables hold functions and constants only.

    /// The instruction set in use.
    package let instructionSet: InstructionSet
    private let vector: ck_vector_kernels
    private let roofline: ck_roofline_kernels
    /// By type id; nil for a type without kernels.
    private let types: [ck_type_kernels?]
    /// By type id; nil for a type that nothing is quantised to.
    private let quantizers: [ck_quantize_rows_fn?]
    private let attention: [ck_attention_kernels?]
    private let attentionTiles: ck_attention_tile_kernels
    /// By type id; nil for a type that stays in the layout of the file.
    private let panels: [ck_panel_kernels?]
    /// Vectors that a tile meets at a time, widest first.
    package let tileWidths: [Int]
    /// What packs activations for panels, by precision.
    private let packColumns: [ActivationPrecision: ck_pack_columns_fn]

    /// Kernels of `instructionSet`, which must be supported.
    package init(_ instructionSet: InstructionSet) {
        precondition(Self.isSupported(instructionSet), "\(instructionSet) is not supported on this machine")
        self.instructionSet = instructionSet
        let isa = instructionSet.code
        vector = ck_vector(isa)
        roofline = ck_roofline(isa)
        let ids = 0..<UInt32(CK_TYPE_COUNT)
        types = ids.map { id in
            unsafe ck_traits(id).name == nil ? nil : ck_kernels(ck_type(rawValue: id), isa)
        }
        unsafe quantizers = ids.map { id in
            unsafe ck_traits(id).name == nil ? nil : ck_quantizer(ck_type(rawValue: id), isa)
        }
        attention = ids.map { id in
            guard unsafe ck_traits(id).name != nil else { return nil }
            let kernels = ck_attention(ck_type(rawValue: id), isa)
            return unsafe kernels.scores == nil ? nil : kernels
        }
        attentionTiles = ck_attention_tiles(isa)
        let panels = ids.map { ck_panel_sizes($0).block == 0 ? nil : ck_panels(ck_type(rawValue: $0), isa) }
        self.panels = panels
        // What fits into the registers is the same for all types.
        let widest = panels.compactMap { $0.map { Int($0.tile_vectors) } }.max() ?? 4
        tileWidths = widest > 4 ? [widest, 4] : [4]
        unsafe packColumns = [
            .int16: ck_pack_columns(CK_PRECISION_INT16, isa), .int8: ck_pack_columns(CK_PRECISION_INT8, isa),
        ]
    }

    // MARK: The machine

    /// Whether this machine can run `instructionSet`.
    package static func isSupported(_ instructionSet: InstructionSet) -> Bool {
        ck_isa_supported(instructionSet.code)
    }

    /// The best instruction set of this machine.
    package static var bestInstructionSet: InstructionSet {
        let best = ck_isa_best()
        return InstructionSet.allCases.first { $0.code == best } ?? .scalar
    }

    /// Tells the processor that the caller waits in a loop.
    @inline(__always) static func pause() {
        ck_spin_pause()
    }

    // MARK: Weights

    /// Whether tensors of `type` can be computed with.
    package static func canCompute(_ type: GGMLType) -> Bool {
        unsafe ck_traits(type.rawValue).name != nil
    }

    /// Whether weights can be quantised to `type`.
    package func canQuantize(to type: GGMLType) -> Bool {
        let id = Int(type.rawValue)
        return unsafe id < quantizers.count && quantizers[id] != nil
    }

    /// What the activations that meet weights of `type` are held in, when `wanted` is asked for: weights that are not
    /// quantised meet floats.
    package func precision(for type: GGMLType, wanted: ActivationPrecision) -> ActivationPrecision {
        unsafe kernels(type).gemv(wanted) == nil ? .f32 : wanted
    }

    /// Whether a cache can hold elements of `type`.
    package func canCache(_ type: GGMLType) -> Bool {
        let id = Int(type.rawValue)
        return id < attention.count && attention[id] != nil
    }

    /// y[offset + i] = dot(row i of `rows`, x).
    package func multiply(
        _ matrix: WeightMatrix, rows: Range<Int>, _ x: ActivationVector,
        into y: borrowing SharedBuffer<Float>, at offset: Int
    ) {
        precondition(x.count == matrix.columns, "\(x.count) activations for \(matrix.columns) columns")
        precondition(offset >= 0 && rows.count <= y.count - offset, "\(rows.count) results do not fit")
        guard let gemv = unsafe kernels(matrix.type).gemv(x.precision) else {
            preconditionFailure("\(matrix.type.name) has no product with \(x.precision) activations")
        }
        unsafe matrix.bytes(ofRows: rows).withUnsafeBytes { weights in
            unsafe x.withKernelActivations { x in
                unsafe gemv(
                    weights.baseAddress, matrix.rowBytes, rows.count, matrix.columns, x, y.base + offset)
            }
        }
    }

    /// Weights of `rows` as floats: out (rows, columns).
    package func dequantize(_ matrix: WeightMatrix, rows: Range<Int>, into out: inout MutableSpan<Float>) {
        dequantize(matrix.bytes(ofRows: rows), as: matrix.type, count: rows.count * matrix.columns, into: &out)
    }

    /// `count` elements of `type` as floats.
    package func dequantize(_ blocks: RawSpan, as type: GGMLType, count: Int, into out: inout MutableSpan<Float>) {
        precondition(
            type.byteCount(elements: count) == blocks.byteCount, "\(blocks.byteCount) bytes for \(count) elements")
        precondition(count <= out.count, "\(count) elements do not fit in \(out.count)")
        unsafe blocks.withUnsafeBytes { blocks in
            unsafe out.withUnsafeMutableBufferPointer { out in
                unsafe kernels(type).dequantize(blocks.baseAddress, out.baseAddress, count)
            }
        }
    }

    /// Floats rounded to blocks of `type`, by the type's reference rounding.
    package func quantize(_ values: Span<Float>, as type: GGMLType, into blocks: inout MutableSpan<UInt8>) {
        precondition(
            type.byteCount(elements: values.count) == blocks.count, "\(blocks.count) bytes for \(values.count) elements"
        )
        guard let quantize = unsafe kernels(type).quantize else {
            preconditionFailure("nothing rounds to \(type.name)")
        }
        unsafe values.withUnsafeBufferPointer { values in
            unsafe blocks.withUnsafeMutableBufferPointer { blocks in
                unsafe quantize(values.baseAddress, blocks.baseAddress, values.count)
            }
        }
    }

    // MARK: Panels

    /// Rows of `matrix` that make up panel `index`, side by side; what is missing of sixteen becomes zero.
    func pack(_ matrix: WeightMatrix, panel index: Int, into panel: inout MutableSpan<UInt8>) {
        let first = index * Panel.rows
        let rows = matrix.rowCount(of: index..<index + 1)
        pack(
            matrix.bytes(ofRows: first..<first + rows), of: matrix.type, rows: rows, columns: matrix.columns,
            into: &panel)
    }

    /// `rows` rows of `type` as a panel; what is missing of sixteen becomes zero.
    package func pack(
        _ blocks: RawSpan, of type: GGMLType, rows: Int, columns: Int, into panel: inout MutableSpan<UInt8>
    ) {
        precondition(rows > 0 && rows <= Panel.rows && blocks.byteCount % rows == 0, "\(rows) rows in a panel")
        precondition(panel.count == Panel.byteCount(of: type, columns: columns), "\(panel.count) bytes for a panel")
        unsafe blocks.withUnsafeBytes { blocks in
            unsafe panel.withUnsafeMutableBufferPointer { panel in
                unsafe panelKernels(type).pack(
                    blocks.baseAddress, blocks.count / rows, rows, columns, panel.baseAddress)
            }
        }
    }

    /// A panel as floats: row r of column c goes to out[offset + c * stride + r].
    package func dequantize(
        _ panel: RawSpan, of type: GGMLType, columns: Int, into out: inout MutableSpan<Float>, at offset: Int,
        stride: Int
    ) {
        checkPanel(panel, type, columns)
        precondition(
            offset >= 0 && (columns - 1) * stride + Panel.rows <= out.count - offset, "a panel of floats does not fit")
        unsafe panel.withUnsafeBytes { panel in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let out = out.baseAddress else { return }
                unsafe panelKernels(type).dequantize(panel.baseAddress, columns, out + offset, stride)
            }
        }
    }

    /// A panel as a tile of bytes, for ``multiply(tiles:of:panels:_:into:at:stride:)``.
    package func unpack(_ panel: RawSpan, of type: GGMLType, columns: Int, into tile: inout MutableSpan<UInt8>) {
        checkPanel(panel, type, columns)
        precondition(tile.count == Panel.tileBytes(of: type, columns: columns), "\(tile.count) bytes for a tile")
        unsafe panel.withUnsafeBytes { panel in
            unsafe tile.withUnsafeMutableBufferPointer { tile in
                unsafe panelKernels(type).unpack(panel.baseAddress, columns, tile.baseAddress)
            }
        }
    }

    /// y[offset + t * stride + i] = dot(row 16 * panels.lowerBound + i, vector t) for the rows of some panels and all
    /// tokens of `x`, whose width is one of ``Panel/vectorWidths``.
    package func multiply(
        _ matrix: WeightMatrix, panels: Range<Int>, _ x: PackedGroup, into y: borrowing SharedBuffer<Float>,
        at offset: Int, stride: Int
    ) {
        let kernels = panelKernels(matrix.type)
        let product = unsafe Self.product(x.width == 1 ? kernels.one : kernels.four, x.precision)
        unsafe multiply(
            matrix.panels(panels), bytes: matrix.panelBytes, product, rows: matrix.rowCount(of: panels), x, into: y,
            at: offset, stride: stride)
    }

    /// The same for panels that ``unpack(_:of:columns:into:)`` made `tiles` of, one after the other, and an `x` whose
    /// width is one of ``tileWidths``.
    package func multiply(
        tiles: RawSpan, of matrix: WeightMatrix, panels: Range<Int>, _ x: PackedGroup,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(tiles.byteCount == panels.count * matrix.tileBytes, "\(tiles.byteCount) bytes of tiles")
        let kernels = panelKernels(matrix.type)
        let product = unsafe Self.product(x.width == 4 ? kernels.tile_four : kernels.tile, x.precision)
        unsafe multiply(
            tiles, bytes: matrix.tileBytes, product, rows: matrix.rowCount(of: panels), x, into: y, at: offset,
            stride: stride)
    }

    /// Products of panels or tiles, `bytes` each.
    private func multiply(
        _ weights: RawSpan, bytes: Int, _ product: ck_panel_fn, rows: Int, _ x: PackedGroup,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(
            offset >= 0 && (x.tokens - 1) * stride + rows <= y.count - offset, "\(x.tokens) products do not fit")
        unsafe weights.withUnsafeBytes { weights in
            guard let base = weights.baseAddress else { return }
            unsafe x.withKernelColumns { columns in
                for (index, row) in Swift.stride(from: 0, to: rows, by: Panel.rows).enumerated() {
                    let out = unsafe y.base + offset + row
                    if rows - row >= Panel.rows && x.tokens == x.width {
                        unsafe product(base + index * bytes, x.columns, columns, out, stride)
                        continue
                    }
                    // Kernels write whole panels for all vectors: what lies beside the wanted part is others'.
                    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: Panel.rows * x.width) { all in
                        unsafe product(base + index * bytes, x.columns, columns, all.baseAddress, Panel.rows)
                        for token in 0..<x.tokens {
                            for lane in 0..<min(Panel.rows, rows - row) {
                                unsafe out[token * stride + lane] = all[token * Panel.rows + lane]
                            }
                        }
                    }
                }
            }
        }
    }

    /// `x` becomes vector `index` of a group of `width`.
    func packColumns(
        _ x: Span<Float>, precision: ActivationPrecision, vector index: Int, of width: Int,
        values: inout MutableSpan<Int8>, scales: inout MutableSpan<Float>, totals: inout MutableSpan<Int32>,
        sums: inout MutableSpan<Float>
    ) {
        let elements = x.count * width
        precondition(
            index < width && x.count % ActivationBlock.scaleColumns == 0
                && values.count == elements * precision.bytes
                && scales.count == elements / ActivationBlock.scaleColumns
                && totals.count == PackedGroup.totals(elements) && sums.count == totals.count,
            "vector \(index) of \(width), \(x.count) activations")
        guard let pack = unsafe packColumns[precision] else {
            preconditionFailure("panels do not meet \(precision) activations")
        }
        unsafe x.withUnsafeBufferPointer { x in
            unsafe values.withUnsafeMutableBufferPointer { values in
                unsafe scales.withUnsafeMutableBufferPointer { scales in
                    unsafe totals.withUnsafeMutableBufferPointer { totals in
                        unsafe sums.withUnsafeMutableBufferPointer { sums in
                            unsafe pack(
                                x.baseAddress, x.count, width, index, values.baseAddress, scales.baseAddress,
                                totals.baseAddress, sums.baseAddress)
                        }
                    }
                }
            }
        }
    }

    /// An entry of a table by ck_precision.
    private static func product(
        _ table: (ck_panel_fn?, ck_panel_fn?, ck_panel_fn?), _ precision: ActivationPrecision
    ) -> ck_panel_fn {
        guard let product = unsafe precision == .int8 ? table.2 : table.1, precision != .f32 else {
            preconditionFailure("panels do not meet \(precision) activations")
        }
        return unsafe product
    }

    private func checkPanel(_ panel: RawSpan, _ type: GGMLType, _ columns: Int) {
        precondition(
            panel.byteCount == Panel.byteCount(of: type, columns: columns), "\(panel.byteCount) bytes for a panel")
    }

    /// The index of the first of `values` that `type` cannot be made of, because it is no number or too large; nil where
    /// there is none.
    package func firstValue(in values: Span<Float>, beyond type: GGMLType) -> Int? {
        let limit = ck_quantizer_limit(ck_type(rawValue: type.rawValue))
        let index = unsafe values.withUnsafeBufferPointer { unsafe ck_first_beyond($0.baseAddress, $0.count, limit) }
        return index < values.count ? index : nil
    }

    /// Rows of `columns` finite weights as those blocks of `type` that come closest to them, by the sum of squared errors.
    ///
    /// - Parameter importance: how much an error counts, one number that is not negative for each column; empty where all
    ///   count alike.
    package func quantizeRows(
        _ values: Span<Float>, columns: Int, importance: Span<Float> = Span(), as type: GGMLType,
        into blocks: inout MutableSpan<UInt8>
    ) {
        precondition(
            columns > 0 && values.count.isMultiple(of: columns), "\(values.count) weights in rows of \(columns)")
        precondition(columns.isMultiple(of: type.blockSize), "rows of \(columns) are not whole blocks of \(type.name)")
        precondition(importance.isEmpty || importance.count == columns, "\(importance.count) importances")
        precondition(
            type.byteCount(elements: values.count) == blocks.count, "\(blocks.count) bytes for \(values.count) weights")
        let id = Int(type.rawValue)
        guard unsafe id < quantizers.count, let quantize = unsafe quantizers[id] else {
            preconditionFailure("nothing is quantised to \(type.name)")
        }
        unsafe values.withUnsafeBufferPointer { values in
            unsafe importance.withUnsafeBufferPointer { importance in
                unsafe blocks.withUnsafeMutableBufferPointer { blocks in
                    unsafe quantize(
                        values.baseAddress, values.count / columns, columns,
                        importance.isEmpty ? nil : importance.baseAddress, blocks.baseAddress)
                }
            }
        }
    }

    // MARK: Activations

    /// Rounds activations to int8 in blocks of 32 with a float scale each.
    func quantize(
        _ x: Span<Float>, values: inout MutableSpan<Int8>, scales: inout MutableSpan<Float>,
        sums: inout MutableSpan<Int32>
    ) {
        checkQuantized(x.count, values.count, scales.count, sums.count)
        unsafe x.withUnsafeBufferPointer { x in
            unsafe values.withUnsafeMutableBufferPointer { values in
                unsafe scales.withUnsafeMutableBufferPointer { scales in
                    unsafe sums.withUnsafeMutableBufferPointer { sums in
                        unsafe vector.quantize_int8(
                            x.baseAddress, x.count, values.baseAddress, scales.baseAddress, sums.baseAddress)
                    }
                }
            }
        }
    }

    /// Rounds activations to int16 in blocks of 32 with a float scale each.
    func quantize(
        _ x: Span<Float>, values: inout MutableSpan<Int16>, scales: inout MutableSpan<Float>,
        sums: inout MutableSpan<Int32>
    ) {
        checkQuantized(x.count, values.count, scales.count, sums.count)
        unsafe x.withUnsafeBufferPointer { x in
            unsafe values.withUnsafeMutableBufferPointer { values in
                unsafe scales.withUnsafeMutableBufferPointer { scales in
                    unsafe sums.withUnsafeMutableBufferPointer { sums in
                        unsafe vector.quantize_int16(
                            x.baseAddress, x.count, values.baseAddress, scales.baseAddress, sums.baseAddress)
                    }
                }
            }
        }
    }

    private func checkQuantized(_ columns: Int, _ values: Int, _ scales: Int, _ sums: Int) {
        precondition(columns % Int(CK_SCALE_COLUMNS) == 0, "\(columns) activations are not whole blocks")
        precondition(
            values >= columns && scales >= columns / Int(CK_SCALE_COLUMNS) && sums >= columns / Int(CK_SUM_COLUMNS),
            "\(columns) activations do not fit")
    }

    // MARK: Vectors

    /// out = x * weight / sqrt(mean(x²) + epsilon): RMSNorm (arXiv 1910.07467).
    package func rmsNorm(_ x: Span<Float>, weight: Span<Float>, epsilon: Float, into out: inout MutableSpan<Float>) {
        precondition(weight.count == x.count && out.count >= x.count, "RMSNorm of \(x.count) by \(weight.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe weight.withUnsafeBufferPointer { weight in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe vector.rms_norm(x.baseAddress, weight.baseAddress, epsilon, x.count, out.baseAddress)
                }
            }
        }
    }

    /// x = x * weight / sqrt(mean(x²) + epsilon).
    package func rmsNorm(_ x: inout MutableSpan<Float>, weight: Span<Float>, epsilon: Float) {
        precondition(weight.count == x.count, "RMSNorm of \(x.count) by \(weight.count)")
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe weight.withUnsafeBufferPointer { weight in
                unsafe vector.rms_norm(x.baseAddress, weight.baseAddress, epsilon, x.count, x.baseAddress)
            }
        }
    }

    /// accumulator += x.
    package func add(_ x: Span<Float>, to accumulator: inout MutableSpan<Float>) {
        precondition(accumulator.count == x.count, "\(x.count) added to \(accumulator.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe accumulator.withUnsafeMutableBufferPointer { out in
                unsafe vector.add(out.baseAddress, x.baseAddress, x.count, out.baseAddress)
            }
        }
    }

    /// out = SiLU(gate) * up, SiLU(g) = g / (1 + exp(-g)): the gate of SwiGLU (arXiv 2002.05202).
    package func siluMultiply(gate: Span<Float>, up: Span<Float>, into out: inout MutableSpan<Float>) {
        precondition(gate.count == up.count && out.count >= up.count, "a gate of \(gate.count) for \(up.count)")
        unsafe gate.withUnsafeBufferPointer { gate in
            unsafe up.withUnsafeBufferPointer { up in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe vector.silu_multiply(gate.baseAddress, up.baseAddress, gate.count, out.baseAddress)
                }
            }
        }
    }

    /// x = exp(x - maximum); returns the sum of the results.
    package func exponentials(of x: inout MutableSpan<Float>, maximum: Float) -> Float {
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.exp_sum($0.baseAddress, maximum, $0.count) }
    }

    /// x = exp(x) / sum(exp(x)).
    package func softmax(_ x: inout MutableSpan<Float>) {
        precondition(!x.isEmpty, "softmax of nothing")
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.softmax($0.baseAddress, $0.count) }
    }

    /// The largest element.
    package func maximum(_ x: Span<Float>) -> Float {
        precondition(!x.isEmpty, "the maximum of nothing")
        return unsafe x.withUnsafeBufferPointer { unsafe vector.maximum($0.baseAddress, $0.count) }
    }

    /// x *= factor.
    package func scale(_ x: inout MutableSpan<Float>, by factor: Float) {
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.scale($0.baseAddress, factor, $0.count) }
    }

    /// Turns the pairs of one head by the angles whose cosines and sines are given: RoPE (arXiv 2104.09864).
    package func rotate(
        _ head: inout MutableSpan<Float>, cosines: Span<Float>, sines: Span<Float>, layout: RoPELayout
    ) {
        let pairs = cosines.count
        precondition(sines.count == pairs && head.count >= 2 * pairs, "\(pairs) rotations of \(head.count)")
        unsafe head.withUnsafeMutableBufferPointer { head in
            unsafe cosines.withUnsafeBufferPointer { cosines in
                unsafe sines.withUnsafeBufferPointer { sines in
                    switch layout {
                    case .adjacent:
                        unsafe vector.rope_adjacent(head.baseAddress, cosines.baseAddress, sines.baseAddress, pairs)
                    case .halves:
                        unsafe vector.rope_halves(head.baseAddress, cosines.baseAddress, sines.baseAddress, pairs)
                    }
                }
            }
        }
    }

    // MARK: Attention

    /// scores[h * stride + j] = dot(query h, key j), for `heads` queries and keys of `type` that lie one after the other.
    package func attentionScores(
        queries: Span<Float>, heads: Int, keys: RawSpan, type: GGMLType, positions: Int,
        into scores: inout MutableSpan<Float>, stride: Int
    ) {
        let headSize = queries.count / heads
        checkCache(keys, type: type, positions: positions, headSize: headSize)
        precondition(
            queries.count == heads * headSize && (heads - 1) * stride + positions <= scores.count,
            "scores of \(heads) queries do not fit")
        unsafe queries.withUnsafeBufferPointer { queries in
            unsafe keys.withUnsafeBytes { keys in
                unsafe scores.withUnsafeMutableBufferPointer { scores in
                    unsafe attentionKernels(type).scores(
                        queries.baseAddress, heads, keys.baseAddress, positions, headSize, scores.baseAddress, stride)
                }
            }
        }
    }

    /// out h += sum of probabilities[h * stride + j] * value j, for `heads` queries and values of `type` that lie one
    /// after the other.
    package func attentionAccumulate(
        probabilities: Span<Float>, heads: Int, stride: Int, values: RawSpan, type: GGMLType, positions: Int,
        into out: inout MutableSpan<Float>
    ) {
        let headSize = out.count / heads
        checkCache(values, type: type, positions: positions, headSize: headSize)
        precondition(
            out.count == heads * headSize && (heads - 1) * stride + positions <= probabilities.count,
            "\(heads) queries with \(probabilities.count) probabilities")
        unsafe probabilities.withUnsafeBufferPointer { probabilities in
            unsafe values.withUnsafeBytes { values in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    unsafe attentionKernels(type).accumulate(
                        probabilities.baseAddress, heads, stride, values.baseAddress, positions, headSize,
                        out.baseAddress)
                }
            }
        }
    }

    private func checkCache(_ bytes: RawSpan, type: GGMLType, positions: Int, headSize: Int) {
        precondition(
            type.byteCount(elements: positions * headSize) == bytes.byteCount,
            "\(bytes.byteCount) bytes for \(positions) positions of \(headSize)")
    }

    /// Takes `count` keys and values, as floats, into the running softmax of a tile of queries; all of it lies in
    /// `floats` as `tile` says.
    func attend(_ tile: AttentionTile, first position: Int, count: Int, in floats: borrowing SharedBuffer<Float>) {
        precondition(
            tile.floats.lowerBound >= 0 && tile.floats.upperBound <= floats.count && count <= AttentionTile.keys
                && tile.rows <= AttentionTile.rows,
            "a tile of \(tile.rows) queries and \(count) keys does not fit")
        let base = unsafe floats.base
        var arguments = unsafe ck_attention_tile(
            head_size: tile.headSize, stride: tile.stride, rows: tile.rows, group: tile.group, first_row: tile.firstRow,
            first_query: tile.firstQuery, window: tile.window ?? .max, n: count, first_position: position,
            queries: base + tile.queries, keys: base + tile.keys, values: base + tile.values,
            scores: base + tile.scores, out: base + tile.out, maxima: base + tile.maxima, sums: base + tile.sums)
        unsafe attentionTiles.attend(&arguments)
    }

    /// Queries side by side in a panel of an ``AttentionTile``.
    var attentionWidth: Int { attentionTiles.width }

    /// floats[offset + i * stride] = factor * row[i].
    func spread(
        _ row: Span<Float>, times factor: Float, into floats: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(
            offset >= 0 && (row.count - 1) * stride < floats.count - offset, "\(row.count) floats do not fit")
        unsafe row.withUnsafeBufferPointer { row in
            unsafe ck_pack_lane(row.baseAddress, row.count, factor, stride, floats.base + offset)
        }
    }

    /// row[i] = factor * floats[offset + i * stride].
    func gather(
        _ floats: borrowing SharedBuffer<Float>, at offset: Int, stride: Int, times factor: Float,
        into row: inout MutableSpan<Float>
    ) {
        precondition(
            offset >= 0 && (row.count - 1) * stride < floats.count - offset, "\(row.count) floats are not there")
        unsafe row.withUnsafeMutableBufferPointer { row in
            unsafe ck_unpack_lane(floats.base + offset, row.count, factor, stride, row.baseAddress)
        }
    }

    /// x = H x / sqrt(n), H the Hadamard matrix of n rows, n a power of two: its own inverse.
    package func hadamard(_ x: inout MutableSpan<Float>) {
        precondition(x.count > 0 && x.count & (x.count - 1) == 0, "\(x.count) is not a power of two")
        unsafe x.withUnsafeMutableBufferPointer { unsafe vector.hadamard($0.baseAddress, $0.count) }
    }

    // MARK: Roofs

    /// Reads memory, and does next to nothing with it.
    func read(_ bytes: RawSpan) {
        precondition(bytes.byteCount % 512 == 0, "\(bytes.byteCount) bytes are not whole steps")
        unsafe bytes.withUnsafeBytes { unsafe _ = roofline.read($0.baseAddress, $0.count) }
    }

    /// Multiplies and adds on registers for some microseconds.
    func multiplyFloats() { _ = roofline.float_products() }
    func multiplyBytes() { _ = roofline.byte_products() }

    /// The operations of ``multiplyFloats()`` and ``multiplyBytes()``.
    var floatProductOperations: Double { roofline.float_operations }
    var byteProductOperations: Double { roofline.byte_operations }

    // MARK: Tables

    private func kernels(_ type: GGMLType) -> ck_type_kernels {
        let id = Int(type.rawValue)
        guard id < types.count, let kernels = types[id] else {
            preconditionFailure("\(type.name) has no kernels: loading should have said so")
        }
        return kernels
    }

    private func panelKernels(_ type: GGMLType) -> ck_panel_kernels {
        let id = Int(type.rawValue)
        guard id < panels.count, let kernels = panels[id] else {
            preconditionFailure("\(type.name) has no panels: loading should have kept its rows")
        }
        return kernels
    }

    private func attentionKernels(_ type: GGMLType) -> ck_attention_kernels {
        let id = Int(type.rawValue)
        guard id < attention.count, let kernels = attention[id] else {
            preconditionFailure("no cache holds \(type.name): planning should have said so")
        }
        return kernels
    }
}

/// Queries of a tile are laid out for any instruction set if their number is a multiple of this.
let attentionPanelMultiple = Int(CK_ATTENTION_WIDTH)

/// The elements of a head, as floats, are rounded up to a multiple of this.
let attentionRowMultiple = Int(CK_ATTENTION_ROWS)

/// Panels: sixteen rows side by side, the layout of resident weights (described in panel.h).
package enum Panel {
    /// Rows of a panel.
    package static let rows = Int(CK_PANEL_ROWS)

    /// Vectors that a panel meets at a time, widest first.
    package static let vectorWidths = [4, 1]

    /// Whether weights of `type` can be panels.
    package static func exists(for type: GGMLType) -> Bool { ck_panel_sizes(type.rawValue).block != 0 }

    /// Bytes of a panel with rows of `columns` weights.
    package static func byteCount(of type: GGMLType, columns: Int) -> Int {
        let sizes = ck_panel_sizes(type.rawValue)
        return columns / Int(sizes.block) * Int(sizes.block_bytes)
    }

    /// Bytes of a tile with rows of `columns` weights.
    package static func tileBytes(of type: GGMLType, columns: Int) -> Int {
        columns / 32 * Int(ck_panel_sizes(type.rawValue).tile_bytes)
    }
}

/// What activations are held in while they meet quantised weights.
public enum ActivationPrecision: String, Sendable, CaseIterable {
    /// 8-bit integers, a float scale for 32 of them: what other runtimes do.
    case int8
    /// 16-bit integers, a float scale for 32 of them: the rounding of the activations all but disappears.
    case int16
    /// 32-bit floats.
    case f32
}

/// One activation vector as kernels take it: floats, or integers with a scale for every 32 and a sum for every 16.
package struct ActivationVector: ~Escapable {
    package let precision: ActivationPrecision
    package let count: Int
    private let values: RawSpan
    private let scales: Span<Float>
    private let sums: Span<Int32>

    /// Floats as they are.
    @_lifetime(copy floats)
    package init(_ floats: Span<Float>) {
        precision = .f32
        count = floats.count
        values = unsafe floats.bytes
        scales = floats.extracting(0..<0)
        sums = Span()
    }

    /// `count` integers of `precision` with their scales and sums.
    @_lifetime(copy values, copy scales, copy sums)
    package init(_ precision: ActivationPrecision, count: Int, values: RawSpan, scales: Span<Float>, sums: Span<Int32>)
    {
        let width = precision == .int8 ? 1 : 2
        precondition(
            precision != .f32 && values.byteCount == count * width, "\(values.byteCount) bytes of \(precision)")
        precondition(
            scales.count == count / Int(CK_SCALE_COLUMNS) && sums.count == count / Int(CK_SUM_COLUMNS),
            "\(scales.count) scales and \(sums.count) sums for \(count) activations")
        self.precision = precision
        self.count = count
        self.values = values
        self.scales = scales
        self.sums = sums
    }

    fileprivate func withKernelActivations(_ body: (UnsafePointer<ck_activations>) -> Void) {
        unsafe values.withUnsafeBytes { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe sums.withUnsafeBufferPointer { sums in
                    var activations = unsafe ck_activations(
                        values: values.baseAddress, scales: scales.baseAddress, sums: sums.baseAddress)
                    unsafe body(&activations)
                }
            }
        }
    }
}

/// Columns that share one activation scale, and columns that share one activation sum.
package enum ActivationBlock {
    /// Columns with one scale.
    package static let scaleColumns = Int(CK_SCALE_COLUMNS)
    /// Columns with one sum.
    package static let sumColumns = Int(CK_SUM_COLUMNS)
}

/// Which elements of a head form the pairs that RoPE turns.
package enum RoPELayout: Sendable {
    /// x[2i] and x[2i + 1]: `llama` files, whose Q and K rows converters permute for it.
    case adjacent
    /// x[i] and x[i + n/2]: the layout of the checkpoints themselves.
    case halves
}

extension ck_type_kernels {
    fileprivate func gemv(_ precision: ActivationPrecision) -> ck_gemv_fn? {
        switch precision {
        case .f32: unsafe gemv.0
        case .int16: unsafe gemv.1
        case .int8: unsafe gemv.2
        }
    }
}

extension PackedGroup {
    fileprivate func withKernelColumns(_ body: (UnsafePointer<ck_columns>) -> Void) {
        unsafe values.withUnsafeBytes { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    unsafe sums.withUnsafeBufferPointer { sums in
                        var columns = unsafe ck_columns(
                            values: values.baseAddress, scales: scales.baseAddress, totals: totals.baseAddress,
                            sums: sums.baseAddress)
                        unsafe body(&columns)
                    }
                }
            }
        }
    }
}

extension InstructionSet {
    fileprivate var code: ck_isa {
        switch self {
        case .scalar: CK_ISA_SCALAR
        case .avx2: CK_ISA_AVX2
        case .avxvnni: CK_ISA_AVXVNNI
        case .avx512: CK_ISA_AVX512
        case .avx512vnni: CK_ISA_AVX512VNNI
        case .neon: CK_ISA_NEON
        case .neonDotprod: CK_ISA_NEON_DOTPROD
        case .neonI8mm: CK_ISA_NEON_I8MM
        }
    }
}
