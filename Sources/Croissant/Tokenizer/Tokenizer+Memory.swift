package import GGUF

extension Tokenizer {
    /// Bytes of the tables that a tokenizer with these metadata makes, beside the arrays of the metadata themselves,
    /// which it uses where they are: predicted without making them.
    ///
    /// Exact for files that say what kind each token is, but for eight bytes for each special token without a text that
    /// could be found, and for each end of a turn that the file calls user-defined. For others every token that may
    /// turn out to be special is counted: some hundred bytes. Never too few, but for what the allocator rounds up: less
    /// than a page for each of the ten tables.
    package static func tableBytes(for metadata: GGUFMetadata) -> Int {
        let prefix = TokenizerMetadata.prefix
        guard let model = metadata[prefix + "model"]?.asString.flatMap(TokenizerModel.init(rawValue:)),
            let tokens = metadata[prefix + "tokens"]?.asArray?.count
        else { return 0 }
        var special = mostNamedTokens + (metadata[Tokenizer.endsKey]?.asArray?.count ?? 0)
        var userDefined = 0
        if let kinds = metadata[prefix + "token_type"]?.asArray?.asInts {
            userDefined = kinds.count { $0 == TokenKind.userDefined.rawValue }
            special = userDefined
            for kind in [TokenKind.control, .unknown] { special += kinds.count { $0 == kind.rawValue } }
        }
        let merges = metadata[prefix + "merges"]?.asArray?.count ?? 0
        let algorithm =
            switch model {
            case .sentencePiece: SentencePieceBPE.byteCount(tokens: tokens, merges: merges)
            case .byteLevel: ByteLevelBPE.byteCount(merges: merges)
            }
        return Vocabulary.byteCount(tokens: tokens) + algorithm
            + specialBytes(for: metadata, special: special, userDefined: userDefined)
    }

    /// Bytes of the tables of special tokens, of which there are so many.
    private static func specialBytes(for metadata: GGUFMetadata, special: Int, userDefined: Int) -> Int {
        let kinds = metadata[TokenizerMetadata.prefix + "token_type"]?.asInts ?? []
        func ids(_ list: KeyPath<AddedTokenRules, [Int32]>, of included: [TokenKind]) -> Set<Int> {
            Set(AddedTokenRules.ids(list, metadata)).filter { id in
                kinds.indices.contains(id) && included.contains { $0.rawValue == kinds[id] }
            }
        }
        let isLeftmost = AddedTokenRules.isLeftmost(metadata)
        let unsplit = ids(\.unsplit, of: [.userDefined])
        let normalized =
            isLeftmost ? ids(\.normalized, of: [.userDefined, .control, .unknown]).subtracting(unsplit) : []
        var bytes =
            AddedTokenRules.byteCount(metadata)
            + TokenPattern.byteCount(tokens: max(special - normalized.count - unsplit.count, 0))
            + TokenPattern.byteCount(tokens: isLeftmost ? 0 : max(userDefined - unsplit.count, 0))
        if !unsplit.isEmpty { bytes += TokenPattern.byteCount(tokens: unsplit.count) }
        if !normalized.isEmpty, case .string(let texts)? = metadata[TokenizerMetadata.prefix + "tokens"]?.asArray {
            let preparation = (try? TextPreparation(metadata)) ?? TextPreparation()
            let findable = normalized.lazy.filter { texts.indices.contains($0) && Vocabulary.isFindable(texts, at: $0) }
            let textBytes = findable.reduce(0) { bytes, id in
                let text = preparation.normalized(texts.bytes(at: id))
                // Spaces are marked, and one may come before.
                return bytes + text.count + 2 * text.count { $0 == UInt8(ascii: " ") } + 3
            }
            bytes += TokenPattern.byteCount(tokens: normalized.count, textBytes: textBytes)
        }
        return bytes
    }
}

extension Array {
    /// The memory that the elements have, in bytes: those there are, and those that there is room for.
    var heldBytes: Int { capacity * MemoryLayout<Element>.stride }
}
