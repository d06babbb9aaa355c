import Croissant
import GGUF
import TextTable

extension BudgetReport {
    /// Writes the report for people.
    func write() throws {
        try Console.writeLine(model.escaped + (type.map { ", \($0)" } ?? ""))
        if let plan { try write(plan) }
        if let budgets { try write(budgets) }
        if let table, let tableBudgets { try write(table, tableBudgets.map { ByteCount($0).short }) }
        try Console.writeLine()
        try Console.writeLine(machine.text)
        try Console.writeLine(choiceText)
    }

    private func write(_ plan: Plan) throws {
        try Console.writeLine(
            "context \(plan.contextLength), keys \(plan.keyType), values \(plan.valueType), batch \(plan.batchSize), "
                + "\(plan.threads) threads, weights \(plan.weights), kernels \(plan.kernels)")
        try Console.writeLine()
        let rows = plan.items.map { ($0.name, $0.bytes) } + [("all", plan.planned)]
        let list = TextTable<(name: String, bytes: Int)> {
            [
                Column("memory" <- $0.name), Column("bytes" <- $0.bytes, align: .right),
                Column("size" <- ByteCount($0.bytes).description, align: .right),
            ]
        }
        try Console.writeLine(list.string(for: rows, style: Style.pipe) ?? "")
    }

    private func write(_ budgets: [Verdict]) throws {
        for verdict in budgets {
            let remedy = verdict.remedy.map { ": \($0)" } ?? ""
            try Console.writeLine("\(ByteCount(verdict.bytes)): " + (verdict.fits ? "fits" : "too small" + remedy))
        }
    }

    /// A table for each context: a line for each type, the smallest first, and two columns for each type of cache.
    private func write(_ rows: [Row], _ budgets: [String]) throws {
        for (context, rows) in Self.grouped(rows, by: \.contextLength) {
            let lines = Self.grouped(rows, by: \.type).map(\.1)
                .sorted { ($0[0].weights, $0[0].type) < ($1[0].weights, $1[0].type) }
            let table = TextTable<[Row]> { line in
                [
                    Column("type" <- line[0].type),
                    Column("weights" <- ByteCount(line[0].weights).description, align: .right),
                ]
                    + line.flatMap { row in
                        let cache = row.keyType == row.valueType ? row.keyType : "\(row.keyType)/\(row.valueType)"
                        return [
                            Column("KV \(cache)" <- ByteCount(row.planned).description, align: .right),
                            Column("fits in" <- row.fitsIn.min().map { ByteCount($0).short } ?? "-", align: .right),
                        ]
                    }
            }
            try Console.writeLine()
            try Console.writeLine("context \(context):")
            try Console.write(table.string(for: lines, style: Style.pipe) ?? "")
        }
        try Console.writeLine()
        try Console.writeLine(
            "fits in: the least budget that holds it, of \(budgets.joined(separator: ", ")), where need be")
        try Console.writeLine("with weights left in the rows of the file, which are smaller and slower")
    }

    /// The rows by a value of theirs, in the order in which the values first come.
    private static func grouped<Value: Hashable>(_ rows: [Row], by value: (Row) -> Value) -> [(Value, [Row])] {
        var groups: [(Value, [Row])] = []
        for row in rows {
            if let index = groups.firstIndex(where: { $0.0 == value(row) }) {
                groups[index].1.append(row)
            } else {
                groups.append((value(row), [row]))
            }
        }
        return groups
    }

    private var choiceText: String {
        guard machine.spare != nil else { return "best choice: unknown, as this machine does not say what it has" }
        guard let choice else { return "best choice: none leaves room to spare with the whole context" }
        let type = choice.type.map { "\($0), " } ?? ""
        let cache = "keys \(choice.keyType), values \(choice.valueType)"
        return "best choice: \(type)context \(choice.contextLength), \(cache): \(ByteCount(choice.planned))"
    }
}

extension BudgetReport.Machine {
    /// One line.
    fileprivate var text: String {
        func size(_ bytes: Int?) -> String { bytes.map { ByteCount($0).description } ?? "unknown" }
        return "this machine: \(size(total)) of memory, \(size(available)) available, "
            + (containerLimit.map { "limit of the container \(ByteCount($0))" } ?? "no limit of a container")
    }
}

extension ByteCount {
    /// Such as "2 GiB" for whole numbers of a unit.
    fileprivate var short: String { description.replacing(/\.0+(?= )/, with: "") }
}
