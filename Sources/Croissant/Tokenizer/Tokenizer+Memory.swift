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
            + SpecialTokens.byteCount(special: special, userDefined: userDefined)
    }
}

extension Array {
    /// The memory that the elements have, in bytes: those there are, and those that there is room for.
    var heldBytes: Int { capacity * MemoryLayout<Element>.stride }
}
