/// Recognises how a byte-level tokenizer.json cuts texts into words, and gives GGUF's name for it.
extension TokenizerJSON {
    /// A way to cut texts: the steps as tokenizer.json writes them, and the name in ``PreTokenizer``'s table.
    private struct Pattern {
        let name: String
        let steps: [Step]
    }

    /// A step of cutting.
    private enum Step: Equatable {
        /// Words are what this regular expression matches.
        case expression(String)
        /// Every digit is a word.
        case digits
    }

    /// GPT-2's expression, which `ByteLevel` applies without naming it.
    private static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private static let llama3 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#

    private static let qwen2 =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
        + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The first one with the same steps, and the same use of merges, counts.
    private static let patterns = [
        Pattern(name: "gpt-2", steps: [.expression(gpt2)]),
        Pattern(name: "smollm", steps: [.digits, .expression(gpt2)]),
        Pattern(name: "llama-bpe", steps: [.expression(llama3)]),
        Pattern(name: "smaug-bpe", steps: [.expression(llama3)]),
        Pattern(name: "qwen2", steps: [.expression(qwen2)]),
    ]

    /// GGUF's name for the way in which this tokenizer cuts texts.
    func preTokenizerName() throws(ConversionError) -> String {
        var steps: [Step] = []
        for node in preTokenizers {
            if let step = try Self.step(node) { steps.append(step) }
        }
        let same = Self.patterns.filter { $0.steps == steps }
        guard !same.isEmpty else {
            // The step that decides is the expression, where there is one.
            let node = preTokenizers.first { $0["pattern"].exists } ?? preTokenizers.first
            let known = Self.patterns.map(\.name).joined(separator: ", ")
            let named = node.map { $0["pattern"].exists ? $0["pattern"]["Regex"] : $0["type"] }
            throw named?.error(expected: "a way to cut texts into words that is known: \(known)")
                ?? .invalidField(
                    file: file, key: "pre_tokenizer", expected: "one of \(known)", found: "nothing")
        }
        let ignoresMerges = try ignoresMerges
        let row = same.first { pattern in
            PreTokenizer.table.contains {
                $0.names.contains(pattern.name) && $0.ignoresMerges == ignoresMerges
            }
        }
        guard let row else { throw ignoredMergesError }
        return row.name
    }

    /// The step that a part of the pre-tokenizer is; nil for one that cuts nothing.
    private static func step(_ node: JSONNode) throws(ConversionError) -> Step? {
        switch try node["type"].string() {
        case "ByteLevel":
            guard try !node["add_prefix_space"].bool(default: true) else {
                throw node["add_prefix_space"].unsupported("a space before texts")
            }
            return try node["use_regex"].bool(default: true) ? .expression(gpt2) : nil
        case "Digits":
            guard try node["individual_digits"].bool(default: false) else {
                throw node["individual_digits"].unsupported("cutting numbers out of words")
            }
            return .digits
        case "Split":
            let behavior = try node["behavior"].string()
            // What matches is kept as a word, what does not as well: nothing is left between matches.
            let isInverted = try node["invert"].bool(default: false)
            guard behavior == (isInverted ? "Removed" : "Isolated") else {
                throw node["behavior"].unsupported("this way to split")
            }
            return .expression(try node["pattern"]["Regex"].string())
        default:
            throw node["type"].unsupported("this way to cut texts into words")
        }
    }
}
