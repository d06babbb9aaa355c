import CroissantCLI
import Foundation
import Testing

@Suite("Comparisons of benchmarks: what is matched, what is said, what is refused")
struct BenchComparisonTests {
    /// A row as `bench -o json` prints it; nil leaves a key out.
    private static func row(
        _ test: String, _ samples: [Double], model: String = "croissant", _ changes: [String: String?] = [:]
    ) -> String {
        var values: [String: String?] = [
            "model": "\"\(model)\"", "test": "\"\(test)\"", "samples": "\(samples)", "modelBytes": "774000000",
            "threads": "2", "batchSize": "512", "keyType": "\"F16\"", "valueType": "\"F16\"", "kernels": "\"avx2\"",
            "weights": "\"resident\"", "host": "{\"cores\": 2}", "parameters": "12",
        ]
        values.merge(changes) { _, new in new }
        let pairs = values.compactMap { key, value in value.map { "\"\(key)\": \($0)" } }
        return "{" + pairs.sorted().joined(separator: ", ") + "}"
    }

    private static func rows(_ objects: [String]) throws -> [ComparedRow] {
        try JSONDecoder().decode([ComparedRow].self, from: Data("[\(objects.joined(separator: ","))]".utf8))
    }

    private static func comparison(_ a: [String], _ b: [String]) throws -> BenchComparison {
        BenchComparison(try rows(a), try rows(b))
    }

    private static let slow = [49.0, 50, 51, 50, 50]
    private static let fast = [59.0, 60, 61, 60, 60]

