import GGUF

/// A value of a JSON document (RFC 8259).
package enum JSONValue: Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number without fraction and exponent that fits.
    case integer(Int)
    /// Any other number.
    case number(Double)
    /// Text.
    case string(String)
    /// Values in order.
    case array([JSONValue])
    /// Named values.
    case object(JSONObject)

    /// The kind of value, for messages: long ones are not printed.
    var summary: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let text): text.quoted
        case .array(let values): "an array of \(values.count)"
        case .object(let object): "an object of \(object.members.count)"
        }
    }
}

/// The members of a JSON object, in the order of the document.
///
/// Names are compared byte by byte. Swift compares strings by canonical equivalence, for which two tokens of one
/// vocabulary, `é` and `e` with a combining accent, would be the same.
package struct JSONObject: Sendable {
    /// A name and its value.
    package struct Member: Sendable {
        /// The name.
        package let name: String
        /// The value.
        package let value: JSONValue

        /// Of the bytes of the name.
        fileprivate var hash: Int {
            var hasher = Hasher()
            for byte in name.utf8 { hasher.combine(byte) }
            return hasher.finalize()
        }
    }

    /// All of them; no name occurs twice.
    package internal(set) var members: [Member] = []

    /// The value called `name`; nil where there is none.
    ///
    /// Complexity: O(members). What has thousands of them is read from front to back.
    package subscript(name: String) -> JSONValue? {
        members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// The index of a member whose name has come before; nil where there is none.
    var firstRepeated: Int? {
        if members.count < 16 {
            return members.indices.first { index in
                members[..<index].contains { $0.name.utf8.elementsEqual(members[index].name.utf8) }
            }
        }
        // A vocabulary has as many members as tokens: their hashes say that no two are the same, but for the rarest case.
        if Set(members.map(\.hash)).count == members.count { return nil }
        var known = Set<[UInt8]>(minimumCapacity: members.count)
        return members.indices.first { !known.insert(Array(members[$0].name.utf8)).inserted }
    }
}
