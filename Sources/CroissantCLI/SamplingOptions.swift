import ArgumentParser
import Croissant

/// How tokens are chosen and when a generation ends.
struct SamplingOptions: ParsableArguments {
    @Option(
        name: .customLong("temp"), parsing: .unconditional, help: "Temperature; 0 always takes the most likely token.")
    var temperature: Float = 0.8

    @Option(help: "Keep the K most likely tokens; 0 keeps all.")
    var topK = 40

    @Option(help: "Keep the most likely tokens that together reach this probability; 1 keeps all.")
    var topP: Float = 0.95

    @Option(help: "Keep tokens with at least this share of the most likely one's probability; 0 keeps all.")
    var minP: Float = 0.05

    @Option(help: "Divide the logits of recent tokens by this; 1 is no penalty.")
    var repeatPenalty: Float = 1

    @Option(parsing: .unconditional, help: "How many recent tokens penalties look at; -1 for the whole context.")
    var repeatLastN = 64

    @Option(parsing: .unconditional, help: "Subtract this from the logits of recent tokens.")
    var presencePenalty: Float = 0

    @Option(
        parsing: .unconditional, help: "Subtract this from the logits of recent tokens for each time they occurred.")
    var frequencyPenalty: Float = 0

    @Option(name: .shortAndLong, help: "Seed of the draws. (default: a new one each time)")
    var seed: UInt64?

    /// The parameters as the library takes them.
    var parameters: SamplingParameters {
        var parameters = SamplingParameters()
        parameters.temperature = temperature
        parameters.topK = topK
        parameters.topP = topP
        parameters.minP = minP
        parameters.repeatPenalty = repeatPenalty
        parameters.repeatLastN = repeatLastN
        parameters.presencePenalty = presencePenalty
        parameters.frequencyPenalty = frequencyPenalty
        parameters.seed = seed
        return parameters
    }
}
