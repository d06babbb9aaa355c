/// How the products of a batch of tokens are computed.
public enum PrefillMethod: String, Sendable, CaseIterable {
    /// Panels of weights are dequantised to floats and multiplied by OpenBLAS: exact.
    case sgemm
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
}
