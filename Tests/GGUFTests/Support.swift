import Foundation
import GGUF

/// The test data beside the repository, which is not part of it.
enum SharedData {
    /// The folder, or nil where it is absent.
    static let folder: URL? = {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        let folder = root.appendingPathComponent("shared/data", isDirectory: true)
        return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
    }()

    /// Whether the data is there.
    static let isPresent = folder != nil

    /// The path of one file of it.
    static func path(_ name: String) -> String { folder?.appendingPathComponent(name).path ?? name }
}

/// A new folder, to be removed in a `defer`.
struct TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("gguf-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    /// Removes the folder and everything in it.
    func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder.
    func file(_ name: String) -> String { path + "/" + name }

    /// Writes `bytes` to a file in the folder.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    /// The names of everything in the folder.
    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// The bytes of a file.
func contents(of path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

/// The header of a file given as bytes.
func parse(_ bytes: [UInt8]) throws(GGUFError) -> GGUFHeader { try GGUFHeader(bytes.rawBytes, path: "x.gguf") }

/// The error that parsing throws, or nil.
func parseError(_ bytes: [UInt8]) -> GGUFError? {
    do throws(GGUFError) {
        _ = try parse(bytes)
        return nil
    } catch {
        return error
    }
}

/// The error that opening a file throws, or nil.
func openError(_ path: String) -> GGUFError? {
    do throws(GGUFError) {
        _ = try GGUFFile(path: path)
        return nil
    } catch {
        return error
    }
}

/// Little-endian bytes of an integer.
func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// A GGUF string.
func bytes(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + text.utf8 }

/// A file put together by hand, so that each part of it can be wrong. Independent of the writer.
struct RawFile {
    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var pairCount: UInt64?
    /// Key, then type and value as bytes.
    var pairs: [(key: String, value: [UInt8])] = []
    var tensors: [RawTensor] = []
    var alignment = 32
    var dataBytes = 256

    struct RawTensor {
        var name = "a"
        var dimensionCount: UInt32?
        var dimensions: [UInt64] = [8]
        var type: UInt32 = 0
        var offset: UInt64 = 0
    }

    var bytes: [UInt8] {
        var result = magic + GGUFTests.bytes(version)
        result += GGUFTests.bytes(tensorCount ?? UInt64(tensors.count))
        result += GGUFTests.bytes(pairCount ?? UInt64(pairs.count))
        for pair in pairs { result += GGUFTests.bytes(pair.key) + pair.value }
        for tensor in tensors {
            result += GGUFTests.bytes(tensor.name)
            result += GGUFTests.bytes(tensor.dimensionCount ?? UInt32(tensor.dimensions.count))
            for size in tensor.dimensions { result += GGUFTests.bytes(size) }
            result += GGUFTests.bytes(tensor.type) + GGUFTests.bytes(tensor.offset)
        }
        while result.count % alignment != 0 { result.append(0) }
        return result + [UInt8](repeating: 0x5A, count: dataBytes)
    }

    /// A file with one pair.
    static func pair(_ key: String, type: UInt32, _ value: [UInt8]) -> [UInt8] {
        RawFile(pairs: [(key, GGUFTests.bytes(type) + value)], dataBytes: 0).bytes
    }

    /// A file with these tensors.
    static func tensors(_ tensors: RawTensor...) -> [UInt8] { RawFile(tensors: tensors).bytes }
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A small file with every value type, nested arrays and three tensors.
enum Sample {
    static let metadata: GGUFMetadata = [
        "a.uint8": .uint8(.max), "a.int8": .int8(.min), "a.uint16": .uint16(.max), "a.int16": .int16(.min),
        "a.uint32": .uint32(.max), "a.int32": .int32(.min), "a.float32": .float32(-1.5e-30), "a.bool": .bool(true),
        "a.string": .string("Bonjour, ça va ? 🥐"), "a.uint64": .uint64(.max), "a.int64": .int64(.min),
        "a.float64": .float64(.pi), "a.empty": .string(""),
        "b.uint8": .array(.uint8([1, 2, 255])), "b.int8": .array(.int8([-1, 2])),
        "b.uint16": .array(.uint16([1, .max])), "b.int16": .array(.int16([-1, .min])),
        "b.uint32": .array(.uint32([1, .max])), "b.int32": .array(.int32([-1, .min])),
        "b.float32": .array(.float32([0.5, -.infinity])), "b.bool": .array(.bool([true, false])),
        "b.string": .array(.string(["", "▁le", "\u{0}"])), "b.uint64": .array(.uint64([1, .max])),
        "b.int64": .array(.int64([-1, .min])), "b.float64": .array(.float64([1e300])), "b.none": .array(.uint32([])),
        "c.nested": .array(.array([.int32([1, 2]), .string(["x"]), .array([.array([]), .bool([true])])])),
    ]

    static let declarations: [GGUFWriter.Declaration] = [
        .init(name: "embedding", dimensions: [64, 3], type: .q4_0),
        .init(name: "norm", dimensions: [5], type: .f32),
        .init(name: "cube", dimensions: [2, 2, 2, 2], type: .f16),
    ]

    /// Bytes for a tensor of this size: none zero, so that padding is told from them.
    static func data(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(1 + $0 % 255) } }

    /// Writes the sample, or parts of it, and closes it.
    static func write(
        to path: String, version: UInt32 = 3, metadata: GGUFMetadata = metadata,
        tensors: [GGUFWriter.Declaration] = declarations
    ) throws(GGUFError) {
        var writer = try GGUFWriter(path: path, version: version, metadata: metadata, tensors: tensors)
        for tensor in writer.tensors { try writer.write(data(tensor.byteCount).span, of: tensor.name) }
        try writer.finish()
    }

    /// The sample as bytes.
    static let bytes: [UInt8] = {
        do {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            try write(to: folder.file("sample.gguf"))
            return try contents(of: folder.file("sample.gguf"))
        } catch {
            return []
        }
    }()
}
