import GGUF

/// A strict reader of JSON documents (RFC 8259): one value, nothing behind it but white space, no name twice in an
/// object, valid UTF-8, and escapes that are whole characters.
///
/// The library does without Foundation; and a header of tensors that names one twice has to be refused, where other
/// readers keep one of the two.
package struct JSONParser {
    /// Arrays and objects nest at most this deep: the parser calls itself.
    static let nestingLimit = 64

    private let file: String
    private let bytes: [UInt8]
    private var position = 0

    /// The value of the document that `bytes` are.
    ///
    /// - Parameter file: what the document is called in messages.
    /// - Throws: ``ConversionError/notJSON(file:offset:expected:found:)``.
    package static func parse(_ bytes: [UInt8], file: String) throws(ConversionError) -> JSONValue {
        var parser = JSONParser(file: file, bytes: bytes)
        // Editors of some systems begin UTF-8 with a byte order mark.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { parser.position = 3 }
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == bytes.count else { throw parser.unexpected("the end of the file") }
        return value
    }

    private init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func unexpected(_ expected: String) -> ConversionError {
        let found: String =
            switch next {
            case nil: "the end of the file"
            case let byte? where (0x21...0x7E).contains(byte): "'\(Character(Unicode.Scalar(byte)))'"
            case let byte?: "byte 0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        return .notJSON(file: file, offset: position, expected: expected, found: found)
    }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Passes over `byte`, if it is next.
    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(ConversionError) -> JSONValue {
        skipSpace()
        guard let byte = next else { throw unexpected("a value") }
        switch byte {
        case UInt8(ascii: "{"):
            return .object(try object(depth: try deeper(depth)))
        case UInt8(ascii: "["):
            return .array(try array(depth: try deeper(depth)))
        case UInt8(ascii: "\""):
            return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try number()
        case UInt8(ascii: "t"):
            return try word("true", .bool(true))
        case UInt8(ascii: "f"):
            return try word("false", .bool(false))
        case UInt8(ascii: "n"):
            return try word("null", .null)
        default:
            throw unexpected("a value")
        }
    }

    private func deeper(_ depth: Int) throws(ConversionError) -> Int {
        guard depth < Self.nestingLimit else { throw unexpected("at most \(Self.nestingLimit) levels") }
        return depth + 1
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(ConversionError) -> JSONValue {
        for byte in word.utf8 {
            guard take(byte) else { throw unexpected(word) }
        }
        return value
    }

    private mutating func array(depth: Int) throws(ConversionError) -> [JSONValue] {
        position += 1
        var values: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return values }
        while true {
            values.append(try value(depth: depth))
            skipSpace()
            if take(UInt8(ascii: "]")) { return values }
            guard take(UInt8(ascii: ",")) else { throw unexpected("',' or ']'") }
        }
    }

    private mutating func object(depth: Int) throws(ConversionError) -> JSONObject {
        position += 1
        var object = JSONObject()
        var places: [Int] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return object }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw unexpected("a name") }
            places.append(position)
            let name = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw unexpected("':'") }
            object.members.append(.init(name: name, value: try value(depth: depth)))
            skipSpace()
            if take(UInt8(ascii: "}")) { break }
            guard take(UInt8(ascii: ",")) else { throw unexpected("',' or '}'") }
        }
        if let index = object.firstRepeated {
            throw .notJSON(
                file: file, offset: places[index], expected: "names that differ in an object",
                found: object.members[index].name.quoted + " twice")
        }
        return object
    }
}

// MARK: - Numbers

extension JSONParser {
    private mutating func number() throws(ConversionError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        var isWhole = true
        if take(UInt8(ascii: ".")) {
            try digits()
            isWhole = false
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            try digits()
            isWhole = false
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else {
            throw .notJSON(file: file, offset: start, expected: "a number below 1.8e308", found: text.quoted)
        }
        return .number(number)
    }

    private mutating func digits() throws(ConversionError) {
        guard let byte = next, Self.isDigit(byte) else { throw unexpected("a digit") }
        while let byte = next, Self.isDigit(byte) { position += 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
}

// MARK: - Strings

extension JSONParser {
    private mutating func string() throws(ConversionError) -> String {
        let start = position
        position += 1
        var text: [UInt8] = []
        var piece = position
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                text += bytes[piece..<position]
                position += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw .notJSON(
                        file: file, offset: start, expected: "UTF-8",
                        found: String(decoding: text, as: UTF8.self).quoted)
                }
                return string
            case UInt8(ascii: "\\"):
                text += bytes[piece..<position]
                position += 1
                text += String(try escape()).utf8
                piece = position
            case 0..<0x20:
                throw unexpected("a control character to be escaped")
            default:
                position += 1
            }
        }
        throw unexpected("'\"'")
    }

    /// The character of the escape whose backslash has been read.
    private mutating func escape() throws(ConversionError) -> Character {
        guard let byte = next else { throw unexpected("an escape") }
        let simple: [UInt8: Unicode.Scalar] = [
            UInt8(ascii: "\""): "\"", UInt8(ascii: "\\"): "\\", UInt8(ascii: "/"): "/", UInt8(ascii: "b"): "\u{8}",
            UInt8(ascii: "f"): "\u{C}", UInt8(ascii: "n"): "\n", UInt8(ascii: "r"): "\r", UInt8(ascii: "t"): "\t",
        ]
        if let scalar = simple[byte] {
            position += 1
            return Character(scalar)
        }
        let start = position
        guard take(UInt8(ascii: "u")) else { throw unexpected("an escape") }
        var code = try fourDigits()
        // Above U+FFFF a character is written as two halves (UTF-16).
        if code >> 10 == 0xD8 >> 2, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
            let low = try fourDigits()
            code = low >> 10 == 0xDC >> 2 ? 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF : 0xD800
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw .notJSON(
                file: file, offset: start, expected: "both halves of a character", found: "one half of a character")
        }
        return Character(scalar)
    }

    private mutating func fourDigits() throws(ConversionError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw unexpected("a hexadecimal digit")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }
}
