/// Guesses what comes next from what came before: what followed the last tokens where they were last.
///
/// A pass over several tokens takes little longer than one over a single token, as both read all weights. So a guess is
/// fed before it is known to be right, and the logits of that pass say how much of it is what would have been chosen
/// anyway (arXiv 2211.17192, with the text itself for a draft model: "prompt lookup"). Texts that repeat what was said,
/// such as code, lists and summaries, gain; guesses about others become short.
package struct PromptLookup: Sendable {
    /// Tokens that two places must have in common, at least, and beyond which more say nothing.
    private static let commonTokens = 2...4

    /// The most tokens of a guess.
    private let most: Int
    /// Tokens of the next guess: twice as many as were all right the last time, or as many as were.
    private var length: Int
    private var text: [Int32] = []

    /// Guesses of up to `most` tokens; nil where there are none.
    package init?(most: Int) {
        guard most > 0 else { return nil }
        self.most = most
        length = most
    }

    /// Counts `token` as the next one of the text.
    package mutating func accept(_ token: Int32) { text.append(token) }

    /// Takes note of how many tokens were right of a guess of `guessed`.
    package mutating func learn(right: Int, of guessed: Int) {
        guard guessed > 0 else { return }
        length = right == guessed ? min(most, max(length, 2 * right)) : max(1, right)
    }

    /// The tokens that are likely to come next, at most `limit`; none where nothing of the kind has been said.
    package func guess(atMost limit: Int) -> [Int32] {
        let count = min(length, limit)
        guard count > 0 else { return [] }
        var best: (common: Int, next: Int)?
        // The latest of equals: what was said last is most like what is said now.
        for next in stride(from: text.count - 1, to: 0, by: -1) {
            var common = 0
            while common < min(next, Self.commonTokens.upperBound),
                text[next - 1 - common] == text[text.count - 1 - common]
            { common += 1 }
            if Self.commonTokens.contains(common), common > best?.common ?? 0 { best = (common, next) }
            if common == Self.commonTokens.upperBound { break }
        }
        guard let best else { return [] }
        // Behind the end of the text, the guess itself is what has been said.
        var guess: [Int32] = []
        for index in best.next..<best.next + count {
            guess.append(index < text.count ? text[index] : guess[index - text.count])
        }
        return guess
    }
}
