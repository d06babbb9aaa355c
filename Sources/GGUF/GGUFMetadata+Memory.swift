extension GGUFMetadata {
    /// The memory that the elements of all arrays take, in bytes: nearly all that metadata hold, as vocabularies are
    /// arrays.
    package var arrayBytes: Int { arrays.reduce(0) { $0 + $1.byteCount } }

    /// The same with what the allocator has rounded up, at most a page for each array.
    package var heldArrayBytes: Int { arrays.reduce(0) { $0 + $1.heldBytes } }

    private var arrays: [GGUFArray] { compactMap { $0.value.asArray } }
}

extension GGUFArray {
    /// The memory that the elements take, in bytes.
    package var byteCount: Int { memory(strings: \.byteCount, nested: \.byteCount) { count, _ in count } }

    /// The same with what the allocator has rounded up.
    package var heldBytes: Int { memory(strings: \.heldBytes, nested: \.heldBytes) { _, capacity in capacity } }

    /// - Parameter elements: which to count, of the elements there are and those that there is room for.
    private func memory(
        strings: (GGUFStrings) -> Int, nested: (GGUFArray) -> Int, elements: (_ count: Int, _ capacity: Int) -> Int
    ) -> Int {
        func bytes<Element>(_ array: [Element]) -> Int {
            elements(array.count, array.capacity) * MemoryLayout<Element>.stride
        }
        return switch self {
        case .uint8(let values): bytes(values)
        case .int8(let values): bytes(values)
        case .uint16(let values): bytes(values)
        case .int16(let values): bytes(values)
        case .uint32(let values): bytes(values)
        case .int32(let values): bytes(values)
        case .float32(let values): bytes(values)
        case .bool(let values): bytes(values)
        case .string(let values): strings(values)
        case .array(let values): values.reduce(bytes(values)) { $0 + nested($1) }
        case .uint64(let values): bytes(values)
        case .int64(let values): bytes(values)
        case .float64(let values): bytes(values)
        }
    }
}
