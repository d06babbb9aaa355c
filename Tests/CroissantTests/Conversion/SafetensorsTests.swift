import Croissant
import Foundation
import GGUF
import Testing

@Suite("A safetensors file is what its header says, or is refused")
struct SafetensorsTests {
    private func read(_ bytes: [UInt8]) throws -> [SafetensorsTensor] {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("x.safetensors")
        try Data(bytes).write(to: URL(filePath: path))
        return try SafetensorsFile(MappedFile(path: path)).tensors
    }

    /// What is wrong with a file of `header` and `count` bytes of data.
    private func problem(_ header: String, _ count: Int) throws -> String? {
        do {
            _ = try read(CheckpointFixture.file(header: Array(header.utf8), data: Array(repeating: 0, count: count)))
            return nil
        } catch {
            return "\(error)".replacing(/\/[^ ,]*x\.safetensors/, with: "x")
        }
    }

    @Test("Names, shapes, types and places")
    func tensors() throws {
        let header = #"""
            {"b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
             "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, "__metadata__": {"format": "pt"},
             "none": {"dtype": "I64", "shape": [0, 5], "data_offsets": [4, 4]}}   
            """#
        let tensors = try read(
            CheckpointFixture.file(header: Array(header.utf8), data: Array(repeating: 0, count: 16)))
        let start = 8 + header.utf8.count
        #expect(tensors.map(\.name) == ["a", "none", "b"])
        #expect(tensors.map(\.shape) == [[], [0, 5], [2, 3]])
        #expect(tensors.map(\.type) == [.f32, nil, .bf16])
        #expect(tensors.map(\.range) == [start..<start + 4, start + 4..<start + 4, start + 4..<start + 16])
    }

    @Test(
        "Headers that lie",
        arguments: [
            (#"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#, 4, nil),
            (#"{}"#, 0, nil),
            (#"[]"#, 0, "not a safetensors file: x (expected a header that begins with '{', found another byte)"),
            (#"{"a": 1}"#, 0, "bad value: x, a (expected an object, found 1)"),
            (#"{"a": {}}"#, 0, "bad value: x, a.dtype (expected a text, found nothing)"),
            (
                #"{"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}"#, 4,
                #"unknown type: x, tensor "a" (expected a type of the format, found "F31")"#
            ),
            (
                #"{"a": {"dtype": "F32", "data_offsets": [0, 4]}}"#, 4,
                "bad value: x, a.shape (expected an array, found nothing)"
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}"#, 4,
                "bad value: x, a.data_offsets (expected two offsets, found an array of 3)"
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1}}"#, 4,
                #"unknown field: x, tensor "a" (expected dtype, shape and data_offsets, found "x")"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}"#, 4,
                #"wrong length: x, tensor "a" (expected 8 bytes of F32 for shape [2], found 4)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#, 4,
                #"data outside the file: x, tensor "a" (expected offsets in order, at most 4, found 4 to 8)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}"#, 4,
                #"data outside the file: x, tensor "a" (expected offsets in order, at most 4, found 4 to 0)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}"#, 4,
                "bad value: x, a.shape[0] (expected a whole number from 0 to 9223372036854775807, found -1)"
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 4]}}"#, 4,
                #"too many elements: x, tensor "a" (expected fewer than 2^63 bits, found more)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 9223372036854775808]}}"#, 4,
                "bad value: x, a.data_offsets[1] (expected a whole number from 0 to 9223372036854775807, "
                    + "found 9.223372036854776e+18)"
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F16", "shape": [1], "data_offsets": [2, 4]}}"#,
                4, #"overlapping tensors: x, tensor "b" (expected data from 4 on, found from 2)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F16", "shape": [1], "data_offsets": [6, 8]}}"#,
                8, #"bytes that belong to no tensor: x, tensor "b" (expected data from 4 on, found from 6)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#,
                8, #"not valid JSON: x, byte 62 (expected names that differ in an object, found "a" twice)"#
            ),
            (
                #"{"a": {"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1], "data_offsets": [0, 4]}}"#, 4,
                #"wrong number of dimensions: x, tensor "a" (expected at most 8, found 9)"#
            ),
        ])
    func lies(header: String, count: Int, message: String?) throws {
        #expect(try problem(header, count) == message)
    }

    @Test("Names of more than 1024 bytes are refused before they are compared")
    func longNames() throws {
        func header(_ length: Int) -> String {
            #"{"\#(String(repeating: "a", count: length))": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#
        }
        #expect(try problem(header(1024), 4) == nil)
        #expect(try problem(header(1025), 4) == "name too long: x (expected at most 1024 bytes, found 1025)")
    }

    @Test("Bytes behind the last tensor are refused")
    func rest() throws {
        let header = #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#
        let end = 8 + header.utf8.count + 4
        #expect(
            try problem(header, 5)
                == "bytes that belong to no tensor: x (expected a file of \(end) bytes, found \(end + 1))")
    }

    @Test("Lengths of headers that no file has", arguments: [0, 1, 1 << 20, UInt64.max, UInt64(Int.max)])
    func headerLengths(length: UInt64) throws {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> UInt64(8 * $0)) } + Array("{} ".utf8)
        #expect(throws: ConversionError.self) { _ = try read(bytes) }
    }

    @Test("A file that is cut anywhere is refused")
    func cut() throws {
        let whole = try CheckpointFixture.safetensors([.init("a", [2, 2], [1, 2, 3, 4]), .init("b", [1], [5])])
        #expect(try read(whole).count == 2)
        for length in 1..<whole.count {
            #expect(throws: ConversionError.self, "cut at \(length)") { _ = try read(Array(whole[..<length])) }
        }
    }

    @Test("An index names files of its own folder, and what is in them")
    func index() throws {
        func problem(_ index: String) throws -> String? {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            var checkpoint = try CheckpointFixture(golden: "qwen2")
            checkpoint.files["model.safetensors.index.json"] = index
            try checkpoint.write(to: folder.path)
            do throws(ConversionError) {
                _ = try ModelConverter(folder: folder.path)
                return nil
            } catch {
                return "\(error)".replacing(folder.path + "/", with: "").replacing(folder.path, with: "FOLDER")
            }
        }
        #expect(
            try problem(#"{"weight_map": {"a": "../model.safetensors"}}"#)
                == "bad value: model.safetensors.index.json, weight_map.a (expected the name of a .safetensors file in "
                + "the same folder, found \"../model.safetensors\")")
        // The slash and an accent are one character.
        let accented = try #require(try problem("{\"weight_map\": {\"a\": \"../\u{301}x.safetensors\"}}"))
        #expect(accented.contains("the name of a .safetensors file in the same folder"))
        #expect(
            try problem(#"{"weight_map": {"a": "other.safetensors"}}"#)
                == "missing file: FOLDER (expected \"other.safetensors\", which model.safetensors.index.json names, "
                + "found none)")
        #expect(
            try problem(#"{"weight_map": {"a": "model.safetensors"}}"#)
                == "missing tensor: model.safetensors, tensor \"a\" (expected what model.safetensors.index.json says, "
                + "found none)")
        #expect(try problem(#"{"weight_map": {"model.norm.weight": "model.safetensors"}}"#) == nil)
    }
}
