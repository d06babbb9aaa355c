import ArgumentParser

/// A list of numbers as benchmarks take it: single ones and ranges, separated by commas.
struct NumberList {
    /// The numbers, in the order given.
    let values: [Int]

    /// What a number may be.
    private static let range = 0...1 << 24
    /// More are a mistake.
    private static let limit = 1024

    /// The list of `values`.
    init(_ values: [Int]) { self.values = values }

    /// Reads "128,512", "256-1024+256" (steps of 256) or "128-2048*2" (twice as many each time).
    init(_ text: String) throws {
        var values: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let numbers = try Self.numbers(part) else {
                throw ValidationError(
                    "'\(text)' is not a list of numbers, such as 128,512 or 256-1024+256 or 128-2048*2")
            }
            values += numbers
            guard values.count <= Self.limit else {
                throw ValidationError(
                    "'\(text)' is more than \(Self.limit) numbers (ranges can take larger steps, such as 256-1024+256)")
            }
        }
        self.values = values
    }

    /// One number, or those of a range, no more than one beyond ``limit``; nil where `text` is neither, and an error where
    /// its numbers cannot be had.
    private static func numbers(_ text: Substring) throws -> [Int]? {
        if let number = try number(text) { return [number] }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = try number(ends[0]) else { return nil }
        let sign = ends[1].first { $0 == "+" || $0 == "*" } ?? "+"
        let parts = ends[1].split(separator: sign, maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = try number(parts[0]), let step = try parts.count == 2 ? number(parts[1]) : 1 else {
            return nil
        }
        guard first <= last else {
            throw ValidationError("'\(text)' ends before it begins (expected \(last)-\(first))")
        }
        guard step >= (sign == "+" ? 1 : 2), sign == "+" || first > 0 else {
            let steps = sign == "+" ? "steps of 1 or more" : "a factor of 2 or more, from 1 on"
            throw ValidationError("'\(text)' never gets beyond \(first) (expected \(steps))")
        }
        var values: [Int] = []
        var next = first
        while next <= last && values.count <= limit {
            values.append(next)
            next = sign == "+" ? next + step : next * step
        }
        return values
    }

    /// A number; nil where `text` is none, and an error where it is beyond ``range``.
    static func number(_ text: Substring) throws -> Int? {
        guard !text.isEmpty, text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw ValidationError("'\(text)' is too large (expected \(range.lowerBound) to \(range.upperBound))")
        }
        return number
    }
}
