import Foundation
import Testing

@Suite("Generation through the executable")
struct GenerateTests {
    @Test(
        "Float arithmetic repeats the golden tokens of every file",
        .enabled(if: Golden.isPresent, "needs ../shared/data"),
        arguments: [("F32", ""), ("F16", "-F16"), ("Q5_1", "-Q5_1"), ("Q8_0", "-Q8_0"), ("Q4_0", "-Q4_0")])
    func golden(key: String, suffix: String) throws {
        let run = try Program.run(
            "generate", "-m", Golden.path("models/stories260K\(suffix).gguf"), "-p", "", "-n", "256", "--temp", "0",
            "--ignore-eos", "--activations", "f32", "-ctk", "f32", "-ctv", "f32", "--json")
        #expect(run.status == 0)
        let golden = try #require(try Golden.json("models/stories260K-greedy.json")[key] as? [String: Any])
        #expect(try run.json()["tokens"] as? [Int] == golden["ids"] as? [Int])
    }

    @Test("A prompt may come from an option, a file, ids or standard input")
    func prompts() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let file = try folder.write("prompt.txt", "Bonjour le monde")
        let common = ["generate", "-m", model, "-n", "8", "--temp", "0", "--json", "-q"]
        let option = try Program.run(common + ["-p", "Bonjour le monde"])
        let ids = try #require(try option.json()["promptTokens"] as? [Int])
        let expected = try #require(try option.json()["tokens"] as? [Int])
        #expect(expected.count == 8)
        let others = [
            try Program.run(common + ["-f", file]),
            try Program.run(common, input: "Bonjour le monde"),
            try Program.run(common + ["--ids", ids.map(String.init).joined(separator: ",")]),
        ]
        for other in others { #expect(try other.json()["tokens"] as? [Int] == expected) }
    }

    @Test("The same seed gives the same text, greedy the same for every number of threads")
    func repeatable() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let sampled = ["generate", "-m", model, "-p", "Paris", "-n", "24", "-q", "--seed", "7"]
        #expect(try Program.run(sampled).output == Program.run(sampled).output)
        let greedy = ["generate", "-m", model, "-p", "Paris", "-n", "24", "-q", "--temp", "0"]
        #expect(try Program.run(greedy + ["-t", "1"]).output == Program.run(greedy + ["-t", "3"]).output)
    }

    @Test("The pieces of --jsonl make up the text, and results stay apart from everything else")
    func lines() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let common = ["generate", "-m", model, "-p", "Paris", "-n", "16", "--seed", "3"]
        let lines = try Program.run(common + ["--jsonl"])
        let text = try lines.output.split(separator: "\n").map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return try #require(object?["text"] as? String)
        }.joined()
        let whole = try Program.run(common + ["--json"])
        #expect(try whole.json()["text"] as? String == text)
        let plain = try Program.run(common)
        #expect(plain.output == text + "\n")
        #expect(plain.error.contains("tokens/s"))
        #expect(try Program.run(common + ["-q"]).error.isEmpty)
    }

    @Test("Stop strings end the text before themselves")
    func stop() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let common = ["generate", "-m", model, "-p", "Paris", "-n", "32", "--temp", "0", "--json", "--ignore-eos"]
        let text = try #require(try Program.run(common).json()["text"] as? String)
        let stop = String(text.dropFirst(4).prefix(3))
        let cut = try Program.run(common + ["--stop", stop]).json()
        #expect(cut["finishReason"] as? String == "stopString")
        let range = try #require(text.range(of: stop))
        #expect(cut["text"] as? String == String(text[..<range.lowerBound]))
    }

    @Test("Logits of every position come out as a NumPy file, the same in one batch and one by one")
    func logits() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model(type: "F32")
        let common = ["generate", "-m", model, "--ids", "1,20,300,41,5,66,7", "-n", "0", "-ctk", "f32", "-ctv", "f32"]
        let batch = try Program.run(common + ["--logits", folder.path("batch.npy")])
        let single = try Program.run(common + ["--logits", folder.path("single.npy"), "-b", "1"])
        #expect(batch.status == 0 && single.status == 0)
        let first = try floats(folder.path("batch.npy"))
        let second = try floats(folder.path("single.npy"))
        #expect(first.count == 7 * 512 && second.count == first.count)
        #expect(zip(first, second).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(Set(first).count > 3000)
    }

    private func floats(_ path: String) throws -> [Float] {
        let data = [UInt8](try Data(contentsOf: URL(filePath: path)))
        #expect(data.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
        let start = 10 + Int(data[8]) + Int(data[9]) << 8
        #expect(start % 64 == 0)
        let header = String(decoding: data[10..<start], as: UTF8.self)
        #expect(header.contains("'shape': (7, 512)") && header.contains("<f4"))
        return stride(from: start, to: data.count, by: 4).map { i in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(data[i + $1]) << UInt32(8 * $1) })
        }
    }
}

