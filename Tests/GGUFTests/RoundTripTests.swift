import GGUF
import Testing

@Suite("What the writer writes, the reader reads")
struct RoundTripTests {
    @Test("every value type and nested arrays survive, in order", arguments: [2, 3] as [UInt32])
    func values(version: UInt32) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("all.gguf")
        try Sample.write(to: path, version: version)
        let file = try GGUFFile(path: path)
        #expect(file.version == version)
        #expect(file.metadata == Sample.metadata)
        #expect(Set(file.metadata.map(\.value.type)) == Set(GGUFValueType.allCases))
        #expect(file.shardPaths == [path])
    }

    @Test("tensors lie at multiples of the alignment with their bytes", arguments: [8, 32, 64, 4096])
    func alignment(_ alignment: Int) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("aligned.gguf")
        var metadata = Sample.metadata
        metadata["general.alignment"] = .uint32(UInt32(alignment))
        try Sample.write(to: path, metadata: metadata)
        let file = try GGUFFile(path: path)
        #expect(file.alignment == alignment)
        #expect(file.tensorDataOffset % alignment == 0)
        #expect(file.tensors.map(\.name) == ["embedding", "norm", "cube"])
        #expect(file.tensors.map(\.byteCount) == [108, 20, 32])
        let bytes = try contents(of: path)
        #expect(bytes.count == file.fileSize)
        #expect(bytes.count % alignment == 0)
        for tensor in file.tensors {
            #expect(tensor.offset % alignment == 0)
            let expected = Sample.data(tensor.byteCount)
            #expect(Array(bytes[tensor.offset..<tensor.offset + tensor.byteCount]) == expected)
            #expect(copy(file.bytes(of: tensor)) == expected)
        }
        let cube = try #require(file.tensor(named: "cube"))
        #expect(cube.columns == 2)
        #expect(cube.rows == 8)
        #expect(cube.elementCount == 16)
        #expect(cube.dimensions == [2, 2, 2, 2])
        #expect(file.tensor(named: "absent") == nil)
    }

    @Test("strings that are not UTF-8 keep their bytes in arrays")
    func invalidText() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var pieces = GGUFStrings()
        for byte in UInt8.min...UInt8.max { pieces.append(utf8: [byte]) }
        try Sample.write(to: folder.file("x.gguf"), metadata: ["tokens": .array(.string(pieces))], tensors: [])
        let read = try #require(try GGUFFile(path: folder.file("x.gguf")).metadata.exactStrings("tokens"))
        #expect(read == pieces)
        #expect(read.bytes(at: 0xFF) == [0xFF])
    }

    @Test("a file without metadata and tensors is a file")
    func nothing() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Sample.write(to: folder.file("x.gguf"), metadata: [:], tensors: [])
        let file = try GGUFFile(path: folder.file("x.gguf"))
        #expect(file.tensors.isEmpty)
        #expect(file.metadata.count == 0)
    }

    @Test("tensors may be written in chunks of any size")
    func chunks() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let declarations: [GGUFWriter.Declaration] = [
            .init(name: "big", dimensions: [1000, 301], type: .f32), .init(name: "small", dimensions: [3], type: .i8),
        ]
        let data = Sample.data(1_204_000)
        var writer = try GGUFWriter(path: folder.file("x.gguf"), metadata: [:], tensors: declarations)
        // Chunks below, at and above the size of the writer's buffer.
        var start = 0
        for size in [1, 0, 5000, 1 << 18, (1 << 18) - 1, (1 << 18) + 1] {
            try writer.write(data.span.extracting(start..<start + size), of: "big")
            start += size
        }
        try writer.write(data.span.extracting(start..<data.count), of: "big")
        try writer.write([1, 2, 3].span, of: "small")
        let (size, tensors) = (writer.fileSize, writer.tensors)
        try writer.finish()
        let file = try GGUFFile(path: folder.file("x.gguf"))
        #expect(file.fileSize == size)
        #expect(file.tensors == tensors)
        #expect(copy(file.bytes(of: file.tensors[0])) == data)
        #expect(copy(file.bytes(of: file.tensors[1])) == [1, 2, 3])
    }
}

/// The bytes of a span as an array.
func copy(_ span: RawSpan) -> [UInt8] {
    var strings = GGUFStrings()
    strings.append(0..<span.byteCount, of: span)
    return strings.bytes(at: 0)
}
