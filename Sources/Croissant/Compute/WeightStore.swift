package import GGUF
import Synchronization

/// Where weights are while the model runs.
public enum WeightPlacement: String, Sendable, CaseIterable {
    /// In the page cache, through the file's mapping: the memory is shared with other processes and can be taken back.
    case mapped
    /// Read into huge-page memory of the process: streams faster than a mapping, and nothing can evict it.
    case resident
}

/// How the weights of a matrix lie in memory.
package enum WeightLayout: Sendable {
    /// Row after row, in the blocks of the file.
    case rows
    /// Sixteen rows side by side: one layout that decode streams fastest, and that batches unpack (see panel.h).
    case panels
}

/// A tensor and how it is held.
package struct WeightPlan: Sendable {
    /// The tensor.
    package let tensor: TensorInfo
    /// How it is held.
    package let layout: WeightLayout

    /// Plans for `tensor` to be held in `layout`.
    package init(tensor: TensorInfo, layout: WeightLayout) {
        self.tensor = tensor
        self.layout = layout
    }

    /// Bytes that it takes.
    package var byteCount: Int {
        switch layout {
        case .rows: tensor.byteCount
        case .panels:
            (tensor.rows + Panel.rows - 1) / Panel.rows * Panel.byteCount(of: tensor.type, columns: tensor.columns)
        }
    }
}

