public import GGUF

/// A file that is used with another tokenizer than its own: of a tokenizer.json, read as for a conversion.
public struct TokenizerOverride: Sendable {
    /// The file, whose metadata have the other tokenizer.
    public let file: GGUFFile
    /// What was left out, and is nothing to worry about.
    public let warnings: [String]

    /// Replaces the tokenizer of `file`. What the tokenizer.json and the configurations beside it do not say, such as
    /// which token is BOS, stays as the file says.
    ///
    /// - Parameters:
    ///   - file: the file with the weights, which is not changed.
    ///   - path: the tokenizer.json, whatever its name.
    /// - Throws: ``ConversionError`` for a tokenizer that cannot be read, is of an unknown kind, or has more tokens than
    ///   the file has embeddings.
    public init(_ file: GGUFFile, tokenizer path: String) throws(ConversionError) {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = CheckpointFolder(path: slash.map { String(path[...$0]) } ?? ".")
        let name = String(slash.map { path[path.utf8.index(after: $0)...] } ?? path[...])
        guard !name.isEmpty else { throw .notAFile(path, expected: "a tokenizer.json", found: "a folder") }
        guard try folder.map(name) != nil else { throw .file(.fileNotFound(path)) }
        let tokenizer = try CheckpointTokenizer(
            folder, configuration: try folder.json("config.json"), count: Self.tokenCount(of: file), name: name)
        var metadata = file.metadata
        let replaced = ["model", "pre", "tokens", "token_type", "scores", "merges"]
        let options = ["add_space_prefix", "remove_extra_whitespaces", "precompiled_charsmap"]
        for name in replaced + options { metadata["tokenizer.ggml." + name] = nil }
        for key in metadata.keys where key.hasPrefix(TextPreparation.prefix) && key != Tokenizer.endsKey {
            metadata[key] = nil
        }
        for (key, value) in tokenizer.metadata {
            let isMark = ["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"].contains(key)
            if !isMark || tokenizer.statesMarks { metadata[key] = value }
        }
        do throws(TokenizerError) { _ = try Tokenizer(metadata: metadata) } catch { throw .tokenizer(error) }
        self.file = file.with(metadata)
        warnings = tokenizer.warnings
    }

    /// The rows of the embedding; of a file with nothing but a vocabulary, its tokens.
    private static func tokenCount(of file: GGUFFile) -> Int {
        file.tensor(named: "token_embd.weight").flatMap { $0.dimensions.last }
            ?? file.metadata["tokenizer.ggml.tokens"]?.asArray?.count ?? 0
    }
}
