/// Writes a GGUF file: everything declared first, then the bytes of the tensors in the declared order.
///
/// ```swift
/// var writer = try GGUFWriter(path: "out.gguf", metadata: metadata, tensors: declarations, inputs: [file.path])
/// for tensor in file.tensors { try writer.write(file.bytes(of: tensor), of: tensor.name) }
/// try writer.finish()
/// ```
///
/// The file appears under its name only in `finish()`, complete and on the disk; a writer that is dropped before leaves
/// nothing behind. Files are little-endian.
public struct GGUFWriter: ~Copyable, Sendable {
    /// A tensor to be written.
    public struct Declaration: Sendable, Hashable {
        /// The name, of 1 to ``GGUFWriter/nameLimit`` bytes.
        public let name: String
        /// One to four sizes; the first is the length of a row, in whole blocks of `type`.
        public let dimensions: [Int]
        /// How the elements are stored.
        public let type: GGMLType

        /// A tensor to be written. What is wrong with it, the writer says.
        ///
        /// - Parameters:
        ///   - name: of 1 to ``GGUFWriter/nameLimit`` bytes.
        ///   - dimensions: one to four sizes, the length of a row first.
        ///   - type: how the elements are stored.
        public init(name: String, dimensions: [Int], type: GGMLType) {
            self.name = name
            self.dimensions = dimensions
            self.type = type
        }

        /// `tensor`, of a file, as it is, or in another `type`.
        public init(_ tensor: TensorInfo, type: GGMLType? = nil) {
            self.init(name: tensor.name, dimensions: tensor.dimensions, type: type ?? tensor.type)
        }
    }

    /// The largest alignment that is written, a mebibyte: every tensor is filled up to it with zeros.
    static let alignmentLimit = 1 << 20

    /// The longest tensor name in bytes: ggml holds names in 64 bytes with a NUL at the end.
    public static let nameLimit = 63

    /// The tensors at the places that they will have.
    public let tensors: [TensorInfo]
    /// Bytes of the finished file.
    public let fileSize: Int

    private var output: OutputFile
    private let alignment: Int
    /// The tensor being written, and how much of it is.
    private var current = 0
    private var written = 0
    /// The tensors behind it that are written already, by their indices.
    private var placed: Set<Int> = []

    /// Checks the declarations, creates the output under a temporary name in the folder of `path`, and writes the
    /// header.
    ///
    /// - Parameters:
    ///   - path: where the file will be. A file that is there is replaced in `finish()`.
    ///   - version: 3, the default, or 2 for old readers.
    ///   - metadata: the key–value pairs; `general.alignment` among them sets the alignment of the tensors, 32 bytes
    ///     where it is absent.
    ///   - tensors: the tensors, in the order in which they will be written.
    ///   - inputs: paths of files that must not be overwritten, because the tensors are read from them.
    /// - Throws: ``GGUFError/invalidName(_:_:)``, ``GGUFError/duplicateTensor(_:)``,
    ///   ``GGUFError/invalidTensor(_:_:expected:found:)`` or ``GGUFError/invalidAlignment(found:limit:)`` for names,
    ///   types or sizes that a file cannot have, ``GGUFError/outputIsInput(_:)`` for a path that is one of `inputs`,
    ///   ``GGUFError/outputIsNoFile(_:found:)`` or ``GGUFError/system(operation:path:code:)`` where the file cannot be
    ///   made.
    /// - Precondition: `version` is 2 or 3.
    public init(
        path: String, version: UInt32 = 3, metadata: GGUFMetadata, tensors: [Declaration], inputs: [String] = []
    ) throws(GGUFError) {
        precondition(GGUFHeader.versions.contains(version), "GGUF version must be 2 or 3")
        let alignment = try GGUFHeader.alignment(of: metadata)
        guard alignment <= Self.alignmentLimit else {
            throw .invalidAlignment(found: "\(alignment)", limit: Self.alignmentLimit)
        }
        var encoder = try Self.encoder(version: version, metadata: metadata, tensorCount: tensors.count)

        var names: Set<String> = []
        var placed: [TensorInfo] = []
        var end = 0
        for tensor in tensors {
            guard !tensor.name.isEmpty, tensor.name.utf8.count <= Self.nameLimit else {
                throw .invalidName(tensor.name, "a tensor name has 1 to \(Self.nameLimit) bytes")
            }
            guard names.insert(tensor.name).inserted else { throw .duplicateTensor(tensor.name) }
            let byteCount = try TensorShape.byteCount(
                name: tensor.name, dimensions: tensor.dimensions, type: tensor.type)
            encoder.append(tensor.name)
            encoder.append(UInt32(tensor.dimensions.count))
            for size in tensor.dimensions { encoder.append(UInt64(size)) }
            encoder.append(tensor.type.rawValue)
            encoder.append(UInt64(end))
            placed.append(
                TensorInfo(
                    name: tensor.name, dimensions: tensor.dimensions, type: tensor.type, offset: end,
                    byteCount: byteCount, shardIndex: 0))
            let (sum, overflow) = end.addingReportingOverflow(byteCount)
            // Half the range, so that no header is long enough to overflow the rest.
            guard !overflow, let next = sum.roundedUp(toMultipleOf: alignment), next <= Int.max / 2 else {
                throw .invalidTensor(tensor.name, "too many bytes", expected: "a file below 2^62 bytes", found: "more")
            }
            end = next
        }
        encoder.pad(toMultipleOf: alignment)
        let dataOffset = encoder.bytes.count

        var output = try OutputFile(path: path, inputs: inputs)
        try output.write(encoder.bytes.rawBytes)
        self.tensors = placed.map { $0.moved(by: dataOffset) }
        fileSize = dataOffset + end
        self.alignment = alignment
        self.output = output
    }

