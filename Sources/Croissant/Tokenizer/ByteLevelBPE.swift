internal import GGUF

/// The tokenizer model that GGUF calls `gpt2`: byte-level BPE with a list of merges.
///
/// The text is cut into words, and these into bytes, each of which is a token. As long as two neighbouring tokens are a
/// merge of the list, the first merge of the list (the leftmost of equals) makes one token of them. The vocabulary
/// writes every byte as a printable character, `Ġ` for a space.
struct ByteLevelBPE: Sendable {
    /// How texts are cut into words.
    let preTokenizer: PreTokenizer

    private let vocabulary: Vocabulary
    private let merges: MergeTable
    /// The token of each byte; nil in vocabularies that lack it: (256).
    private let byteTokens: [Int32?]
    /// What stands for a character one of whose bytes has no token; nil where such characters are dropped.
    private let unknown: Int32?
    private let expressesAllBytes: Bool

    /// - Parameters:
    ///   - merges: as the file lists them, the two tokens of each separated by a space. One whose tokens or whose
    ///     result the vocabulary does not have never happens; of several for the same two tokens the first counts.
    ///   - unknown: the token to write for characters that cannot be expressed, where the vocabulary has one.
    init(vocabulary: Vocabulary, merges: GGUFStrings, unknown: Int32?, preTokenizer: PreTokenizer) {
        self.vocabulary = vocabulary
        self.unknown = unknown
        self.preTokenizer = preTokenizer
        self.merges = MergeTable(merges, vocabulary.mergeable)
        byteTokens = (0...255).map { byte in
            vocabulary.mergeable(ByteAlphabet.spelling(of: [byte].span).span)
        }
        expressesAllBytes = !byteTokens.contains(nil)
    }

    /// Bytes of the tables for so many merges, beside the vocabulary.
    static func byteCount(merges: Int) -> Int {
        MergeTable.byteCount(merges: merges) + 256 * MemoryLayout<Int32?>.stride
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int { merges.heldBytes + byteTokens.heldBytes }

    /// Reads what a file says beside its vocabulary. A file that names no pre-tokenizer is refused: whatever way of
    /// cutting texts one assumed, most such files' models would get tokens that they were not trained on.
    init(_ reader: TokenizerMetadata, vocabulary: Vocabulary, unknown: Int32?) throws(TokenizerError) {
        guard let merges = try reader.value("merges", as: .exactStrings) else {
            throw .missingKey(TokenizerMetadata.prefix + "merges")
        }
        guard let name = try reader.value("pre", as: .string) else {
            throw .missingPreTokenizer(known: PreTokenizer.names)
        }
        self.init(
            vocabulary: vocabulary, merges: merges, unknown: unknown, preTokenizer: try PreTokenizer.named(name))
    }

    /// Appends the tokens of a text that contains no special tokens.
    ///
    /// - Parameters:
    ///   - text: valid UTF-8.
    ///   - merger: working memory, kept from call to call.
    ///
    /// Complexity: O(n log n) in the length of the longest word.
    func encode(_ text: Span<UInt8>, merger: inout Merger, into result: inout Tokenizer.Encoding) {
        var start = 0
        while start < text.count {
            let end = preTokenizer.endOfWord(in: text, from: start)
            encode(word: text.extracting(start..<end), &merger, &result)
            start = end
        }
    }

    /// Appends the bytes that a token's text stands for. A text that is not written in the alphabet of bytes stands for
    /// itself.
    func appendDecoded(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        let count = bytes.count
        var position = 0
        while position < text.count {
            guard let (byte, end) = ByteAlphabet.byte(in: text, at: position) else {
                bytes.removeSubrange(count...)
                for index in text.indices { bytes.append(text[index]) }
                return
            }
            bytes.append(byte)
            position = end
        }
    }

    private func encode(word: Span<UInt8>, _ merger: inout Merger, _ result: inout Tokenizer.Encoding) {
        if preTokenizer.ignoresMerges, word.count <= vocabulary.longestText,
            let id = vocabulary.mergeable(ByteAlphabet.spelling(of: word).span)
        {
            result.ids.append(id)
            return
        }
        merger.startWord()
        if expressesAllBytes {
            for index in word.indices { merger.append(length: 1, token: byteTokens[Int(word[index])]) }
        } else {
            appendCharacters(of: word, to: &merger, dropped: &result.dropped)
        }
        merger.merge { left, right in
            guard let left = left.token, let right = right.token else { return nil }
            return merges[left, right]
        }
        merger.forEachSymbol { symbol in
            if let token = symbol.token { result.ids.append(token) }
        }
    }

    /// Adds a word's bytes to the merger, character by character: one of which not every byte has a token becomes the
    /// unknown token or is dropped, so that what stood on both sides becomes neighbours.
    private func appendCharacters(of word: Span<UInt8>, to merger: inout Merger, dropped: inout [Unicode.Scalar]) {
        var start = 0
        while start < word.count {
            let (scalar, end) = word.scalar(at: start)
            if (start..<end).allSatisfy({ byteTokens[Int(word[$0])] != nil }) {
                for index in start..<end { merger.append(length: 1, token: byteTokens[Int(word[index])]) }
            } else if let unknown {
                merger.append(length: end - start, token: unknown)
            } else {
                dropped.append(scalar)
            }
            start = end
        }
    }
}

// MARK: - Alphabet

/// The characters by which GPT-2's vocabulary, and all that follow it, write bytes: printable characters of Latin-1
/// stand for their own code, and the 68 other bytes, in ascending order, have the characters from U+0100.
enum ByteAlphabet {
    /// Code of the character of each byte: (256).
    private static let codes: [UInt16] = {
        var next: UInt16 = 0x100
        return (0...255).map { (byte: UInt16) in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                defer { next += 1 }
                return next
            }
        }
    }()

    /// Byte of each character by its code, nil for characters that stand for none: (0x144).
    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 0x144)
        for (byte, code) in codes.enumerated() { bytes[Int(code)] = UInt8(byte) }
        return bytes
    }()

    /// Bytes in the alphabet, as UTF-8.
    static func spelling(of bytes: Span<UInt8>) -> [UInt8] {
        var spelling: [UInt8] = []
        spelling.reserveCapacity(2 * bytes.count)
        for index in bytes.indices {
            let code = codes[Int(bytes[index])]
            if code < 0x80 {
                spelling.append(UInt8(code))
            } else {
                spelling.append(UInt8(0xC0 | code >> 6))
                spelling.append(UInt8(0x80 | code & 0x3F))
            }
        }
        return spelling
    }

    /// The byte that the character at `start` stands for, and where that ends; nil for what is no such character. The
    /// text need not be valid UTF-8.
    static func byte(in text: Span<UInt8>, at start: Int) -> (byte: UInt8, end: Int)? {
        var code = Int(text[start])
        var end = start + 1
        if code >= 0x80 {
            guard end < text.count, (0xC2...0xC5).contains(code), text[end] & 0xC0 == 0x80 else { return nil }
            code = (code & 0x1F) << 6 | Int(text[end] & 0x3F)
            end += 1
        }
        guard code < bytes.count, let byte = bytes[code] else { return nil }
        return (byte, end)
    }
}
