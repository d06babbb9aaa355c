import GGUF
import Testing

@Suite("Headers that break the format are refused, each with its own error")
struct HeaderTests {
    typealias Tensor = RawFile.RawTensor

    @Test("the file that the others are variations of is accepted")
    func accepted() throws {
        let header = try parse(RawFile.tensors(Tensor(), Tensor(name: "b", offset: 32)))
        #expect(header.tensors.map(\.name) == ["a", "b"])
        #expect(header.tensors[1].offset == header.dataOffset + 32)
    }

    @Test("other magics are shown")
    func magic() {
        #expect(parseError(RawFile(magic: Array("Hell".utf8)).bytes) == .notGGUF("x.gguf", found: Array("Hell".utf8)))
        #expect(parseError([0x47, 0x47]) == .notGGUF("x.gguf", found: [0x47, 0x47]))
        #expect(parseError([]) == .notGGUF("x.gguf", found: []))
    }

    @Test("versions other than 2 and 3 are refused", arguments: [0, 1, 4, 77] as [UInt32])
    func version(_ version: UInt32) {
        #expect(parseError(RawFile(version: version).bytes) == .unsupportedVersion("x.gguf", found: version))
    }

    @Test("a big-endian file is called so", arguments: [1, 2, 3] as [UInt32])
    func bigEndian(_ version: UInt32) {
        #expect(parseError(RawFile(version: version.byteSwapped).bytes) == .bigEndian("x.gguf"))
    }

    @Test("counts that cannot fit are refused at their offset, before anything is allocated")
    func counts() {
        let huge: [UInt64] = [1 << 60, .max, 1 << 63, 100]
        let duration = ContinuousClock().measure {
            for count in huge {
                var file = RawFile(dataBytes: 0)
                file.tensorCount = count
                expectImpossible(file.bytes, offset: 8, found: count)
                file = RawFile(dataBytes: 0)
                file.pairCount = count
                expectImpossible(file.bytes, offset: 16, found: count)
                for type in GGUFValueType.allCases where type != .uint8 || count > 100 {
                    // Key "k" ends at 24 + 9, the value type at 37, the element type at 41.
                    let bytes = RawFile.pair("k", type: 9, GGUFTests.bytes(type.rawValue) + GGUFTests.bytes(count))
                    expectImpossible(bytes, offset: 41, found: count)
                }
            }
        }
        #expect(duration < .seconds(2))
    }

    private func expectImpossible(_ bytes: [UInt8], offset: Int, found: UInt64) {
        guard case .impossibleCount(_, let location, found, _) = parseError(bytes) else {
            Issue.record("\(String(describing: parseError(bytes)))")
            return
        }
        #expect(location.offset == offset)
    }

    @Test("a string longer than the file is refused at its offset", arguments: [50, 1 << 60, .max] as [UInt64])
    func longString(length: UInt64) {
        let error = parseError(RawFile.pair("k", type: 8, GGUFTests.bytes(length)))
        let location = GGUFLocation(path: "x.gguf", offset: 45, item: "key \"k\"")
        #expect(error == .truncated(what: "a string", location, needed: length, available: 19))
    }

