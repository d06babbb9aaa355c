/// What a generation took.
public struct GenerationMetrics: Sendable {
    /// Prompt tokens that were fed.
    public var promptTokens = 0
    /// The time to feed them.
    public var promptTime = Duration.zero
    /// Tokens that were generated.
    public var generatedTokens = 0
    /// The time from the end of the prompt to the last token.
    public var generationTime = Duration.zero

    /// Prompt tokens a second.
    public var promptSpeed: Double { Self.rate(promptTokens, promptTime) }
    /// Generated tokens a second. The first one came with the prompt's logits and is not counted.
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
