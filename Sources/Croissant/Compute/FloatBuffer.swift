#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The floats of activations, logits and scratch.
package typealias FloatBuffer = Buffer<Float>

/// A fixed number of elements in memory of its own, zero at first and freed with its one owner.
///
/// Elements start on a cache line. From ``hugePageBytes`` on the memory comes straight from the kernel, aligned for
/// huge pages: it costs nothing until it is touched, and goes back the moment the buffer ends.
package struct Buffer<Element: BitwiseCopyable & Sendable>: ~Copyable, @unchecked Sendable {
    // Sendable: the one owner is the only way to the memory, as for an array.

    /// What the elements lie in.
    let memory: PageMemory
    /// The number of elements.
    package let count: Int

    /// Allocates `count` zero elements; nil where the system refuses the memory.
    package init?(count: Int) {
        precondition(count >= 0, "a buffer cannot have \(count) elements")
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !overflow, let memory = PageMemory(byteCount: bytes) else { return nil }
        self.memory = memory
        self.count = count
    }

    /// The bytes that were asked of the system.
    package var byteCount: Int { memory.byteCount }

    /// The elements, to read.
    package var span: Span<Element> {
        @_lifetime(borrow self)
        get {
            let span = unsafe Span(_unsafeStart: memory.pointer(to: Element.self), count: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The bytes of the elements of `range`.
    @_lifetime(borrow self)
    package func bytes(of range: Range<Int>) -> RawSpan {
        // No element type of ours has padding.
        let bytes = unsafe span.extracting(range).bytes
        return unsafe _overrideLifetime(bytes, borrowing: self)
    }

    /// The elements, to write.
    package var mutableSpan: MutableSpan<Element> {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableSpan(_unsafeStart: memory.pointer(to: Element.self), count: count)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    /// The elements of `range`, to write.
    @_lifetime(&self)
    package mutating func mutableSlice(_ range: Range<Int>) -> MutableSpan<Element> {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) is outside 0..<\(count)")
        let span = unsafe MutableSpan(
            _unsafeStart: memory.pointer(to: Element.self) + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    /// A view that the workers of one parallel operation write through, each its own elements.
    package var shared: SharedBuffer<Element> {
        @_lifetime(&self)
        mutating get {
            let view = unsafe SharedBuffer(base: memory.pointer(to: Element.self), count: count)
            return unsafe _overrideLifetime(view, mutating: &self)
        }
    }
}

extension Buffer {
    /// A buffer of `count` zero elements; an error that names its purpose where the system refuses the memory.
    package static func allocate(_ count: Int, purpose: String) throws(ModelError) -> Buffer {
        guard let buffer = Buffer(count: count) else {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
            throw .outOfMemory(bytes: overflow ? .max : bytes, purpose: purpose)
        }
        return buffer
    }
}

/// The elements of a ``Buffer`` while several workers write to it.
///
/// The view cannot outlive the exclusive access that it was made from. Within it, workers must ask for ranges that do
/// not overlap: that is the one promise the compiler does not check.
@safe package struct SharedBuffer<Element: BitwiseCopyable & Sendable>: ~Escapable, @unchecked Sendable {
    // Sendable: workers hold disjoint ranges, as the type demands.
    /// The first element.
    @unsafe package let base: UnsafeMutablePointer<Element>
    /// The number of elements.
    package let count: Int

    @_lifetime(immortal)
    fileprivate init(base: UnsafeMutablePointer<Element>, count: Int) {
        unsafe self.base = unsafe base
        self.count = count
    }

    /// The elements of `range`, which no other worker holds now.
    @_lifetime(copy self)
    package func slice(_ range: Range<Int>) -> MutableSpan<Element> {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) is outside 0..<\(count)")
        let span = unsafe MutableSpan(_unsafeStart: base + range.lowerBound, count: range.count)
        return unsafe _overrideLifetime(span, copying: self)
    }

    /// The bytes of the elements of `range`, which no worker writes to now.
    @_lifetime(copy self)
    package func bytes(of range: Range<Int>) -> RawSpan {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) is outside 0..<\(count)")
        let stride = MemoryLayout<Element>.stride
        let bytes = unsafe RawSpan(
            _unsafeStart: UnsafeRawPointer(base + range.lowerBound), byteCount: range.count * stride)
        return unsafe _overrideLifetime(bytes, copying: self)
    }
}

/// From this size on, memory is aligned for huge pages of 2 MiB and the kernel is asked for them.
package let hugePageBytes = 2 << 20

/// Zeroed memory by the page or by the cache line, freed at the end of its owner.
@safe final class PageMemory: @unchecked Sendable {
    // Sendable: immutable but for what owners write through exclusive access.
    /// The first byte.
    @unsafe let base: UnsafeMutableRawPointer
    /// The bytes asked for.
    let byteCount: Int
    private let isMapped: Bool

    /// Allocates `byteCount` zero bytes; nil where the system refuses.
    init?(byteCount: Int) {
        self.byteCount = byteCount
        isMapped = byteCount >= hugePageBytes
        if isMapped {
            guard let start = unsafe Self.mapAligned(byteCount) else { return nil }
            unsafe base = unsafe start
        } else {
            var start: UnsafeMutableRawPointer?
            guard unsafe posix_memalign(&start, 64, max(byteCount, 64)) == 0, let start = unsafe start
            else {
                return nil
            }
            unsafe memset(start, 0, max(byteCount, 64))
            unsafe base = unsafe start
        }
    }

    deinit {
        if isMapped {
            unsafe _ = munmap(base, byteCount)
        } else {
            unsafe free(base)
        }
    }

    /// The memory as elements.
    @unsafe func pointer<Element: BitwiseCopyable>(to type: Element.Type) -> UnsafeMutablePointer<Element> {
        unsafe base.assumingMemoryBound(to: type)
    }

    /// Anonymous memory that begins at a multiple of 2 MiB, so that all of it can lie in huge pages.
    private static func mapAligned(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        let (padded, overflow) = byteCount.addingReportingOverflow(hugePageBytes)
        guard !overflow else { return nil }
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let start = unsafe mmap(nil, padded, PROT_READ | PROT_WRITE, flags, -1, 0),
            unsafe start != MAP_FAILED
        else { return nil }
        let offset = Int(bitPattern: start) % hugePageBytes
        let head = offset == 0 ? 0 : hugePageBytes - offset
        let aligned = unsafe start + head
        // The padding goes back at once. A tail that is not a whole page stays with the mapping.
        if head > 0 { unsafe _ = munmap(start, head) }
        let pageSize = HostMemory.pageSize
        let kept = (byteCount + pageSize - 1) / pageSize * pageSize
        if padded - head > kept { unsafe _ = munmap(aligned + kept, padded - head - kept) }
        #if os(Linux)
        // Only advice: without huge pages the memory is as good, if slower to stream.
        unsafe _ = madvise(aligned, kept, Int32(MADV_HUGEPAGE))
        #endif
        return unsafe aligned
    }
}
