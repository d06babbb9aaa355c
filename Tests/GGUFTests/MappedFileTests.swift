import Foundation
import GGUF
import Testing

@Suite("Files as such")
struct MappedFileTests {
    @Test("what is no readable regular file has an error of its own")
    func kinds() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let absent = folder.file("absent.gguf")
        #expect(openError(absent) == .fileNotFound(absent))
        let empty = try folder.write([], to: "empty.gguf")
        #expect(openError(empty) == .emptyFile(empty))
        #expect(openError(empty + "/below") == .fileNotFound(empty + "/below"))
        #expect(openError("a\u{0}b") == .fileNotFound("a\u{0}b"))
        #expect(openError("") == .fileNotFound(""))
        #expect(openError(folder.path) == .isDirectory(folder.path))
        let text = try folder.write(Array("Hello".utf8), to: "x.txt")
        #expect(openError(text) == .notGGUF(text, found: Array("Hell".utf8)))
        #expect(openError("/dev/null") == .notARegularFile("/dev/null", found: "a device"))
    }

    @Test("a pipe is refused without waiting for a writer")
    func pipe() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("pipe")
        let code = unsafe mkfifo(path, 0o600)
        try #require(code == 0)
        #expect(openError(path) == .notARegularFile(path, found: "a pipe"))
    }

    @Test("a file without read permission says so", .enabled(if: geteuid() != 0, "root may read everything"))
    func permission() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write(Sample.bytes, to: "secret.gguf")
        try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: path)
        #expect(openError(path) == .permissionDenied(path))
    }

    @Test("mapping, reading and advice agree on the bytes")
    func reading() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = Sample.data(10_001)
        let file = try MappedFile(path: try folder.write(data, to: "x"))
        #expect(file.size == data.count)
        #expect(copy(file.bytes) == data)
        for advice in [MappedFile.Advice.sequential, .willNeed, .dontNeed] {
            file.advise(advice, range: 5000..<10_001)
            file.advise(advice, range: 7..<7)
        }
        #expect(copy(file.bytes) == data)
        for range in [0..<10_001, 4095..<4098, 10_001..<10_001] {
            var target = [UInt8](repeating: 0, count: range.count)
            try unsafe target.withUnsafeMutableBytes { buffer in
                try unsafe file.readRange(offset: range.lowerBound, into: buffer)
            }
            #expect(target == Array(data[range]))
        }
    }

    @Test("a file that was replaced, or is gone, is read as it was", arguments: [true, false])
    func replaced(staysOpen: Bool) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = Sample.data(5000)
        let path = try folder.write(data, to: "x")
        let file = try MappedFile(path: path, mayStayOpen: staysOpen)
        func read() throws -> [UInt8] {
            var target = [UInt8](repeating: 0, count: 100)
            try unsafe target.withUnsafeMutableBytes { buffer in try unsafe file.readRange(offset: 4200, into: buffer) }
            return target
        }
        #expect(try read() == Array(data[4200..<4300]))
        let other = try folder.write([UInt8](repeating: 7, count: 5000), to: "y")
        let code = unsafe rename(other, path)
        try #require(code == 0)
        #expect(try read() == Array(data[4200..<4300]))
        try FileManager.default.removeItem(atPath: path)
        #expect(try read() == Array(data[4200..<4300]))
    }

    @Test("reading from a file that has become shorter throws")
    func shortened() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write(Sample.data(1000), to: "x")
        let file = try MappedFile(path: path)
        let code = unsafe truncate(path, 600)
        try #require(code == 0)
        var target = [UInt8](repeating: 0, count: 500)
        let location = GGUFLocation(path: path, offset: 600)
        #expect(throws: GGUFError.truncated(what: "tensor data", location, needed: 400, available: 0)) {
            try unsafe target.withUnsafeMutableBytes { buffer in
                try unsafe file.readRange(offset: 500, into: buffer)
            }
        }
    }
}
