/// Operations on rows of activations, each row by itself: shared out among threads from a few rows on.
extension CPUBackend {
    /// Rows (tokens) that are worth waking the other threads for: a row costs a microsecond, as the threads do.
    private static let rowsToShare = 8

    private func forEachRow(_ rows: Int, _ body: @Sendable (Int) -> Void) {
        if rows < Self.rowsToShare {
            for row in 0..<rows { body(row) }
        } else {
            let height = max(1, rows / (pool.threadCount * 4))
            pool.parallelFor((rows + height - 1) / height) { index, _ in
                for row in index * height..<min((index + 1) * height, rows) { body(row) }
            }
        }
    }

    /// out (tokens, columns) = the rows of `table` that `tokens` name.
    package func lookUp(
        _ tokens: Span<Int32>, in table: WeightMatrix, into out: inout FloatBuffer, scratch: inout Scratch
    ) {
        let columns = table.columns
        let workerFloats = scratch.floats.count / pool.threadCount
        let out = out.shared
        let tiles = scratch.floats.shared
        pool.parallelFor(tokens.count) { index, worker in
            let row = Int(tokens[index])
            var result = out.slice(index * columns..<(index + 1) * columns)
            switch table.layout {
            case .rows:
                kernels.dequantize(table, rows: row..<row + 1, into: &result)
            case .panels:
                let (panel, lane) = row.quotientAndRemainder(dividingBy: Panel.rows)
                let start = worker * workerFloats
                var floats = tiles.slice(start..<start + Panel.rows * columns)
                kernels.dequantize(
                    table.panels(panel..<panel + 1), of: table.type, columns: columns, into: &floats, at: 0,
                    stride: Panel.rows)
                for column in 0..<columns { result[column] = floats[column * Panel.rows + lane] }
            }
        }
    }

    /// out (rows, columns) = RMSNorm of the rows of `x` that begin at `start`; a row is as long as `weight`.
    package func rmsNorm(
        _ x: borrowing FloatBuffer, at start: Int = 0, weight: [Float], epsilon: Float, rows: Int,
        into out: inout FloatBuffer
    ) {
        let columns = weight.count
        // Of a batch, and in a step of the pool: a few rows are neither.
        let passes = kernels.resultsPass && rows > Self.vectorProducts && rows >= Self.rowsToShare
        let x = x.span
        let out = out.shared
        forEachRow(rows) { row in
            let source = start + row * columns
            var result = out.slice(row * columns..<(row + 1) * columns)
            kernels.rmsNorm(
                x.extracting(source..<source + columns), weight: weight.span, epsilon: epsilon, into: &result,
                passing: passes)
        }
    }

    /// RMSNorm of every head of `heads` by itself, in place; a head is as long as `weight`, and rows of `stride` floats
    /// begin with the first of them.
    package func rmsNorm(
        ofHeads heads: Range<Int>, of x: inout FloatBuffer, stride: Int, weight: [Float], epsilon: Float, rows: Int
    ) {
        let size = weight.count
        let x = x.shared
        forEachRow(rows) { row in
            for head in heads {
                let start = row * stride + head * size
                var elements = x.slice(start..<start + size)
                kernels.rmsNorm(&elements, weight: weight.span, epsilon: epsilon)
            }
        }
    }

    /// Adds `bias` to each of the first `rows` rows of `x`, which are as long as it is.
    package func add(_ bias: [Float], toRowsOf x: inout FloatBuffer, rows: Int) {
        let x = x.shared
        forEachRow(rows) { row in
            var elements = x.slice(row * bias.count..<(row + 1) * bias.count)
            kernels.add(bias.span, to: &elements)
        }
    }

    /// accumulator += x, for the first `count` elements.
    package func add(_ x: borrowing FloatBuffer, to accumulator: inout FloatBuffer, count: Int) {
        let length = 4096
        let x = x.span
        let accumulator = accumulator.shared
        forEachRow((count + length - 1) / length) { row in
            let range = row * length..<min((row + 1) * length, count)
            var result = accumulator.slice(range)
            kernels.add(x.extracting(range), to: &result)
        }
    }

    /// out (rows, length) = SiLU(gate) * up, where a row of `gateUp` holds `length` gates and as many ups.
    func siluMultiply(
        _ gateUp: borrowing SharedBuffer<Float>, rows: Int, length: Int, into out: borrowing SharedBuffer<Float>
    ) {
        forEachRow(rows) { row in
            kernels.siluMultiply(
                gateUp, at: row * 2 * length, stride: 2 * length, rows: 1, length: length, into: out,
                at: row * length, stride: length)
        }
    }

    /// Turns the first `heads` heads of every row by the angles of the row's position.
    package func rotate(
        _ x: inout FloatBuffer, stride: Int, heads: Int, headSize: Int, rows: Int,
        cosines: borrowing FloatBuffer, sines: borrowing FloatBuffer, rope: RoPE
    ) {
        let pairs = rope.pairs
        let cosines = cosines.span
        let sines = sines.span
        let x = x.shared
        forEachRow(rows) { row in
            let angles = row * pairs..<(row + 1) * pairs
            for head in 0..<heads {
                let start = row * stride + head * headSize
                var elements = x.slice(start..<start + headSize)
                kernels.rotate(
                    &elements, cosines: cosines.extracting(angles), sines: sines.extracting(angles), layout: rope.layout
                )
            }
        }
    }

    /// Appends the keys and values of every row to the cache, from `position` on.
    ///
    /// They are left as the cache has rotated them.
    package func append(
        _ x: inout FloatBuffer, stride: Int, keysAt keys: Int, valuesAt values: Int, length: Int, rows: Int,
        layer: Int, position: Int, to cache: inout KVCache
    ) {
        let x = x.shared
        let writer = cache.writer
        forEachRow(rows) { row in
            let start = row * stride
            writer.store(
                x, keysAt: start + keys, valuesAt: start + values, layer: layer, position: position + row,
                kernels: kernels)
        }
    }
}
