import Foundation
import GGUF
import SystemPackage

/// A matrix of float32 in NumPy's format (NEP 1, version 1.0), written row by row.
///
/// An incomplete file does not outlive the program.
struct NumPyFile: ~Copyable {
    private let file: FileDescriptor
    private let path: String

    /// Creates the file for `rows` rows of `columns` floats, in place of what is there.
    ///
    /// - Parameter inputs: files that must not be overwritten. To shorten a file whose mapping is in use would end the
    ///   process.
    static func create(path: String, rows: Int, columns: Int, inputs: [String]) throws -> NumPyFile {
        for input in inputs where SystemFile.areSame(path, input) { throw GGUFError.outputIsInput(path) }
        let descriptor = try explained(path) {
            try FileDescriptor.open(
                FilePath(path), .writeOnly, options: [.create, .truncate],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        }
        let file = NumPyFile(file: descriptor, path: path)
        // A device such as /dev/stdout must stay, whatever happens.
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        if attributes?[.type] as? FileAttributeType == .typeRegular { Temporary.add(path) }
        try file.write(header(rows: rows, columns: columns))
        return file
    }

    private init(file: FileDescriptor, path: String) {
        self.file = file
        self.path = path
    }

    deinit { try? file.close() }

    /// Appends rows.
    func append(_ values: Span<Float>) throws {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * 4)
        for index in values.indices {
            let bits = values[index].bitPattern
            for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
        }
        try write(bytes)
    }

    /// Says that all rows are there.
    consuming func finish() { Temporary.keep(path) }

    private func write(_ bytes: [UInt8]) throws {
        _ = try Self.explained(path) { try file.writeAll(bytes) }
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
