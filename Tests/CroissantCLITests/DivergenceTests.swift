import Foundation
import Testing

/// `perplexity --kl-divergence --json`.
private struct DivergenceResult: Decodable {
    struct Mean: Decodable {
        let value: Double?
        let error: Double?
    }

    struct Spread: Decodable {
        let mean: Mean
        let minimum: Double?
        let median: Double?
        let maximum: Double?
        let percentiles: [String: Double]
    }

    struct Chunk: Decodable {
        let perplexity: Double
        let basePerplexity: Double
        let divergence: Double
        let probabilityChange: Double
        let rootMeanSquareChange: Double
        let sameTop: Double
    }

    let perplexity: Mean
    let basePerplexity: Mean
    let logRatio: Mean
    let divergence: Spread
    let probabilityChange: Spread
    let rootMeanSquareChange: Mean
    let sameTop: Mean
    let scored: Int
    let chunkLength: Int
    let totalChunks: Int
    let chunks: [Chunk]
    let logits: String
}

@Suite("perplexity --save-logits and --kl-divergence: a model is judged by another's logits")
struct DivergenceTests {
    @Test(
        "Logits that llama.cpp's own program wrote judge the model that they are from",
        .enabled(if: Fixture.hasShared, "needs ../shared/data"))
    func writtenByAnother() throws {
        let run = try CLI.run([
            "perplexity", "-m", Fixture.stories, "--kl-divergence", Fixture.recordedLogits, "--json", "-q",
        ])
        #expect(run.status == 0, "\(run.error)")
        let result = try JSONDecoder().decode(DivergenceResult.self, from: Data(run.output.utf8))
        #expect(result.totalChunks == 2 && result.chunkLength == 32 && result.scored == 30)
        // What that program says of its file: the perplexity, and the logarithm of its ratio to that of the base.
        #expect(abs(try #require(result.basePerplexity.value) / (1119.8624 * exp(-0.23011)) - 1) < 1e-5)
        // The two programs cache keys and values in 16 bits, rounded one by one.
        #expect(abs(try #require(result.divergence.mean.value)) < 1e-4)
        #expect(result.sameTop.value == 1)
    }

    /// Logits of the tiny model over six chunks of 32 tokens, saved once.
    private static let logits: String = {
        let path = Fixture.newPath("base.logits")
        let run = try? save(to: path)
        return run?.status == 0 ? path : "no logits: \(run?.error ?? "")"
    }()

    private static func save(to path: String, _ options: [String] = []) throws -> RunResult {
        try CLI.run(
            ["perplexity", "-m", Fixture.tiny, "-c", "32", "--chunks", "6", "--save-logits", path] + options,
            stdin: PerplexityTests.text)
    }

    /// A model of the same shape with other weights.
    private static let other: String = {
        let path = Fixture.newPath("other.gguf")
        let shape = try? Fixture.newFile("other.json", Fixture.shape())
        _ = try? CLI.run(["synthesize", path, "--shape", shape ?? "", "--seed", "7", "--type", "Q8_0"])
        return path
    }()

    @Test("Saving says what was written, and changes nothing about the result")
    func save() throws {
        let path = Fixture.newPath("saved.logits")
        let run = try Self.save(to: path)
        #expect(run.status == 0)
        #expect(run.error.hasSuffix("\nwrote \(path): 91.5 KiB\n"))
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        #expect(size == 20 + 4 * 6 * 32 + 6 * 15 * (8 + 2 * 512))
        let plain = try CLI.run(
            ["perplexity", "-m", Fixture.tiny, "-c", "32", "--chunks", "6"], stdin: PerplexityTests.text)
        #expect(run.output == plain.output)
    }

    @Test("A model does not diverge from itself")
    func itself() throws {
        let run = try CLI.run(["perplexity", "-m", Fixture.tiny, "--kl-divergence", Self.logits, "--json"])
        #expect(run.status == 0)
        let result = try run.json(DivergenceResult.self)
        #expect(result.scored == 6 * 15 && result.chunkLength == 32 && result.totalChunks == 6)
        #expect(result.logits == Self.logits)
        #expect(abs(result.divergence.maximum ?? 1) < 1e-5)
        #expect(result.sameTop.value == 1)
        let saved = try CLI.run(
            ["perplexity", "-m", Fixture.tiny, "-c", "32", "--chunks", "6", "--json"], stdin: PerplexityTests.text
        ).json(PerplexityResult.self)
        #expect(result.perplexity.value == saved.perplexity)
    }