    @Test("what is wrong inside a value or a tensor names its key or the tensor")
    func items() {
        func location(_ bytes: [UInt8]) -> String? {
            switch parseError(bytes) {
            case .invalidField(_, let location, _, _), .truncated(_, let location, _, _): location.description
            default: nil
            }
        }
        #expect(location(RawFile.pair("k", type: 13, [0])) == "x.gguf, key \"k\", byte 33")
        #expect(location(RawFile.pair("k", type: 7, [2])) == "x.gguf, key \"k\", byte 37")
        let tensors = RawFile.tensors(Tensor(name: "first"), Tensor(name: "", offset: 32))
        #expect(location(tensors)?.contains("tensor") == false)
        #expect(
            location(Array(RawFile.tensors(Tensor(name: "weights")).prefix(60)))
                == "x.gguf, tensor \"weights\", byte 55")
    }

    @Test("value types, booleans and nesting outside the format are refused")
    func fields() {
        func problem(_ bytes: [UInt8]) -> String? {
            if case .invalidField(let what, _, _, _) = parseError(bytes) { what } else { nil }
        }
        #expect(problem(RawFile.pair("k", type: 13, [0])) == "unknown value type")
        #expect(problem(RawFile.pair("k", type: 9, bytes(UInt32(99)) + bytes(UInt64(0)))) == "unknown value type")
        #expect(problem(RawFile.pair("k", type: 7, [2])) == "invalid bool")
        #expect(problem(RawFile.pair("k", type: 9, bytes(UInt32(7)) + bytes(UInt64(2)) + [1, 7])) == "invalid bool")
        #expect(problem(RawFile.pair("", type: 0, [1])) == "empty metadata key")
        let level = bytes(UInt32(9)) + bytes(UInt64(1))
        let inner = bytes(UInt32(0)) + bytes(UInt64(0))
        let limit = GGUFCursor.nestingLimit
        let deepest = (1..<limit).reduce(inner) { nested, _ in level + nested }
        #expect(parseError(RawFile.pair("k", type: 9, deepest)) == nil)
        #expect(problem(RawFile.pair("k", type: 9, level + deepest)) == "arrays nested too deeply")
        let endless = (0..<100_000).flatMap { _ in level }
        #expect(problem(RawFile.pair("k", type: 9, endless)) == "arrays nested too deeply")
        let long = String(repeating: "k", count: 65536)
        #expect(problem(RawFile.pair(long, type: 0, [1])) == "metadata key too long")
        #expect(parseError(RawFile.pair(String(long.dropLast()), type: 0, [1])) == nil)
        // Marks are put in order in a time that grows with the square of their number.
        let marked = "a" + String(repeating: "\u{301}", count: 300) + String(repeating: "\u{323}", count: 300)
        #expect(problem(RawFile.pair(marked, type: 0, [1])) == "metadata key too long")
        #expect(parseError(RawFile.pair(String(repeating: "é", count: 512), type: 0, [1])) == nil)
        #expect(problem(RawFile.tensors(Tensor(name: ""))) == "empty tensor name")
    }

    @Test("keys that are not UTF-8 are refused")
    func invalidKey() {
        var bytes = RawFile.pair("k", type: 0, [1])
        bytes[32] = 0xFF
        guard case .invalidField("metadata key is not valid UTF-8", let location, _, _) = parseError(bytes) else {
            Issue.record("\(String(describing: parseError(bytes)))")
            return
        }
        #expect(location.offset == 24)
    }

    @Test("duplicate keys and tensors are refused")
    func duplicates() {
        let pair = (key: "k", value: bytes(UInt32(0)) + [1])
        #expect(
            parseError(RawFile(pairs: [pair, pair]).bytes)
                == .duplicateKey("k", GGUFLocation(path: "x.gguf", offset: 38)))
        #expect(parseError(RawFile.tensors(Tensor(), Tensor(offset: 32))) == .duplicateTensor("a"))
    }

    @Test("alignments are powers of two from 8", arguments: [0, 1, 4, 12, 24, 33] as [UInt32])
    func alignment(_ alignment: UInt32) {
        let error = parseError(RawFile.pair("general.alignment", type: 4, bytes(alignment)))
        #expect(error == .invalidAlignment(found: "\(alignment)"))
    }

    @Test("an alignment that is no integer is refused, a huge one of a file without tensors is harmless")
    func alignmentValues() throws {
        let text = RawFile.pair("general.alignment", type: 8, bytes("32"))
        #expect(parseError(text) == .invalidAlignment(found: "string"))
        let header = try parse(RawFile.pair("general.alignment", type: 4, bytes(UInt32(1) << 31)))
        #expect(header.dataOffset == 1 << 31)
    }

    @Test("unknown, removed and in-memory tensor types have errors of their own")
    func types() {
        #expect(parseError(RawFile.tensors(Tensor(type: 43))) == .unknownTensorType(tensor: "a", id: 43))
        #expect(parseError(RawFile.tensors(Tensor(type: .max))) == .unknownTensorType(tensor: "a", id: .max))
        let removed = parseError(RawFile.tensors(Tensor(type: 31)))
        #expect(removed == .removedTensorType(tensor: "a", id: 31, name: "Q4_0_4_4"))
        #expect(problem(Tensor(dimensions: [32], type: 9)) == "a type that only exists in memory")
    }

    @Test("dimensions that no tensor has are refused")
    func dimensions() {
        #expect(problem(Tensor(dimensions: [])) == "wrong number of dimensions")
        #expect(problem(Tensor(dimensions: [1, 1, 1, 1, 1])) == "wrong number of dimensions")
        #expect(problem(Tensor(dimensionCount: .max)) == "wrong number of dimensions")
        #expect(problem(Tensor(dimensions: [0])) == "a dimension that is not positive")
        #expect(problem(Tensor(dimensions: [8, 0])) == "a dimension that is not positive")
        #expect(problem(Tensor(dimensions: [.max])) == "too many elements")
        #expect(problem(Tensor(dimensions: [1 << 32, 1 << 31])) == "too many elements")
        #expect(problem(Tensor(dimensions: [1 << 31, 1 << 31])) == "too many bytes")
        #expect(problem(Tensor(dimensions: [48], type: 2)) == "rows that are not whole blocks")
        #expect(problem(Tensor(dimensions: [16, 2], type: 2)) == "rows that are not whole blocks")
    }

    private func problem(_ tensor: Tensor) -> String? {
        if case .invalidTensor("a", let what, _, _) = parseError(RawFile.tensors(tensor)) { what } else { nil }
    }

    @Test("tensors outside the file, misaligned or overlapping are refused")
    func places() {
        let size = RawFile.tensors(Tensor()).count
        let start = size - 256
        #expect(parseError(RawFile.tensors(Tensor(dimensions: [64]))) == nil)
        #expect(
            parseError(RawFile.tensors(Tensor(dimensions: [65])))
                == .tensorOutOfBounds("a", offset: 0, byteCount: 260, dataOffset: start, fileSize: size))
        for offset: UInt64 in [256, 1 << 62, 1 << 63, .max - 31] {
            #expect(
                parseError(RawFile.tensors(Tensor(offset: offset)))
                    == .tensorOutOfBounds("a", offset: offset, byteCount: 32, dataOffset: start, fileSize: size))
        }
        #expect(
            parseError(RawFile.tensors(Tensor(offset: 8))) == .misalignedTensor("a", offset: 8, alignment: 32))
        let overlap = parseError(RawFile.tensors(Tensor(dimensions: [9]), Tensor(name: "b", offset: 32)))
        guard case .overlappingTensors("b", "a", let offset, let end) = overlap else {
            Issue.record("\(String(describing: overlap))")
            return
        }
        #expect(end == offset + 4)
        let same = parseError(RawFile.tensors(Tensor(), Tensor(name: "b")))
        #expect(same?.description.hasPrefix("tensors overlap") == true)
        // Gaps and any order are fine.
        #expect(parseError(RawFile.tensors(Tensor(offset: 128), Tensor(name: "b"))) == nil)
    }

    @Test("text that is not UTF-8 is repaired in a string value")
    func repairedText() throws {
        let header = try parse(RawFile.pair("k", type: 8, bytes(UInt64(2)) + [0x61, 0xFF]))
        #expect(try header.metadata.string("k") == "a\u{FFFD}")
        #expect(header.repairedKeys == ["k"])
        let sound = try parse(RawFile.pair("k", type: 8, bytes(UInt64(3)) + Array("\u{FFFD}".utf8)))
        #expect(sound.repairedKeys.isEmpty)
        let strings = bytes(UInt32(8)) + bytes(UInt64(1)) + bytes(UInt64(1)) + [0xFF]
        let array = try parse(RawFile.pair("k", type: 9, strings))
        #expect(array.repairedKeys.isEmpty, "arrays keep their bytes")
    }
}
