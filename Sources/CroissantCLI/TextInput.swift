import ArgumentParser
import Foundation
import GGUF
import SystemPackage

/// Text from an option, a file or standard input.
enum TextInput {
    /// The text of a file.
    static func file(_ path: String) throws -> String {
        do {
            let descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
            let handle = FileHandle(fileDescriptor: descriptor.rawValue, closeOnDealloc: true)
            return text(try handle.readToEnd() ?? Data(), of: path)
        } catch let code as Errno {
            throw Failure("cannot read text: \(path) (\(code))")
        } catch {
            throw unreadable(path, error)
        }
    }

    /// All of standard input, when it is not a person at a terminal; `missing` says what to do instead.
    static func standardInput(missing: String) throws -> String {
        guard isatty(STDIN_FILENO) == 0 else {
            throw Failure(missing, hint: "'--help' says how", status: 64)
        }
        do {
            return text(try FileHandle.standardInput.readToEnd() ?? Data(), of: "standard input")
        } catch {
            throw unreadable("standard input", error)
        }
    }

    /// Token ids separated by commas or white space.
    static func ids(_ text: String) throws -> [Int32] {
        try text.split { $0 == "," || $0.isWhitespace }.map { word in
            guard let id = Int32(word) else {
                throw Failure("not a token id: \(word) (expected a whole number)", status: 64)
            }
            return id
        }
    }

    /// The bytes as text. Tokenizers need Unicode, so what is not becomes U+FFFD, with a warning.
    private static func text(_ data: Data, of source: String) -> String {
        if let text = String(validating: data, as: UTF8.self) { return text }
        Console.warn("not UTF-8: \(source.escaped); U+FFFD stands for what cannot be read")
        return String(decoding: data, as: UTF8.self)
    }

    /// The failure with the system's own reason.
    private static func unreadable(_ source: String, _ error: any Error) -> Failure {
        var error = error as NSError
        while error.domain != NSPOSIXErrorDomain, let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError {
            error = cause
        }
        let reason = error.domain == NSPOSIXErrorDomain ? "\(Errno(rawValue: CInt(error.code)))" : "unknown error"
        return Failure("cannot read text: \(source) (\(reason))")
    }
}

/// The text of an argument as token ids.
func tokenIDs(_ text: String) throws -> [Int32] {
    let ids: [Int32]
    do { ids = try TextInput.ids(text) } catch let failure as Failure { throw ValidationError(failure.message) }
    if ids.isEmpty { throw ValidationError("no token ids (expected some, such as 1,403,407)") }
    return ids
}
