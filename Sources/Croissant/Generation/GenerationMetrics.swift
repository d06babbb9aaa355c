/// What a generation took.
public struct GenerationMetrics: Sendable {
    /// Prompt tokens that were fed.
    public var promptTokens = 0
    /// The wall-clock time to feed them.
    public var promptTime = Duration.zero
    /// Tokens that were generated.
    public var generatedTokens = 0
    /// The wall-clock time to compute and choose them, without what the caller does in between.
    public var generationTime = Duration.zero
    /// Tokens that were guessed, see ``RuntimeOptions/draftTokens``.
    public var draftedTokens = 0
    /// Those of them that were chosen and gone on from: each saved a pass. What comes last is not gone on from, nor are
    /// guesses that were still to be looked at when the generation ended.
    public var acceptedTokens = 0

    /// Prompt tokens a second; 0 before any time has passed.
    public var promptSpeed: Double { Self.rate(promptTokens, promptTime) }
    /// Generated tokens a second; 0 before the second one. The first came with the prompt's logits and is not counted.
    public var generationSpeed: Double { Self.rate(max(0, generatedTokens - 1), generationTime) }

    private static func rate(_ count: Int, _ time: Duration) -> Double {
        let seconds = time.seconds
        return seconds > 0 ? Double(count) / seconds : 0
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
