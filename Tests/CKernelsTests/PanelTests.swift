import CKernels
import Testing

/// The types whose resident weights are panels.
private let panelTypes = types.filter { ck_panel_sizes($0.rawValue).block > 0 }
private let rowCount = Int(CK_PANEL_ROWS)
/// Forms of activations for which some types have tiles, whose scales or weights are rounded.
private let tileForms = [
    CK_PRECISION_WIDE_INT8, CK_PRECISION_RAISED_INT8, CK_PRECISION_INT11, CK_PRECISION_AMX_INT16, CK_PRECISION_AMX_BF16,
    CK_PRECISION_PAIRED_INT8,
]

/// Sixteen rows of a type, or fewer, as a panel.
private struct Panel {
    let type: ck_type
    let rows: Int
    let columns: Int
    let bytes: [UInt8]
    /// (rows, columns), by the scalar reference from the blocks of the file.
    let weights: [Float]

    /// Of random blocks, or of blocks all of whose bytes but their scales are `fill`.
    init(
        _ type: ck_type, _ isa: ck_isa, rows: Int, columns: Int, fill: UInt8? = nil, hasPositiveScales: Bool = false,
        _ random: inout Random
    ) {
        var blocks = randomBlocks(type, rows * columns, &random)
        if let fill {
            blocks = [UInt8](repeating: fill, count: blocks.count)
            blocks.setHalves(of: type, 0x2400)
        }
        if hasPositiveScales {
            for start in stride(from: 0, to: blocks.count, by: type.blockBytes) {
                for half in type.halves { blocks[start + half + 1] &= 0x7f }
                if type == CK_TYPE_IQ1_M { blocks[start + 55] &= 0x7f }
            }
        }
        self.init(type, isa, rows: rows, columns: columns, blocks: blocks)
    }

    init(_ type: ck_type, _ isa: ck_isa, rows: Int, columns: Int, blocks: [UInt8]) {
        self.type = type
        self.rows = rows
        self.columns = columns
        weights = dequantized(type, blocks, rows * columns)
        let sizes = ck_panel_sizes(type.rawValue)
        // A byte more shows whether packing writes too far.
        var bytes = [UInt8](repeating: 0xA5, count: columns / Int(sizes.block) * Int(sizes.block_bytes) + 1)
        unsafe ck_panels(type, isa).pack(blocks, type.rowBytes(columns), rows, columns, &bytes)
        #expect(bytes.removeLast() == 0xA5)
        self.bytes = bytes
    }

    /// The panel's tile for activations of `precision`, 64-byte aligned.
    func withTile(_ isa: ck_isa, _ precision: ck_precision, _ body: (UnsafeRawPointer) -> Void) throws {
        let header = tileForms.contains(precision) ? Int(CK_WIDE_HEADER) : 0
        let count = header + columns / 32 * Int(entry(of: ck_panels(type, isa).tile_bytes, precision))
        let tile = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        defer { unsafe tile.deallocate() }
        let unpack = try unsafe #require(entry(of: ck_panels(type, isa).unpack, precision))
        unsafe unpack(bytes, columns, tile)
        unsafe body(tile)
    }
}

/// Vectors side by side, and the numbers that they stand for.
private struct Columns {
    /// How an instruction set takes numbers: see columns.c.
    private enum Form { case bytes, raised, planes, shorts, matrices, floats }

    let count: Int
    private let length: Int
    private let form: Form
    private let scaleColumns: Int
    /// Whether scales are integers, parts of the largest.
    private let isPaired: Bool
    private var values: [Int8]
    private var scales: [Float]
    private var totals: [Int32]
    private var sums: [Float]

    init(_ vectors: [[Float]], _ precision: ck_precision, _ isa: ck_isa) {
        count = vectors.count
        length = vectors[0].count
        let isAVX2 = isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512
        form =
            switch precision {
            case CK_PRECISION_INT16: isAVX2 ? .shorts : .planes
            case CK_PRECISION_SPLIT_INT16: .planes
            case CK_PRECISION_WIDE_INT8: isAVX2 ? .raised : .bytes
            case CK_PRECISION_RAISED_INT8: .raised
            case CK_PRECISION_INT11: .shorts
            case CK_PRECISION_AMX_INT16: .matrices
            case CK_PRECISION_AMX_BF16: .floats
            default: .bytes
            }
        scaleColumns =
            switch precision {
            case CK_PRECISION_WIDE_INT8, CK_PRECISION_INT11: 64
            case CK_PRECISION_AMX_INT16: 256
            default: 32
            }
        isPaired = precision == CK_PRECISION_PAIRED_INT8
        values = [Int8](repeating: 0, count: length * count * (form == .bytes || form == .raised ? 1 : 2))
        scales = [Float](repeating: 0, count: length / 32 * count)
        totals = [Int32](repeating: 0, count: (length / 32 + length / 16) * count)
        sums = [Float](repeating: 0, count: totals.count)
        guard let pack = unsafe ck_pack_columns(precision, isa) else { return }
        unsafe pack(vectors.flatMap { $0 }, length, count, length, count, &values, &scales, &totals, &sums)
    }

