import Croissant
import Testing

@Suite("Pre-tokenizers")
struct PreTokenizerTests {
    private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    private static func llama3(numbers: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + numbers
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    /// The regular expressions that define each row of the table, applied one after the other to what those before it
    /// have cut.
    static let originals: [String: [String]] = [
        "default": [#"[\p{P}$+<=>^~|]+"#, gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"],
        "gpt-2": [gpt2],
        "smollm": [#"\p{N}"#, gpt2],
        "llama-bpe": [llama3(numbers: #"\p{N}{1,3}"#)],
        "glm4": [llama3(numbers: #"\p{N}{1,3}"#)],
        "smaug-bpe": [llama3(numbers: #"\p{N}{1,3}"#)],
        "qwen2": [llama3(numbers: #"\p{N}"#)],
    ]

    /// What the scanner cuts a text into.
    private func words(_ text: String, _ preTokenizer: PreTokenizer) -> [String] {
        let bytes = Array(text.utf8)
        var words: [String] = []
        var start = 0
        while start < bytes.count {
            let end = preTokenizer.endOfWord(in: bytes.span, from: start)
            guard end > start else { return words + ["no progress"] }
            words.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return words
    }

    /// What the standard library's regular expressions cut a text into: matches, and what lies between them.
    private func words(_ text: String, _ patterns: [Regex<AnyRegexOutput>]) -> [String] {
        var pieces = [text[...]]
        for pattern in patterns {
            pieces = pieces.flatMap { piece in
                // A string of its own, so that the piece's end is the end of the text to the pattern.
                let piece = String(piece)
                var cut: [Substring] = []
                var position = piece.startIndex
                for match in piece.matches(of: pattern) {
                    if position < match.range.lowerBound { cut.append(piece[position..<match.range.lowerBound]) }
                    cut.append(piece[match.range])
                    position = match.range.upperBound
                }
                if position < piece.endIndex { cut.append(piece[position...]) }
                return cut
            }
        }
        return pieces.map(String.init)
    }

    private static let particles = [
        "a", "b", "Z", "é", "ſ", "K", "的", "ª", "e\u{301}", "\u{301}", "1", "2", "34", "567", "٣", "½", "Ⅳ", "²",
        " ", " ", "  ", "\n", "\r", "\r\n", "\t", "\u{B}", "\u{C}", "\u{85}", "\u{A0}", "\u{3000}", "\u{2028}",
        "'", "'", "'s", "'S", "'re", "'Ll", "'vE", "’", "!", "(", "_", "$", "+", "<", "`", "|", "~", "€", "…", "«",
        "😀", "\0", "\u{1C}", "\u{200B}", "\u{AD}", "\u{E000}", "\u{378}", "\u{10FFFF}",
    ]

    @Test("cut as the regular expressions that define them", arguments: PreTokenizer.table.compactMap(\.names.first))
    func equivalence(name: String) throws {
        let preTokenizer = try PreTokenizer.named(name)
        let patterns = try #require(Self.originals[name]).map {
            try Regex($0).matchingSemantics(.unicodeScalar)
        }
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<1500 {
            // A few particles only, so that they meet often; all of them over the course of the test.
            let some = (0..<4).map { _ in Self.particles.randomElement(using: &generator) ?? "" }
            let text = (0..<10).map { _ in some.randomElement(using: &generator) ?? "" }.joined()
            #expect(words(text, preTokenizer) == words(text, patterns), "\(text.debugDescription)")
        }
    }

    @Test("know contractions in capitals, and with a long s, only where case is ignored")
    func contractions() throws {
        let text = "x'Sa'sa'ſa'LLa'lla'lLa'Vea'x"
        let exact = ["x", "'", "Sa", "'s", "a", "'", "ſa", "'", "LLa", "'ll", "a", "'", "lLa", "'", "Vea", "'", "x"]
        #expect(words(text, try .named("gpt-2")) == exact)
        let folded = [
            "x", "'S", "a", "'s", "a", "'ſ", "a", "'LL", "a", "'ll", "a", "'lL", "a", "'Ve", "a", "'x",
        ]
        #expect(words(text, try .named("qwen2")) == folded)
    }

    @Test("know the scalars of all categories as the regular expressions do")
    func categories() throws {
        let letters = try Regex(#"\p{L}"#).matchingSemantics(.unicodeScalar)
        let numbers = try Regex(#"\p{N}"#).matchingSemantics(.unicodeScalar)
        let spaces = try Regex(#"\s"#).matchingSemantics(.unicodeScalar)
        let preTokenizer = try PreTokenizer.named("gpt-2")
        // Every scalar of the first blocks, and a sample of all others.
        for value in Array(0..<UInt32(0x600)) + Array(stride(from: 0x600, through: 0x10FFFF, by: 251)) + [0x3000] {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(scalar)
            // The scalar forms a word with a neighbour of its own kind, and of no other.
            let kinds = [
                words("x" + text, preTokenizer).count == 1, words("1" + text, preTokenizer).count == 1,
                words("\t\t" + text, preTokenizer).count == 1, words("*" + text, preTokenizer).count == 1,
            ]
            let expected = [letters, numbers, spaces].map { text.wholeMatch(of: $0) != nil }
            #expect(kinds == expected + [!expected.contains(true)], "U+\(String(value, radix: 16))")
        }
    }

    @Test("have the other names that llama.cpp gives the same rule")
    func aliases() throws {
        let aliases = [
            "gpt-2": [
                "phi-2", "mpt", "olmo", "jais", "gigachat", "a.x-4.0", "mellum", "exaone4", "trillion",
                "granite-docling", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "modern-bert",
            ],
            "smollm": ["starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
            "llama-bpe": [
                "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
            ],
            "glm4": ["glm5"],
            "smaug-bpe": ["dbrx", "chatglm-bpe"],
            "qwen2": [
                "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "kormo", "f2llmv2",
            ],
        ]
        for (name, others) in aliases { #expect(try PreTokenizer.named(name).names == [name] + others) }
        #expect(Set(PreTokenizer.names) == Set(["default"] + aliases.keys + aliases.values.joined()))
    }

    @Test("have names of their own, and an unknown name is refused with those that are known")
    func names() throws {
        let names = PreTokenizer.names
        #expect(Set(names).count == names.count)
        #expect(Set(PreTokenizer.table.compactMap(\.names.first)) == Set(Self.originals.keys))
        // These cut texts in ways of their own, or are followed by a separator.
        for name in [
            "deepseek-llm", "deepseek-v3", "falcon", "tekken", "gpt-4o", "qwen35", "minicpm5", "jais-2", "seed-coder",
            "hunyuan-dense", "laguna", "ufakzeka", "jina-v1-en", "jina-v2-code", "roberta-bpe", "Llama-BPE", "",
        ] {
            #expect(throws: TokenizerError.unknownPreTokenizer(found: name, known: names)) {
                try PreTokenizer.named(name)
            }
        }
    }
}
