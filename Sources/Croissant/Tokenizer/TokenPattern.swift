internal import GGUF

/// Tokens that are looked for in a text.
struct TokenPattern: Sendable {
    /// Whether a token begins with a byte, by byte: (256). Most positions of a text are ruled out by this.
    private(set) var isFirstByte = [Bool](repeating: false, count: 256)
    /// The tokens in the order of the bytes of what is looked for, so that those with a common beginning are neighbours.
    let ids: [Int32]
    /// By place in `ids`: the place of the longest token that the text of this one begins with, -1 if there is none.
    private(set) var shorter: [Int32]

    private let vocabulary: Vocabulary
    /// By place in `ids`: what is looked for; nil where the texts of the tokens are.
    private let texts: GGUFStrings?

    /// Those tokens of the vocabulary for which `isIncluded` holds, by their texts, which are not empty.
    init(_ vocabulary: Vocabulary, where isIncluded: (Int32) -> Bool) {
        let tokens = 0..<Int32(vocabulary.count)
        var ids: [Int32] = []
        ids.reserveCapacity(tokens.count(where: isIncluded))
        for id in tokens where isIncluded(id) { ids.append(id) }
        ids.sort { Self.precedes(vocabulary.text(of: $0), vocabulary.text(of: $1)) }
        self.vocabulary = vocabulary
        self.ids = ids
        texts = nil
        shorter = Array(repeating: -1, count: ids.count)
        link()
    }

    /// Tokens by other texts than their own: where several have the same, the first is found.
    init(_ vocabulary: Vocabulary, _ tokens: [(id: Int32, text: [UInt8])]) {
        let order = tokens.indices.sorted { left, right in
            let (leftText, rightText) = (tokens[left].text, tokens[right].text)
            if Self.precedes(leftText.span, rightText.span) { return true }
            return leftText == rightText && left < right
        }
        var kept: [Int] = []
        kept.reserveCapacity(order.count)
        for index in order where !tokens[index].text.isEmpty {
            if let last = kept.last, tokens[last].text == tokens[index].text { continue }
            kept.append(index)
        }
        var texts = GGUFStrings()
        texts.reserveCapacity(kept.count, byteCount: kept.reduce(0) { $0 + tokens[$1].text.count })
        for index in kept { texts.append(utf8: tokens[index].text) }
        self.vocabulary = vocabulary
        ids = kept.map { tokens[$0].id }
        self.texts = texts
        shorter = Array(repeating: -1, count: kept.count)
        link()
    }

    /// Fills in first bytes and shorter tokens.
    private mutating func link() {
        for place in ids.indices {
            isFirstByte[byte(place, at: 0)] = true
            // What this one begins with, if anything does, is the one before it, or what that one begins with.
            var candidate = Int32(place) - 1
            while candidate >= 0, !begins(place, with: Int(candidate)) { candidate = shorter[Int(candidate)] }
            shorter[place] = candidate
        }
    }

    /// Bytes of the tables of so many tokens.
    ///
    /// - Parameter textBytes: bytes of what is looked for, where it is not the texts of the tokens.
    static func byteCount(tokens: Int, textBytes: Int? = nil) -> Int {
        256 * MemoryLayout<Bool>.stride + tokens * 2 * MemoryLayout<Int32>.stride
            + (textBytes.map { $0 + tokens * MemoryLayout<Int>.stride } ?? 0)
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int { isFirstByte.heldBytes + ids.heldBytes + shorter.heldBytes + (texts?.heldBytes ?? 0) }

    /// Bytes of what is looked for.
    func length(_ place: Int) -> Int {
        texts?.utf8(at: place).count ?? vocabulary.text(of: ids[place]).count
    }

    /// The place of the longest token that stands at `start`; nil if none does.
    ///
    /// Complexity: O(bytes at `start` that some token begins with × log(tokens)).
    func longestMatch(in text: Span<UInt8>, at start: Int) -> Int? {
        guard isFirstByte[Int(text[start])] else { return nil }
        var found: Int?
        var range = 0..<ids.count  // Tokens with the bytes so far.
        var length = 0
        while !range.isEmpty, length < text.count - start {
            let byte = Int(text[start + length])
            let lower = firstIndex(in: range) { self.byte($0, at: length) >= byte }
            range = lower..<firstIndex(in: lower..<range.upperBound) { self.byte($0, at: length) > byte }
            length += 1
            if !range.isEmpty, self.length(range.lowerBound) == length { found = range.lowerBound }
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

    private func begins(_ place: Int, with other: Int) -> Bool {
        let length = length(other)
        guard length <= self.length(place) else { return false }
        for index in 0..<length where byte(place, at: index) != byte(other, at: index) { return false }
        return true
    }

    /// The first place of `range` from which on `isAfter` holds.
    private func firstIndex(in range: Range<Int>, where isAfter: (Int) -> Bool) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if isAfter(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// A byte of what is looked for; -1 behind its end, where it sorts.
    private func byte(_ place: Int, at index: Int) -> Int {
        if let texts {
            let text = texts.utf8(at: place)
            return index < text.count ? Int(text[index]) : -1
        }
        let text = vocabulary.text(of: ids[place])
        return index < text.count ? Int(text[index]) : -1
    }
}
