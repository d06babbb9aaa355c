import ArgumentParser

/// A list of numbers as benchmarks take it: single ones and ranges, separated by commas.
struct NumberList {
    /// The numbers, in the order given.
    let values: [Int]

    /// What a number may be.
    static let range = 0...1 << 24
    /// More are a mistake.
    private static let limit = 1024

    /// The list of `values`.
    init(_ values: [Int]) { self.values = values }

    /// Reads "128,512", "256-1024+256" (steps of 256) or "128-2048*2" (twice as many each time).
    init(_ text: String) throws {
        var values: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let numbers = Self.numbers(part), values.count + numbers.count <= Self.limit else {
                throw ValidationError(
                    "'\(text)' is not a list of numbers, such as 128,512 or 256-1024+256 or 128-2048*2")
            }
            values += numbers
        }
        self.values = values
    }

    /// One number, or those of a range; nil where `text` is neither.
    private static func numbers(_ text: Substring) -> [Int]? {
        if let number = number(text) { return [number] }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = number(ends[0]) else { return nil }
        let sign = ends[1].first { $0 == "+" || $0 == "*" } ?? "+"
        let parts = ends[1].split(separator: sign, maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = number(parts[0]), let step = parts.count == 2 ? number(parts[1]) : 1, first <= last,
            step >= (sign == "+" ? 1 : 2), sign == "+" || first > 0
        else { return nil }
        var values: [Int] = []
        var next = first
        while next <= last && values.count <= limit {
            values.append(next)
            next = sign == "+" ? next + step : next * step
        }
        return values
    }

    private static func number(_ text: Substring) -> Int? {
        Int(text).flatMap { range.contains($0) && !text.hasPrefix("+") ? $0 : nil }
    }
}
