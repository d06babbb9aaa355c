import GGUF

/// Reads tokenizer.json, the file of Hugging Face's `tokenizers`, as far as its model is BPE.
///
/// Two families of tokenizers are written this way, which GGUF tells apart: byte-level BPE (`gpt2`), whose alphabet are
/// the 256 bytes, and BPE over characters with `▁` for spaces (`llama`), which SentencePiece has made common.
struct TokenizerJSON {
    private let root: JSONNode
    private let model: JSONNode
    /// What is done to the text, in order.
    let normalizers: [JSONNode]
    /// How it is cut into words, in order.
    let preTokenizers: [JSONNode]
    /// What the file is called in messages.
    var file: String { root.file }
    /// How many rows the embedding has.
    private let count: Int

    /// Looks at the parts of `root`, the top of the file.
    init(_ root: JSONNode, count: Int) throws(ConversionError) {
        self.root = root
        self.count = count
        model = root["model"]
        guard model.exists else { throw model.error(expected: "a model") }
        // Old versions wrote no type for BPE.
        guard try model["type"].optionalString() ?? "BPE" == "BPE" else {
            throw model["type"].unsupported("a tokenizer model other than BPE")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"]
        where try !(model[name].optionalString() ?? "").isEmpty {
            throw model[name].unsupported("marking of parts of words")
        }
        guard try model["dropout"].optionalNumber() ?? 0 == 0 else {
            throw model["dropout"].unsupported("leaving out merges at random")
        }
        normalizers = try Self.flatten(root["normalizer"], "normalizers")
        preTokenizers = try Self.flatten(root["pre_tokenizer"], "pretokenizers")
    }

    /// The parts of a sequence, of sequences in it, or a part by itself.
    private static func flatten(_ node: JSONNode, _ name: String) throws(ConversionError) -> [JSONNode] {
        guard node.exists else { return [] }
        guard try node["type"].string() == "Sequence" else { return [node] }
        var parts: [JSONNode] = []
        for part in try node[name].elements() { parts += try flatten(part, name) }
        return parts
    }

    /// The vocabulary.
    func vocabulary() throws(ConversionError) -> ConvertedVocabulary {
        if try isByteLevel { return try byteLevel() }
        return try sentencePiece()
    }

    /// Whether bytes are what is merged.
    private var isByteLevel: Bool {
        get throws(ConversionError) {
            let decoders = try Self.flatten(root["decoder"], "decoders")
            for part in preTokenizers + decoders where try part["type"].string() == "ByteLevel" { return true }
            return false
        }
    }

    /// The tokens that were added.
    static func addedTokens(_ root: JSONNode) throws(ConversionError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        for node in try root["added_tokens"].elements() {
            tokens.append(try AddedToken(node, id: try node["id"].int(0...Int(Int32.max))))
        }
        return tokens
    }

    /// Whether words that are tokens are not merged from their parts.
    var ignoresMerges: Bool {
        get throws(ConversionError) { try model["ignore_merges"].bool(default: false) }
    }

    /// What is wrong with `ignore_merges`, where the family of tokenizers does not go with it.
    var ignoredMergesError: ConversionError { model["ignore_merges"].unsupported("this use of merges") }
}

// MARK: - The two families

extension TokenizerJSON {
    private func byteLevel() throws(ConversionError) -> ConvertedVocabulary {
        var vocabulary = ConvertedVocabulary(.byteLevel, count: count, file: root.file)
        vocabulary.preTokenizer = try preTokenizerName()
        vocabulary.preparation.normalForms = try normalizers.map { node throws(ConversionError) in
            guard let name = Self.unicodeForms[try node["type"].string()] else {
                throw node["type"].unsupported("this normalization")
            }
            return name
        }
        let unknown = try model["unk_token"].optionalString()
        for (text, node) in try model["vocab"].members() {
            let isUnknown = text.utf8.elementsEqual((unknown ?? "").utf8)
            try vocabulary.place(Array(text.utf8), at: try id(node), isUnknown ? .unknown : .normal)
        }
        vocabulary.setMerges(try merges(in: vocabulary).map(\.text))
        guard vocabulary.checkBytes() else { throw model["vocab"].error(expected: "a token for each of the 256 bytes") }
        for token in try Self.addedTokens(root) { try vocabulary.add(token) }
        vocabulary.setRules(findsPieces: false)
        return vocabulary
    }

