/// How a text is cut into words, within which byte-level BPE merges.
///
/// The models define this by regular expressions, all of one family:
///
/// ```
/// GPT-2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// Llama 3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
///              |\s*[\r\n]+|\s+(?!\S)|\s+
/// ```
///
/// A row of the table says in which properties a pre-tokenizer differs from GPT-2's; `endOfWord` is the family's
/// scanner, which reads every scalar of a word once and twice the white space between words.
package struct PreTokenizer: Sendable {
    /// What may come before letters in their word.
    enum LetterPrefix {
        /// One U+0020: ` ?\p{L}+`.
        case space
        /// One scalar that is neither letter nor number and ends no line: `[^\r\n\p{L}\p{N}]?\p{L}+`.
        case anyButLineEnd
    }

    /// How runs of numbers are cut.
    enum Numbers {
        /// Not at all, and one U+0020 may come before: ` ?\p{N}+`.
        case whole
        /// From the left into at most so many: `\p{N}{1,3}`.
        case groups(of: Int)
        /// Into single ones, before anything else is cut: white space before a number is white space at an end.
        case isolated
        /// Whatever three ASCII digits in a row there are, from the left: `[0-9][0-9][0-9]` within `\p{N}+`.
        case triples
    }

    /// The values of `tokenizer.ggml.pre` that mean this one: first its own, then the models known to cut the same way.
    package let names: [String]
    /// Whether `'S` is a contraction as `'s` is.
    var ignoresCase = false
    /// What may come before letters in their word.
    var letterPrefix = LetterPrefix.space
    /// How runs of numbers are cut.
    var numbers = Numbers.whole
    /// Whether ends of lines belong to the symbols before them, and otherwise end a word of white space:
    /// `[\r\n]*` and `\s*[\r\n]+`.
    var cutsAfterLineEnds = false
    /// Whether runs of punctuation are cut out before anything else: `[\p{P}$+<=>^~|]+`.
    var isolatesPunctuation = false
    /// Whether a word that is a token is taken as it is, whatever the merges would make of it.
    var ignoresMerges = false
    /// Whether texts begin with BOS where the file does not say.
    var addsBOS = false

    /// All there are. Names and properties agree with llama.cpp's, whose converters write the names into files: every
    /// name whose texts it cuts by one of these rules is here, except those of encoders that get a separator as well
    /// (`jina-v1-en`, `jina-v2-code`, `roberta-bpe`).
    package static let table = [
        PreTokenizer(names: ["default"], numbers: .triples, isolatesPunctuation: true),
        PreTokenizer(names: [
            "gpt-2", "phi-2", "mpt", "olmo", "jais", "gigachat", "a.x-4.0", "mellum", "exaone4", "trillion",
            "granite-docling", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "modern-bert",
        ]),
        PreTokenizer(
            names: [
                "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2",
            ],
            numbers: .isolated),
        PreTokenizer(
            names: [
                "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                "jina-v5-nano",
            ],
            ignoresCase: true, letterPrefix: .anyButLineEnd, numbers: .groups(of: 3), cutsAfterLineEnds: true,
            ignoresMerges: true, addsBOS: true),
        PreTokenizer(
            names: ["glm4", "glm5"],
            ignoresCase: true, letterPrefix: .anyButLineEnd, numbers: .groups(of: 3), cutsAfterLineEnds: true,
            ignoresMerges: true),
        // `chatglm-bpe` cuts as `glm4` does, but its words go through the merges.
        PreTokenizer(
            names: ["smaug-bpe", "dbrx", "chatglm-bpe"],
            ignoresCase: true, letterPrefix: .anyButLineEnd, numbers: .groups(of: 3), cutsAfterLineEnds: true),
        PreTokenizer(
            names: [
                "qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2", "kormo",
                "f2llmv2",
            ],
            ignoresCase: true, letterPrefix: .anyButLineEnd, numbers: .groups(of: 1), cutsAfterLineEnds: true),
    ]

    /// All names.
    package static var names: [String] { table.flatMap(\.names) }

    /// The pre-tokenizer with this name.
    package static func named(_ name: String) throws(TokenizerError) -> PreTokenizer {
        guard let found = table.first(where: { $0.names.contains(name) }) else {
            throw .unknownPreTokenizer(found: name, known: names)
        }
        return found
    }
}

// MARK: - Scanner

extension PreTokenizer {
    /// Where the word ends that begins at `start`, the beginning of the text or the end of a word.
    ///
    /// - Parameter text: valid UTF-8, longer than `start`.
    package func endOfWord(in text: Span<UInt8>, from start: Int) -> Int {
        let (kind, end) = Self.scalar(in: text, at: start)
        switch kind {
        case .letter:
            return endOfRun(of: .letter, in: text, from: end)
        case .number:
            return endOfNumbers(in: text, from: start)
        case .punctuation where isolatesPunctuation:
            return endOfRun(of: .punctuation, in: text, from: end)
        case .punctuation, .symbol:
            if text[start] == UInt8(ascii: "'"), let end = endOfContraction(in: text, from: start) { return end }
            if letterPrefix == .anyButLineEnd, let end = endOfLetters(in: text, from: end) { return end }
            return endOfSymbols(in: text, from: end)
        case .space:
            if letterPrefix == .anyButLineEnd, let end = endOfLetters(in: text, from: end) { return end }
            if text[start] == UInt8(ascii: " "), let end = endOfWord(in: text, afterSpace: end) { return end }
            return endOfWhiteSpace(in: text, from: start)
        case .lineEnd:
            return endOfWhiteSpace(in: text, from: start)
        }
    }

