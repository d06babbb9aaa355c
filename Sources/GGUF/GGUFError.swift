/// A place in a file.
public struct GGUFLocation: Sendable, Equatable, CustomStringConvertible {
    /// The file.
    public let path: String
    /// Bytes from its start.
    public let offset: Int
    /// What the bytes belong to, such as `key "general.name"`; nil where they are no part of a named thing.
    public let item: String?

    /// Byte `offset`, counted from 0, of the file at `path`, in `item` where that has a name.
    public init(path: String, offset: Int, item: String? = nil) {
        self.path = path
        self.offset = offset
        self.item = item
    }

    /// `model.gguf, key "general.name", byte 24`.
    public var description: String { "\(path.escaped), \(item.map { $0 + ", " } ?? "")byte \(offset)" }
}

/// What is wrong with a file, or with reading or writing it.
///
/// `description` is one line for a terminal, `what is wrong: where (what was expected, what was found)`, in which text
/// from a file is escaped; `hint` is a remedy, where there is one.
public enum GGUFError: Error, Sendable, Equatable {
    // The file as such.

    /// There is no file at this path.
    case fileNotFound(String)
    /// The file exists and may not be read.
    case permissionDenied(String)
    /// The path is a folder.
    case isDirectory(String)
    /// The path is a pipe, a device or a socket, as `found` says.
    case notARegularFile(String, found: String)
    /// The file has no bytes.
    case emptyFile(String)
    /// A system call failed: `operation` is a verb such as "write", `code` is its `errno`.
    case system(operation: String, path: String, code: Int32)

    // The start of the file.

    /// The file does not begin with the bytes of "GGUF" but with those of `found`.
    case notGGUF(String, found: [UInt8])
    /// The file was written for big-endian machines.
    case bigEndian(String)
    /// A version that this reader does not know: it reads 2 and 3.
    case unsupportedVersion(String, found: UInt32)

    // The header.

    /// The file ends before `what` does: `needed` bytes from `location` on, where `available` are left.
    case truncated(what: String, GGUFLocation, needed: UInt64, available: Int)
    /// A count, `found`, that the rest of the file, `available` bytes, cannot hold, whatever it contains.
    case impossibleCount(what: String, GGUFLocation, found: UInt64, available: Int)
    /// A field with a value that the format does not allow.
    case invalidField(String, GGUFLocation, expected: String, found: String)
    /// The same key a second time.
    case duplicateKey(String, GGUFLocation)
    /// `general.alignment` is no power of two from 8 to 2^31.
    case invalidAlignment(found: String, limit: Int = 1 << 31)

    // Metadata look-ups.

    /// A key that must be there is not.
    case missingKey(String, expected: String)
    /// A value of another type than its reader needs.
    case wrongValueType(key: String, expected: String, found: String)

    // Tensors.

    /// A tensor that no file may have, for the reason given second.
    case invalidTensor(String, String, expected: String, found: String)
    /// A tensor type that is not known; `id` is its `ggml_type`.
    case unknownTensorType(tensor: String, id: UInt32)
    /// A tensor type that ggml has withdrawn; `id` is its `ggml_type`.
    case removedTensorType(tensor: String, id: UInt32, name: String)
    /// Two tensors of the same name.
    case duplicateTensor(String)
    /// A tensor whose offset, relative to the tensor data, is not a multiple of the alignment, both in bytes.
    case misalignedTensor(String, offset: UInt64, alignment: Int)
    /// A tensor that ends after the file does. All are bytes; `offset` is relative to the tensor data, which begins at
    /// `dataOffset`.
    case tensorOutOfBounds(String, offset: UInt64, byteCount: Int, dataOffset: Int, fileSize: Int)
    /// A tensor that begins, at byte `offset` of the file, before the one in front of it ends.
    case overlappingTensors(String, with: String, offset: Int, end: Int)

    // Shards.

    /// A later shard was opened on its own. `index` counts from 0.
    case notFirstShard(String, index: Int, count: Int, first: String?)
    /// The file says that it is one of `count` shards, and its name does not.
    case shardName(String, count: Int)
    /// A sibling of the first shard is not there. `index` counts from 0.
    case missingShard(String, index: Int, count: Int)
    /// A shard does not say what the first one says about the split.
    case shardMismatch(String, key: String, expected: String, found: String)
    /// Something is wrong with a later shard, whose path the error itself does not say.
    indirect case inShard(String, GGUFError)
    /// The file is not one of several.
    case notSplit(String)
    /// What a shard may have, `limit` bytes, is less than the `needed` ones that `what` takes with the header in front
    /// of it.
    case shardTooSmall(what: String, needed: Int, limit: Int)
    /// More shards than can be numbered: ``GGUFShards/limit``.
    case tooManyShards(found: Int)

