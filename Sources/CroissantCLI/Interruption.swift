import Croissant
import Dispatch
import Foundation
import GGUF
import Rainbow
import Synchronization

/// Ctrl-C, and the signals that ask a program to end.
///
/// Work that looks at ``isRequested`` again and again is asked to stop, and prints what it has; a second signal ends the
/// program. All other work, such as loading a model or waiting for input, is ended by the first one.
enum Interruption {
    /// The first signal that came, 0 before it.
    private static let signal = Atomic<Int32>(0)
    private static let isPolled = Atomic<Bool>(false)

    /// Whether the user has asked to stop.
    static var isRequested: Bool { signal.load(ordering: .relaxed) != 0 }

    /// The exit status that says so: 130 for Ctrl-C.
    static var status: Int32 { 128 + signal.load(ordering: .relaxed) }

    /// Says whether the work that follows looks at ``isRequested``.
    static func setPolled(_ polled: Bool) {
        isPolled.store(polled, ordering: .relaxed)
    }

    /// Takes over the signals; a failure where the system gives no threads to wait for them.
    static func install() throws {
        try checkThreads()
        // A reader that goes away is noticed where output is written.
        Foundation.signal(SIGPIPE, SIG_IGN)
        // So is a file that would become larger than `ulimit -f` allows.
        Foundation.signal(SIGXFSZ, SIG_IGN)
        let ignored = ignoredAtStart
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
            // What nohup, or the shell for a background job, made this program ignore stays ignored.
            guard let ignored else {
                if number != SIGHUP { take(number) }
                continue
            }
            if ignored >> UInt64(number - 1) & 1 == 0 { take(number) }
        }
    }

    /// Throws where the system has no threads for Dispatch, which would wait for them without a word: one that waits
    /// for events, and one that handles them.
    private static func checkThreads() throws {
        // To begin threads takes half a millisecond: only where there may be none.
        guard HostProcessors.mayLackThreads, ThreadPool(threadCount: 3).threadCount < 3 else { return }
        throw Failure(
            "no threads: the system gave fewer than 2",
            hint: "'ulimit -u', 'ulimit -v' or the container's limit of tasks is low")
    }

    /// Throws if the user has asked to stop.
    static func check() throws {
        if isRequested { throw Failure.interrupted }
    }

    private static func take(_ number: Int32) {
        Foundation.signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInitiated))
        source.setEventHandler {
            // The handler keeps its own source alive, for as long as the program runs.
            _ = source
            let isFirst = signal.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
            if isFirst && isPolled.load(ordering: .relaxed) { return }
            if Console.errorIsTerminal { Console.replaceLine("") }
            Console.note(Console.label("error", .red) + " interrupted")
            Console.end(status)
        }
        source.activate()
    }

    /// The signals that are ignored, one bit each, where the kernel tells (Linux).
    private static var ignoredAtStart: UInt64? {
        guard let text = SystemFile.text("/proc/self/status") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("SigIgn:") {
            return line.split { $0 == "\t" || $0 == " " }.last.flatMap { UInt64($0, radix: 16) }
        }
        return nil
    }
}

/// Files that must not outlive the program.
enum Temporary {
    private static let paths = Mutex<Set<String>>([])

    /// Remembers a file or folder to be removed.
    static func add(_ path: String) {
        paths.withLock { _ = $0.insert(path) }
    }

    /// Removes the files that are still there, and those that writers are filling.
    static func removeAll() {
        for path in paths.withLock({ $0 }).union(UnfinishedFiles.paths) {
            try? FileManager.default.removeItem(atPath: path)
        }
    }
}
