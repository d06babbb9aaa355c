import GGUF
import SystemPackage

/// A matrix of float32 in NumPy's format (NEP 1, version 1.0), written row by row.
///
/// A file appears, or replaces another, when it is complete. Pipes and devices are written to as they are.
struct NumPyFile: ~Copyable {
    private var output: OutputFile?
    private let device: FileDescriptor?
    private let path: String

    /// Begins a matrix of `rows` rows of `columns` floats.
    ///
    /// - Parameter inputs: files that must not be overwritten.
    static func create(path: String, rows: Int, columns: Int, inputs: [String]) throws -> NumPyFile {
        let kind = SystemFile.kind(of: path) ?? SystemFile.regular
        let isFile = [SystemFile.regular, SystemFile.folder].contains(kind) && !SystemFile.isSpecial(path)
        var file =
            try isFile
            ? NumPyFile(path, output: OutputFile(path: path, inputs: inputs), device: nil)
            : NumPyFile(path, output: nil, device: explained(path) { try .open(FilePath(path), .writeOnly) })
        try file.write(header(rows: rows, columns: columns))
        return file
    }

    private init(_ path: String, output: consuming OutputFile?, device: FileDescriptor?) {
        self.path = path
        self.output = output
        self.device = device
    }

    deinit { try? device?.close() }

    /// Appends rows.
    mutating func append(_ values: Span<Float>) throws {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * 4)
        for index in values.indices {
            let bits = values[index].bitPattern
            for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        }
        try write(bytes)
    }

    /// Says that all rows are there.
    mutating func finish() throws { try output?.commit() }

    private mutating func write(_ bytes: [UInt8]) throws {
        if let device {
            _ = try Self.explained(path) { try device.writeAll(bytes) }
        } else {
            try output?.write(bytes.rawBytes)
        }
    }

    private static func explained<Result>(_ path: String, _ work: () throws -> Result) throws -> Result {
        do { return try work() } catch { throw Failure("cannot write file: \(path) (\(error))") }
    }

    private static func header(rows: Int, columns: Int) -> [UInt8] {
        var dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
        let padding = 63 - (10 + dictionary.utf8.count) % 64
        dictionary += String(repeating: " ", count: padding) + "\n"
        let length = UInt16(dictionary.utf8.count)
        let head: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
        return head + Array(dictionary.utf8)
    }
}
