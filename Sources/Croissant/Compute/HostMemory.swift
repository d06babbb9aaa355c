import GGUF

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What the kernel says about memory: of this process, and of the machine or container that it runs in. In bytes; nil
/// where it does not say, as most of it on macOS.
package enum HostMemory {
    /// The most memory that was ever in use by this process at one time, shared file pages included.
    package static var peakResident: Int? {
        #if canImport(Darwin)
        return SystemControl.peakResident
        #else
        return statusField("VmHWM")
        #endif
    }

    /// The memory of its own that this process has now.
    package static var anonymous: Int? { statusField("RssAnon") }

    /// The pages of mapped files that this process has in memory now.
    package static var fileBacked: Int? { statusField("RssFile") }

    /// The memory of the machine.
    package static var total: Int? {
        #if canImport(Darwin)
        return SystemControl.integer("hw.memsize")
        #else
        return field("MemTotal", of: "/proc/meminfo")
        #endif
    }

    /// Bytes of a page, the unit in which the kernel counts.
    package static var pageSize: Int { Int(sysconf(Int32(_SC_PAGESIZE))) }

    /// The memory that could be had without swapping.
    package static var available: Int? { field("MemAvailable", of: "/proc/meminfo") }

    /// What may be planned for without asking: what is available, in the container if this is smaller, less an eighth.
    package static var spare: Int? {
        guard let available else { return nil }
        let free = ControlGroup.all(with: "memory").compactMap { group in
            group.memoryLimit.map { max(0, $0 - (group.memoryInUse ?? 0)) }
        }
        let least = min(available, free.min() ?? available)
        return least - least / 8
    }

    /// The limit of the container, or of the control group that the process is in: the least from its own to the
    /// outermost; nil where there is none.
    package static var containerLimit: Int? { ControlGroup.all(with: "memory").compactMap(\.memoryLimit).min() }

    private static func statusField(_ name: String) -> Int? {
        field(name, of: "/proc/self/status")
    }

    /// A line such as `VmHWM:   1234 kB`, in bytes.
    private static func field(_ name: String, of path: String) -> Int? {
        guard let text = SystemFile.text(path) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name + ":") {
            let words = line.split { $0 == " " || $0 == "\t" }
            return words.count >= 2 ? Int(words[1]).map { $0 * 1024 } : nil
        }
        return nil
    }
}

/// The processors that this process may use.
package enum HostProcessors {
    /// One thread for each physical core that the process's affinity mask touches, at most the container's quota: the
    /// second hardware thread of a core has no arithmetic units of its own to gain from. On macOS one for each core of
    /// the fast kind.
    package static var recommendedThreads: Int {
        #if canImport(Darwin)
        let cores = SystemControl.integer("hw.perflevel0.physicalcpu") ?? SystemControl.integer("hw.physicalcpu")
        #else
        let cores = allowed.map { physicalCores(of: $0) ?? $0.count }
        #endif
        var count = cores ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        if let quota { count = min(count, max(1, Int(quota.rounded(.up)))) }
        return max(1, min(count, ThreadPool.maximumThreads))
    }

    /// As many threads as were asked for, or as are recommended where none were.
    ///
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for a number that no pool takes.
    static func threads(_ wanted: Int?, name: String = "threads") throws(ModelError) -> Int {
        let threads = wanted ?? recommendedThreads
        guard (1...ThreadPool.maximumThreads).contains(threads) else {
            throw .invalidOption(name: name, value: "\(threads)", expected: "1 to \(ThreadPool.maximumThreads)")
        }
        return threads
    }

    /// Whether a limit may be near that new threads count against: one of 4095 of them or fewer, for the user or for a
    /// control group of this process, or any of the address space, which their stacks are in.
    package static var mayLackThreads: Bool {
        let limits = SystemFile.text("/proc/self/limits") ?? ""
        if limit("Max address space", in: limits) != nil { return true }
        let counts = ControlGroup.all(with: "pids").map(\.threadLimit) + [limit("Max processes", in: limits)]
        return counts.contains { $0 ?? .max < 1 << 12 }
    }

    /// The limit of that name in a text like that of `/proc/self/limits`: lines with a limit, and what it may be raised
    /// to; nil for none.
    package static func limit(_ name: String, in text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line?.dropFirst(name.count).split(separator: " ").first.flatMap { Int($0) }
    }

    /// The model name that the kernel gives.
    package static var modelName: String? {
        #if canImport(Darwin)
        return SystemControl.text("machdep.cpu.brand_string")
        #else
        guard let text = SystemFile.text("/proc/cpuinfo") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("model name") {
            return line.split(separator: ":", maxSplits: 1).last.map { String($0).trimmingWhitespace }
        }
        return nil
        #endif
    }

    /// Processors that the scheduler may put this process on, where the kernel says so.
    private static var allowed: [Int]? {
        guard let text = SystemFile.text("/proc/self/status") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("Cpus_allowed_list:") {
            let list = processors(ofList: String(line.dropFirst("Cpus_allowed_list:".count)).trimmingWhitespace)
            return list.isEmpty ? nil : list
        }
        return nil
    }

    /// Physical cores that `processors` belong to: as many as there are different sets of siblings.
    private static func physicalCores(of processors: [Int]) -> Int? {
        var siblings: Set<String> = []
        for processor in processors {
            let path = "/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"
            guard let list = SystemFile.text(path) else { return nil }
            siblings.insert(list.trimmingWhitespace)
        }
        return siblings.isEmpty ? nil : siblings.count
    }

    /// The container's share of processors, such as 1.5: the least of all control groups.
    private static var quota: Double? { ControlGroup.all(with: "cpu").compactMap(\.processors).min() }

    /// The numbers of a kernel list such as `0-3,8`.
    private static func processors(ofList list: String) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last - first < 4096 else { return [] }
            return Array(first...last)
        }
    }
}

extension String {
    fileprivate var trimmingWhitespace: String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        return String(drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }
}
