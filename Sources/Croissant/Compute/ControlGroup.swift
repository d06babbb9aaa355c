internal import GGUF

/// A control group that this process is in: what a container limits memory, processors and threads with.
package struct ControlGroup: Equatable {
    /// Its folder, below /sys/fs/cgroup.
    package let folder: String
    /// Whether it is of version 2, where a group has all controllers.
    package let isUnified: Bool

    /// The group with that folder.
    package init(folder: String, isUnified: Bool) {
        self.folder = folder
        self.isUnified = isUnified
    }

    /// The groups of this process that have `controller`, "memory", "cpu" or "pids": from its own to the outermost.
    package static func all(with controller: String) -> [ControlGroup] {
        SystemFile.text("/proc/self/cgroup").map { all(with: controller, in: $0) } ?? []
    }

    /// The same from a text like that of `/proc/self/cgroup`. Inside a container the inner groups are often hidden: the
    /// outermost is the container's.
    package static func all(with controller: String, in text: String) -> [ControlGroup] {
        text.split(separator: "\n").flatMap { line -> [ControlGroup] in
            // Such as "0::/user.slice/run.scope" or, of version 1, "4:memory:/docker/77".
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let isUnified = fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains(Substring(controller)) else { return [] }
            let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller
            let folders = fields[2].split(separator: "/")
            return (0...folders.count).reversed().map { depth in
                let path = ([root] + folders.prefix(depth).map(String.init)).joined(separator: "/")
                return ControlGroup(folder: path, isUnified: isUnified)
            }
        }
    }

    /// The most memory that its processes may have together, in bytes; nil without a limit.
    package var memoryLimit: Int? {
        // "max" where there is no limit; version 1 says so with a number near 2^63.
        number(isUnified ? "memory.max" : "memory.limit_in_bytes").flatMap { $0 < 1 << 60 ? $0 : nil }
    }

    /// The memory that its processes have, in bytes, without pages of files that the kernel would take back first; nil
    /// where it does not say.
    package var memoryInUse: Int? {
        guard let used = number(isUnified ? "memory.current" : "memory.usage_in_bytes") else { return nil }
        let name = isUnified ? "inactive_file " : "total_inactive_file "
        let lines = SystemFile.text(folder + "/memory.stat")?.split(separator: "\n") ?? []
        let idle = lines.first { $0.hasPrefix(name) }.flatMap { Int($0.dropFirst(name.count)) }
        return max(0, used - (idle ?? 0))
    }

    /// The processors that it may keep busy, such as 1.5; nil without a quota.
    package var processors: Double? {
        let words: [String]
        if isUnified {
            // Microseconds of processor time, or "max", and of the period that they are given for.
            words = SystemFile.line(folder + "/cpu.max").map { $0.split(separator: " ").map(String.init) } ?? []
        } else {
            // A quota of -1 is none.
            words = ["cpu.cfs_quota_us", "cpu.cfs_period_us"].compactMap { SystemFile.line(folder + "/" + $0) }
        }
        guard words.count == 2, let share = Double(words[0]), let period = Double(words[1]), share > 0, period > 0
        else { return nil }
        return share / period
    }

    /// The most threads that its processes may have together; nil without a limit.
    package var threadLimit: Int? { number("pids.max") }

    private func number(_ name: String) -> Int? { SystemFile.line(folder + "/" + name).flatMap { Int($0) } }
}
