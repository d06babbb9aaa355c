import Croissant
import GGUF
import TextTable

/// One thing to measure.
struct BenchTest {
    /// Tokens fed as a batch.
    let prompt: Int
    /// Tokens fed one by one.
    let generation: Int
    /// Tokens that are in the context before, and not timed.
    let depth: Int

    /// Tokens that are timed.
    var tokens: Int { prompt + generation }
    /// Positions that the context must hold.
    var positions: Int { tokens + depth }

    /// Such as "pp512", "tg128 @ d1024" or "pp512+tg128".
    var name: String {
        let parts = (prompt > 0 ? ["pp\(prompt)"] : []) + (generation > 0 ? ["tg\(generation)"] : [])
        return parts.joined(separator: "+") + (depth > 0 ? " @ d\(depth)" : "")
    }
}

/// The rows of a benchmark on standard output: as they come where the form allows it.
struct BenchReport {
    /// The form of the result.
    let form: Bench.OutputForm
    private var rows: [BenchRow] = []

    /// A report without rows.
    init(form: Bench.OutputForm) { self.form = form }

    /// Adds the row of a test that is done.
    mutating func add(_ row: BenchRow) throws {
        switch form {
        case .md, .json: break
        case .jsonl: try Console.writeJSON(row, pretty: false)
        case .csv:
            if rows.isEmpty { try Console.writeLine(BenchRow.csvColumns.map(\.name).joined(separator: ",")) }
            try Console.writeLine(BenchRow.csvColumns.map { Self.csvField($0.value(row)) }.joined(separator: ","))
        }
        rows.append(row)
    }

    /// Writes what had to wait for the last row.
    func finish() throws {
        switch form {
        case .json: try Console.writeJSON(rows)
        case .md: if let text = Self.table.string(for: rows, style: Style.pipe) { try Console.writeLine(text) }
        case .jsonl, .csv: break
        }
    }

    /// A field in quotation marks where it needs them (RFC 4180).
    private static func csvField(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    private static var table: TextTable<BenchRow> {
        TextTable<BenchRow> {
            [
                Column("model" <- $0.model.escaped.replacing("|", with: "\\|")),
                Column("size" <- ByteCount($0.modelBytes).description, align: .right),
                Column("params" <- $0.parameters.abbreviated, align: .right),
                Column("threads" <- $0.threads, align: .right),
                Column("type_k" <- $0.keyType),
                Column("test" <- $0.test, align: .right),
                Column(
                    "t/s" <- "\($0.mean.formatted(places: 2)) ± \($0.standardDeviation.formatted(places: 2))",
                    align: .right),
                Column("median" <- $0.median.formatted(places: 2), align: .right),
                Column("peak memory" <- ($0.peakMemory.map { ByteCount($0).description } ?? "unknown"), align: .right),
            ]
        }
    }
}

/// The result of one test, under the names that JSON and CSV have.
struct BenchRow: Encodable {
    /// `general.name` of the file, or its path.
    let model: String
    /// Bytes of all tensors.
    let modelBytes: Int
    /// Weights of all tensors.
    let parameters: Int
    /// Compute threads.
    let threads: Int
    /// Prompt tokens in a pass.
    let batchSize: Int
    /// Type of cached keys.
    let keyType: String
    /// Type of cached values.
    let valueType: String
    /// The instruction set in use.
    let kernels: String
    /// Where the weights are.
    let weights: String
    /// The test's name, such as "pp512".
    let test: String
    /// Tokens a second of each run.
    let samples: [Double]
    /// Of the samples.
    let mean: Double
    /// Of the samples, with n - 1; 0 for a single one.
    let standardDeviation: Double
    /// Of the samples.
    let median: Double
    /// What the memory plan says, in bytes.
    let plannedMemory: Int
    /// The most memory that the process has had so far, earlier tests included, in bytes.
    let peakMemory: Int?

    /// The row of a test whose counted runs took `seconds`.
    init(test: BenchTest, seconds: [Double], model: Model, options: RuntimeOptions) {
        self.model = model.file.metadata["general.name"]?.asString ?? model.file.path
        modelBytes = model.weightBytes
        parameters = model.parameterCount
        threads = model.threads
        batchSize = model.plan.batchSize
        keyType = options.keyType.name
        valueType = options.valueType.name
        kernels = model.instructionSet.rawValue
        weights = model.plan.weights.rawValue
        self.test = test.name
        samples = seconds.map { Double(test.tokens) / $0 }
        let mean = samples.reduce(0, +) / Double(samples.count)
        self.mean = mean
        let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        standardDeviation = samples.count > 1 ? (squares / Double(samples.count - 1)).squareRoot() : 0
        let sorted = samples.sorted()
        median = (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
        plannedMemory = model.plan.byteCount
        peakMemory = HostMemory.peakResident
    }

    /// The columns of a table without nested values.
    fileprivate static let csvColumns: [(name: String, value: @Sendable (BenchRow) -> String)] = [
        ("model", { $0.model }), ("modelBytes", { "\($0.modelBytes)" }), ("parameters", { "\($0.parameters)" }),
        ("threads", { "\($0.threads)" }), ("batchSize", { "\($0.batchSize)" }), ("keyType", { $0.keyType }),
        ("valueType", { $0.valueType }), ("kernels", { $0.kernels }), ("weights", { $0.weights }),
        ("test", { $0.test }), ("mean", { "\($0.mean)" }), ("standardDeviation", { "\($0.standardDeviation)" }),
        ("median", { "\($0.median)" }), ("plannedMemory", { "\($0.plannedMemory)" }),
        ("peakMemory", { $0.peakMemory.map { "\($0)" } ?? "" }),
    ]
}
