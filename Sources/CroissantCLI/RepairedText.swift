import GGUF

extension GGUFFile {
    /// Warns of texts that a copy of the metadata does not keep as they are; those of `replaced` keys are not copied.
    func warnOfRepairs(replaced: [String] = []) {
        let keys = repairedKeys.filter { !replaced.contains($0) }.map(\.escaped)
        guard !keys.isEmpty else { return }
        Console.warn("not UTF-8: \(keys.joined(separator: ", ")); U+FFFD is written for what cannot be read")
    }
}
