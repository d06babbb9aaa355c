#if !canImport(Accelerate)
import COpenBLAS

extension BLAS {
    /// The kernels that OpenBLAS uses, such as "SkylakeX". Asking for them keeps its own threads out of the way.
    package static let coreName: String = {
        openblas_set_num_threads(1)
        return unsafe openblas_get_corename().map { unsafe String(cString: $0) } ?? "unknown"
    }()

    /// The version and the build options of the library that is loaded.
    package static var configuration: String {
        unsafe openblas_get_config().map { unsafe String(cString: $0) } ?? "unknown"
    }

    /// `c = alpha * a * b + beta * c`, or with the transpose of `b`, in rows with their own distances.
    @inline(__always)
    @unsafe static func sgemm(
        transposesB: Bool, m: Int32, n: Int32, k: Int32, alpha: Float,
        a: UnsafePointer<Float>?, aStride: Int32, b: UnsafePointer<Float>?, bStride: Int32,
        beta: Float, c: UnsafeMutablePointer<Float>, cStride: Int32
    ) {
        unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans, m, n, k, alpha,
            a, aStride, b, bStride, beta, c, cStride)
    }
}
#endif
