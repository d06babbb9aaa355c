internal import GGUF

/// The tokenizer model that GGUF calls `llama`: SentencePiece's BPE with a score per token.
///
/// Spaces become `▁`, the text is cut into characters, and as long as two neighbours together are a token, the pair
/// with the highest score (the leftmost of equals) becomes one symbol. Characters that end up in no token are written
/// as byte tokens. Control, unknown and byte tokens are not merged into, as in SentencePiece: text alone cannot produce
/// them.
struct SentencePieceBPE: Sendable {
    /// `▁` (U+2581), which stands for a space, in UTF-8.
    private static let space: [UInt8] = [0xE2, 0x96, 0x81]

    /// How text is prepared, from the file's metadata.
    struct Options: Sendable {
        /// A space is put before the text and before what follows a special token.
        var addsSpacePrefix = true
        /// Runs of spaces become one, and spaces at both ends go.
        var removesExtraSpaces = false
    }

    private let vocabulary: Vocabulary
    private let options: Options
    /// When each token is merged, by id: the lowest rank first. (count)
    private let ranks: [UInt32]
    /// The token of each byte, where there is one: (256).
    private let byteTokens: [Int32?]
    /// What stands for a character that has neither a token nor byte tokens; nil where such characters are dropped.
    private let unknown: Int32?
    /// Whether some token has `▁` right after this byte, by byte: (256). Where it has not, no merge can reach across
    /// the boundary, and the words on both sides of it are merged on their own, which keeps the queue short.
    private let joinsSpace: [Bool]
    /// Whether there can be characters that are dropped.
    private let dropsCharacters: Bool

    private static let neverMerged = UInt32.max

    /// - Parameters:
    ///   - scores: one per token, or nil where the file has none.
    ///   - unknown: the token to write for characters that cannot be expressed, where the vocabulary has one.
    init(vocabulary: Vocabulary, scores: [Float]?, unknown: Int32?, options: Options) {
        self.vocabulary = vocabulary
        self.options = options
        self.unknown = unknown
        ranks = Self.ranks(vocabulary: vocabulary, scores: scores)

        var byteTokens = [Int32?](repeating: nil, count: 256)
        var joinsSpace = [Bool](repeating: false, count: 256)
        for id in 0..<Int32(vocabulary.count) {
            if let byte = vocabulary.byte(of: id) {
                byteTokens[Int(byte)] = byteTokens[Int(byte)] ?? id
            } else if ranks[Int(id)] != Self.neverMerged {
                let text = vocabulary.text(of: id)
                for index in text.indices.dropFirst() where Self.isSpace(text, at: index) {
                    joinsSpace[Int(text[index - 1])] = true
                }
            }
        }
        self.byteTokens = byteTokens
        self.joinsSpace = joinsSpace
        dropsCharacters = unknown == nil && byteTokens.contains(nil)
    }

    /// Bytes of the tables for so many tokens, beside the vocabulary.
    static func byteCount(tokens: Int) -> Int {
        tokens * MemoryLayout<UInt32>.stride + 256 * (MemoryLayout<Int32?>.stride + MemoryLayout<Bool>.stride)
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int { ranks.heldBytes + byteTokens.heldBytes + joinsSpace.heldBytes }

    /// Reads what a file says beside its vocabulary.
    init(_ reader: TokenizerMetadata, vocabulary: Vocabulary, unknown: Int32?) throws(TokenizerError) {
        let options = Options(
            addsSpacePrefix: try reader.value("add_space_prefix", as: .bool) ?? true,
            removesExtraSpaces: try reader.value("remove_extra_whitespaces", as: .bool) ?? false)
        self.init(
            vocabulary: vocabulary, scores: try reader.scores(tokenCount: vocabulary.count), unknown: unknown,
            options: options)
    }

    /// Appends the tokens of a text that contains no special tokens.
    ///
    /// - Parameters:
    ///   - text: valid UTF-8.
    ///   - startsSection: whether the text is the first, or follows a special token.
    ///   - merger: working memory, kept from call to call.
    ///
    /// Complexity: O(n log n) in the length of the longest stretch without a boundary between words.
    func encode(
        _ text: Span<UInt8>, startsSection: Bool, merger: inout Merger, into result: inout Tokenizer.Encoding
    ) {
        let escaped = escape(text, startsSection: startsSection, dropped: &result.dropped)
        var followsUnknown = false  // A run of unknown characters becomes one unknown token.
        var wordStart = 0
        var position = 0
        while position < escaped.count {
            if position > wordStart, Self.isSpace(escaped.span, at: position), !joinsSpace[Int(escaped[position - 1])] {
                merge(escaped.span.extracting(wordStart..<position), &merger, &result.ids, &followsUnknown)
                wordStart = position
            }
            position += Span.scalarLength(lead: escaped[position])
        }
        merge(escaped.span.extracting(wordStart..<escaped.count), &merger, &result.ids, &followsUnknown)
    }

    /// Appends the text of a token with spaces in place of `▁`, and returns whether there was one.
    ///
    /// - Parameter startsSection: whether `encode` would put a space in front here, which then is no part of the text.
    func appendDecoded(_ text: Span<UInt8>, startsSection: Bool, to bytes: inout [UInt8]) -> Bool {
        var containsSpace = false
        var position = 0
        while position < text.count {
            if Self.isSpace(text, at: position) {
                let isPrefix = position == 0 && startsSection && options.addsSpacePrefix
                if !isPrefix { bytes.append(UInt8(ascii: " ")) }
                containsSpace = true
                position += Self.space.count
            } else {
                bytes.append(text[position])
                position += 1
            }
        }
        return containsSpace
    }
}

// MARK: - Preparation

extension SentencePieceBPE {
    /// The text with `▁` for every space, the prefix where one is due, and without what cannot be expressed.
    ///
    /// Characters are dropped before merging, as Hugging Face's tokenizers do: what stood on both sides becomes
    /// neighbours.
    private func escape(
        _ text: Span<UInt8>, startsSection: Bool, dropped: inout [Unicode.Scalar]
    ) -> [UInt8] {
        var end = text.count
        if options.removesExtraSpaces {
            while end > 0, text[end - 1] == UInt8(ascii: " ") { end -= 1 }
            if text.extracting(first: end).indices.allSatisfy({ text[$0] == UInt8(ascii: " ") }) { return [] }
        }
        var escaped: [UInt8] = []
        escaped.reserveCapacity(end + end / 2 + Self.space.count)
        let expressesSpace = !dropsCharacters || canExpress(Self.space.span)
        if startsSection, options.addsSpacePrefix, expressesSpace { escaped += Self.space }

        var followsSpace = true
        var position = 0
        while position < end {
            let length = Span.scalarLength(lead: text[position])
            let scalar = text.extracting(position..<(position + length))
            position += length
            let isSpace = scalar[0] == UInt8(ascii: " ")
            defer { followsSpace = isSpace }
            if isSpace, followsSpace, options.removesExtraSpaces { continue }
            if isSpace ? !expressesSpace : dropsCharacters && !canExpress(scalar) {
                let bytes = scalar.indices.map { scalar[$0] }
                dropped.append(contentsOf: String(decoding: bytes, as: UTF8.self).unicodeScalars)
            } else if isSpace {
                escaped += Self.space
            } else {
                for index in scalar.indices { escaped.append(scalar[index]) }
            }
        }
        return escaped
    }

