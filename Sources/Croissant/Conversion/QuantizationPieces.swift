import GGUF

/// Some elements of a tensor on their way from one file to the other.
struct QuantizationPiece: Sendable {
    /// The index of the tensor.
    let tensor: Int
    /// The elements, whole blocks of both types.
    let elements: Range<Int>
    /// Their bytes in the file that holds the tensor.
    let source: Range<Int>
    /// The bytes of the tensor that they become.
    let target: Range<Int>
    /// Whether they are copied as they are.
    let isCopied: Bool

    /// Bytes that they become.
    var byteCount: Int { target.count }
}

/// The pieces of tensors, one after the other: a file has too many to hold them all.
struct QuantizationPieces: Sequence, IteratorProtocol {
    /// Elements of a piece: whole blocks of every type, and, as floats, a quarter of a second-level cache.
    static let elements = 1 << 16

    private let tensors: [Quantizer.Tensor]
    private let leftOut: Set<String>
    private var tensor = 0
    private var start = 0

    /// The pieces of `tensors` but those of some names.
    init(_ tensors: [Quantizer.Tensor], leavingOut leftOut: Set<String>) {
        self.tensors = tensors
        self.leftOut = leftOut
    }

    /// The next piece; nil after the last.
    mutating func next() -> QuantizationPiece? {
        while tensor < tensors.count, leftOut.contains(tensors[tensor].source.name) { tensor += 1 }
        guard tensor < tensors.count else { return nil }
        let plan = tensors[tensor]
        let source = plan.source
        let elements = start..<Swift.min(start + Self.elements, source.elementCount)
        // Pieces are whole blocks, and so is what is left of a tensor.
        guard let first = source.type.byteCount(elements: elements.lowerBound),
            let last = source.type.byteCount(elements: elements.upperBound),
            let begin = plan.type.byteCount(elements: elements.lowerBound),
            let end = plan.type.byteCount(elements: elements.upperBound)
        else { preconditionFailure("rows are whole blocks: the file and the plan have been checked") }
        let piece = QuantizationPiece(
            tensor: tensor, elements: elements, source: source.offset + first..<source.offset + last,
            target: begin..<end, isCopied: plan.isCopied)
        start = elements.upperBound
        if start == source.elementCount { (tensor, start) = (tensor + 1, 0) }
        return piece
    }

    /// Bytes that no piece of `tensors` becomes more than, those aside that are copied.
    static func largest(of tensors: [Quantizer.Tensor]) -> Int {
        tensors.reduce(0) { $1.isCopied ? $0 : Swift.max($0, $1.type.byteCount(elements: elements) ?? 0) }
    }
}
