public import GGUF

/// Why a file's tokenizer cannot be used. Every case is found while loading: encoding and decoding never fail.
public enum TokenizerError: Error, Equatable, Sendable {
    /// A metadata key has another type than the format gives it.
    case metadata(GGUFError)
    /// A key without which there is no tokenizer is absent.
    case missingKey(String)
    /// `tokenizer.ggml.model` names a tokenizer that this library does not have.
    case unknownModel(found: String, known: [String])
    /// `tokenizer.ggml.pre` names a way to cut texts into words that this library does not have.
    case unknownPreTokenizer(found: String, known: [String])
    /// The list of tokens has no entry.
    case emptyVocabulary
    /// More tokens than 32-bit ids can name.
    case vocabularyTooLarge(tokens: Int)
    /// An array that gives one value per token has another length than the list of tokens.
    case countMismatch(key: String, expected: Int, found: Int)
    /// Two tokens have the same text, so that the text has no single id.
    case duplicateToken(text: String, first: Int32, second: Int32)
    /// A value of `tokenizer.ggml.token_type` that the format does not define.
    case unknownTokenKind(id: Int32, found: Int)
    /// A token is declared to stand for one byte, but its text is not `<0x00>` … `<0xFF>`.
    case malformedByteToken(id: Int32, text: String)
    /// A key names a token that the vocabulary does not have.
    case idOutOfRange(key: String, id: Int, vocabularySize: Int)
}

extension TokenizerError: CustomStringConvertible {
    /// The message for a person: what was expected, what the file says.
    public var description: String {
        switch self {
        case .metadata(let error):
            "\(error)"
        case .missingKey(let key):
            "the file has no tokenizer: its metadata lacks '\(key)'"
        case .unknownModel(let found, let known):
            "tokenizer model '\(found)' is not supported; known: \(known.joined(separator: ", "))"
        case .unknownPreTokenizer(let found, let known):
            "pre-tokenizer '\(found)' is not supported; known: \(known.joined(separator: ", "))"
        case .emptyVocabulary:
            "the vocabulary is empty"
        case .vocabularyTooLarge(let tokens):
            "a vocabulary of \(tokens) tokens is too large"
        case .countMismatch(let key, let expected, let found):
            "'\(key)' has \(found) values for \(expected) tokens"
        case .duplicateToken(let text, let first, let second):
            "tokens \(first) and \(second) have the same text '\(text)'"
        case .unknownTokenKind(let id, let found):
            "token \(id) is of type \(found); the format defines 0 to 6"
        case .malformedByteToken(let id, let text):
            "token \(id) is a byte token, but its text '\(text)' is not of the form <0x00> … <0xFF>"
        case .idOutOfRange(let key, let id, let vocabularySize):
            "'\(key)' is \(id), but the vocabulary has \(vocabularySize) tokens"
        }
    }
}
