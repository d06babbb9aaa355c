import Foundation
import Testing

#if canImport(FoundationXML)
import FoundationXML
#endif

/// A row of `bench -o json`.
struct BenchResult: Decodable {
    let model: String
    let modelBytes: Int
    let parameters: Int
    let threads: Int
    let batchSize: Int
    let keyType: String
    let test: String
    let samples: [Double]
    let mean: Double
    let standardDeviation: Double
    let median: Double
    let plannedMemory: Int
    let peakMemory: Int?
    let anonymousMemory: Int?
    let memoryBudget: Int
    let sha256: String?
    let fileType: String?
    let typeBytes: [String: Int]
    let promptThreads: Int
    let prefill: String
    let valueType: String
    let prompt: Int
    let generation: Int
    let timeToFirstToken: Double?
    let tokenLatency: Latency?
    let energySource: String
    let roofline: Roofline
    let bandwidthUtilisation: Double?
    let operations: Double
    let peakShare: Double?
    let noise: [String]
    let host: Host

    struct Latency: Decodable {
        let p10, p50, p90: Double
    }

    struct Roofline: Decodable {
        let readBytes, floatOperations, byteOperations: Double
    }

    struct Host: Decodable {
        let cores: Int
        let blas: String
    }
}

@Suite("bench: tests, repetitions and forms of output")
struct BenchTests {
    private func bench(_ options: [String]) throws -> RunResult {
        try CLI.run(["bench", "-m", Fixture.tiny] + options)
    }

    @Test(
        "Lists and ranges make a cross product",
        arguments: [
            (["-p", "4,8", "-n", "2", "-d", "0,16"], ["pp4", "pp8", "tg2", "pp4 @ d16", "pp8 @ d16", "tg2 @ d16"]),
            (["-p", "2-6+2", "-n", "0"], ["pp2", "pp4", "pp6"]),
            (["-p", "2-16*2", "-n", "0"], ["pp2", "pp4", "pp8", "pp16"]),
            (["-p", "3-5", "-n", "1,2"], ["pp3", "pp4", "pp5", "tg1", "tg2"]),
            (["-p", "0", "-n", "0", "-pg", "8,2", "-pg", "4,4"], ["pp8+tg2", "pp4+tg4"]),
        ])
    func crossProduct(options: [String], tests: [String]) throws {
        let run = try bench(options + ["-r", "1", "-o", "json"])
        #expect(run.status == 0)
        #expect(try run.json([BenchResult].self).map(\.test) == tests)
    }

