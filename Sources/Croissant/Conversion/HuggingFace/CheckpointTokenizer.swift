package import GGUF

/// The tokenizer of a checkpoint, as the keys of a GGUF file: of tokenizer.json where there is one, which says most,
/// else of tokenizer.model; what is special about which token comes from the configurations beside them.
package struct CheckpointTokenizer {
    /// The keys.
    package private(set) var metadata: GGUFMetadata
    /// What was left out, and is nothing to worry about.
    package private(set) var warnings: [String]

    private let vocabulary: ConvertedVocabulary
    private let json: JSONNode
    /// tokenizer_config.json, special_tokens_map.json, config.json, generation_config.json
    private let options: JSONNode
    private let specialTokens: JSONNode
    private let configuration: JSONNode
    private let generation: JSONNode
    /// Ids that tokenizer.model gives, by the name of the key.
    private let modelIDs: [String: Int]

    /// Reads the tokenizer of `folder`.
    ///
    /// - Parameters:
    ///   - configuration: the top of config.json.
    ///   - count: the rows of the embedding.
    ///   - name: what its tokenizer.json is called.
    init(
        _ folder: CheckpointFolder, configuration: JSONNode, count: Int, name: String = "tokenizer.json"
    ) throws(ConversionError) {
        json = try folder.json(name)
        options = try folder.json("tokenizer_config.json")
        specialTokens = try folder.json("special_tokens_map.json")
        generation = try folder.json("generation_config.json")
        self.configuration = configuration
        var vocabulary: ConvertedVocabulary
        if json.exists {
            vocabulary = try TokenizerJSON(json, count: count).vocabulary()
            modelIDs = [:]
        } else if let bytes = try folder.bytes("tokenizer.model") {
            let model = try SentencePieceModel(bytes, file: folder.path(of: "tokenizer.model"))
            vocabulary = try model.vocabulary(
                count: count, added: try Self.addedTokens(options, try folder.json("added_tokens.json")))
            modelIDs = ["unk": model.unknown, "bos": model.bos, "eos": model.eos, "pad": model.padding]
        } else {
            throw .missingFile(folder: folder.path, expected: "tokenizer.json or tokenizer.model")
        }
        metadata = vocabulary.metadata()
        warnings = vocabulary.warnings
        self.vocabulary = vocabulary
        try addSpecialTokens()
        try addEnds()
        try addTemplateMarks()
        try addChatTemplates(folder)
    }

    /// Reads the tokenizer of a folder that need not have a config.json.
    package init(folder: String, count: Int) throws(ConversionError) {
        let folder = CheckpointFolder(path: folder)
        try self.init(folder, configuration: try folder.json("config.json"), count: count)
    }

    /// Whether it says itself that texts get BOS and EOS, or that they do not.
    var statesMarks: Bool { json["post_processor"].exists || options.exists }

    /// Tokens that were added to a SentencePiece model: by id in tokenizer_config.json, or by text in
    /// added_tokens.json.
    private static func addedTokens(
        _ options: JSONNode, _ older: JSONNode
    ) throws(ConversionError) -> [AddedToken] {
        let range = 0...Int(Int32.max)
        var tokens: [AddedToken] = []
        for (name, node) in try options["added_tokens_decoder"].members() {
            guard let id = Int(name), range.contains(id) else { throw node.error(expected: "an id as a name") }
            var token = try AddedToken(node, id: id)
            token.isNormalized = false  // What is in normal form is for SentencePiece to say.
            tokens.append(token)
        }
        guard tokens.isEmpty else { return tokens }
        for (text, node) in try older.members() {
            tokens.append(AddedToken(text: text, id: try node.int(range)))
        }
        return tokens
    }
}

// MARK: - Special tokens

extension CheckpointTokenizer {
    /// The id of the token that `node` names by its text, as a string or as an object with `content`.
    private func id(of node: JSONNode) throws(ConversionError) -> Int? {
        guard node.exists else { return nil }
        let text: String? =
            if case .object? = node.value { try node["content"].optionalString() } else { try node.optionalString() }
        return text.flatMap { vocabulary.id(of: $0.utf8) }
    }

    /// The ids that config.json or generation_config.json has under a name: one, or a list of them. Those that the
    /// vocabulary does not have, such as -1 for none, are no tokens.
    private func ids(_ node: JSONNode) throws(ConversionError) -> [Int] {
        guard node.exists else { return [] }
        var ids: [Int] = []
        if case .array? = node.value {
            for element in try node.elements() { ids.append(try element.int(Int.min...Int.max)) }
        } else {
            ids.append(try node.int(Int.min...Int.max))
        }
        return ids.filter { $0 >= 0 && $0 < vocabulary.count }
    }

    /// The token of a role, by the source that knows best: the tokenizer's configuration, then the model's.
    private func token(_ role: String) throws(ConversionError) -> Int? {
        for node in [options["\(role)_token"], specialTokens["\(role)_token"]] {
            if let id = try id(of: node) { return id }
        }
        for node in [configuration["\(role)_token_id"], generation["\(role)_token_id"]] {
            if let id = try ids(node).first { return id }
        }
        guard let id = modelIDs[role], id >= 0, id < vocabulary.count else { return nil }
        return id
    }

