#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

// Every pointer of this module is in this file and SystemFile.swift, and so is every system call. Here are the mapping
// and its spans, loads from spans, and the file that the writer fills.

/// A regular file, mapped read-only.
///
/// `bytes` is the page cache itself: nothing is read before it is touched. For weights that are to be copied elsewhere,
/// `readRange` reads the same file without touching the mapping.
///
/// The mapping is of the length that the file had when it was opened. Should another program shorten the file
/// meanwhile, then touching what is gone ends the process (SIGBUS): models must not be edited in place while they are
/// in use. Replacing the file by a rename, as `GGUFWriter` does, is harmless: the mapping keeps the old one.
@safe public final class MappedFile: @unchecked Sendable {  // Immutable after init, and the mapped pages are read-only.
    /// The path that the file was opened by.
    public let path: String
    /// Length in bytes, at least 1.
    public let size: Int

    /// The first byte, for as long as this object lives.
    @unsafe package let base: UnsafeRawPointer
    /// The file system and the number in it, by which a file is known whatever happens to its path; nil for bytes that
    /// are part of the program.
    private let identity: (device: dev_t, number: ino_t)?
    /// nil where there is none, or too many files are open to keep this one so.
    private let descriptor: Int32?

    /// Bytes that are part of the program, as if they were a file.
    ///
    /// - Parameters:
    ///   - bytes: at least one, which stay where they are for as long as the program runs.
    ///   - name: what messages call it.
    @unsafe package init(embedded bytes: UnsafeRawBufferPointer, name: String) {
        guard let start = bytes.baseAddress else { preconditionFailure("no bytes") }
        unsafe base = start
        size = bytes.count
        identity = nil
        descriptor = nil
        path = name
    }

    /// Opens and maps the file at `path`.
    ///
    /// - Throws: ``GGUFError/fileNotFound(_:)``, ``GGUFError/permissionDenied(_:)``, ``GGUFError/isDirectory(_:)``,
    ///   ``GGUFError/notARegularFile(_:found:)``, ``GGUFError/emptyFile(_:)``, or
    ///   ``GGUFError/system(operation:path:code:)`` for anything else that the system reports.
    public convenience init(path: String) throws(GGUFError) { try self.init(path: path, mayStayOpen: true) }

