internal import GGUF

extension Tokenizer {
    /// What a token is for. The raw values are those of `tokenizer.ggml.token_type`.
    public enum TokenKind: Int, Sendable, CaseIterable {
        /// A piece of text.
        case normal = 1
        /// Stands for text that the vocabulary cannot express.
        case unknown = 2
        /// Structure, such as the end of a turn: never produced from ordinary text, not shown in output.
        case control = 3
        /// A piece of text that is found before anything is merged, and is never split.
        case userDefined = 4
        /// Text that no training data contained.
        case unused = 5
        /// One byte, for characters that no other token covers.
        case byte = 6
    }
}

/// The tokens of a model: id → text and kind, and text → id.
///
/// The way from text to id is an open-addressing hash table over the file's own strings: a lookup hashes a span of the
/// caller's bytes and compares in place, so it allocates nothing. That matters because merging asks for some three
/// texts per input character, and because a dictionary of 32 000 `String`s takes longer to build than all the rest of
/// the tokenizer.
struct Vocabulary: Sendable {
    /// Kind of each token, by id.
    private(set) var kinds: [Tokenizer.TokenKind]
    /// The user-defined tokens that merging may make, in ascending order; nil for all of them.
    var mergedUserDefined: [Int32]?

    /// Text of each token, by id.
    private let texts: GGUFStrings
    /// Length in bytes of the longest text: nothing longer needs to be looked up.
    let longestText: Int
    /// A power of two of slots, at most half of them taken: the upper half of the hash in the upper half, id + 1 in the
    /// lower, 0 when free. Comparing hashes first spares nearly every visit to `texts` that would end in "no".
    private let slots: [UInt64]
    /// What hashes begin with: another number in each run, or a file could hold texts that all want the same slots.
    private let seed = UInt64.random(in: 0...UInt64.max)

    /// Number of tokens.
    var count: Int { kinds.count }

