import Croissant
import Testing

@Suite("Regular expressions for names")
struct NamePatternTests {
    @Test(
        "They are found as in other programs",
        arguments: [
            ("", "", true), ("", "a", true), ("ffn_down", "blk.0.ffn_down.weight", true), ("FFN", "blk.0.ffn", true),
            ("ffn", "blk.0.FFN", true), ("^ffn", "blk.0.ffn", false), ("ffn$", "blk.0.ffn", true),
            ("^blk.0$", "blk.0", true), ("^blk$", "blk.0", false), ("a.c", "abc", true), ("a\\.c", "abc", false),
            ("a\\.c", "a.c", true), ("ab*c", "ac", true), ("ab*c", "abbbc", true), ("ab+c", "ac", false),
            ("ab+c", "abbc", true), ("ab?c", "abc", true), ("ab?c", "abbc", false), ("^(a|bc|)d$", "bcd", true),
            ("^(a|bc|)d$", "d", true), ("^(a|bc|)d$", "abcd", false), ("^a|b$", "ax", true), ("^a|b$", "xa", false),
            ("^(?:ab){2,3}$", "abab", true), ("^(?:ab){2,3}$", "ab", false), ("^(ab){2,3}$", "abababab", false),
            ("^a{2}$", "aa", true), ("^a{2}$", "aaa", false), ("^a{2,}$", "aaaaa", true), ("^a{2,}$", "a", false),
            ("^a{0}$", "", true), ("[a-c]x", "bx", true), ("[a-c]x", "dx", false), ("[^a-c]x", "dx", true),
            ("[^a-c]x", "bx", false), ("[]a]", "]", true), ("[a-]", "-", true), ("[A-C]", "b", true),
            ("blk\\.(1|2)\\.", "blk.2.ffn", true), ("blk\\.(1|2)\\.", "blk.12.ffn", false),
            ("blk\\.\\d+\\.", "blk.12.ffn", true), ("^\\D+$", "blk1", false), ("\\w\\s\\S", "a b", true),
            ("[\\d_]", "_", true), ("é", "É", true), ("a**", "b", true), ("(a*)*b", "aab", true),
            ("((a|b)+c)+d", "abcbcd", true), ("((a|b)+c)+d", "abcbd", false),
        ])
    func finds(pattern: String, name: String, isFound: Bool) throws {
        #expect(try NamePattern(pattern).isFound(in: name) == isFound)
    }

    @Test(
        "What is none, or asks for what takes endless time, is refused",
        arguments: [
            "(", ")", "a)", "(a", "*", "+a", "|*", "[a", "[", "[b-a]", "\\", "\\1", "\\b", "(?=a)", "(?<n>a)", "a{",
            "a{x}",
            "a{2", "a{3,2}", "a{101}", "a{,2}", "((a{50}){50}){50}",
        ])
    func refuses(pattern: String) {
        #expect(throws: ModelError.self) { _ = try NamePattern(pattern) }
    }

    @Test("One that is too long is refused", arguments: ["a", "(", "|", "a?"])
    func tooLong(part: String) {
        #expect(throws: ModelError.self) { _ = try NamePattern(String(repeating: part, count: 100_000)) }
    }

    @Test("No expression takes long", .timeLimit(.minutes(1)))
    func bounded() throws {
        let name = String(repeating: "a", count: 63)
        for pattern in ["(a*)*$b", "(a|a)*$b", "(a|aa)+$b", String(repeating: "a?", count: 300) + "$b"] {
            for _ in 0..<20 { #expect(try !NamePattern(pattern).isFound(in: name)) }
        }
    }
}