    /// The same for tests of what is closed at once.
    package init(path: String, mayStayOpen: Bool) throws(GGUFError) {
        // A C string would end at an embedded NUL and name another file.
        guard !path.utf8.contains(0) else { throw .fileNotFound(path) }
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.openError(path, code: errno) }
        do throws(GGUFError) {
            let status = try Self.regularStatus(of: descriptor, path: path)
            let size = Int(status.st_size)
            guard let base = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), unsafe base != MAP_FAILED
            else { throw .system(operation: "map", path: path, code: errno) }
            guard Self.hasRoom else {
                unsafe munmap(base, size)
                throw .system(operation: "map", path: path, code: ENOMEM)
            }
            unsafe self.base = UnsafeRawPointer(base)
            self.size = size
            identity = (status.st_dev, status.st_ino)
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        // The mapping does without. A model may have more parts than a process may have open files, and others need some.
        let staysOpen = mayStayOpen && Int(descriptor) < sysconf(Int32(_SC_OPEN_MAX)) / 4
        if !staysOpen { close(descriptor) }
        self.descriptor = staysOpen ? descriptor : nil
    }

    deinit {
        guard identity != nil else { return }
        unsafe munmap(UnsafeMutableRawPointer(mutating: base), size)
        if let descriptor { close(descriptor) }
    }

    /// The bytes of the file.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // The pages stay mapped until deinit, and the span borrows self.
            let buffer = unsafe UnsafeRawBufferPointer(start: base, count: size)
            return unsafe _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self)
        }
    }

    /// What is going to happen to a range of the file, for the kernel's read-ahead.
    public enum Advice: Sendable {
        /// It will be used soon: read it ahead.
        case willNeed
        /// It will be read once, from front to back.
        case sequential
        /// It will not be used again: its pages may go.
        case dontNeed
    }

    /// Tells the kernel, by `advice`, what is going to happen to `range`, in bytes from the start, rounded outwards to
    /// whole pages. Only speed depends on it, so that failures are ignored.
    ///
    /// - Precondition: `range` lies within the file.
    public func advise(_ advice: Advice, range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= size, "range outside the file")
        guard identity != nil else { return }
        let start = range.lowerBound - range.lowerBound % Int(getpagesize())
        let code =
            switch advice {
            case .willNeed: MADV_WILLNEED
            case .sequential: MADV_SEQUENTIAL
            case .dontNeed: MADV_DONTNEED
            }
        unsafe madvise(UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, CInt(code))
    }

    /// Reads as many bytes as `buffer` holds, from byte `offset` of the file on, without touching the mapping, unless
    /// the file had to be closed and its path leads to another one by now.
    ///
    /// Safe to call from several threads at once.
    ///
    /// - Precondition: the range lies within the file.
    /// - Throws: `GGUFError.truncated` where the file has become shorter, `.system` where reading fails.
    package func readRange(offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(GGUFError) {
        precondition(offset >= 0 && offset <= size && buffer.count <= size - offset, "range outside the file")
        guard let descriptor = descriptor ?? reopened() else {
            unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(start: base + offset, count: buffer.count))
            return
        }
        defer { if self.descriptor == nil { close(descriptor) } }
        var done = 0
        while done < buffer.count {
            // Linux reads at most 2^31 - 4096 bytes at once, macOS refuses more than 2^31 - 1.
            let chunk = min(buffer.count - done, 1 << 30)
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + chunk])
            let count = unsafe pread(descriptor, target.baseAddress, chunk, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(operation: "read", path: path, code: errno)
            }
            guard count > 0 else {
                let location = GGUFLocation(path: path, offset: offset + done)
                throw .truncated(
                    what: "tensor data", location, needed: UInt64(buffer.count - done), available: 0)
            }
            done += count
        }
    }

    /// The file, opened again; nil where its path leads elsewhere, because it was replaced or is gone, or nowhere.
    private func reopened() -> Int32? {
        guard let identity else { return nil }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        if unsafe fstat(descriptor, &status) == 0, (status.st_dev, status.st_ino) == identity { return descriptor }
        close(descriptor)
        return nil
    }

    /// Whether the address space has room beside the mapping for what a header becomes, as it may not below
    /// `ulimit -v`: a program that is refused a few bytes for an array ends in a trap.
    private static var hasRoom: Bool {
        let size = 32 << 20
        guard let start = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe start != MAP_FAILED
        else { return false }
        return unsafe munmap(start, size) == 0
    }

    private static func openError(_ path: String, code: Int32) -> GGUFError {
        switch code {
        case ENOENT, ENOTDIR: .fileNotFound(path)
        case EACCES, EPERM: .permissionDenied(path)
        case ENXIO: .notARegularFile(path, found: "a device or socket that cannot be opened")
        default: .system(operation: "open", path: path, code: code)
        }
    }

    private static func regularStatus(of descriptor: Int32, path: String) throws(GGUFError) -> stat {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .system(operation: "examine", path: path, code: errno)
        }
        switch SystemFile.kind(status) {
        case SystemFile.regular: break
        case SystemFile.folder: throw .isDirectory(path)
        case let kind: throw .notARegularFile(path, found: kind)
        }
        guard status.st_size > 0 else { throw .emptyFile(path) }
        return status
    }
}

/// The mapped shards of one model, in order.
struct MappedShards: Sendable {
    /// The shards; one for a model that is not split.
    let files: [MappedFile]

    /// The bytes of `range` of shard `index`.
    ///
    /// - Precondition: the range lies within that shard.
    @_lifetime(borrow self)
    func bytes(_ range: Range<Int>, ofShard index: Int) -> RawSpan {
        let file = files[index]
        let span = file.bytes.extracting(range)
        // The array keeps the file alive, and the span borrows self, which keeps the array.
        return unsafe _overrideLifetime(span, borrowing: self)
    }
}

extension RawSpan {
    /// The little-endian integer at byte `offset`.
    ///
    /// - Precondition: the integer lies within the span.
    package func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
        precondition(offset >= 0 && MemoryLayout<T>.size <= byteCount - offset, "integer outside the span")
        // Any bit pattern is an integer, and the precondition keeps the load inside.
        return T(littleEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self))
    }

    /// Appends the bytes of `range` to `array`.
    ///
    /// - Precondition: `range` lies within the span.
    package func append(_ range: Range<Int>, to array: inout [UInt8]) {
        unsafe extracting(range).withUnsafeBytes { unsafe array.append(contentsOf: $0) }
    }
}

extension Span where Element == UInt8 {
    /// The same bytes as a raw span: what `bytes` gives, which is marked unsafe for elements with padding.
    package var rawBytes: RawSpan {
        @_lifetime(copy self)
        get { unsafe bytes }
    }
}

extension Array where Element == UInt8 {
    /// The bytes as a raw span.
    package var rawBytes: RawSpan {
        @_lifetime(borrow self)
        get { span.rawBytes }
    }
}

/// `write(2)` by a name that does not clash with the method.
private func systemWrite(_ descriptor: Int32, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
    unsafe write(descriptor, start, count)
}

