import ArgumentParser
import Foundation

/// Text from an option, a file or standard input.
enum TextInput {
    /// The bytes of a file as text.
    static func file(_ path: String) throws -> String {
        do {
            return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        } catch {
            throw Failure("text cannot be read: \(path) (\(error.localizedDescription))")
        }
    }

    /// All of standard input, when it is not a person at a terminal.
    static func standardInput(missing: String) throws -> String {
        guard isatty(STDIN_FILENO) == 0 else { throw ValidationError(missing) }
        return String(decoding: try FileHandle.standardInput.readToEnd() ?? Data(), as: UTF8.self)
    }

    /// Token ids separated by commas or white space.
    static func ids(_ text: String) throws -> [Int32] {
        try text.split { $0 == "," || $0.isWhitespace }.map { word in
            guard let id = Int32(word) else { throw ValidationError("'\(word)' is not a token id") }
            return id
        }
    }
}
