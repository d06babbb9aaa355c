internal import GGUF

/// Two tokens → rank of their merge and the token they become.
///
/// An open-addressing hash table: merging asks it some three times per byte of text, nearly always in vain.
struct MergeTable: Sendable {
    /// The left token in the upper half, the right one in the lower; `free` in free slots. A power of two of slots, at
    /// most two thirds of them taken.
    private var keys: [UInt64]
    /// Rank in the upper half, token in the lower, by slot.
    private var values: [UInt64]
    /// What keys are multiplied by to find their slots, odd: another number in each run, or a file could list merges
    /// that all want the same slots.
    private let multiplier = UInt64.random(in: 0...UInt64.max) | 1

    /// No key, as ids are not negative.
    private static let free = UInt64.max

    /// The merges of a list, the earliest the first to happen.
    ///
    /// - Parameter token: the token of a text that merging may take or make; nil for other texts.
    init(_ merges: GGUFStrings, _ token: (Span<UInt8>) -> Int32?) {
        let capacity = Self.slotCount(merges: merges.count)
        keys = Array(repeating: Self.free, count: capacity)
        values = Array(repeating: 0, count: capacity)
        var joined: [UInt8] = []
        for rank in 0..<merges.count {
            let text = merges.utf8(at: rank)
            guard let space = text.indices.dropFirst().first(where: { text[$0] == UInt8(ascii: " ") }),
                let left = token(text.extracting(0..<space)),
                let right = token(text.extracting((space + 1)...))
            else { continue }
            joined.removeAll(keepingCapacity: true)
            for index in text.indices where index != space { joined.append(text[index]) }
            guard let result = token(joined.span) else { continue }
            let key = Self.key(left, right)
            let slot = slot(of: key)
            guard keys[slot] == Self.free else { continue }
            keys[slot] = key
            values[slot] = UInt64(UInt32(clamping: rank)) << 32 | UInt64(UInt32(result))
        }
    }

    private static func slotCount(merges: Int) -> Int {
        var capacity = 16
        while capacity < merges + merges / 2 { capacity *= 2 }
        return capacity
    }

    /// Bytes of a table of so many merges.
    static func byteCount(merges: Int) -> Int { slotCount(merges: merges) * 2 * MemoryLayout<UInt64>.stride }

    /// Bytes of the table, with what the allocator has rounded up.
    var heldBytes: Int { keys.heldBytes + values.heldBytes }

    /// What two tokens become, nil if they stay apart.
    subscript(left: Int32, right: Int32) -> Merger.Merge? {
        let slot = slot(of: Self.key(left, right))
        guard keys[slot] != Self.free else { return nil }
        let value = values[slot]
        return .init(rank: UInt32(truncatingIfNeeded: value >> 32), token: Int32(truncatingIfNeeded: value))
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(left)) << 32 | UInt64(UInt32(right))
    }

    /// Where a key is, or else would be put.
    private func slot(of key: UInt64) -> Int {
        let mixed = key &* multiplier
        let mask = keys.count - 1
        var slot = Int(truncatingIfNeeded: mixed ^ (mixed >> 32)) & mask
        while keys[slot] != Self.free, keys[slot] != key { slot = (slot + 1) & mask }
        return slot
    }
}
