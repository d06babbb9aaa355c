import Crypto
import Foundation
import GGUF

/// SHA-256 of files.
enum FileDigest {
    /// The digest of a file of any size, in hexadecimal, as `sha256sum` prints it.
    static func sha256(of path: String) throws -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { throw Failure("cannot read: \(path)") }
        defer { try? file.close() }
        var hash = SHA256()
        while let part = try file.read(upToCount: 1 << 22), !part.isEmpty { hash.update(data: part) }
        return hash.finalize().map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }
}