    // Writing.

    /// The output is the same file as an input.
    case outputIsInput(String)
    /// The path of the output leads to what is no file, as `found` says.
    case outputIsNoFile(String, found: String)
    /// A key or name that must not be written, for the reason given second.
    case invalidName(String, String)
    /// Bytes of a tensor out of the declared order; `expected` is nil where all tensors are complete.
    case tensorOutOfOrder(String, expected: String?)
    /// More or fewer bytes, `found`, than declared, `expected`.
    case tensorSize(String, expected: Int, found: Int)
}

extension GGUFError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found.
    public var description: String {
        switch self {
        case .fileNotFound(let path): "no such file: \(path.isEmpty ? path.quoted : path.escaped)"
        case .permissionDenied(let path): "file cannot be read: \(path.escaped) (permission denied)"
        case .isDirectory(let path): "not a file: \(path.escaped) (expected a GGUF file, found a folder)"
        case .notARegularFile(let path, let found):
            "not a regular file: \(path.escaped) (expected a GGUF file, found \(found))"
        case .emptyFile(let path): "file is empty: \(path.escaped) (expected a GGUF file, found 0 bytes)"
        case .system(let operation, let path, let code):
            "cannot \(operation) file: \(path.escaped) (\(systemErrorText(code)))"
        case .notGGUF(let path, let found):
            "not a GGUF file: \(path.escaped) (expected magic GGUF, found \(Self.magic(found)))"
        case .bigEndian(let path):
            "big-endian GGUF file: \(path.escaped) (expected little-endian, found a version with its bytes reversed)"
        case .unsupportedVersion(let path, let found):
            "unsupported GGUF version: \(path.escaped) (expected 2 or 3, found \(found))"
        case .truncated(let what, let location, let needed, let available):
            "file ends inside \(what): \(location) (expected \(needed) bytes, found \(available))"
        case .impossibleCount(let what, let location, let found, let available):
            "impossible number of \(what): \(location) (expected what \(available) bytes can hold, found \(found))"
        case .invalidField(let what, let location, let expected, let found):
            "\(what): \(location) (expected \(expected), found \(found))"
        case .duplicateKey(let key, let location): "metadata key appears twice: \(key.quoted), \(location)"
        case .invalidAlignment(let found, let limit):
            "invalid alignment: general.alignment "
                + "(expected a power of two from 8 to 2^\(limit.trailingZeroBitCount), found \(found))"
        case .missingKey(let key, let expected):
            "metadata key is missing: \(key.escaped) (expected \(expected), found nothing)"
        case .wrongValueType(let key, let expected, let found):
            "metadata value of the wrong type: \(key.escaped) (expected \(expected), found \(found))"
        case .invalidTensor(let name, let problem, let expected, let found):
            "\(problem): tensor \(name.quoted) (expected \(expected), found \(found))"
        case .unknownTensorType(let tensor, let id):
            "unknown tensor type: tensor \(tensor.quoted) (expected a ggml type id up to \(Self.lastTypeID), found \(id))"
        case .removedTensorType(let tensor, let id, let name):
            "withdrawn tensor type: tensor \(tensor.quoted) (expected a current ggml type, found \(id), once \(name))"
        case .duplicateTensor(let name): "tensor appears twice: \(name.quoted)"
        case .misalignedTensor(let name, let offset, let alignment):
            "misaligned tensor: \(name.quoted) (expected a multiple of \(alignment), found offset \(offset))"
        case .tensorOutOfBounds(let name, let offset, let byteCount, let dataOffset, let fileSize):
            "tensor lies outside the file: \(name.quoted) (expected \(byteCount) bytes at \(dataOffset) + \(offset), "
                + "found a file of \(fileSize) bytes)"
        case .overlappingTensors(let name, let other, let offset, let end):
            "tensors overlap: \(name.quoted) and \(other.quoted) (expected an offset from \(end) on, found \(offset))"
        case .notFirstShard(let path, let index, let count, let first):
            "not the first shard: \(path.escaped) (expected \(first?.escaped ?? "the first shard"), "
                + "found shard \(index + 1) of \(count))"
        case .shardName(let path, let count):
            "name of a shard without its number: \(path.escaped) (expected a name that ends in "
                + "\(GGUFShards(prefix: "", count: min(max(count, 1), GGUFShards.limit)).path(at: 0)))"
        case .missingShard(let path, let index, let count):
            "shard is missing: \(path.escaped) (expected shard \(index + 1) of \(count), found no such file)"
        case .shardMismatch(let path, let key, let expected, let found):
            "shard does not belong to the first one: \(path.escaped), \(key) (expected \(expected), found \(found))"
        case .inShard(let path, let error): "\(error), in shard \(path.escaped)"
        case .notSplit(let path):
            "not a part of a split file: \(path.escaped) (expected \(GGUFShards.countKey) in its metadata, found nothing)"
        case .shardTooSmall(let what, let needed, let limit):
            "shards are too small: \(what) (expected at least \(needed) bytes, found \(limit))"
        case .tooManyShards(let found):
            "too many shards: their numbers (expected at most \(GGUFShards.limit), found \(found))"
        case .outputIsInput(let path): "output is the same file as the input: \(path.escaped)"
        case .outputIsNoFile(let path, let found):
            "output is not a file: \(path.isEmpty ? path.quoted : path.escaped) "
                + "(expected the path of a file to write, found \(found))"
        case .invalidName(let name, let problem): "invalid name: \(name.quoted) (\(problem))"
        case .tensorOutOfOrder(let name, let expected):
            "tensor written out of order: \(name.quoted) (expected \(expected?.quoted ?? "no more tensors"))"
        case .tensorSize(let name, let expected, let found):
            "tensor written with the wrong size: \(name.quoted) (expected \(expected) bytes, found \(found))"
        }
    }

    /// What the user can do about it; nil where there is nothing to say.
    public var hint: String? {
        switch self {
        case .notGGUF(_, let found): Self.hint(magic: found)
        case .emptyFile, .tensorOutOfBounds, .truncated, .impossibleCount:
            "the file may be incomplete: download it again"
        case .isDirectory: "name the .gguf file inside it"
        case .bigEndian: "convert it on a little-endian machine, or with gguf_convert_endian.py"
        case .unsupportedVersion(_, let found):
            found > 3 ? "the file is newer than this program" : "convert the model again with a current converter"
        case .removedTensorType: "download or quantise the model again, as Q4_0 or IQ4_NL"
        case .unknownTensorType: "the file may be newer than this program"
        case .notFirstShard(_, _, _, let first): first.map { "open \($0.escaped)" }
        case .shardName: "give the shards their original names"
        case .missingShard: "put all shards into the same folder"
        case .inShard(_, let error): error.hint
        case .outputIsInput: "choose another output"
        case .outputIsNoFile(_, SystemFile.folder): "name a file in it"
        case .system(_, _, let code): systemErrorHint(code)
        case .shardTooSmall, .tooManyShards: "make the shards larger"
        default: nil
        }
    }

    /// The same error with the shard that it is about, unless it says so itself.
    func inShard(_ path: String) -> GGUFError { "\(self)".contains(path.escaped) ? self : .inShard(path, self) }

    private static let lastTypeID = GGMLType.allCases.reduce(0) { max($0, $1.rawValue) }

    /// The first bytes of a file: as text where they are, in hexadecimal where not.
    private static func magic(_ bytes: [UInt8]) -> String {
        if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return String(decoding: bytes, as: UTF8.self).quoted }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }

    /// What other kinds of file people have in place of a GGUF file.
    private static func hint(magic: [UInt8]) -> String? {
        switch magic {
        case Array("vers".utf8): "if this is a Git LFS pointer, fetch the file itself: git lfs pull"
        case Array("lmgg".utf8), Array("fmgg".utf8), Array("tjgg".utf8), Array("algg".utf8):
            "this is a GGML file from before GGUF: convert the model again"
        case [0x50, 0x4B, 0x03, 0x04]: "this looks like a PyTorch checkpoint or a ZIP archive: convert it to GGUF first"
        case [0x1F, 0x8B, 0x08, 0x00], [0x1F, 0x8B, 0x08, 0x08]: "this is compressed: unpack it with gunzip"
        case Array("<!DO".utf8), Array("<htm".utf8): "this is a web page: the download did not give the model"
        default: nil
        }
    }
}
