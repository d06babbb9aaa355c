/// Finds the tokens that are taken out of a text before anything is merged: user-defined ones always, control and
/// unknown tokens only where the caller trusts the text.
///
/// The order is llama.cpp's: longer tokens first over the whole text, the leftmost first among equally long ones; or that
/// of Hugging Face's `tokenizers`, where a file says so: the leftmost first, the longest of those that begin there.
struct SpecialTokens: Sendable {
    /// A part of a text.
    enum Fragment: Equatable {
        /// Bytes that are to be merged into tokens.
        case text(Range<Int>)
        /// A special token that stood here.
        case token(Int32)
    }

    private let vocabulary: Vocabulary
    private let rules: AddedTokenRules
    /// What is looked for in texts that are not trusted; empty where the leftmost tokens are found, which then are
    /// looked at one by one.
    private let userDefined: TokenPattern
    private let all: TokenPattern
    /// What is looked for in texts in normal form; nil where there is nothing.
    private let normalized: TokenPattern?

    /// Collects the special tokens of a vocabulary. Tokens without text cannot be found in one, and those whose text is
    /// not valid UTF-8 could only be found by cutting a character apart.
    ///
    /// - Parameter normalForm: what becomes of a text before tokens are looked for that are in normal form.
    init(_ vocabulary: Vocabulary, _ rules: AddedTokenRules, normalForm: ([UInt8]) -> [UInt8]) {
        func isFindable(_ id: Int32, parsingControl: Bool) -> Bool {
            let kind = vocabulary.kinds[Int(id)]
            return Self.isSpecial(kind, parsingControl: parsingControl) && vocabulary.isFindable(id)
                && !(kind == .userDefined && rules.unsplit.hasInOrder(id))
        }
        func isNormalized(_ id: Int32) -> Bool { rules.isLeftmost && rules.normalized.hasInOrder(id) }

        userDefined = TokenPattern(vocabulary) { id in
            !rules.isLeftmost && isFindable(id, parsingControl: false)
        }
        all = TokenPattern(vocabulary) { id in
            isFindable(id, parsingControl: true) && !isNormalized(id)
        }
        // Of two that become the same text, the structural one is found, then the one that was added first.
        let ids = rules.normalized.filter { isFindable($0, parsingControl: true) && isNormalized($0) }
        let control = ids.filter { vocabulary.kinds[Int($0)] != .userDefined }
        let tokens = (control + ids.filter { vocabulary.kinds[Int($0)] == .userDefined }).map { id in
            (id: id, text: normalForm(vocabulary.bytes(of: id)))
        }
        normalized = tokens.isEmpty ? nil : TokenPattern(vocabulary, tokens)
        self.rules = rules
        self.vocabulary = vocabulary
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int { userDefined.heldBytes + all.heldBytes + (normalized?.heldBytes ?? 0) + rules.heldBytes }

    /// Whether there are tokens that are looked for in texts in normal form.
    var looksInNormalForm: Bool { normalized != nil }

    /// Whether a token is looked for in texts in normal form.
    func isNormalized(_ id: Int32) -> Bool { looksInNormalForm && rules.normalized.hasInOrder(id) }

    /// Cuts a text into special tokens and what lies between them.
    ///
    /// Complexity: O(positions where a special token could begin × length of the longest one × log(tokens)), less by far
    /// for all but tokens that were made for it.
    func partition(_ text: [UInt8], parsingControl: Bool) -> [Fragment] {
        rules.isLeftmost
            ? leftmost(text, all, parsingControl: parsingControl)
            : longest(text, parsingControl ? all : userDefined)
    }

    /// Cuts a text in normal form, in which nothing was found before, into those special tokens that are looked for in
    /// such, and what lies between them.
    func partitionNormalForm(_ text: [UInt8], parsingControl: Bool) -> [Fragment] {
        guard let normalized else { return text.isEmpty ? [] : [.text(0..<text.count)] }
        return leftmost(text, normalized, parsingControl: parsingControl)
    }

    private static func isSpecial(_ kind: Tokenizer.TokenKind, parsingControl: Bool) -> Bool {
        switch kind {
        case .userDefined: true
        case .control, .unknown: parsingControl
        case .normal, .unused, .byte: false
        }
    }
}

// MARK: - Longest first

extension SpecialTokens {
    private func longest(_ text: [UInt8], _ pattern: TokenPattern) -> [Fragment] {
        let candidates = text.indices.filter { pattern.isFirstByte[Int(text[$0])] }
        guard !candidates.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }

