/// Everything in front of the tensor data of one file, read and checked.
package struct GGUFHeader: Sendable {
    /// 2 or 3; the two differ in nothing that is read here.
    package let version: UInt32
    /// The key–value pairs.
    package let metadata: GGUFMetadata
    /// See ``GGUFFile/repairedKeys``.
    package let repairedKeys: [String]
    /// The tensors in the order of the file; all lie inside it, and no two overlap.
    package let tensors: [TensorInfo]
    /// `general.alignment`, or `defaultAlignment`.
    package let alignment: Int
    /// Where the tensor data begins. Past the end of a file without tensors.
    package let dataOffset: Int

    /// "GGUF".
    package static let magic = Array("GGUF".utf8)
    /// The metadata key with the alignment of tensors (uint32).
    package static let alignmentKey = "general.alignment"
    /// The alignment of files that do not give one.
    package static let defaultAlignment = 32
    /// The versions read and written.
    package static let versions: ClosedRange<UInt32> = 2...3

    /// Length of a name and one byte, number of dimensions, one dimension, type, offset.
    private static let minimumTensorBytes = 8 + 1 + 4 + 8 + 4 + 8
    /// Length of a key and one byte, type, one byte.
    private static let minimumPairBytes = 8 + 1 + 4 + 1

    /// Reads the header of a whole file; `path` is for messages.
    package init(_ bytes: RawSpan, path: String, shardIndex: Int = 0) throws(GGUFError) {
        var cursor = GGUFCursor(bytes, path: path)
        version = try Self.readVersion(&cursor, path: path)
        let tensorCount = try cursor.count(of: "tensors", minimumBytes: Self.minimumTensorBytes)
        let pairCount = try cursor.count(of: "metadata keys", minimumBytes: Self.minimumPairBytes)

        var metadata = GGUFMetadata()
        var repairedKeys: [String] = []
        for _ in 0..<pairCount {
            let start = cursor.position
            let key = try cursor.name("metadata key")
            guard metadata[key] == nil else { throw .duplicateKey(key, cursor.location(start)) }
            cursor.item = "key \(key.quoted)"
            let repairs = cursor.repairs
            metadata[key] = try cursor.value()
            if cursor.repairs > repairs { repairedKeys.append(key) }
            cursor.item = nil
        }
        self.metadata = metadata
        self.repairedKeys = repairedKeys
        alignment = try Self.alignment(of: metadata)

        var entries: [TensorEntry] = []
        var names: Set<String> = []
        for _ in 0..<tensorCount {
            let entry = try TensorEntry(&cursor)
            guard names.insert(entry.name).inserted else { throw .duplicateTensor(entry.name) }
            entries.append(entry)
        }
        guard let dataOffset = cursor.position.roundedUp(toMultipleOf: alignment) else {
            throw .invalidAlignment(found: "\(alignment)")
        }
        self.dataOffset = dataOffset

        var tensors: [TensorInfo] = []
        tensors.reserveCapacity(entries.count)
        for entry in entries {
            tensors.append(
                try entry.placed(
                    dataOffset: dataOffset, alignment: alignment, fileSize: bytes.byteCount, shardIndex: shardIndex))
        }
        try Self.rejectOverlaps(tensors)
        self.tensors = tensors
    }

    /// The alignment that `metadata` gives, or the default.
    ///
    /// - Throws: `GGUFError.invalidAlignment` unless it is a power of two from 8 to 2^31.
    package static func alignment(of metadata: GGUFMetadata) throws(GGUFError) -> Int {
        guard let value = metadata[alignmentKey] else { return defaultAlignment }
        guard let alignment = value.asInt else { throw .invalidAlignment(found: value.typeDescription) }
        guard alignment >= 8, alignment <= 1 << 31, alignment & (alignment - 1) == 0 else {
            throw .invalidAlignment(found: "\(alignment)")
        }
        return alignment
    }

    private static func readVersion(_ cursor: inout GGUFCursor, path: String) throws(GGUFError) -> UInt32 {
        var found: [UInt8] = []
        for _ in 0..<min(magic.count, cursor.remaining) { found.append(try cursor.integer("the magic")) }
        guard found == magic else { throw .notGGUF(path, found: found) }
        let version: UInt32 = try cursor.integer("the version")
        if versions.contains(version) { return version }
        // Big-endian files begin with the same four bytes, and a version with its bytes in the other order.
        if version != 0, version.byteSwapped <= 0xFFFF { throw .bigEndian(path) }
        throw .unsupportedVersion(path, found: version)
    }

    private static func rejectOverlaps(_ tensors: [TensorInfo]) throws(GGUFError) {
        let sorted = tensors.sorted { $0.offset < $1.offset }
        for (first, second) in zip(sorted, sorted.dropFirst()) where second.offset - first.offset < first.byteCount {
            throw .overlappingTensors(
                second.name, with: first.name, offset: second.offset, end: first.offset + first.byteCount)
        }
    }
}

/// A tensor as the header lists it, before it is known where the tensor data begins.
private struct TensorEntry {
    let name: String
    let dimensions: [Int]
    let type: GGMLType
    let byteCount: Int
    /// Relative to the start of the tensor data.
    let offset: UInt64

    init(_ cursor: inout GGUFCursor) throws(GGUFError) {
        let name = try cursor.name("tensor name")
        cursor.item = "tensor \(name.quoted)"
        let dimensionCount: UInt32 = try cursor.integer("a number of dimensions")
        guard dimensionCount >= 1, dimensionCount <= TensorShape.dimensionLimit else {
            throw .invalidTensor(
                name, "wrong number of dimensions", expected: "1 to \(TensorShape.dimensionLimit)",
                found: "\(dimensionCount)")
        }
        var dimensions: [Int] = []
        for _ in 0..<dimensionCount {
            let size: UInt64 = try cursor.integer("a dimension")
            guard let size = Int(exactly: size) else {
                throw .invalidTensor(name, "too many elements", expected: "fewer than 2^63", found: "\(size)")
            }
            dimensions.append(size)
        }
        let id: UInt32 = try cursor.integer("a tensor type")
        guard let type = GGMLType(rawValue: id) else {
            if let removed = GGMLType.removedName(id: id) {
                throw .removedTensorType(tensor: name, id: id, name: removed)
            }
            throw .unknownTensorType(tensor: name, id: id)
        }
        byteCount = try TensorShape.byteCount(name: name, dimensions: dimensions, type: type)
        offset = try cursor.integer("a tensor offset")
        cursor.item = nil
        self.name = name
        self.dimensions = dimensions
        self.type = type
    }

    /// The tensor at its place in the file.
    func placed(
        dataOffset: Int, alignment: Int, fileSize: Int, shardIndex: Int
    ) throws(GGUFError) -> TensorInfo {
        guard offset % UInt64(alignment) == 0 else {
            throw .misalignedTensor(name, offset: offset, alignment: alignment)
        }
        let available = fileSize - dataOffset
        guard available >= 0, offset <= UInt64(available), byteCount <= available - Int(offset) else {
            throw .tensorOutOfBounds(
                name, offset: offset, byteCount: byteCount, dataOffset: dataOffset, fileSize: fileSize)
        }
        return TensorInfo(
            name: name, dimensions: dimensions, type: type, offset: dataOffset + Int(offset), byteCount: byteCount,
            shardIndex: shardIndex)
    }
}

extension Int {
    /// The next multiple of `alignment`, a power of two; nil on overflow.
    func roundedUp(toMultipleOf alignment: Int) -> Int? {
        let (sum, overflow) = addingReportingOverflow(alignment - 1)
        return overflow ? nil : sum & ~(alignment - 1)
    }
}