    private func canExpress(_ scalar: Span<UInt8>) -> Bool {
        mergeable(scalar) != nil || scalar.indices.allSatisfy { byteTokens[Int(scalar[$0])] != nil }
    }

    private static func isSpace(_ text: Span<UInt8>, at index: Int) -> Bool {
        text[index] == space[0] && text.count - index >= 3 && text[index + 1] == space[1] && text[index + 2] == space[2]
    }
}

// MARK: - Ranks

extension SentencePieceBPE {
    /// The order of merging. Scores rank from the highest; where all are the same they say nothing, and the id takes
    /// their place: training appends tokens in the order of their merges, and some converters of files without a
    /// SentencePiece model wrote a constant.
    private static func ranks(vocabulary: Vocabulary, scores: [Float]?) -> [UInt32] {
        let normal = vocabulary.kinds.indices.lazy.filter { vocabulary.kinds[$0] == .normal }
        var useful = scores
        if let scores, let first = normal.first, normal.allSatisfy({ rank(scores[$0]) == rank(scores[first]) }) {
            useful = nil
        }
        return vocabulary.kinds.indices.map { id in
            switch vocabulary.kinds[id] {
            case .normal, .userDefined, .unused: useful.map { rank($0[id]) } ?? UInt32(id)
            case .unknown, .control, .byte: neverMerged
            }
        }
    }

    /// An integer that orders as the scores do, highest first: the bits of a float ascend with its value as soon as
    /// the sign is taken care of. NaN, which orders with nothing, comes last.
    private static func rank(_ score: Float) -> UInt32 {
        let bits = (score.isNaN ? -.infinity : score + 0).bitPattern  // + 0 makes one zero of two.
        let ascending = bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
        return ~ascending
    }
}

// MARK: - Merging

extension SentencePieceBPE {
    /// Appends the tokens of one stretch of escaped text.
    private func merge(
        _ word: Span<UInt8>, _ merger: inout Merger, _ ids: inout [Int32], _ followsUnknown: inout Bool
    ) {
        merger.startWord()
        var position = 0
        while position < word.count {
            let length = Span.scalarLength(lead: word[position])
            merger.append(length: length, token: nil)
            position += length
        }
        merger.merge { left, right in
            let text = word.extracting(left.start..<right.range.upperBound)
            return mergeable(text).map { Merger.Merge(rank: ranks[Int($0)], token: $0) }
        }
        merger.forEachSymbol { symbol in
            let bytes = word.extracting(symbol.range)
            if let id = symbol.token ?? mergeable(bytes) {
                ids.append(id)
                followsUnknown = false
            } else {
                appendFallback(bytes, &ids, &followsUnknown)
            }
        }
    }

    /// The token of this text that merging may produce.
    private func mergeable(_ text: Span<UInt8>) -> Int32? {
        guard let id = vocabulary.id(of: text), ranks[Int(id)] != Self.neverMerged else { return nil }
        return id
    }

    /// Appends the byte tokens of a character, or the unknown token where one is missing.
    private func appendFallback(_ character: Span<UInt8>, _ ids: inout [Int32], _ followsUnknown: inout Bool) {
        let count = ids.count
        for index in character.indices {
            guard let id = byteTokens[Int(character[index])] else {
                ids.removeSubrange(count...)
                if let unknown, !followsUnknown { ids.append(unknown) }
                followsUnknown = true
                return
            }
            ids.append(id)
        }
        followsUnknown = false
    }
}
