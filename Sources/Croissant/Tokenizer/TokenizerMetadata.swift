internal import GGUF

/// Reads the `tokenizer.ggml.*` keys, and checks what one of them says about another.
struct TokenizerMetadata {
    /// What all the keys begin with.
    static let prefix = "tokenizer.ggml."

    /// The metadata of the file.
    let metadata: GGUFMetadata

    /// The value of `tokenizer.ggml.<name>`; nil when absent.
    func value<T>(_ name: String, as lookup: GGUFLookup<T>) throws(TokenizerError) -> T? {
        do throws(GGUFError) {
            return try metadata.value(Self.prefix + name, as: lookup)
        } catch {
            throw .metadata(error)
        }
    }

    /// The kind of each token; nil where the file does not say.
    func kinds(tokenCount: Int) throws(TokenizerError) -> [Tokenizer.TokenKind]? {
        guard let values = try value("token_type", as: .ints) else { return nil }
        guard values.count == tokenCount else {
            throw .countMismatch(key: Self.prefix + "token_type", expected: tokenCount, found: values.count)
        }
        var kinds: [Tokenizer.TokenKind] = []
        kinds.reserveCapacity(values.count)
        for (id, value) in values.enumerated() {
            // 0 is "undefined": nothing special is known of the token.
            guard let kind = value == 0 ? .normal : Tokenizer.TokenKind(rawValue: value) else {
                throw .unknownTokenKind(id: Int32(clamping: id), found: value)
            }
            kinds.append(kind)
        }
        return kinds
    }

    /// The score of each token; nil where the file has none.
    func scores(tokenCount: Int) throws(TokenizerError) -> [Float]? {
        guard let scores = try value("scores", as: .floats) else { return nil }
        guard scores.count == tokenCount else {
            throw .countMismatch(key: Self.prefix + "scores", expected: tokenCount, found: scores.count)
        }
        return scores
    }

    /// The token that a key names; nil when absent.
    func id(_ name: String, in vocabulary: Vocabulary) throws(TokenizerError) -> Int32? {
        guard let value = try value(name, as: .int) else { return nil }
        guard let id = Int32(exactly: value), vocabulary.contains(id) else {
            throw .idOutOfRange(key: Self.prefix + name, id: value, vocabularySize: vocabulary.count)
        }
        return id
    }

    /// The token that a key names; when absent, the id that it conventionally has, if there is a convention and the
    /// token is of the kind that goes with it.
    func id(
        _ name: String, default conventional: Int32?, of kind: Tokenizer.TokenKind, in vocabulary: Vocabulary
    ) throws(TokenizerError) -> Int32? {
        if let id = try id(name, in: vocabulary) { return id }
        guard let conventional, vocabulary.contains(conventional) else { return nil }
        return vocabulary.kinds[Int(conventional)] == kind ? conventional : nil
    }

    /// The tokens that keys other than `eos_token_id` name as ends: of a turn, of a message, and of what is to be filled
    /// in or of a file, after which models of source code write another file. A key of our own has all ends there are.
    func ends(in vocabulary: Vocabulary) throws(TokenizerError) -> [Int32?] {
        var ends: [Int32?] = []
        for name in ["eot", "eom", "fim_pad", "fim_rep", "fim_sep"] {
            ends.append(try id(name + "_token_id", in: vocabulary))
        }
        return try ends + ids(Tokenizer.endsKey, in: vocabulary)
    }

    /// The tokens that a key of our own lists; none when absent.
    func ids(_ key: String, in vocabulary: Vocabulary) throws(TokenizerError) -> [Int32] {
        let values: [Int]
        do throws(GGUFError) { values = try metadata.value(key, as: .ints) ?? [] } catch { throw .metadata(error) }
        return try values.map { value throws(TokenizerError) in
            guard let id = Int32(exactly: value), vocabulary.contains(id) else {
                throw .idOutOfRange(key: key, id: value, vocabularySize: vocabulary.count)
            }
            return id
        }
    }

    /// Refuses options that change how texts become tokens, or which tokens may come, and that nothing here does.
    func checkOptions() throws(TokenizerError) {
        for (name, feature) in [
            ("normalizer.lowercase", "turning text into lower case"),
            ("normalizer.strip_accents", "removing accents"),
        ] where try value(name, as: .bool) == true {
            throw .unsupportedOption(key: Self.prefix + name, feature: feature)
        }
        for (name, feature) in [
            ("precompiled_charsmap", "replacing characters by a table"),
            ("suppress_tokens", "suppressing tokens"),
        ] {
            if let array = metadata[Self.prefix + name]?.asArray, array.count == 0 { continue }
            guard metadata[Self.prefix + name] == nil else {
                throw .unsupportedOption(key: Self.prefix + name, feature: feature)
            }
        }
    }

    /// The padding token. Published files name one behind the end of the vocabulary, which training added and the
    /// conversion left out; as nothing is padded here, such a file has none.
    func padding(in vocabulary: Vocabulary) throws(TokenizerError) -> Int32? {
        guard let value = try value("padding_token_id", as: .int), let id = Int32(exactly: value) else { return nil }
        return vocabulary.contains(id) ? id : nil
    }
}
