public import GGUF

/// Turns text into the tokens of a model, and tokens into text, as the metadata of a GGUF file describe.
///
/// There are two kinds, named by `tokenizer.ggml.model`: SentencePiece's byte-pair encoding with scores ("llama": Kudo
/// and Richardson 2018, arXiv 1808.06226) and the byte-level one with a list of merges ("gpt2": Radford et al. 2019).
///
/// ```swift
/// let tokenizer = try Tokenizer(metadata: file.metadata)
/// let ids = tokenizer.encode("Bonjour")            // begins with the file's BOS
/// tokenizer.decode(ids)                            // "Bonjour"
/// ```
///
/// `decode` undoes `encode`, except for characters that the vocabulary cannot express, and that with SentencePiece's
/// vocabularies `▁` (U+2581) in a text comes back as a space. Everything is checked while loading: encoding and
/// decoding do not fail.
public struct Tokenizer: Sendable {
    /// The token that begins a text: nil where the vocabulary has none, as for the three below.
    public let bos: Int32?
    /// The token that ends a text.
    public let eos: Int32?
    /// The token that stands for what the vocabulary cannot express.
    public let unknown: Int32?
    /// The token that fills up batches of unequal length.
    public let padding: Int32?
    /// Every token that ends an answer. Configurations of one model contradict each other here: a chat model's file may
    /// name either its end of turn or its end of text as EOS, so that both belong to the set.
    public let endOfGeneration: Set<Int32>
    /// Whether the file wants ``bos`` before a text.
    public let addsBOS: Bool
    /// Whether the file wants ``eos`` after a text.
    public let addsEOS: Bool

    private let vocabulary: Vocabulary
    private let specialTokens: SpecialTokens
    private let algorithm: Algorithm
    private let preparation: TextPreparation
    /// What is done here that the file does not say, in order to get the tokens that its model was trained with.
    package let repairs: Set<TokenizerRepair>

    /// The tokenizer models there are, by the name that `tokenizer.ggml.model` gives them.
    enum TokenizerModel: String, CaseIterable {
        case sentencePiece = "llama"
        case byteLevel = "gpt2"

        /// Ids of BOS, EOS and the unknown token where the file does not name them; nil where there is no convention.
        var conventionalIDs: (bos: Int32, eos: Int32, unknown: Int32)? {
            switch self {
            case .sentencePiece: (1, 2, 0)
            case .byteLevel: nil
            }
        }
    }

    /// A tokenizer model with what it needs.
    private enum Algorithm {
        case sentencePiece(SentencePieceBPE)
        case byteLevel(ByteLevelBPE)

        /// Whether texts begin with BOS where the file does not say.
        var addsBOS: Bool {
            switch self {
            case .sentencePiece: true
            case .byteLevel(let bpe): bpe.preTokenizer.addsBOS
            }
        }

        /// What normal forms leave as it is, and is never cut apart; nil where there is nothing.
        var unsplit: TokenPattern? {
            if case .sentencePiece(let bpe) = self { bpe.unsplit } else { nil }
        }

        /// Whether spaces are marked before special tokens are looked for in texts in normal form.
        var marksBeforeCutting: Bool {
            if case .sentencePiece(let bpe) = self { bpe.marksBeforeCutting } else { false }
        }
    }