    /// Where the word ends of which a U+0020 is the beginning; nil if that is only white space.
    private func endOfWord(in text: Span<UInt8>, afterSpace start: Int) -> Int? {
        guard start < text.count else { return nil }
        let (kind, end) = Self.scalar(in: text, at: start)
        switch kind {
        case .letter:
            return endOfRun(of: .letter, in: text, from: end)
        case .number:
            guard case .whole = numbers else { return nil }
            return endOfNumbers(in: text, from: start)
        case .punctuation where isolatesPunctuation:
            return nil
        case .punctuation, .symbol:
            return endOfSymbols(in: text, from: end)
        case .space, .lineEnd:
            return nil
        }
    }

    /// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d`.
    private func endOfContraction(in text: Span<UInt8>, from apostrophe: Int) -> Int? {
        func letter(_ offset: Int) -> UInt8 {
            guard offset < text.count - apostrophe else { return 0 }
            let byte = text[apostrophe + offset]
            return ignoresCase && (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
        }
        switch (letter(1), letter(2)) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return apostrophe + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return apostrophe + 3
        case (0xC5, 0xBF) where ignoresCase:  // ſ, an s to whoever ignores case.
            return apostrophe + 3
        default:
            return nil
        }
    }

    /// Where a run of letters ends that begins at `start`; nil if there is none.
    private func endOfLetters(in text: Span<UInt8>, from start: Int) -> Int? {
        let end = endOfRun(of: .letter, in: text, from: start)
        return end > start ? end : nil
    }

    /// Where the part of a run of numbers ends that begins at `start`.
    private func endOfNumbers(in text: Span<UInt8>, from start: Int) -> Int {
        switch numbers {
        case .whole: return endOfRun(of: .number, in: text, from: start)
        case .groups(of: let limit): return endOfRun(of: .number, in: text, from: start, limit: limit)
        case .isolated: return endOfRun(of: .number, in: text, from: start, limit: 1)
        case .triples:
            if Self.isTriple(text, at: start) { return start + 3 }
            var end = start
            repeat {
                let next = endOfRun(of: .number, in: text, from: end, limit: 1)
                if next == end { break }
                end = next
            } while !Self.isTriple(text, at: end)
            return end
        }
    }

    private static func isTriple(_ text: Span<UInt8>, at start: Int) -> Bool {
        text.count - start >= 3 && (start..<(start + 3)).allSatisfy { (0x30...0x39).contains(text[$0]) }
    }

    /// Where what is neither white space nor letter nor number ends, from inside it.
    private func endOfSymbols(in text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        while end < text.count {
            let (kind, next) = Self.scalar(in: text, at: end)
            guard kind == .symbol || kind == .punctuation && !isolatesPunctuation else { break }
            end = next
        }
        return cutsAfterLineEnds ? endOfRun(of: .lineEnd, in: text, from: end) : end
    }

    /// Where a word of white space ends that begins at `start`: after its last end of a line where that cuts, and
    /// otherwise before its last scalar, which is left to the word that follows.
    private func endOfWhiteSpace(in text: Span<UInt8>, from start: Int) -> Int {
        var end = start
        var last = start
        var afterLineEnd = start
        while end < text.count {
            let (kind, next) = Self.scalar(in: text, at: end)
            guard kind == .space || kind == .lineEnd else {
                let isEndOfText =
                    switch (kind, numbers) {
                    case (.number, .isolated): true
                    case (.punctuation, _): isolatesPunctuation
                    default: false
                    }
                if isEndOfText { last = start }
                break
            }
            last = end
            end = next
            if kind == .lineEnd { afterLineEnd = end }
        }
        if cutsAfterLineEnds, afterLineEnd > start { return afterLineEnd }
        return end < text.count && last > start ? last : end
    }

    /// Where scalars of a kind end, at most `limit` of them, none being enough.
    private func endOfRun(of kind: ScalarKind, in text: Span<UInt8>, from start: Int, limit: Int = .max) -> Int {
        var end = start
        var count = 0
        while end < text.count, count < limit {
            let (found, next) = Self.scalar(in: text, at: end)
            guard found == kind else { break }
            end = next
            count += 1
        }
        return end
    }
}

// MARK: - Scalars

extension PreTokenizer {
    /// What the regular expressions tell apart.
    private enum ScalarKind {
        /// `\p{L}`
        case letter
        /// `\p{N}`
        case number
        /// `[\r\n]`
        case lineEnd
        /// `\s` otherwise.
        case space
        /// `[\p{P}$+<=>^~|]`
        case punctuation
        /// Everything else.
        case symbol
    }

    /// The kind of the scalar at `start`, and where it ends.
    private static func scalar(in text: Span<UInt8>, at start: Int) -> (kind: ScalarKind, end: Int) {
        let lead = text[start]
        if lead < 0x80 { return (kind(ofASCII: lead), start + 1) }
        let (scalar, end) = text.scalar(at: start)
        return (kind(of: scalar), end)
    }

    private static func kind(ofASCII byte: UInt8) -> ScalarKind {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): .letter
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        case 0x0A, 0x0D: .lineEnd
        case 0x20, 0x09, 0x0B, 0x0C: .space
        case UInt8(ascii: "`"): .symbol
        case 0x21...0x7E: .punctuation
        default: .symbol
        }
    }

    /// For scalars beyond ASCII, by the version of Unicode that the standard library knows.
    private static func kind(of scalar: Unicode.Scalar) -> ScalarKind {
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .uppercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: .letter
        case .decimalNumber, .letterNumber, .otherNumber: .number
        case .spaceSeparator, .lineSeparator, .paragraphSeparator: .space
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            .punctuation
        default: scalar == "\u{85}" ? .space : .symbol  // The one control character of \s beyond ASCII.
        }
    }
}
