import Foundation
import Rainbow
import SystemPackage

/// Standard output and standard error.
enum Console {
    /// Whether a person is looking at standard error.
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1

    /// Writes a result to standard output at once.
    ///
    /// Where the reader has gone away — `| head` — there is nobody left to work for: the program ends quietly.
    static func write(_ text: String) throws {
        try write(text.utf8, to: .standardOutput)
    }

    /// Writes a line of the result.
    static func writeLine(_ text: String = "") throws {
        try write(text + "\n")
    }

    /// Writes a value as one JSON document.
    static func writeJSON(_ value: some Encodable, pretty: Bool = true) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        var data = try encoder.encode(value)
        data.append(UInt8(ascii: "\n"))
        try write(data, to: .standardOutput)
    }

    /// Tells the user something that is not the result.
    static func note(_ text: String) {
        try? write((text + "\n").utf8, to: .standardError)
    }

    /// Warns the user.
    static func warn(_ text: String) {
        note((errorIsTerminal ? "warning:".yellow : "warning:") + " " + text)
    }

    /// Rewrites the line that the cursor is on; only for terminals.
    static func replaceLine(_ text: String) {
        try? write(("\r\u{1B}[K" + text).utf8, to: .standardError)
    }

    /// Says why the work failed, and ends the program.
    static func fail(_ failure: Failure) -> Never {
        note((errorIsTerminal ? "error:".red : "error:") + " " + failure.message)
        if let hint = failure.hint { note((errorIsTerminal ? "hint:".cyan : "hint:") + " " + hint) }
        Temporary.removeAll()
        exit(failure.status)
    }

    private static func write(_ bytes: some Sequence<UInt8>, to output: FileDescriptor) throws {
        do {
            try output.writeAll(bytes)
        } catch Errno.brokenPipe {
            exit(0)
        } catch {
            throw Failure("output cannot be written: \(error)")
        }
    }
}
