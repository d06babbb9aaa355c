import GGUF

/// Quantised blocks of random weights to choose from: quantising billions of weights one by one would take longer than
/// the benchmark that they are for.
///
/// Some thousand pieces are drawn and quantised like any weights. A large tensor is then put together from pieces that
/// are chosen at random, so that every block is as real as the others, and no two rows are alike.
struct BlockStock: Sendable {
    /// What a stock is for.
    struct Kind: Hashable, Sendable {
        let type: GGMLType
        let columns: Int

        /// The kind that `tensor` is made of; nil for tensors whose weights are all drawn, because there are few of them
        /// or because they are not quantised.
        init?(_ tensor: GGUFWriter.Declaration) {
            guard tensor.type.blockSize > 1, tensor.dimensions.count > 1,
                tensor.dimensions.reduce(1, *) >= 2 * BlockStock.weights
            else { return nil }
            type = tensor.type
            columns = tensor.dimensions[0]
        }
    }

    /// Weights in a stock, a power of two.
    static let weights = 1 << 19

    private let bytes: [UInt8]
    private let pieceBytes: Int
    /// The number of pieces is two to the power of this.
    private let countBits: Int

    /// Draws and quantises the pieces for tensors of a kind.
    init(_ kind: Kind, seed: UInt64, kernels: Kernels, pool: ThreadPool) throws(ModelError) {
        // The largest power of two that divides rows and is at most 256, the longest block: all blocks divide it.
        let pieceWeights = 1 << min(8, kind.columns.trailingZeroBitCount)
        let chunkWeights = 4096
        guard let pieceBytes = kind.type.byteCount(elements: pieceWeights),
            let chunkBytes = kind.type.byteCount(elements: chunkWeights)
        else { preconditionFailure("rows of \(kind.columns) weights are not whole blocks of \(kind.type.name)") }
        self.pieceBytes = pieceBytes
        countBits = (Self.weights / pieceWeights).trailingZeroBitCount
        let count = Self.weights / chunkWeights * chunkBytes
        var made = try Buffer<UInt8>.allocate(count, purpose: "blocks to choose from")
        Self.make(kind, pieceWeights, chunkWeights, chunkBytes, seed: seed, kernels: kernels, pool: pool, into: &made)
        bytes = (0..<count).map { made.span[$0] }
    }

    /// Draws and quantises all pieces, some at a time.
    private static func make(
        _ kind: Kind, _ pieceWeights: Int, _ chunkWeights: Int, _ chunkBytes: Int, seed: UInt64, kernels: Kernels,
        pool: ThreadPool, into bytes: inout Buffer<UInt8>
    ) {
        let shared = bytes.shared
        pool.parallelFor(weights / chunkWeights) { chunk, _ in
            // Numbers that no row of a tensor has.
            var random = ModelSynthesizer.random(
                seed: seed, tensor: 1 << 20 | Int(kind.type.rawValue), row: kind.columns << 20 | chunk)
            var values = [Float](repeating: 0, count: chunkWeights)
            var span = values.mutableSpan
            ModelSynthesizer.draw(&span, 0..<chunkWeights, scale: 1 / Float(kind.columns).squareRoot(), &random)
            var blocks = shared.slice(chunk * chunkBytes..<(chunk + 1) * chunkBytes)
            kernels.quantizeRows(values.span, columns: pieceWeights, as: kind.type, into: &blocks)
        }
    }

    /// Writes `count` bytes, whole pieces, from `start` of `out` on.
    func fill(_ out: inout MutableSpan<UInt8>, from start: Int, count: Int, _ random: inout Xoshiro256) {
        for position in stride(from: start, to: start + count, by: pieceBytes) {
            let piece = Int(truncatingIfNeeded: random.next() >> UInt64(64 - countBits)) * pieceBytes
            for offset in 0..<pieceBytes { out[position + offset] = bytes[piece + offset] }
        }
    }
}
