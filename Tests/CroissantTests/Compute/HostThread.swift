#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The thread that a test's closure runs on.
enum HostThread {
    /// Lets another thread have the processor.
    static func yield() { sched_yield() }
}
