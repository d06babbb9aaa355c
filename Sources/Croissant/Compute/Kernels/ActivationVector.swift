internal import CKernels

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

    /// Calls `body` with what the kernels take.
    func withKernelActivations(_ body: (UnsafePointer<ck_activations>) -> Void) {
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
