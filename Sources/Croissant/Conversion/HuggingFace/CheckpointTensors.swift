import GGUF

/// The tensors of a checkpoint: of `model.safetensors`, or of the files that `model.safetensors.index.json` names.
struct CheckpointTensors: Sendable {
    /// A tensor and the file that holds it.
    struct Entry: Sendable {
        /// What and where.
        let tensor: SafetensorsTensor
        /// The index in `files`.
        let file: Int
    }

    /// The files, each once.
    let files: [SafetensorsFile]
    /// The tensors, by name.
    private let entries: [String: Entry]

    private static let singleName = "model.safetensors"
    private static let indexName = "model.safetensors.index.json"
    /// More files than any checkpoint has: each takes an open file and a mapping.
    private static let fileLimit = 1000

    /// Opens and checks all files of `folder`.
    ///
    /// The index is preferred where there is one, as whoever writes it beside a single file means all the files.
    init(_ folder: CheckpointFolder) throws(ConversionError) {
        let index = try folder.json(Self.indexName)
        guard index.exists else {
            guard let file = try folder.map(Self.singleName) else {
                throw .missingFile(folder: folder.path, expected: "\(Self.singleName) or \(Self.indexName)")
            }
            files = [try SafetensorsFile(file)]
            entries = try Self.collect(files)
            return
        }
        guard index["weight_map"].exists else { throw index["weight_map"].error(expected: "an object") }
        var places: [(tensor: String, file: String)] = []
        var names: [String] = []
        for (tensor, node) in try index["weight_map"].members() {
            let name = try node.string()
            // An index must not reach out of its folder.
            let reachesOut = name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
            guard name.hasSuffix(".safetensors"), !reachesOut else {
                throw node.error(expected: "the name of a .safetensors file in the same folder")
            }
            if !names.contains(name) { names.append(name) }
            guard names.count <= Self.fileLimit else {
                throw index["weight_map"].error(expected: "at most \(Self.fileLimit) files")
            }
            places.append((tensor, name))
        }
        var files: [SafetensorsFile] = []
        for name in names {
            guard let file = try folder.map(name) else {
                throw .missingFile(folder: folder.path, expected: "\(name.quoted), which \(Self.indexName) names")
            }
            files.append(try SafetensorsFile(file))
        }
        let entries = try Self.collect(files)
        for (tensor, name) in places {
            guard let entry = entries[tensor], names[entry.file] == name else {
                throw .invalidTensorFile(
                    folder.path(of: name), item: tensor, problem: "missing tensor",
                    expected: "what \(Self.indexName) says", found: "none")
            }
        }
        self.files = files
        self.entries = entries
    }

    /// The tensors of all files by name, which must differ.
    private static func collect(_ files: [SafetensorsFile]) throws(ConversionError) -> [String: Entry] {
        var entries: [String: Entry] = [:]
        for (index, file) in files.enumerated() {
            for tensor in file.tensors {
                guard let other = entries.updateValue(Entry(tensor: tensor, file: index), forKey: tensor.name) else {
                    continue
                }
                throw .invalidTensorFile(
                    file.file.path, item: tensor.name, problem: "duplicate tensor",
                    expected: "a name of its own", found: "the same in \(files[other.file].file.path.escaped)")
            }
        }
        return entries
    }

    /// The tensor called `name`; nil where there is none.
    subscript(name: String) -> Entry? { entries[name] }

    /// All tensors, in the order of the files.
    var all: [Entry] {
        files.enumerated().flatMap { index, file in file.tensors.map { Entry(tensor: $0, file: index) } }
    }

    /// The path of the file that holds a tensor.
    func path(of entry: Entry) -> String { files[entry.file].file.path }
}
