import Testing

@Suite("Exit statuses: scripts can tell success, failure and wrong usage apart")
struct ExitStatusTests {
    @Test(
        "Help and version are results",
        arguments: [
            ["--version"], ["--help"], ["-h"], ["help"], ["help", "bench"], ["generate", "--help"],
            ["bench", "--help"],
            ["inspect", "--help"], ["perplexity", "--help"], ["check", "--help"], ["tokenize", "--help"],
            ["detokenize", "--help"],
            ["synthesize", "--help"], ["quantize", "--help"], ["split", "--help"], ["merge", "--help"],
            ["edit", "--help"],
        ])
    func help(arguments: [String]) throws {
        let result = try CLI.run(arguments)
        #expect(result.status == 0)
        #expect(!result.output.isEmpty)
        #expect(result.error.isEmpty)
        for line in result.output.split(separator: "\n") where !line.hasPrefix("USAGE:") { #expect(line.count <= 80) }
    }

    @Test("The version says what a report of a problem needs: commit, kernels, BLAS")
    func version() throws {
        let lines = try CLI.run(["--version"]).output.split(separator: "\n")
        try #require(lines.count == 3)
        #expect(lines[0].wholeMatch(of: /croissant-gguf \d+\.\d+\.\d+, commit ([0-9a-f]{12,}(-dirty)?|unknown)/) != nil)
        // Those that `budget` plans with, and that models are run by.
        let plan = try CLI.run(["budget", Fixture.golden, "--json"]).output
        let kernels = try #require(plan.firstMatch(of: /"kernels" : "(.*)"/))
        #expect(lines[1] == "kernels \(kernels.1)")
        #expect(lines[2].hasPrefix("BLAS "))
    }

    @Test("An argument that is not UTF-8 is refused, not mended")
    func damagedArgument() throws {
        let run = try CLI.shell(#""$BIN" inspect "$(printf 'mod\351le.gguf')""#)
        #expect(run.status == 64 && run.error == "error: argument 2 is not UTF-8: \"mod\u{FFFD}le.gguf\"\n")
        let whole = try CLI.run(["inspect", "mod\u{FFFD}le.gguf"])
        #expect(whole.status == 1 && whole.error.contains("no such file"))
    }

    @Test(
        "Wrong usage is 64, says so in its first line, and prints no result",
        arguments: [
            ["generate", "-m", "x", "--no-such-flag"],
            ["frobnicate"],
            ["help", "frobnicate"],
            ["x.gguf"],
            ["generate", "-m"],
            ["generate", "-m", "x", "-p", "a", "-n", "-5"],
            ["generate", "-m", "x", "-p", "a", "-n", "many"],
            ["generate", "-m", "x", "-p", "a", "-t", "0"],
            ["generate", "-m", "x", "-p", "a", "-t", "9999"],
            ["generate", "-m", "x", "-p", "a", "-b", "0"],
            ["generate", "-m", "x", "-p", "a", "-c", "-1"],
            ["generate", "-m", "x", "-p", "a", "-c", "99999999"],
            ["generate", "-m", "x", "-p", "a", "-ctk", "q9"], ["budget", "x", "-ctv", "q6_K"],
            ["bench", "-m", "x", "-ctk", "f16,q5_0"], ["generate", "-m", "x", "-p", "a", "-tb", "0"],
            ["generate", "-m", "x", "-p", "a", "-ctv", ""],
            ["generate", "-m", "x", "-p", "a", "--isa", "mmx"],
            ["generate", "-m", "x", "-p", "a", "--weights", "there"],
            ["generate", "-m", "x", "-p", "a", "--activations", "f64"],
            ["generate", "-m", "x", "-p", "a", "--memory-budget", "much"],
            ["generate", "-m", "x", "-p", "a", "--memory-budget", "-1"],
            ["generate", "-m", "x", "-p", "a", "--temp", "-1"],
            ["generate", "-m", "x", "-p", "a", "--temp", "nan"],
            ["generate", "-m", "x", "-p", "a", "--temp", "inf"],
            ["generate", "-m", "x", "-p", "a", "--top-k", "-1"],
            ["generate", "-m", "x", "-p", "a", "--top-p", "0"],
            ["generate", "-m", "x", "-p", "a", "--top-p", "1.5"],
            ["generate", "-m", "x", "-p", "a", "--min-p", "-0.1"],
            ["generate", "-m", "x", "-p", "a", "--repeat-penalty", "0"],
            ["generate", "-m", "x", "-p", "a", "--repeat-last-n", "-2"],
            ["generate", "-m", "x", "-p", "a", "--seed", "-2"],
            ["generate", "-m", "x", "-p", "a", "--stop", ""],
            ["generate", "-m", "x", "-p", "a", "-f", "b"],
            ["generate", "-m", "x", "-p", "a", "--ids", "1"],
            ["generate", "-m", "x", "--ids", ""],
            ["generate", "-m", "x", "--ids", "1,two"],
            ["generate", "-m", "x", "--ids", "99999999999"],
            ["generate", "-m", "x", "-p", "a", "--json", "--jsonl"],
            ["generate", "-m", "x", "-p", "a", "-q", "-v"],
            ["generate", "-m", "x", "-p", "a", "--logits", "y"],
            ["generate", "-m", "x", "-p", "a", "--logits", "y", "-n", "0", "--jsonl"],
            ["generate", "-m", "x", "-p", "a", "--logits", "y", "-n", "0", "--stop", "z"],
            ["generate", "-m", "x", "-p", "a", "--logits", "y", "-n", "0", "--draft", "4"],
            ["generate", "-m", "x", "-p", "a", "--draft", "65"],
            ["generate", "-m", "x", "-p", "a", "--draft", "4", "-b", "4"],
            ["bench", "-m", "x", "-r", "0"],
            ["bench", "-m", "x", "-p", "0", "-n", "0"],
            ["bench", "-m", "x", "-p", "1,"],
            ["bench", "-m", "x", "-p", "4-2"],
            ["bench", "-m", "x", "-p", "1-9+0"],
            ["bench", "-m", "x", "-p", "1-9*1"],
            ["bench", "-m", "x", "-p", "0-16777216"],
            ["bench", "-m", "x", "-pg", "4"],
            ["bench", "-m", "x", "-pg", "0,0"],
            ["bench", "-m", "x", "-o", "xml"],
            ["bench", "-m", "x", "-o", "md", "--json"],
            ["bench", "-m", "x", "--type", "Q8_0"],
            ["bench", "-m", "x", "-t", "1000000000000"],
            ["quantize", "x", "y"],
            ["quantize", "x", "y", "Q9_K"],
            ["quantize", "x", "y", "Q4_0", "-t", "0"],
            ["quantize", "x", "y", "Q4_0", "--tensor-type", "ffn"],
            ["quantize", "x", "y", "Q4_0", "--tensor-type", "ffn=Q9_K"],
            ["quantize", "x", "y", "Q4_0", "--tensor-type", "ffn=I32"],
            ["quantize", "x", "y", "Q4_0", "--tensor-type", "(=Q4_0"],
            ["quantize", "x", "y", "Q4_0", "--tensor-type", "a{2=Q4_0"],
            ["quantize", "x", "y", "Q4_0", "--output-tensor-type", "Q4_K_M"],
            ["split", "x", "y"],
            ["split", "x", "y", "--max-tensors", "0"],
            ["split", "x", "y", "--max-size", "large"],
            ["merge", "x"],
            ["edit", "x", "y"],
            ["edit", "x", "y", "--set", "a"],
            ["edit", "x", "y", "--set", "=a"],
            ["edit", "x", "y", "--set", "a=1", "--remove", "a"],
            ["perplexity", "-m", "x", "-f", "y", "--chunks", "0"],
            ["perplexity", "-m", "x", "-f", "y", "-c", "2"],
            ["perplexity", "-m", "x", "-f", "y", "z"],
            ["perplexity", "-m", "x", "-f", "y", "--kl-divergence", "z"],
            ["perplexity", "-m", "x", "--save-logits", "y", "--kl-divergence", "z"],
            ["check", "x", "y"],
            ["check", "x", "-t", "0"],
            ["check", "x", "-q", "-v"],
            ["inspect", "x", "--tensors", "--metadata", "k"],
            ["tokenize", "-m", "x", "a", "-f", "b"],
            ["tokenize", "-m", "x", "a", "--ids", "--json"],
            ["tokenize", "-m", "x", "a", "-c", "5"],
            ["synthesize"],
            ["synthesize", "x", "--type", "Q9"],
            ["synthesize", "x", "--shape", "baguette"],
            ["synthesize", "x", "-t", "9999"],
            ["synthesize", "x", "--seed", "-1"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let result = try CLI.run(arguments)
        #expect(result.status == 64)
        #expect(result.output.isEmpty)
        #expect(result.error.hasPrefix("error: "))
    }

    @Test("Help says what statuses there are")
    func documented() throws {
        let help = try CLI.run(["--help"]).output.replacing("\n", with: " ")
        for text in ["0 done", "1 the work failed", "64 wrong usage", "130 interrupted", "143 ended by SIGTERM"] {
            #expect(help.contains(text))
        }
    }

    @Test("Values that begin with a dash are values")
    func negativeValues() throws {
        let result = try CLI.run(
            [
                "-m", Fixture.tiny, "-p", "-n", "-n", "-1", "-c", "16", "--repeat-last-n", "-1", "--presence-penalty",
                "-0.5",
                "--temp", "0", "--seed", "-1", "--json",
            ])
        #expect(result.status == 0)
        #expect(result.output.contains("\"text\""))
    }

    @Test("A context of 0 is the model's own")
    func defaultContext() throws {
        let runs = try [["-c", "0"], []].map { try CLI.run(["-m", Fixture.tiny, "-p", "a", "-n", "0", "-v"] + $0) }
        for run in runs {
            #expect(run.status == 0)
            #expect(run.error.contains("context 512,"))
        }
    }
}
