import GGUF
import Testing

@Suite("Errors are one line that says what, where, expected and found")
struct ErrorTests {
    static let location = GGUFLocation(path: "m.gguf", offset: 24)

    @Test(
        "messages",
        arguments: [
            (
                .notGGUF("x.txt", found: Array("Hell".utf8)),
                "not a GGUF file: x.txt (expected magic GGUF, found \"Hell\")"
            ),
            (.notGGUF("x", found: [0, 0x1F]), "not a GGUF file: x (expected magic GGUF, found 00 1f)"),
            (.unsupportedVersion("x", found: 1), "unsupported GGUF version: x (expected 2 or 3, found 1)"),
            (
                .truncated(what: "a string", location, needed: 9, available: 2),
                "file ends inside a string: m.gguf, byte 24 (expected 9 bytes, found 2)"
            ),
            (
                .impossibleCount(what: "tensors", location, found: 1 << 60, available: 7),
                "impossible number of tensors: m.gguf, byte 24 "
                    + "(expected what 7 bytes can hold, found 1152921504606846976)"
            ),
            (
                .removedTensorType(tensor: "t", id: 31, name: "Q4_0_4_4"),
                "withdrawn tensor type: tensor \"t\" (expected a current ggml type, found 31, once Q4_0_4_4)"
            ),
            (
                .unknownTensorType(tensor: "t", id: 99),
                "unknown tensor type: tensor \"t\" (expected a ggml type id up to 42, found 99)"
            ),
            (
                .wrongValueType(key: "k", expected: "string", found: "uint8"),
                "metadata value of the wrong type: k (expected string, found uint8)"
            ),
            (
                .notFirstShard("b", index: 1, count: 3, first: "a"),
                "not the first shard: b (expected a, found shard 2 of 3)"
            ),
            (.system(operation: "write", path: "x", code: 28), "cannot write file: x (No space left on device)"),
        ] as [(GGUFError, String)])
    func message(error: GGUFError, text: String) {
        #expect(error.description == text)
    }

    @Test("text from a file is escaped and cut")
    func escaping() {
        #expect("a\u{1B}[31m\n\t\u{7F}\u{202E}é".escaped == "a\\u{1b}[31m\\n\\t\\u{7f}\\u{202e}é")
        #expect("say \"\\\"".quoted == "\"say \\\"\\\\\\\"\"")
        let long = String(repeating: "x", count: 100_000).quoted
        #expect(long == "\"" + String(repeating: "x", count: 80) + "…\"")
        #expect(GGUFError.duplicateTensor("\u{1B}[2J").description == "tensor appears twice: \"\\u{1b}[2J\"")
    }

    @Test("there is a hint where there is a remedy")
    func hints() {
        #expect(GGUFError.notGGUF("x", found: Array("vers".utf8)).hint?.contains("git lfs pull") == true)
        #expect(GGUFError.notGGUF("x", found: Array("tjgg".utf8)).hint?.contains("before GGUF") == true)
        #expect(GGUFError.notGGUF("x", found: Array("Hell".utf8)).hint == nil)
        #expect(GGUFError.unsupportedVersion("x", found: 1).hint != GGUFError.unsupportedVersion("x", found: 9).hint)
        #expect(GGUFError.fileNotFound("x").hint == nil)
    }
}