    /// Checks the texts of all tokens and their kinds, one per token, and builds the table.
    ///
    /// Published files contain tokens without text (ids that were reserved and never used). They keep their id, decode
    /// to nothing, and no lookup finds them.
    ///
    /// - Parameter findsByteTokens: whether a token with a text like `<0x0A>` is a byte token where the file calls it
    ///   normal, as files without token types do, and converters that did not know this one.
    /// - Throws: `TokenizerError` for a vocabulary that is empty or too large, a text that occurs twice, and a byte
    ///   token whose text names no byte.
    init(texts: GGUFStrings, kinds: [Tokenizer.TokenKind], findsByteTokens: Bool) throws(TokenizerError) {
        precondition(texts.count == kinds.count, "one kind per token")
        guard !texts.isEmpty else { throw .emptyVocabulary }
        guard texts.count < Int(Int32.max) else { throw .vocabularyTooLarge(tokens: texts.count) }
        self.texts = texts
        self.kinds = kinds

        let capacity = Self.slotCount(tokens: texts.count)
        let mask = capacity - 1
        var slots = [UInt64](repeating: 0, count: capacity)
        var longest = 0
        for id in 0..<texts.count {
            let text = texts.utf8(at: id)
            if kinds[id] == .byte {
                guard Self.byte(named: text) != nil else {
                    throw .malformedByteToken(id: Int32(id), text: texts[id])
                }
            } else if findsByteTokens, kinds[id] == .normal, Self.byte(named: text) != nil {
                self.kinds[id] = .byte
            }
            if text.isEmpty { continue }
            longest = max(longest, text.count)
            let hash = Self.hash(text, seed)
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] != 0 {
                let other = Self.id(inSlot: slots[slot])
                if slots[slot] >> 32 == hash >> 32, Self.areEqual(texts.utf8(at: other), text) {
                    throw .duplicateToken(text: texts[id], first: Int32(other), second: Int32(id))
                }
                slot = (slot + 1) & mask
            }
            slots[slot] = (hash >> 32) << 32 | UInt64(id + 1)
        }
        self.slots = slots
        longestText = longest
    }

    private static func slotCount(tokens: Int) -> Int {
        var capacity = 16
        while capacity < 2 * tokens { capacity *= 2 }
        return capacity
    }

    /// Bytes of the tables of so many tokens; their texts are the file's.
    static func byteCount(tokens: Int) -> Int {
        tokens * MemoryLayout<Tokenizer.TokenKind>.stride + slotCount(tokens: tokens) * MemoryLayout<UInt64>.stride
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int { kinds.heldBytes + slots.heldBytes }

    /// Whether the vocabulary has a token of this id.
    func contains(_ id: Int32) -> Bool {
        id >= 0 && id < count
    }

    /// Text of a token, as the file writes it.
    @_lifetime(borrow self)
    func text(of id: Int32) -> Span<UInt8> {
        texts.utf8(at: Int(id))
    }

    /// Text of a token, copied.
    func bytes(of id: Int32) -> [UInt8] { texts.bytes(at: Int(id)) }

    /// Text of a token as a string, repaired where it is not valid UTF-8.
    func string(of id: Int32) -> String {
        texts[Int(id)]
    }

    /// Whether the text of a token can be looked for in another: it is not empty and valid UTF-8.
    func isFindable(_ id: Int32) -> Bool { Self.isFindable(texts, at: Int(id)) }

    /// The same for one of `texts`, before there is a vocabulary.
    static func isFindable(_ texts: GGUFStrings, at index: Int) -> Bool {
        let repaired = Array(texts[index].utf8)
        return !repaired.isEmpty && areEqual(repaired.span, texts.utf8(at: index))
    }

    /// The byte that a token of kind `.byte` stands for; nil for other tokens.
    func byte(of id: Int32) -> UInt8? {
        kinds[Int(id)] == .byte ? Self.byte(named: text(of: id)) : nil
    }

    /// Declares a token to be of another kind than the file says.
    mutating func setKind(of id: Int32, to kind: Tokenizer.TokenKind) {
        kinds[Int(id)] = kind
    }

    /// Whether ordinary text can become this token by merging.
    func isMergeable(_ id: Int32) -> Bool {
        switch kinds[Int(id)] {
        case .normal, .unused: true
        case .userDefined: mergedUserDefined?.hasInOrder(id) ?? true
        case .unknown, .control, .byte: false
        }
    }

    /// The token with exactly this text that merging may make.
    func mergeable(_ text: Span<UInt8>) -> Int32? {
        guard let id = id(of: text), isMergeable(id) else { return nil }
        return id
    }

    /// The token with exactly this text.
    ///
    /// Complexity: O(length of `text`), without allocation.
    func id(of text: Span<UInt8>) -> Int32? {
        guard !text.isEmpty, text.count <= longestText else { return nil }
        let hash = Self.hash(text, seed)
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let id = Self.id(inSlot: slots[slot])
            if slots[slot] >> 32 == hash >> 32, Self.areEqual(texts.utf8(at: id), text) { return Int32(id) }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private static func id(inSlot slot: UInt64) -> Int {
        Int(UInt32(truncatingIfNeeded: slot)) - 1
    }

    /// FNV-1a from `seed` on, its upper half folded into the lower: in FNV no low bit depends on a higher one.
    private static func hash(_ text: Span<UInt8>, _ seed: UInt64) -> UInt64 {
        var hash = seed
        for index in text.indices {
            hash = (hash ^ UInt64(text[index])) &* 0x0000_0100_0000_01b3
        }
        return hash ^ (hash >> 32)
    }

    private static func areEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }

    /// The value of a text of the form `<0x0A>`; nil for any other text.
    static func byte(named text: Span<UInt8>) -> UInt8? {
        guard text.count == 6, text[0] == UInt8(ascii: "<"), text[1] == UInt8(ascii: "0"),
            text[2] == UInt8(ascii: "x"), text[5] == UInt8(ascii: ">")
        else { return nil }
        guard let high = hexadecimalDigit(text[3]), let low = hexadecimalDigit(text[4]) else { return nil }
        return high << 4 | low
    }

    private static func hexadecimalDigit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
