import COpenBLAS

/// The single-precision matrix product of OpenBLAS, one thread to a call.
///
/// The engine's own workers call it side by side, each for its own tile, so OpenBLAS is told once to keep its own
/// threads out of the way.
package enum BLAS {
    /// The kernels that OpenBLAS uses, such as "SkylakeX".
    package static let coreName: String = {
        openblas_set_num_threads(1)
        return unsafe openblas_get_corename().map { unsafe String(cString: $0) } ?? "unknown"
    }()

    /// The version and the build options of the library that is loaded.
    package static var configuration: String {
        unsafe openblas_get_config().map { unsafe String(cString: $0) } ?? "unknown"
    }

    /// `c = alpha * a * transpose(b)` in rows: a (m, k), b (n, k), c (m, n), each with its own distance between rows.
    package static func multiplyTransposed(
        m: Int, n: Int, k: Int, alpha: Float = 1,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        checkBounds(rows: m, columns: k, stride: aStride, count: a.count)
        checkBounds(rows: n, columns: k, stride: bStride, count: b.count)
        precondition(offset >= 0, "negative offset")
        checkBounds(rows: m, columns: n, stride: cStride, count: c.count - offset)
        unsafe a.withUnsafeBufferPointer { a in
            unsafe b.withUnsafeBufferPointer { b in
                unsafe cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasTrans, Int32(m), Int32(n), Int32(k), alpha,
                    a.baseAddress, Int32(aStride), b.baseAddress, Int32(bStride), 0, c.base + offset, Int32(cStride))
            }
        }
    }

    /// `c = a * b + beta * c` in rows: a (m, k), b (k, n), c (m, n), each with its own distance between rows.
    package static func multiply(
        m: Int, n: Int, k: Int,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        beta: Float, c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        checkBounds(rows: m, columns: k, stride: aStride, count: a.count)
        checkBounds(rows: k, columns: n, stride: bStride, count: b.count)
        precondition(offset >= 0, "negative offset")
        checkBounds(rows: m, columns: n, stride: cStride, count: c.count - offset)
        unsafe a.withUnsafeBufferPointer { a in
            unsafe b.withUnsafeBufferPointer { b in
                unsafe cblas_sgemm(
                    CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(m), Int32(n), Int32(k), 1,
                    a.baseAddress, Int32(aStride), b.baseAddress, Int32(bStride), beta, c.base + offset, Int32(cStride))
            }
        }
    }

    private static func checkBounds(rows: Int, columns: Int, stride: Int, count: Int) {
        precondition(
            rows > 0 && columns > 0 && stride >= columns, "not a matrix: \(rows) x \(columns), \(stride) apart")
        precondition((rows - 1) * stride + columns <= count, "\(rows) rows of \(stride) do not fit in \(count)")
    }
}
