/// The second moments of what a matrix is multiplied with: H = sum over tokens of transpose(x) * x, (columns, columns).
///
/// They say what an error in the weights costs: a row that is wrong by e changes its products by e * H * transpose(e),
/// squared and summed over the tokens. Only the upper triangle is kept up to date.
package struct InputMoments: ~Copyable {
    /// The length of an input.
    package let columns: Int
    /// Inputs that have been added.
    private(set) var count = 0
    private var sums: FloatBuffer

    /// Whether the diagonal is all that is summed up: what importance needs, for a thousandth of the work.
    private let isDiagonal: Bool

    /// No inputs of `columns` elements; throws where the system refuses the memory.
    package init(columns: Int, isDiagonal: Bool = false) throws(ModelError) {
        let rows = isDiagonal ? 1 : columns
        sums = try FloatBuffer.allocate(rows * columns, purpose: "second moments of inputs")
        self.columns = columns
        self.isDiagonal = isDiagonal
    }

    /// Bytes of the moments of inputs of `columns` elements.
    static func byteCount(columns: Int, isDiagonal: Bool) -> Int {
        (isDiagonal ? 1 : columns) * columns * MemoryLayout<Float>.stride
    }

    /// Forgets all inputs.
    mutating func reset() {
        var sums = sums.mutableSpan
        for index in sums.indices { sums[index] = 0 }
        count = 0
    }

    /// Columns of a tile that one worker adds up: what a product of matrices is fast with. The same for any number of
    /// threads, so that the sums are.
    private static let tile = 256

    /// Adds the inputs `x` (rows, columns).
    package mutating func add(_ x: Span<Float>, rows: Int, on pool: ThreadPool) {
        if isDiagonal {
            Self.addSquares(x, rows: rows, columns: columns, to: &sums, on: pool)
        } else {
            Self.add(x, rows: rows, columns: columns, to: &sums, on: pool)
        }
        count += rows
    }

    private static func addSquares(
        _ x: Span<Float>, rows: Int, columns: Int, to sums: inout FloatBuffer, on pool: ThreadPool
    ) {
        let shared = sums.shared
        pool.parallelFor((columns + tile - 1) / tile) { index, _ in
            let range = index * tile..<min((index + 1) * tile, columns)
            var sums = shared.slice(range)
            for row in 0..<rows {
                let x = x.extracting(row * columns + range.lowerBound..<row * columns + range.upperBound)
                for column in x.indices { sums[column] += x[column] * x[column] }
            }
        }
    }

    private static func add(
        _ x: Span<Float>, rows: Int, columns: Int, to sums: inout FloatBuffer, on pool: ThreadPool
    ) {
        let starts = Array(stride(from: 0, to: columns, by: tile))
        let tiles = starts.flatMap { row in starts.filter { $0 >= row }.map { (row, $0) } }
        let shared = sums.shared
        pool.parallelFor(tiles.count) { index, _ in
            let (row, column) = tiles[index]
            BLAS.addTransposed(
                m: min(tile, columns - row), n: min(tile, columns - column), k: rows,
                a: x.extracting(row..<rows * columns), aStride: columns,
                b: x.extracting(column..<rows * columns), bStride: columns,
                c: shared, at: row * columns + column, cStride: columns)
        }
    }

    /// The mean square of each element of the inputs of the matrix `tensor`, and of those beside it: how much an error of
    /// its column counts by itself.
    ///
    /// - Throws: ``ModelError/infiniteActivations(tensor:)`` where inputs were no numbers, or so large that their squares
    ///   are none.
    package func importance(of tensor: String) throws(ModelError) -> [Float] {
        let sums = sums.span
        let distance = isDiagonal ? 1 : columns + 1
        let squares = (0..<columns).map { sums[$0 * distance] / Float(max(count, 1)) }
        guard squares.allSatisfy(\.isFinite) else { throw .infiniteActivations(tensor: tensor) }
        return squares
    }

    /// Below this, inputs are nothing: the inverse of their moments would be no number.
    private static let leastMean: Float = 1e-30

    /// Makes the mean of the sums, both triangles of it, in units of the mean of the diagonal, and adds `damping` to the
    /// diagonal: spans of inputs that were never seen, or hardly, would otherwise be free to become anything. Rounding
    /// depends on no such unit, and none can be too small or too large for what H is put through.
    ///
    /// - Parameter importance: what ``importance(of:)`` gives.
    package mutating func close(_ importance: [Float], damping: Float) {
        precondition(!isDiagonal, "there is no matrix")
        let mean = Float(importance.reduce(0) { $0 + Double($1) } / Double(columns))
        let unit = mean > Self.leastMean ? 1 / (Float(max(count, 1)) * mean) : 0
        Self.close(&sums, columns, factor: unit, adding: unit > 0 ? damping : 1)
    }

    private static func close(_ sums: inout FloatBuffer, _ columns: Int, factor: Float, adding constant: Float) {
        var sums = sums.mutableSpan
        for row in 0..<columns {
            for column in row..<columns {
                let mean = sums[row * columns + column] * factor
                sums[row * columns + column] = mean
                sums[column * columns + row] = mean
            }
            sums[row * columns + row] += constant
        }
    }

    /// H after ``close(_:damping:)``: (columns, columns).
    package var hessian: Span<Float> {
        @_lifetime(borrow self)
        get { sums.span }
    }
}

/// The moments of the inputs of a block's matrices.
struct BlockMoments: ~Copyable {
    /// Of queries, keys and values.
    var attention: InputMoments
    /// Of the output of attention.
    var attentionOutput: InputMoments
    /// Of gate and up.
    var feedForward: InputMoments
    /// Of down.
    var down: InputMoments

    /// No inputs of a model of `configuration`; throws where the system refuses the memory.
    init(_ configuration: ModelConfiguration, isDiagonal: Bool) throws(ModelError) {
        let embedding = configuration.embeddingLength
        let attention = try InputMoments(columns: embedding, isDiagonal: isDiagonal)
        let attentionOutput = try InputMoments(columns: configuration.queryLength, isDiagonal: isDiagonal)
        let feedForward = try InputMoments(columns: embedding, isDiagonal: isDiagonal)
        let down = try InputMoments(columns: configuration.feedForwardLength, isDiagonal: isDiagonal)
        self.attention = attention
        self.attentionOutput = attentionOutput
        self.feedForward = feedForward
        self.down = down
    }

    /// The lengths of the inputs of a model of `configuration`.
    static func columns(_ configuration: ModelConfiguration) -> [Int] {
        [
            configuration.embeddingLength, configuration.queryLength, configuration.embeddingLength,
            configuration.feedForwardLength,
        ]
    }

    /// Bytes that they take.
    static func byteCount(_ configuration: ModelConfiguration, isDiagonal: Bool) -> Int {
        columns(configuration).reduce(0) { $0 + InputMoments.byteCount(columns: $1, isDiagonal: isDiagonal) }
    }

    /// Forgets all inputs.
    mutating func reset() {
        attention.reset()
        attentionOutput.reset()
        feedForward.reset()
        down.reset()
    }

    /// Adds inputs (rows, columns) of one of them.
    mutating func add(_ x: borrowing FloatBuffer, to input: Transformer.BlockInput, rows: Int, on pool: ThreadPool) {
        switch input {
        case .attention: attention.add(x.span, rows: rows, on: pool)
        case .attentionOutput: attentionOutput.add(x.span, rows: rows, on: pool)
        case .feedForward: feedForward.add(x.span, rows: rows, on: pool)
        case .down: down.add(x.span, rows: rows, on: pool)
        }
    }
}
