import GGUF

/// A token that a tokenizer's user has added to those of the training.
struct AddedToken: Sendable {
    /// Its text.
    let text: String
    /// Its id.
    let id: Int
    /// Whether it is structure, which ordinary text cannot produce.
    var isSpecial = false
    /// Whether it takes with it the white space before it.
    var stripsLeft = false
    /// Whether it takes with it the white space behind it.
    var stripsRight = false
    /// Whether it is found only as a word of its own.
    var isSingleWord = false
    /// Whether it is looked for in the text in normal form.
    var isNormalized = false

    /// A token without anything special.
    init(text: String, id: Int) {
        self.text = text
        self.id = id
    }

    /// Reads what tokenizer.json and tokenizer_config.json say of a token, but for its id.
    init(_ node: JSONNode, id: Int) throws(ConversionError) {
        self.init(text: try node["content"].string(), id: id)
        guard !text.isEmpty else { throw node["content"].error(expected: "a text that is not empty") }
        isSpecial = try node["special"].bool(default: false)
        stripsLeft = try node["lstrip"].bool(default: false)
        stripsRight = try node["rstrip"].bool(default: false)
        isSingleWord = try node["single_word"].bool(default: false)
        isNormalized = try node["normalized"].bool(default: false)
    }
}

/// A vocabulary on its way into a GGUF file: as many tokens as the embedding has rows.
struct ConvertedVocabulary: Sendable {
    /// `tokenizer.ggml.model`
    let model: Tokenizer.TokenizerModel
    /// `tokenizer.ggml.pre`
    var preTokenizer = "default"
    /// Scores of tokens, by id; nil for models without. (count)
    var scores: [Float]?
    /// Merges in the order of training, two texts with a space between.
    private(set) var merges = GGUFStrings()
    /// Whether a space is put before texts; nil where the model has no such thing.
    var addsSpacePrefix: Bool?
    /// Whether runs of spaces become one.
    var removesExtraSpaces = false
    /// What else happens to a text: keys of our own, as GGUF has none.
    var preparation = TextPreparation()
    /// How special tokens are found, in keys of our own too.
    private(set) var rules = AddedTokenRules()
    /// What was left out, and is nothing to worry about.
    private(set) var warnings: [String] = []

    /// What the file is called in messages.
    private let file: String
    /// Texts by id; nil for ids that no token has yet. (count)
    private var texts: [[UInt8]?]
    private(set) var kinds: [Tokenizer.TokenKind]
    private var ids: [[UInt8]: Int] = [:]
    /// Tokens that were added.
    private var added: [Int: AddedToken] = [:]
    /// Those of them that training had made.
    private var pieces: Set<Int> = []

    /// No tokens yet, of `count`.
    init(_ model: Tokenizer.TokenizerModel, count: Int, file: String) {
        self.model = model
        self.file = file
        texts = Array(repeating: nil, count: count)
        kinds = Array(repeating: .unused, count: count)
        ids.reserveCapacity(count)
    }

    /// The number of tokens, with those that have no text.
    var count: Int { texts.count }

    /// Whether no token has a text yet.
    var isEmpty: Bool { ids.isEmpty }

    /// The token with this text; nil where there is none.
    func id(of text: some Sequence<UInt8>) -> Int? { ids[Array(text)] }

    /// Places a token of the training.
    mutating func place(_ text: [UInt8], at id: Int, _ kind: Tokenizer.TokenKind) throws(ConversionError) {
        func invalid(expected: String, found: String) -> ConversionError {
            .invalidField(
                file: file, key: "token " + String(decoding: text, as: UTF8.self).quoted, expected: expected,
                found: found)
        }
        guard id >= 0, id < count else {
            throw invalid(expected: "an id below vocab_size, \(count)", found: "\(id)")
        }
        guard texts[id] == nil else {
            throw invalid(expected: "an id of its own", found: "\(id), which another token has")
        }
        guard ids.updateValue(id, forKey: text) == nil else {
            throw invalid(expected: "a text of its own", found: "two tokens of this text")
        }
        texts[id] = text
        kinds[id] = kind
    }

    /// Sets the merges, each two texts with a space between.
    mutating func setMerges(_ texts: [[UInt8]]) {
        merges = GGUFStrings()
        merges.reserveCapacity(texts.count, byteCount: texts.reduce(0) { $0 + $1.count })
        for text in texts { merges.append(utf8: text) }
    }

