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
            generated, timings to standard error. Where no option says otherwise, tokens are chosen as the makers of the \
            model advise (general.sampling.* in the file, and what CroissantLLM's authors have published).
            """)

    @OptionGroup var model: ModelArguments

    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("The prompt.", valueName: "text"))
    var prompt: String?

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Read the prompt from a file.", valueName: "file"), completion: .file())
    var file: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The prompt as token ids, such as 1,403,407; nothing is added to them.", valueName: "ids"),
        transform: tokenIDs)
    var ids: [Int32]?

    @Flag(
        help:
            "Write the prompt as a user's message of a conversation (ChatML), for a model that answers; special tokens in it are read as such."
    )
    var chat = false

    @Option(help: ArgumentHelp("Instructions before the message, with --chat.", valueName: "text"))
    var system: String?

    @Option(
        name: [.customShort("n"), .customLong("predict")], parsing: .unconditional,
        help: ArgumentHelp("Tokens to generate; -1 until the end or a full context.", valueName: "n"))
    var count = -1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens to guess ahead from what the text has said before, checked in one pass: up to 64; 0 for none. Faster where text repeats itself; rounding may change a token where two are as likely.",
            valueName: "n"))
    var draft = 0

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Text that ends the generation, and is not shown; may be given several times.", valueName: "text"))
    var stop: [String] = []

    @Flag(name: .customLong("ignore-eos"), help: "Go on after tokens that mark the end.")
    var ignoreEndOfGeneration = false

    @Flag(help: "Show special tokens in the text.")
    var special = false

    @Option(
        help: ArgumentHelp(
            "Write the logits (tokens, vocabulary) of every prompt position as float32; needs -n 0.",
            valueName: "file.npy"), completion: .file())
    var logits: String?

    @Flag(help: "Print one JSON document at the end.")
    var json = false

    @Flag(help: "Print one JSON object a token.")
    var jsonl = false

    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if [prompt != nil, file != nil, ids != nil].count(where: { $0 }) > 1 {
            throw ValidationError("-p, -f and --ids are different ways to give one prompt: use one of them")
        }
        if chat && ids != nil {
            throw ValidationError("--ids are tokens as they are, and --chat puts others around them")
        }
        if system != nil && !chat { throw ValidationError("--system is a part of a conversation: use it with --chat") }
        if json && jsonl {
            throw ValidationError("--json and --jsonl are different forms of one result: use one of them")
        }
        if count < -1 { throw ValidationError("-n: expected -1 or more, found \(count)") }
        if !(0...64).contains(draft) { throw ValidationError("--draft: expected 0 to 64, found \(draft)") }
        if draft > 0 && draft >= runtime.batchSize {
            throw ValidationError(
                "--draft \(draft) feeds \(draft + 1) tokens at a time, and --batch-size allows \(runtime.batchSize)")
        }
        if stop.contains("") { throw ValidationError("--stop: expected a text, found an empty one") }
        if logits != nil && count != 0 {
            throw ValidationError("--logits writes the logits of the prompt: use it with -n 0")
        }
        if logits != nil && (jsonl || !stop.isEmpty || draft > 0) {
            throw ValidationError(
                "--logits generates no tokens, which --jsonl prints, --stop looks at and --draft guesses")
        }
    }

    func run() throws {
        try model.check()  // Before the prompt is waited for.
        let given = try readPrompt()
        if self.model.model == nil && !output.quiet {
            Console.note(
                "the built-in demonstration model, which knows a small French and English world (-m FILE for another)")
        }
        var options = runtime.options()
        options.allLogits = logits != nil
        options.draftTokens = draft
        let model = try Model.load(try model.open(quiet: output.quiet), options, output: output)
        let input = chat ? try conversation(given, model) : given
        let session = try Session(model)
        Interruption.setPolled(true)
        if let logits { try writeLogits(session, input, to: logits) } else { try generate(session, input) }
    }

    /// The prompt as it was given.
    private enum Input {
        case text(String)
        case ids([Int32])
    }

    private func readPrompt() throws -> Input {
        if let ids { return .ids(ids) }
        if let prompt { return .text(prompt) }
        if let file { return .text(try TextInput.file(file)) }
        return .text(
            try TextInput.standardInput(
                missing: "no prompt: give one with -p TEXT, -f FILE, --ids or standard input", isQuiet: output.quiet))
    }

    /// The prompt as a message of a conversation.
    private func conversation(_ input: Input, _ model: Model) throws -> Input {
        guard case .text(let text) = input else { return input }
        guard let format = model.chatFormat else {
            let known = ChatFormat.allCases.map(\.rawValue).joined(separator: ", ")
            let found = model.file.metadata["tokenizer.chat_template"] == nil ? "none" : "another"
            throw Failure(
                "no known chat template: tokenizer.chat_template (expected \(known), found \(found))",
                hint: "without --chat the prompt is fed as it is, with the marks that the model expects in it")
        }
        // A line feed that a pipe or an editor has put at the end is no part of the message.
        return .text(format.prompt(text.hasSuffix("\n") ? String(text.dropLast()) : text, system: system))
    }

    private func generate(_ session: consuming Session, _ input: Input) throws {
        let model = session.model
        let plan = session.plan
        var limits = GenerationLimits(maximumTokens: count < 0 ? nil : count)
        limits.stopStrings = stop
        limits.ignoresEndOfGeneration = ignoreEndOfGeneration
        limits.showsSpecialTokens = special
        let parameters = sampling.parameters(advised: model.advisedSampling)
        if output.verbose {
            let source = model.advisedSampling == nil ? "" : " (by the model's advice, where no option says otherwise)"
            Console.note("sampling: \(parameters.text)\(source)")
        }
        var generation =
            switch input {
            case .text(let text):
                try Generator(session, prompt: text, sampling: parameters, limits: limits)
            case .ids(let ids):
                try Generator(session, promptTokens: ids, sampling: parameters, limits: limits)
            }
        warnAbout(generation.dropped)

        let bar = ProgressBar("prompt", total: generation.prompt.count, isQuiet: output.quiet)
        try generation.start { done in
            bar.update(done)
            return !Interruption.isRequested
        }
        bar.finish()
        if Interruption.isRequested { generation.cancel() }
        var text = ""
        while let token = try generation.nextToken() {
            // As any last token does, the one at which the user stops brings all text that was held back.
            let piece = token.text + (Interruption.isRequested ? generation.cancel() : "")
            text += piece
            if jsonl {
                let reason = generation.finishReason?.rawValue
                try Console.writeJSON(JSONToken(id: token.id, text: piece, finishReason: reason), pretty: false)
            } else if !json {
                try Console.writeForeign(piece)
            }
        }
        let finishReason = generation.finishReason ?? .cancelled
        var prompt: String?
        if case .text(let text) = input { prompt = text }
        let result = Result(
            prompt: prompt, promptTokens: generation.prompt, tokens: generation.tokens, text: text,
            finishReason: finishReason.rawValue, seed: generation.seed, timings: Timings(generation.metrics),
            memory: Host.Memory(plan), model: model.file.path)
        if json { try Console.writeJSON(result) }
        if !json && !jsonl { try Console.writeLine() }
        if !output.quiet {
            report(result, fed: generation.metrics.promptTokens, finishReason)
            if text.isEmpty, result.tokens.count <= 1, finishReason == .endOfGeneration, !chat, model.chatFormat != nil
            {
                Console.hint("this model answers messages: --chat writes the prompt as one")
            }
        }
        try Interruption.check()
    }

    private func warnAbout(_ dropped: [Unicode.Scalar]) {
        guard !dropped.isEmpty, !output.quiet else { return }
        let shown = dropped.prefix(10).map { String($0).escaped }.joined(separator: " ")
        Console.warn(
            "the vocabulary has no token for \(dropped.count) characters of the prompt, which were left out: \(shown)")
    }

    private func report(_ result: Result, fed: Int, _ reason: FinishReason) {
        let timings = result.timings
        var parts = ["prompt \(fed) token\(fed == 1 ? "" : "s"), \(timings.promptPerSecond.formatted(places: 1)) t/s"]
        // The first token comes with the prompt: one alone has no speed.
        let speed = result.tokens.count > 1 ? ", \(timings.generationPerSecond.formatted(places: 1)) t/s" : ""
        parts.append("generated \(result.tokens.count)" + speed)
        if draft > 0 { parts.append("\(timings.acceptedTokens)/\(timings.draftedTokens) guesses right") }
        if let peak = result.memory.peak { parts.append("peak \(ByteCount(peak))") }
        switch reason {
        case .endOfGeneration: parts.append("end of text")
        case .stopString: parts.append("stop text")
        case .length, .noNumbers: break
        case .contextFull: parts.append("context full")
        case .cancelled: parts.append("interrupted")
        }
        Console.note(parts.joined(separator: "; "))
    }

    /// Writes the logits of the prompt, pass by pass.
    private func writeLogits(_ session: consuming Session, _ input: Input, to path: String) throws {
        var session = session
        let tokens = try encode(input, session.model)
        let size = session.model.configuration.vocabularySize
        guard tokens.count <= session.contextLength else {
            throw ModelError.contextExceeded(tokens: tokens.count, capacity: session.contextLength)
        }
        guard !tokens.isEmpty else { throw Failure("no tokens: prompt (expected at least one token, found none)") }
        let inputs = session.model.file.shardPaths + TextInput.paths(file, model.tokenizer)
        var matrix = try NumPyFile.create(path: path, rows: tokens.count, columns: size, inputs: inputs)
        var failure: (any Error)?
        let bar = ProgressBar("prompt", total: tokens.count, isQuiet: output.quiet)
        let start = ContinuousClock.now
        for begin in stride(from: 0, to: tokens.count, by: session.plan.batchSize) {
            let end = min(begin + session.plan.batchSize, tokens.count)
            try session.evaluateAll(Array(tokens[begin..<end])) { _, logits in
                do { if failure == nil { try matrix.append(logits) } } catch { failure = error }
            }
            bar.update(end)
            if failure != nil || Interruption.isRequested { break }
        }
        bar.finish()
        if let failure { throw failure }
        try Interruption.check()
        try matrix.finish()
        let seconds = (ContinuousClock.now - start).seconds
        if json {
            try Console.writeJSON(
                LogitsResult(
                    promptTokens: tokens, logits: path, shape: [tokens.count, size],
                    timings: Timings(promptTokens: tokens.count, seconds: seconds),
                    memory: Host.Memory(session.plan), model: session.model.file.path))
        }
        if !output.quiet { Console.note("wrote \(tokens.count) x \(size) logits to \(path.escaped)") }
    }

    private func encode(_ input: Input, _ model: Model) throws -> [Int32] {
        switch input {
        case .ids(let ids): return ids
        case .text(let text):
            guard let tokenizer = model.tokenizer else { throw ModelError.noTokenizer(path: model.file.path) }
            let encoding = tokenizer.encoding(of: text)
            warnAbout(encoding.dropped)
            return encoding.ids
        }
    }

    private struct JSONToken: Encodable {
        let id: Int32
        let text: String
        /// Why the generation ended, with its last token.
        let finishReason: String?
    }

    private struct LogitsResult: Encodable {
        let promptTokens: [Int32]
        let logits: String
        let shape: [Int]
        let timings: Timings
        let memory: Host.Memory
        let model: String
    }

    private struct Result: Encodable {
        /// Nothing where it was given as ids.
        let prompt: String?
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
        /// Tokens that were guessed, and those of them that were right.
        let draftedTokens: Int
        let acceptedTokens: Int

        init(promptTokens: Int, seconds: Double) {
            promptSeconds = seconds
            promptPerSecond = seconds > 0 ? Double(promptTokens) / seconds : 0
            generationSeconds = 0
            generationPerSecond = 0
            draftedTokens = 0
            acceptedTokens = 0
        }

        init(_ metrics: GenerationMetrics) {
            promptSeconds = metrics.promptTime.seconds
            promptPerSecond = metrics.promptSpeed
            generationSeconds = metrics.generationTime.seconds
            generationPerSecond = metrics.generationSpeed
            draftedTokens = metrics.draftedTokens
            acceptedTokens = metrics.acceptedTokens
        }
    }
}
