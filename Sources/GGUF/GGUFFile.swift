/// A GGUF file, or all the shards of a split one: mapped, parsed and checked against [the
/// specification](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
///
/// ```swift
/// let file = try GGUFFile(path: "model.gguf")
/// let name = try file.metadata.string("general.name")
/// for tensor in file.tensors { print(tensor.name, tensor.type, file.bytes(of: tensor).byteCount) }
/// ```
///
/// After `init` every tensor lies inside its file, aligned, of whole blocks, and overlaps no other. The bytes of the
/// tensors are not looked at. Copying the value copies references to the same mapping.
public struct GGUFFile: Sendable {
    /// The path that was opened: the only file, or the first shard.
    public let path: String
    /// The version of the first shard, 2 or 3.
    public let version: UInt32
    /// The metadata of the first shard; later ones say nothing but their number.
    public private(set) var metadata: GGUFMetadata
    /// Keys whose value is a text that is not valid UTF-8 in the file: U+FFFD stands for what is not, in a copy too. Texts
    /// in arrays keep their bytes.
    public private(set) var repairedKeys: [String]
    /// The recipe that the file was quantised with; nil where it does not say, or says something unknown.
    public var fileType: FileType? {
        metadata["general.file_type"]?.asInt.flatMap(UInt32.init(exactly:)).flatMap(FileType.init(fileValue:))
    }
    /// The tensors in the order of the file, shard after shard.
    public let tensors: [TensorInfo]
    /// The alignment of tensors in the first shard, in bytes: a power of two from 8 to 2^31.
    public let alignment: Int
    /// Bytes from the start of the first shard to its tensor data.
    public let tensorDataOffset: Int

    private let shards: MappedShards
    private let indices: [String: Int]

    /// Maps and parses the file at `path`, and the sibling shards where it is the first of several.
    ///
    /// - Throws: ``GGUFError``: where in the file what is wrong, what was expected and what was found.
    public init(path: String) throws(GGUFError) {
        try self.init(try MappedFile(path: path))
    }

    /// Parses what is mapped, and maps the sibling shards where it is the first of several.
    package init(_ first: MappedFile) throws(GGUFError) {
        let path = first.path
        let header = try GGUFHeader(first.bytes, path: path)
        var files = [first]
        var tensors = header.tensors
        if let split = try Split(header.metadata, path: path) {
            for index in 1..<split.shards.count {
                let (file, others) = try split.open(index)
                files.append(file)
                tensors += others
            }
            try split.check(tensorCount: tensors.count)
        }
        var indices: [String: Int] = [:]
        indices.reserveCapacity(tensors.count)
        for (index, tensor) in tensors.enumerated() {
            guard indices.updateValue(index, forKey: tensor.name) == nil else {
                let error = GGUFError.duplicateTensor(tensor.name)
                throw tensor.shardIndex == 0 ? error : error.inShard(files[tensor.shardIndex].path)
            }
        }
        // What was read is held in arrays by now. Its pages would count as memory of this process for as long as it
        // lives; whoever asks for them again gets them from the page cache.
        for file in files { file.advise(.dontNeed, range: 0..<file.size) }
        self.path = path
        self.version = header.version
        self.metadata = header.metadata
        self.repairedKeys = header.repairedKeys
        self.tensors = tensors
        self.alignment = header.alignment
        self.tensorDataOffset = header.dataOffset
        self.shards = MappedShards(files: files)
        self.indices = indices
    }

    /// The tensor called `name`; nil where there is none.
    ///
    /// Complexity: O(1).
    public func tensor(named name: String) -> TensorInfo? {
        indices[name].map { tensors[$0] }
    }

    /// The bytes of `tensor` of this file, in place: ``TensorInfo/byteCount`` of them, row after row.
    ///
    /// - Precondition: the tensor is one of ``tensors``.
    @_lifetime(borrow self)
    public func bytes(of tensor: TensorInfo) -> RawSpan {
        shards.bytes(tensor.offset..<tensor.offset + tensor.byteCount, ofShard: tensor.shardIndex)
    }

    /// The mapped file that holds `tensor`, whose `offset` counts from its start.
    public func mappedFile(of tensor: TensorInfo) -> MappedFile { shards.files[tensor.shardIndex] }

    /// The paths of all shards, the first first; of a file that is not split, its own.
    public var shardPaths: [String] { shards.files.map(\.path) }

    /// Bytes of all shards together.
    public var fileSize: Int { shards.files.reduce(0) { $0 + $1.size } }

    /// Bytes of all tensors together.
    public var tensorBytes: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    /// The same tensors below other metadata, such as those of another file's tokenizer.
    package func with(_ metadata: GGUFMetadata) -> GGUFFile {
        var file = self
        file.metadata = metadata
        file.repairedKeys.removeAll { metadata[$0] != self.metadata[$0] }
        return file
    }
}

/// What the first shard says about the split, and the checks of the others against it.
private struct Split {
    let shards: GGUFShards
    /// The number of tensors in all shards, where the first one says so.
    let tensorCount: Int?

    /// nil for a file that is not split.
    init?(_ metadata: GGUFMetadata, path: String) throws(GGUFError) {
        guard let count = try metadata.int(GGUFShards.countKey), count > 1 else { return nil }
        guard count <= GGUFShards.limit else {
            throw .shardMismatch(
                path, key: GGUFShards.countKey, expected: "at most \(GGUFShards.limit)", found: "\(count)")
        }
        let index = try metadata.require(GGUFShards.numberKey, as: .int)
        guard index >= 0, index < count else {
            throw .shardMismatch(path, key: GGUFShards.numberKey, expected: "0 to \(count - 1)", found: "\(index)")
        }
        let name = GGUFShards.parse(path: path)
        guard index == 0 else {
            throw .notFirstShard(path, index: index, count: count, first: name?.shards.path(at: 0))
        }
        guard let name, name.index == 0, name.shards.count == count else { throw .shardName(path, count: count) }
        shards = name.shards
        tensorCount = try metadata.int(GGUFShards.tensorCountKey)
    }

    /// Maps and checks shard `index`, from 1.
    func open(_ index: Int) throws(GGUFError) -> (MappedFile, [TensorInfo]) {
        let path = shards.path(at: index)
        let file: MappedFile
        do {
            file = try MappedFile(path: path)
        } catch .fileNotFound {
            throw .missingShard(path, index: index, count: shards.count)
        }
        let header: GGUFHeader
        do {
            header = try GGUFHeader(file.bytes, path: path, shardIndex: index)
        } catch {
            throw error.inShard(path)
        }
        for (key, expected) in [(GGUFShards.numberKey, index), (GGUFShards.countKey, shards.count)] {
            guard header.metadata[key]?.asInt == expected else {
                let found = header.metadata[key].map { $0.asInt.map(String.init) ?? $0.typeDescription }
                throw .shardMismatch(path, key: key, expected: "\(expected)", found: found ?? "nothing")
            }
        }
        return (file, header.tensors)
    }

    /// Compares the number of tensors found in all shards with what the first one says.
    func check(tensorCount found: Int) throws(GGUFError) {
        guard let tensorCount, tensorCount != found else { return }
        throw .shardMismatch(
            shards.path(at: 0), key: GGUFShards.tensorCountKey, expected: "\(tensorCount)", found: "\(found)")
    }
}