        // By length: where tokens stand, each position with the longest one that may still be taken.
        var waiting: [Int: [(start: Int, place: Int)]] = [:]
        func wait(_ start: Int, _ place: Int) {
            waiting[pattern.length(place), default: []].append((start, place))
        }
        for start in candidates {
            if let place = pattern.longestMatch(in: text.span, at: start) { wait(start, place) }
        }
        var matches: [(range: Range<Int>, id: Int32)] = []
        var isTaken = [Bool](repeating: false, count: text.count)
        while let length = waiting.keys.max(), let found = waiting.removeValue(forKey: length) {
            for (start, place) in found.sorted(by: { $0.start < $1.start }) where !isTaken[start] {
                let range = start..<(start + length)
                // What is taken is at least as long as this range, so that an overlap covers one of its ends.
                if isTaken[range.upperBound - 1] {
                    if pattern.shorter[place] >= 0 { wait(start, Int(pattern.shorter[place])) }
                } else {
                    for index in range { isTaken[index] = true }
                    matches.append((range, pattern.ids[place]))
                }
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
}

// MARK: - Leftmost first

extension SpecialTokens {
    /// What is not taken, for want of trust or because it is no word of its own, still hides what begins within it. White
    /// space that a token takes with it hides nothing: a token in it is found too, and what is behind that comes again.
    private func leftmost(_ text: [UInt8], _ pattern: TokenPattern, parsingControl: Bool) -> [Fragment] {
        let span = text.span
        var fragments: [Fragment] = []
        var done = 0
        var position = 0
        var spaces = 0..<0  // The white space that was looked at last.
        while position < text.count {
            guard let place = pattern.longestMatch(in: span, at: position) else {
                position += 1
                continue
            }
            let id = pattern.ids[place]
            var start = position
            var end = position + pattern.length(place)
            position = end
            guard Self.isSpecial(vocabulary.kinds[Int(id)], parsingControl: parsingControl) else { continue }
            if rules.singleWords.hasInOrder(id), !isWord(start..<end, of: span) { continue }
            if rules.stripsLeft.hasInOrder(id) {
                while start > done, let (space, first) = Self.scalar(before: start, in: span), space.isSpace {
                    start = first
                }
                start = max(start, done)
            }
            if rules.stripsRight.hasInOrder(id) {
                if !spaces.contains(end) {
                    var limit = end
                    while limit < text.count {
                        let (scalar, next) = span.scalar(at: limit)
                        guard scalar.isSpace else { break }
                        limit = next
                    }
                    spaces = end..<limit
                }
                end = spaces.upperBound
            }
            if done < start { fragments.append(.text(done..<start)) }
            fragments.append(.token(id))
            done = max(start, end)
        }
        if done < text.count { fragments.append(.text(done..<text.count)) }
        return fragments
    }

    /// Whether neither the character before nor the one behind belongs to a word.
    private func isWord(_ range: Range<Int>, of text: Span<UInt8>) -> Bool {
        if let (before, _) = Self.scalar(before: range.lowerBound, in: text), before.isOfWord { return false }
        return range.upperBound == text.count || !text.scalar(at: range.upperBound).scalar.isOfWord
    }

    /// The scalar that ends at `end`, and where it starts; nil at the start of the text, which is valid UTF-8.
    private static func scalar(before end: Int, in text: Span<UInt8>) -> (scalar: Unicode.Scalar, start: Int)? {
        guard end > 0 else { return nil }
        var start = end - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return (text.scalar(at: start).scalar, start)
    }
}

extension Unicode.Scalar {
    /// Whether it is white space.
    fileprivate var isSpace: Bool { properties.isWhitespace }

    /// Whether it is `\w` in a regular expression with Unicode (UTS #18): a letter, a mark, a digit, or what connects
    /// or joins them.
    fileprivate var isOfWord: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        return switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
        default: false
        }
    }
}