    /// Reads the `tokenizer.ggml.*` keys of a file.
    ///
    /// - Parameter metadata: the keys and values of the file.
    /// - Throws: ``TokenizerError/missingKey(_:)`` for a file without a tokenizer,
    ///   ``TokenizerError/unknownModel(found:known:)`` or ``TokenizerError/unknownPreTokenizer(found:known:)`` for one
    ///   of a kind that is not known, and the other cases of ``TokenizerError`` for a vocabulary that does not work.
    public init(metadata: GGUFMetadata) throws(TokenizerError) {
        let reader = TokenizerMetadata(metadata: metadata)
        try reader.checkOptions()
        guard let modelName = try reader.value("model", as: .string) else {
            throw .missingKey(TokenizerMetadata.prefix + "model")
        }
        guard let model = TokenizerModel(rawValue: modelName) else {
            throw .unknownModel(found: modelName, known: TokenizerModel.allCases.map(\.rawValue))
        }
        guard let texts = try reader.value("tokens", as: .exactStrings) else {
            throw .missingKey(TokenizerMetadata.prefix + "tokens")
        }
        let kinds = try reader.kinds(tokenCount: texts.count)
        var vocabulary = try Vocabulary(
            texts: texts, kinds: kinds ?? Array(repeating: .normal, count: texts.count),
            findsByteTokens: model == .sentencePiece)

        let ids = model.conventionalIDs
        let bos = try reader.id("bos_token_id", default: ids?.bos, of: .control, in: vocabulary)
        let eos = try reader.id("eos_token_id", default: ids?.eos, of: .control, in: vocabulary)
        unknown = try reader.id("unknown_token_id", default: ids?.unknown, of: .unknown, in: vocabulary)
        padding = try reader.padding(in: vocabulary)
        let ends = try [eos] + reader.ends(in: vocabulary)
        self.bos = bos
        self.eos = eos
        if kinds == nil {
            // The file does not say which tokens are special. These are, whatever the model.
            if let unknown { vocabulary.setKind(of: unknown, to: .unknown) }
            for id in ends + [bos] { if let id { vocabulary.setKind(of: id, to: .control) } }
        }
        endOfGeneration = Set(ends.compactMap { $0 })
            .union(Self.markEnds(in: &vocabulary, kindsAreKnown: kinds != nil))

        // A vocabulary with a token of this kind writes it. Files whose models have none declare `<unk>` a control
        // token, and what they were converted from drops the character.
        var written = unknown.flatMap { vocabulary.kinds[Int($0)] == .unknown ? $0 : nil }
        var repairs: Set<TokenizerRepair> = []
        let stated = try TextPreparation(metadata)
        if stated == nil, model == .sentencePiece, vocabulary.hasCroissantTokens {
            preparation = .croissantLLM
            repairs.insert(.croissantPreparation)
            written = nil  // Whatever kind the file gives to `<unk>`: the model was not trained on it.
        } else {
            preparation = stated ?? TextPreparation()
        }
        let rules = try AddedTokenRules(reader, in: vocabulary)
        if rules.isLeftmost {
            vocabulary.mergedUserDefined = rules.merged
        } else if model == .byteLevel {
            vocabulary.mergedUserDefined = []  // Each stands for its text as it is, which is looked for before.
        }
        switch model {
        case .sentencePiece:
            let bpe = try SentencePieceBPE(
                reader, preparation, vocabulary: vocabulary, unknown: written, unsplit: rules.unsplit)
            if bpe.ranksByID { repairs.insert(.mergeOrder) }
            algorithm = .sentencePiece(bpe)
        case .byteLevel:
            // The pre-tokenizer's name says how words are cut.
            for (name, isSet) in [
                ("split_digits", preparation.splitsDigits), ("prepend_scheme", preparation.prependScheme != nil),
                ("unsplit_token_ids", !rules.unsplit.isEmpty),
            ] where isSet {
                throw .unsupportedOption(key: TextPreparation.prefix + name, feature: "cutting bytes like characters")
            }
            algorithm = .byteLevel(try ByteLevelBPE(reader, vocabulary: vocabulary, unknown: written))
        }
        addsBOS = try reader.value("add_bos_token", as: .bool) ?? algorithm.addsBOS
        addsEOS = try reader.value("add_eos_token", as: .bool) ?? false
        specialTokens = SpecialTokens(vocabulary, rules) { [preparation, algorithm] text in
            Self.normalForm(of: text, preparation, algorithm)
        }
        self.vocabulary = vocabulary
        self.repairs = repairs
    }

    /// A key of our own with every token that ends an answer, an array of integers: configurations name more than GGUF
    /// has keys for.
    static let endsKey = TextPreparation.prefix + "eos_token_ids"

    /// Texts by which models name the end of a turn, of a text, or of a file of source code.
    private static let textsOfEnds = [
        "</s>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>",
        "<end_of_turn>", "<end_of_utterance>", "<EOT>", "<eos>", "<｜end▁of▁sentence｜>", "<|fim_pad|>",
        "<|repo_name|>", "<|file_sep|>",
    ]

    /// More tokens than these cannot be special in a file that gives no kinds: the unknown one, BOS, six ends that keys
    /// name, and those that are known by their texts.
    static var mostNamedTokens: Int { 8 + textsOfEnds.count }

