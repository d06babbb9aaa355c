import Foundation
import GGUF
import Testing

@Suite("No bytes make the reader trap")
struct RobustnessTests {
    @Test("a file cut anywhere throws")
    func prefixes() throws {
        let bytes = Sample.bytes
        #expect(parseError(bytes) == nil)
        for length in bytes.indices {
            let error = try #require(parseError(Array(bytes[..<length])), "\(length) bytes")
            expectOneLine(error)
        }
    }

    @Test("a byte of the header may be anything", arguments: [0x00, 0x01, 0x20, 0x7F, 0x80, 0xFE, 0xFF] as [UInt8])
    func bytesOfHeader(pattern: UInt8) throws {
        let end = try parse(Sample.bytes).dataOffset
        for position in 0..<end {
            var bytes = Sample.bytes
            bytes[position] = pattern
            parseAndWalk(bytes)
            bytes[position] = Sample.bytes[position] ^ pattern
            parseAndWalk(bytes)
        }
    }

    @Test("random damage in many places is an error or a file that keeps its promises")
    func mutations() {
        let iterations = ProcessInfo.processInfo.environment["GGUF_FUZZ_ITERATIONS"].flatMap { Int($0) } ?? 4000
        var generator = SeededGenerator(state: 2024)
        var accepted = 0
        for _ in 0..<iterations {
            if parseAndWalk(mutated(Sample.bytes, using: &generator)) { accepted += 1 }
        }
        // Damage to data and values goes unnoticed, damage to lengths does not: both must have happened.
        #expect(accepted > 0 && accepted < iterations)
    }

    /// Bytes with one to four changes: a byte, a 32- or 64-bit field, a piece removed, doubled or moved.
    private func mutated(_ original: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
        let interesting: [UInt64] = [0, 1, 2, 8, 9, 12, 13, 31, 255, 1 << 16, 1 << 31, 1 << 32, 1 << 60, 1 << 63, .max]
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let position = Int.random(in: 0..<bytes.count - 8, using: &generator)
            let length = Int.random(in: 1...32, using: &generator)
            let piece = bytes[position..<min(position + length, bytes.count)]
            let value = interesting.randomElement(using: &generator) ?? 0
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &generator)
            case 1:
                bytes.replaceSubrange(position..<position + 4, with: GGUFTests.bytes(UInt32(truncatingIfNeeded: value)))
            case 2: bytes.replaceSubrange(position..<position + 8, with: GGUFTests.bytes(value))
            case 3: bytes.removeSubrange(piece.indices)
            case 4: bytes.insert(contentsOf: piece, at: position)
            default: bytes.replaceSubrange(position..<position + 1, with: piece.reversed())
            }
            if bytes.count < 16 { break }
        }
        return bytes
    }

    /// Parses, and where that succeeds reads everything that a reader may ask for.
    @discardableResult
    private func parseAndWalk(_ bytes: [UInt8]) -> Bool {
        let header: GGUFHeader
        do throws(GGUFError) {
            header = try parse(bytes)
        } catch {
            expectOneLine(error)
            return false
        }
        var end = header.dataOffset
        for tensor in header.tensors.sorted(by: { $0.offset < $1.offset }) {
            #expect(tensor.offset >= end)
            #expect((tensor.offset - header.dataOffset) % header.alignment == 0)
            #expect(tensor.byteCount == tensor.type.byteCount(elements: tensor.rows * tensor.columns))
            end = tensor.offset + tensor.byteCount
        }
        #expect(header.tensors.isEmpty || end <= bytes.count)
        for (_, value) in header.metadata {
            _ = (value.asInt, value.asFloat, value.asString, value.asStrings, value.asInts, value.asFloats)
            if let array = value.asArray, array.count > 0 { _ = array[array.count - 1] }
        }
        return true
    }

    private func expectOneLine(_ error: GGUFError) {
        let text = error.description + (error.hint ?? "")
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        #expect(text.count < 1000)
    }
}