    private mutating func addSpecialTokens() throws(ConversionError) {
        for (role, key) in [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")] {
            if let id = try token(role) { metadata["tokenizer.ggml.\(key)_token_id"] = .uint32(UInt32(id)) }
        }
    }

    /// Texts by which models name the end of a turn and of a message, by the key of GGUF.
    private static let textsOfEnds = [
        "eot": [
            "<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<end_of_utterance>", "<|end_of_turn|>",
            "<|endofturn|>",
        ],
        "eom": ["<|eom_id|>"],
    ]

    /// Every token that ends an answer. Configurations of one model contradict each other: all of them count. GGUF has a
    /// key for the end of a text, of a turn and of a message, which go by the texts of the tokens; a key of our own has
    /// all.
    private mutating func addEnds() throws(ConversionError) {
        var ends: [Int] = []
        if let eos = try token("eos") { ends.append(eos) }
        for id in try ids(configuration["eos_token_id"]) + ids(generation["eos_token_id"]) where !ends.contains(id) {
            ends.append(id)
        }
        for (key, texts) in Self.textsOfEnds {
            let named = texts.compactMap { vocabulary.id(of: $0.utf8) }
            guard let id = ends.first(where: named.contains) else { continue }
            metadata["tokenizer.ggml.\(key)_token_id"] = .uint32(UInt32(id))
        }
        if ends.count > 1 {
            metadata[Tokenizer.endsKey] = .array(.uint32(ends.map { UInt32($0) }))
        }
    }

    /// Whether texts get BOS and EOS. What the template of tokenizer.json does is what happens; the flags of
    /// tokenizer_config.json are obeyed by the classes of Llama's family, and speak where there is no template.
    private mutating func addTemplateMarks() throws(ConversionError) {
        let marks = try templateMarks()
        let obeysFlags = try (options["tokenizer_class"].optionalString() ?? "").contains("Llama")
        let isSentencePiece = vocabulary.model == .sentencePiece
        for (name, mark, fallback) in [
            ("add_bos_token", marks?.bos, isSentencePiece && (!json.exists || obeysFlags)),
            ("add_eos_token", marks?.eos, false),
        ] {
            let flag = try options[name].optionalBool()
            let value = obeysFlags ? flag ?? mark : mark ?? flag
            metadata["tokenizer.ggml.\(name)"] = .bool(value ?? fallback)
        }
    }

    /// Whether the template of tokenizer.json puts BOS before a text and EOS after it; nil without a template.
    private func templateMarks() throws(ConversionError) -> (bos: Bool, eos: Bool)? {
        let processor = json["post_processor"]
        guard processor.exists else { return nil }
        let parts =
            try processor["type"].string() == "Sequence" ? Array(processor["processors"].elements()) : [processor]
        for part in parts {
            switch try part["type"].string() {
            case "ByteLevel": continue  // Moves offsets only.
            case "TemplateProcessing": return try marks(ofTemplate: part["single"])
            default: throw part["type"].unsupported("this frame of texts")
            }
        }
        return nil
    }

    private func marks(ofTemplate template: JSONNode) throws(ConversionError) -> (bos: Bool, eos: Bool) {
        var before: [Int?] = []
        var after: [Int?] = []
        var hasText = false
        for node in try template.elements() {
            if node["Sequence"].exists {
                hasText = true
            } else {
                let id = vocabulary.id(of: try node["SpecialToken"]["id"].string().utf8)
                if hasText { after.append(id) } else { before.append(id) }
            }
        }
        let (bos, eos) = (try token("bos"), try token("eos"))
        guard before.isEmpty || before == [bos], after.isEmpty || after == [eos] else {
            throw template.unsupported("a frame of texts other than BOS and EOS")
        }
        return (!before.isEmpty, !after.isEmpty)
    }
}

// MARK: - Chat templates

extension CheckpointTokenizer {
    /// The chat template, and others by their names: of tokenizer_config.json, or of files of their own, which newer
    /// versions write and which win.
    private mutating func addChatTemplates(_ folder: CheckpointFolder) throws(ConversionError) {
        let prefix = "tokenizer.chat_template"
        let node = options["chat_template"]
        var names: [String] = []
        if case .array? = node.value {
            // By their names, as transformers reads them: of several of one name it keeps the last.
            var templates: [String: (index: Int, node: JSONNode)] = [:]
            for (index, part) in try node.elements().enumerated() {
                let name = try part["name"].string()
                guard let other = templates.updateValue((index, part), forKey: name) else { continue }
                warnings.append("two chat templates are called \(name.quoted): \(other.node.path) is left out")
            }
            for (name, (_, part)) in templates.sorted(by: { $0.value.index < $1.value.index }) {
                let template = try part["template"].string()
                if name == "default" {
                    metadata[prefix] = .string(template)
                } else if !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }) {
                    metadata["\(prefix).\(name)"] = .string(template)
                    names.append(name)
                } else {
                    throw part["name"].error(expected: "a name of letters, digits and underscores")
                }
            }
        } else if let template = try node.optionalString() {
            metadata[prefix] = .string(template)
        }
        if !names.isEmpty { metadata["\(prefix)s"] = .array(.string(GGUFStrings(names))) }
        if let template = try folder.json("chat_template.json")["chat_template"].optionalString() {
            metadata[prefix] = .string(template)
        }
        if let template = try folder.text("chat_template.jinja") { metadata[prefix] = .string(template) }
    }
}