/// The weights of one model behind matrices that know their shapes.
@safe package final class WeightStore: Sendable {
    private let file: GGUFFile
    /// The copy of resident weights, and where in it each tensor begins.
    private let memory: PageMemory?
    private let held: [String: (offset: Int, layout: WeightLayout)]

    /// Bytes of the resident copy; 0 for weights that are mapped.
    package var residentByteCount: Int { memory?.byteCount ?? 0 }

    /// Resident tensors begin on cache lines.
    package static let alignment = 64

    /// The memory that resident weights take.
    package static func residentBytes(of plans: [WeightPlan]) -> Int {
        plans.reduce(0) { $0 + aligned($1.byteCount) }
    }

    /// What weights that become panels pass through while they are read: a buffer of each of so many threads.
    package static func stagingBytes(of plans: [WeightPlan], threads: Int) -> Int {
        threads * plans.reduce(0) { $1.layout == .panels ? max($0, min($1.pieceBytes, $1.tensor.byteCount)) : $0 }
    }

    private static func aligned(_ byteCount: Int) -> Int {
        (byteCount + alignment - 1) / alignment * alignment
    }

    /// Opens the weights of `file`: those of `resident` are read on all threads of `pool`, into panels where the plan
    /// says so; the others stay in the file's mapping.
    ///
    /// `progress` is told the bytes that have been read, now and then, on the caller's thread.
    package init(
        file: GGUFFile, resident: [WeightPlan], kernels: Kernels, pool: ThreadPool,
        progress: (@Sendable (Int) -> Void)? = nil
    ) throws(ModelError) {
        self.file = file
        guard !resident.isEmpty else {
            memory = nil
            held = [:]
            return
        }
        let total = Self.residentBytes(of: resident)
        guard let memory = PageMemory(byteCount: total) else { throw .outOfMemory(bytes: total, purpose: "weights") }
        var held: [String: (offset: Int, layout: WeightLayout)] = [:]
        var pieces: [Piece] = []
        var end = 0
        for plan in resident {
            held[plan.tensor.name] = (end, plan.layout)
            pieces += Piece.all(of: plan, at: end)
            end += Self.aligned(plan.byteCount)
        }
        let stagingBytes = Self.stagingBytes(of: resident, threads: pool.threadCount)
        try Self.read(
            pieces, of: file, into: memory, stagingBytes: stagingBytes, kernels: kernels, pool: pool,
            progress: progress)
        self.memory = memory
        self.held = held
    }

    /// Holds the blocks of one tensor of `file`, which have been made in memory, in the layout of the file.
    package init(_ tensor: TensorInfo, of file: GGUFFile, blocks: consuming Buffer<UInt8>) {
        precondition(blocks.count == tensor.byteCount, "\(blocks.count) bytes for \(tensor.byteCount)")
        self.file = file
        memory = blocks.memory
        held = [tensor.name: (0, .rows)]
    }

    /// A part of a tensor that one worker reads at a time.
    private struct Piece: Sendable {
        let plan: WeightPlan
        /// Bytes of the tensor.
        let range: Range<Int>
        /// Where they go, as they are or as panels.
        let destination: Int

        /// The pieces of a tensor: some MiB as it is, or the rows of some panels.
        static func all(of plan: WeightPlan, at start: Int) -> [Piece] {
            let tensor = plan.tensor
            let rowBytes = tensor.byteCount / tensor.rows
            let panelRows = rowBytes * Panel.rows
            let length = plan.pieceBytes
            return stride(from: 0, to: tensor.byteCount, by: length).map { offset in
                let written = plan.layout == .rows ? offset : offset / panelRows * plan.panelBytes
                return Piece(
                    plan: plan, range: offset..<min(offset + length, tensor.byteCount), destination: start + written)
            }
        }
    }

    private static func read(
        _ pieces: [Piece], of file: GGUFFile, into memory: PageMemory, stagingBytes: Int, kernels: Kernels,
        pool: ThreadPool, progress: (@Sendable (Int) -> Void)?
    ) throws(ModelError) {
        // What is packed passes through a buffer of each worker.
        var staging = try Buffer<UInt8>.allocate(stagingBytes, purpose: "weights being read")
        let failure = FirstFailure()
        let done = Atomic<Int>(0)
        readAll(pieces, of: file, into: memory, staging: staging.shared, kernels: kernels, pool: pool, failure) {
            count, worker in
            let bytes = done.add(count, ordering: .relaxed).newValue
            if worker == 0 { progress?(bytes) }
        }
        if let error = failure.error { throw .file(error) }
    }

    private static func readAll(
        _ pieces: [Piece], of file: GGUFFile, into memory: PageMemory, staging: borrowing SharedBuffer<UInt8>,
        kernels: Kernels, pool: ThreadPool, _ failure: FirstFailure,
        done: @Sendable (_ count: Int, _ worker: Int) -> Void
    ) {
        let length = staging.count / pool.threadCount
        pool.parallelFor(pieces.count) { index, worker in
            let piece = pieces[index]
            let tensor = piece.plan.tensor
            let destination = unsafe memory.base + piece.destination
            do throws(GGUFError) {
                let source = file.mappedFile(of: tensor)
                let offset = tensor.offset + piece.range.lowerBound
                switch piece.plan.layout {
                case .rows:
                    unsafe try source.readRange(
                        offset: offset,
                        into: UnsafeMutableRawBufferPointer(start: destination, count: piece.range.count))
                case .panels:
                    let range = worker * length..<worker * length + piece.range.count
                    unsafe try source.readRange(
                        offset: offset,
                        into: UnsafeMutableRawBufferPointer(start: staging.base + range.lowerBound, count: range.count))
                    unsafe pack(staging.bytes(of: range), piece.plan, to: destination, kernels: kernels)
                }
            } catch {
                failure.record(error)
            }
            done(piece.range.count, worker)
        }
    }

    /// Some rows of a tensor become panels.
    private static func pack(
        _ rows: RawSpan, _ plan: WeightPlan, to destination: UnsafeMutableRawPointer, kernels: Kernels
    ) {
        let tensor = plan.tensor
        let rowBytes = tensor.byteCount / tensor.rows
        let step = rowBytes * Panel.rows
        for (index, start) in stride(from: 0, to: rows.byteCount, by: step).enumerated() {
            let blocks = rows.extracting(start..<min(start + step, rows.byteCount))
            let panel = unsafe UnsafeMutableBufferPointer(
                start: (destination + index * plan.panelBytes).assumingMemoryBound(to: UInt8.self),
                count: plan.panelBytes)
            var out = unsafe panel.mutableSpan
            kernels.pack(
                blocks, of: tensor.type, rows: blocks.byteCount / rowBytes, columns: tensor.columns, into: &out)
        }
    }

    /// The bytes of a small tensor.
    package static func read(_ tensor: TensorInfo, of file: GGUFFile) throws(ModelError) -> Buffer<UInt8> {
        var bytes = try Buffer<UInt8>.allocate(tensor.byteCount, purpose: tensor.name)
        do throws(GGUFError) {
            let target = unsafe UnsafeMutableRawBufferPointer(start: bytes.shared.base, count: tensor.byteCount)
            unsafe try file.mappedFile(of: tensor).readRange(offset: tensor.offset, into: target)
        } catch {
            throw .file(error)
        }
        return bytes
    }

    /// The weights of `tensor` as a matrix (rows, columns).
    package func matrix(_ tensor: TensorInfo) -> WeightMatrix {
        if let memory, let place = held[tensor.name] {
            return unsafe WeightMatrix(
                tensor, layout: place.layout, owner: self, base: UnsafeRawPointer(memory.base + place.offset))
        }
        return unsafe WeightMatrix(
            tensor, layout: .rows, owner: self, base: file.mappedFile(of: tensor).base + tensor.offset)
    }
}