    /// Activation `column` of vector `t`, before its scale.
    func integer(_ column: Int, _ t: Int) -> Int {
        let (block, lane) = column.quotientAndRemainder(dividingBy: 32)
        let word = (lane / 4) * count + t
        switch form {
        case .bytes:
            return Int(values[block * 32 * count + word * 4 + lane % 4])
        case .raised:
            return Int(UInt8(bitPattern: values[block * 32 * count + word * 4 + lane % 4])) - 128
        case .planes:
            let upper = block * 64 * count + word * 4 + lane % 4
            return Int(values[upper]) * 256 + Int(values[upper + 32 * count])
        case .shorts:
            let low = block * 64 * count + word * 8 + 2 * [0, 2, 1, 3][lane % 4]
            return Int(values[low + 1]) * 256 + Int(UInt8(bitPattern: values[low]))
        case .matrices:
            let upper = column / 64 * 128 * count + t / 16 * 2048 + t % 16 * 64 + column % 64
            return Int(values[upper]) * 256 + Int(values[upper + 1024])
        case .floats:
            preconditionFailure("bfloat16 is no integer")
        }
    }

    /// The lower byte of an activation that is held in planes.
    func lowerByte(_ column: Int, _ t: Int) -> Int8 {
        values[column / 32 * 64 * count + 32 * count + column % 32 / 4 * 4 * count + 4 * t + column % 4]
    }

    func scale(_ block: Int, _ t: Int) -> Double {
        guard isPaired else { return Double(scales[block * count + t]) }
        let pair = scales[block / 2 * count + t].bitPattern
        return Double(block % 2 == 0 ? pair & 0xffff : pair >> 16) / 32767 * Double(sums[t])
    }

    func value(_ column: Int, _ t: Int) -> Double {
        guard form == .floats else { return scale(column / scaleColumns, t) * Double(integer(column, t)) }
        let low = 2 * (column / 32 * 32 * count + t * 32 + column % 32)
        let bits = UInt32(UInt8(bitPattern: values[low])) | UInt32(UInt8(bitPattern: values[low + 1])) << 8
        return Double(Float(bitPattern: bits << 16))
    }

    /// The total and the sum of `width` (16 or 32) activations from column width * `group` on.
    func total(_ group: Int, _ width: Int, _ t: Int) -> (integer: Int, sum: Double) {
        let index = ((width == 32 ? 0 : length / 32) + group) * count + t
        return (Int(totals[index]), Double(sums[index]))
    }

    func multiply(_ function: ck_panel_fn, _ panel: UnsafeRawPointer, columns: Int) -> [Float] {
        var y = [Float](repeating: .nan, count: count * rowCount)
        unsafe withColumns { unsafe function(panel, columns, $0, &y, rowCount) }
        return y
    }

    func multiply(
        _ function: ck_tiles_fn, _ tiles: UnsafeRawPointer, count tileCount: Int, columns: Int, stride: Int
    ) -> [Float] {
        var y = [Float](repeating: .nan, count: count * stride)
        unsafe withColumns { unsafe function(tiles, tileCount, columns, $0, &y, stride) }
        return y
    }

    /// Adds the products with some of the columns to y.
    func add(_ function: ck_panel_fn, _ tile: UnsafeRawPointer, columns: Range<Int>, to y: inout [Float]) {
        unsafe withColumns(from: columns.lowerBound, adds: true) {
            unsafe function(tile, columns.count, $0, &y, rowCount)
        }
    }

    private func withColumns(
        from column: Int = 0, adds: Bool = false, _ body: (UnsafePointer<ck_columns>) -> Void
    ) {
        unsafe values.withUnsafeBufferPointer { values in
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe totals.withUnsafeBufferPointer { totals in
                    unsafe sums.withUnsafeBufferPointer { sums in
                        let start = unsafe values.baseAddress.map { unsafe $0 + 2 * column * count }
                        var x = unsafe ck_columns(
                            values: start, scales: scales.baseAddress, totals: totals.baseAddress,
                            sums: sums.baseAddress, ahead: ck_lookahead(), next: start, adds: adds,
                            passes: false)
                        unsafe body(&x)
                    }
                }
            }
        }
    }
}

/// An entry of a table by precision.
private func entry<Entry>(
    of table: (Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry, Entry), _ precision: ck_precision
) -> Entry {
    switch precision {
    case CK_PRECISION_INT16: table.1
    case CK_PRECISION_INT8: table.2
    case CK_PRECISION_WIDE_INT8: table.3
    case CK_PRECISION_SPLIT_INT16: table.4
    case CK_PRECISION_RAISED_INT8: table.5
    case CK_PRECISION_INT11: table.6
    case CK_PRECISION_AMX_INT16: table.7
    case CK_PRECISION_AMX_BF16: table.8
    case CK_PRECISION_PAIRED_INT8: table.9
    default: table.0
    }
}

