import Croissant
import Foundation
import Testing

@Suite("What the system says about memory")
struct HostMemoryTests {
    @Test("limits are looked for from the process's group to the outermost, in both versions of control groups")
    func groups() {
        func folders(_ text: String, _ controller: String = "memory") -> [String] {
            ControlGroup.all(with: controller, in: text).map(\.folder)
        }
        #expect(
            folders("0::/user.slice/run.scope\n") == [
                "/sys/fs/cgroup/user.slice/run.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup",
            ])
        #expect(folders("0::/\n") == ["/sys/fs/cgroup"])
        let old = "5:cpu,cpuacct:/a\n4:memory:/docker/7:7\n"
        #expect(
            folders(old) == [
                "/sys/fs/cgroup/memory/docker/7:7", "/sys/fs/cgroup/memory/docker", "/sys/fs/cgroup/memory",
            ])
        #expect(folders(old, "cpu") == ["/sys/fs/cgroup/cpu/a", "/sys/fs/cgroup/cpu"])
        #expect(ControlGroup.all(with: "cpu", in: old).allSatisfy { !$0.isUnified })
        for text in ["", "nonsense\n", "1:2\n"] { #expect(folders(text).isEmpty) }
    }

    @Test("a group's limits and what its processes use are read, in both versions")
    func limits() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: URL(filePath: folder.file(name)))
        }
        let new = ControlGroup(folder: folder.path, isUnified: true)
        let old = ControlGroup(folder: folder.path, isUnified: false)
        for group in [new, old] {
            #expect(group.memoryLimit == nil && group.memoryInUse == nil && group.processors == nil)
            #expect(group.threadLimit == nil)
        }
        try write("memory.max", "max\n")
        try write("cpu.max", "max 100000\n")
        try write("memory.limit_in_bytes", "9223372036854771712\n")
        try write("cpu.cfs_quota_us", "-1\n")
        try write("cpu.cfs_period_us", "100000\n")
        try write("pids.max", "max\n")
        for group in [new, old] {
            #expect(group.memoryLimit == nil && group.processors == nil && group.threadLimit == nil)
        }

        try write("memory.max", "2147483648\n")
        try write("memory.current", "1000000\n")
        try write("memory.stat", "anon 1\ninactive_file 300000\ntotal_inactive_file 200000\n")
        try write("cpu.max", "150000 100000\n")
        #expect(new.memoryLimit == 1 << 31 && new.memoryInUse == 700_000 && new.processors == 1.5)
        try write("memory.limit_in_bytes", "1073741824\n")
        try write("memory.usage_in_bytes", "900000\n")
        try write("cpu.cfs_quota_us", "50000\n")
        #expect(old.memoryLimit == 1 << 30 && old.memoryInUse == 700_000 && old.processors == 0.5)
        try write("pids.max", "100\n")
        for group in [new, old] { #expect(group.threadLimit == 100) }
    }

    @Test("limits of the process are read")
    func processLimits() {
        let text = """
            Limit                     Soft Limit           Hard Limit           Units
            Max processes             100                  96364                processes
            Max open files            1024                 4096                 files
            Max address space         unlimited            unlimited            bytes

            """
        func limit(_ name: String) -> Int? { HostProcessors.limit(name, in: text) }
        #expect(limit("Max processes") == 100 && limit("Max open files") == 1024)
        #expect(limit("Max address space") == nil && limit("Max") == nil && limit("Max file size") == nil)
        #expect(HostProcessors.limit("Max processes", in: "") == nil)
        #expect(HostProcessors.limit("Max processes", in: "Max processes") == nil)
    }

    #if os(Linux)
    @Test("the kernel's figures are there, and make sense together")
    func figures() throws {
        let total = try #require(HostMemory.total)
        let available = try #require(HostMemory.available)
        #expect(available > 0 && available <= total)
        #expect(try #require(HostMemory.spare) < total)
        #expect(try #require(HostMemory.peakResident) > 0)
    }
    #endif
}