/// A new file that appears under its name only when it is complete.
///
/// It is written under a temporary name in the same folder; `commit()` flushes it to the disk and renames it, and
/// without that `deinit` removes it.
package struct OutputFile: ~Copyable {
    /// The path that the file will have.
    package let path: String
    private let temporaryPath: String
    /// Negative once the file is sealed.
    private var descriptor: Int32
    private var buffer: [UInt8] = []
    private var isCommitted = false

    /// Small writes are gathered up to this many bytes.
    private static let bufferSize = 1 << 18

    /// Creates the temporary file.
    ///
    /// A symbolic link at `path` is replaced, not followed. What exists there and is no regular file is refused.
    ///
    /// - Parameter inputs: files that must not be replaced.
    package init(path: String, inputs: [String]) throws(GGUFError) {
        guard !path.isEmpty else { throw .outputIsNoFile(path, found: "an empty path") }
        guard !path.utf8.contains(0) else { throw .outputIsNoFile(path, found: "a path with a NUL") }
        if let kind = SystemFile.kind(of: path) {
            guard kind == SystemFile.regular else { throw .outputIsNoFile(path, found: kind) }
            for input in inputs where SystemFile.areSame(path, input) { throw .outputIsInput(path) }
        }
        // The temporary file would be made there, and take the place of /dev/stdout for all programs.
        if SystemFile.isSpecial(path) { throw .outputIsNoFile(path, found: "a name in /dev or /proc") }
        // The temporary name would do.
        if SystemFile.isTooLong(path) { throw .system(operation: "create", path: path, code: ENAMETOOLONG) }
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        let temporaryPath = "\(SystemFile.folder(of: path))/.gguf-\(random).partial"
        let descriptor = unsafe open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .system(operation: "create", path: path, code: errno) }
        UnfinishedFiles.add(temporaryPath)
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
        buffer.reserveCapacity(Self.bufferSize)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isCommitted { unsafe unlink(temporaryPath) }
        UnfinishedFiles.remove(temporaryPath)
    }

    /// Appends bytes.
    package mutating func write(_ bytes: RawSpan) throws(GGUFError) {
        if bytes.byteCount > Self.bufferSize - buffer.count { try flush() }
        if bytes.byteCount >= Self.bufferSize {
            try writeThrough(bytes)
        } else {
            bytes.append(0..<bytes.byteCount, to: &buffer)
        }
    }

    /// Writes bytes to a place of their own; what is appended goes on where it was.
    package func write(_ bytes: RawSpan, at offset: Int) throws(GGUFError) { try writeThrough(bytes, at: offset) }

    /// Goes on behind what has been written to its place: what is appended next begins at `offset`.
    package mutating func goOn(at offset: Int) throws(GGUFError) {
        try flush()
        guard lseek(descriptor, off_t(offset), SEEK_SET) == off_t(offset) else {
            throw .system(operation: "write", path: path, code: errno)
        }
    }

    /// Flushes everything to the disk and gives the file its name.
    package mutating func commit() throws(GGUFError) {
        try seal()
        try publish()
    }

    /// Flushes everything to the disk and closes the file, which keeps its temporary name. Nothing can be written then.
    package mutating func seal() throws(GGUFError) {
        try flush()
        guard fsync(descriptor) == 0 else { throw .system(operation: "write", path: path, code: errno) }
        close(descriptor)
        descriptor = -1
    }

    /// Gives the sealed file its name.
    package mutating func publish() throws(GGUFError) {
        let status = unsafe rename(temporaryPath, path)
        guard status == 0 else { throw .system(operation: "rename", path: path, code: errno) }
        isCommitted = true
        // The new name is on the disk once the folder is; not every file system can do that, and the data is safe.
        let folder = unsafe open(SystemFile.folder(of: path), O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    /// Removes what `publish()` has put there.
    package func withdraw() { unsafe unlink(path) }

    private mutating func flush() throws(GGUFError) {
        if !buffer.isEmpty { try writeThrough(buffer.rawBytes) }
        buffer.removeAll(keepingCapacity: true)
    }

    private func writeThrough(_ bytes: RawSpan, at offset: Int? = nil) throws(GGUFError) {
        var done = 0
        while done < bytes.byteCount {
            let rest = bytes.extracting(done..<min(bytes.byteCount, done + 1 << 30))
            let count = unsafe rest.withUnsafeBytes { rest in
                guard let offset else { return unsafe systemWrite(descriptor, rest.baseAddress, rest.count) }
                return unsafe pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(operation: "write", path: path, code: errno)
            }
            done += count
        }
    }
}
