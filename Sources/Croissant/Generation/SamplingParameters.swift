/// How the next token is chosen from the logits.
///
/// The chain is: repetition penalties, top-k, top-p, min-p, temperature, then a draw. The probabilities of top-p and
/// min-p are those of a softmax at temperature 1 over what top-k leaves. ``temperature`` 0 takes the most likely token
/// after the penalties. Defaults are llama.cpp's. A value outside its range is a
/// ``ModelError/invalidOption(name:value:expected:)`` where a ``Generator`` is made, and of ``validate()``.
public struct SamplingParameters: Sendable, Equatable {
    /// What logits are divided by: 0 or more, finite; 0.8 by default, 0 is greedy.
    public var temperature: Float = 0.8
    /// The tokens that stay, most likely first: 0 or more; 40 by default, 0 for all.
    public var topK = 40
    /// The smallest set of tokens whose probabilities together reach this stays: above 0, at most 1; 0.95 by default, 1
    /// for all (nucleus sampling: Holtzman et al. 2019, arXiv 1904.09751).
    public var topP: Float = 0.95
    /// Tokens stay whose probability is at least this share of the most likely one's: 0 to 1; 0.05 by default, 0 for
    /// all (Nguyen et al. 2024, arXiv 2407.01082).
    public var minP: Float = 0.05
    /// What positive logits of recent tokens are divided by, and negative ones multiplied: above 0, finite; 1, the
    /// default, for no penalty (Keskar et al. 2019, arXiv 1909.05858).
    public var repeatPenalty: Float = 1
    /// How many recent tokens, of prompt and answer, penalties look at: 64 by default, -1 for all, 0 for none.
    public var repeatLastN = 64
    /// Subtracted from the logits of recent tokens: any finite number, 0 by default (as in OpenAI's API).
    public var presencePenalty: Float = 0
    /// Subtracted from the logits of recent tokens, once for each time they occurred: any finite number, 0 by default
    /// (as in OpenAI's API).
    public var frequencyPenalty: Float = 0
    /// The seed of the draws, by xoshiro256** (Blackman and Vigna 2018); a random one for every generation when nil,
    /// the default.
    public var seed: UInt64?

    /// The defaults.
    public init() {}

    /// The most likely token, always.
    public static var greedy: SamplingParameters {
        var parameters = SamplingParameters()
        parameters.temperature = 0
        return parameters
    }

    /// The defaults but for `temperature` (0 or more) and `seed` (a random one for every generation when nil).
    public init(temperature: Float, seed: UInt64? = nil) {
        self.temperature = temperature
        self.seed = seed
    }

    /// Throws ``ModelError/invalidOption(name:value:expected:)`` for the first parameter whose value makes no sense.
    public func validate() throws(ModelError) {
        try Self.check("temperature", temperature, isValid: temperature >= 0 && temperature.isFinite, "0 or more")
        try Self.check("top-k", topK, isValid: topK >= 0, "0 or more")
        try Self.check("top-p", topP, isValid: topP > 0 && topP <= 1, "above 0, at most 1")
        try Self.check("min-p", minP, isValid: minP >= 0 && minP <= 1, "0 to 1")
        try Self.check("repeat penalty", repeatPenalty, isValid: repeatPenalty > 0 && repeatPenalty.isFinite, "above 0")
        try Self.check("repeat-last-n", repeatLastN, isValid: repeatLastN >= -1, "-1 or more")
        try Self.check("presence penalty", presencePenalty, isValid: presencePenalty.isFinite, "a number")
        try Self.check("frequency penalty", frequencyPenalty, isValid: frequencyPenalty.isFinite, "a number")
    }

    private static func check<Value>(
        _ name: String, _ value: Value, isValid: Bool, _ expected: String
    ) throws(ModelError) {
        guard isValid else { throw .invalidOption(name: name, value: "\(value)", expected: expected) }
    }
}
