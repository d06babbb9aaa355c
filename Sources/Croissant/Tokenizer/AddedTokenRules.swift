internal import GGUF

/// How special tokens are found in a text, as far as the keys of GGUF do not say it: keys below `croissant.tokenizer`,
/// which other programs ignore. Without them they are found as llama.cpp finds them.
///
/// Each list has ids in ascending order, each once.
struct AddedTokenRules: Sendable, Equatable {
    /// Whether the leftmost token is found first, and there the longest: as Hugging Face's `tokenizers` do it. The lists
    /// below, but for the last, only count where it is so. `special_token_order`, a string: `leftmost`.
    var isLeftmost = false
    /// Tokens that take with them the white space before them: `lstrip_token_ids`, as all lists an array of integers.
    var stripsLeft: [Int32] = []
    /// Tokens that take with them the white space behind them: `rstrip_token_ids`.
    var stripsRight: [Int32] = []
    /// Tokens that are found only as a word of their own: `single_word_token_ids`.
    var singleWords: [Int32] = []
    /// Tokens that are looked for, in normal form themselves, in the text in normal form: `normalized_token_ids`.
    var normalized: [Int32] = []
    /// User-defined tokens that are pieces of the vocabulary too, which merging may make: `merged_token_ids`.
    var merged: [Int32] = []
    /// User-defined pieces of a SentencePiece model, which are found while the text is cut into characters and are never
    /// merged: `unsplit_token_ids`.
    var unsplit: [Int32] = []

    private static let order = TextPreparation.prefix + "special_token_order"
    private static let leftmost = "leftmost"

    /// The lists, by the names of their keys.
    private static let lists: [(name: String, path: any WritableKeyPath<Self, [Int32]> & Sendable)] = [
        ("lstrip_token_ids", \.stripsLeft), ("rstrip_token_ids", \.stripsRight),
        ("single_word_token_ids", \.singleWords), ("normalized_token_ids", \.normalized),
        ("merged_token_ids", \.merged), ("unsplit_token_ids", \.unsplit),
    ]

    /// Longest first over the whole text, as llama.cpp does it.
    init() {}

    /// Reads the keys.
    init(_ reader: TokenizerMetadata, in vocabulary: Vocabulary) throws(TokenizerError) {
        let order: String?
        do throws(GGUFError) { order = try reader.metadata.value(Self.order, as: .string) } catch {
            throw .metadata(error)
        }
        guard order == nil || order == Self.leftmost else {
            throw .unsupportedOption(key: Self.order, feature: "the value \((order ?? "").quoted)")
        }
        isLeftmost = order != nil
        for (name, path) in Self.lists {
            let ids = try reader.ids(TextPreparation.prefix + name, in: vocabulary)
            self[keyPath: path] = Self.ordered(ids)
        }
    }

    /// The ids in ascending order, each once, with no room to spare.
    private static func ordered(_ ids: [Int32]) -> [Int32] {
        let sorted = ids.sorted()
        let kept = sorted.indices.filter { $0 == 0 || sorted[$0] != sorted[$0 - 1] }
        return kept.map { sorted[$0] }
    }

    /// Writes the keys.
    func add(to metadata: inout GGUFMetadata) {
        if isLeftmost { metadata[Self.order] = .string(Self.leftmost) }
        for (name, path) in Self.lists where !self[keyPath: path].isEmpty {
            metadata[TextPreparation.prefix + name] = .array(.uint32(self[keyPath: path].map { UInt32($0) }))
        }
    }

    /// What a file has in a list, unchecked.
    static func ids(_ list: KeyPath<Self, [Int32]>, _ metadata: GGUFMetadata) -> [Int] {
        lists.first { $0.path == list }.flatMap { metadata[TextPreparation.prefix + $0.name]?.asInts } ?? []
    }

    /// Whether a file asks for the leftmost token first.
    static func isLeftmost(_ metadata: GGUFMetadata) -> Bool { metadata[order] != nil }

    /// Bytes of the lists that a file has.
    static func byteCount(_ metadata: GGUFMetadata) -> Int {
        lists.reduce(0) { bytes, list in
            bytes + (metadata[TextPreparation.prefix + list.name]?.asArray?.count ?? 0) * MemoryLayout<Int32>.stride
        }
    }

    /// Bytes of the lists, with what the allocator has rounded up.
    var heldBytes: Int { Self.lists.reduce(0) { $0 + self[keyPath: $1.path].heldBytes } }
}

extension [Int32] {
    /// Whether an ascending list has an id.
    ///
    /// Complexity: O(log n).
    func hasInOrder(_ id: Int32) -> Bool {
        var range = indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if self[middle] == id { return true }
            range = self[middle] < id ? (middle + 1)..<range.upperBound : range.lowerBound..<middle
        }
        return false
    }
}