    /// The tokens with a text of `textsOfEnds`, which become control tokens where the file calls them user-defined: an
    /// end of turn in ordinary text must not end it. One that is declared a normal piece of text is left one.
    private static func markEnds(in vocabulary: inout Vocabulary, kindsAreKnown: Bool) -> [Int32] {
        textsOfEnds.compactMap { text in
            guard let id = vocabulary.id(of: Array(text.utf8).span) else { return nil }
            switch vocabulary.kinds[Int(id)] {
            case .control: return id
            case .normal where kindsAreKnown: return nil
            case .unknown, .unused, .byte: return nil
            case .userDefined, .normal:
                vocabulary.setKind(of: id, to: .control)
                return id
            }
        }
    }
}

// MARK: - Vocabulary

extension Tokenizer {
    /// Bytes of its tables, with what the allocator has rounded up; texts and merges are the file's.
    package var heldTableBytes: Int {
        let own =
            switch algorithm {
            case .sentencePiece(let bpe): bpe.heldBytes
            case .byteLevel(let bpe): bpe.heldBytes
            }
        return vocabulary.heldBytes + specialTokens.heldBytes + own
    }

    /// Whether it has CroissantLLM's special tokens, in their places.
    var hasCroissantTokens: Bool { vocabulary.hasCroissantTokens }

    /// Number of tokens: ids are `0 ..< vocabularySize`.
    public var vocabularySize: Int { vocabulary.count }

    /// The text of token `id` as the vocabulary writes it, with `▁` or `Ġ` for spaces; nil where there is no such id.
    public func text(of id: Int32) -> String? {
        vocabulary.contains(id) ? vocabulary.string(of: id) : nil
    }

    /// What token `id` is for; nil where there is no such id.
    public func kind(of id: Int32) -> TokenKind? {
        vocabulary.contains(id) ? vocabulary.kinds[Int(id)] : nil
    }

    /// The token whose text, as the vocabulary writes it, is `text`: byte for byte, not by canonical equivalence. Nil
    /// where there is none.
    public func id(of text: String) -> Int32? {
        vocabulary.id(of: Array(text.utf8).span)
    }
}

// MARK: - Encoding

extension Tokenizer {
    /// The tokens of a text, and what is missing from them: what ``encoding(of:addBOS:parseSpecial:)`` gives.
    public struct Encoding: Sendable, Equatable {
        /// The tokens: ids from 0 to below ``Tokenizer/vocabularySize``.
        public var ids: [Int32] = []
        /// Characters without a token in a vocabulary that has no byte tokens and no unknown token either. They are
        /// left out, in the order of the text. Empty for most models.
        public var dropped: [Unicode.Scalar] = []
    }

    /// The tokens of a text: ids from 0 to below ``vocabularySize``.
    ///
    /// - Parameters:
    ///   - text: the text, of any length.
    ///   - addBOS: whether to begin with ``bos``; nil, the default, does what the file says. `false` also leaves out
    ///     ``eos`` in files that end texts with it, so that the result can be joined to other tokens.
    ///   - parseSpecial: whether the texts of control tokens, such as `</s>`, become those tokens, as they do by
    ///     default. With `false` they are ordinary text, and no input can produce a control token.
    public func encode(_ text: String, addBOS: Bool? = nil, parseSpecial: Bool = true) -> [Int32] {
        encoding(of: text, addBOS: addBOS, parseSpecial: parseSpecial).ids
    }

    /// As ``encode(_:addBOS:parseSpecial:)``, and says which characters the vocabulary cannot express.
    ///
    /// - Parameters:
    ///   - text: the text, of any length.
    ///   - addBOS: whether to begin with ``bos``; nil, the default, does what the file says.
    ///   - parseSpecial: whether the texts of control tokens become those tokens, as they do by default.
    public func encoding(of text: String, addBOS: Bool? = nil, parseSpecial: Bool = true) -> Encoding {
        var result = Encoding()
        if addBOS ?? addsBOS, let bos { result.ids.append(bos) }
        let bytes = Array(text.utf8)
        let fragments = specialTokens.partition(bytes, parsingControl: parseSpecial)
        var merger = Merger()
        for (index, fragment) in fragments.enumerated() {
            switch fragment {
            case .token(let id): result.ids.append(id)
            case .text(let range) where preparation.normalForms.isEmpty && !specialTokens.looksInNormalForm:
                append(bytes.span.extracting(range), isFirst: index == 0, &merger, to: &result)
            case .text(let range) where !specialTokens.looksInNormalForm:
                let section = preparation.normalized(Array(bytes[range]), keeping: algorithm.unsplit)
                append(section.span, isFirst: index == 0, &merger, to: &result)
            case .text(let range):
                let section = Self.normalForm(of: Array(bytes[range]), preparation, algorithm)
                let parts = specialTokens.partitionNormalForm(section, parsingControl: parseSpecial)
                for (place, part) in parts.enumerated() {
                    switch part {
                    case .token(let id): result.ids.append(id)
                    case .text(let range):
                        append(
                            section.span.extracting(range), isFirst: index == 0 && place == 0,
                            isMarked: algorithm.marksBeforeCutting, &merger, to: &result)
                    }
                }
            }
        }
        if addsEOS, addBOS != false, let eos { result.ids.append(eos) }
        return result
    }

