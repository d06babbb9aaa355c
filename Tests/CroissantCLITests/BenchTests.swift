import Foundation
import Testing

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
