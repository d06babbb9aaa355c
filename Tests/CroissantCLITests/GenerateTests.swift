import Foundation
import Testing

/// What `generate --json` prints.
struct Generation: Decodable {
    struct Timings: Decodable {
        let promptSeconds: Double
        let promptPerSecond: Double
        let generationSeconds: Double
        let generationPerSecond: Double
        let draftedTokens: Int
        let acceptedTokens: Int
    }

    struct Memory: Decodable {
        let planned: Int
        let peak: Int
    }

    let prompt: String?
    let promptTokens: [Int32]
    let tokens: [Int32]
    let text: String
    let finishReason: String
    let seed: UInt64
    let timings: Timings
    let memory: Memory
    let model: String
}

/// The program's greedy run of stories260K with the reference's own precision.
private let exact = ["--temp", "0", "--activations", "f32", "-ctk", "f32", "-ctv", "f32"]

@Suite("generate: the reference's tokens, whatever way the prompt comes")
struct GoldenGenerationTests {
    private struct Golden: Decodable {
        let file: String
        let ids: [Int32]
        let text: String
    }

    @Test(
        "Greedy generation gives the reference's 256 tokens and their text",
        .enabled(if: Fixture.hasShared, "needs ../shared/data"),
        arguments: ["F32", "F16", "Q5_1", "Q8_0", "Q4_0"])
    func golden(type: String) throws {
        let file = try Data(contentsOf: URL(filePath: Fixture.path("models/stories260K-greedy.json")))
        let golden = try #require(try JSONDecoder().decode([String: Golden].self, from: file)[type])
        let model = Fixture.path("models/\(golden.file)")
        let result = try CLI.run(["generate", "-m", model, "-p", "", "-n", "256", "--ignore-eos", "--json"] + exact)
        #expect(result.status == 0)
        let generation = try result.json(Generation.self)
        #expect(generation.promptTokens == [1])
        #expect(generation.tokens == golden.ids)
        #expect(generation.finishReason == "length")
        #expect(generation.model == model)
        #expect(generation.timings.promptSeconds > 0 && generation.timings.generationSeconds > 0)
        #expect(generation.timings.promptPerSecond > 0 && generation.timings.generationPerSecond > 0)
        #expect(generation.memory.planned > 0 && generation.memory.peak > 0)
        let streamed = try CLI.run(["-m", model, "-p", "", "-n", "256", "--ignore-eos", "-q"] + exact)
        #expect(streamed.output == generation.text + "\n")
        #expect(streamed.error.isEmpty)
    }

    @Test("The text is that of the tokens", .enabled(if: Fixture.hasShared, "needs ../shared/data"))
    func text() throws {
        let run = try CLI.run(["-m", Fixture.stories, "-p", "", "-n", "12", "--json"] + exact)
        #expect(try run.json(Generation.self).text == "Once upon a time, there was a little girl")
    }

    @Test(
        "The prompt comes from an option, a file, ids or standard input, and each gives the same",
        .enabled(if: Fixture.hasShared, "needs ../shared/data"))
    func prompts() throws {
        let prompt = "Once upon a time"
        let base = ["-m", Fixture.stories, "-n", "20", "--json"] + exact
        let option = try CLI.run(base + ["-p", prompt]).json(Generation.self)
        #expect(option.promptTokens == [1, 403, 407, 261, 378])
        #expect(option.prompt == prompt)
        let file = try Fixture.newFile("prompt.txt", prompt)
        let others = try [
            CLI.run(base + ["-f", file]), CLI.run(base, stdin: prompt), CLI.run(base + ["--ids", "1,403,407,261,378"]),
            CLI.run(base + ["--ids", "1 403 407 261 378"]),
        ]
        for other in others {
            let generation = try other.json(Generation.self)
            #expect(generation.promptTokens == option.promptTokens)
            #expect(generation.tokens == option.tokens)
        }
    }

