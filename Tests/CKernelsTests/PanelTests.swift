import CKernels
import Testing

/// The types whose resident weights are panels.
private let panelTypes = types.filter { ck_panel_sizes($0.rawValue).block > 0 }
private let rowCount = Int(CK_PANEL_ROWS)
private let tileVectors = Int(CK_TILE_VECTORS)

/// Sixteen rows of a type, or fewer, as a panel.
private struct Panel {
    let type: ck_type
    let rows: Int
    let columns: Int
    let bytes: [UInt8]
    /// (rows, columns), by the scalar reference from the blocks of the file.
    let weights: [Float]

    init(_ type: ck_type, _ isa: ck_isa, rows: Int, columns: Int, _ random: inout Random) {
        self.type = type
        self.rows = rows
        self.columns = columns
        let blocks = randomBlocks(type, rows * columns, &random)
        weights = dequantized(type, blocks, rows * columns)
        let sizes = ck_panel_sizes(type.rawValue)
        // A byte more shows whether packing writes too far.
        var bytes = [UInt8](repeating: 0xA5, count: columns / Int(sizes.block) * Int(sizes.block_bytes) + 1)
        unsafe ck_panels(type, isa).pack(blocks, type.rowBytes(columns), rows, columns, &bytes)
        #expect(bytes.removeLast() == 0xA5)
        self.bytes = bytes
    }

    /// The panel's tile, 64-byte aligned.
    func withTile(_ isa: ck_isa, _ body: (UnsafeRawPointer) -> Void) {
        let count = columns / 32 * Int(ck_panel_sizes(type.rawValue).tile_bytes)
        let tile = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        defer { unsafe tile.deallocate() }
        unsafe ck_panels(type, isa).unpack(bytes, columns, tile)
        unsafe body(tile)
    }
}

/// Vectors side by side, and the numbers that they stand for.
private struct Columns {
    let count: Int
    private let isWide: Bool
    private var values: [Int8]
    private var scales: [Float]
    private var totals: [Int32]

    init(_ vectors: [[Float]], _ precision: ck_precision, _ isa: ck_isa) {
        count = vectors.count
        isWide = precision == CK_PRECISION_INT16
        let columns = vectors[0].count
        values = [Int8](repeating: 0, count: columns * count * (isWide ? 2 : 1))
        scales = [Float](repeating: 0, count: columns / 32 * count)
        totals = [Int32](repeating: 0, count: columns / 16 * count)
        guard let pack = unsafe ck_pack_columns(precision, isa) else { return }
        for (t, vector) in vectors.enumerated() {
            unsafe pack(vector, columns, count, t, &values, &scales, &totals)
        }
    }

    /// Activation `column` of vector `t`, before its scale.
    func integer(_ column: Int, _ t: Int) -> Int {
        let (block, lane) = column.quotientAndRemainder(dividingBy: 32)
        let index = ((lane / 4) * count + t) * 4 + lane % 4
        let start = block * 32 * count * (isWide ? 2 : 1)
        guard isWide else { return Int(values[start + index]) }
        return Int(values[start + index]) * 256 + Int(values[start + 32 * count + index])
    }

    func value(_ column: Int, _ t: Int) -> Double {
        Double(scales[column / 32 * count + t]) * Double(integer(column, t))
    }

    func total(_ group: Int, _ t: Int) -> Int { Int(totals[group * count + t]) }

    func multiply(_ function: ck_panel_fn, _ panel: UnsafeRawPointer, columns: Int) -> [Float] {
        var y = [Float](repeating: .nan, count: count * rowCount)
        unsafe values.withUnsafeBufferPointer { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    var x = unsafe ck_columns(
                        values: values.baseAddress, scales: scales.baseAddress, totals: totals.baseAddress)
                    unsafe function(panel, columns, &x, &y, rowCount)
                }
            }
        }
        return y
    }
}

/// The functions of a table of three by precision.
private func function(
    _ table: (ck_panel_fn?, ck_panel_fn?, ck_panel_fn?), _ precision: ck_precision
) throws -> ck_panel_fn {
    unsafe try #require(unsafe precision == CK_PRECISION_INT16 ? table.1 : table.2)
}

