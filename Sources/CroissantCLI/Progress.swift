import Croissant
import Foundation

/// A line on standard error that shows how far a long step has come: on terminals only, and only after a second.
final class ProgressBar {
    private let label: String
    private let total: Int
    private let isShown: Bool
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    /// A bar for `total` units of work; `isQuiet` keeps it from being shown.
    init(_ label: String, total: Int, isQuiet: Bool) {
        self.label = label
        self.total = max(1, total)
        isShown = Console.errorIsTerminal && !isQuiet
    }

    /// Shows that `done` units are done.
    func update(_ done: Int) {
        let now = ContinuousClock.now
        guard isShown, now - start > .seconds(1), lastShown.map({ now - $0 > .milliseconds(100) }) ?? true else { return }
        lastShown = now
        let share = min(1, Double(done) / Double(total))
        let seconds = (now - start).seconds
        let remaining = share > 0 ? Int((seconds / share - seconds).rounded(.up)) : 0
        let width = 20
        let filled = Int(share * Double(width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        let line = "\(label) \(bar) \(Int(share * 100))% \(remaining / 60):\(remaining % 60 < 10 ? "0" : "")\(remaining % 60) left"
        Console.replaceLine(String(line.prefix(Self.columns - 1)))
    }

    /// Removes the line.
    func finish() {
        if lastShown != nil { Console.replaceLine("") }
    }

    /// The terminal's width, where the shell exports it.
    private static let columns = max(20, ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) } ?? 80)
}