    /// Places an added token, or says that a token of the training is one.
    mutating func add(_ token: AddedToken) throws(ConversionError) {
        guard token.id < count else {
            // Such tokens were added to the tokenizer and not to the model, which cannot have seen them.
            warnings.append("token \(token.id) \(token.text.quoted) has no row in the embedding and is left out")
            return
        }
        let kind: Tokenizer.TokenKind = token.isSpecial ? .control : .userDefined
        if token.id >= 0, texts[token.id] == Array(token.text.utf8) {
            if added[token.id] == nil { pieces.insert(token.id) }
            // Which characters become the unknown token is for the model to say.
            if kinds[token.id] != .unknown { kinds[token.id] = kind }
        } else {
            try place(Array(token.text.utf8), at: token.id, kind)
        }
        added[token.id] = token
    }

    /// Says how the tokens that were added are found: as Hugging Face's `tokenizers` find them.
    ///
    /// - Parameter findsPieces: whether user-defined tokens that were not added are found while a text is cut into
    ///   characters, as SentencePiece finds them.
    mutating func setRules(findsPieces: Bool) {
        func ids(where isIncluded: (AddedToken) -> Bool) -> [Int32] {
            added.values.filter(isIncluded).map { Int32($0.id) }.sorted()
        }
        rules.isLeftmost = true
        rules.stripsLeft = ids { $0.stripsLeft }
        rules.stripsRight = ids { $0.stripsRight }
        rules.singleWords = ids { $0.isSingleWord }
        rules.normalized = ids { $0.isNormalized }
        rules.merged = ids { !$0.isSpecial && pieces.contains($0.id) }
        if findsPieces {
            rules.unsplit = kinds.indices.filter { kinds[$0] == .userDefined && added[$0] == nil }.map { Int32($0) }
        }
    }

    /// Adds a warning where some of the 256 bytes are no tokens of a byte-level vocabulary, which such a tokenizer can do
    /// without. Returns whether there are any at all: otherwise no text can be expressed.
    mutating func checkBytes() -> Bool {
        let missing = (0...255).filter { id(of: ByteAlphabet.spelling(of: [UInt8($0)].span)) == nil }.count
        if missing > 0 {
            warnings.append("\(missing) of the 256 bytes are no tokens: characters that have them cannot be expressed")
        }
        return missing < 256
    }

    /// Gives a name to ids without a token: rows of the embedding that only make its size a round number.
    private mutating func fillHoles() {
        for id in texts.indices where texts[id] == nil {
            var text = Array("[PAD\(id)]".utf8)
            while ids[text] != nil { text.append(UInt8(ascii: "_")) }
            ids[text] = id
            texts[id] = text
        }
    }

    /// The keys of the file.
    mutating func metadata() -> GGUFMetadata {
        fillHoles()
        // With no room to spare: a model can be used with these, and its memory is planned by what they hold.
        var tokens = GGUFStrings()
        tokens.reserveCapacity(count, byteCount: texts.reduce(0) { $0 + ($1?.count ?? 0) })
        for text in texts { tokens.append(utf8: text ?? []) }
        var metadata: GGUFMetadata = [
            "tokenizer.ggml.model": .string(model.rawValue),
            "tokenizer.ggml.pre": .string(preTokenizer),
            "tokenizer.ggml.tokens": .array(.string(tokens)),
        ]
        if let scores { metadata["tokenizer.ggml.scores"] = .array(.float32(scores)) }
        metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds.map { Int32($0.rawValue) }))
        if !merges.isEmpty { metadata["tokenizer.ggml.merges"] = .array(.string(merges)) }
        if let addsSpacePrefix { metadata["tokenizer.ggml.add_space_prefix"] = .bool(addsSpacePrefix) }
        if removesExtraSpaces { metadata["tokenizer.ggml.remove_extra_whitespaces"] = .bool(true) }
        preparation.add(to: &metadata)
        rules.add(to: &metadata)
        // So that nobody looks for signs of a preparation that a file says nothing about: there is none.
        if model == .sentencePiece, preparation == TextPreparation() { TextPreparation.addNone(to: &metadata) }
        return metadata
    }
}
