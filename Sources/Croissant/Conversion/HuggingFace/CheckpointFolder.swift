import GGUF

/// The small files of a checkpoint: configurations, tokenizers, templates.
package struct CheckpointFolder {
    /// The folder.
    let path: String

    /// What the folder was fetched from, such as "croissantllm/CroissantLLMBase", where it is in the cache of Hugging
    /// Face's programs: a folder above it is called `models--ORGANIZATION--NAME` there, and it itself after a commit.
    package static func cachedRepository(in path: String) -> String? {
        let cached = path.split(separator: "/").last { $0.hasPrefix("models--") }
        return cached.map { String($0.dropFirst("models--".count).replacing("--", with: "/", maxReplacements: 1)) }
    }

    /// The path of a file in it.
    func path(of name: String) -> String { path.hasSuffix("/") ? path + name : "\(path)/\(name)" }

    /// Maps a file; nil where there is none of this name, or an empty one that may be.
    func map(_ name: String, mayBeEmpty: Bool = false) throws(ConversionError) -> MappedFile? {
        let path = path(of: name)
        do throws(GGUFError) {
            return try MappedFile(path: path)
        } catch {
            // What these say of GGUF files is not true of others.
            switch error {
            case .fileNotFound: return nil
            case .emptyFile where mayBeEmpty: return nil
            case .emptyFile: throw .notAFile(path, expected: "content", found: "0 bytes")
            case .isDirectory: throw .notAFile(path, expected: "a file", found: "a folder")
            case .notARegularFile(_, let found): throw .notAFile(path, expected: "a file", found: found)
            default: throw .file(error)
            }
        }
    }

    /// Larger ones are none of those that are read as a whole, and what JSON becomes in memory is ten times as large: the
    /// largest tokenizers have some 35 MiB, the longest lists of tensors 10.
    private static let sizeLimit = 64 << 20

    /// The bytes of a file, copied; nil where there is none of this name, or an empty one that may be.
    func bytes(_ name: String, mayBeEmpty: Bool = false) throws(ConversionError) -> [UInt8]? {
        guard let file = try map(name, mayBeEmpty: mayBeEmpty) else { return nil }
        guard file.size <= Self.sizeLimit else {
            throw .notAFile(
                file.path, expected: "at most \(ByteCount(Self.sizeLimit))", found: "\(ByteCount(file.size))")
        }
        var bytes: [UInt8] = []
        file.bytes.append(0..<file.size, to: &bytes)
        return bytes
    }

    /// The text of a file, repaired where it is not valid UTF-8; nil where there is none of this name, or nothing in it.
    func text(_ name: String) throws(ConversionError) -> String? {
        try bytes(name, mayBeEmpty: true).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The top of a JSON file, an object, in which nothing stands where there is no file of this name.
    func json(_ name: String) throws(ConversionError) -> JSONNode {
        let path = path(of: name)
        guard let bytes = try bytes(name) else { return JSONNode(absent: path) }
        let top = try JSONNode(bytes, file: path)
        try top.requireObject()
        return top
    }
}

extension CheckpointFolder {
    /// What the names of a checkpoint's files end in, whether they are read here or not: none is to be written over.
    private static let kinds = [".safetensors", ".bin", ".json", ".jinja", ".model", ".md"]

    /// The paths of all files in the folder that a checkpoint could consist of.
    var files: [String] {
        SystemFile.names(inFolder: path).filter { name in Self.kinds.contains { name.hasSuffix($0) } }.map(path(of:))
    }
}
