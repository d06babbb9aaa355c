extension Span where Element == UInt8 {
    /// Bytes of the scalar that begins with this byte, in valid UTF-8.
    static func scalarLength(lead: UInt8) -> Int {
        switch lead {
        case ..<0x80: 1
        case ..<0xE0: 2
        case ..<0xF0: 3
        default: 4
        }
    }

    /// The scalar that begins at `start`, and where it ends, in valid UTF-8.
    func scalar(at start: Int) -> (scalar: Unicode.Scalar, end: Int) {
        let lead = self[start]
        let end = start + Self.scalarLength(lead: lead)
        if lead < 0x80 { return (Unicode.Scalar(lead), end) }
        var value = UInt32(lead) & (0x7F >> UInt32(end - start))
        for index in (start + 1)..<end { value = value << 6 | UInt32(self[index] & 0x3F) }
        return (Unicode.Scalar(value) ?? "\u{FFFD}", end)
    }
}
