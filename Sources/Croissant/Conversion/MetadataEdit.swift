public import GGUF

/// Other metadata for a file, checked before anything is written.
///
/// ```swift
/// let edit = try MetadataEdit(of: file, setting: [("general.name", .string("Croissant"))], removing: ["general.url"])
/// try file.copy(to: "renamed.gguf", metadata: edit.metadata)
/// ```
public struct MetadataEdit: Sendable {
    /// The metadata of the new file, which is not split.
    public let metadata: GGUFMetadata

    /// Sets some keys and removes others.
    ///
    /// - Parameters:
    ///   - file: the file, which is not changed.
    ///   - values: the keys to set, new ones among them, and their values; of several for one key the last counts.
    ///   - keys: the keys to remove, once `values` are set.
    /// - Throws: `GGUFError.missingKey` in ``ModelError/file(_:)`` for a key to be removed that is not there,
    ///   `GGUFError.invalidName` for those that say how a file is split; and what loading would throw, where a file
    ///   that loads becomes one that does not. One that does not load may be edited in any way: it has to be mended
    ///   somehow.
    public init(
        of file: GGUFFile, setting values: [(key: String, value: GGUFValue)], removing keys: [String] = []
    ) throws(ModelError) {
        var metadata = file.metadata.withoutSplit
        for key in values.map(\.key) + keys where GGUFShards.keys.contains(key) {
            throw .file(.invalidName(key, "only splitting and merging change it"))
        }
        for (key, value) in values { metadata[key] = value }
        for key in keys {
            guard metadata[key] != nil else { throw .file(.missingKey(key, expected: "a key to remove")) }
            metadata[key] = nil
        }
        if let problem = Self.loadingProblem(file.with(metadata)), Self.loadingProblem(file) == nil { throw problem }
        self.metadata = metadata
    }

    /// Why the file cannot be loaded, as far as metadata and the shapes of tensors tell; nil where they tell nothing.
    private static func loadingProblem(_ file: GGUFFile) -> ModelError? {
        do throws(ModelError) {
            let configuration = try ModelConfiguration(file: file)
            _ = try TensorLayout(configuration).check(file)
            _ = try Model.tokenizer(of: file, vocabularySize: configuration.vocabularySize)
            return nil
        } catch {
            return error
        }
    }
}
