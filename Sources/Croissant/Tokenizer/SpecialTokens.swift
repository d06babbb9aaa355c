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
        let ids: [Int32]
        /// By place in `ids`: the place of the longest token that the text of this one begins with, -1 if there is none.
        let shorter: [Int32]

        /// Orders those tokens of the vocabulary for which `isIncluded` holds. Their texts are not empty.
        init(_ vocabulary: Vocabulary, where isIncluded: (Int32) -> Bool) {
            let tokens = 0..<Int32(vocabulary.count)
            var ids: [Int32] = []
            ids.reserveCapacity(tokens.count(where: isIncluded))
            for id in tokens where isIncluded(id) { ids.append(id) }
            ids.sort { Self.precedes(vocabulary.text(of: $0), vocabulary.text(of: $1)) }
            var shorter = [Int32](repeating: -1, count: ids.count)
            for (place, id) in ids.enumerated() {
                let text = vocabulary.text(of: id)
                isFirstByte[Int(text[0])] = true
                // What this one begins with, if anything does, is the one before it, or what that one begins with.
                var candidate = Int32(place) - 1
                while candidate >= 0, !Self.begins(text, with: vocabulary.text(of: ids[Int(candidate)])) {
                    candidate = shorter[Int(candidate)]
                }
                shorter[place] = candidate
            }
            self.ids = ids
            self.shorter = shorter
        }

        /// The place of the longest token that stands at `start`; nil if none does.
        ///
        /// Complexity: O(bytes at `start` that some token begins with × log(tokens)).
        func longestMatch(in text: [UInt8], at start: Int, _ vocabulary: Vocabulary) -> Int? {
            var found: Int?
            var range = 0..<ids.count  // Tokens with the bytes so far.
            var length = 0
            while !range.isEmpty, length < text.count - start {
                let byte = Int(text[start + length])
                let lower = firstIndex(in: range) { Self.byte($0, at: length, vocabulary) >= byte }
                range =
                    lower..<firstIndex(in: lower..<range.upperBound) { Self.byte($0, at: length, vocabulary) > byte }
                length += 1
                if !range.isEmpty, vocabulary.text(of: ids[range.lowerBound]).count == length {
                    found = range.lowerBound
                }
            }
            return found
        }

        /// Whether `left` comes first in the order of bytes.
        private static func precedes(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
            for index in 0..<min(left.count, right.count) where left[index] != right[index] {
                return left[index] < right[index]
            }
            return left.count < right.count
        }

        private static func begins(_ text: Span<UInt8>, with beginning: Span<UInt8>) -> Bool {
            guard beginning.count <= text.count else { return false }
            for index in beginning.indices where text[index] != beginning[index] { return false }
            return true
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
        func pattern(parsingControl: Bool) -> Pattern {
            Pattern(vocabulary) { id in
                Self.isSpecial(vocabulary.kinds[Int(id)], parsingControl: parsingControl) && vocabulary.isFindable(id)
            }
        }
        userDefined = pattern(parsingControl: false)
        all = pattern(parsingControl: true)
        self.vocabulary = vocabulary
    }

    /// Bytes of the tables of so many special tokens, of which some are user-defined.
    static func byteCount(special: Int, userDefined: Int) -> Int {
        2 * 256 * MemoryLayout<Bool>.stride + (special + userDefined) * 2 * MemoryLayout<Int32>.stride
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int {
        [userDefined, all].reduce(0) { $0 + $1.isFirstByte.heldBytes + $1.ids.heldBytes + $1.shorter.heldBytes }
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
        var waiting: [Int: [(start: Int, place: Int)]] = [:]
        func wait(_ start: Int, _ place: Int) {
            waiting[vocabulary.text(of: pattern.ids[place]).count, default: []].append((start, place))
        }
        for start in candidates {
            if let place = pattern.longestMatch(in: text, at: start, vocabulary) { wait(start, place) }
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

    private static func isSpecial(_ kind: Tokenizer.TokenKind, parsingControl: Bool) -> Bool {
        switch kind {
        case .userDefined: true
        case .control, .unknown: parsingControl
        case .normal, .unused, .byte: false
        }
    }
}
