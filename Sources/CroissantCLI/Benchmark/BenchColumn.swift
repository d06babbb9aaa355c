import Croissant
import Foundation

/// A column of a table without nested values, as CSV and SQL have it.
struct BenchColumn: Sendable {
    /// The name, that of the JSON key where there is one.
    let name: String
    /// What is in it for a row.
    let value: @Sendable (BenchRow) -> Value

    /// A value of one of SQL's types; nil is unknown.
    enum Value {
        case text(String?)
        case integer(Int?)
        case real(Double?)

        /// As a field of a line, in quotation marks where it needs them (RFC 4180).
        var csv: String {
            let text =
                switch self {
                case .text(let text): text ?? ""
                case .integer(let number): number.map { "\($0)" } ?? ""
                case .real(let number): number.map { "\($0)" } ?? ""
                }
            guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
            return "\"" + text.replacing("\"", with: "\"\"") + "\""
        }

        /// As a literal of SQL. There is none for what is not finite, nor for a text with a null character.
        fileprivate var sql: String {
            switch self {
            case .text(let text?): "'" + text.replacing("'", with: "''").replacing("\0", with: "") + "'"
            case .integer(let number?): "\(number)"
            case .real(let number?) where number.isFinite: "\(number)"
            case .text, .integer, .real: "NULL"
            }
        }

        fileprivate var sqlType: String {
            switch self {
            case .text: "TEXT"
            case .integer: "INTEGER"
            case .real: "REAL"
            }
        }
    }

    /// The statement that makes room for rows, where there is none yet; any SQL database takes it.
    static var createTable: String {
        // No value is looked at: a type is that of the column whatever is in it.
        let columns = all.map { "\"\($0.name)\" \($0.type)" }
        return "CREATE TABLE IF NOT EXISTS bench (\n    \(columns.joined(separator: ",\n    "))\n);"
    }

    /// The statement that adds a row.
    static func insert(_ row: BenchRow) -> String {
        let names = all.map { "\"\($0.name)\"" }.joined(separator: ", ")
        return "INSERT INTO bench (\(names)) VALUES (\(all.map { $0.value(row).sql }.joined(separator: ", ")));"
    }

    private let type: String

    private static func text(_ name: String, _ value: @escaping @Sendable (BenchRow) -> String?) -> BenchColumn {
        BenchColumn(name: name, value: { .text(value($0)) }, type: Value.text(nil).sqlType)
    }

    private static func integer(_ name: String, _ value: @escaping @Sendable (BenchRow) -> Int?) -> BenchColumn {
        BenchColumn(name: name, value: { .integer(value($0)) }, type: Value.integer(nil).sqlType)
    }

    private static func real(_ name: String, _ value: @escaping @Sendable (BenchRow) -> Double?) -> BenchColumn {
        BenchColumn(name: name, value: { .real(value($0)) }, type: Value.real(nil).sqlType)
    }

    /// All columns, in the order of the JSON document's subjects.
    static let all: [BenchColumn] = [
        text("model", { $0.model }), text("file", { $0.file }), text("sha256", { $0.sha256 }),
        text("fileType", { $0.fileType }), integer("modelBytes", { $0.modelBytes }),
        integer("parameters", { $0.parameters }), integer("threads", { $0.threads }),
        integer("promptThreads", { $0.promptThreads }), integer("batchSize", { $0.batchSize }),
        integer("contextLength", { $0.contextLength }), text("keyType", { $0.keyType }),
        text("valueType", { $0.valueType }), text("kernels", { $0.kernels }), text("weights", { $0.weights }),
        text("prefill", { $0.prefill }), text("activations", { $0.activations }),
        real("loadSeconds", { $0.loadSeconds }),
        text("test", { $0.test }), integer("prompt", { $0.prompt }), integer("generation", { $0.generation }),
        integer("depth", { $0.depth }), integer("runs", { $0.samples.count }),
        text("samples", { $0.samples.map { "\($0)" }.joined(separator: " ") }), real("mean", { $0.mean }),
        real("standardDeviation", { $0.standardDeviation }), real("median", { $0.median }),
        real("tokenLatencyP10", { $0.tokenLatency?.p10 }), real("tokenLatencyP50", { $0.tokenLatency?.p50 }),
        real("tokenLatencyP90", { $0.tokenLatency?.p90 }), real("timeToFirstToken", { $0.timeToFirstToken }),
        real("readBytes", { $0.roofline.readBytes }), real("typicalReadBytes", { $0.roofline.typicalReadBytes }),
        real("floatOperations", { $0.roofline.floatOperations }),
        real("byteOperations", { $0.roofline.byteOperations }),
        real("bandwidthUtilisation", { $0.bandwidthUtilisation }), real("operations", { $0.operations }),
        real("peakShare", { $0.peakShare }), integer("plannedMemory", { $0.plannedMemory }),
        integer("memoryBudget", { $0.memoryBudget }),
        text("withinBudget", { $0.withinBudget.map { $0 ? "yes" : "no" } }),
        integer("peakMemory", { $0.peakMemory }), integer("anonymousMemory", { $0.anonymousMemory }),
        integer("fileBackedMemory", { $0.fileBackedMemory }), text("energySource", { $0.energySource.rawValue }),
        real("energyPerToken", { $0.energyPerToken }), real("drift", { $0.drift }),
        text("noise", { $0.noise.joined(separator: "; ") }), text("cpu", { $0.host.cpu }),
        integer("cores", { $0.host.cores }), text("governor", { $0.host.governor }),
        real("loadBefore", { $0.host.loadBefore }), real("otherProcesses", { $0.host.otherProcesses }),
        real("stolen", { $0.host.stolen }), text("blas", { $0.host.blas }), text("system", { $0.host.system }),
        text("commit", { $0.commit }), text("date", { $0.date }),
    ]
}