    @Test("Verdicts say by how much B is faster or slower, or that nothing is shown")
    func verdicts() throws {
        let a = ["pp512", "tg128", "tg8", "tg9"].map { Self.row($0, Self.slow) }
        let b = [
            Self.row("tg128", Self.fast), Self.row("pp512", [40, 41, 40, 41, 40]),
            Self.row("tg8", [51, 50, 49, 50, 51]),
            Self.row("tg9", [90]),
        ]
        let comparison = try Self.comparison(a, b)
        #expect(comparison.tests.map(\.test) == ["pp512", "tg128", "tg8", "tg9"])
        #expect(comparison.tests.map(\.verdict) == [.slower, .faster, .noDifferenceShown, .tooFewRuns])
        #expect(comparison.tests[3].low == nil && comparison.tests[3].runs == .init(a: 5, b: 1))
        let lines = comparison.text.split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("| model") && lines[1].hasPrefix("|:--"))
        let cells = lines[2...5].map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        #expect(cells[1].prefix(4) == ["croissant", "tg128", "50.00", "60.00"])
        #expect(cells[1][4].wholeMatch(of: /1\.200 \(1\.1\d\d to 1\.2\d\d\)/) != nil)
        #expect(cells[0][5].wholeMatch(of: /B is slower by 19 % \(1\d to 2\d\)/) != nil, "\(cells[0][5])")
        #expect(cells[1][5].wholeMatch(of: /B is faster by 20 % \(1\d to 2\d\)/) != nil, "\(cells[1][5])")
        #expect(cells[2][5] == "no difference shown")
        #expect(cells[3][5] == "nothing can be said: a single run")
        #expect(lines.count == 7)
        #expect(lines.last?.hasPrefix("Intervals: 95 %, at least 3 % to both sides") == true)
        #expect(comparison.text == (try Self.comparison(a, b)).text)
    }

    @Test("A single row of a test is matched whatever its settings, and those that differ are named")
    func differences() throws {
        let changes = ["threads": "1", "kernels": "\"avx512vnni\"", "fileType": "\"Q4_0\"", "modelBytes": "1547000000"]
        let comparison = try Self.comparison(
            [Self.row("pp512", Self.slow), Self.row("tg128", Self.slow, ["fileType": "null"])],
            [Self.row("pp512", Self.fast, changes), Self.row("tg128", Self.fast, changes)])
        let test = try #require(comparison.tests.first)
        #expect(comparison.tests.count == 2 && test.settings.isEmpty)
        #expect(
            test.differences == [
                "threads": .init(a: "2", b: "1"), "kernels": .init(a: "avx2", b: "avx512vnni"),
                "modelBytes": .init(a: "774000000", b: "1547000000"),
            ])
        #expect(
            comparison.text.contains(
                "\nA and B differ in modelBytes (738.1 MiB and 1.44 GiB), threads (2 and 1), kernels (avx2 and avx512vnni).\n"
            ))
    }

    @Test("Differences of single tests are beside them")
    func singleDifferences() throws {
        let comparison = try Self.comparison(
            [Self.row("pp512", Self.slow), Self.row("tg128", Self.slow)],
            [Self.row("pp512", Self.slow, ["weights": "\"mapped\""]), Self.row("tg128", Self.slow)])
        #expect(comparison.text.contains("| weights (resident and mapped) |"))
        #expect(!comparison.text.contains("A and B differ"))
    }

    @Test("In a cross product, settings tell rows apart; what only one file has is listed")
    func crossProduct() throws {
        func side(_ threads: [Int], _ kernels: String, _ samples: [Double]) -> [String] {
            threads.flatMap { threads in
                ["\"F16\"", "\"Q8_0\""].map {
                    Self.row(
                        "tg128", samples, ["threads": "\(threads)", "keyType": $0, "kernels": kernels])
                }
            }
        }
        let comparison = try Self.comparison(
            side([1, 2], "\"avx2\"", Self.slow) + [Self.row("pp8", Self.slow)],
            side([2, 4], "\"neon\"", Self.fast) + [Self.row("pp9", Self.slow, model: "other\\u001b")])
        #expect(
            comparison.tests.map(\.settings) == [
                ["threads": "2", "keyType": "F16"], ["threads": "2", "keyType": "Q8_0"],
            ])
        #expect(comparison.tests.allSatisfy { Array($0.differences.keys) == ["kernels"] })
        #expect(comparison.text.contains("| threads 2, keyType Q8_0 |"))
        #expect(
            comparison.text.contains(
                "\nOnly in A: tg128 of croissant (threads 1, keyType F16); "
                    + "tg128 of croissant (threads 1, keyType Q8_0); pp8 of croissant.\n"))
        #expect(
            comparison.text.contains(
                "\nOnly in B: tg128 of croissant (threads 4, keyType F16); "
                    + "tg128 of croissant (threads 4, keyType Q8_0); pp9 of other\\u{1b}.\n"))
    }

    @Test("No more settings tell rows apart than needed, and none that a file does not state")
    func fewestSettings() throws {
        // Threads for prompts follow threads in A alone, and only A states the type.
        let types = ["\"Q4_0\"", "\"Q8_0\""]
        let a = (1...2).map {
            Self.row(
                "tg1", Self.slow,
                ["modelBytes": "\($0)000", "promptThreads": "\($0)", "fileType": types[$0 - 1], "prefill": "\"int8\""])
        }
        let b = (1...2).map { Self.row("tg1", Self.slow, ["modelBytes": "\($0)000", "promptThreads": "2"]) }
        let comparison = try Self.comparison(a, b)
        #expect(comparison.tests.map(\.settings) == [["modelBytes": "1000"], ["modelBytes": "2000"]])
        #expect(comparison.tests.map { Array($0.differences.keys) } == [["promptThreads"], []])
    }

    @Test("Rows that cannot be told apart by what both files state are not matched")
    func ambiguous() throws {
        let a = ["\"int8\"", "\"sgemm\""].map { Self.row("pp1", Self.slow, ["prefill": $0]) }
        let comparison = try Self.comparison(a, [Self.row("pp1", Self.slow)])
        #expect(comparison.tests.isEmpty)
        #expect(comparison.onlyInA.map(\.settings) == [["prefill": "int8"], ["prefill": "sgemm"]])
        #expect(comparison.onlyInB.count == 1)
    }

    @Test("Rows that agree in everything are processes of the same test")
    func processes() throws {
        let rows = (0..<3).map { Self.row("pp1", [50, 50 + Double($0) / 10]) }
        let comparison = try Self.comparison(rows, rows)
        let test = try #require(comparison.tests.first)
        #expect(comparison.tests.count == 1 && test.processes == .init(a: 3, b: 3) && test.runs == .init(a: 6, b: 6))
        #expect(test.verdict == .noDifferenceShown)
        #expect((test.low ?? 0) > 0.99 && (test.high ?? 2) < 1.01)
        #expect(comparison.text.hasSuffix("Intervals: 95 %, by process."))
    }

    @Test("JSON holds everything that the text says")
    func json() throws {
        struct Document: Decodable {
            struct Pair<Value: Decodable>: Decodable { let a, b: Value }
            struct Test: Decodable {
                let model, test, verdict: String
                let ratio, low, high: Double
                let speed: Pair<Double>
                let runs: Pair<Int>
                let settings: [String: String]
                let differences: [String: Pair<String>]
            }
            struct Row: Decodable { let model, test: String }
            let files: Pair<String>
            let confidence: Double
            let tests: [Test]
            let onlyInA, onlyInB: [Row]
        }
        let comparison = try Self.comparison(
            [Self.row("pp512", Self.slow)], [Self.row("pp512", Self.fast, ["threads": "1"]), Self.row("tg1", [1])])
        let document = try JSONDecoder().decode(Document.self, from: JSONEncoder().encode(comparison))
        let test = try #require(document.tests.first)
        #expect(document.files.a == "A" && document.confidence == 0.95 && test.verdict == "faster")
        #expect(test.low < test.ratio && test.ratio < test.high && test.speed.a < test.speed.b)
        #expect(test.differences["threads"]?.b == "1" && test.runs.a == 5)
        #expect(document.onlyInA.isEmpty && document.onlyInB.map(\.test) == ["tg1"])
    }

    // MARK: Files

    @Test("An array, one object a line, and a single object are read")
    func forms() throws {
        let objects = [Self.row("pp512", Self.slow), Self.row("tg128", Self.fast)]
        let forms = [
            " [\(objects.joined(separator: ",\n"))]\n", objects.joined(separator: "\n") + "\n",
            objects.joined(separator: "\r\n\r\n"),
        ]
        for form in forms {
            let rows = try SavedResult.read(try Fixture.newFile("rows.json", form), as: ComparedRow.self)
            #expect(rows.map(\.test) == ["pp512", "tg128"])
            #expect(rows.map(\.samples) == [Self.slow, Self.fast])
        }
        let single = objects[0].replacing(", ", with: ",\n")
        let row = try SavedResult.read(try Fixture.newFile("row.json", single), as: ComparedRow.self)
        #expect(row.map(\.test) == ["pp512"])
    }

    @Test("What the program itself prints can be compared", arguments: ["json", "jsonl"])
    func ownOutput(form: String) throws {
        let run = try CLI.run(["bench", "-m", Fixture.tiny, "-p", "4", "-n", "2", "-r", "2", "-o", form])
        let path = try Fixture.newFile("bench.\(form)", run.output)
        let comparison = try BenchComparison.read(path, path)
        #expect(comparison.tests.map(\.test) == ["pp4", "tg2"])
        #expect(comparison.text.contains("\nA is \(path), B is \(path).\n"))
        #expect(comparison.tests.allSatisfy { $0.ratio == 1 && $0.verdict == .noDifferenceShown })
    }

    /// What a file holds, nil where there is none, and what is wrong with it; PATH stands for its path.
    struct Refusal: CustomTestStringConvertible {
        let content: String?
        let message: String

        init(_ content: String?, _ message: String) {
            self.content = content
            self.message = message
        }

        var testDescription: String { message }
    }

    static let refusals = [
        Refusal(nil, "cannot read text: PATH (No such file or directory)"),
        Refusal("", "no rows: PATH (expected one for each test, found none)"),
        Refusal(" \n", "no rows: PATH (expected one for each test, found none)"),
        Refusal("[]", "no rows: PATH (expected one for each test, found none)"),
        Refusal("model,test\n", "not a benchmark result: PATH (line 1: expected JSON, found something else)"),
        Refusal("[1, ", "not a benchmark result: PATH (expected JSON, found something else)"),
        Refusal("\n7\n", "not a benchmark result: PATH (line 2: expected an array of objects or an object a line)"),
        Refusal(
            "[\(row("pp1", [1])), \(row("pp1", [1], ["threads": nil]))]",
            "not a benchmark result: PATH (row 2: threads is missing)"
        ),
        Refusal(
            row("pp1", [1]) + "\n" + row("pp1", [1], ["samples": nil]),
            "not a benchmark result: PATH (line 2: samples is missing)"
        ),
        Refusal(
            "[\(row("pp1", [1], ["samples": "[\"1\"]"]))]",
            "not a benchmark result: PATH (row 1: samples has the wrong type)"
        ),
        Refusal(
            row("pp1", [1], ["keyType": "[]"]), "not a benchmark result: PATH (line 1: keyType has the wrong type)"
        ),
        Refusal("[\(row("pp1", [1])), \(row("tg1", []))]", "no samples: PATH (row 2, tg1)"),
        Refusal(
            "[\(row("pp1", [1, 0]))]",
            "not a speed: PATH (row 1, pp1) (expected more than 0 tokens a second, found 0.0)"),
    ]

    @Test("What cannot be compared is refused in one line", arguments: refusals)
    func refusal(_ refusal: Refusal) throws {
        let path = try refusal.content.map { try Fixture.newFile("rows.json", $0) } ?? Fixture.newPath("absent.json")
        let failure = #expect(throws: Failure.self) { try SavedResult.read(path, as: ComparedRow.self) }
        #expect(failure?.message == refusal.message.replacing("PATH", with: path))
        #expect(failure?.status == 1)
    }

    @Test("Files without a common test are refused, with what they have")
    func nothingInCommon() throws {
        let a = try Fixture.newFile("a.json", "[\(Self.row("pp1", [1])), \(Self.row("tg1", [1]))]")
        let b = try Fixture.newFile("b.json", "[\(Self.row("pp1", [1], model: "other"))]")
        let failure = #expect(throws: Failure.self) { try BenchComparison.read(a, b) }
        #expect(
            failure?.message
                == "no test in common: \(a), \(b) (the first has pp1 of croissant, tg1 of croissant; the second has "
                + "pp1 of other)")
    }
}
