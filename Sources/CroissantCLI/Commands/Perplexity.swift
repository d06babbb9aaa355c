import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Measures how well a model predicts a text.
struct Perplexity: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures perplexity over a text.",
        discussion: """
            The text comes from -f or standard input. It is cut into chunks of -c tokens, \(defaultChunkLength) where \
            -c is not given; the second half of each is scored, as llama.cpp's llama-perplexity does it. What is left \
            over at the end of the text is not used.
            """)

    /// Tokens in a chunk where the user does not say: what published figures are measured with.
    private static let defaultChunkLength = 512

    @OptionGroup var model: ModelArguments

    @Option(name: .shortAndLong, help: ArgumentHelp("Read the text from a file.", valueName: "file"))
    var file: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The most chunks to take. (default: all of the text)", valueName: "n"))
    var chunks: Int?

    @Flag(help: "Print a JSON document, with the values of each chunk.")
    var json = false

    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let chunks { try requireRange("--chunks", chunks, 1...1 << 30) }
        if runtime.contextLength != 0 {
            try requireRange("--ctx-size", runtime.contextLength, TokenChunks.minimumLength...1 << 24)
        }
    }

    func run() throws {
        let path = try model.path()
        let text =
            try file.map(TextInput.file)
            ?? TextInput.standardInput(missing: "no text: give it with -f FILE or on standard input")
        let file = try GGUFFile(path: path)
        let trained = try ModelConfiguration(file: file).contextLength
        let length = runtime.options(defaultContext: min(Self.defaultChunkLength, trained)).contextLength ?? trained
        let options = runtime.options().evaluating(chunksOf: length)
        let model = try Model.load(file, options, output: output)
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
        try measure(Croissant.Perplexity(model, chunks), model)
    }

    private func measure(_ perplexity: consuming Croissant.Perplexity, _ model: Model) throws {
        var chunks: [Chunk] = []
        let total = perplexity.chunks.count
        let begin = ContinuousClock.now
        let bar = ProgressBar("perplexity", total: perplexity.totalTokens, isQuiet: output.quiet)
        while !Interruption.isRequested {
            let chunk = try perplexity.next { done in
                bar.update(done)
                return !Interruption.isRequested
            }
            guard let chunk else { break }
            chunks.append(Chunk(chunk, running: perplexity.estimate))
            guard output.verbose else { continue }
            bar.finish()
            Console.note("chunk \(chunks.count) of \(total): \(perplexity.estimate.text)")
        }
        bar.finish()
        let timings = Timings(tokens: perplexity.fedTokens, seconds: (ContinuousClock.now - begin).seconds)
        let result = Result(perplexity, chunks: chunks, timings: timings, model: model.file.path)
        if json {
            try Console.writeJSON(result)
        } else if !chunks.isEmpty {
            try Console.writeLine(perplexity.estimate.text)
        }
        if !output.quiet {
            Console.note(timings.report(chunks: chunks.count, of: total, scored: perplexity.estimate.scored))
        }
        try Interruption.check()
    }

    private struct Result: Encodable {
        /// Nothing where no chunk was done.
        let perplexity: Double?
        let error: Double?
        /// The mean negative log-likelihood of a token in nats, and its standard error.
        let loss: Double?
        let lossError: Double?
        let scored: Int
        let chunkLength: Int
        let totalChunks: Int
        let chunks: [Chunk]
        let timings: Timings
        let memory: Host.Memory
        let model: String

        init(_ run: borrowing Croissant.Perplexity, chunks: [Chunk], timings: Timings, model: String) {
            let estimate = chunks.isEmpty ? nil : run.estimate
            perplexity = estimate?.perplexity
            error = estimate?.error
            loss = estimate?.loss.value
            lossError = estimate?.loss.error
            scored = run.estimate.scored
            chunkLength = run.chunks.length
            totalChunks = run.chunks.count
            self.chunks = chunks
            self.timings = timings
            memory = Host.Memory(run.plan)
            self.model = model
        }
    }

    /// The values of one chunk.
    private struct Chunk: Encodable {
        /// Of this chunk alone.
        let perplexity: Double
        /// The mean negative log-likelihood of its tokens, in nats.
        let loss: Double
        /// Of all chunks up to this one.
        let runningPerplexity: Double
        let runningError: Double?

        init(_ chunk: PerplexityEstimate, running: PerplexityEstimate) {
            perplexity = chunk.perplexity
            loss = chunk.loss.value
            runningPerplexity = running.perplexity
            runningError = running.error
        }
    }

    /// How long it took.
    struct Timings: Encodable {
        let tokens: Int
        let seconds: Double
        let perSecond: Double

        init(tokens: Int, seconds: Double) {
            self.tokens = tokens
            self.seconds = seconds
            perSecond = seconds > 0 ? Double(tokens) / seconds : 0
        }

        /// What a person wants to know at the end.
        func report(chunks: Int, of total: Int, scored: Int) -> String {
            var parts = [
                chunks == total ? "\(chunks) chunks" : "\(chunks) of \(total) chunks", "\(scored) tokens scored",
                "\(perSecond.formatted(places: 1)) t/s",
            ]
            if let peak = HostMemory.peakResident { parts.append("peak \(ByteCount(peak))") }
            if Interruption.isRequested { parts.append("interrupted") }
            return parts.joined(separator: "; ")
        }
    }
}

extension PerplexityEstimate {
    /// Such as "PPL = 13.5106 ± 0.0923".
    fileprivate var text: String {
        "PPL = \(perplexity.formatted(places: 4)) ± \(error?.formatted(places: 4) ?? "unknown")"
    }
}
