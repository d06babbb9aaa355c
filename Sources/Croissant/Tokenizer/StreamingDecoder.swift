/// Decodes tokens one at a time into text that is always whole: a character that spans several tokens appears with its
/// last one.
///
/// The pieces joined are exactly what `Tokenizer.decode` returns for all the tokens at once.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecial: Bool
    private var startsSection = true
    /// The first bytes of a character, at most three.
    private var pending: [UInt8] = []

    /// A decoder at the start of a text, or after a token.
    ///
    /// - Parameters:
    ///   - tokenizer: what the tokens mean.
    ///   - previous: the token before the first that will be fed: the last one of the prompt. Nil at the start of a
    ///     text, where a first space is the prefix that encoding adds and no part of the text.
    ///   - skipSpecial: whether control and unknown tokens are left out, as ``Tokenizer/decode(_:skipSpecial:)`` does.
    public init(_ tokenizer: Tokenizer, after previous: Int32? = nil, skipSpecial: Bool = true) {
        self.tokenizer = tokenizer
        self.skipSpecial = skipSpecial
        if let previous {
            var ignored: [UInt8] = []
            tokenizer.append(previous, to: &ignored, skipSpecial: true, startsSection: &startsSection)
        }
    }

    /// Takes the next token and returns the characters that it completes, often none. Bytes that cannot become valid
    /// UTF-8 any more are returned as U+FFFD at once. An `id` outside the vocabulary has no text.
    public mutating func feed(_ id: Int32) -> String {
        tokenizer.append(id, to: &pending, skipSpecial: skipSpecial, startsSection: &startsSection)
        let kept = Self.incompleteSuffix(of: pending)
        let text = String(decoding: pending.dropLast(kept), as: UTF8.self)
        pending.removeFirst(pending.count - kept)
        return text
    }

    /// Ends the text: returns U+FFFD for a character that was not completed, otherwise nothing.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end begin a character that further bytes could complete. A byte that begins a character
    /// ends whatever stood before it, so that cutting in front of one never changes how the rest is repaired.
    private static func incompleteSuffix(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let suffix = bytes.suffix(length)
            guard let lead = suffix.first else { return 0 }
            if lead & 0xC0 == 0x80 { continue }  // A continuation: its lead stands further left.
            return isPrefixOfCharacter(lead: lead, second: suffix.dropFirst().first, count: length) ? length : 0
        }
        return 0
    }

    /// Whether a lead byte and the continuations after it, `count` bytes in all, are the beginning of a character and
    /// not yet all of it. Table 3-7 of the Unicode standard: only the second byte is further restricted.
    private static func isPrefixOfCharacter(lead: UInt8, second: UInt8?, count: Int) -> Bool {
        let length: Int
        let allowedSecond: ClosedRange<UInt8>
        switch lead {
        case 0xC2...0xDF: (length, allowedSecond) = (2, 0x80...0xBF)
        case 0xE0: (length, allowedSecond) = (3, 0xA0...0xBF)
        case 0xED: (length, allowedSecond) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, allowedSecond) = (3, 0x80...0xBF)
        case 0xF0: (length, allowedSecond) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, allowedSecond) = (4, 0x80...0xBF)
        case 0xF4: (length, allowedSecond) = (4, 0x80...0x8F)
        default: return false
        }
        guard count < length else { return false }
        return second.map(allowedSecond.contains) ?? true
    }
}
