import Croissant
import Foundation
import SystemPackage

/// What is known about the machine and this process.
enum Host {
    /// The kernels that the BLAS uses.
    static var blasName: String { BLAS.coreName }

    /// What `--version` says: the program, and what of the machine decides its speed, for reports of problems.
    static var description: String {
        // OpenBLAS goes on with the options that it was built with.
        let library = BLAS.configuration.split(separator: " ").prefix(2).joined(separator: " ")
        return """
            croissant-gguf \(CroissantCommand.version), commit \(builtCommit ?? "unknown")
            kernels \(Kernels.bestInstructionSet.rawValue)
            BLAS \(library == blasName ? library : "\(library), \(blasName) kernels")
            """
    }

    /// Lets the peak of the process's memory begin anew, at what is in use now, where the kernel does so.
    static func resetPeakMemory() {
        // 5: "reset the peak resident set size" (proc_pid_clear_refs(5)). Where this fails, peaks are those of the
        // whole process.
        guard let file = try? FileDescriptor.open(FilePath("/proc/self/clear_refs"), .writeOnly) else { return }
        _ = try? file.writeAll("5".utf8)
        try? file.close()
    }

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
