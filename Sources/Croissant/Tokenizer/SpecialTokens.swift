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
        private(set) var isFirstByte = [Bool](repeating: false, count: 256)
        /// The tokens in the order of the bytes of their texts, so that those with a common beginning are neighbours.
        private let ids: [Int32]
        /// By id: the longest token that the text of this one begins with, if there is one.
        private(set) var shorter: [Int32: Int32] = [:]

        init(_ ids: [Int32], _ vocabulary: Vocabulary) {
            let texts = ids.map { id in (id: id, bytes: Array(vocabulary.string(of: id).utf8)) }
                .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            self.ids = texts.map(\.id)
            // The tokens that the last one began with, and itself: each the beginning of the next.
            var beginnings: [(id: Int32, bytes: [UInt8])] = []
            for text in texts {
                isFirstByte[Int(text.bytes[0])] = true
                while let last = beginnings.last, !text.bytes.starts(with: last.bytes) { beginnings.removeLast() }
                shorter[text.id] = beginnings.last?.id
                beginnings.append(text)
            }
        }

        /// The longest token that stands at `start`; nil if none does.
        ///
        /// Complexity: O(bytes at `start` that some token begins with × log(tokens)).
        func longestMatch(in text: [UInt8], at start: Int, _ vocabulary: Vocabulary) -> Int32? {
            var found: Int32?
            var range = 0..<ids.count  // Tokens with the bytes so far.
            var length = 0
            while !range.isEmpty, length < text.count - start {
                let byte = Int(text[start + length])
                let lower = firstIndex(in: range) { Self.byte($0, at: length, vocabulary) >= byte }
                range =
                    lower..<firstIndex(in: lower..<range.upperBound) { Self.byte($0, at: length, vocabulary) > byte }
                length += 1
                if let first = ids[range].first, vocabulary.text(of: first).count == length { found = first }
            }
            return found
        }

        /// The first index of `range` from which on `isAfter` holds.
        private func firstIndex(in range: Range<Int>, where isAfter: (Int32) -> Bool) -> Int {
            var low = range.lowerBound
            var high = range.upperBound
            while low < high {
                let middle = (low + high) / 2
                if isAfter(ids[middle]) { high = middle } else { low = middle + 1 }
            }
            return low
        }

        /// A byte of a token's text; -1 behind its end, where it sorts.
        private static func byte(_ id: Int32, at index: Int, _ vocabulary: Vocabulary) -> Int {
            let text = vocabulary.text(of: id)
            return index < text.count ? Int(text[index]) : -1
        }
    }

    private let vocabulary: Vocabulary
    private let userDefined: Pattern
    private let all: Pattern

    /// Collects the special tokens of a vocabulary. Tokens without text cannot be found in one, and those whose text is
    /// not valid UTF-8 could only be found by cutting a character apart.
    init(_ vocabulary: Vocabulary) {
        let special = (0..<Int32(vocabulary.count)).filter { id in
            Self.isSpecial(vocabulary.kinds[Int(id)], parsingControl: true) && vocabulary.isFindable(id)
        }
        userDefined = Pattern(special.filter { vocabulary.kinds[Int($0)] == .userDefined }, vocabulary)
        all = Pattern(special, vocabulary)
        self.vocabulary = vocabulary
    }

    /// Cuts a text into special tokens and what lies between them.
    ///
    /// Complexity: O(positions where a special token could begin × length of the longest one × log(tokens)), less by far
    /// for all but tokens that were made for it.
    func partition(_ text: [UInt8], parsingControl: Bool) -> [Fragment] {
        let pattern = parsingControl ? all : userDefined
        let candidates = text.indices.filter { pattern.isFirstByte[Int(text[$0])] }
        guard !candidates.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }

        // By length: where tokens stand, each position with the longest one that may still be taken.
        var waiting: [Int: [(start: Int, id: Int32)]] = [:]
        for start in candidates {
            guard let id = pattern.longestMatch(in: text, at: start, vocabulary) else { continue }
            waiting[vocabulary.text(of: id).count, default: []].append((start, id))
        }
        var matches: [(range: Range<Int>, id: Int32)] = []
        var isTaken = [Bool](repeating: false, count: text.count)
        while let length = waiting.keys.max(), let found = waiting.removeValue(forKey: length) {
            for (start, id) in found.sorted(by: { $0.start < $1.start }) where !isTaken[start] {
                let range = start..<(start + length)
                // What is taken is at least as long as this range, so that an overlap covers one of its ends.
                if isTaken[range.upperBound - 1] {
                    guard let shorter = pattern.shorter[id] else { continue }
                    waiting[vocabulary.text(of: shorter).count, default: []].append((start, shorter))
                } else {
                    for index in range { isTaken[index] = true }
                    matches.append((range, id))
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

    private static func isSpecial(_ kind: Tokenizer.TokenKind, parsingControl: Bool) -> Bool {
        switch kind {
        case .userDefined: true
        case .control, .unknown: parsingControl
        case .normal, .unused, .byte: false
        }
    }
}
