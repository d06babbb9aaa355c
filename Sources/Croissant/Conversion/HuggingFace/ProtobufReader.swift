/// The fields of a protocol buffer message (https://protobuf.dev/programming-guides/encoding), one after the other.
///
/// Every length is checked against what is left; groups, which no message here has, are refused.
struct ProtobufReader {
    /// What a field holds.
    enum Value {
        /// A whole number, a truth value or a case of an enumeration.
        case varint(UInt64)
        /// Four bytes, little-endian.
        case fixed32(UInt32)
        /// Eight bytes, little-endian.
        case fixed64(UInt64)
        /// Text, bytes or a message: a range of the file.
        case bytes(Range<Int>)
    }

    /// A field.
    struct Field {
        /// The number by which the message's definition names it.
        let number: Int
        /// Bytes from the start of the file to its key.
        let offset: Int
        /// What it holds.
        let value: Value
    }

    private let bytes: [UInt8]
    private let file: String
    private var position: Int
    private let end: Int

    /// The message that lies in `range` of a file.
    init(_ bytes: [UInt8], _ range: Range<Int>, file: String) {
        precondition(range.upperBound <= bytes.count, "a message outside its file")
        self.bytes = bytes
        self.file = file
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; nil at the end of the message.
    mutating func next() throws(ConversionError) -> Field? {
        guard position < end else { return nil }
        let offset = position
        let key = try varint()
        let number = Int(key >> 3 & 0x1FFF_FFFF)
        guard number > 0, key >> 32 == 0 else { throw invalid(offset, "a field number below 2^29", "\(key >> 3)") }
        let value: Value
        switch key & 7 {
        case 0: value = .varint(try varint())
        case 1: value = .fixed64(try fixed(8))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - position) else {
                throw invalid(offset, "at most \(end - position) bytes", "\(length)")
            }
            value = .bytes(position..<position + Int(length))
            position += Int(length)
        case 5: value = .fixed32(UInt32(truncatingIfNeeded: try fixed(4)))
        default: throw invalid(offset, "a wire type of 0, 1, 2 or 5", "\(key & 7)")
        }
        return Field(number: number, offset: offset, value: value)
    }

    private func invalid(_ offset: Int, _ expected: String, _ found: String) -> ConversionError {
        .invalidTokenizerModel(file, offset: offset, expected: expected, found: found)
    }

    /// Seven bits a byte, the lowest first; all bytes but the last have the eighth set.
    private mutating func varint() throws(ConversionError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard position < end else { throw invalid(start, "a whole number", "the end of the message") }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw invalid(start, "a number of 64 bits", "a longer one")
    }

    private mutating func fixed(_ count: Int) throws(ConversionError) -> UInt64 {
        guard count <= end - position else { throw invalid(position, "\(count) bytes", "\(end - position)") }
        defer { position += count }
        return (0..<count).reduce(0) { $0 | UInt64(bytes[position + $1]) << UInt64(8 * $1) }
    }
}
