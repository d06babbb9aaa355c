/// A normal form of Unicode, in which texts that are to be the same have the same scalars (UAX #15).
///
/// The raw values are those of `croissant.tokenizer.normalizer`.
package enum NormalForm: String, Sendable, CaseIterable {
    /// Composed: é is one scalar.
    case nfc
    /// Decomposed: é is two scalars.
    case nfd
    /// Composed, and what only looks different is the same: ﬁ is fi, ² is 2.
    case nfkc
    /// The same decomposed.
    case nfkd
    /// SentencePiece's variety of NFKC: first, control characters go, and every kind of white space, and what has no
    /// width, is a space.
    case nmtNFKC = "nmt_nfkc"

    private var composes: Bool { self != .nfd && self != .nfkd }
    private var isCompatibility: Bool { self != .nfc && self != .nfd }

    /// The form of a text.
    ///
    /// Complexity: O(n), but O(n log n) in the number of combining marks on one letter.
    ///
    /// - Parameter text: valid UTF-8.
    package func applied(to text: [UInt8]) -> [UInt8] {
        self == .nmtNFKC ? normalized(Self.withoutControls(text)) : normalized(text)
    }

    /// A text is cut before each scalar with which a normal form begins whatever comes before. Parts of one scalar,
    /// nearly all of them, are copied.
    private func normalized(_ text: [UInt8]) -> [UInt8] {
        let tables = UnicodeTables.shared
        let span = text.span
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var copied = 0  // All before has been written.
        var part = 0  // Where the part begins that is looked at.
        var position = 0
        var parts: [(scalar: UInt32, class: UInt8)] = []
        while position < text.count {
            let (scalar, end) = span.scalar(at: position)
            if scalar.isASCII || isStable(scalar.value, tables) {
                part = position
                position = end
                continue
            }
            result += text[copied..<part]
            parts.removeAll(keepingCapacity: true)
            position = part
            repeat {
                let (scalar, end) = span.scalar(at: position)
                if position > part, scalar.isASCII || isStable(scalar.value, tables) { break }
                if keeps(scalar) {
                    parts.append((scalar.value, 0))
                } else {
                    tables.appendDecomposition(of: scalar.value, compatibility: isCompatibility, to: &parts)
                }
                position = end
            } while position < text.count
            Self.sortMarks(&parts)
            if composes { Self.compose(&parts, tables) }
            for part in parts { Self.append(part.scalar, to: &result) }
            copied = position
            part = position
        }
        result += text[copied...]
        return result
    }

    /// SentencePiece leaves the full-width tilde, which Japanese uses as a dash.
    private func keeps(_ scalar: Unicode.Scalar) -> Bool { self == .nmtNFKC && scalar == "\u{FF5E}" }

    /// Whether a scalar stays as it is and nothing before it can change that: its combining class is 0, and the quick
    /// check of this form says yes.
    private func isStable(_ scalar: UInt32, _ tables: UnicodeTables) -> Bool {
        let entry = tables[scalar]
        guard entry.combiningClass == 0 else { return false }
        if Hangul.syllables.contains(scalar) { return composes }
        if composes, entry.isSecond { return false }
        guard entry.targets != nil else { return true }
        if entry.isCompatibility { return !isCompatibility }
        return composes && entry.composes && !(isCompatibility && entry.containsCompatibility)
    }
}

// MARK: - Steps

extension NormalForm {
    /// Puts each run of combining marks into the order of their classes; of equal ones the order stays.
    private static func sortMarks(_ parts: inout [(scalar: UInt32, class: UInt8)]) {
        var start = 0
        while start < parts.count {
            var end = start
            var isSorted = true
            while end < parts.count, parts[end].class != 0 {
                if end > start, parts[end - 1].class > parts[end].class { isSorted = false }
                end += 1
            }
            // The standard library's sort is stable, and not quadratic for a letter with thousands of marks.
            if !isSorted { parts[start..<end].sort { $0.class < $1.class } }
            start = end + 1
        }
    }

    /// Composes each letter with the marks that follow it and are not blocked by another of their class.
    private static func compose(_ parts: inout [(scalar: UInt32, class: UInt8)], _ tables: UnicodeTables) {
        var starter: Int?
        var count = 0  // Parts that are left.
        for index in parts.indices {
            let part = parts[index]
            if let starter {
                let last = count - 1
                let isBlocked = last > starter && (parts[last].class == 0 || parts[last].class >= part.class)
                if !isBlocked, let composed = tables.composition(parts[starter].scalar, part.scalar) {
                    parts[starter].scalar = composed
                    continue
                }
            }
            if part.class == 0 { starter = count }
            parts[count] = part
            count += 1
        }
        parts.removeSubrange(count...)
    }

    private static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
        guard let scalar = Unicode.Scalar(scalar) else { return }
        bytes += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }

    /// The text without control characters, and with a space for each that is white or has no width (SentencePiece's
    /// `BuildNmtNFKCMap`).
    private static func withoutControls(_ text: [UInt8]) -> [UInt8] {
        let span = text.span
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            let (scalar, end) = span.scalar(at: position)
            switch scalar.value {
            case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: break
            case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
                result.append(UInt8(ascii: " "))
            default: result += text[position..<end]
            }
            position = end
        }
        return result
    }
}
