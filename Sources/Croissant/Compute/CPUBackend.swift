/// How the products of a batch of tokens are computed.
public enum PrefillMethod: String, Sendable, CaseIterable {
    /// Tiles of weights are dequantised to floats and multiplied by OpenBLAS: exact.
    case sgemm
    /// Integer tiles. Tiles of quantised weights are unpacked to integers and multiplied with activations rounded to 8
    /// bits, with a scale for 32 of them; weights that are floats meet floats as they are. With AVX2 and with AVX-512
    /// VNNI, weights in blocks of 256 meet activations with a scale for 64, and scales of weights are rounded too, so
    /// that results differ a little from other instruction sets'. With AVX2, layers all of whose weights become full
    /// bytes (Q8_0, IQ4) meet activations of 11 bits with a scale for 64, or of 16 where 64 does not divide a row: faster
    /// there, and more exact. With AMX, weights and activations become bfloat16: faster there, and off by two thirds as
    /// much.
    case int8
    /// The same with activations rounded to 16 bits: about half as fast, and all but exact. With AMX, weights are rounded
    /// to 16 bits, too, with a scale for 256 of them, as activations have there; where 64 does not divide a row, they are
    /// not.
    case int16

    /// What activations are rounded to.
    package var precision: ActivationPrecision {
        switch self {
        case .sgemm: .f32
        case .int8: .int8
        case .int16: .int16
        }
    }

    /// The fastest method that is as precise as `activations` ask for; nil leaves the precision to the program.
    static func preferred(on instructionSet: InstructionSet, activations: ActivationPrecision?) -> PrefillMethod {
        if activations == .f32 { return .sgemm }
        switch instructionSet {
        // Without wide integer products, OpenBLAS is faster.
        case .scalar, .neon: return .sgemm
        default: return activations == .int16 ? .int16 : .int8
        }
    }
}

/// What computes: kernels, threads, and the choices that hold for every operation.
package struct CPUBackend: Sendable {
    /// The kernels of the instruction set in use.
    package let kernels: Kernels
    /// The threads.
    package let pool: ThreadPool
    /// What decode quantises activations to.
    package let activations: ActivationPrecision

    /// A backend with threads of its own.
    package init(instructionSet: InstructionSet, threads: Int, activations: ActivationPrecision) {
        kernels = Kernels(instructionSet)
        pool = ThreadPool(threadCount: threads)
        self.activations = activations
        _ = BLAS.coreName
    }

    /// The same with other threads.
    private init(_ backend: CPUBackend, pool: ThreadPool) {
        kernels = backend.kernels
        activations = backend.activations
        self.pool = pool
    }

    /// This backend where it has so many threads, and one with threads of its own otherwise.
    package func with(threads: Int) -> CPUBackend {
        threads == pool.threadCount ? self : CPUBackend(self, pool: ThreadPool(threadCount: threads))
    }
}
