import ArgumentParser
import Croissant
import Dispatch
import Foundation
import GGUF
import SystemPackage

/// Text from an option, a file or standard input.
package enum TextInput {
    /// The longest text that is read, in bytes: devices have no end, and tokens take several times as much memory.
    package static let limit = 1 << 30

    /// The text of a file; a failure where it cannot be read, or is longer than `limit`.
    static func file(_ path: String) throws -> String { try file(path, limit: limit) }

    /// The same with another limit.
    package static func file(_ path: String, limit: Int) throws -> String {
        do {
            let descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
            let handle = FileHandle(fileDescriptor: descriptor.rawValue, closeOnDealloc: true)
            // A file says how long it is, and is not read in vain.
            if SystemFile.kind(of: path) == SystemFile.regular {
                guard try handle.seekToEnd() <= UInt64(limit) else { throw tooLong(path, limit) }
                try handle.seek(toOffset: 0)
            }
            return text(try bytes(of: handle, path, limit: limit), of: path)
        } catch let failure as Failure {
            throw failure
        } catch let code as Errno {
            throw Failure("cannot read text: \(path) (\(code))")
        } catch {
            throw unreadable(path, error)
        }
    }

    /// Those of `paths` that there are, and standard input's: what is read must not be written to.
    static func paths(_ paths: String?...) -> [String] { paths.compactMap { $0 } + ["/dev/stdin"] }

    /// All of standard input, when it is not a person at a terminal; `missing` says what to do instead.
    ///
    /// Where that takes long, the user hears what is waited for, unless `isQuiet`: some programs leave a pipe open that
    /// they never write to.
    static func standardInput(missing: String, isQuiet: Bool = false) throws -> String {
        guard isatty(STDIN_FILENO) == 0 else {
            throw Failure(missing, hint: "'--help' says how", status: 64)
        }
        do {
            let data = try reminding(isQuiet ? nil : "waiting for the end of standard input") {
                try bytes(of: .standardInput, "standard input", limit: limit)
            }
            return text(data, of: "standard input")
        } catch let failure as Failure {
            throw failure
        } catch {
            throw unreadable("standard input", error)
        }
    }

    /// What `wait` returns; where that takes longer than two seconds, `hint` is printed meanwhile.
    private static func reminding<Result>(_ hint: String?, _ wait: () throws -> Result) rethrows -> Result {
        guard let hint else { return try wait() }
        let reminder = DispatchWorkItem { Console.hint(hint) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 2, execute: reminder)
        defer { reminder.cancel() }
        return try wait()
    }

    /// Everything up to the end, some of it at a time.
    private static func bytes(of handle: FileHandle, _ source: String, limit: Int) throws -> Data {
        var bytes = Data()
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            guard piece.count <= limit - bytes.count else { throw tooLong(source, limit) }
            bytes.append(piece)
            try Interruption.check()
        }
        return bytes
    }

    private static func tooLong(_ source: String, _ limit: Int) -> Failure {
        Failure("text too long: \(source) (expected at most \(ByteCount(limit)), found more)")
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
