internal import GGUF

/// What happens to a text before it is cut into tokens, and to what becomes none, as far as the keys of GGUF do not say
/// it: keys below `croissant.tokenizer`, which other programs ignore.
struct TextPreparation: Sendable, Equatable {
    /// When a space is put before a text that does not begin with one: Hugging Face's `Metaspace`. GGUF's
    /// `add_space_prefix` puts one whatever the text begins with.
    enum PrependScheme: String, Sendable, CaseIterable {
        /// Before a text and before what follows a special token.
        case always
        /// Before a text only.
        case first
        /// Nowhere: other than without a scheme, it is not the normalizer that marks spaces.
        case never
    }

    /// Normalisations in their order: `normalizer`, an array of strings.
    var normalForms: [NormalForm] = []
    /// Whether every digit is a word of its own: `split_digits`, a bool.
    var splitsDigits = false
    /// `prepend_scheme`, a string; nil for other ways to put a space before texts.
    var prependScheme: PrependScheme?
    /// Whether a run of characters without a token becomes one unknown token: `fuse_unknown`, a bool.
    var fusesUnknown = true

    /// What the keys begin with.
    static let prefix = "croissant.tokenizer."

    /// What CroissantLLM's authors do, and files of it that others made do not say.
    static let croissantLLM = TextPreparation(normalForms: [.nfkc], splitsDigits: true, prependScheme: .always)

    /// Writes the keys.
    func add(to metadata: inout GGUFMetadata) {
        if !normalForms.isEmpty {
            metadata[Self.prefix + "normalizer"] = .array(.string(GGUFStrings(normalForms.map(\.rawValue))))
        }
        if splitsDigits { metadata[Self.prefix + "split_digits"] = .bool(true) }
        if !fusesUnknown { metadata[Self.prefix + "fuse_unknown"] = .bool(false) }
        if let prependScheme { metadata[Self.prefix + "prepend_scheme"] = .string(prependScheme.rawValue) }
    }

    /// Writes that there is none.
    static func addNone(to metadata: inout GGUFMetadata) { metadata[prefix + "split_digits"] = .bool(false) }

    /// The text in the normal forms, one after the other.
    ///
    /// - Parameters:
    ///   - text: valid UTF-8.
    ///   - kept: tokens that stay as they are wherever they stand.
    func normalized(_ text: [UInt8], keeping kept: TokenPattern? = nil) -> [UInt8] {
        guard !normalForms.isEmpty else { return text }
        guard let kept else { return normalForms.reduce(text) { $1.applied(to: $0) } }
        var result: [UInt8] = []
        var done = 0
        var position = 0
        while position < text.count {
            guard let place = kept.longestMatch(in: text.span, at: position) else {
                position += 1
                continue
            }
            let end = position + kept.length(place)
            result += normalized(Array(text[done..<position]))
            result += text[position..<end]
            position = end
            done = end
        }
        return result + normalized(Array(text[done...]))
    }
}

extension TextPreparation {
    /// Reads the keys; nil where there is none of them.
    init?(_ metadata: GGUFMetadata) throws(TokenizerError) {
        func value<T>(_ name: String, as lookup: GGUFLookup<T>) throws(TokenizerError) -> T? {
            do throws(GGUFError) { return try metadata.value(Self.prefix + name, as: lookup) } catch {
                throw .metadata(error)
            }
        }
        func unsupported(_ name: String, _ found: String) -> TokenizerError {
            .unsupportedOption(key: Self.prefix + name, feature: "the value \(found.quoted)")
        }
        let names = try value("normalizer", as: .strings)
        let splitsDigits = try value("split_digits", as: .bool)
        let scheme = try value("prepend_scheme", as: .string)
        let fusesUnknown = try value("fuse_unknown", as: .bool)
        guard names != nil || splitsDigits != nil || scheme != nil || fusesUnknown != nil else { return nil }
        for name in names ?? [] {
            guard let form = NormalForm(rawValue: name) else { throw unsupported("normalizer", name) }
            normalForms.append(form)
        }
        self.splitsDigits = splitsDigits ?? false
        self.fusesUnknown = fusesUnknown ?? true
        if let scheme {
            prependScheme = PrependScheme(rawValue: scheme)
            guard prependScheme != nil else { throw unsupported("prepend_scheme", scheme) }
        }
    }
}
