import Dispatch
import Foundation
import Synchronization

/// Ctrl-C: the first one asks the work to stop, the second one ends the program.
enum Interruption {
    private static let count = Atomic<Int>(0)

    /// Whether the user has asked to stop.
    static var isRequested: Bool { count.load(ordering: .relaxed) > 0 }

    /// Takes over the signals of the terminal.
    static func install() {
        signal(SIGINT, SIG_IGN)
        // A reader that goes away is noticed where output is written.
        signal(SIGPIPE, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global(qos: .userInitiated))
        source.setEventHandler {
            // The handler keeps its own source alive, for as long as the program runs.
            _ = source
            if count.add(1, ordering: .relaxed).newValue > 1 {
                Temporary.removeAll()
                _exit(130)
            }
        }
        source.activate()
    }

    /// Throws if the user has asked to stop.
    static func check() throws {
        if isRequested { throw Failure.interrupted }
    }
}

/// Files that must not outlive the program.
enum Temporary {
    private static let paths = Mutex<Set<String>>([])

    /// Remembers a file to be removed.
    static func add(_ path: String) {
        paths.withLock { _ = $0.insert(path) }
    }

    /// Removes the files that are still there.
    static func removeAll() {
        for path in paths.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: path) }
    }
}
