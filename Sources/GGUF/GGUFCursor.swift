/// Reads the fields of a header from front to back, each length checked against the bytes that are left before
/// anything is allocated for it.
///
/// Whatever the bytes are, a read either gives a value of the format or throws with the offset; it never traps and
/// never allocates more than a small multiple of the bytes left.
package struct GGUFCursor: ~Escapable {
    /// Arrays may hold arrays to this depth, the outermost counted. No known file has more than one level, and the
    /// recursion must end.
    package static let nestingLimit = 8
    /// The longest key or tensor name in bytes: the format's limit for keys.
    package static let nameLimit = 65535
    /// The same where one is not ASCII, as the format demands it of keys.
    package static let accentedNameLimit = 1024

    private let bytes: RawSpan
    private let path: String
    /// The offset of the next field.
    package private(set) var position = 0
    /// String values so far that were not valid UTF-8.
    package private(set) var repairs = 0
    /// The key or tensor that the next fields belong to, such as `key "general.name"`: for messages.
    package var item: String?

    /// A cursor at the start of `bytes`; `path` is for messages.
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, path: String) {
        self.bytes = bytes
        self.path = path
    }

    /// Bytes after the position.
    package var remaining: Int { bytes.byteCount - position }

    /// The place of byte `offset`, for an error.
    package func location(_ offset: Int) -> GGUFLocation { GGUFLocation(path: path, offset: offset, item: item) }

    /// Reads an integer; `what` names it in the error.
    package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
        _ what: String, as type: T.Type = T.self
    ) throws(GGUFError) -> T {
        let start = try advance(UInt64(MemoryLayout<T>.size), over: what)
        return bytes.integer(at: start)
    }

    /// Reads the number of `what` that follow, each of at least `minimumBytes`.
    ///
    /// - Throws: `GGUFError.impossibleCount` where so many cannot fit into the rest of the file.
    package mutating func count(of what: String, minimumBytes: Int) throws(GGUFError) -> Int {
        let start = position
        let count = try integer("the number of \(what)", as: UInt64.self)
        guard count <= UInt64(remaining / minimumBytes) else {
            throw .impossibleCount(what: what, location(start), found: count, available: remaining)
        }
        return Int(count)
    }

    /// Reads a string that names something: not empty, valid UTF-8, at most `nameLimit` bytes.
    package mutating func name(_ what: String) throws(GGUFError) -> String {
        let start = position
        let range = try stringRange(what)
        guard !range.isEmpty else {
            throw .invalidField("empty \(what)", location(start), expected: "a name", found: "0 bytes")
        }
        guard range.count <= Self.nameLimit else {
            throw .invalidField(
                "\(what) too long", location(start), expected: "at most \(Self.nameLimit) bytes",
                found: "\(range.count)")
        }
        guard let name = String(validating: utf8(range), as: UTF8.self) else {
            let repaired = String(decoding: utf8(range), as: UTF8.self)
            throw .invalidField(
                "\(what) is not valid UTF-8", location(start), expected: "UTF-8", found: repaired.quoted)
        }
        // Texts are compared in their normal form, and the time that marks take to be put in order grows with the square
        // of their number.
        guard range.count <= Self.accentedNameLimit || name.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw .invalidField(
                "\(what) too long", location(start),
                expected: "ASCII, or at most \(Self.accentedNameLimit) bytes of other text", found: "\(range.count)")
        }
        return name
    }

    /// Reads a value of the type whose id stands before it.
    package mutating func value() throws(GGUFError) -> GGUFValue {
        switch try valueType("the type of a metadata value") {
        case .uint8: .uint8(try integer("a uint8"))
        case .int8: .int8(try integer("an int8"))
        case .uint16: .uint16(try integer("a uint16"))
        case .int16: .int16(try integer("an int16"))
        case .uint32: .uint32(try integer("a uint32"))
        case .int32: .int32(try integer("an int32"))
        case .float32: .float32(Float(bitPattern: try integer("a float32")))
        case .bool: .bool(try bool())
        case .string: .string(text(try stringRange("a string")))
        case .array: .array(try array(depth: 1))
        case .uint64: .uint64(try integer("a uint64"))
        case .int64: .int64(try integer("an int64"))
        case .float64: .float64(Double(bitPattern: try integer("a float64")))
        }
    }

    /// The text in `range`, in which U+FFFD stands for what is not valid UTF-8.
    private mutating func text(_ range: Range<Int>) -> String {
        if let text = String(validating: utf8(range), as: UTF8.self) { return text }
        repairs += 1
        return String(decoding: utf8(range), as: UTF8.self)
    }

    /// Reads an array from its element type on; `depth` is 1 for the outermost.
    private mutating func array(depth: Int) throws(GGUFError) -> GGUFArray {
        guard depth <= Self.nestingLimit else {
            throw .invalidField(
                "arrays nested too deeply", location(position), expected: "at most \(Self.nestingLimit) levels",
                found: "more")
        }
        let type = try valueType("the element type of an array")
        let count = try count(of: "array elements", minimumBytes: type.minimumBytes)
        switch type {
        case .uint8: return .uint8(integers(count))
        case .int8: return .int8(integers(count))
        case .uint16: return .uint16(integers(count))
        case .int16: return .int16(integers(count))
        case .uint32: return .uint32(integers(count))
        case .int32: return .int32(integers(count))
        case .float32: return .float32(integers(count).map { Float(bitPattern: $0) })
        case .bool:
            var values: [Bool] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try bool()) }
            return .bool(values)
        case .string:
            // Measured first: a buffer that grows may end up twice as large as what is in it.
            var ahead = self
            var byteCount = 0
            for _ in 0..<count { byteCount += try ahead.stringRange("a string of an array").count }
            var values = GGUFStrings()
            values.reserveCapacity(count, byteCount: byteCount)
            for _ in 0..<count { values.append(try stringRange("a string of an array"), of: bytes) }
            return .string(values)
        case .array:
            var values: [GGUFArray] = []
            for _ in 0..<count { values.append(try array(depth: depth + 1)) }
            return .array(values)
        case .uint64: return .uint64(integers(count))
        case .int64: return .int64(integers(count))
        case .float64: return .float64(integers(count).map { Double(bitPattern: $0) })
        }
    }

    private mutating func valueType(_ what: String) throws(GGUFError) -> GGUFValueType {
        let start = position
        let id: UInt32 = try integer(what)
        guard let type = GGUFValueType(rawValue: id) else {
            throw .invalidField("unknown value type", location(start), expected: "0 to 12", found: "\(id)")
        }
        return type
    }

    private mutating func bool() throws(GGUFError) -> Bool {
        let start = position
        let byte: UInt8 = try integer("a bool")
        guard byte <= 1 else {
            throw .invalidField("invalid bool", location(start), expected: "0 or 1", found: "\(byte)")
        }
        return byte == 1
    }

    /// Integers that `count(of:minimumBytes:)` has found to fit.
    private mutating func integers<T: FixedWidthInteger & BitwiseCopyable>(_ count: Int) -> [T] {
        let start = position
        position += count * MemoryLayout<T>.size
        return (0..<count).map { bytes.integer(at: start + $0 * MemoryLayout<T>.size) }
    }

    /// Reads a length and passes over as many bytes, whose range it returns.
    private mutating func stringRange(_ what: String) throws(GGUFError) -> Range<Int> {
        let length: UInt64 = try integer(what)
        let start = try advance(length, over: what)
        return start..<position
    }

    /// Passes over `count` bytes and returns where they start.
    private mutating func advance(_ count: UInt64, over what: String) throws(GGUFError) -> Int {
        guard count <= UInt64(remaining) else {
            throw .truncated(what: what, location(position), needed: count, available: remaining)
        }
        defer { position += Int(count) }
        return position
    }

    private func utf8(_ range: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        bytes.append(range, to: &result)
        return result
    }
}
