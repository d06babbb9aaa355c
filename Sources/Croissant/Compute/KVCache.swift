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

        /// Whether heads of keys are rotated by a Hadamard matrix before they are stored, and queries with them.
        ///
        /// The matrix is orthogonal, so that scores stay what they were. It spreads an element that is much larger than
        /// its neighbours over all of them, of which four bits would leave little (arXiv 2404.00456).
        var rotatesKeys: Bool { rotates(keyType) }
        /// The same for values: what attention makes of them is rotated back.
        var rotatesValues: Bool { rotates(valueType) }

        private func rotates(_ type: GGMLType) -> Bool { type == .q4_0 && headSize & (headSize - 1) == 0 }

        /// Bytes of one position of one head.
        func rowBytes(_ type: GGMLType) -> Int {
            guard let bytes = type.byteCount(elements: headSize) else {
                preconditionFailure("a head of \(headSize) is not whole blocks of \(type.name)")
            }
            return bytes
        }

        /// Where some positions of one head of one layer, `row` of all, lie in the buffer of keys or of values.
        fileprivate func bytes(row: Int, positions: Range<Int>, type: GGMLType) -> Range<Int> {
            precondition(positions.upperBound <= capacity, "positions \(positions) of \(capacity)")
            let rowBytes = rowBytes(type)
            let first = row * capacity + positions.lowerBound
            return first * rowBytes..<(first + positions.count) * rowBytes
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

    /// What the workers of one operation store through, each its own positions.
    var writer: Writer {
        @_lifetime(&self)
        mutating get { Writer(shape: shape, keys: keys.shared, values: values.shared) }
    }

    /// Stores keys and values, from several threads at once.
    struct Writer: ~Escapable, Sendable {
        private let shape: Shape
        private let keys: SharedBuffer<UInt8>
        private let values: SharedBuffer<UInt8>

        @_lifetime(copy keys, copy values)
        fileprivate init(shape: Shape, keys: consuming SharedBuffer<UInt8>, values: consuming SharedBuffer<UInt8>) {
            self.shape = shape
            self.keys = keys
            self.values = values
        }

        /// Stores a key and a value (heads, head size) of one layer at `position`, which no other worker stores to.
        ///
        /// They are in `x` from `keys` and from `values` on, and are rotated there where the cache wants them so.
        func store(
            _ x: borrowing SharedBuffer<Float>, keysAt keys: Int, valuesAt values: Int, layer: Int, position: Int,
            kernels: Kernels
        ) {
            for head in 0..<shape.heads {
                let element = head * shape.headSize
                let row = layer * shape.heads + head
                var key = x.slice(keys + element..<keys + element + shape.headSize)
                if shape.rotatesKeys { kernels.hadamard(&key) }
                var keyBlocks = self.keys.slice(
                    shape.bytes(row: row, positions: position..<position + 1, type: shape.keyType))
                kernels.quantize(key.span, as: shape.keyType, into: &keyBlocks)
                var value = x.slice(values + element..<values + element + shape.headSize)
                if shape.rotatesValues { kernels.hadamard(&value) }
                var valueBlocks = self.values.slice(
                    shape.bytes(row: row, positions: position..<position + 1, type: shape.valueType))
                kernels.quantize(value.span, as: shape.valueType, into: &valueBlocks)
            }
        }
    }

    /// Keys of one head at some positions.
    @_lifetime(borrow self)
    func keys(layer: Int, head: Int, positions: Range<Int>) -> RawSpan {
        keys.bytes(
            of: shape.bytes(row: layer * shape.heads + head, positions: positions, type: shape.keyType))
    }

    /// Values of one head at some positions.
    @_lifetime(borrow self)
    func values(layer: Int, head: Int, positions: Range<Int>) -> RawSpan {
        values.bytes(
            of: shape.bytes(row: layer * shape.heads + head, positions: positions, type: shape.valueType))
    }
}
