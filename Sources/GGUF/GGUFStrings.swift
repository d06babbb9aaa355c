/// An array of strings as a file holds it: the exact bytes of all of them in one buffer, with the end of each.
///
/// A vocabulary has 32000 strings of a few bytes, some of which (byte pieces, halves of characters) are not valid
/// UTF-8. One buffer costs two allocations in place of 32000, and keeps what a repaired `String` would lose:
/// `bytes(at:)` and `utf8(at:)` give the bytes of the file, `subscript` a `String` in which invalid sequences are
/// replaced by U+FFFD.
///
/// Complexity: every access is O(length of the string).
public struct GGUFStrings: Sendable, Equatable {
    private var storage: [UInt8] = []
    /// `ends[i]` is where string `i` stops in `storage`, and string `i + 1` starts.
    private var ends: [Int] = []

    /// No strings.
    public init() {}

    /// The UTF-8 of each of `strings`.
    public init(_ strings: some Sequence<String>) {
        for string in strings { append(utf8: string.utf8) }
    }

    /// Makes room for `count` strings of `byteCount` bytes together, and no more.
    package mutating func reserveCapacity(_ count: Int, byteCount: Int) {
        ends.reserveCapacity(count)
        storage.reserveCapacity(byteCount)
    }

    /// Adds a string given as `bytes`, which need not be valid UTF-8.
    public mutating func append(utf8 bytes: some Sequence<UInt8>) {
        storage.append(contentsOf: bytes)
        ends.append(storage.count)
    }

    /// Adds the bytes of `range` of `span`.
    package mutating func append(_ range: Range<Int>, of span: RawSpan) {
        span.append(range, to: &storage)
        ends.append(storage.count)
    }

    /// The exact bytes of string `position`, copied.
    ///
    /// - Precondition: `position` is in `0..<count`.
    public func bytes(at position: Int) -> [UInt8] {
        Array(storage[range(at: position)])
    }

    /// The exact bytes of string `position`, in place.
    ///
    /// - Precondition: `position` is in `0..<count`.
    @_lifetime(borrow self)
    public func utf8(at position: Int) -> Span<UInt8> {
        storage.span.extracting(range(at: position))
    }

    /// Length in bytes of all the strings together.
    public var totalByteCount: Int { storage.count }

    /// The memory that they take, in bytes.
    package var byteCount: Int { storage.count + ends.count * MemoryLayout<Int>.stride }

    /// The same with what the allocator has rounded up and growth has left free.
    package var heldBytes: Int { storage.capacity + ends.capacity * MemoryLayout<Int>.stride }

    private func range(at position: Int) -> Range<Int> {
        precondition(position >= 0 && position < ends.count, "string index out of range")
        return (position == 0 ? 0 : ends[position - 1])..<ends[position]
    }
}

extension GGUFStrings: RandomAccessCollection, ExpressibleByArrayLiteral {
    /// The strings given.
    public init(arrayLiteral elements: String...) {
        self.init(elements)
    }

    /// Always 0.
    public var startIndex: Int { 0 }

    /// The number of strings.
    public var endIndex: Int { ends.count }

    /// String `position`, with U+FFFD for what is not valid UTF-8.
    ///
    /// - Precondition: `position` is in `0..<count`.
    public subscript(position: Int) -> String {
        String(decoding: storage[range(at: position)], as: UTF8.self)
    }
}