    private func sentencePiece() throws(ConversionError) -> ConvertedVocabulary {
        var vocabulary = ConvertedVocabulary(.sentencePiece, count: count, file: root.file)
        let cutsBeforeMarks = try readPreparation(into: &vocabulary)
        guard try !ignoresMerges else { throw ignoredMergesError }
        let unknown = try model["unk_token"].optionalString()
        let hasBytes = try model["byte_fallback"].bool(default: false)
        for (text, node) in try model["vocab"].members() {
            let kind: Tokenizer.TokenKind =
                if let unknown, text.utf8.elementsEqual(unknown.utf8) {
                    .unknown
                } else if hasBytes, Vocabulary.byte(named: Array(text.utf8).span) != nil {
                    .byte
                } else {
                    .normal
                }
            try vocabulary.place(Array(text.utf8), at: try id(node), kind)
        }
        guard !vocabulary.isEmpty else { throw model["vocab"].error(expected: "tokens") }
        // SentencePiece merges by the score of the result. The first merge that makes a token is where training made it;
        // what no merge makes comes last, as in SentencePiece's own files.
        var merges = try merges(in: vocabulary)
        // Nothing merges across the beginning of a word, whatever the list says.
        if cutsBeforeMarks { merges.removeAll { Self.hasInnerMark($0.text) } }
        var scores = [Float](repeating: -Float(merges.count), count: count)
        for (rank, merge) in merges.enumerated().reversed() { scores[merge.result] = -Float(rank) }
        for id in vocabulary.kinds.indices where vocabulary.kinds[id] == .byte || vocabulary.kinds[id] == .unknown {
            scores[id] = 0
        }
        vocabulary.scores = scores
        // Scores cannot say which of several ways to a token there are: programs that can, read the merges.
        vocabulary.setMerges(merges.map(\.text))
        for token in try Self.addedTokens(root) { try vocabulary.add(token) }
        vocabulary.setRules(findsPieces: false)
        // Who marks the spaces only matters to tokens in normal form.
        if vocabulary.rules.normalized.isEmpty, vocabulary.preparation.prependScheme == .never {
            vocabulary.preparation.prependScheme = nil
        }
        // Without an unknown token there is nothing to say.
        if unknown != nil { vocabulary.preparation.fusesUnknown = try model["fuse_unk"].bool(default: false) }
        return vocabulary
    }

    /// The id of an entry of the vocabulary.
    private func id(_ node: JSONNode) throws(ConversionError) -> Int { try node.int(0...Int(Int32.max)) }

    /// The merges, each with the token that it makes: written "a b" by old versions, ["a", "b"] by new ones.
    private func merges(
        in vocabulary: ConvertedVocabulary
    ) throws(ConversionError) -> [(text: [UInt8], result: Int)] {
        let space = UInt8(ascii: " ")
        return try model["merges"].elements().map { node throws(ConversionError) in
            let parts: [[UInt8]]
            if case .array? = node.value {
                parts = try node.elements().map { part throws(ConversionError) in Array(try part.string().utf8) }
            } else {
                parts = try node.string().utf8.split(separator: space, omittingEmptySubsequences: false)
                    .map { Array($0) }
            }
            // A space inside a part could not be told from the one between them.
            guard parts.count == 2, !parts.joined().contains(space) else {
                throw node.error(expected: "two tokens without spaces")
            }
            guard vocabulary.id(of: parts[0]) != nil, vocabulary.id(of: parts[1]) != nil,
                let result = vocabulary.id(of: parts[0] + parts[1])
            else { throw node.error(expected: "two tokens that together are a third") }
            return (parts[0] + [space] + parts[1], result)
        }
    }
}

// MARK: - Preparation of texts

extension TokenizerJSON {
    /// The normal forms of Unicode, by the type of a normalizer.
    private static let unicodeForms: [String: NormalForm] = ["NFC": .nfc, "NFD": .nfd, "NFKC": .nfkc, "NFKD": .nfkd]

