/// Splits a file into shards that are small enough, by the convention of llama.cpp's `gguf-split`:
/// `prefix-00001-of-00003.gguf`.
///
/// The first shard has all the metadata, the others only their number. Tensors keep their order, and each shard takes
/// as many as it may.
public struct GGUFSplitter: Sendable {
    /// The names of the shards.
    public let shards: GGUFShards
    /// Which tensors of the file each shard has, as indices.
    public let tensors: [Range<Int>]
    /// The file, which may be split already.
    public let file: GGUFFile

    /// Decides which tensors go into which shard.
    ///
    /// - Parameters:
    ///   - file: the file to be split.
    ///   - prefix: the path of the shards up to the hyphen in front of their numbers.
    ///   - maximumSize: the most bytes of a shard, its header among them; any number when nil.
    ///   - maximumTensors: the most tensors in a shard, at least 1; any number when nil.
    /// - Throws: ``GGUFError/shardTooSmall(what:needed:limit:)`` where a tensor or the metadata is larger than a shard
    ///   may be, ``GGUFError/tooManyShards(found:)`` for more than ``GGUFShards/limit``,
    ///   ``GGUFError/outputIsNoFile(_:found:)`` for a prefix without a name.
    /// - Precondition: `maximumTensors` is at least 1, or nil.
    public init(
        _ file: GGUFFile, prefix: String, maximumSize: Int? = nil, maximumTensors: Int? = nil
    ) throws(GGUFError) {
        precondition((maximumTensors ?? 1) >= 1, "a shard must have room for a tensor")
        guard !prefix.isEmpty, prefix.utf8.last != UInt8(ascii: "/") else {
            throw .outputIsNoFile(prefix, found: prefix.isEmpty ? "an empty prefix" : "a folder")
        }
        let limit = maximumSize ?? .max
        // How many shards there will be makes no difference to the length of their metadata.
        let names = GGUFShards(prefix: prefix, count: GGUFShards.limit)
        let first = try GGUFWriter.headerBytes(Self.metadata(of: file, shard: 0, of: names))
        let later = try GGUFWriter.headerBytes(Self.metadata(of: file, shard: 1, of: names))
        var filled = Filled(headerBytes: first, alignment: file.alignment)
        guard filled.fileSize <= limit else {
            throw .shardTooSmall(what: "the metadata", needed: filled.fileSize, limit: limit)
        }

        var tensors: [Range<Int>] = []
        var start = 0
        for (index, tensor) in file.tensors.enumerated() {
            let isFull = index - start >= maximumTensors ?? .max
            if isFull || filled.with(tensor).fileSize > limit {
                // A first shard may have metadata only; any other has had room for a tensor.
                if index > start || tensors.isEmpty { tensors.append(start..<index) }
                start = index
                filled = Filled(headerBytes: later, alignment: file.alignment)
                let alone = filled.with(tensor).fileSize
                guard alone <= limit else {
                    throw .shardTooSmall(what: "tensor \(tensor.name.quoted)", needed: alone, limit: limit)
                }
            }
            filled = filled.with(tensor)
        }
        if start < file.tensors.count || tensors.isEmpty { tensors.append(start..<file.tensors.count) }
        guard tensors.count <= GGUFShards.limit else { throw .tooManyShards(found: tensors.count) }
        self.file = file
        self.tensors = tensors
        shards = GGUFShards(prefix: prefix, count: tensors.count)
    }

    /// What a shard takes.
    private struct Filled {
        var headerBytes: Int
        let alignment: Int
        /// Bytes of its tensors, each with what follows it up to the next.
        var tensorBytes = 0

        func with(_ tensor: TensorInfo) -> Filled {
            var other = self
            other.headerBytes += GGUFWriter.entryBytes(of: tensor)
            other.tensorBytes += aligned(tensor.byteCount)
            return other
        }

        var fileSize: Int { aligned(headerBytes) + tensorBytes }

        /// Sizes of a file that is there: they are far from overflowing.
        private func aligned(_ count: Int) -> Int { (count + alignment - 1) & ~(alignment - 1) }
    }

    /// The metadata of shard `index`.
    private static func metadata(of file: GGUFFile, shard index: Int, of shards: GGUFShards) -> GGUFMetadata {
        var metadata = index == 0 ? file.metadata.withoutSplit : GGUFMetadata()
        // Readers take the alignment of each shard from its own metadata.
        if index > 0 { metadata[GGUFHeader.alignmentKey] = file.metadata[GGUFHeader.alignmentKey] }
        for (key, value) in shards.metadata(at: index, tensorCount: file.tensors.count) { metadata[key] = value }
        return metadata
    }

    /// A shard that is written and has not got its name yet.
    private final class Sealed {
        private var writer: GGUFWriter

        init(_ writer: consuming GGUFWriter) throws(GGUFError) {
            try writer.seal()
            self.writer = writer
        }

        func publish() throws(GGUFError) { try writer.publish() }
        func withdraw() { writer.withdraw() }
    }

    /// Writes the shards. All appear under their names when the last one is complete, the first one last.
    ///
    /// - Parameter progress: called now and then with the bytes of tensors written so far, of ``GGUFFile/tensorBytes``;
    ///   returning false stops, and leaves no file behind.
    /// - Returns: whether the files were written.
    /// - Throws: ``GGUFError/outputIsInput(_:)`` for a shard that is read from,
    ///   ``GGUFError/system(operation:path:code:)`` where reading or writing fails.
    @discardableResult
    public func write(progress: ((Int) -> Bool)? = nil) throws(GGUFError) -> Bool {
        var sealed: [Sealed] = []
        var done = 0
        for (index, range) in tensors.enumerated() {
            var writer = try GGUFWriter(
                path: shards.path(at: index), metadata: Self.metadata(of: file, shard: index, of: shards),
                tensors: file.tensors[range].map { GGUFWriter.Declaration($0) }, inputs: file.shardPaths)
            let start = done
            let isComplete = try file.copy(range, to: &writer) { count in
                done = start + count
                return progress?(done) ?? true
            }
            guard isComplete else { return false }
            sealed.append(try Sealed(writer))
        }
        for (index, shard) in sealed.enumerated().reversed() {
            do throws(GGUFError) { try shard.publish() } catch {
                // Some of the parts, or some beside those of another file, are no model.
                for published in sealed[(index + 1)...] { published.withdraw() }
                throw error
            }
        }
        return true
    }
}

extension GGUFFile {
    /// Writes a split file as one.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete; not one of the shards.
    ///   - progress: called now and then with the bytes of tensors written so far, of ``tensorBytes``; returning false
    ///     stops, and leaves no file behind.
    /// - Returns: whether the file was written.
    /// - Throws: ``GGUFError/notSplit(_:)`` for a file that does not say that it is one of several, and what
    ///   ``copy(to:metadata:progress:)`` throws.
    @discardableResult
    public func merge(to path: String, progress: ((Int) -> Bool)? = nil) throws(GGUFError) -> Bool {
        guard metadata[GGUFShards.countKey] != nil else { throw .notSplit(self.path) }
        return try copy(to: path, metadata: metadata.withoutSplit, progress: progress)
    }
}