    /// What becomes of a text before special tokens are looked for that are in normal form.
    private static func normalForm(
        of text: [UInt8], _ preparation: TextPreparation, _ algorithm: Algorithm
    ) -> [UInt8] {
        let normalized = preparation.normalized(text, keeping: algorithm.unsplit)
        guard case .sentencePiece(let bpe) = algorithm, bpe.marksBeforeCutting else { return normalized }
        return bpe.marked(normalized)
    }

    /// Appends the tokens of what lies between special tokens.
    private func append(
        _ section: Span<UInt8>, isFirst: Bool, isMarked: Bool = false, _ merger: inout Merger, to result: inout Encoding
    ) {
        switch algorithm {
        case .sentencePiece(let bpe):
            bpe.encode(section, isFirst: isFirst, isMarked: isMarked, merger: &merger, into: &result)
        case .byteLevel(let bpe): bpe.encode(section, merger: &merger, into: &result)
        }
    }
}

// MARK: - Decoding

extension Tokenizer {
    /// Whether encoding puts a space before what follows a special token.
    private func beginsSection(after id: Int32) -> Bool {
        guard case .sentencePiece(let bpe) = algorithm else { return true }
        guard bpe.prefixesEverySection, !bpe.isUnsplit(id) else { return false }
        // Where the normalizer puts the space, it has done so before the text was cut.
        return !(bpe.marksBeforeCutting && specialTokens.isNormalized(id))
    }

    /// The text of tokens, with U+FFFD for bytes that are not valid UTF-8.
    ///
    /// - Parameters:
    ///   - ids: the tokens. Ids outside the vocabulary have no text.
    ///   - skipSpecial: whether control and unknown tokens are left out, as they are by default.
    public func decode(_ ids: some Sequence<Int32>, skipSpecial: Bool = true) -> String {
        String(decoding: decodeBytes(ids, skipSpecial: skipSpecial), as: UTF8.self)
    }

    /// The text of tokens as bytes, which need not be valid UTF-8: byte tokens give exactly their byte.
    ///
    /// - Parameters:
    ///   - ids: the tokens. Ids outside the vocabulary have no text.
    ///   - skipSpecial: whether control and unknown tokens are left out, as they are by default.
    public func decodeBytes(_ ids: some Sequence<Int32>, skipSpecial: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = []
        var startsSection = true
        for id in ids { append(id, to: &bytes, skipSpecial: skipSpecial, startsSection: &startsSection) }
        return bytes
    }

    /// Appends the text of one token.
    ///
    /// - Parameter startsSection: whether encoding would put a space in front here, which then is no part of the text:
    ///   true at the start of a text, and set here for the next token.
    func append(_ id: Int32, to bytes: inout [UInt8], skipSpecial: Bool, startsSection: inout Bool) {
        guard vocabulary.contains(id) else { return }
        let text = vocabulary.text(of: id)
        switch vocabulary.kinds[Int(id)] {
        case .control, .unknown:
            if !skipSpecial { for index in text.indices { bytes.append(text[index]) } }
            // BOS is no part of the text: what follows it may still be the first.
            startsSection = beginsSection(after: id) || startsSection && id == bos
        case .byte:
            if let byte = vocabulary.byte(of: id) { bytes.append(byte) }
            startsSection = false
        case .normal, .userDefined, .unused:
            switch algorithm {
            case .sentencePiece(let bpe):
                let containsSpace = bpe.appendDecoded(text, startsSection: startsSection, to: &bytes)
                // A user-defined token with `▁` comes from merging spaces, every other one from the partition of the
                // text.
                startsSection =
                    vocabulary.kinds[Int(id)] == .userDefined && !containsSpace && beginsSection(after: id)
            case .byteLevel where !vocabulary.isMergeable(id):
                for index in text.indices { bytes.append(text[index]) }  // Found in the text as it is.
            case .byteLevel(let bpe):
                bpe.appendDecoded(text, to: &bytes)
            }
        }
    }
}
