import Synchronization

/// The temporary files that writers of this process are filling.
///
/// A writer removes its own file when it is dropped. A program that ends without unwinding, for a second Ctrl-C, drops
/// nothing: it removes these first.
package enum UnfinishedFiles {
    private static let known = Mutex<Set<String>>([])

    /// Their paths, as they were opened.
    package static var paths: Set<String> { known.withLock { $0 } }

    /// Adds a file that has just been created.
    static func add(_ path: String) {
        known.withLock { _ = $0.insert(path) }
    }

    /// Forgets a file that has its final name, or is gone.
    static func remove(_ path: String) {
        known.withLock { _ = $0.remove(path) }
    }
}
