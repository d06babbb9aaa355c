import ArgumentParser
import Croissant

/// How tokens are chosen. What is not given is as the model's makers advise, or else the default.
struct SamplingOptions: ParsableArguments {
    @Option(
        name: .customLong("temp"), parsing: .unconditional,
        help: ArgumentHelp("Temperature; 0 always takes the most likely token. (default: 0.8)", valueName: "t"))
    var temperature: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Keep the K most likely tokens; 0 keeps all. (default: 40)", valueName: "k"))
    var topK: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep the most likely tokens that together reach this probability; 1 keeps all. (default: 0.95)",
            valueName: "p"))
    var topP: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keep tokens with at least this share of the most likely one's probability; 0 keeps all. (default: 0.05)",
            valueName: "p"))
    var minP: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Divide the logits of recent tokens by this; 1 is no penalty. (default: 1)", valueName: "x"))
    var repeatPenalty: Float?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How many recent tokens penalties look at; -1 for the whole context. (default: 64)", valueName: "n"))
    var repeatLastN: Int?

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
        do { try parameters(advised: nil).validate() } catch { throw ValidationError("\(error)") }
    }

    /// The parameters as the library takes them.
    func parameters(advised: SamplingParameters?) -> SamplingParameters {
        var parameters = advised ?? SamplingParameters()
        func set<Value>(_ parameter: WritableKeyPath<SamplingParameters, Value>, _ value: Value?) {
            if let value { parameters[keyPath: parameter] = value }
        }
        set(\.temperature, temperature)
        set(\.topK, topK)
        set(\.topP, topP)
        set(\.minP, minP)
        set(\.repeatPenalty, repeatPenalty)
        set(\.repeatLastN, repeatLastN)
        parameters.presencePenalty = presencePenalty
        parameters.frequencyPenalty = frequencyPenalty
        parameters.seed = seed
        return parameters
    }
}

extension SamplingParameters {
    /// What a verbose run says about them.
    var text: String {
        guard temperature > 0 else { return "the most likely token" }
        return "temperature \(temperature), top-k \(topK), top-p \(topP), min-p \(minP), "
            + "repeat penalty \(repeatPenalty) over \(repeatLastN) tokens"
    }
}

/// A seed; nil for -1.
func seedValue(_ text: String) throws -> UInt64? {
    if text == "-1" { return nil }
    guard let seed = UInt64(text) else { throw ValidationError("expected -1, or 0 to \(UInt64.max)") }
    return seed
}
