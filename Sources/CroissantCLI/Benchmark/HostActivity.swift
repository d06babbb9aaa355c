import Croissant
import Foundation
import GGUF

/// What the processors have done so far, for all processes together and for this one: two of them tell whether a
/// measurement between them had the machine for itself.
struct HostActivity: Sendable {
    /// Seconds of processor time since the machine was started (proc_stat(5)); nil where the kernel does not say.
    private let machine: (busy: Double, stolen: Double)?
    /// Seconds of processor time of this process.
    private let process: Double
    private let time = ContinuousClock.now

    /// What has been done by now.
    init() {
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        process = Double(clock()) / Double(CLOCKS_PER_SEC)
        // cpu user nice system idle iowait irq softirq steal
        let fields = SystemFile.line("/proc/stat")?.split(separator: " ").dropFirst()
        let counts = (fields ?? []).compactMap { Double($0) }
        machine =
            counts.count >= 8
            ? ((counts[0] + counts[1] + counts[2] + counts[5] + counts[6]) / ticks, counts[7] / ticks) : nil
    }

    /// What went on since `start`, in processors: those that other processes kept busy, and those that the hypervisor
    /// gave to others. Nil where the kernel does not say, or the time was too short to tell.
    func others(since start: HostActivity) -> (busy: Double, stolen: Double)? {
        let seconds = (time - start.time).seconds
        guard let machine, let before = start.machine, seconds >= 0.1 else { return nil }
        let own = process - start.process
        return (max(0, machine.busy - before.busy - own) / seconds, max(0, machine.stolen - before.stolen) / seconds)
    }

    /// Processes that ran or wanted to, on average over the last minute.
    static var loadAverage: Double? {
        SystemFile.line("/proc/loadavg")?.split(separator: " ").first.flatMap { Double($0) }
    }

    /// What decides the clock frequency of the processors, such as "performance" or "powersave".
    static var governor: String? {
        SystemFile.line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    }
}
