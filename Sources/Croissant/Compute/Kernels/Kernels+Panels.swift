internal import CKernels
package import GGUF

/// Weights in panels, and the groups of vectors that meet them.
extension Kernels {
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

    /// Bytes of a tile with rows of `columns` weights that meets activations in `form`.
    package func tileBytes(of type: GGMLType, columns: Int, form: ColumnForm) -> Int {
        let header = form.hasTileHeader ? Int(CK_WIDE_HEADER) : 0
        return header + columns / 32 * Int(form.entry(of: panelKernels(type).tile_bytes))
    }

    /// A panel as a tile of integers, for ``multiply(_:tiles:_:into:at:stride:)``.
    package func unpack(
        _ panel: RawSpan, of type: GGMLType, columns: Int, form: ColumnForm, into tile: inout MutableSpan<UInt8>
    ) {
        checkPanel(panel, type, columns)
        precondition(
            tile.count == tileBytes(of: type, columns: columns, form: form), "\(tile.count) bytes for a tile")
        guard let unpack = unsafe form.entry(of: panelKernels(type).unpack) else {
            preconditionFailure("\(type.name) has no tiles for \(form) activations")
        }
        unsafe panel.withUnsafeBytes { panel in
            unsafe tile.withUnsafeMutableBufferPointer { tile in
                unsafe unpack(panel.baseAddress, columns, tile.baseAddress)
            }
        }
    }

    /// y[offset + t * stride + i] = dot(row 16 * panels.lowerBound + i, vector t) for the rows of some panels and all
    /// tokens of a group of `x`, whose width is one of ``Panel/vectorWidths``.
    package func multiply(
        _ matrix: WeightMatrix, panels: Range<Int>, _ x: PackedBatch, _ group: TokenGroup,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        let kernels = panelKernels(matrix.type)
        let product = unsafe Self.product(group.width == 1 ? kernels.one : kernels.four, x.form)
        unsafe multiply(
            matrix.panels(panels), bytes: matrix.panelBytes, product, nil, rows: matrix.rowCount(of: panels), x, group,
            into: y, at: offset, stride: stride)
    }

    /// Products of the tiles that ``unpack(_:of:columns:form:into:)`` makes of some panels, looked up once for all groups
    /// that meet them.
    @safe struct TileProduct {
        /// Bytes of a tile.
        fileprivate let bytes: Int
        /// Rows in all tiles.
        fileprivate let rows: Int
        /// The width of the widest groups, and that of others.
        fileprivate let width: Int
        fileprivate let narrowWidth: Int
        /// The kernel for the widest groups, that for others, and one for the widest groups with whole panels, if any.
        fileprivate let widest: ck_panel_fn
        fileprivate let narrow: ck_panel_fn
        fileprivate let many: ck_tiles_fn?
    }

    /// The product of tiles of some panels with groups in `form`, whose widths are of ``tileWidths(_:)``.
    func tileProduct(of matrix: WeightMatrix, panels: Range<Int>, form: ColumnForm) -> TileProduct {
        let kernels = panelKernels(matrix.type)
        return unsafe TileProduct(
            bytes: tileBytes(of: matrix.type, columns: matrix.columns, form: form), rows: matrix.rowCount(of: panels),
            width: Int(form.entry(of: kernels.tile_vectors)), narrowWidth: Int(form.entry(of: kernels.narrow_vectors)),
            widest: Self.product(kernels.tile, form), narrow: Self.product(kernels.tile_narrow, form),
            many: form.entry(of: kernels.tiles))
    }

    /// The same as with panels, with their tiles, one after the other.
    func multiply(
        _ product: TileProduct, tiles: RawSpan, _ x: PackedBatch, _ group: TokenGroup,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(
            tiles.byteCount == (product.rows + Panel.rows - 1) / Panel.rows * product.bytes
                && (group.width == product.narrowWidth || group.width == product.width),
            "\(tiles.byteCount) bytes of tiles for groups of \(group.width)")
        let isWide = group.width == product.width
        unsafe multiply(
            tiles, bytes: product.bytes, isWide ? product.widest : product.narrow, isWide ? product.many : nil,
            rows: product.rows, x, group, into: y, at: offset, stride: stride)
    }

