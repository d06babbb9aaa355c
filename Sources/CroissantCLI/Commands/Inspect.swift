import ArgumentParser
import Croissant
import Foundation
import GGUF
import TextTable

/// Shows what a file holds.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows metadata, tensors and types of a file.")

    @OptionGroup var source: FileArgument

    @Flag(help: "List every tensor.")
    var tensors = false

    @Option(help: ArgumentHelp("Print the whole value of one metadata key.", valueName: "key"))
    var metadata: String?

    @Flag(help: "Print a JSON document.")
    var json = false

    func validate() throws {
        if tensors && metadata != nil {
            throw ValidationError("--tensors and --metadata ask for different things: use one of them")
        }
    }

    func run() throws {
        let gguf = try source.open()
        if let metadata {
            guard let value = gguf.metadata[metadata] else {
                throw Failure("no such key: \(metadata)", hint: "'croissant-gguf inspect FILE' lists the keys")
            }
            if json {
                try Console.writeJSON(JSONValue(value))
            } else {
                // A chat template is to be read as it is.
                try Console.writeLine(value.asString?.escapedForTerminal ?? value.text(limit: nil))
            }
            return
        }
        if json { try Console.writeJSON(Report(gguf)) } else { try show(gguf) }
    }

    private func show(_ gguf: GGUFFile) throws {
        try Console.writeLine("\(gguf.path.escaped): GGUF version \(gguf.version), \(ByteCount(gguf.fileSize))")
        if gguf.shardPaths.count > 1 { try Console.writeLine("in \(gguf.shardPaths.count) parts") }
        try Console.writeLine()
        for (key, value) in gguf.metadata {
            try Console.writeLine("\(key.escaped) = \(value.text(limit: 4))")
        }
        let repairs = Self.repairs(of: gguf)
        if !repairs.isEmpty {
            let descriptions = repairs.map(\.description).joined(separator: "; ")
            try Console.writeLine("what the file does not say of its tokenizer: \(descriptions)")
        }
        try Console.writeLine()
        let table = TextTable<TypeShare> {
            [
                Column("type" <- $0.type), Column("tensors" <- $0.tensors, align: .right),
                Column("weights" <- $0.weights.abbreviated, align: .right),
                Column("size" <- ByteCount($0.bytes).description, align: .right),
            ]
        }
        try Console.writeLine(table.string(for: TypeShare.all(of: gguf), style: Style.pipe) ?? "no tensors")
        if tensors {
            try Console.writeLine()
            let list = TextTable<TensorInfo> {
                [
                    Column("tensor" <- $0.name.escaped), Column("type" <- $0.type.name),
                    Column("shape" <- $0.dimensions.map(String.init).joined(separator: " x ")),
                    Column("offset" <- $0.offset, align: .right), Column("bytes" <- $0.byteCount, align: .right),
                ]
            }
            try Console.writeLine(list.string(for: gguf.tensors, style: Style.pipe) ?? "")
        }
    }

    /// What is done here that the file does not say about its tokenizer; nothing where that cannot be read.
    private static func repairs(of gguf: GGUFFile) -> [TokenizerRepair] {
        guard let tokenizer = try? Tokenizer(metadata: gguf.metadata) else { return [] }
        return TokenizerRepair.allCases.filter(tokenizer.repairs.contains)
    }

    /// What tensors of one type take.
    private struct TypeShare: Encodable {
        let type: String
        let tensors: Int
        let weights: Int
        let bytes: Int

        static func all(of gguf: GGUFFile) -> [TypeShare] {
            Dictionary(grouping: gguf.tensors, by: \.type)
                .map { type, tensors in
                    TypeShare(
                        type: type.name, tensors: tensors.count,
                        weights: tensors.reduce(0) { $0 + $1.elementCount },
                        bytes: tensors.reduce(0) { $0 + $1.byteCount })
                }
                .sorted { ($0.bytes, $0.type) > ($1.bytes, $1.type) }
        }
    }

    private struct Report: Encodable {
        let path: String
        let version: UInt32
        let fileSize: Int
        let parts: Int
        let metadata: [String: JSONValue]
        let tokenizerRepairs: [String]
        let types: [TypeShare]
        let tensors: [Tensor]

        struct Tensor: Encodable {
            let name: String
            let type: String
            let dimensions: [Int]
            let offset: Int
            let bytes: Int
        }

        init(_ gguf: GGUFFile) {
            path = gguf.path
            version = gguf.version
            fileSize = gguf.fileSize
            parts = gguf.shardPaths.count
            metadata = Dictionary(uniqueKeysWithValues: gguf.metadata.map { ($0.key, JSONValue($0.value)) })
            tokenizerRepairs = Inspect.repairs(of: gguf).map(\.rawValue)
            types = TypeShare.all(of: gguf)
            tensors = gguf.tensors.map {
                Tensor(
                    name: $0.name, type: $0.type.name, dimensions: $0.dimensions, offset: $0.offset, bytes: $0.byteCount
                )
            }
        }
    }
}

/// A metadata value as JSON.
private struct JSONValue: Encodable {
    private let value: GGUFValue

    init(_ value: GGUFValue) { self.value = value }

    func encode(to encoder: any Encoder) throws {
        if let array = value.asArray {
            var container = encoder.unkeyedContainer()
            for index in 0..<array.count { try container.encode(JSONValue(array[index])) }
            return
        }
        var container = encoder.singleValueContainer()
        if let bool = value.asBool {
            try container.encode(bool)
        } else if let int = value.asInt {
            try container.encode(int)
        } else if case .uint64(let large) = value {
            try container.encode(large)
        } else if case .float32(let number) = value {
            // As a double it would have digits that the file does not.
            try container.encode(number)
        } else if let number = value.asDouble {
            try container.encode(number)
        } else {
            try container.encode(value.asString ?? "")
        }
    }
}

extension GGUFValue {
    /// The value for a terminal; arrays are cut after `limit` elements, long texts after a line.
    fileprivate func text(limit: Int?) -> String {
        if let array = asArray {
            let shown = min(array.count, limit ?? array.count)
            let elements = (0..<shown).map { array[$0].text(limit: limit) }.joined(separator: ", ")
            return "[\(elements)\(shown < array.count ? ", … (\(array.count))" : "")]"
        }
        if let string = asString {
            guard let limit else { return string.escaped }
            let cut = string.prefix(limit * 12)
            return "\"\(String(cut).escaped)\"" + (cut.count < string.count ? "…" : "")
        }
        if let bool = asBool { return "\(bool)" }
        if let int = asInt { return "\(int)" }
        if case .uint64(let large) = self { return "\(large)" }
        if case .float32(let number) = self { return "\(number)" }
        return asDouble.map { "\($0)" } ?? ""
    }
}