    /// The header up to the list of tensors.
    private static func encoder(
        version: UInt32, metadata: GGUFMetadata, tensorCount: Int
    ) throws(GGUFError) -> GGUFEncoder {
        var encoder = GGUFEncoder()
        encoder.append(GGUFHeader.magic)
        encoder.append(version)
        encoder.append(UInt64(tensorCount))
        encoder.append(UInt64(metadata.count))
        for (key, value) in metadata { try encoder.append(key: key, value) }
        return encoder
    }

    /// Bytes of a header in front of the list of tensors.
    static func headerBytes(_ metadata: GGUFMetadata) throws(GGUFError) -> Int {
        try encoder(version: 3, metadata: metadata, tensorCount: 0).bytes.count
    }

    /// Bytes that the list of tensors has for one of them: name, number of dimensions, each of them, type, offset.
    static func entryBytes(of tensor: TensorInfo) -> Int {
        8 + tensor.name.utf8.count + 4 + 8 * tensor.dimensions.count + 4 + 8
    }

    /// Writes the next `bytes` of the tensor whose name is `tensor`: all of it, or a part.
    ///
    /// - Throws: ``GGUFError/tensorOutOfOrder(_:expected:)`` where another tensor is due,
    ///   ``GGUFError/tensorSize(_:expected:found:)`` where these are more bytes than declared,
    ///   ``GGUFError/system(operation:path:code:)`` where writing fails (disk full).
    public mutating func write(_ bytes: RawSpan, of tensor: String) throws(GGUFError) {
        guard current < tensors.count else { throw .tensorOutOfOrder(tensor, expected: nil) }
        let due = tensors[current]
        guard due.name == tensor else { throw .tensorOutOfOrder(tensor, expected: due.name) }
        guard bytes.byteCount <= due.byteCount - written else {
            throw .tensorSize(tensor, expected: due.byteCount, found: written + bytes.byteCount)
        }
        try output.write(bytes)
        written += bytes.byteCount
        guard written == due.byteCount else { return }
        try output.write(padding(behind: due).rawBytes)
        current += 1
        written = 0
        try passPlaced()
    }

    /// Writes `bytes`, all of `tensor`, before its turn; `write(_:of:)` goes on with the one behind it then.
    ///
    /// - Throws: `GGUFError.tensorOutOfOrder` where its turn has come and some of it is written, or all, or where no
    ///   such tensor was declared, `.tensorSize` where these are not as many bytes as declared, `.system` where writing
    ///   fails.
    public mutating func place(_ bytes: RawSpan, of tensor: String) throws(GGUFError) {
        guard let index = tensors.firstIndex(where: { $0.name == tensor }), !placed.contains(index),
            index > current || index == current && written == 0
        else {
            throw .tensorOutOfOrder(tensor, expected: current < tensors.count ? tensors[current].name : nil)
        }
        let due = tensors[index]
        guard bytes.byteCount == due.byteCount else {
            throw .tensorSize(tensor, expected: due.byteCount, found: bytes.byteCount)
        }
        try output.write(bytes, at: due.offset)
        try output.write(padding(behind: due).rawBytes, at: due.offset + due.byteCount)
        placed.insert(index)
        try passPlaced()
    }

    /// The zeros between a tensor and the next one.
    private func padding(behind tensor: TensorInfo) -> [UInt8] {
        [UInt8](repeating: 0, count: -tensor.byteCount & (alignment - 1))
    }

    /// Goes on with the next tensor that is not written already.
    private mutating func passPlaced() throws(GGUFError) {
        guard placed.contains(current) else { return }
        while placed.remove(current) != nil { current += 1 }
        if current < tensors.count { try output.goOn(at: tensors[current].offset) }
    }

    /// Writes the next `bytes` of the tensor whose name is `tensor` from an array's span.
    ///
    /// - Throws: as for raw spans.
    public mutating func write(_ bytes: Span<UInt8>, of tensor: String) throws(GGUFError) {
        try write(bytes.rawBytes, of: tensor)
    }

    /// Flushes the file to the disk and gives it its name, replacing what is there.
    ///
    /// - Throws: ``GGUFError/tensorSize(_:expected:found:)`` where a tensor is incomplete,
    ///   ``GGUFError/system(operation:path:code:)`` where writing fails. Nothing is left behind then.
    public consuming func finish() throws(GGUFError) {
        try requireComplete()
        try output.commit()
    }

    /// The first half of `finish()`: flushes the file to the disk and closes it. `publish()` is the other half, for
    /// files that are to appear together.
    mutating func seal() throws(GGUFError) {
        try requireComplete()
        try output.seal()
    }

    /// Gives the sealed file its name.
    mutating func publish() throws(GGUFError) { try output.publish() }

    /// Removes the published file: one of several, of which another could not be published.
    func withdraw() { output.withdraw() }

    private func requireComplete() throws(GGUFError) {
        guard current < tensors.count else { return }
        throw .tensorSize(tensors[current].name, expected: tensors[current].byteCount, found: written)
    }

    /// Removes what was written. Dropping the writer does the same; this says so.
    public consuming func abandon() {}
}

extension TensorInfo {
    /// The same tensor, `distance` bytes further on.
    fileprivate func moved(by distance: Int) -> TensorInfo {
        TensorInfo(
            name: name, dimensions: dimensions, type: type, offset: offset + distance, byteCount: byteCount,
            shardIndex: shardIndex)
    }
}
