import CKernels
import Testing

/// A vector of activations in one precision, and the numbers that it stands for.
private struct Activations {
    var floats: [Float] = []
    var int8: [Int8] = []
    var int16: [Int16] = []
    var scales: [Float] = []
    var sums: [Int32] = []
    let precision: ck_precision

    init(_ values: [Float], _ precision: ck_precision) {
        self.precision = precision
        let n = values.count
        if precision == CK_PRECISION_F32 {
            floats = values
            return
        }
        scales = [Float](repeating: 0, count: n / 32)
        sums = [Int32](repeating: 0, count: n / 16)
        let vector = ck_vector(CK_ISA_SCALAR)
        if precision == CK_PRECISION_INT8 {
            int8 = [Int8](repeating: 0, count: n)
            unsafe vector.quantize_int8(values, n, &int8, &scales, &sums)
        } else {
            int16 = [Int16](repeating: 0, count: n)
            unsafe vector.quantize_int16(values, n, &int16, &scales, &sums)
        }
    }

    func value(_ i: Int) -> Double {
        switch precision {
        case CK_PRECISION_INT8: Double(scales[i / 32]) * Double(int8[i])
        case CK_PRECISION_INT16: Double(scales[i / 32]) * Double(int16[i])
        default: Double(floats[i])
        }
    }

    func multiply(_ gemv: ck_gemv_fn, _ weights: UnsafeRawPointer, rowBytes: Int, rows: Int, columns: Int) throws
        -> [Float]
    {
        var y = [Float](repeating: .nan, count: rows + 1)
        func run(_ values: UnsafeRawPointer?) {
            unsafe scales.withUnsafeBufferPointer { scales in
                unsafe sums.withUnsafeBufferPointer { sums in
                    var x = unsafe ck_activations(
                        values: values, scales: scales.baseAddress, sums: sums.baseAddress)
                    unsafe gemv(weights, rowBytes, rows, columns, &x, &y)
                }
            }
        }
        switch precision {
        case CK_PRECISION_INT8: try unsafe withGuardedCopy(int8) { unsafe run($0) }
        case CK_PRECISION_INT16: try unsafe withGuardedCopy(int16) { unsafe run($0) }
        default: try unsafe withGuardedCopy(floats) { unsafe run($0) }
        }
        return y
    }
}

private func gemv(_ type: ck_type, _ isa: ck_isa, _ precision: ck_precision) -> ck_gemv_fn? {
    let table = unsafe ck_kernels(type, isa).gemv
    switch precision {
    case CK_PRECISION_F32: return unsafe table.0
    case CK_PRECISION_INT16: return unsafe table.1
    default: return unsafe table.2
    }
}

private let precisions = [CK_PRECISION_F32, CK_PRECISION_INT16, CK_PRECISION_INT8]

