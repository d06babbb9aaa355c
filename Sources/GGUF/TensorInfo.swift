/// Where a tensor lies in a file, and what it is.
public struct TensorInfo: Sendable, Hashable {
    /// The name, such as "blk.0.attn_q.weight".
    public let name: String
    /// One to four sizes, the fastest-changing first: `dimensions[0]` is the length of a row.
    public let dimensions: [Int]
    /// How the elements are stored.
    public let type: GGMLType
    /// Bytes from the start of the file (of the shard) to the first element.
    public let offset: Int
    /// Bytes of the tensor.
    public let byteCount: Int
    /// The number of the shard that holds the tensor, from 0; 0 in a file that is not split.
    public let shardIndex: Int

    /// The number of elements in a row.
    public var columns: Int { dimensions[0] }

    /// The number of rows: the product of all sizes but the first.
    public var rows: Int { dimensions.dropFirst().reduce(1, *) }

    /// The number of elements.
    public var elementCount: Int { dimensions.reduce(1, *) }
}

extension TensorInfo {
    /// A tensor that has no place in a file yet: its offset is 0.
    ///
    /// - Throws: `GGUFError.invalidTensor` for dimensions that no file has.
    package init(_ declaration: GGUFWriter.Declaration) throws(GGUFError) {
        self.init(
            name: declaration.name, dimensions: declaration.dimensions, type: declaration.type, offset: 0,
            byteCount: try TensorShape.byteCount(
                name: declaration.name, dimensions: declaration.dimensions, type: declaration.type), shardIndex: 0)
    }
}

/// The shape of a tensor: what is known of it before it has a place in a file.
///
/// All arithmetic on sizes that come from a file is here. What this accepts, `TensorInfo` multiplies without checks.
struct TensorShape {
    /// GGUF files hold one to four dimensions.
    static let dimensionLimit = 4

    /// Bytes of a tensor of these dimensions and this type.
    ///
    /// - Throws: `GGUFError.invalidTensor` for no or too many dimensions, a size of 0, sizes that multiply past 2^63,
    ///   rows that are not whole blocks, and types that are not stored in files.
    static func byteCount(name: String, dimensions: [Int], type: GGMLType) throws(GGUFError) -> Int {
        func invalid(_ problem: String, expected: String, found: String) -> GGUFError {
            .invalidTensor(name, problem, expected: expected, found: found)
        }
        guard type.isStoredInFiles else {
            throw invalid("a type that only exists in memory", expected: "a type for weights", found: type.name)
        }
        guard !dimensions.isEmpty, dimensions.count <= dimensionLimit else {
            throw invalid("wrong number of dimensions", expected: "1 to 4", found: "\(dimensions.count)")
        }
        var elements = 1
        for size in dimensions {
            guard size > 0 else {
                throw invalid("a dimension that is not positive", expected: "at least 1", found: "\(size)")
            }
            let (product, overflow) = elements.multipliedReportingOverflow(by: size)
            guard !overflow else {
                throw invalid("too many elements", expected: "fewer than 2^63", found: describe(dimensions))
            }
            elements = product
        }
        guard dimensions[0] % type.blockSize == 0 else {
            throw invalid(
                "rows that are not whole blocks", expected: "a multiple of \(type.blockSize) for \(type.name)",
                found: "\(dimensions[0])")
        }
        guard let bytes = type.byteCount(elements: elements) else {
            throw invalid("too many bytes", expected: "fewer than 2^63", found: describe(dimensions))
        }
        return bytes
    }

    /// The dimensions for a message: "64 x 512".
    static func describe(_ dimensions: [Int]) -> String {
        dimensions.map(String.init).joined(separator: " x ")
    }
}
