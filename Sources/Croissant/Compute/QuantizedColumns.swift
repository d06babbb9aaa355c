/// Activation vectors rounded to integers, in memory that is used again for every product.
package struct QuantizedColumns: ~Copyable {
    private var values8: Buffer<Int8>
    private var values16: Buffer<Int16>
    private var scales: Buffer<Float>
    private var sums: Buffer<Int32>
    private let capacity: Int

    /// Space for `vectors` vectors of up to `capacity` elements.
    package init(capacity: Int, vectors: Int) throws(ModelError) {
        let padded = Self.padded(capacity)
        self.capacity = padded
        let purpose = "quantised activations"
        let values8 = try Buffer<Int8>.allocate(vectors * padded, purpose: purpose)
        let values16 = try Buffer<Int16>.allocate(vectors * padded, purpose: purpose)
        let scales = try FloatBuffer.allocate(vectors * padded / ActivationBlock.scaleColumns, purpose: purpose)
        let sums = try Buffer<Int32>.allocate(vectors * padded / ActivationBlock.sumColumns, purpose: purpose)
        self.values8 = values8
        self.values16 = values16
        self.scales = scales
        self.sums = sums
    }

    /// Bytes of its buffers.
    var byteCount: Int { values8.byteCount + values16.byteCount + scales.byteCount + sums.byteCount }

    /// Bytes that such a buffer will allocate.
    static func byteCount(capacity: Int, vectors: Int) -> Int {
        let elements = vectors * padded(capacity)
        return elements * 3 + elements / ActivationBlock.scaleColumns * 4 + elements / ActivationBlock.sumColumns * 4
    }

    private static func padded(_ capacity: Int) -> Int {
        (capacity + ActivationBlock.scaleColumns - 1) / ActivationBlock.scaleColumns * ActivationBlock.scaleColumns
    }

    /// Rounds `x`, which becomes vector `index`.
    mutating func store(_ x: Span<Float>, at index: Int, precision: ActivationPrecision, kernels: Kernels) {
        let start = index * capacity
        let elements = start..<start + x.count
        switch precision {
        case .f32: return
        case .int8:
            Self.fill(elements, values: &values8, scales: &scales, sums: &sums) { values, scales, sums in
                kernels.quantize(x, values: &values, scales: &scales, sums: &sums)
            }
        case .int16:
            Self.fill(elements, values: &values16, scales: &scales, sums: &sums) { values, scales, sums in
                kernels.quantize(x, values: &values, scales: &scales, sums: &sums)
            }
        }
    }

    private static func fill<Value>(
        _ elements: Range<Int>, values: inout Buffer<Value>, scales: inout FloatBuffer, sums: inout Buffer<Int32>,
        _ body: (inout MutableSpan<Value>, inout MutableSpan<Float>, inout MutableSpan<Int32>) -> Void
    ) {
        var values = values.mutableSlice(elements)
        var scales = scales.mutableSlice(indices(elements, every: ActivationBlock.scaleColumns))
        var sums = sums.mutableSlice(indices(elements, every: ActivationBlock.sumColumns))
        body(&values, &scales, &sums)
    }

    /// Vector `index`, of `count` elements, as it was stored with `precision`.
    @_lifetime(borrow self)
    func vector(_ index: Int, count: Int, precision: ActivationPrecision) -> ActivationVector {
        let start = index * capacity
        let elements = start..<start + count
        let values =
            precision == .int8 ? values8.bytes(of: elements) : values16.bytes(of: elements)
        return ActivationVector(
            precision, count: count, values: values,
            scales: scales.span.extracting(Self.indices(elements, every: ActivationBlock.scaleColumns)),
            sums: sums.span.extracting(Self.indices(elements, every: ActivationBlock.sumColumns)))
    }

    /// Where the scales, or sums, of some elements are, one for `width` of them.
    private static func indices(_ elements: Range<Int>, every width: Int) -> Range<Int> {
        elements.lowerBound / width..<elements.upperBound / width
    }
}