    /// Products of panels or tiles, `bytes` each; those of whole ones by `many`, if there is that.
    private func multiply(
        _ weights: RawSpan, bytes: Int, _ product: ck_panel_fn, _ many: ck_tiles_fn?, rows: Int, _ x: PackedBatch,
        _ group: TokenGroup, into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        let tokens = group.tokens.count
        precondition(offset >= 0 && (tokens - 1) * stride + rows <= y.count - offset, "\(tokens) products do not fit")
        unsafe weights.withUnsafeBytes { weights in
            guard let base = weights.baseAddress else { return }
            unsafe x.withKernelColumns(of: group, ahead: panelAhead) { columns in
                let whole = unsafe many != nil && tokens == group.width ? rows / Panel.rows : 0
                if let many = unsafe many, whole > 0 {
                    unsafe many(base, whole, x.columns, columns, y.base + offset, stride)
                }
                for row in Swift.stride(from: whole * Panel.rows, to: rows, by: Panel.rows) {
                    let index = row / Panel.rows
                    let out = unsafe y.base + offset + row
                    if rows - row >= Panel.rows && tokens == group.width {
                        unsafe product(base + index * bytes, x.columns, columns, out, stride)
                        continue
                    }
                    // Kernels write whole panels for all vectors: what lies beside the wanted part is others'.
                    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: Panel.rows * group.width) { all in
                        unsafe product(base + index * bytes, x.columns, columns, all.baseAddress, Panel.rows)
                        for token in 0..<tokens {
                            for lane in 0..<min(Panel.rows, rows - row) {
                                unsafe out[token * stride + lane] = all[token * Panel.rows + lane]
                            }
                        }
                    }
                }
            }
        }
    }

    /// The rows of x (rows, columns) become a group of `width` vectors; the last row stands for what is missing.
    func packColumns(
        _ x: Span<Float>, rows: Int, columns: Int, form: ColumnForm, width: Int,
        values: inout MutableSpan<Int8>, scales: inout MutableSpan<Float>, totals: inout MutableSpan<Int32>,
        sums: inout MutableSpan<Float>
    ) {
        let elements = columns * width
        precondition(
            rows > 0 && rows <= width && x.count == rows * columns && columns % form.scaleColumns == 0
                && values.count == elements * form.bytes && scales.count == elements / form.scaleColumns
                && totals.count == PackedBatch.totals(elements) && sums.count == totals.count,
            "\(rows) rows of \(columns) activations in a group of \(width)")
        let pack = unsafe columnPacker(form)
        unsafe x.withUnsafeBufferPointer { x in
            unsafe values.withUnsafeMutableBufferPointer { values in
                unsafe scales.withUnsafeMutableBufferPointer { scales in
                    unsafe totals.withUnsafeMutableBufferPointer { totals in
                        unsafe sums.withUnsafeMutableBufferPointer { sums in
                            unsafe pack(
                                x.baseAddress, columns, rows, columns, width, values.baseAddress, scales.baseAddress,
                                totals.baseAddress, sums.baseAddress)
                        }
                    }
                }
            }
        }
    }

    /// An entry of a table by ck_precision.
    private static func product(
        _ table: (
            ck_panel_fn?, ck_panel_fn?, ck_panel_fn?, ck_panel_fn?, ck_panel_fn?, ck_panel_fn?, ck_panel_fn?,
            ck_panel_fn?
        ), _ form: ColumnForm
    ) -> ck_panel_fn {
        guard let product = unsafe form.entry(of: table) else {
            preconditionFailure("nothing multiplies \(form) activations here")
        }
        return unsafe product
    }

    private func checkPanel(_ panel: RawSpan, _ type: GGMLType, _ columns: Int) {
        precondition(
            panel.byteCount == Panel.byteCount(of: type, columns: columns), "\(panel.byteCount) bytes for a panel")
    }
}

extension PackedBatch {
    /// Inlined: a tile meets every group of a batch, and that takes a few microseconds each.
    @inline(__always)
    fileprivate func withKernelColumns(
        of group: TokenGroup, ahead: Int, _ body: (UnsafePointer<ck_columns>) -> Void
    ) {
        let first = group.start * columns
        let end = first + group.width * columns
        precondition(
            first >= 0 && group.tokens.count <= group.width && end * form.bytes <= values.byteCount
                && end / form.scaleColumns <= scales.count && Self.totals(end) <= totals.count
                && Self.totals(end) <= sums.count, "\(group) lies beyond what was packed")
        unsafe values.withUnsafeBytes { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    unsafe sums.withUnsafeBufferPointer { sums in
                        guard let base = values.baseAddress, let scales = scales.baseAddress,
                            let totals = totals.baseAddress, let sums = sums.baseAddress
                        else { return }
                        var columns = unsafe ck_columns(
                            values: base + first * form.bytes, scales: scales + first / form.scaleColumns,
                            totals: totals + Self.totals(first), sums: sums + Self.totals(first), ahead: ahead)
                        unsafe body(&columns)
                    }
                }
            }
        }
    }
}
