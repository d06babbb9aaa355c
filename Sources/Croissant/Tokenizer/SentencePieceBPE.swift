internal import GGUF

/// The tokenizer model that GGUF calls `llama`: SentencePiece's BPE with a score per token, or with a list of merges.
///
/// Spaces become `▁`, the text is cut into characters, and as long as two neighbours together are a token, the pair
/// with the highest score (the leftmost of equals) becomes one symbol. Scores cannot say which of several ways to a
/// token there are: a file that lists the merges is merged by these. Characters that end up in no token are written
/// as byte tokens. Control, unknown and byte tokens are not merged into, as in SentencePiece: text alone cannot produce
/// them.
struct SentencePieceBPE: Sendable {
    /// `▁` (U+2581), which stands for a space, in UTF-8.
    private static let space: [UInt8] = [0xE2, 0x96, 0x81]
    private static let spaceMark: Unicode.Scalar = "\u{2581}"

    /// How text is prepared, from the file's metadata.
    struct Options: Sendable {
        /// A space is put before the text and before what follows a special token.
        var addsSpacePrefix = true
        /// Runs of spaces become one, and spaces at both ends go.
        var removesExtraSpaces = false
        /// Every digit (`\p{N}`) is a word of its own.
        var splitsDigits = false
        /// When a space is put before a text that does not begin with one; nil where it does not matter how it begins.
        var prependScheme: TextPreparation.PrependScheme?
        /// A run of characters that nothing else stands for becomes one unknown token.
        var fusesUnknown = true
    }

    private let vocabulary: Vocabulary
    private let options: Options
    /// When each token is merged, by id: the lowest rank first. (count; 0 where there are merges)
    private let ranks: [UInt32]
    /// What is merged; nil where the ranks say it.
    private let merges: MergeTable?
    /// Whether the scores say nothing of the order of merging, so that the ids do.
    let ranksByID: Bool
    /// The token of each byte, where there is one: (256).
    private let byteTokens: [Int32?]
    /// What stands for a character that has neither a token nor byte tokens; nil where such characters are dropped.
    private let unknown: Int32?
    /// Whether some token has `▁` right after this byte, by byte: (256). Where it has not, no merge can reach across
    /// the boundary, and the words on both sides of it are merged on their own, which keeps the queue short.
    private let joinsSpace: [Bool]
    /// Whether there can be characters that are dropped.
    private let dropsCharacters: Bool
    /// What is found while the text is cut into characters, and is never merged; nil where there is nothing.
    let unsplit: TokenPattern?
    private let unsplitIDs: [Int32]

