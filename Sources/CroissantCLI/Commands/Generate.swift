import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Continues a prompt.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Completes a prompt, token by token.",
        discussion: """
            The prompt comes from -p, -f, --ids or standard input. The continuation goes to standard output as it is \
            generated, timings to standard error.
            """)

    @OptionGroup var model: ModelArguments

    @Option(name: .shortAndLong, help: "The prompt.")
    var prompt: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Read the prompt from a file.", valueName: "file"))
    var file: String?

    @Option(
        help: ArgumentHelp("The prompt as token ids, such as 1,403,407; nothing is added to them.", valueName: "ids"))
    var ids: String?

    @Option(
        name: [.customShort("n"), .customLong("predict")], parsing: .unconditional,
        help: "Tokens to generate; -1 until the end or a full context.")
    var count = -1

    @Option(help: ArgumentHelp("Texts that end the generation.", valueName: "text"))
    var stop: [String] = []

    @Flag(name: .customLong("ignore-eos"), help: "Go on after tokens that mark the end.")
    var ignoreEndOfGeneration = false

    @Flag(help: "Show special tokens in the text.")
    var special = false

    @Option(
        help: ArgumentHelp(
            "Write the logits (tokens, vocabulary) of every prompt position as float32; needs -n 0.",
            valueName: "file.npy"))
    var logits: String?

    @Flag(help: "Print one JSON document at the end.")
    var json = false

    @Flag(help: "Print one JSON object a token.")
    var jsonl = false

    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if [prompt, file, ids].compactMap({ $0 }).count > 1 {
            throw ValidationError("-p, -f and --ids are different ways to give one prompt: use one of them")
        }
        if json && jsonl {
            throw ValidationError("--json and --jsonl are different forms of one result: use one of them")
        }
        if count < -1 { throw ValidationError("-n takes -1 or more, not \(count)") }
        if logits != nil && count != 0 {
            throw ValidationError("--logits writes the logits of the prompt: use it with -n 0")
        }
    }

    func run() throws {
        let input = try readPrompt()
        let loaded = try model.load(runtime, output: output, allLogits: logits != nil)
        let session = try Session(loaded)
        if let logits {
            try writeLogits(session, try tokens(input, loaded), to: logits)
            return
        }
        try generate(session, input)
    }

    /// The prompt as it was given.
    private enum Input {
        case text(String)
        case ids([Int32])
    }

    private func readPrompt() throws -> Input {
        if let ids { return .ids(try TextInput.ids(ids)) }
        if let prompt { return .text(prompt) }
        if let file { return .text(try TextInput.file(file)) }
        return .text(
            try TextInput.standardInput(missing: "no prompt: give one with -p TEXT, -f FILE, --ids or standard input"))
    }

    private func tokens(_ input: Input, _ model: Model) throws -> [Int32] {
        switch input {
        case .ids(let ids): return ids
        case .text(let text):
            guard let tokenizer = model.tokenizer else { throw ModelError.noTokenizer(path: model.file.path) }
            return tokenizer.encode(text)
        }
    }

    private func generate(_ session: consuming Session, _ input: Input) throws {
        let model = session.model
        let plan = session.plan
        var limits = GenerationLimits(maximumTokens: count < 0 ? nil : count)
        limits.stopStrings = stop
        limits.ignoresEndOfGeneration = ignoreEndOfGeneration
        limits.showsSpecialTokens = special
        var generation =
            switch input {
            case .text(let text):
                try Generator(session, prompt: text, sampling: sampling.parameters, limits: limits)
            case .ids(let ids):
                try Generator(session, promptTokens: ids, sampling: sampling.parameters, limits: limits)
            }
        warnAbout(generation.dropped)

        let bar = ProgressBar("prompt", total: generation.prompt.count, isQuiet: output.quiet)
        Interruption.beginPolling()
        try generation.start { done in
            bar.update(done)
            return !Interruption.isRequested
        }
        bar.finish()
        var text = ""
        while let token = try generation.nextToken() {
            if json {
                text += token.text
            } else if jsonl {
                try Console.writeJSON(JSONToken(id: token.id, text: token.text), pretty: false)
            } else {
                try Console.writeForeign(token.text)
            }
            if Interruption.isRequested { generation.cancel() }
        }
        let finishReason = generation.finishReason ?? .cancelled
        let result = Result(
            promptTokens: generation.prompt, tokens: generation.tokens, text: text,
            finishReason: finishReason.rawValue, seed: generation.seed, timings: Timings(generation.metrics),
            memory: Host.Memory(plan), model: model.file.path)
        if json { try Console.writeJSON(result) }
        if !json && !jsonl { try Console.writeLine() }
        if !output.quiet { report(result) }
        try Interruption.check()
    }

    private func warnAbout(_ dropped: [Unicode.Scalar]) {
        guard !dropped.isEmpty, !output.quiet else { return }
        let shown = dropped.prefix(10).map { String($0).escaped }.joined(separator: " ")
        Console.warn(
            "the vocabulary has no token for \(dropped.count) characters of the prompt, which were left out: \(shown)")
    }

    private func report(_ result: Result) {
        let timings = result.timings
        var line =
            "prompt \(result.promptTokens.count) tokens, \(timings.promptPerSecond.formatted(places: 1)) tokens/s"
        line += "; generated \(result.tokens.count), \(timings.generationPerSecond.formatted(places: 1)) tokens/s"
        if let peak = result.memory.peak { line += "; peak memory \(ByteCount(peak))" }
        Console.note(line + "; \(result.finishReason)")
    }

    private func writeLogits(_ session: consuming Session, _ tokens: [Int32], to path: String) throws {
        var session = session
        guard !tokens.isEmpty else { throw Failure("no tokens: --logits needs a prompt") }
        let size = session.model.configuration.vocabularySize
        let file = try NumPyFile.create(path: path, rows: tokens.count, columns: size)
        var failure: (any Error)?
        let bar = ProgressBar("prompt", total: tokens.count, isQuiet: output.quiet)
        try session.evaluateAll(tokens) { range, logits in
            do { if failure == nil { try file.append(logits) } } catch { failure = error }
            bar.update(range.upperBound)
        }
        bar.finish()
        if let failure { throw failure }
        if !output.quiet { Console.note("wrote \(tokens.count) x \(size) logits to \(path)") }
    }

    private struct JSONToken: Encodable {
        let id: Int32
        let text: String
    }

    private struct Result: Encodable {
        let promptTokens: [Int32]
        let tokens: [Int32]
        let text: String
        let finishReason: String
        let seed: UInt64
        let timings: Timings
        let memory: Host.Memory
        let model: String
    }

    private struct Timings: Encodable {
        let promptSeconds: Double
        let promptPerSecond: Double
        let generationSeconds: Double
        let generationPerSecond: Double

        init(_ metrics: GenerationMetrics) {
            promptSeconds = metrics.promptTime.seconds
            promptPerSecond = metrics.promptSpeed
            generationSeconds = metrics.generationTime.seconds
            generationPerSecond = metrics.generationSpeed
        }
    }
}
