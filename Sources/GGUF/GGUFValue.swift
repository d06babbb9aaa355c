/// The type of a metadata value, with its id in the file: the specification's `gguf_metadata_value_type`.
public enum GGUFValueType: UInt32, Sendable, CaseIterable {
    /// Unsigned 8-bit integer.
    case uint8 = 0
    /// Signed 8-bit integer.
    case int8 = 1
    /// Unsigned 16-bit integer.
    case uint16 = 2
    /// Signed 16-bit integer.
    case int16 = 3
    /// Unsigned 32-bit integer.
    case uint32 = 4
    /// Signed 32-bit integer.
    case int32 = 5
    /// 32-bit float.
    case float32 = 6
    /// A byte that is 0 or 1.
    case bool = 7
    /// Length in 64 bits, then as many bytes.
    case string = 8
    /// Element type in 32 bits, count in 64 bits, then the elements.
    case array = 9
    /// Unsigned 64-bit integer.
    case uint64 = 10
    /// Signed 64-bit integer.
    case int64 = 11
    /// 64-bit float.
    case float64 = 12

    /// The name used in messages, such as "uint32".
    public var name: String {
        switch self {
        case .uint8: "uint8"
        case .int8: "int8"
        case .uint16: "uint16"
        case .int16: "int16"
        case .uint32: "uint32"
        case .int32: "int32"
        case .float32: "float32"
        case .bool: "bool"
        case .string: "string"
        case .array: "array"
        case .uint64: "uint64"
        case .int64: "int64"
        case .float64: "float64"
        }
    }

    /// The fewest bytes a value takes in a file: all of a number, the length of a string, the head of an array.
    package var minimumBytes: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64, .string: 8
        case .array: 12
        }
    }
}

/// A metadata value.
///
/// Equality is that of Swift's types: a NaN is equal to nothing.
public enum GGUFValue: Sendable, Equatable {
    /// Unsigned 8-bit integer.
    case uint8(UInt8)
    /// Signed 8-bit integer.
    case int8(Int8)
    /// Unsigned 16-bit integer.
    case uint16(UInt16)
    /// Signed 16-bit integer.
    case int16(Int16)
    /// Unsigned 32-bit integer.
    case uint32(UInt32)
    /// Signed 32-bit integer.
    case int32(Int32)
    /// 32-bit float.
    case float32(Float)
    /// Boolean.
    case bool(Bool)
    /// Text. What is not valid UTF-8 in a file arrives here as U+FFFD, see ``GGUFFile/repairedKeys``; arrays of strings
    /// keep the exact bytes.
    case string(String)
    /// Array of values of one type.
    case array(GGUFArray)
    /// Unsigned 64-bit integer.
    case uint64(UInt64)
    /// Signed 64-bit integer.
    case int64(Int64)
    /// 64-bit float.
    case float64(Double)
}

extension GGUFValue {
    /// The value's type.
    public var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    /// The value's type for a message: "uint32", "array of 3 string".
    public var typeDescription: String {
        switch self {
        case .array(let array): "array of \(array.count) \(array.elementType.name)"
        default: type.name
        }
    }

    /// The value of any integer type that fits; nil for other types.
    public var asInt: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(exactly: value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(exactly: value)
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The value of any number, rounded where a double cannot hold it; nil for other types.
    public var asDouble: Double? {
        switch self {
        case .float32(let value): Double(value)
        case .float64(let value): value
        case .uint64(let value): Double(value)
        default: asInt.map(Double.init)
        }
    }

    /// The value of any number, rounded to a float; nil for other types.
    public var asFloat: Float? {
        if case .float32(let value) = self { value } else { asDouble.map(Float.init) }
    }

    /// The text of a string; nil for other types.
    public var asString: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The value of a boolean; nil for other types.
    public var asBool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The array; nil for other types.
    public var asArray: GGUFArray? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The strings of an array of strings; nil for other types. `asArray` gives them without a `String` for each.
    public var asStrings: [String]? { asArray?.asStrings }

    /// The numbers of an array of any numeric type; nil for other types.
    public var asFloats: [Float]? { asArray?.asFloats }

    /// The integers of an array of any integer type, where all fit; nil for other types.
    public var asInts: [Int]? { asArray?.asInts }
}
