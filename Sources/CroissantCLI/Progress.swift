import Croissant
import Synchronization

/// A line on standard error that shows how far a long step has come: on terminals only, and only after a second.
final class ProgressBar: Sendable {
    private let label: String
    private let total: Int
    private let isShown: Bool
    private let start = ContinuousClock.now
    private let lastShown = Mutex<ContinuousClock.Instant?>(nil)

    /// A bar for `total` units of work; `isQuiet` keeps it from being shown.
    init(_ label: String, total: Int, isQuiet: Bool) {
        self.label = label
        self.total = max(1, total)
        isShown = Console.errorIsTerminal && !isQuiet
    }

    /// Shows that `done` units are done.
    func update(_ done: Int) {
        let now = ContinuousClock.now
        guard isShown, now - start > .seconds(1) else { return }
        let isDue = lastShown.withLock { last in
            if let last, now - last < .milliseconds(100) { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let share = min(1, Double(done) / Double(total))
        let seconds = (now - start).seconds
        let remaining = share > 0 ? Int((seconds / share - seconds).rounded(.up)) : 0
        let width = 20
        let filled = Int(share * Double(width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        // The bar comes last but one: a narrow terminal cuts the rest off.
        Console.replaceLine("\(label) \(Int(share * 100))% \(bar) \(Self.clock(remaining)) left")
    }

    /// Removes the line.
    func finish() {
        let wasShown = lastShown.withLock { last in
            defer { last = nil }
            return last != nil
        }
        if wasShown { Console.replaceLine("") }
    }

    /// Such as 0:05, 12:34 or 1:02:03.
    private static func clock(_ seconds: Int) -> String {
        func twoDigits(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
        let minutes = seconds / 60
        if minutes < 60 { return "\(minutes):\(twoDigits(seconds % 60))" }
        return "\(minutes / 60):\(twoDigits(minutes % 60)):\(twoDigits(seconds % 60))"
    }
}

extension ProgressBar {
    /// A part of some work, with a bar of its own.
    struct Stage {
        /// What is done.
        let label: String
        /// Units of work.
        let total: Int
    }

    /// Does work that writes files, and shows how far it is. Ctrl-C stops it, and leaves nothing behind.
    ///
    /// - Parameter work: calls its argument with what is done, stops where that returns false, and returns whether it has
    ///   come to its end.
    /// - Returns: what it took.
    @discardableResult
    static func show(
        _ label: String, total: Int, output: OutputOptions, _ work: (_ progress: @escaping (Int) -> Bool) throws -> Bool
    ) throws -> WorkCost {
        try show([Stage(label: label, total: total)], output: output) { progress in try work { progress(0, $0) } }
    }

    /// The same for work in stages, one after the other, the last of which is the one that counts bytes.
    ///
    /// - Parameter work: calls its argument with the number of a stage and what is done of it.
    /// - Returns: what it took.
    @discardableResult
    static func show(
        _ stages: [Stage], output: OutputOptions,
        _ work: (_ progress: @escaping (_ stage: Int, _ done: Int) -> Bool) throws -> Bool
    ) throws -> WorkCost {
        let begin = ContinuousClock.now
        Interruption.setPolled(true)
        defer { Interruption.setPolled(false) }
        // A bar counts its time from when it is made.
        var current = 0
        var bar = ProgressBar(stages[current].label, total: stages[current].total, isQuiet: output.quiet)
        defer { bar.finish() }
        let isComplete = try work { stage, done in
            if stage != current {
                bar.finish()
                current = stage
                bar = ProgressBar(stages[stage].label, total: stages[stage].total, isQuiet: output.quiet)
            }
            bar.update(done)
            return !Interruption.isRequested
        }
        guard isComplete else { throw Failure.interrupted }
        return WorkCost(bytes: stages[stages.count - 1].total, seconds: (ContinuousClock.now - begin).seconds)
    }
}

/// What work on so many bytes took.
struct WorkCost {
    let bytes: Int
    let seconds: Double

    /// Such as "in 1.50 s, 2.0 GiB a second; peak 30.1 MiB".
    var text: String {
        let speed = seconds > 0 ? Int(Double(bytes) / seconds) : 0
        let peak = HostMemory.peakResident.map { "; peak \(ByteCount($0))" } ?? ""
        return "in \(seconds.formatted(places: 2)) s, \(ByteCount(speed)) a second" + peak
    }
}
