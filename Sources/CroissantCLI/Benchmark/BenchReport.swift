import Croissant
import GGUF
import TextTable

/// The rows of a benchmark on standard output: as they come where the form allows it.
struct BenchReport {
    /// The form of the result.
    let form: BenchForm
    /// The limit that a picture shows, in bytes.
    private let budget: Int?
    private var rows: [BenchRow] = []

    /// A report without rows.
    ///
    /// - Parameter budget: the limit that a picture shows, in bytes.
    init(form: BenchForm, budget: Int?) {
        self.form = form
        self.budget = budget
    }

    /// Adds the row of a test that is done.
    mutating func add(_ row: BenchRow) throws {
        switch form {
        case .md, .json, .svg: break
        case .jsonl: try Console.writeJSON(row, pretty: false)
        case .csv:
            if rows.isEmpty { try Console.writeLine(BenchColumn.all.map(\.name).joined(separator: ",")) }
            try Console.writeLine(BenchColumn.all.map { $0.value(row).csv }.joined(separator: ","))
        case .sql:
            if rows.isEmpty { try Console.writeLine(BenchColumn.createTable) }
            try Console.writeLine(BenchColumn.insert(row))
        }
        rows.append(row)
    }

    /// Writes what had to wait for the last row.
    func finish() throws {
        switch form {
        case .json: try Console.writeJSON(rows)
        case .md: if let text = table.string(for: rows, style: Style.pipe) { try Console.writeLine(text) }
        case .svg where !rows.isEmpty: try Console.write(BenchPicture(rows, budget: budget).svg())
        case .jsonl, .csv, .sql, .svg: break
        }
    }

    /// What is the same in all rows is not shown, but for what people know from llama-bench.
    private var table: TextTable<BenchRow> {
        func varies(_ value: (BenchRow) -> String) -> Bool { Set(rows.map(value)).count > 1 }
        let settings: [(name: String, value: @Sendable (BenchRow) -> String)] = [
            ("threads for batches", { "\($0.promptThreads)" }), ("batch", { "\($0.batchSize)" }),
            ("kernels", { $0.kernels }), ("weights", { $0.weights }), ("prefill", { $0.prefill }),
            ("activations", { $0.activations }), ("type_v", { $0.valueType }),
        ]
        let shown = settings.filter { setting in
            setting.name == "threads for batches"
                ? rows.contains { $0.promptThreads != $0.threads } : varies(setting.value)
        }
        return TextTable<BenchRow> { row in
            [
                Column("model" <- row.title.cell),
                Column("size" <- ByteCount(row.modelBytes).description, align: .right),
                Column("params" <- row.parameters.abbreviated, align: .right),
                Column("threads" <- row.threads, align: .right),
                Column("type_k" <- row.keyType),
            ] + shown.map { setting in Column(setting.name <- setting.value(row)) } + [
                Column("test" <- row.test, align: .right),
                Column(
                    "t/s" <- "\(row.mean.formatted(places: 2)) ± \(row.standardDeviation.formatted(places: 2))",
                    align: .right),
                Column("median" <- row.median.formatted(places: 2), align: .right),
                Column("MBU" <- row.bandwidthUtilisation?.percent ?? "", align: .right),
                Column("Gop/s" <- (row.operations / 1e9).formatted(places: 0), align: .right),
                Column("of peak" <- row.peakShare?.percent ?? "", align: .right),
                Column("peak memory" <- Self.bytes(row.peakMemory), align: .right),
                Column("budget" <- Self.bytes(row.memoryBudget), align: .right),
                Column("within" <- row.withinBudget.map { $0 ? "yes" : "no" } ?? "unknown"),
            ]
        }
    }

    private static func bytes(_ count: Int?) -> String { count.map { ByteCount($0).description } ?? "unknown" }
}
