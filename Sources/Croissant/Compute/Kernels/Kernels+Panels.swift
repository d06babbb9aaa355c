internal import CKernels
package import GGUF

/// Weights in panels, and the groups of vectors that meet them.
extension Kernels {
    /// Some columns, in whole blocks, of the rows of `matrix` that make up panel `index`, side by side; what is missing of
    /// sixteen becomes zero.
    func pack(
        _ matrix: WeightMatrix, panel index: Int, columns: Range<Int>, into panel: inout MutableSpan<UInt8>
    ) {
        let first = index * Panel.rows
        let rows = matrix.rowCount(of: index..<index + 1)
        pack(
            matrix.bytes(ofRows: first..<first + rows), of: matrix.type, rows: rows, columns: columns, into: &panel)
    }

    /// `rows` rows of `type` as a panel; what is missing of sixteen becomes zero.
    package func pack(
        _ blocks: RawSpan, of type: GGMLType, rows: Int, columns: Int, into panel: inout MutableSpan<UInt8>
    ) {
        pack(blocks, of: type, rows: rows, columns: 0..<columns, into: &panel)
    }

    private func pack(
        _ blocks: RawSpan, of type: GGMLType, rows: Int, columns: Range<Int>, into panel: inout MutableSpan<UInt8>
    ) {
        precondition(rows > 0 && rows <= Panel.rows && blocks.byteCount % rows == 0, "\(rows) rows in a panel")
        precondition(
            panel.count == Panel.byteCount(of: type, columns: columns.count), "\(panel.count) bytes for a panel")
        let rowBytes = blocks.byteCount / rows
        guard let start = type.byteCount(elements: columns.lowerBound),
            let end = type.byteCount(elements: columns.upperBound), end <= rowBytes
        else { preconditionFailure("columns \(columns) of rows of \(rowBytes) bytes") }
        unsafe blocks.withUnsafeBytes { blocks in
            unsafe panel.withUnsafeMutableBufferPointer { panel in
                guard let base = blocks.baseAddress else { return }
                unsafe panelKernels(type).pack(base + start, rowBytes, rows, columns.count, panel.baseAddress)
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

    /// The columns of a panel that `product` is of as one of its tiles. Panels come from memory, as a rule.
    func unpack(_ panel: RawSpan, for product: TileProduct, into tile: inout MutableSpan<UInt8>) {
        unsafe panel.withUnsafeBytes { unsafe ck_fetch($0.baseAddress, $0.count) }
        unpack(panel, of: product.type, columns: product.columns.count, form: product.form, into: &tile)
    }

    /// A panel as a tile for activations in `form`.
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
    /// tokens of a group of `x`, whose width is one of ``Panel/vectorWidths``. `next` is the group that these panels meet
    /// next, if any.
    package func multiply(
        _ matrix: WeightMatrix, panels: Range<Int>, _ x: PackedBatch, _ group: TokenGroup, before next: TokenGroup?,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        let kernels = panelKernels(matrix.type)
        let product = unsafe Self.product(group.width == 1 ? kernels.one : kernels.four, x.form)
        unsafe multiply(
            matrix.panels(panels), bytes: matrix.panelBytes, product, nil, rows: matrix.rowCount(of: panels), x, group,
            columns: 0..<x.columns, before: next, into: y, at: offset, stride: stride)
    }

    /// Products of the tiles that ``unpack(_:for:into:)`` makes of some panels, looked up once for all groups that meet
    /// them.
    @safe struct TileProduct {
        /// Bytes of a tile.
        let bytes: Int
        /// The columns that tiles have of the rows.
        let columns: Range<Int>
        /// Where these columns are in a panel.
        let panelBytes: Range<Int>
        fileprivate let type: GGMLType
        fileprivate let form: ColumnForm
        /// Rows in all tiles.
        fileprivate let rows: Int
        /// The width of the widest groups, and that of others.
        fileprivate let width: Int
        fileprivate let narrowWidth: Int
        /// The kernel for the widest groups, that for others, and one for the widest groups and several tiles, if any.
        fileprivate let widest: ck_panel_fn
        fileprivate let narrow: ck_panel_fn
        fileprivate let many: ck_tiles_fn?
    }

    /// The product of tiles of some panels, which have some of the columns, with groups in `form`, whose widths are of
    /// ``tileWidths(_:)``.
    func tileProduct(
        of matrix: WeightMatrix, panels: Range<Int>, columns: Range<Int>, form: ColumnForm
    ) -> TileProduct {
        precondition(
            form == .amxBF16 || columns == 0..<matrix.columns, "\(form) has no products of a part of the columns")
        let kernels = panelKernels(matrix.type)
        let start = Panel.byteCount(of: matrix.type, columns: columns.lowerBound)
        return unsafe TileProduct(
            bytes: tileBytes(of: matrix.type, columns: columns.count, form: form), columns: columns,
            panelBytes: start..<start + Panel.byteCount(of: matrix.type, columns: columns.count), type: matrix.type,
            form: form, rows: matrix.rowCount(of: panels),
            width: Int(form.entry(of: kernels.tile_vectors)), narrowWidth: Int(form.entry(of: kernels.narrow_vectors)),
            widest: Self.product(kernels.tile, form), narrow: Self.product(kernels.tile_narrow, form),
            many: form.entry(of: kernels.tiles))
    }

    /// The same as with panels, with their tiles, one after the other. Products of columns that are not the first ones are
    /// added to y. `next` is the group that these tiles meet next, if any.
    func multiply(
        _ product: TileProduct, tiles: RawSpan, _ x: PackedBatch, _ group: TokenGroup, before next: TokenGroup?,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        precondition(
            tiles.byteCount == (product.rows + Panel.rows - 1) / Panel.rows * product.bytes
                && (group.width == product.narrowWidth || group.width == product.width),
            "\(tiles.byteCount) bytes of tiles for groups of \(group.width)")
        let isWide = group.width == product.width
        unsafe multiply(
            tiles, bytes: product.bytes, isWide ? product.widest : product.narrow, isWide ? product.many : nil,
            rows: product.rows, x, group, columns: product.columns, before: next, into: y, at: offset, stride: stride)
    }

    /// Products of panels or tiles, `bytes` each; by `many` all together, if there is that.
    private func multiply(
        _ weights: RawSpan, bytes: Int, _ product: ck_panel_fn, _ many: ck_tiles_fn?, rows: Int, _ x: PackedBatch,
        _ group: TokenGroup, columns: Range<Int>, before next: TokenGroup?, into y: borrowing SharedBuffer<Float>,
        at offset: Int, stride: Int
    ) {
        let tokens = group.tokens.count
        precondition(offset >= 0 && (tokens - 1) * stride + rows <= y.count - offset, "\(tokens) products do not fit")
        let adds = columns.lowerBound > 0
        // What meets another group next shall stay.
        let ahead = next != nil && lookahead.is_passing ? ck_lookahead() : lookahead
        unsafe weights.withUnsafeBytes { weights in
            guard let base = weights.baseAddress else { return }
            unsafe x.withKernelColumns(of: group, columns: columns, before: next, ahead: ahead) { x in
                let step = unsafe many == nil ? Panel.rows : rows + (Panel.rows - rows % Panel.rows) % Panel.rows
                for row in Swift.stride(from: 0, to: rows, by: step) {
                    let tiles = unsafe base + row / Panel.rows * bytes
                    let out = unsafe y.base + offset + row
                    let isWhole = rows - row >= step && tokens == group.width
                    unsafe x.pointee.adds = isWhole && adds
                    func multiply(into y: UnsafeMutablePointer<Float>, stride: Int) {
                        if let many = unsafe many {
                            unsafe many(tiles, step / Panel.rows, columns.count, x, y, stride)
                        } else {
                            unsafe product(tiles, columns.count, x, y, stride)
                        }
                    }
                    if isWhole {
                        unsafe multiply(into: out, stride: stride)
                        continue
                    }
                    // Kernels write whole panels for all vectors: what lies beside the wanted part is others'.
                    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: step * group.width) { all in
                        guard let products = all.baseAddress else { return }
                        unsafe multiply(into: products, stride: step)
                        for token in 0..<tokens {
                            for lane in 0..<min(step, rows - row) {
                                let before = unsafe adds ? out[token * stride + lane] : 0
                                unsafe out[token * stride + lane] = before + products[token * step + lane]
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
            ck_panel_fn?, ck_panel_fn?, ck_panel_fn?
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
        of group: TokenGroup, columns part: Range<Int>, before next: TokenGroup?, ahead: ck_lookahead,
        _ body: (UnsafeMutablePointer<ck_columns>) -> Void
    ) {
        let first = group.start * columns
        let end = first + group.width * columns
        precondition(
            first >= 0 && group.tokens.count <= group.width && end * form.bytes <= values.byteCount
                && self.scales(end) <= scales.count && Self.totals(end) <= totals.count
                && Self.totals(end) <= sums.count, "\(group) lies beyond what was packed")
        precondition(part.lowerBound >= 0 && part.upperBound <= columns, "columns \(part) of \(columns)")
        unsafe values.withUnsafeBytes { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    unsafe sums.withUnsafeBufferPointer { sums in
                        guard let base = values.baseAddress, let scales = scales.baseAddress,
                            let totals = totals.baseAddress, let sums = sums.baseAddress
                        else { return }
                        func place(of group: TokenGroup) -> UnsafeRawPointer {
                            unsafe base + (group.start * columns + group.width * part.lowerBound) * form.bytes
                        }
                        var arguments = unsafe ck_columns(
                            values: place(of: group), scales: scales + self.scales(first),
                            totals: totals + Self.totals(first), sums: sums + Self.totals(first), ahead: ahead,
                            next: next.map { unsafe place(of: $0) }, adds: false)
                        unsafe body(&arguments)
                    }
                }
            }
        }
    }
}
