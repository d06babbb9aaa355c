/// What is wrong with a JSON document that holds something else than was asked for.
enum DecodingProblem {
    /// The place that is missing or of the wrong type, such as "row 3: samples is missing", with rows of an array counted
    /// from 1; nil where the document as a whole is something else, or no JSON.
    static func describe(_ error: any Error) -> String? {
        switch error {
        case DecodingError.keyNotFound(let key, let context): "\(place(context.codingPath + [key])) is missing"
        case DecodingError.typeMismatch(_, let context) where !context.codingPath.isEmpty,
            DecodingError.valueNotFound(_, let context) where !context.codingPath.isEmpty:
            "\(place(context.codingPath)) has the wrong type"
        default: nil
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        let name = path.filter { $0.intValue == nil }.map(\.stringValue).joined(separator: ".")
        guard let index = path.first?.intValue else { return name }
        return "row \(index + 1)" + (name.isEmpty ? "" : ": ") + name
    }
}
