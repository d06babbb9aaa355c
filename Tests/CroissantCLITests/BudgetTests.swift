import Foundation
import Testing

@Suite("budget: what a model needs, known before it is loaded")
struct BudgetTests {
    private struct Report: Decodable {
        struct Plan: Decodable {
            struct Item: Decodable {
                let name: String
                let bytes: Int
                let isFileBacked: Bool
            }

            let contextLength: Int
            let keyType: String
            let weights: String
            let items: [Item]
            let planned: Int
        }

        struct Verdict: Decodable {
            let bytes: Int
            let fits: Bool
            let remedy: String?
        }

        struct Row: Decodable {
            let type: String
            let contextLength: Int
            let keyType: String
            let planned: Int
            let fitsIn: [Int]
        }

        struct Machine: Decodable {
            let total: Int?
            let available: Int?
            let spare: Int?
        }

        struct Choice: Decodable {
            let type: String?
            let contextLength: Int
            let keyType: String
            let planned: Int
        }

        let model: String
        let plan: Plan?
        let budgets: [Verdict]?
        let table: [Row]?
        let machine: Machine
        let choice: Choice?
    }

    private func report(_ arguments: [String]) throws -> Report {
        let run = try CLI.run(["budget", "--json"] + arguments)
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        return try run.json(Report.self)
    }

    private static let shape = try? Fixture.newFile("budget.json", Fixture.shape(embedding: 128, feedForward: 256))

    @Test("What it says of a file is what a run plans", arguments: ["mapped", "resident"])
    func file(weights: String) throws {
        let options = ["-c", "100", "-ctk", "f32", "-b", "16", "-t", "2", "--weights", weights]
        let report = try report([Fixture.tiny] + options)
        let plan = try #require(report.plan)
        let run = try CLI.run(["-m", Fixture.tiny, "--ids", "1", "-n", "1", "--json"] + options)
        #expect(try run.json(Generation.self).memory.planned == plan.planned)
        #expect(plan.items.reduce(0) { $0 + $1.bytes } == plan.planned)
        #expect(plan.items.filter(\.isFileBacked).map(\.name) == (weights == "mapped" ? ["weights"] : []))
        #expect(plan.contextLength == 100 && plan.keyType == "F32" && plan.weights == weights)
        #expect(report.model == Fixture.tiny && report.table == nil)
        #expect(report.budgets?.map(\.bytes) == [1, 2, 4, 8].map { $0 << 30 })
        #expect(report.budgets?.allSatisfy(\.fits) == true)
        #if os(Linux)
        #expect(report.choice?.contextLength == 100 && report.choice?.type == nil)
        #endif
    }

    @Test("A budget is judged as --memory-budget does, and the remedy is the same")
    func verdict() throws {
        let planned = try #require(try report([Fixture.tiny]).plan?.planned)
        let exact = try report([Fixture.tiny, "--memory-budget", "\(planned)"])
        #expect(exact.budgets?.map(\.fits) == [true])
        let short = try #require(try report([Fixture.tiny, "--memory-budget", "\(planned - 1)"]).budgets?.first)
        #expect(!short.fits)
        let refused = try CLI.run(
            ["-m", Fixture.tiny, "--ids", "1", "-n", "1", "--memory-budget", "\(planned - 1)"])
        #expect(refused.status == 1)
        #expect(refused.errorLines.last == "hint: " + (short.remedy ?? ""))
    }

    @Test("A shape is a table of every type, context and cache; a larger one never fits into less")
    func table() throws {
        let shape = try #require(Self.shape)
        let rows = try #require(try report(["--shape", shape, "-t", "2"]).table)
        #expect(Set(rows.map(\.contextLength)) == [512])
        #expect(Set(rows.map(\.keyType)) == ["F16", "Q8_0", "Q4_0"])
        let types = Set(rows.map(\.type))
        #expect(types.isSuperset(of: ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M", "Q6_K", "IQ2_XXS", "TQ1_0"]))
        #expect(rows.count == types.count * 3)
        for row in rows { #expect(row.fitsIn == [1, 2, 4, 8].map { $0 << 30 }.filter { $0 >= row.planned }) }
    }

    @Test("CroissantLLM's shape, where nothing else is asked for")
    func croissant() throws {
        let report = try report(["-t", "2"])
        let rows = try #require(report.table)
        #expect(Set(rows.map(\.contextLength)) == [512, 1024, 2048])
        let row = try #require(rows.first { $0.type == "Q4_0" && $0.contextLength == 2048 && $0.keyType == "F16" })
        #expect(row.planned > 1200 << 20 && row.planned < 1300 << 20)
        #expect(row.fitsIn == [2, 4, 8].map { $0 << 30 })
        let largest = try #require(rows.first { $0.type == "F32" && $0.contextLength == 512 })
        #expect(largest.fitsIn == [8 << 30])
        if let choice = report.choice, let spare = report.machine.spare {
            #expect(choice.contextLength == 2048 && choice.planned < spare)
        }

        let text = try CLI.run(["budget", "-t", "2", "-c", "1024"]).output
        #expect(text.contains("\ncontext 1024:\n| type ") && !text.contains("context 512"))
        #expect(text.contains("| Q4_K_M ") && text.contains("\nthis machine: ") && text.contains("\nbest choice: "))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test("A shape in one type is a breakdown, for people and as JSON")
    func shapeOfType() throws {
        let shape = try #require(Self.shape)
        let arguments = ["--shape", shape, "--type", "q8_0"]
        let plan = try #require(try report(arguments).plan)
        #expect(plan.items.map(\.name).starts(with: ["weights", "KV cache", "activations", "scratch", "norms"]))
        let text = try CLI.run(["budget"] + arguments).output
        #expect(text.hasPrefix("tiny, Q8_0\ncontext 512, keys F16, values F16, batch 512, "))
        #expect(text.contains("| process ") && text.contains("\n2.00 GiB: fits\n"))
    }

    @Test(
        "Contradictions and unknown names are wrong usage",
        arguments: [
            ["x.gguf", "--shape", "croissant"], ["x.gguf", "--type", "Q4_0"], ["--shape", "baguette"],
            ["--type", "Q9"], [""], ["-c", "-1"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let run = try CLI.run(["budget"] + arguments)
        #expect(run.status == 64)
        #expect(run.output.isEmpty && run.error.hasPrefix("Error: ") || run.error.hasPrefix("error: "))
    }

    @Test("What cannot be read or planned is one line")
    func failures() throws {
        for (arguments, error) in [
            (["/no.gguf"], "error: no such file: /no.gguf"), (["--shape", "/no.json"], "error: cannot read text: "),
        ] {
            let run = try CLI.run(["budget"] + arguments)
            #expect(run.status == 1)
            #expect(run.output.isEmpty && run.errorLines.first?.hasPrefix(error) == true, "\(run.error)")
        }
    }
}
