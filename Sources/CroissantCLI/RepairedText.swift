import GGUF

extension GGUFFile {
    /// Warns of texts that a copy of the metadata does not keep as they are; those of `replaced` keys are not copied.
    func warnOfRepairs(replaced: [String] = []) {
        let keys = repairedKeys.filter { !replaced.contains($0) }
        guard let first = keys.first else { return }
        let others = keys.count == 1 ? "" : ", and \(keys.count - 1) more"
        Console.warn("not UTF-8: \(first.quoted)\(others); U+FFFD stands for what cannot be read")
    }
}
