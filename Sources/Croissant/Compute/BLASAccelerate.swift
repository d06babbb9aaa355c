// For macOS, and untested: this has been compiled on Linux only, where it is empty.
#if canImport(Accelerate)
import Accelerate

extension BLAS {
    /// The library, which does not say what kernels it uses.
    package static let coreName = "Accelerate"

    /// The library, which has the version of the system.
    package static var configuration: String { coreName }

    /// Address space that the library maps for each thread: it is not known to want any in one piece.
    static let bufferBytes = 0

    /// `c = alpha * a * b + beta * c`, or with the transpose of `a` or `b`, in rows with their own distances.
    @unsafe static func sgemm(
        transposesA: Bool = false, transposesB: Bool, m: Int32, n: Int32, k: Int32, alpha: Float,
        a: UnsafePointer<Float>?, aStride: Int32, b: UnsafePointer<Float>?, bStride: Int32,
        beta: Float, c: UnsafeMutablePointer<Float>, cStride: Int32
    ) {
        // The setting belongs to the calling thread.
        _ = BLASSetThreading(BLAS_THREADING_SINGLE_THREADED)
        unsafe cblas_sgemm(
            CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans, m, n, k,
            alpha,
            a, aStride, b, bStride, beta, c, cStride)
    }

    /// LAPACK's spotrf for the triangle that is the upper one in rows; whether there is such a factor.
    @unsafe static func factor(_ a: UnsafeMutablePointer<Float>?, n: Int32) -> Bool {
        var (triangle, n, stride, info) = (CChar(UInt8(ascii: "L")), n, n, Int32(0))
        unsafe _ = spotrf_(&triangle, &n, a, &stride, &info)
        return info == 0
    }

    /// LAPACK's spotri for the triangle that is the upper one in rows; whether the factor can be inverted.
    @unsafe static func invert(_ a: UnsafeMutablePointer<Float>?, n: Int32) -> Bool {
        var (triangle, n, stride, info) = (CChar(UInt8(ascii: "L")), n, n, Int32(0))
        unsafe _ = spotri_(&triangle, &n, a, &stride, &info)
        return info == 0
    }
}
#endif
