import GGUF
import Testing

@Suite("Metadata values and look-ups")
struct GGUFValueTests {
    @Test("an integer of any type is read as Int, and only where it fits")
    func asInt() {
        let integers: [GGUFValue] = [
            .uint8(7), .int8(7), .uint16(7), .int16(7), .uint32(7), .int32(7), .uint64(7), .int64(7),
        ]
        for value in integers {
            #expect(value.asInt == 7)
            #expect(value.asDouble == 7)
            #expect(value.asFloat == 7)
            #expect(value.asString == nil)
        }
        #expect(GGUFValue.uint64(.max).asInt == nil)
        #expect(GGUFValue.uint64(.max).asDouble == 0x1p64)
        for other: GGUFValue in [.float32(7), .float64(7), .bool(true), .string("7"), .array(.int32([7]))] {
            #expect(other.asInt == nil)
        }
    }

    @Test("floats keep their exact value, booleans and strings are no numbers")
    func asFloat() {
        #expect(GGUFValue.float32(0.1).asFloat == 0.1)
        #expect(GGUFValue.float32(0.1).asDouble == Double(Float(0.1)))
        #expect(GGUFValue.float64(0.1).asDouble == 0.1)
        #expect(GGUFValue.bool(true).asDouble == nil)
        #expect(GGUFValue.bool(true).asBool == true)
        #expect(GGUFValue.uint8(1).asBool == nil)
        #expect(GGUFValue.string("x").asFloat == nil)
    }

    @Test("integer arrays of every type are read as Int, other arrays are not")
    func asInts() {
        let arrays: [GGUFArray] = [
            .uint8([1, 2]), .int8([1, 2]), .uint16([1, 2]), .int16([1, 2]), .uint32([1, 2]), .int32([1, 2]),
            .uint64([1, 2]), .int64([1, 2]),
        ]
        for array in arrays {
            #expect(array.asInts == [1, 2])
            #expect(GGUFValue.array(array).asFloats == [1, 2])
            #expect(array.count == 2)
            #expect(array[1].asInt == 2)
            #expect(array[1].type == array.elementType)
        }
        #expect(GGUFArray.uint64([1, .max]).asInts == nil)
        #expect(GGUFArray.uint64([1, .max]).asFloats == [1, 0x1p64])
        for other: GGUFArray in [.float32([1]), .bool([true]), .string(["1"]), .array([.int8([1])])] {
            #expect(other.asInts == nil)
        }
        #expect(GGUFArray.float64([0.5]).asFloats == [0.5])
        #expect(GGUFArray.bool([true]).asFloats == nil)
        #expect(GGUFArray.int8([]).asInts == [])
    }

    @Test("strings of an array keep bytes that are not UTF-8")
    func exactStrings() {
        var strings: GGUFStrings = ["", "é"]
        strings.append(utf8: [0xC3])
        strings.append(utf8: "z".utf8)
        #expect(strings.count == 4)
        #expect(strings.bytes(at: 2) == [0xC3])
        #expect(Array(strings) == ["", "é", "\u{FFFD}", "z"])
        #expect(strings.utf8(at: 1).count == 2)
        #expect(strings.totalByteCount == 4)
        #expect(strings.last == "z")
        #expect(strings != ["", "é", "\u{FFFD}", "z"])
    }

    @Test("metadata keeps the order of insertion, replaces in place and removes")
    func order() {
        var metadata: GGUFMetadata = ["z": .uint8(1), "a": .uint8(2), "m": .uint8(3)]
        metadata["a"] = .string("two")
        metadata["b"] = .bool(true)
        metadata["z"] = nil
        metadata["absent"] = nil
        #expect(metadata.keys == ["a", "m", "b"])
        #expect(metadata.map(\.key) == metadata.keys)
        #expect(metadata.map(\.value) == [.string("two"), .uint8(3), .bool(true)])
        #expect(metadata.count == 3)
    }

    @Test("a look-up gives nil for an absent key and throws for one of another type")
    func lookups() throws {
        let metadata: GGUFMetadata = [
            "text": .string("x"), "n": .uint32(3), "f": .float32(0.5), "b": .bool(false),
            "ints": .array(.int32([1])), "floats": .array(.float32([0.5])), "words": .array(.string(["w"])),
        ]
        #expect(try metadata.string("text") == "x")
        #expect(try metadata.int("n") == 3)
        #expect(try metadata.float("f") == 0.5)
        #expect(try metadata.float("n") == 3)
        #expect(try metadata.bool("b") == false)
        #expect(try metadata.ints("ints") == [1])
        #expect(try metadata.floats("floats") == [0.5])
        #expect(try metadata.strings("words") == ["w"])
        #expect(try metadata.exactStrings("words") == ["w"])
        #expect(try metadata.require("n", as: .int) == 3)
        #expect(try metadata.string("absent") == nil)
        #expect(try metadata.ints("absent") == nil)
        #expect(throws: GGUFError.wrongValueType(key: "n", expected: "string", found: "uint32")) {
            try metadata.string("n")
        }
        #expect(throws: GGUFError.wrongValueType(key: "words", expected: "integer", found: "array of 1 string")) {
            try metadata.int("words")
        }
        #expect(throws: GGUFError.wrongValueType(key: "b", expected: "number", found: "bool")) {
            try metadata.float("b")
        }
        #expect(throws: GGUFError.missingKey("absent", expected: "string")) {
            try metadata.require("absent", as: .string)
        }
    }
}
