import GGUF

/// Where a checkpoint comes from, as far as it says so itself: the `general.*` keys of a GGUF file.
struct CheckpointProvenance {
    /// The lines between the two `---` at the top of README.md: a little YAML, of which `key: value` and lists of one
    /// level are read.
    private var card: [String: [String]] = [:]
    /// The repository that it was fetched from, such as "croissantllm/CroissantLLMBase".
    private let repository: String?

    /// Reads the model card of `folder`, if it has one.
    init(_ folder: CheckpointFolder) throws(ConversionError) {
        repository = CheckpointFolder.cachedRepository(in: folder.path)
        guard let text = try folder.text("README.md") else { return }
        card = Self.frontMatter(of: text)
    }

    /// The values of each key of a model card.
    static func frontMatter(of text: String) -> [String: [String]] {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard let first = lines.first, first.trimmed == "---",
            let end = lines.dropFirst().firstIndex(where: { $0.trimmed == "---" })
        else { return [:] }
        var values: [String: [String]] = [:]
        var key: String?
        for line in lines[1..<end] {
            let content = line.trimmed
            if content.isEmpty || content.hasPrefix("#") { continue }
            if content.hasPrefix("- ") {
                // An entry of a list, or of something deeper, which no key here has.
                if let key, let value = scalar(content.dropFirst(2)) { values[key, default: []].append(value) }
            } else if line.first?.isWhitespace == false, let colon = content.firstIndex(of: ":") {
                let name = String(content[..<colon])
                key = name
                let rest = Substring(content[content.index(after: colon)...].trimmed)
                if rest.hasPrefix("["), rest.hasSuffix("]") {
                    values[name] = Self.elements(rest.dropFirst().dropLast()).compactMap { scalar($0) }
                } else if let value = scalar(rest) {
                    values[name] = [value]
                }
            } else {
                key = nil
            }
        }
        return values
    }

    /// What commas part, those within quotation marks aside.
    private static func elements(_ text: Substring) -> [Substring] {
        var quotation: Character?
        var isStart = true
        return text.split { character in
            if character == quotation {
                quotation = nil
            } else if isStart, character == "\"" || character == "'" {
                quotation = character
            }
            isStart = quotation == nil && (character == "," || isStart && character.isWhitespace)
            return character == "," && quotation == nil
        }
    }

    /// A value in one line, without its quotation marks; nil for nothing, for texts of several lines and for mappings.
    private static func scalar(_ text: Substring) -> String? {
        var value = text.trimmed
        if let first = value.first, first == "\"" || first == "'", let end = value.dropFirst().firstIndex(of: first) {
            return String(value[value.index(after: value.startIndex)..<end])
        }
        if let comment = value.firstRange(of: " #") { value = value[..<comment.lowerBound].trimmed }
        guard let first = value.first, !"|>{&*#".contains(first), !value.contains(": ") else { return nil }
        return String(value)
    }

    /// The keys of the file.
    var metadata: GGUFMetadata {
        var metadata = GGUFMetadata()
        func set(_ key: String, _ name: String) {
            if let value = card[name]?.first { metadata["general.\(key)"] = .string(value) }
        }
        func setRepository(_ path: String, _ prefix: String, _ site: String) {
            let parts = path.split(separator: "/", maxSplits: 1).map(String.init)
            metadata["\(prefix).name"] = .string(parts.last ?? path)
            if parts.count == 2 {
                metadata["\(prefix).organization"] = .string(parts[0])
                metadata["\(prefix).repo_url"] = .string(site + path)
            }
        }
        if let repository, repository.contains("/") {
            metadata["general.organization"] = .string(String(repository.prefix { $0 != "/" }))
            metadata["general.repo_url"] = .string("https://huggingface.co/\(repository)")
        }
        set("organization", "model_creator")
        set("license", "license")
        set("license.name", "license_name")
        set("license.link", "license_link")
        // A checkpoint may be made of several.
        let bases = card["base_model"] ?? []
        if !bases.isEmpty { metadata["general.base_model.count"] = .uint32(UInt32(bases.count)) }
        for (index, base) in bases.enumerated() {
            setRepository(base, "general.base_model.\(index)", "https://huggingface.co/")
        }
        let datasets = card["datasets"] ?? []
        if !datasets.isEmpty { metadata["general.dataset.count"] = .uint32(UInt32(datasets.count)) }
        for (index, dataset) in datasets.enumerated() {
            setRepository(dataset, "general.dataset.\(index)", "https://huggingface.co/datasets/")
        }
        for (key, name) in [("languages", "language"), ("tags", "tags")] {
            if let values = card[name], !values.isEmpty {
                metadata["general.\(key)"] = .array(.string(GGUFStrings(values)))
            }
        }
        return metadata
    }

    /// How the authors advise to sample, which generation_config.json says where it says that sampling is meant; and what
    /// it says that makes no sense, which is left out: a model can do without advice.
    static func sampling(_ generation: JSONNode) -> (metadata: GGUFMetadata, warnings: [String]) {
        var metadata = GGUFMetadata()
        var warnings: [String] = []
        func advice<Value>(_ value: () throws(ConversionError) -> Value?) -> Value? {
            do throws(ConversionError) { return try value() } catch {
                warnings.append("\(error): left out")
                return nil
            }
        }
        guard advice({ () throws(ConversionError) in try generation["do_sample"].optionalBool() }) ?? false else {
            return (metadata, warnings)
        }
        let numbers: [(key: String, name: String, parameter: WritableKeyPath<SamplingParameters, Float>)] = [
            ("temp", "temperature", \.temperature), ("top_p", "top_p", \.topP), ("min_p", "min_p", \.minP),
            ("penalty_repeat", "repetition_penalty", \.repeatPenalty),
        ]
        for (key, name, parameter) in numbers {
            let value = advice { () throws(ConversionError) in
                let node = generation[name]
                guard let value = try node.optionalNumber().map({ Float($0) }) else { return Float?.none }
                var parameters = SamplingParameters()
                parameters[keyPath: parameter] = value
                do throws(ModelError) { try parameters.validate() } catch {
                    guard case .invalidOption(_, _, let expected) = error else { throw ConversionError.model(error) }
                    throw node.error(expected: expected)
                }
                return value
            }
            if let value { metadata["general.sampling.\(key)"] = .float32(value) }
        }
        let topK = advice { () throws(ConversionError) in try generation["top_k"].optionalInt(0...Int(Int32.max)) }
        if let topK { metadata["general.sampling.top_k"] = .int32(Int32(topK)) }
        return (metadata, warnings)
    }
}

extension Substring {
    /// Without white space at both ends.
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