@Suite("Panels hold the same weights as the file, and their products agree with float64 arithmetic")
struct PanelTests {
    @Test("A panel's weights are those of its rows, bit for bit", arguments: panelTypes, supportedISAs)
    func weights(type: ck_type, isa: ck_isa) {
        var random = Random(1)
        for rows in [1, 15, 16] {
            let columns = max(Int(ck_panel_sizes(type.rawValue).block), 64)
            let panel = Panel(type, isa, rows: rows, columns: columns, &random)
            let stride = rowCount + 3
            var out = [Float](repeating: .nan, count: columns * stride)
            unsafe ck_panels(type, isa).dequantize(panel.bytes, columns, &out, stride)
            for column in 0..<columns {
                let found = out[column * stride..<column * stride + rows]
                let expected = (0..<rows).map { panel.weights[$0 * columns + column] }
                #expect(Array(found) == expected, "column \(column)")
                let gap = out[column * stride + rowCount..<(column + 1) * stride]
                #expect(gap.count { $0.isNaN } == 3)
            }
        }
    }

    @Test(
        "A panel is as large as its rows in the file, but where it has places in a codebook in the place of indices",
        arguments: panelTypes)
    func sizes(type: ck_type) {
        let expected =
            switch type {
            case CK_TYPE_IQ4_XS: 138  // factors of eight bits, not six
            case CK_TYPE_IQ3_XXS, CK_TYPE_IQ3_S: 138
            case CK_TYPE_IQ2_XXS, CK_TYPE_IQ1_S: 106
            case CK_TYPE_IQ2_XS, CK_TYPE_IQ2_S, CK_TYPE_IQ1_M: 114
            case CK_TYPE_TQ1_0: 66
            case CK_TYPE_MXFP4: 18
            default: type.blockBytes
            }
        let sizes = ck_panel_sizes(type.rawValue)
        #expect(Int(sizes.block) == type.block)
        #expect(Int(sizes.block_bytes) == rowCount * expected)
    }

    @Test("All types that are quantised have panels")
    func quantizedTypes() {
        #expect(panelTypes == integerTypes)
    }

    @Test(
        "Activations side by side are rounded to the nearest step, and their totals are sums", arguments: supportedISAs)
    func activations(isa: ck_isa) {
        var random = Random(2)
        for precision in [
            CK_PRECISION_INT8, CK_PRECISION_INT16, CK_PRECISION_SPLIT_INT16, CK_PRECISION_RAISED_INT8,
        ] {
            guard unsafe ck_pack_columns(precision, isa) != nil else { continue }
            let vectors = (0..<5).map { _ in random.floats(96, times: 3) }
            let columns = Columns(vectors, precision, isa)
            for (t, vector) in vectors.enumerated() {
                for block in 0..<3 {
                    let largest = vector[32 * block..<32 * (block + 1)].map(abs).max() ?? 0
                    let isByte = [CK_PRECISION_INT8, CK_PRECISION_RAISED_INT8].contains(precision)
                    let step = Double(largest) / (isByte ? 127 : 127 * 256)
                    // Half a step (of 126 in place of 127: the better of two scales), and a float's own rounding.
                    for i in 32 * block..<32 * (block + 1) {
                        #expect(abs(columns.value(i, t) - Double(vector[i])) <= step * 0.51)
                    }
                }
                for width in [16, 32] {
                    for group in 0..<96 / width {
                        let sum = (width * group..<width * (group + 1)).reduce(0) { $0 + columns.integer($1, t) }
                        let found = columns.total(group, width, t)
                        let scaled = columns.scale(group * width / 32, t) * Double(sum)
                        #expect(found.integer == -128 * sum)
                        #expect(abs(found.sum - scaled) <= 1e-7 * abs(scaled))
                    }
                }
            }
        }
    }

