/// An array among the metadata: elements of one type, stored as an array of that type.
public enum GGUFArray: Sendable, Equatable {
    /// Unsigned 8-bit integers.
    case uint8([UInt8])
    /// Signed 8-bit integers.
    case int8([Int8])
    /// Unsigned 16-bit integers.
    case uint16([UInt16])
    /// Signed 16-bit integers.
    case int16([Int16])
    /// Unsigned 32-bit integers.
    case uint32([UInt32])
    /// Signed 32-bit integers.
    case int32([Int32])
    /// 32-bit floats.
    case float32([Float])
    /// Booleans.
    case bool([Bool])
    /// Strings, with the exact bytes of the file.
    case string(GGUFStrings)
    /// Arrays, each with an element type of its own.
    case array([GGUFArray])
    /// Unsigned 64-bit integers.
    case uint64([UInt64])
    /// Signed 64-bit integers.
    case int64([Int64])
    /// 64-bit floats.
    case float64([Double])
}

extension GGUFArray {
    /// The type of the elements.
    public var elementType: GGUFValueType {
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

    /// The number of elements.
    public var count: Int {
        switch self {
        case .uint8(let values): values.count
        case .int8(let values): values.count
        case .uint16(let values): values.count
        case .int16(let values): values.count
        case .uint32(let values): values.count
        case .int32(let values): values.count
        case .float32(let values): values.count
        case .bool(let values): values.count
        case .string(let values): values.count
        case .array(let values): values.count
        case .uint64(let values): values.count
        case .int64(let values): values.count
        case .float64(let values): values.count
        }
    }

    /// Element `index` as a value of its own: for printing, not for loops over a vocabulary.
    ///
    /// - Precondition: `index` is in `0..<count`.
    public subscript(index: Int) -> GGUFValue {
        switch self {
        case .uint8(let values): .uint8(values[index])
        case .int8(let values): .int8(values[index])
        case .uint16(let values): .uint16(values[index])
        case .int16(let values): .int16(values[index])
        case .uint32(let values): .uint32(values[index])
        case .int32(let values): .int32(values[index])
        case .float32(let values): .float32(values[index])
        case .bool(let values): .bool(values[index])
        case .string(let values): .string(values[index])
        case .array(let values): .array(values[index])
        case .uint64(let values): .uint64(values[index])
        case .int64(let values): .int64(values[index])
        case .float64(let values): .float64(values[index])
        }
    }

    /// Strings as the file holds them; nil for other element types.
    public var strings: GGUFStrings? {
        if case .string(let values) = self { values } else { nil }
    }

    /// The strings, repaired where they are not valid UTF-8; nil for other element types.
    public var asStrings: [String]? { strings.map(Array.init) }

    /// The integers of any integer element type, where all fit; nil for other element types.
    public var asInts: [Int]? {
        switch self {
        case .uint8(let values): values.map { Int($0) }
        case .int8(let values): values.map { Int($0) }
        case .uint16(let values): values.map { Int($0) }
        case .int16(let values): values.map { Int($0) }
        case .uint32(let values): Self.exactInts(values)
        case .int32(let values): values.map { Int($0) }
        case .uint64(let values): Self.exactInts(values)
        case .int64(let values): Self.exactInts(values)
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The numbers of any numeric element type, rounded to floats; nil for other element types.
    public var asFloats: [Float]? {
        switch self {
        case .float32(let values): values
        case .float64(let values): values.map { Float($0) }
        case .uint64(let values): values.map { Float($0) }
        default: asInts?.map { Float($0) }
        }
    }

    /// `values` as `Int`, or nil where one does not fit.
    private static func exactInts(_ values: [some BinaryInteger]) -> [Int]? {
        var result: [Int] = []
        result.reserveCapacity(values.count)
        for value in values {
            guard let int = Int(exactly: value) else { return nil }
            result.append(int)
        }
        return result
    }
}
