public import GGUF

/// Why a file's tokenizer cannot be used. Every case is found while loading: encoding and decoding never fail.
public enum TokenizerError: Error, Equatable, Sendable {
    /// A metadata key has another type than the format gives it.
    case metadata(GGUFError)
    /// The key named, without which there is no tokenizer, is absent.
    case missingKey(String)
    /// `tokenizer.ggml.model` names a tokenizer that this library does not have.
    case unknownModel(found: String, known: [String])
    /// `tokenizer.ggml.pre` names a way to cut texts into words that this library does not have.
    case unknownPreTokenizer(found: String, known: [String])
    /// `tokenizer.ggml.pre` is absent, so that nothing says how texts are cut into words.
    case missingPreTokenizer(known: [String])
    /// A key asks for something, `feature`, that is done to no text here: ignoring it would give wrong tokens.
    case unsupportedOption(key: String, feature: String)
    /// The list of tokens has no entry.
    case emptyVocabulary
    /// More tokens than 32-bit ids can name.
    case vocabularyTooLarge(tokens: Int)
    /// An array that gives one value per token has another length than the list of tokens.
    case countMismatch(key: String, expected: Int, found: Int)
    /// Two tokens, `first` and `second`, have the same text, so that the text has no single id.
    case duplicateToken(text: String, first: Int32, second: Int32)
    /// A value of `tokenizer.ggml.token_type`, that of token `id`, is none of the format's, 1 to 6.
    case unknownTokenKind(id: Int32, found: Int)
    /// Token `id` is declared to stand for one byte, but its text is not `<0x00>` … `<0xFF>`.
    case malformedByteToken(id: Int32, text: String)
    /// A key names a token that the vocabulary does not have: ids are from 0 to below `vocabularySize`.
    case idOutOfRange(key: String, id: Int, vocabularySize: Int)
}

extension TokenizerError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found. Text from the file is escaped.
    public var description: String {
        switch self {
        case .metadata(let error):
            "\(error)"
        case .missingKey(let key):
            "incomplete tokenizer: \(key) (expected a value, found nothing)"
        case .unknownModel(let found, let known):
            "unknown tokenizer: tokenizer.ggml.model "
                + "(expected one of \(known.joined(separator: ", ")), found \(found.quoted))"
        case .unknownPreTokenizer(let found, let known):
            "unknown pre-tokenizer: tokenizer.ggml.pre "
                + "(expected one of \(known.joined(separator: ", ")), found \(found.quoted))"
        case .missingPreTokenizer(let known):
            "missing pre-tokenizer: tokenizer.ggml.pre "
                + "(expected one of \(known.joined(separator: ", ")), found nothing)"
        case .unsupportedOption(let key, let feature):
            "\(feature) is not supported: \(key)"
        case .emptyVocabulary:
            "empty vocabulary: tokenizer.ggml.tokens (expected at least one token, found none)"
        case .vocabularyTooLarge(let tokens):
            "vocabulary too large: tokenizer.ggml.tokens (expected fewer than 2^31 tokens, found \(tokens))"
        case .countMismatch(let key, let expected, let found):
            "wrong number of values: \(key) (expected \(expected), one per token, found \(found))"
        case .duplicateToken(let text, let first, let second):
            "two tokens of the same text: tokenizer.ggml.tokens[\(second)] "
                + "(expected a text of its own, found \(text.quoted), which is token \(first))"
        case .unknownTokenKind(let id, let found):
            "unknown kind of token: tokenizer.ggml.token_type[\(id)] (expected 0 to 6, found \(found))"
        case .malformedByteToken(let id, let text):
            "byte token that names no byte: tokenizer.ggml.tokens[\(id)] "
                + "(expected <0x00> to <0xFF>, found \(text.quoted))"
        case .idOutOfRange(let key, let id, let vocabularySize):
            "unknown token: \(key) (expected 0 to \(vocabularySize - 1), found \(id))"
        }
    }

    /// What could be done about it, where there is something.
    public var hint: String? {
        switch self {
        case .metadata(let error): error.hint
        case .missingPreTokenizer:
            "the file does not say how its model cuts text into words: convert the model again with a current "
                + "converter, or name the way: 'gguf-new-metadata IN OUT --pre-tokenizer NAME' (llama-bpe for Llama 3, "
                + "qwen2 for Qwen 2 and 3; default is what other programs assume)"
        default: nil
        }
    }
}
