import Foundation
import Testing

/// `perplexity --json`.
struct PerplexityResult: Decodable {
    struct Chunk: Decodable {
        let perplexity: Double
        let loss: Double
        let runningPerplexity: Double
        let runningError: Double?
    }

    struct Timings: Decodable {
        let tokens: Int
        let seconds: Double
        let perSecond: Double
    }

    struct Memory: Decodable {
        let planned: Int
        let peak: Int
    }

    let perplexity: Double?
    let error: Double?
    let loss: Double?
    let scored: Int
    let chunkLength: Int
    let totalChunks: Int
    let chunks: [Chunk]
    let timings: Timings
    let memory: Memory
}

@Suite("perplexity: how well a model predicts a text")
struct PerplexityTests {
    static let text = String(repeating: "Le roi et la reine de France, très grand jour. ", count: 40)

    private func perplexity(_ options: [String], model: String = Fixture.tiny) throws -> RunResult {
        try CLI.run(["perplexity", "-m", model] + options, stdin: Self.text)
    }

    @Test("The result is one line, and what it took another")
    func line() throws {
        let run = try perplexity(["-c", "32", "--chunks", "3"])
        #expect(run.status == 0)
        #expect(run.output.wholeMatch(of: /PPL = [0-9]+\.[0-9]{4} ± [0-9]+\.[0-9]{4}\n/) != nil)
        let pattern = /3 chunks; 45 tokens scored; [0-9.]+ t\/s; peak [0-9.]+ MiB\n/
        #expect(run.error.wholeMatch(of: pattern) != nil, "\(run.error)")
        #expect(try perplexity(["-c", "32", "--chunks", "3", "-q"]).error.isEmpty)
    }

    @Test("JSON holds every chunk, and their running mean")
    func json() throws {
        let result = try perplexity(["-c", "32", "--json"]).json(PerplexityResult.self)
        #expect(result.chunkLength == 32 && result.totalChunks == result.chunks.count && result.chunks.count > 5)
        #expect(result.scored == result.chunks.count * 15)
        #expect(result.timings.tokens == result.chunks.count * 31 && result.timings.perSecond > 0)
        let losses = result.chunks.map(\.loss)
        let mean = losses.reduce(0, +) / Double(losses.count)
        #expect(abs((result.loss ?? 0) - mean) < 1e-12)
        #expect(abs((result.perplexity ?? 0) / exp(mean) - 1) < 1e-12)
        #expect(result.chunks.last?.runningPerplexity == result.perplexity)
        #expect(result.chunks.first?.runningPerplexity == result.chunks.first?.perplexity)
        #expect(result.chunks.allSatisfy { abs($0.perplexity / exp($0.loss) - 1) < 1e-12 })
        #expect((result.error ?? 0) > 0)
    }

    @Test("Without -c chunks are 512 tokens, or the context of a model with less")
    func defaultLength() throws {
        let text = try Fixture.newFile("long.txt", String(repeating: Self.text, count: 3))
        for (model, length) in [(Fixture.tiny, 512), (Fixture.long, 512), (try Self.short(), 100)] {
            let result = try CLI.run(
                ["perplexity", "-m", model, "-f", text, "--chunks", "1", "--json", "-q"]
            ).json(PerplexityResult.self)
            #expect(result.chunkLength == length)
        }
    }

    private static func short() throws -> String {
        let path = Fixture.newPath("short.gguf")
        let shape = try Fixture.newFile("short.json", Fixture.shape(context: 100))
        #expect(try CLI.run(["synthesize", path, "--shape", shape]).status == 0)
        return path
    }

    @Test("--verbose shows the estimate after each chunk")
    func verbose() throws {
        let run = try perplexity(["-c", "32", "--chunks", "3", "-v"])
        let lines = run.errorLines.filter { $0.hasPrefix("chunk ") }
        #expect(lines.count == 3)
        #expect(lines.first?.hasPrefix("chunk 1 of 3: PPL = ") == true)
        #expect(lines.last.map { $0.dropFirst("chunk 3 of 3: ".count) + "\n" } == run.output)
    }

    @Test("The budget is kept, and a byte below the plan is refused before loading")
    func budget() throws {
        let options = ["-c", "64", "--chunks", "1", "--json", "-v"]
        let planned = try perplexity(options).json(PerplexityResult.self).memory.planned
        #expect(try perplexity(options + ["--memory-budget", "\(planned)"]).status == 0)
        let refused = try perplexity(options + ["--memory-budget", "\(planned - 1)", "--weights", "mapped"])
        #expect(refused.status == 1 && refused.output.isEmpty)
        #expect(refused.error.hasPrefix("error: over the memory budget: "))
    }

    @Test("Ctrl-C gives the estimate so far, and 130", arguments: [false, true])
    func interruption(json: Bool) throws {
        let file = try Fixture.newFile("endless.txt", String(repeating: Self.text, count: 100))
        let running = try Running(
            ["perplexity", "-m", Fixture.long, "-f", file, "-c", "16", "-v"] + (json ? ["--json"] : []))
        try waitUntil("two chunks") { running.error.current.contains(Array("chunk 2 of".utf8)) }
        running.signal(SIGINT)
        let result = try running.finish(limit: 20)
        #expect(result.status == 130)
        #expect(result.error.hasSuffix("; interrupted\nerror: interrupted\n"))
        if json {
            let report = try result.json(PerplexityResult.self)
            #expect(report.chunks.count >= 2 && report.chunks.count < report.totalChunks)
            #expect(report.perplexity == report.chunks.last?.runningPerplexity)
        } else {
            #expect(result.output.hasPrefix("PPL = ") && result.output.hasSuffix("\n"))
        }
    }

    @Test("Interrupted within the first chunk there is no estimate")
    func early() throws {
        let file = try Fixture.newFile("chunk.txt", String(repeating: "5 ", count: 12_000))
        let running = try Running(
            ["perplexity", "-m", Fixture.long, "-f", file, "-c", "20000", "-b", "16", "-v"])
        try waitUntil("the description of the text") { running.error.current.contains(Array(" chunks of ".utf8)) }
        running.signal(SIGINT)
        let result = try running.finish(limit: 20)
        #expect(result.status == 130)
        #expect(result.output.isEmpty)
        #expect(result.error.contains("\n0 of 1 chunk; 0 tokens scored; "))
    }
}
