/// How a conversation is written for a model that was trained on conversations.
///
/// A file says so with a Jinja template (`tokenizer.chat_template`). Templates are not run: the format is recognised by
/// the marks that it puts around messages.
public enum ChatFormat: String, Sendable, CaseIterable {
    /// `<|im_start|>user`, the message, `<|im_end|>`: CroissantLLMChat, Qwen, SmolLM and others.
    case chatML = "ChatML"

    /// The format of a template; nil where it is none of these.
    public init?(template: String) {
        guard template.contains("<|im_start|>"), template.contains("<|im_end|>") else { return nil }
        self = .chatML
    }

    /// The prompt that asks for an answer to one message.
    ///
    /// Marks in the message are read as marks: what comes from strangers has to be cleared of them before.
    public func prompt(_ message: String, system: String? = nil) -> String {
        switch self {
        case .chatML:
            let before = system.map { "<|im_start|>system\n\($0)<|im_end|>\n" } ?? ""
            return before + "<|im_start|>user\n\(message)<|im_end|>\n<|im_start|>assistant\n"
        }
    }
}
