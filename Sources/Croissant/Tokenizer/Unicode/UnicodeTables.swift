/// ``UnicodeData`` as tables: some 200 KB, made when a text is first normalised.
struct UnicodeTables: Sendable {
    /// The tables.
    static let shared = UnicodeTables()

    /// What is known of a scalar.
    struct Entry: Sendable {
        /// Index of what it becomes in `targets`; nil where it stays as it is.
        fileprivate(set) var targets: Range<UInt16>?
        /// Whether what it becomes looks different: only NFKC and NFKD replace it.
        fileprivate(set) var isCompatibility = false
        /// Whether what it becomes, or a part of that, is replaced for compatibility.
        fileprivate(set) var containsCompatibility = false
        /// Whether composing makes it again from what it becomes.
        fileprivate(set) var composes = false
        /// Whether it may be composed with what stands before it.
        fileprivate(set) var isSecond = false
        /// Canonical combining class: 0 for what begins a character.
        fileprivate(set) var combiningClass: UInt8 = 0
    }

    /// By scalar / 128: where its entries begin in `entries`. The first 128 are those of scalars of which nothing is
    /// known. (0x2200)
    private var pages = [UInt32](repeating: 0, count: 0x110000 / Self.pageSize)
    private var entries = [Entry](repeating: Entry(), count: Self.pageSize)
    /// What scalars become, one after the other.
    private var targets: [UInt32] = []
    /// Two scalars, the first in the upper half → what they compose to.
    private var compositions: [UInt64: UInt32] = [:]

    private static let pageSize = 128

    private init() {
        var scanner = Scanner(UnicodeData.decompositions)
        var composed: [UInt32] = []
        while let (scalars, kind) = scanner.next() {
            let begin = targets.count
            repeat { targets.append(scanner.number()) } while scanner.skip(UInt8(ascii: "."))
            if kind == UInt8(ascii: "=") {
                composed.append(scalars.lowerBound)
                compositions[UInt64(targets[begin]) << 32 | UInt64(targets[begin + 1])] = scalars.lowerBound
            }
            for (index, scalar) in scalars.enumerated() {
                // Of several scalars, neighbours, each becomes one: neighbours again.
                let start = index == 0 ? begin : targets.count
                if index > 0 { targets.append(targets[begin] + UInt32(index)) }
                let end = targets.count
                change(scalar) { entry in
                    entry.targets = UInt16(start)..<UInt16(end)
                    entry.isCompatibility = kind == UInt8(ascii: "~")
                    entry.composes = kind == UInt8(ascii: "=")
                }
            }
        }
        scanner = Scanner(UnicodeData.combiningClasses)
        while let (scalars, _) = scanner.next() {
            let value = UInt8(scanner.number())
            for scalar in scalars { change(scalar) { $0.combiningClass = value } }
        }
        for pair in compositions.keys { change(UInt32(truncatingIfNeeded: pair)) { $0.isSecond = true } }
        for scalar in Hangul.vowels.scalars { change(scalar) { $0.isSecond = true } }
        for scalar in Hangul.finals.scalars { change(scalar) { $0.isSecond = true } }
        for scalar in composed where containsCompatibility(scalar) {
            change(scalar) { $0.containsCompatibility = true }
        }
    }

    private mutating func change(_ scalar: UInt32, _ body: (inout Entry) -> Void) {
        let page = Int(scalar) / Self.pageSize
        if pages[page] == 0 {
            pages[page] = UInt32(entries.count)
            entries += Array(repeating: Entry(), count: Self.pageSize)
        }
        body(&entries[Int(pages[page]) + Int(scalar) % Self.pageSize])
    }

    private func containsCompatibility(_ scalar: UInt32) -> Bool {
        let entry = self[scalar]
        guard let range = entry.targets, !entry.isCompatibility else { return entry.isCompatibility }
        return range.contains { containsCompatibility(targets[Int($0)]) }
    }