    @Test(
        "A stop text ends the generation, and is not part of it",
        .enabled(if: Fixture.hasShared, "needs ../shared/data"), arguments: [["Lily"], ["nowhere", "Lil"]])
    func stop(texts: [String]) throws {
        let stops = texts.flatMap { ["--stop", $0] }
        let run = try CLI.run(["-m", Fixture.stories, "-p", "Once", "-n", "50", "--json"] + exact + stops)
        let generation = try run.json(Generation.self)
        #expect(generation.text == " upon a time, there was a little girl named ")
        #expect(generation.finishReason == "stopString")
    }

    @Test(
        "Threads, batch size and the place of the weights do not change greedy text",
        .enabled(if: Fixture.hasShared, "needs ../shared/data"),
        arguments: [
            ["-t", "1"], ["-t", "3"], ["-b", "1"], ["-b", "3"], ["--weights", "mapped"], ["--weights", "resident"],
            ["--draft", "5"],
        ])
    func invariance(options: [String]) throws {
        let base = ["-m", Fixture.stories, "-p", "Once upon a time there was", "-n", "40", "--json"] + exact
        let expected = try CLI.run(base).json(Generation.self).tokens
        #expect(try CLI.run(base + options).json(Generation.self).tokens == expected)
    }
}

@Suite("generate: forms of output, seeds and limits")
struct GenerationFormTests {
    private let base = ["-m", Fixture.tiny, "--ids", "1,5,6", "--ignore-eos"]

    private struct Token: Decodable {
        let id: Int32
        let text: String
        let finishReason: String?
    }

    @Test("--jsonl is one object a token; the last one says why it is the last")
    func jsonLines() throws {
        let whole = try CLI.run(base + ["-n", "12", "--seed", "7", "--json"]).json(Generation.self)
        let run = try CLI.run(base + ["-n", "12", "--seed", "7", "--jsonl"])
        let tokens = try run.output.split(separator: "\n").map { line in
            try JSONDecoder().decode(Token.self, from: Data(line.utf8))
        }
        #expect(tokens.map(\.id) == whole.tokens)
        #expect(tokens.map(\.text).joined() == whole.text)
        #expect(tokens.map(\.finishReason) == Array(repeating: nil, count: 11) + ["length"])
    }

    @Test("The same seed gives the same text, another seed another one")
    func seeds() throws {
        func run(_ seed: String) throws -> Generation {
            try CLI.run(base + ["-n", "30", "--temp", "1", "-s", seed, "--json"]).json()
        }
        let (first, again, other) = (try run("1"), try run("1"), try run("2"))
        #expect(first.seed == 1)
        #expect(first.tokens == again.tokens)
        #expect(first.tokens != other.tokens)
    }

    @Test("Without a seed the result names one, which gives the same text again")
    func namedSeed() throws {
        let first: Generation = try CLI.run(base + ["-n", "20", "--temp", "1", "--json"]).json()
        let again: Generation = try CLI.run(base + ["-n", "20", "--temp", "1", "--json", "-s", "\(first.seed)"]).json()
        #expect(first.tokens == again.tokens)
    }

    @Test("-n -1 goes on until the context is full")
    func fullContext() throws {
        let generation: Generation = try CLI.run(base + ["-n", "-1", "-c", "16", "--json"]).json()
        // The last token needs no position: nothing follows it.
        #expect(generation.tokens.count == 14)
        #expect(generation.finishReason == "contextFull")
    }

    @Test("-n 0 feeds the prompt and generates nothing")
    func nothing() throws {
        let generation: Generation = try CLI.run(base + ["-n", "0", "--json"]).json()
        #expect(generation.tokens.isEmpty && generation.text.isEmpty)
        #expect(generation.finishReason == "length")
        #expect(generation.timings.promptSeconds > 0)
    }

    @Test("The text alone is on standard output; the report on standard error fits a terminal")
    func streams() throws {
        let text = try CLI.run(base + ["-n", "10", "--temp", "0", "--json"]).json(Generation.self).text
        let run = try CLI.run(base + ["-n", "10", "--temp", "0"])
        #expect(run.output == text + "\n")
        let report = /prompt 3 tokens, [0-9.]+ t\/s; generated 10, [0-9.]+ t\/s; peak [0-9.]+ MiB\n/
        #expect(run.error.wholeMatch(of: report) != nil)
        #expect(run.error.count <= 80)
    }

