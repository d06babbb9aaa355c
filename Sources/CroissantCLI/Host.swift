import Croissant
import Foundation

/// What is known about the machine and this process.
enum Host {
    /// The kernels that the BLAS uses.
    static var blasName: String { BLAS.coreName }

    /// Memory of this process, for reports.
    struct Memory: Encodable {
        /// What the plan says, in bytes.
        let planned: Int
        /// The most that was ever in use, in bytes, as the kernel counts it.
        let peak: Int?

        /// The memory of a process that follows `plan`, now.
        init(_ plan: MemoryPlan) {
            planned = plan.byteCount
            peak = HostMemory.peakResident
        }
    }
}
