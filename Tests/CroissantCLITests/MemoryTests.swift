import Foundation
import Testing

@Suite("Memory: a budget is kept or refused before anything is loaded")
struct MemoryTests {
    private let base = ["-m", Fixture.tiny, "--ids", "1,2,3", "-n", "4", "--ignore-eos", "--json"]

    private func run(budget: Int, _ options: [String] = []) throws -> RunResult {
        try CLI.run(base + ["--memory-budget", "\(budget)"] + options)
    }

    @Test(
        "At the plan it runs, a byte below it is refused with a context that fits", arguments: ["mapped", "resident"])
    func boundary(weights: String) throws {
        let options = ["--weights", weights]
        let planned = try CLI.run(base + options).json(Generation.self).memory.planned
        #expect(try run(budget: planned, options).status == 0)
        let refused = try run(budget: planned - 1, options)
        #expect(refused.status == 1)
        #expect(refused.output.isEmpty)
        #expect(refused.errorLines.count == 2)
        #expect(refused.error.hasPrefix("error: over the memory budget: "))
        let pattern = /hint: .*a context of ([0-9]+) tokens \(-c [0-9]+\).*/
        let context = try #require(refused.errorLines.last?.wholeMatch(of: pattern)).1
        #expect(try run(budget: planned - 1, options + ["-c", String(context)]).status == 0)
    }

    @Test("A budget below the weights is refused in two lines, before they are loaded")
    func impossible() throws {
        // A loaded model would be described.
        let refused = try run(budget: 1024, ["-v"])
        #expect(refused.status == 1)
        #expect(refused.errorLines.count == 2)
        #expect(refused.error.hasPrefix("error: over the memory budget: the plan needs "))
        #expect(
            refused.error.contains("(expected at most 1.0 KiB)\nhint: no context fits: the model itself takes "))
    }

    #if os(Linux)
    @Test("What the address space has no room for is refused in one line, not with a trap")
    func addressSpace() throws {
        // Sixteen million positions take 4 GiB.
        let run = try CLI.shell(
            #"ulimit -c 0; ulimit -v 3000000; "$BIN" -m "$MODEL" --ids 1,2 -n 1 -c 16000000"#,
            environment: ["MODEL": Fixture.tiny])
        #expect(run.status == 1)
        #expect(run.output.isEmpty)
        #expect(run.errorLines.count == 2)
        #expect(run.error.hasPrefix("error: out of memory: "))
        #expect(run.error.contains(" for the model and a session were refused by the system\nhint: "))
    }

    @Test(
        "Where the address space has no room for the BLAS's buffers, one line says so, instead of waiting for ever",
        arguments: [
            "perplexity -m \"$MODEL\" -f \"$TEXT\" --prefill sgemm -c 32 --chunks 1 -q",
            "quantize \"$MODEL\" \"$OUT\" Q4_0 --calibration \"$TEXT\" --calibration-context 32 --calibration-chunks 1 -q",
        ])
    func buffers(command: String) throws {
        let folder = try Fixture.newFolder("buffers")
        let model = Fixture.newPath("F16.gguf")
        let shape = try Fixture.newFile("shape.json", Fixture.shape())
        #expect(try CLI.run(["synthesize", model, "--shape", shape, "--type", "F16"]).status == 0)
        let environment = [
            "MODEL": model, "OUT": folder + "/out.gguf",
            "TEXT": try Fixture.newFile("text.txt", String(repeating: "the cat sat on the mat ", count: 50)),
        ]
        // 128 MiB for each thread.
        let refused = try CLI.shell(
            "ulimit -c 0; ulimit -v 800000; exec \"$BIN\" \(command) -t 8", environment: environment)
        #expect(refused.status == 1)
        #expect(refused.output.isEmpty)
        #expect(refused.errorLines.first?.hasPrefix("error: out of memory: ") == true, "\(refused.error)")
        #expect(refused.error.contains(" for buffers of the BLAS and what is computed with it were refused"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        for addressSpace in [250_000, 300_000, 400_000] {
            let run = try CLI.shell(
                "ulimit -c 0; ulimit -v \(addressSpace); exec \"$BIN\" \(command) -t 2", environment: environment)
            // Which of them has room, chance has a part in.
            #expect(run.status == 0 || run.errorLines.first?.hasPrefix("error: ") == true, "\(run.status)")
        }
        let run = try CLI.shell("ulimit -v 4000000; exec \"$BIN\" \(command) -t 2", environment: environment)
        #expect(run.status == 0, "\(run.error)")
    }

    @Test(
        "What is done ends, even where the BLAS's threads wait for memory that they cannot have",
        arguments: [200_000, 220_000, 240_000, 260_000], ["inspect \"$MODEL\"", "--help", "inspect --no-such"])
    func end(addressSpace: Int, command: String) throws {
        let run = try CLI.shell(
            "ulimit -c 0; ulimit -v \(addressSpace); exec \"$BIN\" \(command)", environment: ["MODEL": Fixture.tiny])
        // Which of them has room to be done at all, chance has a part in.
        #expect(run.status == 0 || run.errorLines.first?.hasPrefix("error: ") == true)
    }
    #endif

    @Test("The peak is below the plan, and near it", arguments: ["mapped", "resident"])
    func peak(weights: String) throws {
        let memory = try CLI.run(base + ["--weights", weights]).json(Generation.self).memory
        #expect(memory.peak <= memory.planned)
        #expect(memory.peak > memory.planned - 16 << 20)
    }
}