    @Test("--draft guesses, says how much of it was right, and leaves the text as it is")
    func draft() throws {
        let options = ["-p", "Once upon a time there was a little mouse.", "-n", "200"] + exact
        let plain: Generation = try CLI.run(options + ["--json"]).json()
        #expect(plain.timings.draftedTokens == 0 && plain.timings.acceptedTokens == 0)
        let run = try CLI.run(options + ["--json", "--draft", "8"])
        let guessing: Generation = try run.json()
        #expect(guessing.tokens == plain.tokens && guessing.text == plain.text)
        let timings = guessing.timings
        #expect(timings.acceptedTokens > 50 && timings.acceptedTokens <= timings.draftedTokens)
        #expect(run.error.contains("; \(timings.acceptedTokens)/\(timings.draftedTokens) guesses right; "))
        for nonsense in ["-1", "65", "x"] {
            #expect(try CLI.run(options + ["--draft", nonsense]).status == 64)
        }
    }

    @Test("--verbose says what is used, on standard error only")
    func verbose() throws {
        let run = try CLI.run(base + ["-n", "1", "-v", "-t", "1", "--isa", "scalar", "--weights", "mapped"])
        #expect(run.error.contains("kernels scalar, 1 threads, BLAS "))
        #expect(run.error.contains("context 512, weights mapped, planned memory "))
        #expect(!run.output.contains("kernels"))
    }

    @Test("Nothing is coloured that no person sees")
    func colours() throws {
        let run = try CLI.run(
            ["-m", "/no/such", "-p", "a"], environment: ["TERM": "xterm-256color", "FORCE_COLOR": "1"])
        #expect(!run.error.contains("\u{1B}"))
    }
}

@Suite("generate --logits: a NumPy file of every position's logits")
struct LogitsTests {
    /// A matrix of float32 in NumPy's format.
    struct Matrix {
        let rows: Int
        let columns: Int
        let values: [Float]

