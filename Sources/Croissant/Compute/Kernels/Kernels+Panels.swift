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

    /// Reads a panel from memory, for ``unpack(_:for:into:)`` to find it in a cache.
    func fetch(_ panel: RawSpan) { unsafe panel.withUnsafeBytes { unsafe ck_fetch($0.baseAddress, $0.count) } }

    /// The columns of a panel that `product` is of as one of its tiles.
    func unpack(_ panel: RawSpan, for product: TileProduct, into tile: inout MutableSpan<UInt8>) {
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

    /// The products of the rows of some panels with the tokens of `groups`, whose widths are of ``vectorWidths``:
    /// y[offset + t * stride + i] = dot(row 16 * panels.lowerBound + i, vector t), counted from the first of them on.
    package func multiply(
        _ matrix: WeightMatrix, panels: Range<Int>, _ x: PackedBatch, _ groups: ArraySlice<TokenGroup>,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        var products = panelProducts(of: matrix.type, x.form)
        products.ahead = lookahead
        products.wideAhead = wideLookahead
        multiply(
            matrix.panels(panels), bytes: matrix.panelBytes, products, rows: matrix.rowCount(of: panels), x, groups,
            columns: 0..<x.columns, before: nil, into: y, at: offset, stride: stride, passing: false)
    }

    /// The same with one panel, which the rows of `matrix` have just been packed into.
    func multiply(
        _ matrix: WeightMatrix, panel index: Int, packed panel: RawSpan, _ x: PackedBatch,
        _ groups: ArraySlice<TokenGroup>, into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int
    ) {
        checkPanel(panel, matrix.type, x.columns)
        multiply(
            panel, bytes: panel.byteCount, panelProducts(of: matrix.type, x.form),
            rows: matrix.rowCount(of: index..<index + 1), x, groups, columns: 0..<x.columns, before: nil, into: y,
            at: offset, stride: stride, passing: false)
    }

    private func panelProducts(of type: GGMLType, _ form: ColumnForm) -> GroupProducts {
        let kernels = panelKernels(type)
        let single = unsafe Self.product(kernels.one, form), pair = unsafe Self.product(kernels.two, form)
        let four = unsafe Self.product(kernels.four, form)
        guard let eight = unsafe form.entry(of: kernels.eight) else {
            return unsafe GroupProducts(
                width: 4, narrowWidth: 2, widest: four, narrow: pair, pair: nil, single: single, many: nil)
        }
        return unsafe GroupProducts(
            width: 8, narrowWidth: 4, widest: eight, narrow: four, pair: pair, single: single, many: nil)
    }

    /// What multiplies groups of some widths.
    @safe fileprivate struct GroupProducts {
        /// The width of the widest groups, and that of narrower ones.
        let width: Int
        let narrowWidth: Int
        /// The kernels for these groups, those for two tokens and for one alone, if any, and one for the widest groups
        /// and several tiles, if any.
        let widest: ck_panel_fn
        let narrow: ck_panel_fn
        let pair: ck_panel_fn?
        let single: ck_panel_fn?
        let many: ck_tiles_fn?
        /// How far ahead of use weights are asked for that meet one vector or two, and those that meet more: not at all
        /// where a cache holds them, as tiles.
        var ahead = ck_lookahead()
        var wideAhead = ck_lookahead()

        /// The kernel for groups of `width`.
        @inline(__always)
        func one(_ width: Int) -> ck_panel_fn {
            if width == self.width { return unsafe widest }
            if width == narrowWidth { return unsafe narrow }
            guard let kernel = unsafe width == 2 ? pair : width == 1 ? single : nil else {
                preconditionFailure("nothing multiplies groups of \(width)")
            }
            return unsafe kernel
        }
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
        fileprivate let products: GroupProducts
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
            products: GroupProducts(
                width: Int(form.entry(of: kernels.tile_vectors)),
                narrowWidth: Int(form.entry(of: kernels.narrow_vectors)), widest: Self.product(kernels.tile, form),
                narrow: Self.product(kernels.tile_narrow, form), pair: nil, single: nil,
                many: form.entry(of: kernels.tiles)))
    }

    /// The same as with panels, with their tiles, one after the other. Products of columns that are not the first ones are
    /// added to y. `next` is the group that these tiles meet next, if any; `passes` says whether y goes past the caches,
    /// see ``resultsPass``.
    func multiply(
        _ product: TileProduct, tiles: RawSpan, _ x: PackedBatch, _ groups: ArraySlice<TokenGroup>,
        before next: TokenGroup?, into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int,
        passing passes: Bool = false
    ) {
        precondition(
            tiles.byteCount == (product.rows + Panel.rows - 1) / Panel.rows * product.bytes,
            "\(tiles.byteCount) bytes of tiles")
        multiply(
            tiles, bytes: product.bytes, product.products, rows: product.rows, x, groups, columns: product.columns,
            before: next, into: y, at: offset, stride: stride, passing: passes)
    }

    /// Products of panels or tiles, `bytes` each, with one group after the other.
    private func multiply(
        _ weights: RawSpan, bytes: Int, _ products: GroupProducts, rows: Int, _ x: PackedBatch,
        _ groups: ArraySlice<TokenGroup>, columns: Range<Int>, before next: TokenGroup?,
        into y: borrowing SharedBuffer<Float>, at offset: Int, stride: Int, passing passes: Bool
    ) {
        guard let first = groups.first?.tokens.lowerBound, let last = groups.last?.tokens.upperBound else { return }
        precondition(
            offset >= 0 && (last - first - 1) * stride + rows <= y.count - offset, "\(first..<last) does not fit")
        let all = unsafe y.base + offset
        unsafe weights.withUnsafeBytes { weights in
            guard let base = weights.baseAddress else { return }
            x.withKernelColumns(columns) { x in
                for index in groups.indices {
                    let group = groups[index]
                    precondition(
                        group.tokens.lowerBound >= first && group.tokens.upperBound <= last,
                        "\(group) is not between the first and the last")
                    let next = index + 1 < groups.endIndex ? groups[index + 1] : next
                    let own = group.width > 2 ? products.wideAhead : products.ahead
                    // What meets another group next shall stay.
                    let ahead = next != nil && own.is_passing ? ck_lookahead() : own
                    var arguments = unsafe x.arguments(for: group, before: next, ahead: ahead)
                    unsafe multiply(
                        base, bytes: bytes, products, rows: rows, &arguments, group, columns: columns,
                        into: all + (group.tokens.lowerBound - first) * stride, stride: stride, passing: passes)
                }
            }
        }
    }

    /// Those with one group, by `many` all together, if there is that.
    @inline(__always)
    private func multiply(
        _ weights: UnsafeRawPointer, bytes: Int, _ products: GroupProducts, rows: Int,
        _ x: UnsafeMutablePointer<ck_columns>, _ group: TokenGroup, columns: Range<Int>,
        into y: UnsafeMutablePointer<Float>, stride: Int, passing passes: Bool
    ) {
        let tokens = group.tokens.count
        let adds = columns.lowerBound > 0
        let many = unsafe group.width == products.width ? products.many : nil
        let one = unsafe products.one(group.width)
        let step = unsafe many == nil ? Panel.rows : rows + (Panel.rows - rows % Panel.rows) % Panel.rows
        for row in Swift.stride(from: 0, to: rows, by: step) {
            let tiles = unsafe weights + row / Panel.rows * bytes
            let out = unsafe y + row
            let isWhole = rows - row >= step && tokens == group.width
            unsafe x.pointee.adds = isWhole && adds
            unsafe x.pointee.passes = isWhole && passes
            func multiply(into y: UnsafeMutablePointer<Float>, stride: Int) {
                if let many = unsafe many {
                    unsafe many(tiles, step / Panel.rows, columns.count, x, y, stride)
                } else {
                    unsafe one(tiles, columns.count, x, y, stride)
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
    /// Some columns of all groups, as kernels take them.
    @safe fileprivate struct KernelColumns {
        let values: UnsafeRawPointer
        let scales: UnsafePointer<Float>
        let totals: UnsafePointer<Int32>
        let sums: UnsafePointer<Float>
        /// Bytes from one vector to the next, and from a vector's first activation to the first of these columns.
        let vectorBytes: Int
        let columnBytes: Int
        let columns: Int
        let scaleShift: Int
        /// Vectors of all groups.
        let vectors: Int

        /// Inlined: a tile meets every group of a batch, and that takes a few microseconds each.
        @inline(__always)
        func arguments(for group: TokenGroup, before next: TokenGroup?, ahead: ck_lookahead) -> ck_columns {
            precondition(
                group.start >= 0 && group.tokens.count <= group.width && group.width <= vectors - group.start,
                "\(group) lies beyond what was packed")
            let first = group.start * columns
            let totals = PackedBatch.totals(first)
            return unsafe ck_columns(
                values: place(of: group), scales: scales + first >> scaleShift, totals: self.totals + totals,
                sums: sums + totals, ahead: ahead, next: next.map { unsafe place(of: $0) }, adds: false, passes: false)
        }

        @inline(__always)
        private func place(of group: TokenGroup) -> UnsafeRawPointer {
            unsafe values + group.start * vectorBytes + group.width * columnBytes
        }
    }

    @inline(__always)
    fileprivate func withKernelColumns(_ part: Range<Int>, _ body: (KernelColumns) -> Void) {
        precondition(part.lowerBound >= 0 && part.upperBound <= columns, "columns \(part) of \(columns)")
        unsafe values.withUnsafeBytes { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    unsafe sums.withUnsafeBufferPointer { sums in
                        guard let base = values.baseAddress, let scales = scales.baseAddress,
                            let totals = totals.baseAddress, let sums = sums.baseAddress
                        else { return }
                        body(
                            unsafe KernelColumns(
                                values: base, scales: scales, totals: totals, sums: sums,
                                vectorBytes: columns * form.bytes, columnBytes: part.lowerBound * form.bytes,
                                columns: columns, scaleShift: scaleShift, vectors: vectors))
                    }
                }
            }
        }
    }
}