    @Test("JSON holds the means, the quantiles and every chunk of another model")
    func json() throws {
        let run = try CLI.run(["perplexity", "-m", Self.other, "--kl-divergence", Self.logits, "--json", "-q"])
        #expect(run.error.isEmpty)
        let result = try run.json(DivergenceResult.self)
        let divergences = result.chunks.map(\.divergence)
        #expect(divergences.count == 6)
        let mean = try #require(result.divergence.mean.value)
        #expect(mean > 0.001)
        #expect(abs(divergences.reduce(0, +) / 6 - mean) < 1e-12)
        // Chunks are of the same length, so that the mean of theirs is that of all.
        let change = try #require(result.probabilityChange.mean.value)
        #expect(change != 0)
        #expect(abs(result.chunks.map(\.probabilityChange).reduce(0, +) / 6 - change) < 1e-15)
        #expect(Set(result.chunks.map(\.probabilityChange)).count == 6)
        #expect(result.chunks.allSatisfy { abs($0.probabilityChange) <= $0.rootMeanSquareChange })
        let square = try #require(result.rootMeanSquareChange.value)
        let squares = result.chunks.map { $0.rootMeanSquareChange * $0.rootMeanSquareChange }
        #expect(abs((squares.reduce(0, +) / 6).squareRoot() - square) < 1e-12)
        let names = ["0.1", "1", "5", "10", "25", "75", "90", "95", "99", "99.9"]
        #expect(Set(result.divergence.percentiles.keys) == Set(names))
        let ascending =
            [result.divergence.minimum] + names.prefix(5).map { result.divergence.percentiles[$0] }
            + [result.divergence.median] + names.suffix(5).map { result.divergence.percentiles[$0] }
            + [result.divergence.maximum]
        let values = ascending.compactMap { $0 }
        #expect(values.count == 13 && values == values.sorted())
        #expect(try #require(result.logRatio.error) > 0 && result.rootMeanSquareChange.value ?? 0 > 0)
    }

    @Test("The table has a row for each figure")
    func table() throws {
        let run = try CLI.run(["perplexity", "-m", Self.other, "--kl-divergence", Self.logits, "--chunks", "2", "-v"])
        let lines = run.output.split(separator: "\n")
        #expect(lines.count == 33)
        #expect(lines.first?.hasPrefix("PPL(Q)                  ") == true)
        for name in ["PPL(base) ", "ln(PPL(Q) / PPL(base))  ", "same top p ", "RMS Δp ", "mean KLD ", "median KLD "] {
            #expect(lines.contains { $0.hasPrefix(name) }, "\(name)")
        }
        #expect(lines.contains { $0.wholeMatch(of: /99\.9 % KLD +[0-9.]+/) != nil })
        #expect(lines.contains { $0.wholeMatch(of: /mean Δp +-?[0-9]+\.[0-9]{3} ± [0-9]+\.[0-9]{3} %/) != nil })
        #expect(run.error.contains("\nchunk 2 of 2: PPL = "))
    }

    @Test("A file that is not one, or not for this model, is an error of one line")
    func hostile() throws {
        let text = try Fixture.newFile("text.logits", "_logitz_, not logits")
        let empty = try Fixture.newFile("empty.logits", "")
        let data = try Data(contentsOf: URL(filePath: Self.logits))
        let cut = Fixture.newPath("cut.logits")
        try data.prefix(1000).write(to: URL(filePath: cut))
        var counts = data
        counts.replaceSubrange(16..<20, with: [0xFF, 0xFF, 0xFF, 0x7F])
        let absurd = Fixture.newPath("absurd.logits")
        try counts.write(to: URL(filePath: absurd))
        counts.replaceSubrange(8..<12, with: [0xFF, 0xFF, 0xFF, 0xFF])
        let negative = Fixture.newPath("negative.logits")
        try counts.write(to: URL(filePath: negative))
        let cases = [
            (text, "not a file of logits: \(text) (expected magic _logits_, found \"_logitz_\")\n"),
            (empty, "file is empty: \(empty) (expected a file of logits, found 0 bytes)\n"),
            ("/no/such", "no such file: /no/such\n"),
            ("/dev/null", "not a regular file: /dev/null (expected a file of logits, found a device)\n"),
            (
                cut,
                """
                file of logits is cut off: \(cut) (expected \(data.count) bytes, found 1000)
                hint: whoever saved it did not come to the end: save it again

                """
            ),
            (
                negative,
                "impossible counts: \(negative) (expected chunks of 3 tokens or more, a vocabulary, and at least one "
                    + "chunk, found 2147483647 chunks of -1 of 512 tokens)\n"
            ),
        ]
        for (path, message) in cases {
            let run = try CLI.run(["perplexity", "-m", Fixture.tiny, "--kl-divergence", path])
            #expect(run.status == 1 && run.output.isEmpty)
            #expect(run.error == "error: " + message)
        }
        let run = try CLI.run(["perplexity", "-m", Fixture.tiny, "--kl-divergence", absurd])
        #expect(run.status == 1 && run.error.hasPrefix("error: file of logits is cut off: "))
    }

