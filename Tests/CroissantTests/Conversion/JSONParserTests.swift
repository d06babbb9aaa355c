import Croissant
import Testing

@Suite("JSON is read to the letter of its standard")
struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONNode { try JSONNode(Array(text.utf8), file: "x") }

    private func problem(_ bytes: [UInt8]) -> String? {
        do throws(ConversionError) {
            _ = try JSONNode(bytes, file: "x")
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("Values of every kind")
    func values() throws {
        let node = try parse(
            #"""
            {"null": null, "yes": true, "no": false, "int": -12, "large": 9223372036854775807, "beyond": 9223372036854775808,
             "half": 5e-1, "whole": 1.0E2, "text": "a\"\\\/\b\f\n\r\té\ud83d\ude00é", "array": [[], {}, 1], "": 0}
            """#)
        #expect(!node["null"].exists && !node["absent"].exists && node["yes"].exists)
        #expect(try node["yes"].bool(default: false) && !node["no"].bool(default: true))
        #expect(try node["int"].int(-20...0) == -12)
        #expect(try node["large"].int(0...Int.max) == Int.max)
        #expect(try node["beyond"].optionalNumber() == 0x1p63)
        #expect(try node["half"].optionalNumber() == 0.5)
        #expect(try node["whole"].int(0...100) == 100)
        #expect(try Array(node["text"].string().utf8) == Array("a\"\\/\u{8}\u{C}\n\r\té😀é".utf8))
        #expect(try node["array"].elements().count == 3)
        #expect(try node[""].optionalInt(0...0) == 0)
    }

    @Test("Names that Swift takes for equal are two names")
    func canonicalEquivalence() throws {
        let node = try parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}")
        #expect(try node["\u{E9}"].int(0...9) == 1)
        #expect(try node["e\u{301}"].int(0...9) == 2)
    }

    @Test(
        "What is not JSON",
        arguments: [
            ("", "byte 0 (expected a value, found the end of the file)"),
            ("{", "byte 1 (expected a name, found the end of the file)"),
            ("{}x", "byte 2 (expected the end of the file, found 'x')"),
            ("[1,]", "byte 3 (expected a value, found ']')"),
            (#"{"a" 1}"#, "byte 5 (expected ':', found '1')"),
            (#"{"a": 1,}"#, "byte 8 (expected a name, found '}')"),
            (#"{"a": 1, "a": 2}"#, "byte 9 (expected names that differ in an object, found \"a\" twice)"),
            ("[1 2]", "byte 3 (expected ',' or ']', found '2')"),
            ("01", "byte 1 (expected the end of the file, found '1')"),
            ("-", "byte 1 (expected a digit, found the end of the file)"),
            ("1.", "byte 2 (expected a digit, found the end of the file)"),
            ("1e+", "byte 3 (expected a digit, found the end of the file)"),
            ("1e999", "byte 0 (expected a number below 1.8e308, found \"1e999\")"),
            ("NaN", "byte 0 (expected a value, found 'N')"),
            ("nul", "byte 3 (expected null, found the end of the file)"),
            ("\"a\nb\"", "byte 2 (expected a control character to be escaped, found byte 0x0a)"),
            (#""\x""#, "byte 2 (expected an escape, found 'x')"),
            (#""\u12g4""#, "byte 5 (expected a hexadecimal digit, found 'g')"),
            (#""\ud83d""#, "byte 2 (expected both halves of a character, found one half of a character)"),
            (#""\ud83d\u2000""#, "byte 2 (expected both halves of a character, found one half of a character)"),
            (#""\ude00""#, "byte 2 (expected both halves of a character, found one half of a character)"),
            ("\"a", "byte 2 (expected '\"', found the end of the file)"),
        ])
    func invalid(text: String, message: String) {
        #expect(problem(Array(text.utf8)) == "not valid JSON: x, " + message)
    }

    @Test("Text that is not UTF-8, and nesting that would exhaust the stack")
    func hostile() {
        #expect(problem([0x22, 0xFF, 0x22])?.contains("expected UTF-8") == true)
        #expect(problem(Array(repeating: UInt8(ascii: "["), count: 1_000_000))?.contains("at most 64 levels") == true)
        #expect(problem(Array((String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).utf8)) == nil)
    }

    @Test("An object of many names is searched for repeated ones too")
    func manyNames() {
        let names = (0..<100).map { "\"\($0)\": 0" }
        #expect(problem(Array("{\(names.joined(separator: ","))}".utf8)) == nil)
        let text = "{\((names + names).joined(separator: ","))}"
        let second = names.joined(separator: ",").utf8.count + 2
        #expect(
            problem(Array(text.utf8)) == "not valid JSON: x, byte \(second) (expected names that differ in an object, "
                + "found \"0\" twice)")
    }
}
