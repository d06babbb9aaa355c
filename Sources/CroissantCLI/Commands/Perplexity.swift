import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Measures how well a model predicts a text.
struct Perplexity: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures perplexity over a text, or divergence from another model.",
        discussion: """
            The text comes from -f or standard input. It is cut into chunks of -c tokens, \(defaultChunkLength) where \
            -c is not given; the tokens in the second half of each are scored, as llama.cpp's llama-perplexity does \
            it. What is left over at the end of the text is not used.

            To judge a quantised model, save the logits of its original over a text with --save-logits, and give them \
            to the quantised one with --kl-divergence. llama-perplexity reads and writes the same files.
            """)

    /// Tokens in a chunk where the user does not say: what published figures are measured with.
    private static let defaultChunkLength = 512

    @OptionGroup var model: ModelArguments

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Read the text from a file.", valueName: "file"), completion: .file())
    var file: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The most chunks to take. (default: all of the text)", valueName: "n"))
    var chunks: Int?

    @Option(
        help: ArgumentHelp(
            "Save the text and, for each token that is scored, the probabilities of all that were possible.",
            valueName: "file"),
        completion: .file())
    var saveLogits: String?

    @Option(
        help: ArgumentHelp(
            "Compare with the logits that another model saved in this file, over the text that it holds.",
            valueName: "file"),
        completion: .file())
    var klDivergence: String?

    @Flag(help: "Print a JSON document, with the values of each chunk.")
    var json = false

    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let chunks { try requireRange("--chunks", chunks, 1...1 << 30) }
        if runtime.contextLength != 0 {
            try requireRange("--ctx-size", runtime.contextLength, TokenChunks.minimumLength...1 << 24)
        }
        if klDivergence != nil && file != nil {
            throw ValidationError("--kl-divergence names logits that hold their text, and -f another: use one of them")
        }
        if klDivergence != nil && saveLogits != nil {
            throw ValidationError("--kl-divergence reads logits and --save-logits writes them: use one of them")
        }
    }

    func run() throws {
        try model.check()  // Before the text is waited for.
        if let klDivergence { try compare(with: klDivergence) } else { try measure() }
    }

    // MARK: Perplexity

    private func measure() throws {
        let text =
            try file.map(TextInput.file)
            ?? TextInput.standardInput(
                missing: "no text: give it with -f FILE or on standard input", isQuiet: output.quiet)
        let gguf = try model.open(quiet: output.quiet)
        let trained = try ModelConfiguration(file: gguf).contextLength
        let length = runtime.options(defaultContext: min(Self.defaultChunkLength, trained)).contextLength ?? trained
        let model = try Model.load(gguf, runtime.options().evaluating(chunksOf: length), output: output)
        let encoding = try TokenChunks.encoding(of: text, model)
        Interruption.setPolled(true)
        if !encoding.dropped.isEmpty && !output.quiet {
            Console.warn(
                "the vocabulary has no token for \(encoding.dropped.count) characters of the text, which were left out")
        }
        let chunks = try TokenChunks(
            encoding.ids, length: length, beginning: TokenChunks.beginning(model), limit: chunks)
        if output.verbose {
            Console.note("\(encoding.ids.count) tokens: \(chunks.count) chunks of \(length)")
        }
        let inputs = gguf.shardPaths + TextInput.paths(file, self.model.tokenizer)
        let logits = try saveLogits.map { path throws(EvaluationError) in
            try LogitsFileWriter(
                path: path, chunks: chunks, vocabularySize: model.configuration.vocabularySize, inputs: inputs)
        }
        try measure(model, chunks, savingTo: logits)
    }

    private func measure(_ model: Model, _ chunks: TokenChunks, savingTo logits: consuming LogitsFileWriter?) throws {
        let saved = logits?.byteCount
        var perplexity = try Croissant.Perplexity(model, chunks, savingTo: logits)
        var values: [PerplexityReport.Chunk] = []
        let progress = EvaluationProgress("perplexity", chunks, output)
        while !Interruption.isRequested, let chunk = try perplexity.next(progress: progress.update) {
            values.append(PerplexityReport.Chunk(chunk, running: perplexity.estimate))
            progress.note(chunk: values.count, perplexity.estimate.text)
        }
        let timings = progress.finish(tokens: perplexity.fedTokens)
        if json {
            try Console.writeJSON(
                PerplexityReport(
                    estimate: perplexity.estimate, chunks: values, of: chunks, timings: timings, plan: perplexity.plan,
                    model: model))
        } else if !values.isEmpty {
            try Console.writeLine(perplexity.estimate.text)
        }
        if !output.quiet {
            Console.note(timings.text(chunks: values.count, of: chunks.count, scored: perplexity.estimate.scored))
            if let saved, let saveLogits, values.count == chunks.count {
                Console.note("wrote \(saveLogits.escaped): \(ByteCount(saved))")
            }
        }
        try Interruption.check()
    }

    // MARK: Divergence

    private func compare(with logits: String) throws {
        let base = try LogitsFile(path: logits)
        let length = base.chunkLength
        guard [0, length].contains(runtime.contextLength) else {
            throw Failure(
                "chunks of another length: -c \(runtime.contextLength) "
                    + "(expected that of \(logits), \(length))", hint: "without -c it is that of the logits")
        }
        let gguf = try model.open(quiet: output.quiet)
        // Known before the weights are read.
        try base.check(vocabularySize: ModelConfiguration(file: gguf).vocabularySize)
        let model = try Model.load(gguf, runtime.options().evaluating(chunksOf: length), output: output)
        Interruption.setPolled(true)
        var comparison = try KLDivergence(model, base: base, chunks: chunks)
        let chunks = comparison.chunks
        if output.verbose { Console.note("\(base.chunkCount) chunks of \(length) saved, \(chunks.count) to compare") }
        var values: [DivergenceReport.Chunk] = []
        let progress = EvaluationProgress("divergence", chunks, output)
        while !Interruption.isRequested, let chunk = try comparison.next(progress: progress.update) {
            values.append(DivergenceReport.Chunk(chunk))
            let mean = comparison.statistics.divergence.mean
            progress.note(
                chunk: values.count,
                "\(comparison.statistics.perplexity.text), mean KLD = \(mean.text(places: 6))")
        }
        let timings = progress.finish(tokens: comparison.fedTokens)
        let statistics = comparison.statistics
        if json {
            try Console.writeJSON(
                DivergenceReport(
                    statistics, chunks: values, of: chunks, timings: timings, plan: comparison.plan, model: model,
                    base: base))
        } else if !values.isEmpty {
            try Console.writeLine(statistics.text)
        }
        if !output.quiet {
            Console.note(timings.text(chunks: values.count, of: chunks.count, scored: statistics.count))
        }
        try Interruption.check()
    }
}
