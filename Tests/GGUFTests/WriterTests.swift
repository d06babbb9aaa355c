import Foundation
import GGUF
import Testing

@Suite("The writer leaves a complete file or nothing")
struct WriterTests {
    private let declarations: [GGUFWriter.Declaration] = [
        .init(name: "a", dimensions: [4], type: .f32), .init(name: "b", dimensions: [4], type: .f32),
    ]

    /// The error that an operation throws, or nil.
    private func error(_ operation: () throws -> Void) -> GGUFError? {
        do {
            try operation()
            return nil
        } catch {
            return error as? GGUFError
        }
    }

    @Test("nothing is visible before finish, and an abandoned file goes")
    func abandoned() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        do {
            var writer = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
            try writer.write(Sample.data(16).span, of: "a")
            #expect(try folder.names.count == 1)
            #expect(try !folder.names.contains("x.gguf"))
            writer.abandon()
        }
        #expect(try folder.names.isEmpty)
        do {
            _ = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
        }
        #expect(try folder.names.isEmpty)
    }

    @Test("the temporary file is in the same folder, whatever the name begins with")
    func folder() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try FileManager.default.createDirectory(atPath: folder.file("sub"), withIntermediateDirectories: false)
        // A slash and a combining accent are one character.
        var writer = try GGUFWriter(path: folder.file("sub/\u{301}x.gguf"), metadata: [:], tensors: declarations)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("sub")).count == 1)
        try writer.write(Sample.data(16).span, of: "a")
    }

    @Test("a file that is there stays until the new one is complete")
    func replaces() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write([1, 2, 3], to: "x.gguf")
        var writer = try GGUFWriter(path: path, metadata: [:], tensors: declarations)
        try writer.write(Sample.data(16).span, of: "a")
        #expect(try contents(of: path) == [1, 2, 3])
        try writer.write(Sample.data(16).span, of: "b")
        try writer.finish()
        #expect(openError(path) == nil)
        #expect(try folder.names == ["x.gguf"])
    }

    @Test("sizes and order are held to the declaration")
    func misuse() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("x.gguf")
        let data = Sample.data(17)
        func begin() throws -> GGUFWriter { try GGUFWriter(path: path, metadata: [:], tensors: declarations) }
        #expect(
            error {
                var writer = try begin()
                try writer.write(data.span, of: "b")
            } == .tensorOutOfOrder("b", expected: "a"))
        #expect(
            error {
                var writer = try begin()
                try writer.write(data.span.extracting(0..<3), of: "a")
                try writer.write(data.span.extracting(0..<14), of: "a")
            } == .tensorSize("a", expected: 16, found: 17))
        #expect(
            error {
                var writer = try begin()
                try writer.write(data.span.extracting(0..<15), of: "a")
                try writer.finish()
            } == .tensorSize("a", expected: 16, found: 15))
        #expect(
            error {
                var writer = try begin()
                try writer.write(data.span.extracting(0..<16), of: "a")
                try writer.write(data.span.extracting(0..<16), of: "b")
                try writer.write(data.span.extracting(0..<1), of: "c")
            } == .tensorOutOfOrder("c", expected: nil))
        #expect(try folder.names.isEmpty)
    }

    @Test("tensors may be placed before their turn, and the file is the same", arguments: 0..<4)
    func placed(others: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let names = ["a", "b", "c", "d", "e"]
        // Sizes that need padding, one of them more than is gathered before it is written.
        let sizes = [3, 1, 70_000, 5, 2]
        let declarations = zip(names, sizes).map {
            GGUFWriter.Declaration(name: $0, dimensions: [$1], type: .f32)
        }
        func data(_ index: Int) -> [UInt8] { Sample.data(4 * sizes[index]).map { $0 &+ UInt8(index) } }
        var writer = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
        for index in names.indices { try writer.write(data(index).span, of: names[index]) }
        try writer.finish()
        let early = [[4, 2], [0], [1, 2, 3], [4, 3, 2, 1, 0]][others]
        var other = try GGUFWriter(path: folder.file("y.gguf"), metadata: [:], tensors: declarations)
        for index in early { try other.place(data(index).rawBytes, of: names[index]) }
        for index in names.indices where !early.contains(index) {
            let bytes = data(index)
            try other.write(bytes.span.extracting(0..<3), of: names[index])
            try other.write(bytes.span.extracting(3..<bytes.count), of: names[index])
        }
        try other.finish()
        #expect(try contents(of: folder.file("x.gguf")) == contents(of: folder.file("y.gguf")))
    }

    @Test("what is placed is held to the declaration, and does not complete the file alone")
    func misplaced() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let data = Sample.data(17)
        func place(_ names: [String], _ count: Int = 16) -> GGUFError? {
            error {
                var writer = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
                for name in names { try writer.place(data.span.extracting(0..<count).rawBytes, of: name) }
                try writer.finish()
            }
        }
        #expect(place(["b"]) == .tensorSize("a", expected: 16, found: 0))
        #expect(place(["b", "b"]) == .tensorOutOfOrder("b", expected: "a"))
        #expect(place(["a", "a"]) == .tensorOutOfOrder("a", expected: "b"))
        #expect(place(["b", "a", "a"]) == .tensorOutOfOrder("a", expected: nil))
        #expect(place(["c"]) == .tensorOutOfOrder("c", expected: "a"))
        #expect(place(["b"], 15) == .tensorSize("b", expected: 16, found: 15))
        #expect(place(["b"], 17) == .tensorSize("b", expected: 16, found: 17))
        #expect(
            error {
                var writer = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
                try writer.write(data.span.extracting(0..<3), of: "a")
                try writer.place(data.span.extracting(0..<16).rawBytes, of: "a")
            } == .tensorOutOfOrder("a", expected: "a"))
        #expect(try folder.names.isEmpty)
    }

    @Test("declarations that no reader accepts are refused before a file is made")
    func declarationErrors() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("x.gguf")
        func declare(_ tensors: [GGUFWriter.Declaration], _ metadata: GGUFMetadata = [:]) -> GGUFError? {
            error { _ = try GGUFWriter(path: path, metadata: metadata, tensors: tensors) }
        }
        #expect(declare([declarations[0], declarations[0]]) == .duplicateTensor("a"))
        #expect(declare([], ["general.alignment": .uint32(12)]) == .invalidAlignment(found: "12"))
        let huge = declare([], ["general.alignment": .uint32(1 << 21)])
        #expect(huge == .invalidAlignment(found: "2097152", limit: 1 << 20))
        let long = String(repeating: "n", count: 64)
        for name in ["", long] {
            let error = declare([.init(name: name, dimensions: [1], type: .f32)])
            #expect(error == .invalidName(name, "a tensor name has 1 to 63 bytes"))
        }
        #expect(declare([], ["": .uint8(1)])?.description.hasPrefix("invalid name") == true)
        let deep = (0..<8).reduce(GGUFArray.uint8([])) { nested, _ in .array([nested]) }
        #expect(declare([], ["deep": .array(deep)])?.description.hasPrefix("invalid name") == true)
        func problem(_ dimensions: [Int], _ type: GGMLType) -> String? {
            let error = declare([.init(name: "t", dimensions: dimensions, type: type)])
            if case .invalidTensor("t", let what, _, _) = error { return what }
            return nil
        }
        #expect(problem([], .f32) == "wrong number of dimensions")
        #expect(problem([1, 1, 1, 1, 1], .f32) == "wrong number of dimensions")
        #expect(problem([-1], .f32) == "a dimension that is not positive")
        #expect(problem([5504], .q4_K) == "rows that are not whole blocks")
        #expect(problem([256], .q8_K) == "a type that only exists in memory")
        #expect(problem([Int.max], .i8) == "too many bytes")
        #expect(try folder.names.isEmpty)
    }

    @Test("the input is not overwritten, by whatever name it goes")
    func input() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = try folder.write(Sample.bytes, to: "in.gguf")
        try FileManager.default.createSymbolicLink(atPath: folder.file("link.gguf"), withDestinationPath: path)
        for output in [path, folder.path + "/./in.gguf", folder.file("link.gguf")] {
            let error = error {
                _ = try GGUFWriter(path: output, metadata: [:], tensors: [], inputs: ["absent", path])
            }
            #expect(error == .outputIsInput(output))
        }
        #expect(try folder.names == ["in.gguf", "link.gguf"])
    }

    @Test("folders, devices and folders that are not there are refused")
    func outputs() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        func write(_ path: String) -> GGUFError? {
            error { _ = try GGUFWriter(path: path, metadata: [:], tensors: []) }
        }
        #expect(write(folder.path) == .outputIsNoFile(folder.path, found: "a folder"))
        #expect(write("/dev/null") == .outputIsNoFile("/dev/null", found: "a device"))
        #expect(write("") == .outputIsNoFile("", found: "an empty path"))
        #expect(write("a\u{0}b") == .outputIsNoFile("a\u{0}b", found: "a path with a NUL"))
        let absent = folder.file("no/x.gguf")
        #expect(write(absent) == .system(operation: "create", path: absent, code: ENOENT))
        #expect(write(absent)?.description == "cannot create file: \(absent) (No such file or directory)")
    }

    @Test("a folder without write permission says so", .enabled(if: geteuid() != 0, "root may write everywhere"))
    func permission() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try FileManager.default.setAttributes([.posixPermissions: 0o500], ofItemAtPath: folder.path)
        let path = folder.file("x.gguf")
        let error = error { _ = try GGUFWriter(path: path, metadata: [:], tensors: []) }
        #expect(error == .system(operation: "create", path: path, code: EACCES))
    }
}
