/// An activation vector rounded to integers, in memory that is used again for every product.
package struct QuantizedColumns: ~Copyable {
    private var values8: Buffer<Int8>
    private var values16: Buffer<Int16>
    private var scales: Buffer<Float>
    private var sums: Buffer<Int32>

    /// Space for a vector of up to `capacity` elements.
    package init(capacity: Int) throws(ModelError) {
        let padded = Self.padded(capacity)
        let purpose = "quantised activations"
        let values8 = try Buffer<Int8>.allocate(padded, purpose: purpose)
        let values16 = try Buffer<Int16>.allocate(padded, purpose: purpose)
        let scales = try FloatBuffer.allocate(padded / ActivationBlock.scaleColumns, purpose: purpose)
        let sums = try Buffer<Int32>.allocate(padded / ActivationBlock.sumColumns, purpose: purpose)
        self.values8 = values8
        self.values16 = values16
        self.scales = scales
        self.sums = sums
    }

    /// Bytes of its buffers.
    var byteCount: Int { values8.byteCount + values16.byteCount + scales.byteCount + sums.byteCount }

    /// Bytes that such a buffer will allocate.
    static func byteCount(capacity: Int) -> Int {
        let elements = padded(capacity)
        return elements * 3 + elements / ActivationBlock.scaleColumns * 4 + elements / ActivationBlock.sumColumns * 4
    }

    private static func padded(_ capacity: Int) -> Int {
        (capacity + ActivationBlock.scaleColumns - 1) / ActivationBlock.scaleColumns * ActivationBlock.scaleColumns
    }

    /// Rounds `x`.
    mutating func store(_ x: Span<Float>, precision: ActivationPrecision, kernels: Kernels) {
        switch precision {
        case .f32: return
        case .int8:
            Self.fill(x.count, values: &values8, scales: &scales, sums: &sums) { values, scales, sums in
                kernels.quantize(x, values: &values, scales: &scales, sums: &sums)
            }
        case .int16:
            Self.fill(x.count, values: &values16, scales: &scales, sums: &sums) { values, scales, sums in
                kernels.quantize(x, values: &values, scales: &scales, sums: &sums)
            }
        }
    }

    private static func fill<Value>(
        _ count: Int, values: inout Buffer<Value>, scales: inout FloatBuffer, sums: inout Buffer<Int32>,
        _ body: (inout MutableSpan<Value>, inout MutableSpan<Float>, inout MutableSpan<Int32>) -> Void
    ) {
        var values = values.mutableSlice(0..<count)
        var scales = scales.mutableSlice(0..<count / ActivationBlock.scaleColumns)
        var sums = sums.mutableSlice(0..<count / ActivationBlock.sumColumns)
        body(&values, &scales, &sums)
    }

    /// The vector, of `count` elements, as it was stored with `precision`.
    @_lifetime(borrow self)
    func vector(count: Int, precision: ActivationPrecision) -> ActivationVector {
        ActivationVector(
            precision, count: count,
            values: precision == .int8 ? values8.bytes(of: 0..<count) : values16.bytes(of: 0..<count),
            scales: scales.span.extracting(0..<count / ActivationBlock.scaleColumns),
            sums: sums.span.extracting(0..<count / ActivationBlock.sumColumns))
    }
}
