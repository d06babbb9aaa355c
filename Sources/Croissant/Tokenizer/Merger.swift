/// Byte pair encoding's inner loop, which both tokenizer models share: as long as two neighbours can become one symbol,
/// the pair with the lowest rank (the leftmost of equals) does.
///
/// What a pair becomes is the caller's business: a token found by its text, or by the tokens of both halves. A merger
/// is kept from word to word, so that a word costs no allocation.
struct Merger {
    /// Bytes that have become one, in a list that is linked by indices because merging takes symbols out of it.
    struct Symbol {
        /// Offset in the word.
        let start: Int
        /// Bytes; 0 once it has been merged into its left neighbour.
        fileprivate(set) var length: Int
        /// The token it stands for; nil where nobody has looked yet: a single character of a text.
        fileprivate(set) var token: Int32?
        /// Index of the left neighbour, -1 at the start.
        fileprivate var previous: Int
        /// Index of the right neighbour, -1 at the end.
        fileprivate var next: Int

        /// Where it lies in the word.
        var range: Range<Int> { start..<(start + length) }
    }

    /// What two neighbours can become.
    struct Merge: Sendable {
        /// The lowest is merged first.
        let rank: UInt32
        /// The token of both together.
        let token: Int32
    }

    private var symbols: [Symbol] = []
    private var queue = MergeQueue()

    /// Begins a new word.
    mutating func startWord() {
        symbols.removeAll(keepingCapacity: true)
    }

    /// Adds the next symbol of the word, of so many bytes.
    mutating func append(length: Int, token: Int32?) {
        let index = symbols.count
        let start = symbols.last.map { $0.start + $0.length } ?? 0
        if index > 0 { symbols[index - 1].next = index }
        symbols.append(Symbol(start: start, length: length, token: token, previous: index - 1, next: -1))
    }

    /// Merges the symbols of the word until no two neighbours can be merged.
    ///
    /// Complexity: O(n log n) in the number of symbols, each asking for some three pairs.
    ///
    /// - Parameter pair: what two neighbours become, nil if they stay apart.
    @inline(__always)
    mutating func merge(_ pair: (_ left: Symbol, _ right: Symbol) -> Merge?) {
        for index in symbols.indices.dropLast() { propose(index, pair) }
        while let proposal = queue.pop() {
            let left = proposal.left
            let right = symbols[left].next
            // Symbols only grow: a proposal is out of date when its two no longer have the length they had together.
            guard symbols[left].length > 0, right >= 0,
                symbols[left].length + symbols[right].length == proposal.length
            else { continue }
            symbols[left].length = proposal.length
            symbols[left].token = proposal.token
            symbols[right].length = 0
            let next = symbols[right].next
            symbols[left].next = next
            if next >= 0 { symbols[next].previous = left }
            propose(symbols[left].previous, pair)
            propose(left, pair)
        }
    }

    /// Calls `body` with every symbol that is left, from the first to the last.
    @inline(__always)
    func forEachSymbol(_ body: (Symbol) -> Void) {
        var index = symbols.isEmpty ? -1 : 0
        while index >= 0 {
            body(symbols[index])
            index = symbols[index].next
        }
    }

    /// Puts the pair that begins with symbol `left` into the queue if it can be merged.
    @inline(__always)
    private mutating func propose(_ left: Int, _ pair: (Symbol, Symbol) -> Merge?) {
        guard left >= 0, symbols[left].next >= 0 else { return }
        let right = symbols[symbols[left].next]
        guard let merge = pair(symbols[left], right) else { return }
        queue.push(.init(merge, left: left, length: symbols[left].length + right.length))
    }
}

/// Pairs of neighbours that could be merged, the lowest rank first and the leftmost of equal rank: a binary heap.
private struct MergeQueue {
    /// Two neighbouring symbols that can become one.
    struct Proposal {
        /// Rank in the upper half, index of the left symbol in the lower, so that one comparison orders by both.
        fileprivate let order: UInt64
        /// Bytes of both symbols together.
        let length: Int
        /// The token they become.
        let token: Int32

        /// Index of the left symbol.
        var left: Int { Int(UInt32(truncatingIfNeeded: order)) }

        init(_ merge: Merger.Merge, left: Int, length: Int) {
            order = UInt64(merge.rank) << 32 | UInt64(UInt32(left))
            self.length = length
            token = merge.token
        }
    }

    /// Every element orders before those at 2i + 1 and 2i + 2.
    private var heap: [Proposal] = []

    mutating func push(_ proposal: Proposal) {
        var index = heap.count
        heap.append(proposal)
        while index > 0 {
            let parent = (index - 1) / 2
            guard proposal.order < heap[parent].order else { break }
            heap[index] = heap[parent]
            index = parent
        }
        heap[index] = proposal
    }

    mutating func pop() -> Proposal? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].order < heap[child].order { child += 1 }
            guard heap[child].order < last.order else { break }
            heap[index] = heap[child]
            index = child
        }
        if index < heap.count { heap[index] = last }
        return first
    }
}
