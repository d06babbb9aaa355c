package import GGUF
import Synchronization

/// Where weights are while the model runs.
public enum WeightPlacement: String, Sendable, CaseIterable {
    /// In the page cache, through the file's mapping: the memory is shared with other processes and can be taken back.
    case mapped
    /// Read into huge-page memory of the process: streams faster than a mapping, and nothing can evict it.
    case resident
}

/// The weights of one model, in the layout of the file, behind matrices that know their shapes.
@safe package final class WeightStore: Sendable {
    /// Where the weights are.
    package let placement: WeightPlacement
    private let file: GGUFFile
    /// The copy of resident weights, and where in it each tensor begins.
    private let memory: PageMemory?
    private let offsets: [String: Int]

    /// Bytes of the resident copy; 0 for weights that are mapped.
    package var residentByteCount: Int { memory?.byteCount ?? 0 }

    /// Resident tensors begin on cache lines.
    package static let alignment = 64

    /// The memory that `tensors` take when they are resident.
    package static func residentBytes(of tensors: [TensorInfo]) -> Int {
        tensors.reduce(0) { $0 + aligned($1.byteCount) }
    }

    private static func aligned(_ byteCount: Int) -> Int {
        (byteCount + alignment - 1) / alignment * alignment
    }

    /// Opens the weights of `file`: maps them, or reads `tensors` on all threads of `pool`.
    ///
    /// `progress` is told the bytes that have been read, now and then, on the caller's thread.
    package init(
        file: GGUFFile, tensors: [TensorInfo], placement: WeightPlacement, pool: ThreadPool,
        progress: (@Sendable (Int) -> Void)? = nil
    ) throws(ModelError) {
        self.file = file
        self.placement = placement
        guard placement == .resident else {
            memory = nil
            offsets = [:]
            return
        }
        let total = Self.residentBytes(of: tensors)
        guard let memory = PageMemory(byteCount: total) else { throw .outOfMemory(bytes: total, purpose: "weights") }
        var offsets: [String: Int] = [:]
        var pieces: [Piece] = []
        var end = 0
        for tensor in tensors {
            offsets[tensor.name] = end
            for start in stride(from: 0, to: tensor.byteCount, by: Piece.bytes) {
                let range = start..<min(start + Piece.bytes, tensor.byteCount)
                pieces.append(Piece(tensor: tensor, range: range, destination: end + start))
            }
            end += Self.aligned(tensor.byteCount)
        }
        try Self.read(pieces, of: file, into: memory, pool: pool, progress: progress)
        self.memory = memory
        self.offsets = offsets
    }

    /// A part of a tensor that one worker reads at a time.
    private struct Piece: Sendable {
        static let bytes = 4 << 20
        let tensor: TensorInfo
        let range: Range<Int>
        let destination: Int
    }

    private static func read(
        _ pieces: [Piece], of file: GGUFFile, into memory: PageMemory, pool: ThreadPool,
        progress: (@Sendable (Int) -> Void)?
    ) throws(ModelError) {
        let failure = FirstFailure()
        let done = Atomic<Int>(0)
        pool.parallelFor(pieces.count) { index, worker in
            let piece = pieces[index]
            let target = unsafe UnsafeMutableRawBufferPointer(
                start: memory.base + piece.destination, count: piece.range.count)
            do throws(GGUFError) {
                let source = file.mappedFile(of: piece.tensor)
                unsafe try source.readRange(offset: piece.tensor.offset + piece.range.lowerBound, into: target)
            } catch {
                failure.record(error)
            }
            let bytes = done.add(piece.range.count, ordering: .relaxed).newValue
            if worker == 0 { progress?(bytes) }
        }
        if let error = failure.error { throw .file(error) }
    }

    /// The weights of `tensor` as a matrix (rows, columns).
    package func matrix(_ tensor: TensorInfo) -> WeightMatrix {
        let base: UnsafeRawPointer
        if let memory, let offset = offsets[tensor.name] {
            unsafe base = unsafe UnsafeRawPointer(memory.base + offset)
        } else {
            unsafe base = unsafe file.mappedFile(of: tensor).base + tensor.offset
        }
        return unsafe WeightMatrix(tensor: tensor, owner: self, base: base)
    }
}

/// The first error of several workers.
private final class FirstFailure: Sendable {
    private let first = Mutex<GGUFError?>(nil)

    var error: GGUFError? { first.withLock { $0 } }

    func record(_ error: GGUFError) {
        first.withLock { $0 = $0 ?? error }
    }
}

/// A weight matrix (rows, columns) in the blocks of its type, rows one after the other.
@safe package struct WeightMatrix: @unchecked Sendable {
    // Sendable: immutable bytes, kept alive by the store.

    /// The tensor's name.
    package let name: String
    /// The type of its blocks.
    package let type: GGMLType
    /// Rows: the length of what a product yields.
    package let rows: Int
    /// Columns: the length of what a product takes.
    package let columns: Int
    /// Bytes from one row to the next.
    package let rowBytes: Int
    private let owner: WeightStore
    private let base: UnsafeRawPointer

    fileprivate init(tensor: TensorInfo, owner: WeightStore, base: UnsafeRawPointer) {
        name = tensor.name
        type = tensor.type
        rows = tensor.rows
        columns = tensor.columns
        rowBytes = tensor.byteCount / tensor.rows
        self.owner = owner
        unsafe self.base = unsafe base
    }

    /// The blocks of some rows.
    @_lifetime(borrow self)
    package func bytes(ofRows range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        let bytes = unsafe RawSpan(
            _unsafeStart: base + range.lowerBound * rowBytes, byteCount: range.count * rowBytes)
        return unsafe _overrideLifetime(bytes, borrowing: self)
    }
}