    /// What stands for a space.
    private static let spaceMark = "▁"

    /// Whether a merge, two texts with a space between, makes a text with a mark that is not its beginning.
    private static func hasInnerMark(_ merge: [UInt8]) -> Bool {
        let mark = Array(spaceMark.utf8)
        return merge.indices.dropFirst().contains { merge[$0...].starts(with: mark) }
    }

    /// Reads how texts become characters to merge: in one of two ways, through the normalizer (`Prepend` and `Replace`)
    /// or through the pre-tokenizer (`Metaspace`).
    ///
    /// - Returns: whether a mark begins a word, which nothing before it is merged with.
    private func readPreparation(into vocabulary: inout ConvertedVocabulary) throws(ConversionError) -> Bool {
        var cutsBeforeMarks = false
        var marksSpaces = false
        var prefix = false
        for node in normalizers {
            let type = try node["type"].string()
            switch type {
            case "Prepend":
                guard try node["prepend"].string() == Self.spaceMark else {
                    throw node["prepend"].unsupported("a prefix of texts other than a space")
                }
                prefix = true
            case "Replace":
                guard try node["pattern"]["String"].optionalString() == " ",
                    try node["content"].string() == Self.spaceMark
                else { throw node.unsupported("replacing text") }
                marksSpaces = true
            default:
                // Behind the marks, which are no spaces any more, a normal form would do something else.
                guard let name = Self.unicodeForms[type], !marksSpaces, !prefix else {
                    throw node["type"].unsupported("this normalization")
                }
                vocabulary.preparation.normalForms.append(name)
            }
        }
        for node in preTokenizers {
            let type = try node["type"].string()
            switch type {
            case "Metaspace":
                guard !marksSpaces, !prefix else {
                    throw node["type"].unsupported("marking spaces behind other steps")
                }
                guard try node["replacement"].string() == Self.spaceMark else {
                    throw node["replacement"].unsupported("a mark of spaces other than ▁")
                }
                marksSpaces = true
                prefix = try readPrefix(node, into: &vocabulary)
                cutsBeforeMarks = try node["split"].bool(default: true)  // Old versions always did.
                // Each digit that was cut out before would get a space of its own.
                guard !vocabulary.preparation.splitsDigits || vocabulary.preparation.prependScheme != .always else {
                    throw node["type"].unsupported("marking spaces behind other steps")
                }
            case "Digits":
                guard try node["individual_digits"].bool(default: false) else {
                    throw node["individual_digits"].unsupported("cutting numbers out of words")
                }
                vocabulary.preparation.splitsDigits = true
            default:
                throw node["type"].unsupported("this way to cut texts into words")
            }
        }
        guard marksSpaces else { throw root["pre_tokenizer"].unsupported("BPE of characters without marks of spaces") }
        vocabulary.addsSpacePrefix = prefix
        return cutsBeforeMarks
    }

    /// Whether `Metaspace` puts a space before texts. Old versions wrote a truth value, new ones when.
    private func readPrefix(
        _ node: JSONNode, into vocabulary: inout ConvertedVocabulary
    ) throws(ConversionError) -> Bool {
        let isOldAndOff = try !node["add_prefix_space"].bool(default: true)
        let scheme = try node["prepend_scheme"].optionalString() ?? (isOldAndOff ? "never" : "always")
        guard ["always", "first", "never"].contains(scheme) else {
            throw node["prepend_scheme"].error(expected: "always, first or never")
        }
        vocabulary.preparation.prependScheme = TextPreparation.PrependScheme(rawValue: scheme)
        return scheme != "never"
    }
}