@Suite("Products of weights and activations agree with float64 arithmetic")
struct GemvTests {
    /// Multiplies with every kernel of `type` on `isa` and compares with float64, to 1e-6 of the sum of magnitudes.
    private func check(
        _ type: ck_type, _ isa: ck_isa, blocks: [UInt8], values: [Float], rows: Int, gap: Int = 0,
        _ what: String
    ) throws {
        let columns = values.count
        let rowBytes = type.rowBytes(columns)
        var weights: [UInt8] = []
        for r in 0..<rows {
            weights += blocks[r * rowBytes..<(r + 1) * rowBytes]
            weights += [UInt8](repeating: 0xff, count: r + 1 < rows ? gap : 0)
        }
        // The copy ends at a guard: one byte more makes its address odd where the guard alone would make it even.
        weights += [UInt8](repeating: 0xff, count: rows % 2)
        let floats = dequantized(type, blocks, rows * columns)
        for precision in precisions {
            guard let function = unsafe gemv(type, isa, precision) else { continue }
            let x = Activations(values, precision)
            let y = try unsafe withGuardedCopy(weights) { start in
                try unsafe x.multiply(function, start, rowBytes: rowBytes + gap, rows: rows, columns: columns)
            }
            for r in 0..<rows {
                var sum = 0.0
                var magnitude = 0.0
                for i in 0..<columns {
                    let term = Double(floats[r * columns + i]) * x.value(i)
                    sum += term
                    magnitude += abs(term)
                }
                let error = abs(Double(y[r]) - sum)
                try #require(
                    error <= 1e-6 * magnitude,
                    "\(what), precision \(precision.rawValue), row \(r) of \(rows), \(columns) columns")
            }
            #expect(y[rows].isNaN, "wrote beyond its rows")
        }
    }

    @Test("Every length and number of rows, at odd addresses", arguments: integerTypes, supportedISAs)
    func multiplies(type: ck_type, isa: ck_isa) throws {
        var random = Random(3)
        let lengths =
            type.block == 256 ? [1, 2, 3, 8, 21] : [1, 2, 3, 7, 8, 64, 172]
        for length in lengths.map({ $0 * type.block }) {
            for rows in length > 300 ? [2, 5] : [1, 2, 3, 4, 5, 8, 16] {
                let blocks = randomBlocks(type, rows * length, &random)
                try check(type, isa, blocks: blocks, values: random.floats(length), rows: rows, gap: rows % 3, "random")
            }
        }
    }

    @Test("The largest weights and activations do not overflow", arguments: integerTypes, supportedISAs)
    func multipliesExtremes(type: ck_type, isa: ck_isa) throws {
        let columns = 256
        let rows = 5
        for fill in [0x00, 0x80, 0x7f, 0xff, 0x81] as [UInt8] {
            var blocks = [UInt8](repeating: fill, count: rows * type.rowBytes(columns))
            blocks.setHalves(of: type, 0x3c00)  // 1
            let plus = [Float](repeating: 1, count: columns)
            try check(type, isa, blocks: blocks, values: plus, rows: rows, "all \(fill), +1")
            try check(type, isa, blocks: blocks, values: plus.map { -$0 }, rows: rows, "all \(fill), -1")
            let alternating = plus.indices.map { $0 % 2 == 0 ? 1 : -1 as Float }
            try check(type, isa, blocks: blocks, values: alternating, rows: rows, "all \(fill), alternating")
        }
    }

    @Test("Zero blocks, subnormal scales and zero activations", arguments: integerTypes, supportedISAs)
    func multipliesSmall(type: ck_type, isa: ck_isa) throws {
        var random = Random(4)
        let columns = 256
        let rows = 3
        for scale in [0x0000, 0x0001, 0x83ff] as [UInt16] {
            var blocks = randomBlocks(type, rows * columns, &random)
            blocks.setHalves(of: type, scale)
            var values = random.floats(columns)
            for i in 32..<64 { values[i] = 0 }
            try check(type, isa, blocks: blocks, values: values, rows: rows, "scale \(scale)")
        }
    }

    /// Rows of floats with gaps between them and some vectors, and their products in float64.
    private struct Batch {
        let rows: Int
        let columns: Int
        let vectors: Int
        let rowBytes: Int
        let weights: [UInt8]
        let x: [Float]
        let exact: [(sum: Double, magnitude: Double)]
        /// Floats from one vector's results to the next one's.
        var stride: Int { rows + 2 }

        init(_ type: ck_type, rows: Int, columns: Int, vectors: Int, _ random: inout Random) {
            (self.rows, self.columns, self.vectors) = (rows, columns, vectors)
            let length = type.rowBytes(columns)
            let blocks = randomBlocks(type, rows * columns, &random)
            let floats = dequantized(type, blocks, rows * columns)
            let gap = rows % 3
            rowBytes = length + gap
            var weights: [UInt8] = []
            for r in 0..<rows {
                weights += blocks[r * length..<(r + 1) * length]
                // The copy ends at a guard: a byte more behind the last row makes its address odd.
                weights += [UInt8](repeating: 0xff, count: r + 1 < rows ? gap : rows % 2)
            }
            let x = random.floats(vectors * columns)
            exact = (0..<vectors * rows).map { index in
                let (v, r) = index.quotientAndRemainder(dividingBy: rows)
                let terms = (0..<columns).map { Double(floats[r * columns + $0]) * Double(x[v * columns + $0]) }
                return (terms.reduce(0, +), terms.reduce(0) { $0 + abs($1) })
            }
            (self.weights, self.x) = (weights, x)
        }

        /// What `multiply` makes of a guarded copy of the weights agrees with float64.
        func check(_ way: String, _ multiply: (UnsafeRawPointer, inout [Float]) throws -> Void) throws {
            var y = [Float](repeating: .nan, count: vectors * stride)
            try unsafe withGuardedCopy(weights) { weights in try unsafe multiply(weights, &y) }
            for (index, value) in y.enumerated() {
                let (v, r) = index.quotientAndRemainder(dividingBy: stride)
                guard r < rows else {
                    try #require(value.isNaN, "wrote between the results of vectors")
                    continue
                }
                let (sum, magnitude) = exact[v * rows + r]
                try #require(
                    abs(Double(value) - sum) <= 1e-6 * magnitude,
                    "\(way), row \(r) of \(rows), vector \(v) of \(vectors), \(columns) columns")
            }
        }
    }

    @Test(
        "Rows of floats meet any number of vectors, at odd addresses", arguments: types.filter { $0.block == 1 },
        supportedISAs)
    func multipliesBatches(type: ck_type, isa: ck_isa) throws {
        var random = Random(5)
        let kernels = ck_kernels(type, isa)
        guard let gemm = unsafe kernels.gemm else {
            Issue.record("no product with batches")
            return
        }
        // What a cache holds is several groups of rows of 1000 columns and a rest, or a group of 40000 columns. From 10
        // or 40 vectors on rows may become tiles, of sixteen rows and 256 columns.
        for (columns, rows) in [
            (1, 3), (3, 1), (17, 5), (40, 4), (96, 1), (257, 9), (300, 37), (1000, 279), (40_000, 6),
        ] {
            for vectors in columns > 300 ? [7] : Array(1...8) + [10, 13, 20, 21, 30, 48, 51] {
                let batch = Batch(type, rows: rows, columns: columns, vectors: vectors, &random)
                try unsafe batch.check("as it is") { weights, y in
                    try unsafe withGuardedCopy(batch.x) { x in
                        let x = unsafe x.assumingMemoryBound(to: Float.self)
                        unsafe gemm(weights, batch.rowBytes, rows, columns, x, vectors, &y, batch.stride)
                    }
                }
                guard let tiled = unsafe kernels.tiled, vectors >= kernels.least_tiled else { continue }
                let slabs = inSlabs(batch.x, vectors: vectors)
                try unsafe withTiles { tiles in
                    try unsafe batch.check("in tiles") { weights, y in
                        try unsafe withGuardedCopy(slabs) { slabs in
                            let slabs = unsafe slabs.assumingMemoryBound(to: Float.self)
                            unsafe tiled(
                                weights, batch.rowBytes, rows, columns, slabs, vectors, &y, batch.stride, tiles)
                        }
                    }
                }
            }
        }
    }

    /// x (vectors, columns) in slabs.
    private func inSlabs(_ x: [Float], vectors: Int) -> [Float] {
        let columns = x.count / vectors
        return stride(from: 0, to: columns, by: Int(CK_SLAB_COLUMNS)).flatMap { start in
            let depth = min(Int(CK_SLAB_COLUMNS), columns - start)
            return unsafe [Float](unsafeUninitializedCapacity: vectors * depth) { slab, count in
                unsafe ck_lay_slab(x, vectors, columns, start, depth, slab.baseAddress)
                count = vectors * depth
            }
        }
    }

    /// Gives `body` the memory that tiles need, on a cache line.
    private func withTiles(_ body: (UnsafeMutablePointer<Float>?) throws -> Void) rethrows {
        try unsafe withUnsafeTemporaryAllocation(byteCount: 4 * Int(CK_TILED_FLOATS), alignment: 64) { bytes in
            try unsafe body(bytes.bindMemory(to: Float.self).baseAddress)
        }
    }

    @Test("Types that are not quantised keep their activations floats", arguments: supportedISAs)
    func floatTypesHaveNoIntegerProducts(isa: ck_isa) {
        for type in types where type.block == 1 {
            for precision in precisions { #expect(unsafe gemv(type, isa, precision) == nil) }
        }
    }
}
