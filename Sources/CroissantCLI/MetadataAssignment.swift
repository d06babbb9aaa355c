import ArgumentParser
import Croissant
import Foundation
import GGUF

/// A value for a metadata key as a command line gives it: `key=value`, or `key:type=value`.
struct MetadataAssignment {
    /// The key.
    let key: String
    private let type: ValueType?
    private let text: String

    private struct ValueType: Equatable {
        let element: GGUFValueType
        let isArray: Bool
    }

    /// Types by the names that they have here; the format's own, such as uint32, are known too.
    private static let types: KeyValuePairs<String, GGUFValueType> = [
        "u8": .uint8, "i8": .int8, "u16": .uint16, "i16": .int16, "u32": .uint32, "i32": .int32, "u64": .uint64,
        "i64": .int64, "f32": .float32, "f64": .float64, "bool": .bool, "str": .string,
    ]

    /// The names of all types, for help.
    static var typeNames: String { types.map(\.key).joined(separator: ", ") }

    /// Reads `key=value` or `key:type=value`.
    init(_ argument: String) throws {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
            throw ValidationError("'\(argument)' is not a key and a value, such as general.name=Croissant")
        }
        let name = argument[..<equals]
        text = String(argument[argument.index(after: equals)...])
        if let colon = name.lastIndex(of: ":"), let type = Self.type(name[name.index(after: colon)...]) {
            key = String(name[..<colon])
            self.type = type
        } else {
            key = String(name)
            type = nil
        }
    }

    private static func type(_ name: Substring) -> ValueType? {
        let isArray = name.hasPrefix("[") && name.hasSuffix("]")
        let name = isArray ? name.dropFirst().dropLast() : name
        let element =
            types.first { $0.key == name }?.value
            ?? GGUFValueType.allCases.first { $0.name == name && $0 != .array }
        return element.map { ValueType(element: $0, isArray: isArray) }
    }

    /// The value, in the type that is given, or that the key has in `metadata`.
    func value(in metadata: GGUFMetadata) throws -> GGUFValue {
        guard let type = type ?? metadata[key].flatMap(Self.type(of:)) else { throw missingType(in: metadata) }
        guard let value = type.isArray ? array(of: type.element) : scalar(type.element) else {
            let expected = type.isArray ? "a JSON array of \(type.element.name)" : type.element.name
            throw ModelError.invalidHyperparameter(key: key, value: text.quoted, expected: expected)
        }
        return value
    }

    /// What is wrong with a key that is not in the file and has no type, or one that there is not.
    private func missingType(in metadata: GGUFMetadata) -> Failure {
        let types = "\(Self.typeNames), or an array such as [u32]"
        if let colon = key.lastIndex(of: ":") {
            let name = String(key[key.index(after: colon)...])
            return Failure("unknown type: \(name.quoted) of key \(key[..<colon]) (expected one of \(types))")
        }
        let value = text.count > 40 ? "VALUE" : text
        return Failure(
            "no such key: \(key)", hint: "a new one needs a type: --set \(key):\(likelyType)=\(value) (\(types))")
    }

    /// The name of the type that the text looks like.
    private var likelyType: String {
        if Bool(text) != nil { return "bool" }
        for type in [GGUFValueType.uint32, .int32, .uint64, .int64, .float32, .float64] where scalar(type) != nil {
            return Self.types.first { $0.value == type }?.key ?? type.name
        }
        if array(of: .int32) != nil { return "[i32]" }
        if array(of: .float32) != nil { return "[f32]" }
        return array(of: .string) == nil ? "str" : "[str]"
    }

    private static func type(of value: GGUFValue) -> ValueType? {
        guard let array = value.asArray else { return ValueType(element: value.type, isArray: false) }
        return ValueType(element: array.elementType, isArray: true)
    }

    private func scalar(_ type: GGUFValueType) -> GGUFValue? {
        switch type {
        case .uint8: UInt8(text).map(GGUFValue.uint8)
        case .int8: Int8(text).map(GGUFValue.int8)
        case .uint16: UInt16(text).map(GGUFValue.uint16)
        case .int16: Int16(text).map(GGUFValue.int16)
        case .uint32: UInt32(text).map(GGUFValue.uint32)
        case .int32: Int32(text).map(GGUFValue.int32)
        case .uint64: UInt64(text).map(GGUFValue.uint64)
        case .int64: Int64(text).map(GGUFValue.int64)
        case .float32: Float(text).flatMap(represented).map(GGUFValue.float32)
        case .float64: Double(text).flatMap(represented).map(GGUFValue.float64)
        case .bool: Bool(text).map(GGUFValue.bool)
        case .string: .string(text)
        case .array: nil
        }
    }

    /// A number; nil for infinity where the text has digits: those of a number that is too large for its type.
    private func represented<Number: BinaryFloatingPoint>(_ value: Number) -> Number? {
        value.isInfinite && text.contains(where: \.isNumber) ? nil : value
    }

    private func array(of type: GGUFValueType) -> GGUFValue? {
        func elements<Element: Decodable>(_ type: Element.Type = Element.self) -> [Element]? {
            try? JSONDecoder().decode([Element].self, from: Data(text.utf8))
        }
        let array: GGUFArray? =
            switch type {
            case .uint8: elements().map(GGUFArray.uint8)
            case .int8: elements().map(GGUFArray.int8)
            case .uint16: elements().map(GGUFArray.uint16)
            case .int16: elements().map(GGUFArray.int16)
            case .uint32: elements().map(GGUFArray.uint32)
            case .int32: elements().map(GGUFArray.int32)
            case .uint64: elements().map(GGUFArray.uint64)
            case .int64: elements().map(GGUFArray.int64)
            case .float32: elements().map(GGUFArray.float32)
            case .float64: elements().map(GGUFArray.float64)
            case .bool: elements().map(GGUFArray.bool)
            case .string: elements(String.self).map { .string(GGUFStrings($0)) }
            case .array: nil
            }
        return array.map(GGUFValue.array)
    }
}
