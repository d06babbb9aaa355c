internal import GGUF

/// What the values of a tensor are like.
struct TensorTally: BitwiseCopyable, Sendable {
    /// Values that are no number.
    var notANumber = 0
    /// Values that are infinite as 32-bit floats.
    var infinite = 0
    /// Where the first of both is, counted in elements; none yet when negative.
    var firstIndex = -1
    /// The bits of the largest magnitude: 0 where all values are zero.
    var largest: UInt32 = 0

    /// Whether a value is no number or infinite.
    var hasBadValues: Bool { firstIndex >= 0 }

    /// No values.
    init() {}

    /// The tally of `values`, the first of which is element `start` of the tensor.
    init(_ values: Span<Float>, start: Int) {
        // Without a sign the bits of floats ascend as their magnitudes do, and infinity and all NaNs come last: one
        // maximum answers everything about a tile that has nothing wrong with it.
        for index in values.indices { largest = max(largest, values[index].bitPattern & 0x7FFF_FFFF) }
        guard largest >= Float.infinity.bitPattern else { return }
        for index in values.indices where !values[index].isFinite {
            if values[index].isNaN { notANumber += 1 } else { infinite += 1 }
            if firstIndex < 0 { firstIndex = start + index }
        }
    }

    /// Adds a tile that lies behind those so far.
    mutating func add(_ tile: TensorTally) {
        notANumber += tile.notANumber
        infinite += tile.infinite
        if firstIndex < 0 { firstIndex = tile.firstIndex }
        largest = max(largest, tile.largest)
    }
}

/// Goes through the values of all tensors of a file, tile by tile, on all threads.
///
/// Memory is some tiles for each thread, whatever the size of the file: its pages go back once they have been read.
struct TensorScan: Sendable {
    /// Elements in a tile: a mebibyte of floats, which the second-level cache holds, and whole blocks of every type.
    static let tileElements = 1 << 18
    /// Tiles that a thread takes until all threads meet.
    private static let tilesPerThread = 4

    private let file: GGUFFile
    private let kernels: Kernels
    private let pool: ThreadPool

    /// Prepares to go through `file`.
    init(_ file: GGUFFile, threads: Int) {
        self.file = file
        kernels = Kernels(Kernels.bestInstructionSet)
        pool = ThreadPool(threadCount: threads)
    }

    /// Some elements of a tensor.
    private struct Tile: Sendable {
        let tensor: Int
        let elements: Range<Int>
        /// Where they are in the file that holds the tensor.
        let bytes: Range<Int>
    }

    /// What a scan found.
    struct Result {
        /// The tally of each tensor that kernels can read, in the order of the file; nil for the others, and for those
        /// that were not reached.
        var tallies: [TensorTally?]
        /// Whether all were reached.
        var isComplete = true
    }

    /// Goes through the file.
    ///
    /// - Parameter progress: called now and then with the bytes that are done; returning false stops.
    func run(progress: ((Int) -> Bool)?) throws(ModelError) -> Result {
        var values = try Buffer<Float>.allocate(pool.threadCount * Self.tileElements, purpose: "tiles of weights")
        var tallies = try Buffer<TensorTally>.allocate(
            pool.threadCount * Self.tilesPerThread, purpose: "tallies of tiles")
        var result = Result(tallies: Array(repeating: nil, count: file.tensors.count))
        var pending: [TensorTally] = Array(repeating: TensorTally(), count: file.tensors.count)
        let tiles = makeTiles()
        var done = 0
        for start in stride(from: 0, to: tiles.count, by: tallies.count) {
            let group = tiles[start..<min(start + tallies.count, tiles.count)]
            for tile in tiles[group.endIndex..<min(group.endIndex + tallies.count, tiles.count)] {
                advise(.willNeed, tile)
            }
            scan(group, &values, &tallies)
            for (slot, tile) in group.enumerated() {
                advise(.dontNeed, tile)
                pending[tile.tensor].add(tallies.span[slot])
                done += tile.bytes.count
                if tile.elements.upperBound == file.tensors[tile.tensor].elementCount {
                    result.tallies[tile.tensor] = pending[tile.tensor]
                }
            }
            if let progress, !progress(done), group.endIndex < tiles.count {
                result.isComplete = false
                break
            }
        }
        return result
    }

    private func makeTiles() -> [Tile] {
        var tiles: [Tile] = []
        for (index, tensor) in file.tensors.enumerated() where Kernels.canCompute(tensor.type) {
            for start in stride(from: 0, to: tensor.elementCount, by: Self.tileElements) {
                let elements = start..<min(start + Self.tileElements, tensor.elementCount)
                // Tiles are whole blocks, and so is what is left of a tensor.
                guard let first = tensor.type.byteCount(elements: elements.lowerBound),
                    let last = tensor.type.byteCount(elements: elements.upperBound)
                else { preconditionFailure("the file has checked that rows are whole blocks") }
                tiles.append(
                    Tile(
                        tensor: index, elements: elements, bytes: tensor.offset + first..<tensor.offset + last))
            }
        }
        return tiles
    }

    private func advise(_ advice: MappedFile.Advice, _ tile: Tile) {
        file.mappedFile(of: file.tensors[tile.tensor]).advise(advice, range: tile.bytes)
    }

    /// Fills a tally for each tile of `group`; `values` has room for a tile of each thread.
    private func scan(
        _ group: ArraySlice<Tile>, _ values: inout Buffer<Float>, _ tallies: inout Buffer<TensorTally>
    ) {
        let values = values.shared
        let tallies = tallies.shared
        pool.parallelFor(group.count) { index, worker in
            let tile = group[group.startIndex + index]
            let tensor = file.tensors[tile.tensor]
            let start = worker * Self.tileElements
            var floats = values.slice(start..<start + tile.elements.count)
            let mapped = file.mappedFile(of: tensor)
            kernels.dequantize(
                mapped.bytes.extracting(tile.bytes), as: tensor.type, count: tile.elements.count, into: &floats)
            var tally = tallies.slice(index..<index + 1)
            tally[0] = TensorTally(floats.span, start: tile.elements.lowerBound)
        }
    }
}
