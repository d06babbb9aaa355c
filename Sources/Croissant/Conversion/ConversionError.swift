public import GGUF

/// Why a checkpoint cannot be converted.
///
/// `description` is one line for a terminal, in which text from a file is escaped; `hint` is a remedy, where there is
/// one.
public enum ConversionError: Error, Sendable, Equatable {
    /// A file cannot be read or written.
    case file(GGUFError)
    /// The converted model would be one that cannot be run.
    case model(ModelError)
    /// The converted tokenizer would be one that cannot be used.
    case tokenizer(TokenizerError)
    /// A file that a checkpoint needs, `expected`, is not in its folder.
    case missingFile(folder: String, expected: String)
    /// The path of a checkpoint does not lead to a folder but to a thing of another kind, `found`, or to nothing.
    case notAFolder(String, found: String?)
    /// The file named has no bytes, or is a folder.
    case notAFile(String, expected: String, found: String)
    /// Text that is not JSON (RFC 8259), from byte `offset` of the file on.
    case notJSON(file: String, offset: Int, expected: String, found: String)
    /// A value of a JSON file makes no sense, or is missing; `key` is the path to it, empty for the whole file.
    case invalidField(file: String, key: String, expected: String, found: String)
    /// A value asks for something that is not done here: ignoring it would give wrong results.
    case unsupported(feature: String, file: String, key: String, found: String)
    /// The file of tensors named, or `item`, one tensor in it, is not what [the format of
    /// safetensors](https://github.com/huggingface/safetensors#format) says.
    case invalidTensorFile(String, item: String?, problem: String, expected: String, found: String)
    /// The SentencePiece model named is not what its format (`sentencepiece_model.proto`) says, at byte `offset`.
    case invalidTokenizerModel(String, offset: Int, expected: String, found: String)
    /// The tensor named, which the architecture needs, is not in the checkpoint. `expected` is its shape, as there: the
    /// length of a row last.
    case missingTensor(String, expected: [Int])
    /// The tensor named is in the checkpoint, and nothing is known of it: leaving it out would give wrong results.
    case unexpectedTensor(String, file: String)
    /// A tensor has another shape than the configuration asks for, both with the length of a row last.
    case wrongShape(tensor: String, expected: [Int], found: [Int])
}

extension ConversionError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found.
    public var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .model(let error): "\(error)"
        case .tokenizer(let error): "\(error)"
        case .missingFile(let folder, let expected):
            "missing file: \(folder.escaped) (expected \(expected), found none)"
        case .notAFolder(let path, let found):
            "not a folder: \(path.isEmpty ? path.quoted : path.escaped) "
                + "(expected one with a config.json, found \(found ?? "nothing"))"
        case .notAFile(let file, let expected, let found):
            "cannot read: \(file.escaped) (expected \(expected), found \(found))"
        case .notJSON(let file, let offset, let expected, let found):
            "not valid JSON: \(file.escaped), byte \(offset) (expected \(expected), found \(found))"
        case .invalidField(let file, let key, let expected, let found):
            "bad value: \(Self.place(file, key)) (expected \(expected), found \(found))"
        case .unsupported(let feature, let file, let key, let found):
            "\(feature) is not supported: \(Self.place(file, key)) (found \(found))"
        case .invalidTensorFile(let file, let item, let problem, let expected, let found):
            "\(problem): \(file.escaped)\(item.map { ", tensor \($0.quoted)" } ?? "") "
                + "(expected \(expected), found \(found))"
        case .invalidTokenizerModel(let file, let offset, let expected, let found):
            "not a SentencePiece model: \(file.escaped), byte \(offset) (expected \(expected), found \(found))"
        case .missingTensor(let name, let expected):
            "missing tensor: \(name.escaped) (expected shape \(expected), found none)"
        case .unexpectedTensor(let name, let file):
            "unexpected tensor: \(file.escaped), \(name.escaped) (expected only tensors of the architecture)"
        case .wrongShape(let tensor, let expected, let found):
            "wrong shape: \(tensor.escaped) (expected \(expected), found \(found))"
        }
    }

    /// What could be done about it, where there is something.
    public var hint: String? {
        switch self {
        case .file(let error): error.hint
        case .model(let error): error.hint
        case .tokenizer(let error): error.hint
        case .notAFolder(_, SystemFile.regular?): "name the folder that the files of the checkpoint are in"
        default: nil
        }
    }

    private static func place(_ file: String, _ key: String) -> String {
        key.isEmpty ? file.escaped : "\(file.escaped), \(key.escaped)"
    }
}