        init(path: String) throws {
            let data = [UInt8](try Data(contentsOf: URL(filePath: path)))
            try #require(Array(data.prefix(8)) == [0x93] + Array("NUMPY".utf8) + [1, 0])
            let length = Int(data[8]) | Int(data[9]) << 8
            try #require((10 + length) % 64 == 0)
            let header = String(decoding: data[10..<10 + length], as: UTF8.self)
            let pattern = /\{'descr': '<f4', 'fortran_order': False, 'shape': \(([0-9]+), ([0-9]+)\), \} *\n/
            let match = try #require(header.wholeMatch(of: pattern))
            rows = try #require(Int(match.1))
            columns = try #require(Int(match.2))
            try #require(data.count == 10 + length + rows * columns * 4)
            values = stride(from: 10 + length, to: data.count, by: 4).map { start in
                Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(data[start + $1]) << UInt32(8 * $1) })
            }
        }
    }

    private static let ids = (0..<40).map { "\(($0 * 37 + 1) % 512)" }.joined(separator: ",")

    private func logits(_ options: [String]) throws -> Matrix {
        let path = Fixture.newPath("logits.npy")
        let run = try CLI.run(["-m", Fixture.tiny, "--ids", Self.ids, "-n", "0", "--logits", path] + options)
        #expect(run.status == 0)
        #expect(run.output.isEmpty)
        #expect(run.error == "wrote 40 x 512 logits to \(path)\n")
        return try Matrix(path: path)
    }

    @Test("Batches of one, of seven and of all tokens agree", arguments: ["1", "7"])
    func batches(size: String) throws {
        let options = ["--activations", "f32", "-ctk", "f32", "-ctv", "f32"]
        let whole = try logits(options)
        let parts = try logits(options + ["-b", size])
        #expect(whole.rows == 40 && whole.columns == 512)
        #expect(parts.rows == 40 && parts.columns == 512)
        #expect(whole.values.contains { $0 != 0 })
        let difference = zip(whole.values, parts.values).map { abs($0 - $1) }.max() ?? .infinity
        #expect(difference < 1e-4)
    }

    @Test("What was there before stays until all logits are there, and pipes are written to")
    func replacing() throws {
        let path = try Fixture.newFile("logits.npy", "kept")
        let environment = ["MODEL": Fixture.tiny, "OUT": path]
        let command = #""$BIN" -m "$MODEL" --ids 1,2,3,4 -n 0 -q --logits "#
        let limited = try CLI.shell("ulimit -f 2; exec " + command + #""$OUT""#, environment: environment)
        #expect(limited.status == 1 && limited.error.hasPrefix("error: cannot write"))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "kept")
        for redirection in [#"/dev/stdout | cat > "$OUT""#, #"/dev/stdout > "$OUT""#, #"/dev/fd/1 > "$OUT""#] {
            #expect(try CLI.shell(command + redirection, environment: environment).status == 0)
            #expect(try Matrix(path: path).rows == 4)
        }
    }

    @Test("Files that appear when they are complete appear under names of their own", arguments: ["stdout", "fd/1"])
    func devices(name: String) throws {
        let path = try Fixture.newFile("out.gguf", "")
        let shape = try Fixture.newFile("shape.json", Fixture.shape())
        let run = try CLI.shell(
            #""$BIN" synthesize /dev/\#(name) --shape "$SHAPE" > "$OUT""#, environment: ["SHAPE": shape, "OUT": path])
        #expect(run.status == 1 && run.error.contains("found a name in /dev or /proc"))
        #expect(try String(contentsOfFile: path, encoding: .utf8).isEmpty)
    }

    @Test("What is read is not written to")
    func inputs() throws {
        let path = try Fixture.newFile("tokenizer.json", "{}")
        let environment = ["MODEL": Fixture.tiny, "OUT": path]
        let run = try CLI.shell(#""$BIN" -m "$MODEL" -n 0 --logits "$OUT" < "$OUT""#, environment: environment)
        #expect(run.status == 1 && run.error.contains("output is the same file as the input"))
        let saving = try CLI.shell(
            #"yes | head -500 > "$OUT"; "$BIN" perplexity -m "$MODEL" -c 32 --save-logits "$OUT" < "$OUT""#,
            environment: environment)
        #expect(saving.status == 1 && saving.error.contains("output is the same file as the input"))
        let shape = try Fixture.newFile("shape.json", Fixture.shape(vocabulary: 600))
        let made = try CLI.run(["synthesize", shape, "--shape", shape])
        #expect(made.status == 1 && made.error.contains("output is the same file as the input"))
        #expect(try String(contentsOfFile: shape, encoding: .utf8) == Fixture.shape(vocabulary: 600))
    }

    @Test("The largest logit of the last row is the token that greedy generation takes")
    func agreesWithGeneration() throws {
        let matrix = try logits([])
        let last = matrix.values.suffix(512)
        let best = last.indices.max { last[$0] < last[$1] }.map { $0 - last.startIndex }
        let run = try CLI.run([
            "-m", Fixture.tiny, "--ids", Self.ids, "-n", "1", "--temp", "0", "--ignore-eos", "--json",
        ])
        #expect(try run.json(Generation.self).tokens.map(Int.init) == best.map { [$0] })
    }

    @Test("--json describes the file")
    func json() throws {
        struct Result: Decodable {
            let promptTokens: [Int32]
            let logits: String
            let shape: [Int]
        }
        let path = Fixture.newPath("logits.npy")
        let run = try CLI.run(["-m", Fixture.tiny, "--ids", "1,2", "-n", "0", "--logits", path, "--json"])
        let result = try run.json(Result.self)
        #expect(result.promptTokens == [1, 2])
        #expect(result.logits == path)
        #expect(result.shape == [2, 512])
    }
}
