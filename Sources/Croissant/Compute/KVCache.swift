package import GGUF

/// Keys and values of every position so far, for every layer and key/value head.
///
/// Positions of one head lie one after the other (layer, head, position, element), so that a query streams through
/// them.
package struct KVCache: ~Copyable {
    /// The sizes of a cache.
    package struct Shape: Sendable {
        /// Layers of the model.
        package let layers: Int
        /// Key/value heads of a layer.
        package let heads: Int
        /// Elements of a head.
        package let headSize: Int
        /// Positions that fit.
        package let capacity: Int
        /// The type of keys.
        package let keyType: GGMLType
        /// The type of values.
        package let valueType: GGMLType

        /// Bytes of one position of one head.
        func rowBytes(_ type: GGMLType) -> Int {
            guard let bytes = type.byteCount(elements: headSize) else {
                preconditionFailure("a head of \(headSize) is not whole blocks of \(type.name)")
            }
            return bytes
        }

        /// Bytes of all keys and values.
        package var byteCount: Int {
            layers * heads * capacity * (rowBytes(keyType) + rowBytes(valueType))
        }
    }

    /// The sizes.
    package let shape: Shape
    /// Positions in use.
    package private(set) var count = 0
    private var keys: Buffer<UInt8>
    private var values: Buffer<UInt8>

    /// An empty cache; throws where the system refuses the memory.
    package init(_ shape: Shape) throws(ModelError) {
        self.shape = shape
        let rows = shape.layers * shape.heads * shape.capacity
        let keys = try Buffer<UInt8>.allocate(rows * shape.rowBytes(shape.keyType), purpose: "the key cache")
        let values = try Buffer<UInt8>.allocate(rows * shape.rowBytes(shape.valueType), purpose: "the value cache")
        self.keys = keys
        self.values = values
    }

    /// Bytes of its buffers.
    package var byteCount: Int { keys.byteCount + values.byteCount }

    /// Forgets all positions from `position` on.
    package mutating func truncate(to position: Int) {
        precondition(position >= 0 && position <= count, "position \(position) of \(count)")
        count = position
    }

    /// Counts `tokens` more positions, which every layer has stored.
    mutating func advance(by tokens: Int) {
        precondition(tokens <= shape.capacity - count, "\(tokens) positions do not fit")
        count += tokens
    }

    /// Stores a key and a value (heads, head size) of one layer at `position`.
    mutating func store(
        keys keyRow: Span<Float>, values valueRow: Span<Float>, layer: Int, position: Int, kernels: Kernels
    ) {
        let shape = shape
        for head in 0..<shape.heads {
            let row = (layer * shape.heads + head) * shape.capacity + position
            let elements = head * shape.headSize..<(head + 1) * shape.headSize
            let keyBytes = shape.rowBytes(shape.keyType)
            var key = keys.mutableSlice(row * keyBytes..<(row + 1) * keyBytes)
            kernels.quantize(keyRow.extracting(elements), as: shape.keyType, into: &key)
            let valueBytes = shape.rowBytes(shape.valueType)
            var value = values.mutableSlice(row * valueBytes..<(row + 1) * valueBytes)
            kernels.quantize(valueRow.extracting(elements), as: shape.valueType, into: &value)
        }
    }

    /// Keys of one head at some positions.
    @_lifetime(borrow self)
    func keys(layer: Int, head: Int, positions: Range<Int>) -> RawSpan {
        keys.bytes(of: bytes(layer: layer, head: head, positions: positions, rowBytes: shape.rowBytes(shape.keyType)))
    }

    /// Values of one head at some positions.
    @_lifetime(borrow self)
    func values(layer: Int, head: Int, positions: Range<Int>) -> RawSpan {
        values.bytes(
            of: bytes(layer: layer, head: head, positions: positions, rowBytes: shape.rowBytes(shape.valueType)))
    }

    private func bytes(layer: Int, head: Int, positions: Range<Int>, rowBytes: Int) -> Range<Int> {
        precondition(positions.upperBound <= shape.capacity, "positions \(positions) of \(shape.capacity)")
        let first = (layer * shape.heads + head) * shape.capacity + positions.lowerBound
        return first * rowBytes..<(first + positions.count) * rowBytes
    }
}
