/// What this machine can do at best, by the threads and the instruction set in use: what other figures are a share of.
package struct Roofline: Sendable, Encodable {
    /// Bytes a second that all threads together read from memory.
    package let readBytes: Double
    /// Operations a second on floats, a product and its addition being two.
    package let floatOperations: Double
    /// Operations a second on bytes, a product and its addition being two.
    package let byteOperations: Double

    /// Measures for about `seconds` each, and keeps the best of many short runs: a roof is what is never exceeded.
    ///
    /// - Parameter memory: what is read: larger than the caches, and in the pages of what it is compared with.
    package static func measure(_ memory: RawSpan, kernels: Kernels, pool: ThreadPool, seconds: Double = 0.2)
        -> Roofline
    {
        let chunk = 1 << 20
        let chunks = memory.byteCount / chunk
        let reading =
            chunks == 0
            ? 0
            : best(of: Double(chunks * chunk), seconds: seconds) {
                pool.parallelFor(chunks) { index, _ in
                    kernels.read(memory.extracting(index * chunk..<(index + 1) * chunk))
                }
            }
        // Some tenths of a millisecond a chunk, a few for each thread.
        let rounds = 16
        let chunksOfWork = 4 * pool.threadCount
        let floats = best(of: Double(rounds * chunksOfWork) * kernels.floatProductOperations, seconds: seconds) {
            pool.parallelFor(chunksOfWork) { _, _ in
                for _ in 0..<rounds { kernels.multiplyFloats() }
            }
        }
        let bytes = best(of: Double(rounds * chunksOfWork) * kernels.byteProductOperations, seconds: seconds) {
            pool.parallelFor(chunksOfWork) { _, _ in
                for _ in 0..<rounds { kernels.multiplyBytes() }
            }
        }
        return Roofline(readBytes: reading, floatOperations: floats, byteOperations: bytes)
    }

    /// Units a second of the fastest of several runs of `body`, which does `units`.
    private static func best(of units: Double, seconds: Double, _ body: () -> Void) -> Double {
        body()
        let begin = ContinuousClock.now
        var best = 0.0
        repeat {
            let start = ContinuousClock.now
            body()
            best = max(best, units / (ContinuousClock.now - start).seconds)
        } while (ContinuousClock.now - begin).seconds < seconds
        return best
    }
}
