import GGUF
import Synchronization

extension Quantizer {
    /// Writes the new file.
    ///
    /// Threads take pieces of tensors, of whatever tensor is next; while they make the blocks of some, one of them
    /// writes those before. Memory is some mebibytes for each thread, whatever the size of the file.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete; not one of the files that are read.
    ///   - threads: threads that quantise, 1 to 512; one for each physical core when nil. The file is the same with any
    ///     number.
    ///   - progress: called now and then with the bytes of tensors that have been read, of ``sourceBytes``; returning
    ///     false stops, and leaves no file behind.
    ///   - calibrating: called now and then before any of that, where the file is calibrated, with the steps that are
    ///     done, of ``CalibrationPlan/steps``; returning false stops, and leaves no file behind.
    /// - Returns: whether the file was written.
    /// - Throws: ``ModelError/invalidOption(name:value:expected:)`` for a number of threads that makes no sense;
    ///   ``ModelError/invalidWeight(tensor:index:value:expected:)`` for a weight that is no number, even where it would
    ///   only be copied, or larger than its new type can express; ``ModelError/overMemory(needed:available:)`` or
    ///   ``ModelError/outOfMemory(bytes:purpose:)`` for memory that there is not; ``ModelError/file(_:)`` where reading
    ///   or writing fails.
    @discardableResult
    public func write(
        to path: String, threads: Int? = nil, progress: ((Int) -> Bool)? = nil, calibrating: ((Int) -> Bool)? = nil
    ) throws(ModelError) -> Bool {
        let threads = try HostProcessors.threads(threads)
        let declarations = tensors.map { GGUFWriter.Declaration($0.source, type: $0.type) }
        let inputs = file.shardPaths + [options.calibration?.path].compactMap { $0 }
        let writer: GGUFWriter
        do throws(GGUFError) {
            writer = try GGUFWriter(path: path, metadata: metadata, tensors: declarations, inputs: inputs)
        } catch {
            throw .file(error)
        }
        let output = QuantizedOutput(writer)
        var isCalibrated = Set<String>()
        if let calibration, !calibration.matrices.isEmpty {
            let run = try CalibrationRun(calibration, of: file, threads: threads)
            isCalibrated.formUnion(calibration.matrices.keys)
            let isComplete = try run.run(progress: calibrating) { matrix throws(ModelError) in
                do throws(GGUFError) { try output.place(matrix.heldBytes, of: matrix.name) } catch {
                    throw .file(error)
                }
            }
            guard isComplete else { return false }
        }
        return try QuantizationRun(
            self, leavingOut: isCalibrated, pool: ThreadPool(threadCount: threads), output: output
        )
        .run(progress: progress)
    }
}

/// The file being written, to be used by one thread after the other.
private final class QuantizedOutput: Sendable {
    private let writer: Mutex<GGUFWriter?>

    init(_ writer: consuming GGUFWriter) { self.writer = Mutex(writer) }

    func write(_ bytes: RawSpan, of tensor: String) throws(GGUFError) {
        try writer.withLock { writer throws(GGUFError) in try writer?.write(bytes, of: tensor) }
    }

    func place(_ bytes: RawSpan, of tensor: String) throws(GGUFError) {
        try writer.withLock { writer throws(GGUFError) in try writer?.place(bytes, of: tensor) }
    }

    func finish() throws(GGUFError) {
        try writer.withLock { writer throws(GGUFError) in try writer.take()?.finish() }
    }
}

/// One way through a file.
private struct QuantizationRun {
    private let quantizer: Quantizer
    /// Names of matrices that are in the file already.
    private let leftOut: Set<String>
    private let pool: ThreadPool
    private let output: QuantizedOutput
    /// Pieces until all threads meet.
    private let groupSize: Int
    /// Room for a piece of any type, in bytes.
    private let pieceBytes: Int

    /// Pieces that are made while those of the group before are written.
    private struct Group {
        var pieces: [QuantizationPiece]
        /// The half of the memory for blocks that is theirs.
        let half: Int

        /// Bytes of the source.
        var byteCount: Int { pieces.reduce(0) { $0 + $1.source.count } }
    }

    init(_ quantizer: Quantizer, leavingOut leftOut: Set<String>, pool: ThreadPool, output: QuantizedOutput) {
        self.quantizer = quantizer
        self.leftOut = leftOut
        self.pool = pool
        self.output = output
        groupSize = min(32 * pool.threadCount, 512)
        pieceBytes = QuantizationPieces.largest(of: quantizer.tensors)
    }

