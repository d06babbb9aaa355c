/// The single-precision matrix product of the system's BLAS, one thread to a call.
///
/// The engine's own workers call it side by side, each for its own tile, so the library is told to keep its own threads
/// out of the way. Which library that is, the two files beside this one say: each gives `coreName`, `configuration`,
/// `bufferBytes`, `sgemm`, and LAPACK's `factor` and `invert`.
package enum BLAS {
    /// Throws where the address space, as below `ulimit -v`, has no room for what the library maps for so many threads
    /// beside `bytes` of ours: OpenBLAS would ask for it again and again, for ever.
    ///
    /// It maps that at its first products, so this comes before them, and before memory of ours is allocated.
    package static func checkAddressSpace(threads: Int, beside bytes: Int) throws(ModelError) {
        guard bufferBytes > 0 else { return }
        // Freed at once, and never touched.
        _ = try Buffer<UInt8>.allocate(
            bytes + threads * bufferBytes, purpose: "buffers of the BLAS and what is computed with it")
    }

    /// `c = alpha * a * transpose(b)` in rows: a (m, k), b (n, k), c (m, n), each with its own distance between rows.
    package static func multiplyTransposed(
        m: Int, n: Int, k: Int, alpha: Float = 1,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        product(
            transposesB: true, m: m, n: n, k: k, alpha: alpha, a: a, aStride: aStride, b: b, bStride: bStride, beta: 0,
            c: c, at: offset, cStride: cStride)
    }

    /// `c = alpha * a * b + beta * c` in rows: a (m, k), b (k, n), c (m, n), each with its own distance between rows.
    package static func multiply(
        m: Int, n: Int, k: Int, alpha: Float = 1,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        beta: Float, c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        product(
            m: m, n: n, k: k, alpha: alpha, a: a, aStride: aStride, b: b, bStride: bStride, beta: beta, c: c,
            at: offset, cStride: cStride)
    }

    /// `c += transpose(a) * b` in rows: a (k, m), b (k, n), c (m, n), each with its own distance between rows.
    package static func addTransposed(
        m: Int, n: Int, k: Int,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        product(
            transposesA: true, m: m, n: n, k: k, alpha: 1, a: a, aStride: aStride, b: b, bStride: bStride, beta: 1,
            c: c, at: offset, cStride: cStride)
    }

    /// The product of two matrices of which one may be transposed, within their bounds.
    private static func product(
        transposesA: Bool = false, transposesB: Bool = false, m: Int, n: Int, k: Int, alpha: Float,
        a: Span<Float>, aStride: Int,
        b: Span<Float>, bStride: Int,
        beta: Float, c: borrowing SharedBuffer<Float>, at offset: Int, cStride: Int
    ) {
        checkBounds(rows: transposesA ? k : m, columns: transposesA ? m : k, stride: aStride, count: a.count)
        checkBounds(rows: transposesB ? n : k, columns: transposesB ? k : n, stride: bStride, count: b.count)
        precondition(offset >= 0, "negative offset")
        checkBounds(rows: m, columns: n, stride: cStride, count: c.count - offset)
        unsafe a.withUnsafeBufferPointer { a in
            unsafe b.withUnsafeBufferPointer { b in
                unsafe sgemm(
                    transposesA: transposesA, transposesB: transposesB, m: Int32(m), n: Int32(n), k: Int32(k),
                    alpha: alpha, a: a.baseAddress, aStride: Int32(aStride), b: b.baseAddress,
                    bStride: Int32(bStride), beta: beta, c: c.base + offset, cStride: Int32(cStride))
            }
        }
    }

    /// The upper triangle of the symmetric positive definite matrix `a` (n, n), whose lower one is not looked at, becomes
    /// that of U, `a = transpose(U) * U`.
    ///
    /// - Returns: whether there is such a matrix; where not, the triangle holds nothing.
    package static func factor(_ a: inout MutableSpan<Float>, n: Int) -> Bool {
        checkBounds(rows: n, columns: n, stride: n, count: a.count)
        return unsafe a.withUnsafeMutableBufferPointer { unsafe factor($0.baseAddress, n: Int32(n)) }
    }

    /// The upper triangle of U (n, n) becomes that of the inverse of `transpose(U) * U`.
    ///
    /// - Returns: whether there is an inverse; where not, the triangle holds nothing.
    package static func invert(_ a: inout MutableSpan<Float>, n: Int) -> Bool {
        checkBounds(rows: n, columns: n, stride: n, count: a.count)
        return unsafe a.withUnsafeMutableBufferPointer { unsafe invert($0.baseAddress, n: Int32(n)) }
    }

    private static func checkBounds(rows: Int, columns: Int, stride: Int, count: Int) {
        precondition(
            rows > 0 && columns > 0 && stride >= columns, "not a matrix: \(rows) x \(columns), \(stride) apart")
        precondition((rows - 1) * stride + columns <= count, "\(rows) rows of \(stride) do not fit in \(count)")
    }
}
