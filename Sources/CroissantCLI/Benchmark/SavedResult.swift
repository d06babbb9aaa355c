import Foundation

/// A row of a saved result.
package protocol SavedRow: Decodable {
    /// The test's name, such as "pp512".
    var test: String { get }
    /// Tokens a second of each run.
    var samples: [Double] { get }
}

/// Results of `bench` in files.
package enum SavedResult {
    private static let hint = "'croissant-gguf bench -o json' writes such a file"

    /// The rows of a file: a JSON array as `bench -o json` prints it, or one object a line; at least one, and each with
    /// samples.
    package static func read<Row: SavedRow>(_ path: String, as type: Row.Type) throws(Failure) -> [Row] {
        let text: String
        do {
            text = try TextInput.file(path)
        } catch {
            throw error as? Failure ?? Failure("cannot read text: \(path)")
        }
        let rows = try rows(text, path, type)
        guard !rows.isEmpty else {
            throw Failure("no rows: \(path) (expected one for each test, found none)", hint: hint)
        }
        for (index, row) in rows.enumerated() {
            let name = "\(path) (row \(index + 1), \(row.test))"
            if row.samples.isEmpty { throw Failure("no samples: \(name)", hint: hint) }
            if let wrong = row.samples.first(where: { !($0 > 0 && $0.isFinite) }) {
                throw Failure(
                    "not a speed: \(name) (expected more than 0 tokens a second, found \(wrong))", hint: hint)
            }
        }
        return rows
    }

    private static func rows<Row: SavedRow>(
        _ text: String, _ path: String, _ type: Row.Type
    ) throws(Failure) -> [Row] {
        let decoder = JSONDecoder()
        func decode<Value: Decodable>(_ type: Value.Type, _ text: Substring, _ place: String) throws(Failure) -> Value {
            do {
                return try decoder.decode(type, from: Data(text.utf8))
            } catch {
                let problem = DecodingProblem.describe(error) ?? describe(error)
                throw Failure("not a benchmark result: \(path) (\(place)\(problem))", hint: hint)
            }
        }
        if text.first(where: { !$0.isWhitespace }) == "[" { return try decode([Row].self, text[...], "") }
        // One object may also fill several lines.
        if let row = try? decoder.decode(Row.self, from: Data(text.utf8)) { return [row] }
        var rows: [Row] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
        where !line.allSatisfy(\.isWhitespace) {
            rows.append(try decode(Row.self, line, "line \(index + 1): "))
        }
        return rows
    }

    /// What the document as a whole is not.
    private static func describe(_ error: any Error) -> String {
        switch error {
        case DecodingError.typeMismatch: "expected an array of objects or an object a line"
        default: "expected JSON, found something else"
        }
    }
}
