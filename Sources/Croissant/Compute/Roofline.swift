/// What this machine can do at best, by the threads and the instruction set in use: what other figures are a share of.
package struct Roofline: Sendable, Codable {
    /// Bytes a second that all threads together read from memory.
    package let readBytes: Double
    /// The same, the median of the passes instead of the best: where memory is shared with other machines, the best is
    /// a moment in which those were silent, and says little about the minute.
    package let typicalReadBytes: Double
    /// Operations a second on floats, a product and its addition being two.
    package let floatOperations: Double
    /// Operations a second on bytes, a product and its addition being two.
    package let byteOperations: Double

    /// The highest roof of each kind, of at least one measurement of one machine: none was disturbed less than that. What
    /// is typical is the mean of all.
    package static func best(of roofs: some Collection<Roofline>) -> Roofline {
        func highest(_ roof: (Roofline) -> Double) -> Double { roofs.reduce(0) { max($0, roof($1)) } }
        return Roofline(
            readBytes: highest(\.readBytes),
            typicalReadBytes: roofs.reduce(0) { $0 + $1.typicalReadBytes } / Double(roofs.count),
            floatOperations: highest(\.floatOperations), byteOperations: highest(\.byteOperations))
    }

    /// Measures for about `seconds` each, and keeps the best of many short runs: a roof is what is never exceeded.
    ///
    /// - Parameter matrices: what is read: weights as a product reads them, in the same pages. Where they are not larger
    ///   than the caches, the figure is about those.
    package static func measure(
        reading matrices: [WeightMatrix], kernels: Kernels, pool: ThreadPool, seconds: Double
    ) -> Roofline {
        let chunk = 1 << 20
        let chunks = matrices.indices.flatMap { matrix in
            stride(from: 0, to: matrices[matrix].heldBytes.byteCount, by: chunk).map { (matrix, $0) }
        }
        let readable = matrices.reduce(0) { $0 + $1.heldBytes.byteCount / readMultiple * readMultiple }
        let reads = speeds(of: Double(readable), seconds: seconds) {
            pool.parallelRanges(chunks.count) { indices, _ in
                for (matrix, start) in chunks[indices] {
                    let held = matrices[matrix].heldBytes
                    let count = min(chunk, held.byteCount - start) / readMultiple * readMultiple
                    kernels.read(held.extracting(start..<start + count))
                }
            }
        }
        // Some tenths of a millisecond a chunk, a few for each thread.
        let rounds = 16
        let chunksOfWork = 4 * pool.threadCount
        let floats = speeds(of: Double(rounds * chunksOfWork) * kernels.floatProductOperations, seconds: seconds) {
            pool.parallelFor(chunksOfWork) { _, _ in
                for _ in 0..<rounds { kernels.multiplyFloats() }
            }
        }
        let bytes = speeds(of: Double(rounds * chunksOfWork) * kernels.byteProductOperations, seconds: seconds) {
            pool.parallelFor(chunksOfWork) { _, _ in
                for _ in 0..<rounds { kernels.multiplyBytes() }
            }
        }
        return Roofline(
            readBytes: reads[reads.count - 1], typicalReadBytes: reads[reads.count / 2],
            floatOperations: floats[floats.count - 1], byteOperations: bytes[bytes.count - 1])
    }

    /// What kernels read at a time, in bytes.
    private static let readMultiple = 512

    /// Units a second of several runs of `body`, which does `units`, from the slowest to the fastest.
    private static func speeds(of units: Double, seconds: Double, _ body: () -> Void) -> [Double] {
        body()
        let begin = ContinuousClock.now
        var speeds: [Double] = []
        repeat {
            let start = ContinuousClock.now
            body()
            speeds.append(units / (ContinuousClock.now - start).seconds)
        } while (ContinuousClock.now - begin).seconds < seconds
        return speeds.sorted()
    }
}