    /// - Parameters:
    ///   - scores: one per token, or nil where the file has none.
    ///   - merges: two texts each, with a space between, the earliest first; nil where the file has none.
    ///   - unknown: the token to write for characters that cannot be expressed, where the vocabulary has one.
    ///   - unsplit: user-defined tokens that are found while the text is cut into characters, in ascending order.
    init(
        vocabulary: Vocabulary, scores: [Float]?, merges: GGUFStrings?, unknown: Int32?, unsplit: [Int32] = [],
        options: Options
    ) {
        self.vocabulary = vocabulary
        self.options = options
        self.unknown = unknown
        let pattern = TokenPattern(vocabulary) { id in
            vocabulary.kinds[Int(id)] == .userDefined && unsplit.hasInOrder(id) && vocabulary.isFindable(id)
        }
        self.unsplit = pattern.ids.isEmpty ? nil : pattern
        unsplitIDs = unsplit
        if let merges {
            self.merges = MergeTable(merges, vocabulary.mergeable)
            ranks = []
            ranksByID = false
        } else {
            self.merges = nil
            ranksByID = !Self.areUseful(scores, vocabulary)
            ranks = Self.ranks(ranksByID ? nil : scores, count: vocabulary.count)
        }

        var byteTokens = [Int32?](repeating: nil, count: 256)
        var joinsSpace = [Bool](repeating: false, count: 256)
        for id in 0..<Int32(vocabulary.count) {
            if let byte = vocabulary.byte(of: id) {
                byteTokens[Int(byte)] = byteTokens[Int(byte)] ?? id
            } else if vocabulary.isMergeable(id) {
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
    ///
    /// - Parameter merges: how many merges the file lists.
    static func byteCount(tokens: Int, merges: Int) -> Int {
        (merges > 0 ? MergeTable.byteCount(merges: merges) : tokens * MemoryLayout<UInt32>.stride)
            + 256 * (MemoryLayout<Int32?>.stride + MemoryLayout<Bool>.stride)
    }

    /// Bytes of its tables, with what the allocator has rounded up.
    var heldBytes: Int {
        ranks.heldBytes + (merges?.heldBytes ?? 0) + byteTokens.heldBytes + joinsSpace.heldBytes
            + (unsplit?.heldBytes ?? 0)
    }

    /// Reads what a file says beside its vocabulary.
    init(
        _ reader: TokenizerMetadata, _ preparation: TextPreparation, vocabulary: Vocabulary, unknown: Int32?,
        unsplit: [Int32]
    ) throws(TokenizerError) {
        let options = Options(
            addsSpacePrefix: try reader.value("add_space_prefix", as: .bool) ?? true,
            removesExtraSpaces: try reader.value("remove_extra_whitespaces", as: .bool) ?? false,
            splitsDigits: preparation.splitsDigits, prependScheme: preparation.prependScheme,
            fusesUnknown: preparation.fusesUnknown)
        let merges = try reader.value("merges", as: .exactStrings)
        self.init(
            vocabulary: vocabulary, scores: try reader.scores(tokenCount: vocabulary.count),
            merges: merges.flatMap { $0.isEmpty ? nil : $0 }, unknown: unknown, unsplit: unsplit, options: options)
    }

    /// Appends the tokens of a text that contains no special tokens.
    ///
    /// - Parameters:
    ///   - text: valid UTF-8.
    ///   - isFirst: whether the text is the first; otherwise it follows a special token.
    ///   - isMarked: whether `marked` has prepared it.
    ///   - merger: working memory, kept from call to call.
    ///
    /// Complexity: O(n log n) in the length of the longest stretch without a boundary between words.
    func encode(
        _ text: Span<UInt8>, isFirst: Bool, isMarked: Bool = false, merger: inout Merger,
        into result: inout Tokenizer.Encoding
    ) {
        let takesPrefix = !isMarked && !text.isEmpty && takesPrefix(text, isFirst: isFirst)
        let (escaped, cuts) = escape(text, takesPrefix: takesPrefix, dropped: &result.dropped)
        var followsUnknown = false  // A run of unknown characters becomes one unknown token.
        var wordStart = 0
        var position = 0
        var nextCut = 0
        var followsDigit = false
        let findsUnsplit = unsplit != nil
        while position < escaped.count {
            if findsUnsplit, let unsplit, let place = unsplit.longestMatch(in: escaped.span, at: position) {
                merge(escaped.span.extracting(wordStart..<position), &merger, &result.ids, &followsUnknown)
                result.ids.append(unsplit.ids[place])
                followsUnknown = false
                followsDigit = false
                position += unsplit.length(place)
                wordStart = position
                continue
            }
            let (scalar, end) = escaped.span.scalar(at: position)
            let isDigit = options.splitsDigits && scalar.isNumber
            var isBoundary = isDigit || followsDigit
            while nextCut < cuts.count, cuts[nextCut] <= position {
                isBoundary = true
                nextCut += 1
            }
            // Only what is not cut apart before merging becomes one unknown token.
            let fuses = !isBoundary
            if !isBoundary, position > wordStart, scalar == Self.spaceMark {
                isBoundary = !joinsSpace[Int(escaped[position - 1])]
            }
            if isBoundary, position > wordStart {
                merge(escaped.span.extracting(wordStart..<position), &merger, &result.ids, &followsUnknown)
                wordStart = position
                followsUnknown = followsUnknown && fuses
            }
            followsDigit = isDigit
            position = end
        }
        merge(escaped.span.extracting(wordStart..<escaped.count), &merger, &result.ids, &followsUnknown)
    }

    /// Whether encoding puts a space before what follows a special token, as it does before a text.
    var prefixesEverySection: Bool { options.prependScheme != .first }

    /// Whether spaces are marked before tokens are looked for that are in normal form: by a normalizer, as long as no
    /// `Metaspace` does it.
    var marksBeforeCutting: Bool { options.prependScheme == nil }

    /// Whether a token is found while the text is cut into characters.
    func isUnsplit(_ id: Int32) -> Bool { vocabulary.kinds[Int(id)] == .userDefined && unsplitIDs.hasInOrder(id) }

    /// The text with the prefix where one is due and `▁` for every space.
    func marked(_ text: [UInt8]) -> [UInt8] {
        guard !text.isEmpty else { return [] }
        var marked: [UInt8] = []
        marked.reserveCapacity(text.count + text.count / 2 + Self.space.count)
        if options.addsSpacePrefix { marked += Self.space }
        for byte in text {
            if byte == UInt8(ascii: " ") { marked += Self.space } else { marked.append(byte) }
        }
        return marked
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
    ///
    /// - Returns: the text, and where in it a digit was dropped, which was a word of its own.
    private func escape(
        _ text: Span<UInt8>, takesPrefix: Bool, dropped: inout [Unicode.Scalar]
    ) -> (text: [UInt8], cuts: [Int]) {
        guard text.count > 0 else { return ([], []) }  // Normalisation can leave nothing.
        var end = text.count
        if options.removesExtraSpaces {
            while end > 0, text[end - 1] == UInt8(ascii: " ") { end -= 1 }
            if text.extracting(first: end).indices.allSatisfy({ text[$0] == UInt8(ascii: " ") }) { return ([], []) }
        }
        var cuts: [Int] = []
        var escaped: [UInt8] = []
        escaped.reserveCapacity(end + end / 2 + Self.space.count)
        let expressesSpace = !dropsCharacters || canExpress(Self.space.span)
        if takesPrefix, expressesSpace { escaped += Self.space }

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
                let (character, _) = scalar.scalar(at: 0)
                dropped.append(character)
                if options.splitsDigits, character.isNumber { cuts.append(escaped.count) }
            } else if isSpace {
                escaped += Self.space
            } else {
                for index in scalar.indices { escaped.append(scalar[index]) }
            }
        }
        if options.removesExtraSpaces {
            while escaped.count >= 3, Self.isSpace(escaped.span, at: escaped.count - 3) { escaped.removeLast(3) }
        }
        return (escaped, cuts)
    }

    private func takesPrefix(_ text: Span<UInt8>, isFirst: Bool) -> Bool {
        guard options.addsSpacePrefix, isFirst || prefixesEverySection else { return false }
        guard options.prependScheme != nil else { return true }
        return text[0] != UInt8(ascii: " ") && !Self.isSpace(text, at: 0)
    }

    private func canExpress(_ scalar: Span<UInt8>) -> Bool {
        vocabulary.mergeable(scalar) != nil || scalar.indices.allSatisfy { byteTokens[Int(scalar[$0])] != nil }
    }

    private static func isSpace(_ text: Span<UInt8>, at index: Int) -> Bool {
        text[index] == space[0] && text.count - index >= 3 && text[index + 1] == space[1] && text[index + 2] == space[2]
    }
}

// MARK: - Ranks

extension SentencePieceBPE {
    /// Whether scores say in which order tokens merge. Where all are the same they do not, and the ids take their
    /// place: training appends tokens in the order of their merges, and some converters of files without a
    /// SentencePiece model wrote a constant.
    private static func areUseful(_ scores: [Float]?, _ vocabulary: Vocabulary) -> Bool {
        guard let scores else { return false }
        let normal = vocabulary.kinds.indices.lazy.filter { vocabulary.kinds[$0] == .normal }
        guard let first = normal.first else { return true }
        return !normal.allSatisfy { rank(scores[$0]) == rank(scores[first]) }
    }

    /// The order of merging, by id: scores rank from the highest, ids from the lowest.
    private static func ranks(_ scores: [Float]?, count: Int) -> [UInt32] {
        scores.map { $0.map(rank) } ?? (0..<count).map { UInt32($0) }
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
            let token = merges == nil ? nil : vocabulary.mergeable(word.extracting(position..<(position + length)))
            merger.append(length: length, token: token)
            position += length
        }
        if let merges {
            merger.merge { left, right in
                guard let left = left.token, let right = right.token else { return nil }
                return merges[left, right]
            }
        } else {
            merger.merge { left, right in
                let text = word.extracting(left.start..<right.range.upperBound)
                return vocabulary.mergeable(text).map { Merger.Merge(rank: ranks[Int($0)], token: $0) }
            }
        }
        merger.forEachSymbol { symbol in
            let bytes = word.extracting(symbol.range)
            if let id = symbol.token ?? vocabulary.mergeable(bytes) {
                ids.append(id)
                followsUnknown = false
            } else {
                appendFallback(bytes, &ids, &followsUnknown)
            }
        }
    }

    /// Appends the byte tokens of a character, or the unknown token where one is missing.
    private func appendFallback(_ character: Span<UInt8>, _ ids: inout [Int32], _ followsUnknown: inout Bool) {
        let count = ids.count
        for index in character.indices {
            guard let id = byteTokens[Int(character[index])] else {
                ids.removeSubrange(count...)
                if let unknown, !(followsUnknown && options.fusesUnknown) { ids.append(unknown) }
                followsUnknown = true
                return
            }
            ids.append(id)
        }
        followsUnknown = false
    }
}

extension Unicode.Scalar {
    /// Whether it is of the category N: decimal digits, letters that are numbers, and others such as ².
    fileprivate var isNumber: Bool {
        if isASCII { return ("0"..."9").contains(self) }
        return switch properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }
}
