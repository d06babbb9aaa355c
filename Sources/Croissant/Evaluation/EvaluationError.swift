/// Why an evaluation cannot begin or go on.
public enum EvaluationError: Error, Sendable, Equatable {
    /// The model cannot be run this way.
    case model(ModelError)
    /// The text does not fill one chunk.
    case tooFewTokens(found: Int, needed: Int)
    /// A logit that is no number, or a token that the model holds impossible: its weights are damaged.
    case notFinite(chunk: Int, position: Int)
}

extension EvaluationError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found.
    public var description: String {
        switch self {
        case .model(let error): "\(error)"
        case .tooFewTokens(let found, let needed):
            "too few tokens: the text (expected at least one chunk of \(needed), found \(found))"
        case .notFinite(let chunk, let position):
            "the model gives no number: chunk \(chunk + 1), position \(position) (expected finite logits)"
        }
    }

    /// What could be done about it, where there is something.
    public var hint: String? {
        switch self {
        case .model(.noTokenizer): nil
        case .model(let error): error.hint
        case .tooFewTokens: "a longer text, or shorter chunks (-c)"
        case .notFinite: "'croissant-gguf check FILE' looks for damaged weights"
        }
    }
}