    @Test("Logits of another vocabulary are refused before the weights are read")
    func vocabulary() throws {
        let path = Fixture.newPath("larger.gguf")
        let shape = try Fixture.newFile("larger.json", Fixture.shape(vocabulary: 600))
        #expect(try CLI.run(["synthesize", path, "--shape", shape]).status == 0)
        let run = try CLI.run(["perplexity", "-m", path, "--kl-divergence", Self.logits, "-v"])
        #expect(run.status == 1)
        #expect(
            run.error == """
                error: logits of another vocabulary: \(Self.logits) (expected the model's 600 tokens, found 512)
                hint: logits can be compared between models with the same tokenizer

                """)
    }

    @Test("Chunks are as long as those of the logits")
    func length() throws {
        let base = ["perplexity", "-m", Fixture.tiny, "--kl-divergence", Self.logits, "-q"]
        #expect(try CLI.run(base + ["-c", "32"]).status == 0)
        let run = try CLI.run(base + ["-c", "64"])
        #expect(run.status == 1)
        #expect(
            run.error == """
                error: chunks of another length: -c 64 (expected that of \(Self.logits), 32)
                hint: without -c it is that of the logits

                """)
    }

    @Test("Logits are not saved over the model or the text")
    func inputs() throws {
        let text = try Fixture.newFile("input.txt", PerplexityTests.text)
        for path in [Fixture.tiny, text] {
            let run = try CLI.run(
                ["perplexity", "-m", Fixture.tiny, "-f", text, "-c", "32", "--save-logits", path])
            #expect(run.status == 1)
            #expect(run.error.hasPrefix("error: output is the same file as the input: \(path)\n"))
        }
        #expect(try String(contentsOfFile: text, encoding: .utf8) == PerplexityTests.text)
    }

    @Test("An interrupted run leaves no logits behind", arguments: [1, 2])
    func interruption(times: Int) throws {
        let folder = try Fixture.newFolder("interrupted-logits")
        let file = try Fixture.newFile("endless.txt", String(repeating: PerplexityTests.text, count: 100))
        let running = try Running(
            ["perplexity", "-m", Fixture.long, "-f", file, "-c", "16", "-v", "--save-logits", folder + "/x"])
        try waitUntil("two chunks") { running.error.current.contains(Array("chunk 2 of".utf8)) }
        #expect(try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        for _ in 0..<times { running.signal(SIGINT) }
        #expect(try running.finish(limit: 20).status == 130)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("An interrupted comparison prints what it has")
    func comparison() throws {
        let path = Fixture.newPath("many.logits")
        let text = String(repeating: PerplexityTests.text, count: 2)
        let saved = try CLI.run(
            ["perplexity", "-m", Fixture.tiny, "-c", "8", "--save-logits", path, "-q"], stdin: text)
        #expect(saved.status == 0)
        let running = try Running(["perplexity", "-m", Fixture.tiny, "--kl-divergence", path, "-v", "--json"])
        try waitUntil("two chunks") { running.error.current.contains(Array("chunk 2 of".utf8)) }
        running.signal(SIGINT)
        let result = try running.finish(limit: 20)
        #expect(result.status == 130)
        let report = try result.json(DivergenceResult.self)
        #expect(report.chunks.count >= 2 && report.chunks.count < report.totalChunks)
        #expect(report.scored == report.chunks.count * 3)
    }
}