@Suite("Files, tokens and benchmarks through the executable")
struct OtherCommandTests {
    @Test("Every type that can be made loads and generates, and the same seed makes the same file")
    func synthesize() throws {
        let folder = try TemporaryFolder()
        for type in ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] {
            let path = try folder.model(type: type)
            let run = try Program.run("generate", "-m", path, "-p", "a", "-n", "4", "-q", "--temp", "0")
            #expect(run.status == 0, "\(type): \(run.error)")
        }
        let first = try Data(contentsOf: URL(filePath: try folder.model()))
        let other = try TemporaryFolder()
        let second = try Data(contentsOf: URL(filePath: try other.model()))
        #expect(first == second)
    }

    @Test("Inspect shows metadata, types and tensors, for people and as JSON")
    func inspect() throws {
        let folder = try TemporaryFolder()
        let path = try folder.model()
        let text = try Program.run("inspect", path, "--tensors")
        #expect(text.output.contains("general.architecture = \"llama\""))
        #expect(text.output.contains("blk.1.ffn_down.weight"))
        let report = try Program.run("inspect", path, "--json").json()
        #expect((report["tensors"] as? [Any])?.count == 21)
        #expect((report["metadata"] as? [String: Any])?["llama.block_count"] as? Int == 2)
        #expect(try Program.run("inspect", path, "--metadata", "llama.context_length").output == "256\n")
        let missing = try Program.run("inspect", path, "--metadata", "no.such.key")
        #expect(missing.status == 1 && missing.error.hasPrefix("error: no such key"))
    }

    @Test("Tokens and text become each other")
    func tokens() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let text = "L'été, où est la clé ? 12 \u{1F95D}"
        let ids = try Program.run("tokenize", "-m", model, "--ids", text)
        #expect(ids.status == 0 && ids.output.hasPrefix("1 "))
        let back = try Program.run("detokenize", "-m", model, input: ids.output)
        #expect(back.output == text + "\n")
        let unknown = try Program.run("detokenize", "-m", model, "512")
        #expect(unknown.status == 1 && unknown.error.contains("512"))
    }

    @Test("The published test vectors of the Llama vocabulary", .enabled(if: Golden.isPresent, "needs ../shared/data"))
    func vectors() throws {
        let name = "vocab/ggml-vocab-llama-spm.gguf"
        let inputs = String(decoding: try Data(contentsOf: Golden.folder.appending(path: "\(name).inp")), as: UTF8.self)
            .components(separatedBy: "\n__ggml_vocab_test__\n")
        let outputs = String(
            decoding: try Data(contentsOf: Golden.folder.appending(path: "\(name).out")), as: UTF8.self
        )
        .components(separatedBy: "\n")
        // Every one of them runs in the library's own tests; here a few go through the program.
        for index in stride(from: 0, to: min(inputs.count, outputs.count), by: 6) {
            let run = try Program.run(
                "tokenize", "-m", Golden.path(name), "--ids", "--no-bos", input: inputs[index])
            #expect(
                run.output.trimmingCharacters(in: .whitespacesAndNewlines)
                    == outputs[index].trimmingCharacters(in: .whitespaces))
        }
    }

    @Test("A benchmark has a row for each test, with its samples")
    func bench() throws {
        let folder = try TemporaryFolder()
        let model = try folder.model()
        let run = try Program.run(
            "bench", "-m", model, "-p", "8,16", "-n", "4", "-d", "0,32", "-r", "2", "-o", "json")
        #expect(run.status == 0)
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]])
        let names = ["pp8", "pp16", "tg4", "pp8 @ d32", "pp16 @ d32", "tg4 @ d32"]
        #expect(rows.map { $0["test"] as? String } == names)
        for row in rows {
            #expect((row["samples"] as? [Double])?.count == 2)
            #expect(try #require(row["mean"] as? Double) > 0)
        }
        let table = try Program.run("bench", "-m", model, "-p", "8", "-n", "0", "-r", "1")
        #expect(table.output.contains("| t/s") || table.output.contains("t/s |"))
        #expect(table.output.contains("pp8"))
    }
}