    /// Writes everything; returns whether `progress` has let it.
    func run(progress: ((Int) -> Bool)?) throws(ModelError) -> Bool {
        var floats = try Buffer<Float>.allocate(
            pool.threadCount * QuantizationPieces.elements, purpose: "weights to be quantised")
        var blocks = try Buffer<UInt8>.allocate(2 * groupSize * pieceBytes, purpose: "blocks on their way to the file")
        var pieces = QuantizationPieces(quantizer.tensors, leavingOut: leftOut)
        var previous = Group(pieces: [], half: 1)
        var current = nextGroup(after: previous, &pieces)
        var done = quantizer.tensors.reduce(0) { leftOut.contains($1.source.name) ? $0 + $1.source.byteCount : $0 }
        while !previous.pieces.isEmpty || !current.pieces.isEmpty {
            let next = nextGroup(after: current, &pieces)
            advise(.willNeed, next)
            try step(make: current, write: previous, &floats, &blocks)
            advise(.dontNeed, previous)
            done += current.byteCount
            (previous, current) = (current, next)
            if let progress, !progress(done) { return false }
        }
        do throws(GGUFError) { try output.finish() } catch { throw .file(error) }
        return true
    }

    private func nextGroup(after group: Group, _ pieces: inout QuantizationPieces) -> Group {
        var next = Group(pieces: [], half: 1 - group.half)
        while next.pieces.count < groupSize, let piece = pieces.next() { next.pieces.append(piece) }
        return next
    }

    /// Makes the blocks of one group and writes those of another.
    private func step(
        make current: Group, write previous: Group, _ floats: inout Buffer<Float>, _ blocks: inout Buffer<UInt8>
    ) throws(ModelError) {
        let floats = floats.shared
        let blocks = blocks.shared
        // The first one in the order of the file, which does not depend on who comes first.
        let failure = Mutex<(index: Int, error: ModelError)?>(nil)
        pool.parallelFor(current.pieces.count + 1) { index, worker in
            do throws(ModelError) {
                // Writing comes first: it is what the next step waits for.
                if index == 0 {
                    try write(previous, blocks)
                } else {
                    try make(current, index - 1, worker: worker, floats, blocks)
                }
            } catch {
                failure.withLock { if $0.map({ index < $0.index }) ?? true { $0 = (index, error) } }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure.error }
    }

    private func write(_ group: Group, _ blocks: borrowing SharedBuffer<UInt8>) throws(ModelError) {
        do throws(GGUFError) {
            for (index, piece) in group.pieces.enumerated() {
                let tensor = quantizer.tensors[piece.tensor].source
                if piece.isCopied {
                    let mapped = quantizer.file.mappedFile(of: tensor)
                    try output.write(mapped.bytes.extracting(piece.source), of: tensor.name)
                } else {
                    let place = place(of: index, in: group)
                    try output.write(blocks.bytes(of: place), of: tensor.name)
                }
            }
        } catch {
            throw .file(error)
        }
    }

    /// Where the blocks of a piece are.
    private func place(of index: Int, in group: Group) -> Range<Int> {
        let start = (group.half * groupSize + index) * pieceBytes
        return start..<start + group.pieces[index].byteCount
    }

    private func make(
        _ group: Group, _ index: Int, worker: Int, _ floats: borrowing SharedBuffer<Float>,
        _ blocks: borrowing SharedBuffer<UInt8>
    ) throws(ModelError) {
        let piece = group.pieces[index]
        let tensor = quantizer.tensors[piece.tensor]
        // Floats that stay what they are must be numbers too: a model with others would not load.
        guard !piece.isCopied || tensor.type.isFloat else { return }
        let kernels = quantizer.kernels
        let start = worker * QuantizationPieces.elements
        var values = floats.slice(start..<start + piece.elements.count)
        let mapped = quantizer.file.mappedFile(of: tensor.source)
        kernels.dequantize(
            mapped.bytes.extracting(piece.source), as: tensor.source.type, count: piece.elements.count, into: &values)
        try kernels.check(values.span, of: tensor.source.name, at: piece.elements.lowerBound, as: tensor.type)
        if piece.isCopied { return }
        // Blocks do not depend on the row that they are in.
        var out = blocks.slice(place(of: index, in: group))
        kernels.quantizeRows(values.span, columns: piece.elements.count, as: tensor.type, into: &out)
    }

    /// Tells the system about the pages of a group, neighbours together.
    private func advise(_ advice: MappedFile.Advice, _ group: Group) {
        var rest = group.pieces[...]
        while let first = rest.first {
            let shard = quantizer.tensors[first.tensor].source.shardIndex
            var end = first.source.upperBound
            rest.removeFirst()
            while let next = rest.first, next.source.lowerBound >= end, next.source.lowerBound - end < 4096,
                quantizer.tensors[next.tensor].source.shardIndex == shard
            {
                end = next.source.upperBound
                rest.removeFirst()
            }
            quantizer.file.mappedFile(of: quantizer.tensors[first.tensor].source)
                .advise(advice, range: first.source.lowerBound..<end)
        }
    }
}
