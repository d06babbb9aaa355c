/// How a conversation is written for a model that was trained on conversations.
///
/// A file says so with a Jinja template (`tokenizer.chat_template`). Templates are not run: the format is recognised by
/// the marks that it puts around messages.
public enum ChatFormat: String, Sendable, CaseIterable {
    /// `<|im_start|>user`, the message, `<|im_end|>`: CroissantLLMChat, Qwen, SmolLM and others.
    case chatML = "ChatML"

    /// The format of `template`, Jinja text as `tokenizer.chat_template` holds it; nil where it is none of these.
    public init?(template: String) {
        guard template.contains("<|im_start|>"), template.contains("<|im_end|>") else { return nil }
        self = .chatML
    }

    /// The prompt that asks for an answer to one message: text to be encoded with its control tokens.
    ///
    /// Marks in the messages are read as marks: what comes from strangers has to be cleared of them before.
    ///
    /// - Parameters:
    ///   - message: what the user says.
    ///   - system: instructions that precede it; none when nil.
    public func prompt(_ message: String, system: String? = nil) -> String {
        switch self {
        case .chatML:
            let before = system.map { "<|im_start|>system\n\($0)<|im_end|>\n" } ?? ""
            return before + "<|im_start|>user\n\(message)<|im_end|>\n<|im_start|>assistant\n"
        }
    }
}