@Suite("Panels hold the same weights as the file, and their products agree with float64 arithmetic")
struct PanelTests {
    @Test("A panel's weights are those of its rows, bit for bit", arguments: panelTypes, supportedISAs)
    func weights(type: ck_type, isa: ck_isa) {
        var random = Random(1)
        for rows in [1, 15, 16] {
            let columns = 3 * max(Int(ck_panel_sizes(type.rawValue).block), 32)
            let panel = Panel(type, isa, rows: rows, columns: columns, &random)
            let stride = rowCount + 3
            var out = [Float](repeating: .nan, count: columns * stride)
            unsafe ck_panels(type, isa).dequantize(panel.bytes, columns, &out, stride)
            for column in 0..<columns {
                for row in 0..<rows {
                    #expect(out[column * stride + row] == panel.weights[row * columns + column])
                }
                for gap in rowCount..<stride { #expect(out[column * stride + gap].isNaN) }
            }
        }
    }

    @Test(
        "Activations side by side are rounded to the nearest step, and their totals are sums", arguments: supportedISAs)
    func activations(isa: ck_isa) {
        var random = Random(2)
        for precision in [CK_PRECISION_INT8, CK_PRECISION_INT16] {
            let vectors = (0..<5).map { _ in random.floats(96, times: 3) }
            let columns = Columns(vectors, precision, isa)
            for (t, vector) in vectors.enumerated() {
                for block in 0..<3 {
                    let largest = vector[32 * block..<32 * (block + 1)].map(abs).max() ?? 0
                    let step = Double(largest) / (precision == CK_PRECISION_INT8 ? 127 : 127 * 256)
                    // One in 256 of the wide ones is a step off, so that no lower byte is -128.
                    let tolerance = precision == CK_PRECISION_INT8 ? 0.5001 : 1.5001
                    for i in 32 * block..<32 * (block + 1) {
                        #expect(abs(columns.value(i, t) - Double(vector[i])) <= step * tolerance)
                        #expect(precision == CK_PRECISION_INT8 || columns.integer(i, t) & 0xFF != 0x80)
                    }
                }
                for group in 0..<6 {
                    let sum = (16 * group..<16 * (group + 1)).reduce(0) { $0 + columns.integer($1, t) }
                    #expect(columns.total(group, t) == sum)
                }
            }
        }
    }

    @Test("Products of panels and of tiles with 1, 4 and 12 vectors", arguments: panelTypes, supportedISAs)
    func products(type: ck_type, isa: ck_isa) throws {
        var random = Random(3)
        let kernels = ck_panels(type, isa)
        let block = Int(ck_panel_sizes(type.rawValue).block)
        for columns in [block, 5 * block] {
            let panel = Panel(type, isa, rows: rowCount, columns: columns, &random)
            for precision in [CK_PRECISION_INT8, CK_PRECISION_INT16] {
                for (count, extreme) in [(1, false), (1, true), (4, false), (tileVectors, false), (tileVectors, true)] {
                    // Extreme: every activation is the largest that there is, with either sign.
                    let vectors = (0..<count).map { _ in
                        random.floats(columns, times: 2).map { extreme ? ($0 < 0 ? -1 : 1) : $0 }
                    }
                    let x = Columns(vectors, precision, isa)
                    if count < tileVectors {
                        let table = unsafe count == 1 ? kernels.one : kernels.four
                        let product = try unsafe function(table, precision)
                        let result = try unsafe withGuardedCopy(panel.bytes) {
                            unsafe x.multiply(product, $0, columns: columns)
                        }
                        check(result, panel, x)
                    }
                    if count > 1 {
                        let table = unsafe count == 4 ? kernels.tile_four : kernels.tile
                        let product = try unsafe function(table, precision)
                        unsafe panel.withTile(isa) { tile in
                            check(unsafe x.multiply(product, tile, columns: columns), panel, x)
                        }
                    }
                }
            }
        }
    }

    /// Compares with float64, to 1e-6 of the sum of magnitudes.
    private func check(_ result: [Float], _ panel: Panel, _ x: Columns) {
        for t in 0..<x.count {
            for row in 0..<panel.rows {
                var exact = 0.0
                var magnitude = 0.0
                for column in 0..<panel.columns {
                    let term = Double(panel.weights[row * panel.columns + column]) * x.value(column, t)
                    exact += term
                    magnitude += abs(term)
                }
                let found = Double(result[t * rowCount + row])
                #expect(abs(found - exact) <= 1e-6 * magnitude, "row \(row), vector \(t)")
            }
        }
    }

    @Test("A type without panels has no sizes")
    func noPanels() {
        for id in [UInt32(CK_TYPE_F32.rawValue), CK_TYPE_F16.rawValue, 4, 99, .max] {
            #expect(ck_panel_sizes(id).block == 0)
        }
    }
}