    @Test("JSON holds every sample, and their statistics")
    func samples() throws {
        let row = try #require(
            try bench(["-p", "8", "-n", "0", "-r", "4", "-t", "1", "--json"]).json([BenchResult].self).first)
        #expect(row.samples.count == 4)
        #expect(row.samples.allSatisfy { $0 > 0 })
        let mean = row.samples.reduce(0, +) / 4
        #expect(abs(row.mean - mean) < 1e-9 * mean)
        let variance = row.samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 3
        #expect(abs(row.standardDeviation - variance.squareRoot()) < 1e-6 * mean)
        let sorted = row.samples.sorted()
        #expect(abs(row.median - (sorted[1] + sorted[2]) / 2) < 1e-9 * mean)
        #expect(row.model == "tiny" && row.threads == 1 && row.keyType == "F16")
        #expect(row.plannedMemory > row.modelBytes && row.parameters > 0)
    }

    @Test("A row says what a token took, what the machine could do, and what it is")
    func facts() throws {
        let rows = try bench(["-p", "8", "-n", "3", "-pg", "4,2", "-r", "2", "--json"]).json([BenchResult].self)
        #expect(rows.map { [$0.prompt, $0.generation] } == [[8, 0], [0, 3], [4, 2]])
        for row in rows {
            #expect((row.timeToFirstToken != nil) == (row.prompt > 0))
            #expect((row.tokenLatency != nil) == (row.generation > 0))
            if let latency = row.tokenLatency {
                #expect(0 < latency.p10 && latency.p10 <= latency.p50 && latency.p50 <= latency.p90)
            }
            #expect((row.bandwidthUtilisation != nil) == (row.prompt == 0))
            #expect((row.peakShare != nil) == (row.generation == 0))
            if let share = row.peakShare {
                // The best roof of all runs leaves the smallest share.
                let best = max(row.roofline.floatOperations, row.roofline.byteOperations)
                #expect(share > 0 && share >= row.operations / best * (1 - 1e-9))
            }
            #expect(row.roofline.readBytes > 0 && row.roofline.floatOperations > 0 && row.roofline.byteOperations > 0)
            #expect(["rapl", "battery", "unavailable"].contains(row.energySource))
            #expect(row.typeBytes.values.reduce(0, +) == row.modelBytes)
            #expect(row.host.cores > 0 && !row.host.blas.isEmpty)
        }
        // Of the same bytes, by other programs' means.
        #expect(rows[0].sha256 == (try sha256(of: Fixture.tiny)))
    }

    /// What `sha256sum` says; nil where there is none.
    private func sha256(of path: String) throws -> String? {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sha256sum")
        process.arguments = [path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return output.split(separator: " ").first.map(String.init)
    }

    @Test("Runtime options are lists, and every combination is measured")
    func settings() throws {
        let rows = try bench([
            "-p", "8", "-n", "0", "-r", "1", "-t", "1,2", "-tb", "1", "-ctk", "f16,f32", "--prefill", "sgemm,auto",
            "--json",
        ]).json([BenchResult].self)
        #expect(rows.count == 8)
        #expect(Set(rows.map { [$0.keyType, $0.prefill, "\($0.threads)"] }).count == 8)
        #expect(rows.allSatisfy { $0.promptThreads == 1 && $0.valueType == "F16" })
    }

    @Test("Several models, one after the other; one that cannot be loaded is found first")
    func models() throws {
        let run = try bench(["-m", Fixture.tiny, "-p", "4", "-n", "0", "-r", "1", "-o", "csv", "-q"])
        #expect(run.output.split(separator: "\n").count == 3)
        let missing = try bench(["-m", "/nowhere.gguf", "-p", "4", "-n", "0", "-o", "csv"])
        #expect(missing.status == 1 && missing.output.isEmpty && missing.error.contains("/nowhere.gguf"))
    }

    @Test(
        "SQL makes a table and fills it",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/sqlite3"), "no sqlite3"))
    func sql() throws {
        let run = try bench(["-p", "4", "-n", "2", "-r", "2", "-o", "sql", "-q"])
        #expect(run.status == 0)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        let query = "SELECT test, runs, mean > 0, typeof(peakMemory) FROM bench ORDER BY prompt;"
        // Twice: a second run adds to the same table.
        try input.fileHandleForWriting.write(contentsOf: Data((run.output + run.output + query).utf8))
        try input.fileHandleForWriting.close()
        let lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(lines == "tg2|2|1|integer\ntg2|2|1|integer\npp4|2|1|integer\npp4|2|1|integer\n")
    }

    @Test("Saved results come out in every other form, and compare with themselves")
    func saved() throws {
        let measured = try bench(["-p", "4", "-n", "2", "-r", "3", "--json"])
        let path = FileManager.default.temporaryDirectory.appending(path: "bench-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: path) }
        try Data(measured.output.utf8).write(to: path)
        func show(_ form: String) throws -> RunResult {
            try CLI.run(["bench", "--show", path.path(), "-o", form])
        }
        #expect(try show("json").output == measured.output)
        #expect(try show("csv").output.split(separator: "\n").count == 3)
        #expect(try show("md").output.contains("tg2"))
        let picture = try show("svg").output
        #expect(XMLParser(data: Data(picture.utf8)).parse())
        #expect(picture.contains("generation, tg2") && !picture.contains("memory budget"))
        let budget = try CLI.run(["bench", "--show", path.path(), "-o", "svg", "--memory-budget", "1GiB"])
        #expect(budget.output.contains("memory budget, 1.00 GiB"))
        let comparison = try CLI.run(["bench", "--compare", path.path(), path.path()])
        #expect(comparison.status == 0 && comparison.output.contains("no difference shown"))
    }

    @Test(
        "What cannot be measured is refused in one line",
        arguments: [
            (["-p", "0", "-n", "0"], 64), (["-r", "0"], 64), (["-d", "100000"], 1), (["-t", "0"], 64),
            (["--prefill", "fast"], 64), (["-o", "xml"], 64), (["-ctk", "q9"], 64), (["-tb", "1000"], 64),
            (["--show", "x.json"], 64), (["--compare", "x.json"], 64),
        ])
    func refusals(options: [String], status: Int) throws {
        let run = try bench(options)
        #expect(run.status == status && run.output.isEmpty)
        #expect(run.error.split(separator: "\n").first?.hasPrefix("error: ") == true)
    }

    @Test(
        "A list of numbers that cannot be read or is too long says why",
        arguments: [
            ("1-100000", "'1-100000' is more than 1024 numbers"),
            ("1-1000,1-100", "'1-1000,1-100' is more than 1024 numbers"), ("4,5-1", "'5-1' ends before it begins"),
            ("4,20000000", "'20000000' is too large"), ("99999999999999999999", "is too large"),
            ("0-8*2", "'0-8*2' never gets beyond 0"), ("8-16*1", "'8-16*1' never gets beyond 8"),
            ("8-16+0", "'8-16+0' never gets beyond 8"), ("8-16+", "'8-16+' is not a list of numbers"),
            ("4,x", "'4,x' is not a list of numbers"), ("4,", "'4,' is not a list of numbers"),
            ("4-", "'4-' is not a list of numbers"), ("+4", "'+4' is not a list of numbers"),
        ])
    func lists(text: String, reason: String) throws {
        let run = try bench(["-p", text, "-n", "0"])
        #expect(run.status == 64 && run.output.isEmpty)
        #expect(run.error.split(separator: "\n").first?.contains(reason) == true, "\(run.error)")
    }

    @Test(
        "A prompt and tokens after it that cannot be read say why",
        arguments: [
            ("20000000,1", "'20000000' is too large"), ("4,99999999999999999999", "is too large"),
            ("4", "'4' is not a prompt length and"), ("+4,1", "'+4,1' is not a prompt length and"),
            ("0,0", "'0,0' is not a prompt length and"), ("4,1,1", "'4,1,1' is not a prompt length and"),
        ])
    func promptsWithGeneration(text: String, reason: String) throws {
        let run = try bench(["-pg", text])
        #expect(run.status == 64 && run.output.isEmpty)
        #expect(run.error.split(separator: "\n").first?.contains(reason) == true, "\(run.error)")
    }

    @Test("The table is Markdown: a header, a rule, a row for each test, all with as many cells")
    func table() throws {
        let run = try bench(["-p", "4", "-n", "2", "-r", "2"])
        #expect(run.status == 0)
        let lines = run.output.split(separator: "\n").map { $0.split(separator: "|").map { $0.trimming() } }
        #expect(lines.count == 4)
        #expect(Set(lines.map(\.count)).count == 1)
        #expect(lines[0].prefix(7) == ["model", "size", "params", "threads", "type_k", "test", "t/s"])
        #expect(lines[1].allSatisfy { $0.allSatisfy { $0 == "-" || $0 == ":" } })
        #expect(lines[2][5] == "pp4" && lines[3][5] == "tg2")
        #expect(lines[2][6].wholeMatch(of: /[0-9.]+ ± [0-9.]+/) != nil)
        #expect(run.error.hasPrefix("kernels "))
    }

    @Test("CSV has a header and a line for each test, JSON lines an object")
    func lines() throws {
        let csv = try bench(["-p", "4", "-n", "2", "-r", "1", "-o", "csv", "-q"])
        let rows = csv.output.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
        #expect(rows.count == 3)
        #expect(Set(rows.map(\.count)).count == 1)
        let column = try #require(rows[0].firstIndex(of: "test"))
        #expect(rows.dropFirst().map { $0[column] } == ["pp4", "tg2"])
        #expect(csv.error.isEmpty)
        let jsonl = try bench(["-p", "4", "-n", "2", "-r", "1", "-o", "jsonl"])
        let objects = try jsonl.output.split(separator: "\n").map {
            try JSONDecoder().decode(BenchResult.self, from: Data($0.utf8))
        }
        #expect(objects.map(\.test) == ["pp4", "tg2"])
    }
}

extension Substring {
    /// Without spaces at either end.
    fileprivate func trimming() -> String {
        String(self).trimmingCharacters(in: .whitespaces)
    }
}
