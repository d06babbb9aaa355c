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

    /// Address space that the library maps for each thread that calls it, to pack matrices into; of its pages it touches
    /// few. BUFFER_SIZE of its builds for several kinds of processors.
    static let bufferBytes = 128 << 20

    /// `c = alpha * a * b + beta * c`, or with the transpose of `a` or `b`, in rows with their own distances.
    @inline(__always)
    @unsafe static func sgemm(
        transposesA: Bool = false, transposesB: Bool, m: Int32, n: Int32, k: Int32, alpha: Float,
        a: UnsafePointer<Float>?, aStride: Int32, b: UnsafePointer<Float>?, bStride: Int32,
        beta: Float, c: UnsafeMutablePointer<Float>, cStride: Int32
    ) {
        unsafe cblas_sgemm(
            CblasRowMajor, transposesA ? CblasTrans : CblasNoTrans, transposesB ? CblasTrans : CblasNoTrans, m, n, k,
            alpha,
            a, aStride, b, bStride, beta, c, cStride)
    }

    /// LAPACK's spotrf for the triangle that is the upper one in rows; whether there is such a factor.
    @unsafe static func factor(_ a: UnsafeMutablePointer<Float>?, n: Int32) -> Bool {
        var (n, info) = (n, Int32(0))
        unsafe spotrf_("L", &n, a, &n, &info, 1)
        return info == 0
    }

    /// LAPACK's spotri for the triangle that is the upper one in rows; whether the factor can be inverted.
    @unsafe static func invert(_ a: UnsafeMutablePointer<Float>?, n: Int32) -> Bool {
        var (n, info) = (n, Int32(0))
        unsafe spotri_("L", &n, a, &n, &info, 1)
        return info == 0
    }
}
#endif