    /// What is known of a scalar. Hangul syllables are known to ``Hangul``.
    subscript(scalar: UInt32) -> Entry {
        entries[Int(pages[Int(scalar) / Self.pageSize]) + Int(scalar) % Self.pageSize]
    }

    /// Appends what a scalar becomes in the end, with the combining class of each.
    ///
    /// - Parameter compatibility: whether what looks different counts too.
    func appendDecomposition(
        of scalar: UInt32, compatibility: Bool, to result: inout [(scalar: UInt32, class: UInt8)]
    ) {
        if let parts = Hangul.parts(of: scalar) {
            for part in parts { result.append((part, 0)) }
            return
        }
        let entry = self[scalar]
        guard let range = entry.targets, compatibility || !entry.isCompatibility else {
            result.append((scalar, entry.combiningClass))
            return
        }
        for index in range {
            appendDecomposition(of: targets[Int(index)], compatibility: compatibility, to: &result)
        }
    }

    /// What two scalars become together; nil if they stay apart.
    func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        Hangul.composition(first, second) ?? compositions[UInt64(first) << 32 | UInt64(second)]
    }
}

/// Korean syllables, which are made of two or three letters by arithmetic (Unicode standard, section 3.12).
enum Hangul {
    /// Letters of one place in a syllable.
    struct Letters {
        let first: UInt32
        let count: UInt32

        var scalars: Range<UInt32> { first..<(first + count) }
    }

    /// Consonants that begin a syllable.
    static let initials = Letters(first: 0x1100, count: 19)
    /// Vowels.
    static let vowels = Letters(first: 0x1161, count: 21)
    /// Consonants that end a syllable; the first of what would be 28 is none.
    static let finals = Letters(first: 0x11A8, count: 27)

    private static let first: UInt32 = 0xAC00
    private static let endings = finals.count + 1
    /// All syllables.
    static let syllables = first..<(first + initials.count * vowels.count * endings)

    /// The letters of a syllable; nil for what is none.
    static func parts(of scalar: UInt32) -> [UInt32]? {
        guard syllables.contains(scalar) else { return nil }
        let index = scalar - first
        let parts = [
            initials.first + index / (vowels.count * endings), vowels.first + index / endings % vowels.count,
        ]
        let ending = index % endings
        return ending == 0 ? parts : parts + [finals.first + ending - 1]
    }

    /// The syllable of a beginning and the next letter; nil for what makes none.
    static func composition(_ left: UInt32, _ right: UInt32) -> UInt32? {
        if initials.scalars.contains(left), vowels.scalars.contains(right) {
            return first + ((left - initials.first) * vowels.count + right - vowels.first) * endings
        }
        if syllables.contains(left), (left - first) % endings == 0, finals.scalars.contains(right) {
            return left + right - finals.first + 1
        }
        return nil
    }
}

/// Reads the records of ``UnicodeData``.
private struct Scanner {
    private var bytes: Substring.UTF8View.Iterator
    private var current: UInt8?

    init(_ text: String) {
        bytes = text[...].utf8.makeIterator()
        current = bytes.next()
    }

    /// The scalars of the next record and what stands behind them; nil at the end.
    mutating func next() -> (scalars: Range<UInt32>, kind: UInt8)? {
        while let byte = current, byte <= UInt8(ascii: " ") { current = bytes.next() }
        guard current != nil else { return nil }
        let start = number()
        let count = skip(UInt8(ascii: "+")) ? number() : 1
        defer { current = bytes.next() }
        return (start..<(start + count), current ?? 0)
    }

    /// A hexadecimal number.
    mutating func number() -> UInt32 {
        var value: UInt32 = 0
        while let byte = current {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return value
            }
            current = bytes.next()
        }
        return value
    }

    /// Whether `byte` was next.
    mutating func skip(_ byte: UInt8) -> Bool {
        guard current == byte else { return false }
        current = bytes.next()
        return true
    }
}
