import Foundation
import GGUF
import Testing

@Suite("Models split over several files")
struct ShardTests {
    /// Writes three shards of one tensor each.
    private func makeShards(
        in folder: TemporaryFolder, numbers: [Int] = [0, 1, 2], counts: [Int] = [3, 3, 3], tensorCount: Int? = 3,
        names: [String] = ["a", "b", "c"]
    ) throws -> GGUFShards {
        let shards = GGUFShards(prefix: folder.file("model"), count: 3)
        for index in 0..<3 {
            var metadata: GGUFMetadata = index == 0 ? ["general.name": .string("split")] : [:]
            metadata[GGUFShards.numberKey] = .uint16(UInt16(numbers[index]))
            metadata[GGUFShards.countKey] = .uint16(UInt16(counts[index]))
            metadata[GGUFShards.tensorCountKey] = tensorCount.map { .int32(Int32($0)) }
            // Shards of different lengths, so that offsets of one are wrong in another.
            let tensor = GGUFWriter.Declaration(name: names[index], dimensions: [100 * (index + 1)], type: .f32)
            try Sample.write(to: shards.path(at: index), metadata: metadata, tensors: [tensor])
        }
        return shards
    }

    @Test("the first shard opens them all")
    func open() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder)
        let file = try GGUFFile(path: shards.path(at: 0))
        #expect(file.tensors.map(\.name) == ["a", "b", "c"])
        #expect(file.tensors.map(\.shardIndex) == [0, 1, 2])
        #expect(file.shardPaths == shards.paths)
        #expect(try file.metadata.string("general.name") == "split")
        for tensor in file.tensors {
            #expect(copy(file.bytes(of: tensor)) == Sample.data(tensor.byteCount))
            #expect(file.mappedFile(of: tensor).path == shards.path(at: tensor.shardIndex))
        }
        let sizes = try shards.paths.map { try contents(of: $0).count }
        #expect(file.fileSize == sizes.reduce(0, +))
        #expect(try folder.names.count == 3)
    }

    @Test("another shard is refused and the first one named")
    func otherShard() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder)
        let error = openError(shards.path(at: 1))
        #expect(error == .notFirstShard(shards.path(at: 1), index: 1, count: 3, first: shards.path(at: 0)))
        #expect(error?.hint == "open \(shards.path(at: 0))")
    }

    @Test("a missing shard is named")
    func missing() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder)
        try FileManager.default.removeItem(atPath: shards.path(at: 2))
        #expect(openError(shards.path(at: 0)) == .missingShard(shards.path(at: 2), index: 2, count: 3))
    }

    @Test("a shard with another number, count or number of tensors is refused")
    func mismatches() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var shards = try makeShards(in: folder, numbers: [0, 2, 1])
        #expect(
            openError(shards.path(at: 0))
                == .shardMismatch(shards.path(at: 1), key: "split.no", expected: "1", found: "2"))
        shards = try makeShards(in: folder, counts: [3, 3, 4])
        #expect(
            openError(shards.path(at: 0))
                == .shardMismatch(shards.path(at: 2), key: "split.count", expected: "3", found: "4"))
        shards = try makeShards(in: folder, tensorCount: 4)
        #expect(
            openError(shards.path(at: 0))
                == .shardMismatch(shards.path(at: 0), key: "split.tensors.count", expected: "4", found: "3"))
        shards = try makeShards(in: folder, tensorCount: nil)
        #expect(openError(shards.path(at: 0)) == nil)
        shards = try makeShards(in: folder, numbers: [7, 1, 2])
        #expect(
            openError(shards.path(at: 0))
                == .shardMismatch(shards.path(at: 0), key: "split.no", expected: "0 to 2", found: "7"))
        #expect(try folder.names.count == 3)
    }

    @Test("a shard that says nothing of the split is refused")
    func silentShard() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder)
        try Sample.write(to: shards.path(at: 1), metadata: [:], tensors: [])
        #expect(
            openError(shards.path(at: 0))
                == .shardMismatch(shards.path(at: 1), key: "split.no", expected: "1", found: "nothing"))
    }

    @Test("the same tensor in two shards is refused")
    func duplicate() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder, names: ["a", "b", "a"])
        #expect(openError(shards.path(at: 0)) == .inShard(shards.path(at: 2), .duplicateTensor("a")))
    }

    @Test("a renamed shard is refused, a split into one file is none")
    func names() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let shards = try makeShards(in: folder)
        let renamed = folder.file("renamed.gguf")
        try FileManager.default.moveItem(atPath: shards.path(at: 0), toPath: renamed)
        #expect(openError(renamed) == .shardName(renamed, count: 3))
        let single: GGUFMetadata = ["split.no": .uint16(0), "split.count": .uint16(1)]
        try Sample.write(to: folder.file("single.gguf"), metadata: single)
        #expect(openError(folder.file("single.gguf")) == nil)
        let strange: GGUFMetadata = ["split.no": .uint64(.max), "split.count": .uint64(1 << 62)]
        try Sample.write(to: folder.file("strange.gguf"), metadata: strange)
        #expect(openError(folder.file("strange.gguf"))?.description.contains("at most 65535") == true)
    }

    @Test("names are produced as they are parsed")
    func convention() throws {
        let shards = GGUFShards(prefix: "/models/croissant-v0.1", count: 12)
        #expect(shards.path(at: 0) == "/models/croissant-v0.1-00001-of-00012.gguf")
        #expect(shards.paths.count == 12)
        for index in 0..<12 {
            let parsed = try #require(GGUFShards.parse(path: shards.path(at: index)))
            #expect(parsed.shards == shards)
            #expect(parsed.index == index)
        }
        let metadata = shards.metadata(at: 3, tensorCount: 219)
        #expect(metadata.map(\.key) == ["split.no", "split.count", "split.tensors.count"])
        #expect(metadata.map(\.value) == [.uint16(3), .uint16(12), .int32(219)])
    }

    @Test(
        "names outside the convention are not parsed",
        arguments: [
            "", "model.gguf", "m-00001-of-00002", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf",
            "m-0001-of-0002.gguf", "m-00001-of-0000x.gguf", "m-00001_of-00002.gguf", "m00001-of-00002.gguf",
            "m-00001-of-99999.gguf",
        ])
    func otherNames(_ name: String) {
        #expect(GGUFShards.parse(path: name) == nil)
    }
}
