import Croissant
import Foundation
import GGUF
import Rainbow
import SystemPackage

/// Standard output and standard error.
enum Console {
    /// Whether a person is looking at standard output.
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    /// Whether a person is looking at standard error, on a terminal that can move its cursor.
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1 && environment["TERM"] != "dumb"

    private static let environment = ProcessInfo.processInfo.environment

    /// Makes the standard streams safe to use, whatever the program was started with.
    static func prepare() {
        // The next file that is opened would take the number of a closed stream, and get what is meant for it. The
        // opposite direction keeps reading and writing an error, as they are for a closed stream.
        let streams: [(FileDescriptor, FileDescriptor.AccessMode)] = [
            (.standardInput, .writeOnly), (.standardOutput, .readOnly), (.standardError, .writeOnly),
        ]
        for (stream, mode) in streams {
            do { try stream.duplicate().close() } catch { _ = try? FileDescriptor.open("/dev/null", mode) }
        }
    }

    /// Writes a result to standard output at once.
    ///
    /// Where the reader has gone away — `| head` — there is nobody left to work for: the program ends quietly.
    static func write(_ text: String) throws(Failure) {
        do {
            try FileDescriptor.standardOutput.writeAll(text.utf8)
        } catch Errno.brokenPipe {
            end(0)
        } catch {
            throw Failure("cannot write: standard output (\(error))")
        }
    }

    /// Writes text that a model or a file gave. On a terminal, control characters other than line feeds and tabs are
    /// escaped: they could do anything to it.
    static func writeForeign(_ text: String) throws(Failure) {
        try write(outputIsTerminal ? text.escapedForTerminal : text)
    }

    /// Writes a line of the result.
    static func writeLine(_ text: String = "") throws(Failure) {
        try write(text + "\n")
    }

    /// Writes a value as one JSON document, in one line or for people.
    static func writeJSON(_ value: some Encodable, pretty: Bool = true) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        try writeLine(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// The word before a message, in colour where a person reads it and wants colours (no-color.org).
    ///
    /// Rainbow's own switch looks at standard output, where no colours are.
    static func label(_ word: String, _ color: NamedColor) -> String {
        guard errorIsTerminal, (environment["NO_COLOR"] ?? "").isEmpty else { return word + ":" }
        return "\u{1B}[\(color.rawValue)m\(word):\u{1B}[0m"
    }

    /// Tells the user something that is not the result. Where nobody listens, the work goes on.
    static func note(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8)
    }

    /// Warns the user.
    static func warn(_ text: String) {
        note(label("warning", .yellow) + " " + text)
    }

    /// Says what could be done next.
    static func hint(_ text: String) {
        note(label("hint", .cyan) + " " + text)
    }

    /// Rewrites the line that the cursor is on; only for terminals.
    static func replaceLine(_ text: String) {
        // The terminal cuts what is wider than it is by now, instead of beginning a second line that could not be
        // rewritten (DECAWM off and on again); the last column, where everything else piled up, is cleared.
        let line = "\r\u{1B}[K\u{1B}[?7l\(text)\u{1B}[K\u{1B}[?7h"
        _ = try? FileDescriptor.standardError.writeAll(line.utf8)
    }

    /// Says why the work failed, and ends the program.
    static func fail(_ failure: Failure) -> Never {
        note(label("error", .red) + " " + failure.message.escaped)
        if let text = failure.hint { hint(text.escaped) }
        end(failure.status)
    }

    /// Ends the program, which every way out of it comes to.
    static func end(_ status: Int32) -> Never {
        Temporary.removeAll()
        // Nothing is left to be written. What libraries do at an exit is left out: OpenBLAS starts threads before `main`
        // and waits for them to end, which those never do that the system refuses their memory (`ulimit -v`).
        _exit(status)
    }
}

extension String {
    /// The text with control characters escaped, except for line feeds and tabs.
    var escapedForTerminal: String {
        guard unicodeScalars.contains(where: Self.isHarmful) else { return self }
        return unicodeScalars.reduce(into: "") { result, scalar in
            result += Self.isHarmful(scalar) ? String(scalar).escaped : String(scalar)
        }
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
    }
}
