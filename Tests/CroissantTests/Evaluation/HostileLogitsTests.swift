import Croissant
import Foundation
import GGUF
import Testing

@Suite("Files of logits that are damaged are refused in one line")
struct HostileLogitsTests {
    private static let chunks = Result {
        try TokenChunks((0..<24).map { Int32($0) }, length: 8, beginning: nil)
    }

    /// A file of three chunks of eight tokens, three rows each.
    private static func bytes(vocabulary: Int = 24) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var writer = try LogitsFileWriter(
            path: folder.file("x"), chunks: chunks.get(), vocabularySize: vocabulary)
        for row in 0..<9 {
            let logits = (0..<vocabulary).map { Float(($0 * 7 + row) % 11) / 2 }
            try writer.append(logits.span, LogSoftmax(logits.span, kernels: Kernels(.scalar)))
        }
        try writer.finish()
        return [UInt8](try Data(contentsOf: URL(filePath: folder.file("x"))))
    }

    private static func error(_ bytes: [UInt8]) throws -> EvaluationError? {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data(bytes).write(to: URL(filePath: folder.file("x")))
        let result = Result { () throws(EvaluationError) in try LogitsFile(path: folder.file("x")) }
        guard case .failure(let error) = result else { return nil }
        #expect(!"\(error)".contains("\n"))
        return error
    }

    @Test("the file of the test is one, with even and odd vocabularies")
    func valid() throws {
        #expect(try Self.error(Self.bytes()) == nil)
        let odd = try Self.bytes(vocabulary: 25)
        #expect(odd.count == 20 + 4 * 24 + 9 * (8 + 2 * 26))
        #expect(try Self.error(odd) == nil)
    }

    @Test("cut off anywhere, or with a byte too many")
    func cut() throws {
        let bytes = try Self.bytes()
        for length in 0..<bytes.count {
            let error = try #require(try Self.error(Array(bytes.prefix(length))))
            switch error {
            case .file(.emptyFile): #expect(length == 0)
            case .invalidLogitsFile(_, "not a file of logits", _, _): #expect(length < 8)
            case .logitsFileSize(_, let expected, length): #expect(expected == (length < 20 ? 20 : bytes.count))
            default: Issue.record("\(length) bytes: \(error)")
            }
        }
        guard case .logitsFileSize = try Self.error(bytes + [0]) else {
            Issue.record("a longer file was taken")
            return
        }
    }

    @Test("with another magic")
    func magic() throws {
        for index in 0..<8 {
            var bytes = try Self.bytes()
            bytes[index] ^= 0x20
            guard case .invalidLogitsFile(_, "not a file of logits", _, _) = try Self.error(bytes) else {
                Issue.record("byte \(index)")
                continue
            }
        }
    }

    @Test(
        "with counts that make no sense, or that no file can hold",
        arguments: [0, 1, 2, 3, 7, 9, 1 << 16, 1 << 20, 1 << 30, .max, -1, -8, .min] as [Int32])
    func counts(value: Int32) throws {
        for field in 0..<3 {
            var bytes = try Self.bytes()
            bytes.set(value, at: 8 + 4 * field)
            #expect(try Self.error(bytes) != nil || (field == 2 && value == 3), "field \(field)")
        }
        for value in [Int32.max, -1, 1 << 30] {
            var bytes = try Self.bytes()
            for field in 0..<3 { bytes.set(value, at: 8 + 4 * field) }
            #expect(try Self.error(bytes) != nil)
        }
    }

    @Test("with tokens outside the vocabulary", arguments: [24, 25, -1, .min, .max] as [Int32])
    func tokens(value: Int32) throws {
        for index in [0, 5, 23] {
            var bytes = try Self.bytes()
            bytes.set(value, at: 20 + 4 * index)
            guard case .invalidLogitsFile(_, "unknown token at \(index)", _, "\(value)") = try Self.error(bytes) else {
                Issue.record("token \(index)")
                continue
            }
        }
    }

    @Test(
        "with rows that are no probabilities",
        arguments: [
            (Float.nan, Float(-10)), (.infinity, -10), (-1e-4, -10), (1, -10), (1e30, -10), (1e-4, .nan),
            (1e-4, .infinity), (1e-4, -.infinity), (1e-4, -1), (0, 1), (0, 1e30), (3e38, -3e38),
        ])
    func rows(scale: Float, minimum: Float) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let model = try ModelFile(shape: .tiny).load(RuntimeOptions.small.evaluating(chunksOf: 8))
        let size = 512
        let rowBytes = 8 + 2 * size
        let writer = try LogitsFileWriter(
            path: folder.file("x"), chunks: Self.chunks.get(), vocabularySize: size)
        _ = try Perplexity(model, Self.chunks.get(), savingTo: writer).run()
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: folder.file("x"))))
        // The second row of the second chunk.
        let start = 20 + 4 * 24 + 4 * rowBytes
        bytes.set(Int32(bitPattern: scale.bitPattern), at: start)
        bytes.set(Int32(bitPattern: minimum.bitPattern), at: start + 4)
        try Data(bytes).write(to: URL(filePath: folder.file("y")))
        let base = try LogitsFile(path: folder.file("y"))
        var comparison = try KLDivergence(model, base: base)
        #expect(try comparison.next() != nil)
        #expect(throws: EvaluationError.invalidLogits(folder.file("y"), chunk: 1, position: 5)) {
            _ = try comparison.next()
        }
    }

    @Test("of a model with another vocabulary")
    func vocabulary() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try Data(Self.bytes()).write(to: URL(filePath: folder.file("x")))
        let base = try LogitsFile(path: folder.file("x"))
        let model = try ModelFile(shape: .tiny).load(RuntimeOptions.small.evaluating(chunksOf: 8))
        #expect(throws: EvaluationError.otherVocabulary(folder.file("x"), expected: 512, found: 24)) {
            _ = try KLDivergence(model, base: base)
        }
    }

    @Test("that are no regular files, or not there")
    func files() throws {
        for (path, start) in [
            ("/no/such/file", "no such file: "), ("/dev/null", "not a regular file: "),
            ("/dev", "not a file: "), ("", "no such file: "),
        ] {
            let error = try #require(throws: EvaluationError.self) { _ = try LogitsFile(path: path) }
            #expect("\(error)".hasPrefix(start))
            #expect(!"\(error)".contains("GGUF"))
        }
    }
}

extension [UInt8] {
    /// Writes a little-endian number.
    fileprivate mutating func set(_ value: Int32, at offset: Int) {
        for byte in 0..<4 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * Int32(byte))) }
    }
}
