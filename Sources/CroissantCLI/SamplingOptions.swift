import ArgumentParser
import Croissant

/// How tokens are chosen.
struct SamplingOptions: ParsableArguments {
    @Option(
        name: .customLong("temp"), parsing: .unconditional,
        help: ArgumentHelp("Temperature; 0 always takes the most likely token.", valueName: "t"))
    var temperature: Float = 0.8

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Keep the K most likely tokens; 0 keeps all.", valueName: "k"))
    var topK = 40

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep the most likely tokens that together reach this probability; 1 keeps all.", valueName: "p"))
    var topP: Float = 0.95

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep tokens with at least this share of the most likely one's probability; 0 keeps all.", valueName: "p"))
    var minP: Float = 0.05

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Divide the logits of recent tokens by this; 1 is no penalty.", valueName: "x"))
    var repeatPenalty: Float = 1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How many recent tokens penalties look at; -1 for the whole context.", valueName: "n"))
    var repeatLastN = 64

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Subtract this from the logits of recent tokens.", valueName: "x"))
    var presencePenalty: Float = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Subtract this from the logits of recent tokens for each time they occurred.", valueName: "x"))
    var frequencyPenalty: Float = 0

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Seed of the draws; -1 for a new one each time. (default: -1)", valueName: "n"),
        transform: seedValue)
    var seed: UInt64? = nil

    func validate() throws {
        do { try parameters.validate() } catch { throw ValidationError("\(error)") }
    }

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

/// A seed; nil for -1.
func seedValue(_ text: String) throws -> UInt64? {
    if text == "-1" { return nil }
    guard let seed = UInt64(text) else { throw ValidationError("expected -1, or 0 to \(UInt64.max)") }
    return seed
}
