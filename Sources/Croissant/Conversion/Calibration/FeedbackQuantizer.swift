package import GGUF
import Synchronization

/// Quantises a matrix by what its products are with known inputs.
///
/// With importance alone, every block is the one whose weights are closest, errors in columns with large inputs counting
/// more. With feedback (GPTQ, arXiv 2210.17323) the columns are rounded one after the other, and what the rounding of one
/// has changed in the products is taken out of those behind it, as far as inputs go together. A block's scales are those
/// that the type's own search finds for what the weights have become by then. In the end every weight has another choice,
/// when all others are known (one step of coordinate descent on the same sum of squares): that took 3% to 9% off the
/// divergence of stories260K, on text that it was not calibrated with, and three or ten steps no more.
package struct FeedbackQuantizer: Sendable {
    private let kernels: Kernels
    private let pool: ThreadPool

    /// A quantiser with these kernels, on these threads.
    package init(kernels: Kernels, pool: ThreadPool) {
        self.kernels = kernels
        self.pool = pool
    }

    /// What is known of the inputs of a matrix.
    package struct Inputs: ~Escapable {
        /// How much an error of each column counts in the search of blocks.
        let importance: [Float]
        /// H (columns, columns).
        let hessian: Span<Float>
        /// U (columns, columns), of the inverse of H: see ``FeedbackFactor``.
        let factor: Span<Float>

        /// What is known of the inputs.
        @_lifetime(copy hessian, copy factor)
        package init(importance: [Float], hessian: Span<Float>, factor: Span<Float>) {
            self.importance = importance
            self.hessian = hessian
            self.factor = factor
        }
    }

    /// Rows that one worker takes through all columns: the same for any number of threads, so that products of matrices
    /// have the same shapes, and results the same bits.
    static let rows = 64
    /// Columns whose errors are carried on together, by a product of matrices; a block of 256 columns is one panel.
    private static let panelColumns = 128

    /// Bytes that quantising a matrix takes, beside the blocks.
    static func byteCount(columns: Int, type: GGMLType, threads: Int, hasFeedback: Bool) -> Int {
        let space = Workspace(columns: columns, type: type)
        guard hasFeedback else { return threads * space.strip * MemoryLayout<Float>.stride }
        return threads * (space.floats * MemoryLayout<Float>.stride + space.bytes)
    }

    /// The blocks of `matrix` as `type`, in the layout of the file.
    ///
    /// - Parameters:
    ///   - importance: of the columns: how much an error counts.
    ///   - goesOn: asked after every second or so of work; returning false stops.
    /// - Returns: nil where it was stopped.
    /// - Throws: ``ModelError/invalidWeight(tensor:index:value:expected:)`` for weights that `type` cannot express.
    package func quantize(
        _ matrix: WeightMatrix, as type: GGMLType, importance: [Float], while goesOn: () -> Bool = { true }
    ) throws(ModelError) -> Buffer<UInt8>? {
        let columns = matrix.columns
        var out = try Buffer<UInt8>.allocate(matrix.byteCount(as: type), purpose: "quantised weights")
        var floats = try FloatBuffer.allocate(
            pool.threadCount * Self.rows * columns, purpose: "weights to be quantised")
        let isComplete = try forEachStrip(of: matrix, out.shared, floats.shared, while: goesOn) {
            strip, blocks, floats throws(ModelError) in
            var weights = floats.slice(strip.floats..<strip.floats + strip.rows.count * columns)
            try load(matrix, strip.rows, into: &weights, for: type)
            var blocks = blocks.slice(strip.bytes)
            kernels.quantizeRows(weights.span, columns: columns, importance: importance.span, as: type, into: &blocks)
        }
        guard isComplete else { return nil }
        return out
    }

    /// The same with errors fed forward; weights of `type` must be rounded one by one.
    package func quantize(
        _ matrix: WeightMatrix, as type: GGMLType, _ inputs: Inputs, while goesOn: () -> Bool = { true }
    ) throws(ModelError) -> Buffer<UInt8>? {
        let space = Workspace(columns: matrix.columns, type: type)
        var out = try Buffer<UInt8>.allocate(matrix.byteCount(as: type), purpose: "quantised weights")
        var floats = try FloatBuffer.allocate(pool.threadCount * space.floats, purpose: "weights to be quantised")
        var bytes = try Buffer<UInt8>.allocate(pool.threadCount * space.bytes, purpose: "codes of weights")
        let scratch = bytes.shared
        let isComplete = try forEachStrip(of: matrix, out.shared, floats.shared, while: goesOn) {
            strip, blocks, floats throws(ModelError) in
            try feed(matrix, strip, type, inputs, space, blocks, floats, scratch)
            improve(matrix, strip, type, inputs, space, blocks, floats, scratch)
        }
        guard isComplete else { return nil }
        return out
    }

    // MARK: Strips

    /// Some rows, and where their worker's memory is.
    private struct Strip {
        let rows: Range<Int>
        /// Their blocks.
        let bytes: Range<Int>
        /// The first of the worker's floats.
        let floats: Int
        let worker: Int
    }

    /// Strips of a matrix with so many columns that each thread takes between two questions whether to go on: one of
    /// some thousand columns takes most of a second.
    private static func stripsAtOnce(columns: Int) -> Int { max(1, (1 << 23) / (columns * columns)) }

    /// Calls `body` for every strip; returns whether `goesOn` has let it.
    private func forEachStrip(
        of matrix: WeightMatrix, _ out: borrowing SharedBuffer<UInt8>, _ floats: borrowing SharedBuffer<Float>,
        while goesOn: () -> Bool,
        _ body:
            @Sendable (Strip, borrowing SharedBuffer<UInt8>, borrowing SharedBuffer<Float>) throws(ModelError) -> Void
    ) throws(ModelError) -> Bool {
        let rowBytes = out.count / matrix.rows
        let workerFloats = floats.count / pool.threadCount
        let count = (matrix.rows + Self.rows - 1) / Self.rows
        let groupSize = pool.threadCount * Self.stripsAtOnce(columns: matrix.columns)
        // The first one in the order of the rows, which does not depend on who comes first.
        let failure = Mutex<(index: Int, error: ModelError)?>(nil)
        for start in stride(from: 0, to: count, by: groupSize) {
            guard goesOn() else { return false }
            pool.parallelFor(min(groupSize, count - start)) { index, worker in
                let first = (start + index) * Self.rows
                let rows = first..<min(first + Self.rows, matrix.rows)
                let strip = Strip(
                    rows: rows, bytes: rows.lowerBound * rowBytes..<rows.upperBound * rowBytes,
                    floats: worker * workerFloats, worker: worker)
                do throws(ModelError) { try body(strip, out, floats) } catch {
                    failure.withLock { if $0.map({ index < $0.index }) ?? true { $0 = (index, error) } }
                }
            }
            if let failure = failure.withLock({ $0 }) { throw failure.error }
        }
        return true
    }

    private func load(
        _ matrix: WeightMatrix, _ rows: Range<Int>, into weights: inout MutableSpan<Float>, for type: GGMLType
    ) throws(ModelError) {
        kernels.dequantize(matrix, rows: rows, into: &weights)
        try kernels.check(weights.span, of: matrix.name, at: rows.lowerBound * matrix.columns, as: type)
    }

    // MARK: Feedback

    /// The memory of a worker.
    private struct Workspace {
        let columns: Int
        let block: Int
        /// Columns of a panel.
        let panel: Int
        /// Bytes of a block.
        let blockBytes: Int

        init(columns: Int, type: GGMLType) {
            self.columns = columns
            block = type.blockSize
            panel = max(block, FeedbackQuantizer.panelColumns)
            guard let bytes = type.byteCount(elements: block) else { preconditionFailure("a block is a block") }
            blockBytes = bytes
        }

        /// Floats of a strip, of which there are five: weights that become rounded, their gradient, exact ones or a block
        /// by itself, and the first and the last weight of each code.
        var strip: Int { rows * columns }
        var gradient: Int { strip }
        var exact: Int { 2 * strip }
        var first: Int { 3 * strip }
        var last: Int { 4 * strip }
        /// Errors of a panel.
        var errors: Int { 5 * strip }
        var floats: Int { errors + rows * panel }
        /// Codes of a strip, and one column of its blocks behind them.
        var bytes: Int { strip + rows * blockBytes }
    }

    /// Takes a strip through all columns.
    private func feed(
        _ matrix: WeightMatrix, _ strip: Strip, _ type: GGMLType, _ inputs: borrowing Inputs, _ space: Workspace,
        _ out: borrowing SharedBuffer<UInt8>, _ floats: borrowing SharedBuffer<Float>,
        _ bytes: borrowing SharedBuffer<UInt8>
    ) throws(ModelError) {
        let (columns, rows, start) = (space.columns, strip.rows.count, strip.floats)
        let errorRange = start + space.errors..<start + space.errors + rows * space.panel
        var weights = floats.slice(start..<start + rows * columns)
        try load(matrix, strip.rows, into: &weights, for: type)
        for panel in stride(from: 0, to: columns, by: space.panel) {
            let end = min(panel + space.panel, columns)
            for column in stride(from: panel, to: end, by: space.block) {
                var errors = floats.slice(errorRange.lowerBound + column - panel..<errorRange.upperBound)
                round(
                    strip, type, inputs, space, column, reach: end - column, errors: &errors, out, floats,
                    bytes)
            }
            guard end < columns else { break }
            let errors = floats.slice(errorRange)
            BLAS.multiply(
                m: rows, n: columns - end, k: end - panel, alpha: -1, a: errors.span,
                aStride: space.panel, b: inputs.factor.extracting(panel * columns + end..<columns * columns),
                bStride: columns, beta: 1, c: floats, at: start + end, cStride: columns)
        }
    }

    /// Rounds the blocks of a strip that begin with `column`, and feeds the errors forward to the end of the panel.
    private func round(
        _ strip: Strip, _ type: GGMLType, _ inputs: borrowing Inputs, _ space: Workspace, _ column: Int, reach: Int,
        errors: inout MutableSpan<Float>, _ out: borrowing SharedBuffer<UInt8>,
        _ floats: borrowing SharedBuffer<Float>, _ bytes: borrowing SharedBuffer<UInt8>
    ) {
        let (columns, block, rows, start) = (space.columns, space.block, strip.rows.count, strip.floats)
        let count = rows * block
        var weights = floats.slice(start + column..<start + rows * columns)
        var compact = floats.slice(start + space.exact..<start + space.exact + count)
        // Errors that have been fed forward may have made large weights larger than the type can express; what the file
        // holds has been checked.
        let limit = Kernels.quantizerLimit(type)
        for row in 0..<rows {
            for k in 0..<block {
                let weight = weights[row * columns + k]
                let held = weight > limit ? limit : weight >= -limit ? weight : -limit
                weights[row * columns + k] = held
                compact[row * block + k] = held
            }
        }
        let byteStart = strip.worker * space.bytes
        var codes = bytes.slice(byteStart..<byteStart + count)
        let blockStart = byteStart + space.strip
        let blockRange = blockStart..<blockStart + rows * space.blockBytes
        var blocks = bytes.slice(blockRange)
        kernels.quantizeRows(
            compact.span, columns: block, importance: inputs.importance.span.extracting(column..<column + block),
            as: type, into: &blocks)
        var first = floats.slice(start + space.first..<start + space.first + count)
        var last = floats.slice(start + space.last..<start + space.last + count)
        findEnds(of: bytes, blockRange, type, &codes, first: &first, last: &last)
        kernels.feedForward(
            FeedbackShape(
                rows: rows, columns: block, reach: reach, stride: columns, factorStride: columns,
                errorStride: space.panel), as: type, weights: &weights,
            factor: inputs.factor.extracting(column * columns + column..<columns * columns), first: first.span,
            last: last.span, codes: &codes, errors: &errors)
        kernels.put(codes.span, as: type, into: &blocks)
        var made = out.slice(strip.bytes)
        let rowBytes = strip.bytes.count / rows
        let place = column / block * space.blockBytes
        for row in 0..<rows {
            for k in 0..<space.blockBytes {
                made[row * rowBytes + place + k] = blocks[row * space.blockBytes + k]
            }
        }
    }

    /// The weights that the scales of blocks have for the first code and for the last. The blocks lose their codes.
    private func findEnds(
        of buffer: borrowing SharedBuffer<UInt8>, _ range: Range<Int>, _ type: GGMLType,
        _ codes: inout MutableSpan<UInt8>, first: inout MutableSpan<Float>, last: inout MutableSpan<Float>
    ) {
        var blocks = buffer.slice(range)
        for index in codes.indices { codes[index] = 0 }
        kernels.put(codes.span, as: type, into: &blocks)
        kernels.dequantize(buffer.bytes(of: range), as: type, count: codes.count, into: &first)
        let lastCode = UInt8(Kernels.codeCount(type) - 1)
        for index in codes.indices { codes[index] = lastCode }
        kernels.put(codes.span, as: type, into: &blocks)
        kernels.dequantize(buffer.bytes(of: range), as: type, count: codes.count, into: &last)
    }

    // MARK: Descent

    /// Gives every weight of a strip another choice.
    private func improve(
        _ matrix: WeightMatrix, _ strip: Strip, _ type: GGMLType, _ inputs: borrowing Inputs, _ space: Workspace,
        _ out: borrowing SharedBuffer<UInt8>, _ floats: borrowing SharedBuffer<Float>,
        _ bytes: borrowing SharedBuffer<UInt8>
    ) {
        let (columns, rows, start) = (space.columns, strip.rows.count, strip.floats)
        let count = rows * columns
        var weights = floats.slice(start..<start + count)
        kernels.dequantize(out.bytes(of: strip.bytes), as: type, count: count, into: &weights)
        var errors = floats.slice(start + space.exact..<start + space.exact + count)
        kernels.dequantize(matrix, rows: strip.rows, into: &errors)
        for index in errors.indices { errors[index] -= weights[index] }
        BLAS.multiply(
            m: rows, n: columns, k: columns, a: errors.span, aStride: columns, b: inputs.hessian, bStride: columns,
            beta: 0, c: floats, at: start + space.gradient, cStride: columns)
        var gradient = floats.slice(start + space.gradient..<start + space.gradient + count)
        var first = floats.slice(start + space.first..<start + space.first + count)
        var last = floats.slice(start + space.last..<start + space.last + count)
        let byteStart = strip.worker * space.bytes
        var codes = bytes.slice(byteStart..<byteStart + count)
        findEnds(of: out, strip.bytes, type, &codes, first: &first, last: &last)
        kernels.descend(
            rows: rows, columns: columns, as: type, moments: inputs.hessian, first: first.span, last: last.span,
            weights: &weights, gradient: &gradient, codes: &codes)
        var blocks = out.slice(strip.bytes)
        kernels.put(codes.span, as: type, into: &blocks)
    }
}

extension WeightMatrix {
    /// Bytes of the matrix as `type`, whose blocks its rows are.
    fileprivate func byteCount(as type: GGMLType) -> Int {
        guard let bytes = type.byteCount(elements: columns) else {
            preconditionFailure("rows of \(columns) are not whole blocks of \(type.name)")
        }
        return rows * bytes
    }
}
