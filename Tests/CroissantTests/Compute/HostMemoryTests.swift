import Croissant
import Testing

@Suite("What the system says about memory")
struct HostMemoryTests {
    @Test("limits are looked for from the process's group to the outermost, in both versions of control groups")
    func groups() {
        #expect(
            HostMemory.limitFiles(ofGroups: "0::/user.slice/run.scope\n") == [
                "/sys/fs/cgroup/user.slice/run.scope/memory.max", "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ])
        #expect(HostMemory.limitFiles(ofGroups: "0::/\n") == ["/sys/fs/cgroup/memory.max"])
        #expect(
            HostMemory.limitFiles(ofGroups: "5:cpu:/a\n4:memory:/docker/7:7\n") == [
                "/sys/fs/cgroup/memory/docker/7:7/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ])
        for text in ["", "nonsense\n", "1:2\n"] { #expect(HostMemory.limitFiles(ofGroups: text).isEmpty) }
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
