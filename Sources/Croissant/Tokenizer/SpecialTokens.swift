/// Finds the tokens that are taken out of a text before anything is merged: user-defined ones always, control and
/// unknown tokens only where the caller trusts the text.
///
/// The order is llama.cpp's: longer tokens first over the whole text, the leftmost first among equally long ones.
struct SpecialTokens: Sendable {
    /// A part of a text.
    enum Fragment: Equatable {
        /// Bytes that are to be merged into tokens.
        case text(Range<Int>)
        /// A special token that stood here.
        case token(Int32)
    }

    /// What is looked for in one of the two modes.
    private struct Pattern {
        /// Whether a token begins with a byte, by byte: (256). Most positions of a text are ruled out by this.
        var isFirstByte = [Bool](repeating: false, count: 256)
        /// The lengths in bytes that occur, longest first.
        var lengths: [Int] = []

        mutating func insert(_ text: Span<UInt8>) {
            isFirstByte[Int(text[0])] = true
            if !lengths.contains(text.count) { lengths.append(text.count) }
        }
    }

    private let vocabulary: Vocabulary
    private let userDefined: Pattern
    private let all: Pattern

    /// Collects the special tokens of a vocabulary. Tokens without text cannot be found in one, and those whose text is
    /// not valid UTF-8 could only be found by cutting a character apart.
    init(_ vocabulary: Vocabulary) {
        var userDefined = Pattern()
        var all = Pattern()
        for id in 0..<Int32(vocabulary.count) {
            let kind = vocabulary.kinds[Int(id)]
            guard Self.isSpecial(kind, parsingControl: true), vocabulary.isFindable(id) else { continue }
            all.insert(vocabulary.text(of: id))
            if kind == .userDefined { userDefined.insert(vocabulary.text(of: id)) }
        }
        userDefined.lengths.sort(by: >)
        all.lengths.sort(by: >)
        self.vocabulary = vocabulary
        self.userDefined = userDefined
        self.all = all
    }

    /// Cuts a text into special tokens and what lies between them.
    ///
    /// Complexity: O(positions where a special token could begin × different lengths of special tokens).
    func partition(_ text: [UInt8], parsingControl: Bool) -> [Fragment] {
        let pattern = parsingControl ? all : userDefined
        let candidates = text.indices.filter { pattern.isFirstByte[Int(text[$0])] }
        guard !candidates.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }

        var matches: [(range: Range<Int>, id: Int32)] = []
        var isTaken = [Bool](repeating: false, count: text.count)
        for length in pattern.lengths {
            for start in candidates where length <= text.count - start {
                let range = start..<(start + length)
                // What is taken is at least as long as this range, so that an overlap covers one of its ends.
                guard !isTaken[start], !isTaken[range.upperBound - 1],
                    let id = vocabulary.id(of: text.span.extracting(range)),
                    Self.isSpecial(vocabulary.kinds[Int(id)], parsingControl: parsingControl)
                else { continue }
                for index in range { isTaken[index] = true }
                matches.append((range, id))
            }
        }
        matches.sort { $0.range.lowerBound < $1.range.lowerBound }

        var fragments: [Fragment] = []
        var position = 0
        for match in matches {
            if position < match.range.lowerBound { fragments.append(.text(position..<match.range.lowerBound)) }
            fragments.append(.token(match.id))
            position = match.range.upperBound
        }
        if position < text.count { fragments.append(.text(position..<text.count)) }
        return fragments
    }

    private static func isSpecial(_ kind: Tokenizer.TokenKind, parsingControl: Bool) -> Bool {
        switch kind {
        case .userDefined: true
        case .control, .unknown: parsingControl
        case .normal, .unused, .byte: false
        }
    }
}
