/// The key–value pairs of a file, in the order of the file.
///
/// `metadata["general.name"]` gives a value of any type. The typed look-ups ``string(_:)``, ``int(_:)``, … return nil
/// for a key that is absent and throw for one of another type, so that a damaged file is not taken for a file without
/// the key; ``require(_:as:)`` throws in both cases. Which keys there are, and of which types, says [GGUF's
/// specification](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
public struct GGUFMetadata: Sendable, Equatable {
    /// The keys, in the order of the file.
    public private(set) var keys: [String] = []
    private var values: [String: GGUFValue] = [:]

    /// No pairs.
    public init() {}

    /// The number of pairs.
    public var count: Int { keys.count }

    /// The value of `key`. Setting keeps the place of a key that exists and appends one that does not; setting nil
    /// removes the key.
    ///
    /// Complexity: O(1), removal O(count).
    public subscript(key: String) -> GGUFValue? {
        get { values[key] }
        set {
            guard let newValue else {
                if values.removeValue(forKey: key) != nil { keys.removeAll { $0 == key } }
                return
            }
            if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
        }
    }

    /// Sets all pairs of `other`, whose values win.
    package mutating func merge(_ other: GGUFMetadata) {
        for (key, value) in other { self[key] = value }
    }
}

extension GGUFMetadata {
    /// The same without what says that the file is one of several.
    public var withoutSplit: GGUFMetadata {
        var metadata = self
        for key in GGUFShards.keys { metadata[key] = nil }
        return metadata
    }
}

extension GGUFMetadata: Sequence {
    /// A key and its value.
    public typealias Element = (key: String, value: GGUFValue)

    /// Iterates over the pairs in the order of the file.
    public func makeIterator() -> AnyIterator<Element> {
        var position = 0
        return AnyIterator {
            while position < keys.count {
                let key = keys[position]
                position += 1
                if let value = values[key] { return (key, value) }
            }
            return nil
        }
    }

    /// The exact number of pairs.
    public var underestimatedCount: Int { count }
}

extension GGUFMetadata: ExpressibleByDictionaryLiteral {
    /// The pairs in the order given.
    ///
    /// - Precondition: no key is given twice.
    public init(dictionaryLiteral elements: (String, GGUFValue)...) {
        for (key, value) in elements {
            precondition(self[key] == nil, "the same metadata key twice")
            self[key] = value
        }
    }
}

/// What a typed look-up expects: the name for the message, and how a value is converted.
public struct GGUFLookup<Result>: Sendable {
    /// What is expected, for a message: "string", "integer".
    public let name: String
    /// The result, or nil where the value is of another type.
    let convert: @Sendable (GGUFValue) -> Result?
}

extension GGUFLookup where Result == String {
    /// Text.
    public static var string: Self { Self(name: "string") { $0.asString } }
}

extension GGUFLookup where Result == Int {
    /// Any integer type, where the value fits.
    public static var int: Self { Self(name: "integer") { $0.asInt } }
}

extension GGUFLookup where Result == Float {
    /// Any number.
    public static var float: Self { Self(name: "number") { $0.asFloat } }
}

extension GGUFLookup where Result == Bool {
    /// A boolean.
    public static var bool: Self { Self(name: "bool") { $0.asBool } }
}

extension GGUFLookup where Result == [Int] {
    /// An array of any integer type.
    public static var ints: Self { Self(name: "array of integers") { $0.asInts } }
}

extension GGUFLookup where Result == [Float] {
    /// An array of any numeric type.
    public static var floats: Self { Self(name: "array of numbers") { $0.asFloats } }
}

extension GGUFLookup where Result == [String] {
    /// An array of strings, repaired where they are not valid UTF-8.
    public static var strings: Self { Self(name: "array of strings") { $0.asStrings } }
}

extension GGUFLookup where Result == GGUFStrings {
    /// An array of strings with the exact bytes of the file.
    public static var exactStrings: Self { Self(name: "array of strings") { $0.asArray?.strings } }
}

extension GGUFMetadata {
    /// The value of `key`, converted by `lookup`, such as `.int`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` when it is of another type, or does not fit the
    ///   result.
    public func value<T>(_ key: String, as lookup: GGUFLookup<T>) throws(GGUFError) -> T? {
        guard let value = self[key] else { return nil }
        guard let result = lookup.convert(value) else {
            throw .wrongValueType(key: key, expected: lookup.name, found: value.typeDescription)
        }
        return result
    }

    /// The value of `key`, converted by `lookup`, such as `.int`.
    ///
    /// - Throws: ``GGUFError/missingKey(_:expected:)`` when absent, ``GGUFError/wrongValueType(key:expected:found:)``
    ///   when it is of another type, or does not fit the result.
    public func require<T>(_ key: String, as lookup: GGUFLookup<T>) throws(GGUFError) -> T {
        guard let value = try value(key, as: lookup) else { throw .missingKey(key, expected: lookup.name) }
        return value
    }

    /// The text of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func string(_ key: String) throws(GGUFError) -> String? { try value(key, as: .string) }

    /// The integer of `key`, of any integer type; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type, or larger than
    ///   an `Int`.
    public func int(_ key: String) throws(GGUFError) -> Int? { try value(key, as: .int) }

    /// The number of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func float(_ key: String) throws(GGUFError) -> Float? { try value(key, as: .float) }

    /// The boolean of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func bool(_ key: String) throws(GGUFError) -> Bool? { try value(key, as: .bool) }

    /// The integers of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type, or has a number
    ///   larger than an `Int`.
    public func ints(_ key: String) throws(GGUFError) -> [Int]? { try value(key, as: .ints) }

    /// The numbers of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func floats(_ key: String) throws(GGUFError) -> [Float]? { try value(key, as: .floats) }

    /// The strings of `key`; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func strings(_ key: String) throws(GGUFError) -> [String]? { try value(key, as: .strings) }

    /// The strings of `key` with their exact bytes; nil when absent.
    ///
    /// - Throws: ``GGUFError/wrongValueType(key:expected:found:)`` where the value is of another type.
    public func exactStrings(_ key: String) throws(GGUFError) -> GGUFStrings? { try value(key, as: .exactStrings) }
}
