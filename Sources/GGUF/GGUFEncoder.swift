/// The bytes of a header, as `GGUFCursor` reads them.
struct GGUFEncoder {
    /// What has been appended so far.
    private(set) var bytes: [UInt8] = []

    /// Appends bytes as they are.
    mutating func append(_ more: [UInt8]) { bytes += more }

    /// Appends an integer, little-endian.
    mutating func append(_ integer: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: integer.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: integer >> shift))
        }
    }

    /// Appends a string: its length in bytes in 64 bits, then its UTF-8.
    mutating func append(_ string: String) {
        append(UInt64(string.utf8.count))
        bytes += string.utf8
    }

    /// Appends a key–value pair.
    ///
    /// - Throws: `GGUFError.invalidName` for what `GGUFCursor` would refuse: an empty or too long key, arrays nested
    ///   too deeply.
    mutating func append(key: String, _ value: GGUFValue) throws(GGUFError) {
        guard !key.isEmpty, key.utf8.count <= GGUFCursor.nameLimit else {
            throw .invalidName(key, "a key has 1 to \(GGUFCursor.nameLimit) bytes")
        }
        guard value.depth <= GGUFCursor.nestingLimit else {
            throw .invalidName(key, "its arrays are nested more than \(GGUFCursor.nestingLimit) deep")
        }
        append(key)
        append(value.type.rawValue)
        append(value)
    }

    /// Appends zeros up to the next multiple of `alignment`, a power of two.
    mutating func pad(toMultipleOf alignment: Int) {
        bytes += repeatElement(0, count: -bytes.count & (alignment - 1))
    }

    private mutating func append(_ value: GGUFValue) {
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(UInt8(bitPattern: value))
        case .uint16(let value): append(value)
        case .int16(let value): append(UInt16(bitPattern: value))
        case .uint32(let value): append(value)
        case .int32(let value): append(UInt32(bitPattern: value))
        case .float32(let value): append(value.bitPattern)
        case .bool(let value): append(UInt8(value ? 1 : 0))
        case .string(let value): append(value)
        case .array(let value): append(value)
        case .uint64(let value): append(value)
        case .int64(let value): append(UInt64(bitPattern: value))
        case .float64(let value): append(value.bitPattern)
        }
    }

    private mutating func append(_ array: GGUFArray) {
        append(array.elementType.rawValue)
        append(UInt64(array.count))
        switch array {
        case .uint8(let values): bytes += values
        case .int8(let values): for value in values { append(UInt8(bitPattern: value)) }
        case .uint16(let values): for value in values { append(value) }
        case .int16(let values): for value in values { append(UInt16(bitPattern: value)) }
        case .uint32(let values): for value in values { append(value) }
        case .int32(let values): for value in values { append(UInt32(bitPattern: value)) }
        case .float32(let values): for value in values { append(value.bitPattern) }
        case .bool(let values): for value in values { append(UInt8(value ? 1 : 0)) }
        case .string(let values):
            for index in values.indices {
                let string = values.bytes(at: index)
                append(UInt64(string.count))
                bytes += string
            }
        case .array(let values): for value in values { append(value) }
        case .uint64(let values): for value in values { append(value) }
        case .int64(let values): for value in values { append(UInt64(bitPattern: value)) }
        case .float64(let values): for value in values { append(value.bitPattern) }
        }
    }
}

extension GGUFValue {
    /// Levels of arrays: 0 for a scalar, 1 for an array of scalars.
    fileprivate var depth: Int {
        if case .array(let array) = self { array.depth } else { 0 }
    }
}

extension GGUFArray {
    fileprivate var depth: Int {
        if case .array(let arrays) = self { 1 + arrays.reduce(0) { max($0, $1.depth) } } else { 1 }
    }
}
