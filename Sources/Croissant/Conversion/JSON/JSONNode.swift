import GGUF

/// A place in a JSON document, which need not exist: what is read from it is checked, and errors say where it is.
package struct JSONNode: Sendable {
    /// The document, for messages.
    package let file: String
    /// What stands here; nil for nothing, and for `null`, which configurations write for it.
    package let value: JSONValue?

    /// The way to what this is a part of; empty below the top.
    private let parent: String
    /// The way from there to here.
    private let step: Step

    private enum Step {
        case top
        case member(String)
        case element(Int)
    }

    /// The way here from the top, such as `rope_scaling.factor`; empty at the top. Put together when it is asked for: a
    /// vocabulary has as many nodes as tokens.
    package var path: String {
        switch step {
        case .top: parent
        case .member(let name): parent.isEmpty ? name : "\(parent).\(name)"
        case .element(let index): "\(parent)[\(index)]"
        }
    }

    private init(file: String, parent: String = "", _ step: Step = .top, value: JSONValue?) {
        self.file = file
        self.parent = parent
        self.step = step
        if case .null? = value { self.value = nil } else { self.value = value }
    }

    /// The top of the document that `bytes` are.
    package init(_ bytes: [UInt8], file: String) throws(ConversionError) {
        self.init(file: file, value: try JSONParser.parse(bytes, file: file))
    }

    /// A document that does not exist: nothing stands anywhere in it.
    package init(absent file: String) { self.init(file: file, value: nil) }

    /// Throws where something stands that has no members: asked for them, it would seem to be empty.
    package func requireObject() throws(ConversionError) {
        guard let value else { return }
        guard case .object = value else { throw error(expected: "an object") }
    }

    /// The member called `name`.
    package subscript(name: String) -> JSONNode {
        let child: JSONValue? = if case .object(let object)? = value { object[name] } else { nil }
        return JSONNode(file: file, parent: path, .member(name), value: child)
    }

    /// Whether something stands here.
    package var exists: Bool { value != nil }

    /// An error that says what was expected here.
    package func error(expected: String) -> ConversionError {
        .invalidField(file: file, key: path, expected: expected, found: value?.summary ?? "nothing")
    }

    /// An error that says that something is asked for here that cannot be had.
    package func unsupported(_ feature: String) -> ConversionError {
        .unsupported(feature: feature, file: file, key: path, found: value?.summary ?? "nothing")
    }
}

// MARK: - Values

extension JSONNode {
    /// A text; nil where nothing stands.
    package func optionalString() throws(ConversionError) -> String? {
        guard let value else { return nil }
        guard case .string(let text) = value else { throw error(expected: "a text") }
        return text
    }

    /// A text.
    package func string() throws(ConversionError) -> String {
        guard let text = try optionalString() else { throw error(expected: "a text") }
        return text
    }

    /// A truth value; `fallback` where nothing stands.
    package func bool(default fallback: Bool) throws(ConversionError) -> Bool { try optionalBool() ?? fallback }

    /// A truth value; nil where nothing stands.
    package func optionalBool() throws(ConversionError) -> Bool? {
        guard let value else { return nil }
        guard case .bool(let truth) = value else { throw error(expected: "true or false") }
        return truth
    }

    /// A whole number of `range`; nil where nothing stands.
    package func optionalInt(_ range: ClosedRange<Int>) throws(ConversionError) -> Int? {
        guard let value else { return nil }
        let integer: Int? =
            switch value {
            case .integer(let integer): integer
            case .number(let number): Int(exactly: number)  // Some tools write 1e6 or 8192.0.
            default: nil
            }
        guard let integer, range.contains(integer) else {
            throw error(expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// A whole number of `range`.
    package func int(_ range: ClosedRange<Int>) throws(ConversionError) -> Int {
        guard let integer = try optionalInt(range) else {
            throw error(expected: "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// A number; nil where nothing stands.
    package func optionalNumber() throws(ConversionError) -> Double? {
        guard let value else { return nil }
        switch value {
        case .integer(let integer): return Double(integer)
        case .number(let number): return number
        default: throw error(expected: "a number")
        }
    }

    /// The values of an array; none where nothing stands.
    package func elements() throws(ConversionError) -> LazyMapCollection<Range<Int>, JSONNode> {
        var values: [JSONValue] = []
        if let value {
            guard case .array(let array) = value else { throw error(expected: "an array") }
            values = array
        }
        let (file, path) = (file, path)
        return values.indices.lazy.map { index in
            JSONNode(file: file, parent: path, .element(index), value: values[index])
        }
    }

    /// The members of an object; none where nothing stands.
    package func members() throws(ConversionError) -> LazyMapCollection<Range<Int>, (name: String, node: JSONNode)> {
        var members: [JSONObject.Member] = []
        if let value {
            guard case .object(let object) = value else { throw error(expected: "an object") }
            members = object.members
        }
        let (file, path) = (file, path)
        return members.indices.lazy.map { index in
            let member = members[index]
            return (member.name, JSONNode(file: file, parent: path, .member(member.name), value: member.value))
        }
    }
}