extension WeightPlan {
    /// Bytes of one panel.
    fileprivate var panelBytes: Int { Panel.byteCount(of: tensor.type, columns: tensor.columns) }

    /// Bytes of the file that are read at a time: some MiB, or the rows of whole panels.
    fileprivate var pieceBytes: Int {
        let panelRows = tensor.byteCount / tensor.rows * Panel.rows
        return layout == .rows ? 4 << 20 : max(1, (1 << 19) / panelRows) * panelRows
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

/// A weight matrix (rows, columns) in the blocks of its type.
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
    /// How the rows lie.
    package let layout: WeightLayout
    /// Bytes of one row in the layout of the file.
    package let rowBytes: Int
    /// Bytes of sixteen rows as a panel; 0 for a type without panels.
    package let panelBytes: Int
    private let owner: WeightStore
    private let base: UnsafeRawPointer

    fileprivate init(_ tensor: TensorInfo, layout: WeightLayout, owner: WeightStore, base: UnsafeRawPointer) {
        name = tensor.name
        type = tensor.type
        rows = tensor.rows
        columns = tensor.columns
        rowBytes = tensor.byteCount / tensor.rows
        let hasPanels = Panel.exists(for: type)
        panelBytes = hasPanels ? Panel.byteCount(of: type, columns: columns) : 0
        self.layout = layout
        self.owner = owner
        unsafe self.base = unsafe base
    }

    /// All of its bytes, as they are held.
    package var heldBytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let panels = (rows + Panel.rows - 1) / Panel.rows
            let bytes = unsafe RawSpan(
                _unsafeStart: base, byteCount: layout == .rows ? rows * rowBytes : panels * panelBytes)
            return unsafe _overrideLifetime(bytes, borrowing: self)
        }
    }

    /// The blocks of some rows of a matrix whose layout is rows.
    @_lifetime(borrow self)
    package func bytes(ofRows range: Range<Int>) -> RawSpan {
        precondition(layout == .rows, "\(name) is held in panels")
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        let bytes = unsafe RawSpan(
            _unsafeStart: base + range.lowerBound * rowBytes, byteCount: range.count * rowBytes)
        return unsafe _overrideLifetime(bytes, borrowing: self)
    }

    /// Some panels of a matrix whose layout is panels.
    @_lifetime(borrow self)
    package func panels(_ range: Range<Int>) -> RawSpan {
        precondition(layout == .panels, "\(name) is held in rows")
        precondition(
            range.lowerBound >= 0 && (range.upperBound - 1) * Panel.rows < rows, "panels \(range) of \(rows) rows")
        let bytes = unsafe RawSpan(
            _unsafeStart: base + range.lowerBound * panelBytes, byteCount: range.count * panelBytes)
        return unsafe _overrideLifetime(bytes, borrowing: self)
    }

    /// The rows in some panels: sixteen each, or fewer in the last one.
    package func rowCount(of panels: Range<Int>) -> Int {
        min(rows, panels.upperBound * Panel.rows) - panels.lowerBound * Panel.rows
    }
}
