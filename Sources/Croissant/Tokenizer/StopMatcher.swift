/// Watches a growing text for stop strings, and holds back what could be the beginning of one.
///
/// Text is compared byte for byte in UTF-8, never as characters, for which "é" of one and of two code points are equal.
/// The result does not depend on how the text is cut into pieces: the stop string that is complete first ends the
/// text, and of several that are complete at once the longest.
public struct StopMatcher: Sendable {
    /// A stop string and how much of it the text ends with (Knuth, Morris and Pratt's matcher).
    private struct Stop {
        let string: String
        let bytes: [UInt8]
        /// By number of bytes matched: how many are still matched if the next byte is another one. (bytes.count)
        let fallback: [Int]
        /// The longest beginning of the stop string that the text ends with, in bytes.
        var matched = 0

        init(_ string: String) {
            self.string = string
            bytes = Array(string.utf8)
            var fallback = [0]
            var length = 0
            for position in bytes.indices.dropFirst() {
                fallback.append(length)
                while length > 0, bytes[position] != bytes[length] { length = fallback[length] }
                if bytes[position] == bytes[length] { length += 1 }
            }
            self.fallback = fallback
        }

        /// Takes one byte of text, and returns whether it completes the stop string.
        mutating func feed(_ byte: UInt8) -> Bool {
            while matched > 0, bytes[matched] != byte { matched = fallback[matched] }
            if bytes[matched] == byte { matched += 1 }
            return matched == bytes.count
        }
    }

    private var stops: [Stop]
    /// What was held back: the end of the text, as long as the longest beginning of a stop string in it.
    private var pending: [UInt8] = []

    /// The stop string that ended the text, once one has.
    public private(set) var found: String?

    /// Watches for any of `stops`. Empty strings among them are ignored.
    public init(_ stops: some Sequence<String>) {
        self.stops = stops.filter { !$0.isEmpty }.map(Stop.init)
    }

    /// Takes more text, a piece of any length. Once a stop string was found, it is all that is returned.
    ///
    /// - Parameter text: what follows the text that was fed before.
    /// - Returns: The text that is now known to be no part of a stop string, and the stop string if one was found: it
    ///   and what follows it are in no result.
    ///
    /// Complexity: O(length of `text` × number of stop strings).
    public mutating func feed(_ text: String) -> (emit: String, stop: String?) {
        if let found { return ("", found) }
        if stops.isEmpty { return (text, nil) }
        for byte in text.utf8 {
            pending.append(byte)
            var complete: Stop?
            for index in stops.indices where stops[index].feed(byte) {
                if stops[index].bytes.count > complete?.bytes.count ?? 0 { complete = stops[index] }
            }
            if let complete {
                found = complete.string
                pending.removeLast(complete.bytes.count)
                return (finish(), complete.string)
            }
        }
        // A match begins where a character does, and the text ends where one does: both sides are valid UTF-8.
        let kept = stops.reduce(0) { max($0, $1.matched) }
        let emit = String(decoding: pending.dropLast(kept), as: UTF8.self)
        pending.removeFirst(pending.count - kept)
        return (emit, nil)
    }

    /// Ends the text: returns what was held back.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }
}
