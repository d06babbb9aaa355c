import Foundation

/// What a comparison needs to know of a row of `bench -o json`.
package struct ComparedRow: Decodable {
    /// The model's name.
    package let model: String
    /// The test's name, such as "pp512".
    package let test: String
    /// Tokens a second of each run of one process, in the order of time.
    package let samples: [Double]
    /// How the test was run, as far as the file says.
    package let settings: [Setting: String]

    /// What distinguishes rows of the same test, under its name in the file; what describes the model comes first.
    package enum Setting: String, CodingKey, CaseIterable {
        case fileType, modelBytes, threads, promptThreads, keyType, valueType, batchSize, kernels, weights, prefill,
            activations

        /// Settings that older programs do not write, or that not every model has.
        fileprivate var isOptional: Bool {
            [.fileType, .promptThreads, .prefill, .activations].contains(self)
        }
    }

    private enum Key: String, CodingKey {
        case model, test, samples
    }

    /// Reads an object; keys without meaning here are ignored.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        model = try container.decode(String.self, forKey: .model)
        test = try container.decode(String.self, forKey: .test)
        samples = try container.decode([Double].self, forKey: .samples)
        let others = try decoder.container(keyedBy: Setting.self)
        var settings: [Setting: String] = [:]
        for setting in Setting.allCases {
            if setting.isOptional, try !others.contains(setting) || others.decodeNil(forKey: setting) { continue }
            if let number = try? others.decode(Int.self, forKey: setting) {
                settings[setting] = "\(number)"
            } else {
                settings[setting] = try others.decode(String.self, forKey: setting)
            }
        }
        self.settings = settings
    }

    // MARK: Files

    private static let hint = "'croissant-gguf bench -o json' writes such a file"

    /// The rows of a file: a JSON array as `bench -o json` prints it, or one object a line; at least one, and each with
    /// samples.
    package static func read(_ path: String) throws(Failure) -> [ComparedRow] {
        let text: String
        do {
            text = try TextInput.file(path)
        } catch {
            throw error as? Failure ?? Failure("cannot read text: \(path)")
        }
        let rows = try rows(text, path)
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

    private static func rows(_ text: String, _ path: String) throws(Failure) -> [ComparedRow] {
        let decoder = JSONDecoder()
        func decode<Value: Decodable>(_ type: Value.Type, _ text: Substring, _ place: String) throws(Failure) -> Value {
            do { return try decoder.decode(type, from: Data(text.utf8)) } catch {
                throw Failure("not a benchmark result: \(path) (\(place)\(describe(error)))", hint: hint)
            }
        }
        if text.first(where: { !$0.isWhitespace }) == "[" { return try decode([ComparedRow].self, text[...], "") }
        // One object may also fill several lines.
        if let row = try? decoder.decode(ComparedRow.self, from: Data(text.utf8)) { return [row] }
        var rows: [ComparedRow] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
        where !line.allSatisfy(\.isWhitespace) {
            rows.append(try decode(ComparedRow.self, line, "line \(index + 1): "))
        }
        return rows
    }

    /// What is wrong, and in an array in which row, counted from 1.
    private static func describe(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            let name = path.filter { $0.intValue == nil }.map(\.stringValue).joined(separator: ".")
            guard let index = path.first?.intValue else { return name }
            return "row \(index + 1)" + (name.isEmpty ? "" : ": ") + name
        }
        return switch error {
        case DecodingError.keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
        case DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty,
            DecodingError.valueNotFound(_, let context) where !context.codingPath.isEmpty:
            "\(place(context.codingPath)) has the wrong type"
        case DecodingError.typeMismatch: "expected an array of objects or an object a line"
        default: "expected JSON, found something else"
        }
    }
}
