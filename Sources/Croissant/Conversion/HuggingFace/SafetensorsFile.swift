package import GGUF

/// A tensor of a safetensors file.
package struct SafetensorsTensor: Sendable, Equatable {
    /// How elements are stored; nil for types that weights are not converted from.
    package let type: GGMLType?
    /// The name of the type, as the file writes it.
    package let typeName: String
    /// The name, such as "model.norm.weight".
    package let name: String
    /// The sizes, the slowest-changing first: a matrix is (rows, columns).
    package let shape: [Int]
    /// The bytes of the file that hold the elements, row by row.
    package let range: Range<Int>
}

/// A file of tensors in Hugging Face's format: eight bytes with the length of a JSON header, the header, and the
/// elements of all tensors without a gap (https://github.com/huggingface/safetensors, "Format").
///
/// Nothing that the header says is believed before it is checked: lengths, offsets, shapes and types agree with each
/// other and with the size of the file, tensors neither overlap nor leave holes, and no name occurs twice.
package struct SafetensorsFile: Sendable {
    /// The file.
    package let file: MappedFile
    /// The tensors, in the order of their bytes.
    package let tensors: [SafetensorsTensor]

    /// The longest header: the format's own limit.
    private static let headerLimit = 100_000_000
    /// Sizes that a shape may have. No weight has more than four.
    private static let dimensionLimit = 8

    /// Bits of an element, by the name of the type.
    private static let elementBits: [String: Int] = [
        "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64, "F16": 16,
        "BF16": 16, "F32": 32, "F64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
        "F6_E3M2": 6, "C64": 64,
    ]

    /// The types that are converted from.
    private static let weightTypes: [String: GGMLType] = ["F32": .f32, "F16": .f16, "BF16": .bf16]

    /// Reads and checks the header of a mapped file.
    ///
    /// - Throws: ``ConversionError/invalidTensorFile(_:item:problem:expected:found:)`` or
    ///   ``ConversionError/notJSON(file:offset:expected:found:)``.
    package init(_ file: MappedFile) throws(ConversionError) {
        func invalid(_ problem: String, expected: String, found: String) -> ConversionError {
            .invalidTensorFile(file.path, item: nil, problem: problem, expected: expected, found: found)
        }
        guard file.size >= 8 else {
            throw invalid("not a safetensors file", expected: "at least 8 bytes", found: "\(file.size)")
        }
        let length = file.bytes.integer(at: 0, as: UInt64.self)
        guard length >= 2, length <= UInt64(file.size - 8) else {
            throw invalid(
                "not a safetensors file", expected: "a header of 2 to \(file.size - 8) bytes", found: "\(length)")
        }
        guard length <= UInt64(Self.headerLimit) else {
            throw invalid(
                "header too long", expected: "at most \(Self.headerLimit) bytes", found: "\(length)")
        }
        let dataStart = 8 + Int(length)
        var header: [UInt8] = []
        file.bytes.append(8..<dataStart, to: &header)
        guard header[0] == UInt8(ascii: "{") else {
            throw invalid("not a safetensors file", expected: "a header that begins with '{'", found: "another byte")
        }
        var tensors: [SafetensorsTensor] = []
        for (name, node) in try JSONNode(header, file: file.path).members() {
            // Looked at before it is compared: see GGUFCursor.
            guard name.utf8.count <= GGUFCursor.accentedNameLimit else {
                throw invalid(
                    "name too long", expected: "at most \(GGUFCursor.accentedNameLimit) bytes",
                    found: "\(name.utf8.count)")
            }
            if name == "__metadata__" { continue }
            tensors.append(try Self.tensor(name, node, dataStart: dataStart, fileSize: file.size))
        }
        // Empty tensors come before what begins where they do.
        tensors.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        var end = dataStart
        for tensor in tensors {
            guard tensor.range.lowerBound == end else {
                throw .invalidTensorFile(
                    file.path, item: tensor.name,
                    problem: tensor.range.lowerBound < end ? "overlapping tensors" : "bytes that belong to no tensor",
                    expected: "data from \(end - dataStart) on", found: "from \(tensor.range.lowerBound - dataStart)")
            }
            end = tensor.range.upperBound
        }
        guard end == file.size else {
            throw invalid(
                "bytes that belong to no tensor", expected: "a file of \(end) bytes", found: "\(file.size)")
        }
        self.file = file
        self.tensors = tensors
    }

    /// The tensor that an entry of the header describes.
    private static func tensor(
        _ name: String, _ node: JSONNode, dataStart: Int, fileSize: Int
    ) throws(ConversionError) -> SafetensorsTensor {
        func invalid(_ problem: String, expected: String, found: String) -> ConversionError {
            .invalidTensorFile(node.file, item: name, problem: problem, expected: expected, found: found)
        }
        for (key, _) in try node.members() where !["dtype", "shape", "data_offsets"].contains(key) {
            throw invalid("unknown field", expected: "dtype, shape and data_offsets", found: key.quoted)
        }
        let typeName = try node["dtype"].string()
        guard let bits = elementBits[typeName] else {
            throw invalid("unknown type", expected: "a type of the format", found: typeName.quoted)
        }
        guard node["shape"].exists else { throw node["shape"].error(expected: "an array") }
        let sizes = try node["shape"].elements()
        guard sizes.count <= dimensionLimit else {
            throw invalid("wrong number of dimensions", expected: "at most \(dimensionLimit)", found: "\(sizes.count)")
        }
        var shape: [Int] = []
        var bitCount = bits
        for size in sizes {
            shape.append(try size.int(0...Int.max))
            let (product, overflow) = bitCount.multipliedReportingOverflow(by: shape[shape.count - 1])
            guard !overflow else { throw invalid("too many elements", expected: "fewer than 2^63 bits", found: "more") }
            bitCount = product
        }
        let offsets = try node["data_offsets"].elements()
        guard offsets.count == 2 else { throw node["data_offsets"].error(expected: "two offsets") }
        let available = fileSize - dataStart
        let start = try offsets[0].int(0...Int.max)
        let end = try offsets[1].int(0...Int.max)
        guard start <= end, end <= available else {
            throw invalid(
                "data outside the file", expected: "offsets in order, at most \(available)", found: "\(start) to \(end)"
            )
        }
        guard bitCount % 8 == 0, bitCount / 8 == end - start else {
            throw invalid(
                "wrong length", expected: "\((bitCount + 7) / 8) bytes of \(typeName) for shape \(shape)",
                found: "\(end - start)")
        }
        return SafetensorsTensor(
            type: weightTypes[typeName], typeName: typeName, name: name, shape: shape,
            range: dataStart + start..<dataStart + end)
    }
}