    @Test("Scales that are integers are those of 8 bits, and totals have what rounds sums", arguments: supportedISAs)
    func integerScales(isa: ck_isa) throws {
        guard unsafe ck_pack_columns(CK_PRECISION_PAIRED_INT8, isa) != nil else { return }
        var random = Random(12)
        // Blocks that differ by as much as a thousand times, one of zeros, a vector of zeros, and one with no number.
        var vectors: [[Float]] = []
        for t in 0..<6 {
            var vector: [Float] = []
            for block in 0..<8 {
                let most = block == 3 ? 0 : 1 << ((t + block) % 11)
                vector += random.floats(32, times: Float(most))
            }
            vectors.append(vector)
        }
        vectors[4] = [Float](repeating: 0, count: 256)
        vectors[5][40] = Float.infinity
        let x = Columns(vectors, CK_PRECISION_PAIRED_INT8, isa)
        let plain = Columns(vectors, CK_PRECISION_INT8, isa)
        for t in 0..<5 {
            let most = (0..<8).map { plain.scale($0, t) }.max() ?? 0
            for block in 0..<8 {
                // Half of a step, and what floats round.
                #expect(abs(x.scale(block, t) - plain.scale(block, t)) <= most / 32767 * 0.501)
                #expect(x.total(block, 32, t).integer == plain.total(block, 32, t).integer + 8 - block % 2)
                for i in 32 * block..<32 * (block + 1) { #expect(x.integer(i, t) == plain.integer(i, t)) }
            }
        }
        #expect(x.scale(0, 5).isNaN)
    }

    @Test("A vector that has no number spoils no other product", arguments: supportedISAs)
    func strangeVectors(isa: ck_isa) throws {
        let precision = CK_PRECISION_PAIRED_INT8
        let kernels = ck_panels(CK_TYPE_Q8_0, isa)
        guard let product = unsafe entry(of: kernels.tile, precision) else { return }
        var random = Random(13)
        let count = Int(entry(of: kernels.tile_vectors, precision))
        var vectors = (0..<count).map { _ in random.floats(256) }
        let panel = Panel(CK_TYPE_Q8_0, isa, rows: rowCount, columns: 256, &random)
        func products() throws -> [Float] {
            var found: [Float] = []
            try unsafe panel.withTile(isa, precision) {
                found = unsafe Columns(vectors, precision, isa).multiply(product, $0, columns: 256)
            }
            return found
        }
        let ordinary = try products()
        for strange in [Float.infinity, -.infinity, .nan] {
            vectors[1][40] = strange
            let found = try products()
            #expect(found[rowCount..<2 * rowCount].allSatisfy { $0.isNaN })
            #expect(found[..<rowCount] == ordinary[..<rowCount])
            #expect(found[(2 * rowCount)...] == ordinary[(2 * rowCount)...])
        }
    }

    @Test("A tile meets at least four vectors at a time", arguments: panelTypes, supportedISAs)
    func tileVectors(type: ck_type, isa: ck_isa) {
        let kernels = ck_panels(type, isa)
        for precision in [CK_PRECISION_INT8, CK_PRECISION_INT16] {
            #expect((4...Int(CK_TILE_VECTORS)).contains(Int(entry(of: kernels.tile_vectors, precision))))
        }
    }

    @Test("All types that have tiles for a form of activations have them for as many vectors", arguments: supportedISAs)
    func tileWidths(isa: ck_isa) {
        for precision in [CK_PRECISION_INT8, CK_PRECISION_INT16] + tileForms {
            let widths = panelTypes.map { Int(entry(of: ck_panels($0, isa).tile_vectors, precision)) }
            #expect(Set(widths).subtracting([0]).count <= 1)
        }
    }

    @Test(
        "AVX2 favours activations of 16 bits for weights that become full bytes", arguments: panelTypes, supportedISAs)
    func favoursInt16(type: ck_type, isa: ck_isa) {
        let isAVX2 = isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512
        #expect(ck_panels(type, isa).favours_int16 == (isAVX2 && Self.fullBytes.contains(type.name)))
    }

    /// Types whose weights need all bits of a byte; what other codebooks hold is between -62 and 62.
    private static let fullBytes = ["Q8_0", "IQ4_NL", "IQ4_XS"]

    @Test(
        "Which types have tiles for a scale for 64 columns, for bytes without a sign, 11 bits, AMX and integer scales",
        arguments: panelTypes, supportedISAs)
    func tiles(type: ck_type, isa: ck_isa) {
        let isAVX2 = isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512
        let isFull = Self.fullBytes.contains(type.name)
        let isWide = type.block == 256 && (isa == CK_ISA_AVX512VNNI || isa == CK_ISA_AMX || isAVX2 && !isFull)
        // NVFP4 has two scales for 32 columns.
        let isRaised = isAVX2 && !isFull && type.block < 256 && type != CK_TYPE_NVFP4
        let isPaired =
            [CK_ISA_AVX512VNNI, CK_ISA_AMX].contains(isa) && type.block < 256
            && ![CK_TYPE_NVFP4, CK_TYPE_Q4_1, CK_TYPE_Q5_1].contains(type)
        let tiles = tileForms.map { unsafe entry(of: ck_panels(type, isa).tile, $0) != nil }
        #expect(tiles == [isWide, isRaised, isAVX2 && isFull, isa == CK_ISA_AMX, isa == CK_ISA_AMX, isPaired])
    }

    @Test("Activations of 11 bits come with the sums of products of neighbours", arguments: supportedISAs)
    func neighbours(isa: ck_isa) {
        guard isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512 else { return }
        var random = Random(7)
        let vectors = (0..<5).map { _ in random.floats(128, times: 3) }
        let columns = Columns(vectors, CK_PRECISION_INT11, isa)
        for (t, vector) in vectors.enumerated() {
            var products: Float = 0
            for block in 0..<2 {
                let range = 64 * block..<64 * (block + 1)
                let step = Double(vector[range].map(abs).max() ?? 0) / 1023
                for i in range { #expect(abs(columns.value(i, t) - Double(vector[i])) <= step * 0.501) }
                let neighbours = stride(from: range.lowerBound, to: range.upperBound, by: 2)
                    .map { columns.integer($0, t) * columns.integer($0 + 1, t) }
                products = products.addingProduct(
                    Float(neighbours.reduce(0, +)), Float(columns.scale(block, t)))
            }
            #expect(Float(columns.total(0, 32, t).sum) == products)
        }
    }

    @Test(
        "On AVX2, weights that need less than a byte meet activations of 16 bits as two planes of bytes",
        arguments: panelTypes, supportedISAs)
    func splitsInt16(type: ck_type, isa: ck_isa) {
        let isAVX2 = isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512
        let kernels = ck_panels(type, isa)
        let products = unsafe [kernels.one, kernels.two, kernels.four].map { table in
            unsafe entry(of: table, CK_PRECISION_SPLIT_INT16) != nil
        }
        #expect(products == [Bool](repeating: isAVX2 && !Self.fullBytes.contains(type.name), count: 3))
    }

    @Test("Planes of bytes are the same integers as those of 16 bits", arguments: supportedISAs)
    func planes(isa: ck_isa) throws {
        guard isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512 else { return }
        var random = Random(6)
        let most = Float(127 * 256)
        // The scale is 1 with the largest activation: 32384 is an upper byte of 127 and a lower one of -128.
        let vectors = (0..<5).map { t in
            (0..<64).map { $0 % 32 == t ? most : $0 % 32 == t + 1 ? most - 128 : (random.float() * most).rounded() }
        }
        let shorts = Columns(vectors, CK_PRECISION_INT16, isa)
        let planes = Columns(vectors, CK_PRECISION_SPLIT_INT16, isa)
        for t in vectors.indices {
            for column in 0..<64 {
                #expect(planes.integer(column, t) == shorts.integer(column, t))
            }
            #expect(planes.scale(0, t) == shorts.scale(0, t))
            #expect(planes.lowerByte(t + 1, t) == -128)
        }
    }

    @Test("Factors of either sign, the largest, meet the largest weights", arguments: supportedISAs)
    func largestFactors(isa: ck_isa) throws {
        let columns = 512
        for (factor, fill): (UInt8, UInt8) in [(0x80, 0xff), (0x80, 0x00), (0x7f, 0xff), (0x7f, 0x00)] {
            var blocks = [UInt8](repeating: fill, count: CK_TYPE_Q6_K.rowBytes(rowCount * columns))
            for block in 0..<blocks.count / 210 {
                for group in 0..<16 { blocks[210 * block + 192 + group] = factor }
            }
            blocks.setHalves(of: CK_TYPE_Q6_K, 0x2400)
            let panel = Panel(CK_TYPE_Q6_K, isa, rows: rowCount, columns: columns, blocks: blocks)
            let vector = { t in (0..<columns).map { t % 3 == 0 || (t % 3 == 1 && $0 % 2 == 0) ? Float(1) : -1 } }
            try checkProducts(panel, isa, vector: vector)
            try checkWideProducts(panel, isa, vector: vector)
        }
    }

    @Test("Products of panels and of tiles with 1 vector, 4, and those of a tile", arguments: panelTypes, supportedISAs)
    func products(type: ck_type, isa: ck_isa) throws {
        var random = Random(3)
        let block = Int(ck_panel_sizes(type.rawValue).block)
        for columns in [block, 5 * max(block, 64)] {
            let panel = Panel(type, isa, rows: rowCount, columns: columns, &random)
            try checkProducts(panel, isa) { _ in random.floats(columns, times: 2) }
            try checkWideProducts(panel, isa) { _ in random.floats(columns, times: 2) }
        }
    }

    @Test("Rows of minimums alone, whose scales are zero, are what their minimums are", arguments: supportedISAs)
    func minimumsAlone(isa: ck_isa) throws {
        let columns = 64
        for type in [CK_TYPE_Q4_1, CK_TYPE_Q5_1] {
            var blocks = [UInt8](repeating: 0x5a, count: type.rowBytes(rowCount * columns))
            for start in stride(from: 0, to: blocks.count, by: type.blockBytes) {
                // A scale of zero, a minimum of 2^-6 to 2^-1.
                let exponent = UInt8(9 + start / type.blockBytes % 6)
                blocks.replaceSubrange(start..<start + 4, with: [0, 0, 0, exponent << 2])
            }
            let panel = Panel(type, isa, rows: rowCount, columns: columns, blocks: blocks)
            var random = Random(8)
            try checkProducts(panel, isa) { _ in random.floats(columns) }
            try checkWideProducts(panel, isa) { _ in random.floats(columns) }
        }
    }

    @Test("Scales that are tiny, infinite or not numbers change no other row", arguments: supportedISAs)
    func strangeScales(isa: ck_isa) throws {
        let columns = 64
        for (type, strange): (ck_type, [[UInt8]]) in [
            (CK_TYPE_MXFP4, [[0], [1], [10], [23], [40], [0xff]]),
            (CK_TYPE_Q4_0, [[0, 0x7c], [0, 0x7e], [1, 0], [0, 0xfc]]),
            (CK_TYPE_Q8_0, [[0, 0x7c], [0, 0x7e], [1, 0], [0, 0xfc]]),
        ] {
            var random = Random(9)
            let ordinary = randomBlocks(type, rowCount * columns, &random)
            for scale in strange {
                var blocks = ordinary
                for start in stride(from: 0, to: type.rowBytes(columns), by: type.blockBytes) {
                    blocks.replaceSubrange(start..<start + scale.count, with: scale)
                }
                let kernels = ck_panels(type, isa)
                for precision in tileForms {
                    guard let product = unsafe entry(of: kernels.tile_narrow, precision) else { continue }
                    let count = Int(entry(of: kernels.narrow_vectors, precision))
                    let x = Columns((0..<count).map { _ in random.floats(columns) }, precision, isa)
                    let results = try [ordinary, blocks].map { blocks in
                        let panel = Panel(type, isa, rows: rowCount, columns: columns, blocks: blocks)
                        var result: [Float] = []
                        try unsafe panel.withTile(isa, precision) {
                            result = unsafe x.multiply(product, $0, columns: columns)
                        }
                        return (result, panel)
                    }
                    for t in 0..<x.count {
                        let rows = t * rowCount + 1..<(t + 1) * rowCount
                        #expect(results[1].0[rows] == results[0].0[rows], "\(type.name), scale \(scale)")
                        let weights = held(results[1].1.weights[..<columns], precision)
                        let first = (0..<columns).map { Double(weights[$0]) * x.value($0, t) }
                        let magnitude = first.reduce(0) { $0 + abs($1) }
                        // Matrices of floats have nothing below 2^-126, neither numbers nor what they sum up to.
                        let least = precision == CK_PRECISION_AMX_BF16 ? 1e-33 : 1e-36
                        if !magnitude.isFinite && precision == CK_PRECISION_PAIRED_INT8 {
                            #expect(!results[1].0[t * rowCount].isFinite, "\(type.name), scale \(scale)")
                        }
                        guard magnitude.isFinite && magnitude > least else { continue }
                        let error = abs(Double(results[1].0[t * rowCount]) - first.reduce(0, +))
                        #expect(error <= tolerance(of: precision) * magnitude, "\(type.name), scale \(scale)")
                    }
                }
            }
        }
    }

    @Test("The largest weights and activations do not overflow", arguments: panelTypes, supportedISAs)
    func extremes(type: ck_type, isa: ck_isa) throws {
        var random = Random(4)
        let columns = max(Int(ck_panel_sizes(type.rawValue).block), 64)
        for fill: UInt8 in [0x00, 0xff, 0x80, 0x7f] {
            let panel = Panel(type, isa, rows: 2, columns: columns, fill: fill, &random)
            // Activations of the largest magnitude, of one sign, of the other, and of both.
            let vector = { t in (0..<columns).map { t % 3 == 0 || (t % 3 == 1 && $0 % 2 == 0) ? Float(1) : -1 } }
            try checkProducts(panel, isa, vector: vector)
            try checkWideProducts(panel, isa, isExtreme: true, vector: vector)
            // Most of 16 bits are 256 * 127 - 128.
            try checkProducts(panel, isa) { t in
                vector(t).enumerated().map { $0 % 32 == 0 ? $1 : $1 * (127 * 256 - 128) / (127 * 256) }
            }
        }
    }

    /// Checks all products of a panel, in both precisions, with vectors that `vector` gives for their index.
    private func checkProducts(_ panel: Panel, _ isa: ck_isa, vector: (Int) -> [Float]) throws {
        let kernels = ck_panels(panel.type, isa)
        for precision in [CK_PRECISION_INT8, CK_PRECISION_INT16] {
            let meetsEight = [CK_ISA_AVX512VNNI, CK_ISA_AMX].contains(isa)
            for unsafe(count, table, takesTile) in unsafe [
                (1, kernels.one, false), (2, kernels.two, false), (4, kernels.four, false), (8, kernels.eight, false),
                (4, kernels.tile_narrow, true),
                (Int(entry(of: kernels.tile_vectors, precision)), kernels.tile, true),
            ] where takesTile || count < 8 || meetsEight {
                let product = try unsafe #require(entry(of: table, precision))
                let x = Columns((0..<count).map(vector), precision, isa)
                if takesTile {
                    try unsafe panel.withTile(isa, precision) { tile in
                        check(unsafe x.multiply(product, tile, columns: panel.columns), panel, x)
                    }
                } else {
                    try unsafe checkProduct(panel, product, x)
                }
            }
        }
        for unsafe(count, table) in unsafe [(1, kernels.one), (2, kernels.two), (4, kernels.four)] {
            guard let product = unsafe entry(of: table, CK_PRECISION_SPLIT_INT16) else { continue }
            try unsafe #require(ck_pack_columns(CK_PRECISION_SPLIT_INT16, isa) != nil)
            try unsafe checkProduct(panel, product, Columns((0..<count).map(vector), CK_PRECISION_SPLIT_INT16, isa))
        }
    }

    /// Checks a product of a panel, beyond whose end nothing may be read.
    private func checkProduct(_ panel: Panel, _ product: ck_panel_fn, _ x: Columns) throws {
        let result = try unsafe withGuardedCopy(panel.bytes) { unsafe x.multiply(product, $0, columns: panel.columns) }
        check(result, panel, x)
    }

    /// Checks the products of a panel's tiles whose rounded scales, weights and sums are off by a little more.
    ///
    /// Where all weights are alike, what they are rounded by is too: `isExtreme` lets AMX's be off by a step each.
    private func checkWideProducts(
        _ panel: Panel, _ isa: ck_isa, isExtreme: Bool = false, vector: (Int) -> [Float]
    ) throws {
        let kernels = ck_panels(panel.type, isa)
        for precision in tileForms where unsafe entry(of: kernels.unpack, precision) != nil {
            let takesAll = [CK_PRECISION_RAISED_INT8, CK_PRECISION_AMX_BF16].contains(precision)
            guard panel.columns % 64 == 0 || takesAll else { continue }
            for unsafe(count, table) in unsafe [
                (Int(entry(of: kernels.narrow_vectors, precision)), kernels.tile_narrow),
                (Int(entry(of: kernels.tile_vectors, precision)), kernels.tile),
            ] {
                let product = try unsafe #require(entry(of: table, precision))
                let x = Columns((0..<count).map(vector), precision, isa)
                let hasMatrices = precision == CK_PRECISION_AMX_INT16
                try unsafe panel.withTile(isa, precision) { tile in
                    // A tile begins with its rows' steps.
                    let steps = unsafe tile.assumingMemoryBound(to: Float.self)
                    check(
                        unsafe x.multiply(product, tile, columns: panel.columns), panel, x, precision,
                        within: tolerance(of: precision),
                        steps: isExtreme && hasMatrices ? (0..<rowCount).map { unsafe steps[$0] } : nil)
                }
            }
        }
    }

    @Test("Tiles that are multiplied together are what they are one by one", arguments: supportedISAs)
    func severalTiles(isa: ck_isa) throws {
        var random = Random(10)
        for (type, columns) in [(CK_TYPE_Q4_0, 320), (CK_TYPE_Q6_K, 512)] {
            let kernels = ck_panels(type, isa)
            for precision in tileForms {
                guard let several = unsafe entry(of: kernels.tiles, precision) else { continue }
                let single = try unsafe #require(entry(of: kernels.tile, precision))
                let bytes = columns / 32 * Int(entry(of: kernels.tile_bytes, precision))
                let vectors = (0..<Int(entry(of: kernels.tile_vectors, precision))).map { _ in random.floats(columns) }
                let x = Columns(vectors, precision, isa)
                let count = 10
                let tiles = UnsafeMutableRawPointer.allocate(byteCount: count * bytes, alignment: 64)
                defer { unsafe tiles.deallocate() }
                var expected: [[Float]] = []
                for index in 0..<count {
                    let panel = Panel(type, isa, rows: rowCount, columns: columns, &random)
                    try unsafe panel.withTile(isa, precision) { tile in
                        unsafe (tiles + index * bytes).copyMemory(from: tile, byteCount: bytes)
                        expected.append(unsafe x.multiply(single, tile, columns: columns))
                    }
                }
                let stride = count * rowCount + 3
                let found = unsafe x.multiply(several, tiles, count: count, columns: columns, stride: stride)
                for t in 0..<x.count {
                    for index in 0..<count {
                        let start = t * stride + index * rowCount
                        #expect(
                            found[start..<start + rowCount] == expected[index][t * rowCount..<(t + 1) * rowCount])
                    }
                    let gap = found[t * stride + count * rowCount..<(t + 1) * stride]
                    #expect(gap.count { $0.isNaN } == 3)
                }
            }
        }
    }

    @Test("Products with parts of the columns add up to those with all of them, bit for bit", arguments: supportedISAs)
    func parts(isa: ck_isa) throws {
        var random = Random(11)
        let precision = CK_PRECISION_AMX_BF16
        for (type, width) in [(CK_TYPE_Q4_0, 96), (CK_TYPE_Q6_K, 256)] {
            let kernels = ck_panels(type, isa)
            guard let product = unsafe entry(of: kernels.tile, precision) else { continue }
            let columns = 3 * width
            let count = Int(entry(of: kernels.tile_vectors, precision))
            let x = Columns((0..<count).map { _ in random.floats(columns) }, precision, isa)
            let blocks = randomBlocks(type, rowCount * columns, &random)
            let rowBytes = type.rowBytes(columns)
            func panel(of part: Range<Int>) -> Panel {
                let bytes = type.rowBytes(part.lowerBound)..<type.rowBytes(part.upperBound)
                let rows = stride(from: 0, to: blocks.count, by: rowBytes)
                    .flatMap { blocks[$0 + bytes.lowerBound..<$0 + bytes.upperBound] }
                return Panel(type, isa, rows: rowCount, columns: part.count, blocks: rows)
            }
            var whole: [Float] = []
            try unsafe panel(of: 0..<columns).withTile(isa, precision) {
                whole = unsafe x.multiply(product, $0, columns: columns)
            }
            var sums = [Float](repeating: 0, count: whole.count)
            for part in [0..<width, width..<columns] {
                try unsafe panel(of: part).withTile(isa, precision) {
                    unsafe x.add(product, $0, columns: part, to: &sums)
                }
            }
            #expect(sums == whole)
        }
    }

    @Test(
        "What tiles round of weights is a fraction of what rounding activations is, and not off to one side",
        arguments: panelTypes, supportedISAs)
    func tileRounding(type: ck_type, isa: ck_isa) throws {
        let kernels = ck_panels(type, isa)
        for precision in tileForms {
            guard let product = unsafe entry(of: kernels.tile, precision) else { continue }
            var random = Random(5)
            let columns = 16 * 256
            let vectors = (0..<Int(entry(of: kernels.tile_vectors, precision))).map { _ in random.floats(columns) }
            // Scales of one sign: an error that had one too would add up.
            let panel = Panel(type, isa, rows: rowCount, columns: columns, hasPositiveScales: true, &random)
            let x = Columns(vectors, precision, isa)
            // Where activations keep 16 bits, a small part of what rounding them to 8 would be. With floats, weights and
            // activations together: two thirds, of activations that are all about as large. Where their scales are
            // integers, what these are off by counts, too.
            let hasMatrices = precision == CK_PRECISION_AMX_INT16
            let hasFloats = precision == CK_PRECISION_AMX_BF16
            let isPaired = precision == CK_PRECISION_PAIRED_INT8
            let keepsMore = hasMatrices || hasFloats || isPaired
            let yardsticks = vectors.map { Columns([$0], CK_PRECISION_INT8, isa) }
            var wide: [Double] = []
            var rounding: [Double] = []
            try unsafe panel.withTile(isa, precision) { tile in
                let result = unsafe x.multiply(product, tile, columns: columns)
                for t in 0..<x.count {
                    for row in 0..<rowCount {
                        var rounded = 0.0
                        var coarse = 0.0
                        var exact = 0.0
                        for column in 0..<columns {
                            let weight = Double(panel.weights[row * columns + column])
                            let eight = yardsticks[t].value(column, 0)
                            let packed = isPaired ? eight : x.value(column, t)
                            rounded += weight * (hasFloats ? Double(vectors[t][column]) : packed)
                            coarse += weight * (keepsMore ? eight : x.value(column, t))
                            exact += weight * Double(vectors[t][column])
                        }
                        wide.append(Double(result[t * rowCount + row]) - rounded)
                        rounding.append(coarse - exact)
                    }
                }
            }
            func rootMeanSquare(_ values: [Double]) -> Double {
                (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            }
            let mean = wide.reduce(0, +) / Double(wide.count)
            let whole = rootMeanSquare(rounding)
            let most = hasMatrices ? 0.03 : hasFloats ? 0.75 : 0.2
            #expect(rootMeanSquare(wide) <= most * whole, "\(rootMeanSquare(wide) / whole)")
            #expect(abs(mean) <= (hasMatrices ? 0.005 : hasFloats ? 0.1 : 0.05) * whole, "\(mean / whole)")
        }
    }

    /// What products of tiles for `precision` are off by, as a part of the sum of magnitudes. Sums of PAIRED_INT8 are off
    /// by half of 16; MXFP4's, multiples of 8, by all of that each second time.
    private func tolerance(of precision: ck_precision) -> Double {
        precision == CK_PRECISION_PAIRED_INT8 ? 5e-4 : 2e-4
    }

    /// What tiles for `precision` hold of weights, to the nearest.
    private func held(_ weights: ArraySlice<Float>, _ precision: ck_precision) -> [Float] {
        guard precision == CK_PRECISION_AMX_BF16 else { return Array(weights) }
        return weights.map { weight in
            let bits = weight.bitPattern
            return weight.isFinite ? Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000) : weight
        }
    }

    /// Compares with float64, to a part of the sum of magnitudes or, if that is more, to a row's step for each weight.
    private func check(
        _ result: [Float], _ panel: Panel, _ x: Columns, _ precision: ck_precision = CK_PRECISION_INT16,
        within tolerance: Double = 1e-6, steps: [Float]? = nil
    ) {
        let weights = held(panel.weights[...], precision)
        for t in 0..<x.count {
            let vector = (0..<panel.columns).map { x.value($0, t) }
            for row in 0..<panel.rows {
                var exact = 0.0
                var magnitude = 0.0
                for column in 0..<panel.columns {
                    let term = Double(weights[row * panel.columns + column]) * vector[column]
                    exact += term
                    magnitude += abs(term)
                }
                let found = Double(result[t * rowCount + row])
                let step = steps.map { Double($0[row]) } ?? 0
                let rounding = step * vector.reduce(0) { $0 + abs($1) }
                #expect(abs(found - exact) <= max(tolerance * magnitude, rounding), "row \(row), vector \(t)")
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
