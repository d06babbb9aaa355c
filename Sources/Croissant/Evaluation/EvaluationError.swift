public import GGUF

/// Why an evaluation cannot begin or go on.
public enum EvaluationError: Error, Sendable, Equatable {
    /// The model cannot be run this way.
    case model(ModelError)
    /// A file of logits cannot be read or written.
    case file(GGUFError)
    /// The text, of `found` tokens, does not fill one chunk of `needed`.
    case tooFewTokens(found: Int, needed: Int)
    /// A logit that is no number, or a token that the model holds impossible: its weights are damaged. `chunk` and
    /// `position`, within the chunk, count from 0.
    case notFinite(chunk: Int, position: Int)
    /// The file of logits at the path given first is not what it should be, for the reason given second.
    case invalidLogitsFile(String, String, expected: String, found: String)
    /// The file of logits at the path given has another length, in bytes, than its header asks for.
    case logitsFileSize(String, expected: Int, found: Int)
    /// The logits in the file at the path given are those of a vocabulary of `found` tokens, and the model's has
    /// `expected`.
    case otherVocabulary(String, expected: Int, found: Int)
    /// The file at the path given has logits for one position that no probabilities give; `chunk` and `position`,
    /// within the chunk, count from 0.
    case invalidLogits(String, chunk: Int, position: Int)
}

extension EvaluationError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found.
    public var description: String {
        switch self {
        case .model(let error): "\(error)"
        // These three speak of GGUF files.
        case .file(.emptyFile(let path)):
            "file is empty: \(path.escaped) (expected a file of logits, found 0 bytes)"
        case .file(.isDirectory(let path)):
            "not a file: \(path.escaped) (expected a file of logits, found a folder)"
        case .file(.notARegularFile(let path, let found)):
            "not a regular file: \(path.escaped) (expected a file of logits, found \(found))"
        case .file(let error): "\(error)"
        case .tooFewTokens(let found, let needed):
            "too few tokens: the text (expected at least one chunk of \(needed), found \(found))"
        case .notFinite(let chunk, let position):
            "the model gives no number: chunk \(chunk + 1), position \(position) (expected finite logits)"
        case .invalidLogitsFile(let path, let problem, let expected, let found):
            "\(problem): \(path.escaped) (expected \(expected), found \(found))"
        case .logitsFileSize(let path, let expected, let found):
            "\(found < expected ? "file of logits is cut off" : "file of logits is too long"): \(path.escaped) "
                + "(expected \(expected) bytes, found \(found))"
        case .otherVocabulary(let path, let expected, let found):
            "logits of another vocabulary: \(path.escaped) (expected the model's \(expected) tokens, found \(found))"
        case .invalidLogits(let path, let chunk, let position):
            "logits that are no probabilities: \(path.escaped), chunk \(chunk + 1), position \(position)"
        }
    }

    /// What could be done about it, where there is something.
    public var hint: String? {
        switch self {
        case .model(.noTokenizer), .file(.emptyFile), .file(.isDirectory): nil
        case .model(let error): error.hint
        case .file(let error): error.hint
        case .tooFewTokens: "a longer text, or shorter chunks (-c)"
        case .notFinite: "'croissant-gguf check FILE' looks for damaged weights"
        case .logitsFileSize(_, let expected, let found) where found < expected:
            "whoever saved it did not come to the end: save it again"
        case .otherVocabulary: "logits can be compared between models with the same tokenizer"
        default: nil
        }
    }
}
