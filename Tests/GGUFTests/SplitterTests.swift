import Foundation
import GGUF
import Testing

@Suite("Splitting and merging")
struct SplitterTests {
    private static let declarations = (0..<7).map {
        GGUFWriter.Declaration(name: "tensor.\($0)", dimensions: [100 + 10 * $0, 3], type: .f32)
    }

    /// A file with some metadata and seven tensors.
    private func makeFile(in folder: TemporaryFolder, alignment: UInt32? = nil) throws -> GGUFFile {
        var metadata = Sample.metadata
        if let alignment { metadata["general.alignment"] = .uint32(alignment) }
        try Sample.write(to: folder.file("whole.gguf"), metadata: metadata, tensors: Self.declarations)
        return try GGUFFile(path: folder.file("whole.gguf"))
    }

    @Test("what is split and merged is the same file", arguments: [nil, 64, 8] as [UInt32?])
    func roundTrip(alignment: UInt32?) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try makeFile(in: folder, alignment: alignment)
        for count in 1...8 {
            let splitter = try GGUFSplitter(file, prefix: folder.file("part\(count)"), maximumTensors: count)
            #expect(splitter.shards.count == (7 + count - 1) / count)
            #expect(try splitter.write())
            let split = try GGUFFile(path: splitter.shards.path(at: 0))
            #expect(split.shardPaths == splitter.shards.paths)
            #expect(split.alignment == file.alignment)
            #expect(split.metadata.withoutSplit == file.metadata)
            #expect(split.metadata["split.count"] == .uint16(UInt16(splitter.shards.count)))
            #expect(split.metadata["split.tensors.count"] == .int32(7))
            #expect(try split.merge(to: folder.file("merged.gguf")))
            #expect(try contents(of: folder.file("merged.gguf")) == contents(of: file.path))
        }
    }

    @Test("no shard is larger than it may be, and the first tensor of the next would not have fitted")
    func sizes() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try makeFile(in: folder)
        let whole = try contents(of: file.path).count
        for limit in stride(from: 2100, to: whole + 400, by: 611) {
            let splitter = try GGUFSplitter(file, prefix: folder.file("size"), maximumSize: limit)
            #expect(splitter.tensors.first?.lowerBound == 0 && splitter.tensors.last?.upperBound == 7)
            #expect(try splitter.write())
            let sizes = try splitter.shards.paths.map { try contents(of: $0).count }
            #expect(sizes.allSatisfy { $0 <= limit }, "\(limit): \(sizes)")
            for (index, range) in splitter.tensors.enumerated().dropLast() {
                #expect(sizes[index] + file.tensors[range.upperBound].byteCount > limit - 200, "\(limit): \(sizes)")
            }
            for path in splitter.shards.paths { try FileManager.default.removeItem(atPath: path) }
        }
        #expect(try GGUFSplitter(file, prefix: "x", maximumSize: whole + 400).shards.count == 1)
    }

    @Test("a first shard without room for a tensor has the metadata alone")
    func metadataAlone() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let large: GGUFMetadata = ["a.text": .string(String(repeating: "x", count: 5000))]
        let tensors = [GGUFWriter.Declaration(name: "a", dimensions: [1000], type: .f32)]
        try Sample.write(to: folder.file("whole.gguf"), metadata: large, tensors: tensors)
        let file = try GGUFFile(path: folder.file("whole.gguf"))
        let splitter = try GGUFSplitter(file, prefix: folder.file("part"), maximumSize: 6000)
        #expect(splitter.tensors == [0..<0, 0..<1])
        #expect(try splitter.write())
        #expect(try GGUFFile(path: splitter.shards.path(at: 0)).tensors.map(\.name) == ["a"])

        #expect(throws: GGUFError.shardTooSmall(what: "the metadata", needed: 5152, limit: 5000)) {
            try GGUFSplitter(file, prefix: "x", maximumSize: 5000)
        }
        try Sample.write(to: folder.file("small.gguf"), metadata: [:], tensors: tensors)
        let small = try GGUFFile(path: folder.file("small.gguf"))
        #expect(throws: GGUFError.shardTooSmall(what: "tensor \"a\"", needed: 4160, limit: 4100)) {
            try GGUFSplitter(small, prefix: "x", maximumSize: 4100)
        }
    }

    @Test("a file without tensors is one shard")
    func empty() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Sample.write(to: folder.file("whole.gguf"), tensors: [])
        let splitter = try GGUFSplitter(
            try GGUFFile(path: folder.file("whole.gguf")), prefix: folder.file("part"), maximumTensors: 1)
        #expect(splitter.tensors == [0..<0])
        #expect(try splitter.write())
        #expect(try GGUFFile(path: splitter.shards.path(at: 0)).metadata.withoutSplit == Sample.metadata)
    }

    @Test("what stops leaves no shard behind, whichever it is in")
    func stopping() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try makeFile(in: folder)
        for calls in 0..<7 {
            var left = calls
            let splitter = try GGUFSplitter(file, prefix: folder.file("part"), maximumTensors: 2)
            let isComplete = try splitter.write { _ in
                left -= 1
                return left >= 0
            }
            #expect(!isComplete)
            #expect(try folder.names == ["whole.gguf"])
        }
        #expect(try !file.copy(to: folder.file("copy.gguf"), metadata: [:]) { _ in false })
        #expect(try folder.names == ["whole.gguf"])
    }

    @Test("where one part cannot get its name, none of them stays")
    func unpublished() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try makeFile(in: folder)
        let splitter = try GGUFSplitter(file, prefix: folder.file("part"), maximumTensors: 2)
        let obstacle = splitter.shards.path(at: 1)
        #expect(throws: GGUFError.system(operation: "rename", path: obstacle, code: EISDIR)) {
            try splitter.write { done in
                if done == file.tensorBytes {
                    try? FileManager.default.createDirectory(atPath: obstacle, withIntermediateDirectories: true)
                }
                return true
            }
        }
        #expect(try folder.names.count == 2)
        try FileManager.default.removeItem(atPath: obstacle)
        #expect(try folder.names == ["whole.gguf"])
    }

    @Test("shards that are read are not replaced, a file that is not split is not merged")
    func refusals() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = try makeFile(in: folder)
        #expect(throws: GGUFError.notSplit(file.path)) { try file.merge(to: folder.file("merged.gguf")) }
        let splitter = try GGUFSplitter(file, prefix: folder.file("part"), maximumTensors: 2)
        try splitter.write()
        let split = try GGUFFile(path: splitter.shards.path(at: 0))
        #expect(throws: GGUFError.outputIsInput(splitter.shards.path(at: 0))) {
            try GGUFSplitter(split, prefix: folder.file("part"), maximumTensors: 2).write()
        }
        #expect(throws: GGUFError.outputIsInput(splitter.shards.path(at: 3))) {
            try split.merge(to: splitter.shards.path(at: 3))
        }
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("link.gguf"), withDestinationPath: splitter.shards.path(at: 1))
        #expect(throws: GGUFError.outputIsInput(folder.file("link.gguf"))) {
            try split.merge(to: folder.file("link.gguf"))
        }
        #expect(try folder.names.count == 6)
        // In smaller shards it has other names.
        let finer = try GGUFSplitter(split, prefix: folder.file("part"), maximumTensors: 1)
        #expect(try finer.write())
        #expect(try GGUFFile(path: finer.shards.path(at: 0)).merge(to: folder.file("merged.gguf")))
        #expect(try contents(of: folder.file("merged.gguf")) == contents(of: file.path))
    }
}
