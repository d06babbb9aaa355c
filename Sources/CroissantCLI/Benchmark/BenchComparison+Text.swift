import Croissant
import GGUF
import TextTable

extension BenchComparison {
    /// A table for people, in Markdown, and below it what it does not say.
    package var text: String {
        var lines = files == Pair(a: "A", b: "B") ? [] : ["A is \(files.a.escaped), B is \(files.b.escaped)."]
        if !common.isEmpty {
            lines.append("A and B differ in " + Self.list(common) + ".")
        }
        for (name, rows) in [("A", onlyInA), ("B", onlyInB)] where !rows.isEmpty {
            lines.append("Only in \(name): " + rows.map(\.text).joined(separator: "; ") + ".")
        }
        lines.append(method)
        let table = tests.isEmpty ? nil : table.string(for: tests, style: Style.pipe)
        return (table.map { $0 + "\n" } ?? "") + lines.joined(separator: "\n")
    }

    /// What A and B differ in, the same in every test.
    private var common: [String: Pair<String>] {
        guard var common = tests.first?.differences else { return [:] }
        for test in tests { common = common.filter { test.differences[$0.key] == $0.value } }
        return common
    }

    /// What the intervals are, and how to get better ones.
    private var method: String {
        let enough = SpeedRatio.measurableProcesses
        let isMeasured = tests.allSatisfy { min($0.processes.a, $0.processes.b) >= enough }
        let percent = "\((confidence * 100).formatted(places: 0)) %"
        guard !isMeasured else { return "Intervals: \(percent), by process." }
        return
            "Intervals: \(percent), at least 3 % to both sides for what differs between processes, which may be more. "
            + "From \(enough) processes of each on, it is measured: run A and B in turn, and append -o jsonl to two files."
    }

    private var table: TextTable<Test> {
        let common = common
        let others = tests.map { $0.differences.filter { common[$0.key] != $0.value } }
        let (hasSettings, hasOthers) = (tests.contains { !$0.settings.isEmpty }, others.contains { !$0.isEmpty })
        return TextTable<Test> { test in
            var columns = [
                Column("model" <- test.model.cell),
                Column("test" <- test.test.cell, align: .right),
            ]
            if hasSettings { columns.append(Column("settings" <- Self.list(test.settings).cell)) }
            if hasOthers {
                let differences = test.differences.filter { common[$0.key] != $0.value }
                columns.append(Column("differences" <- Self.list(differences).cell))
            }
            return columns + [
                Column("A t/s" <- test.speed.a.formatted(places: 2), align: .right),
                Column("B t/s" <- test.speed.b.formatted(places: 2), align: .right),
                Column("B / A" <- test.ratioText, align: .right),
                Column("verdict" <- test.verdictText),
            ]
        }
    }

    /// Such as "threads 2, kernels avx2", in the order of the settings.
    fileprivate static func list(_ settings: [String: String]) -> String {
        ComparedRow.Setting.allCases.compactMap { setting in
            settings[setting.rawValue].map { "\(setting.rawValue) \(setting.text($0))" }
        }.joined(separator: ", ")
    }

    /// Such as "threads (2 and 1), kernels (avx2 and avx512vnni)".
    private static func list(_ differences: [String: Pair<String>]) -> String {
        ComparedRow.Setting.allCases.compactMap { setting in
            differences[setting.rawValue].map {
                "\(setting.rawValue) (\(setting.text($0.a)) and \(setting.text($0.b)))"
            }
        }.joined(separator: ", ")
    }
}

extension BenchComparison.Row {
    /// Such as "pp512 of croissant (threads 2)".
    fileprivate var text: String {
        let name = "\(test.escaped) of \(model.escaped)"
        return settings.isEmpty ? name : "\(name) (\(BenchComparison.list(settings)))"
    }
}

extension BenchComparison.Test {
    /// Such as "1.120 (1.083 to 1.158)".
    fileprivate var ratioText: String {
        guard let low, let high else { return ratio.formatted(places: 3) }
        return "\(ratio.formatted(places: 3)) (\(low.formatted(places: 3)) to \(high.formatted(places: 3)))"
    }

    /// Such as "B is faster by 12 % (8 to 15)".
    fileprivate var verdictText: String {
        switch verdict {
        case .tooFewRuns: return "nothing can be said: a single run"
        case .noDifferenceShown: return "no difference shown"
        case .faster, .slower:
            let changes = [ratio, low ?? ratio, high ?? ratio].map { abs($0 - 1) * 100 }
            let ends = changes.dropFirst().sorted()
            // No end is to look like 0.
            let places = ends[0] >= 1 ? 0 : ends[0] >= 0.1 ? 1 : 2
            let numbers = ([changes[0]] + ends).map { $0.formatted(places: places) }
            return "B is \(verdict.rawValue) by \(numbers[0]) % (\(numbers[1]) to \(numbers[2]))"
        }
    }
}

extension ComparedRow.Setting {
    /// A value for people.
    fileprivate func text(_ value: String) -> String {
        self == .modelBytes ? Int(value).map { ByteCount($0).description } ?? value.escaped : value.escaped
    }
}
