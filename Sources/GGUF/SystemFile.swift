#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

// What is asked of the system beside the mapping and the writing of files.

#if canImport(Darwin)
/// What the kernel of macOS says about itself and this process, where Linux has files: untested.
package enum SystemControl {
    /// The number called `name`; nil where there is none.
    package static func integer(_ name: String) -> Int? {
        // Numbers of 32 bits fill the lower half.
        var value: Int64 = 0
        var size = MemoryLayout<Int64>.size
        guard unsafe sysctlbyname(name, &value, &size, nil, 0) == 0 else { return nil }
        return Int(value)
    }

    /// The text called `name`; nil where there is none.
    package static func text(_ name: String) -> String? {
        var size = 0
        guard unsafe sysctlbyname(name, nil, &size, nil, 0) == 0, size > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        guard unsafe sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The most memory that was ever in use by this process at one time, in bytes.
    package static var peakResident: Int? {
        var usage = rusage()
        return unsafe getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : nil
    }
}
#endif

/// Questions to the system about files that are not mapped.
package enum SystemFile {
    /// Whether two paths lead to one file, by whatever names; false where one of them leads nowhere.
    package static func areSame(_ path: String, _ other: String) -> Bool {
        guard let one = status(of: path), let two = status(of: other) else { return false }
        return one.st_dev == two.st_dev && one.st_ino == two.st_ino
    }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status : nil
    }

    /// Whether a path lies in /dev or in /proc, as /dev/stdout and /dev/fd/1 do, whatever they lead to: there are no
    /// files to be made or replaced.
    package static func isSpecial(_ path: String) -> Bool {
        guard let folder = status(of: folder(of: path)) else { return false }
        if let devices = status(of: "/dev"), folder.st_dev == devices.st_dev, folder.st_ino == devices.st_ino {
            return true
        }
        // A file system of its own, wherever there is one.
        guard let processes = status(of: "/proc"), processes.st_dev != status(of: "/")?.st_dev else { return false }
        return folder.st_dev == processes.st_dev
    }

    /// The folder that a path lies in.
    static func folder(of path: String) -> String {
        // By bytes, as the system sees it: a character may be a slash with an accent.
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(decoding: path.utf8[..<slash], as: UTF8.self)
    }

    /// What kind of thing a path leads to, in words; nil where it leads nowhere.
    package static func kind(of path: String) -> String? { status(of: path).map(kind) }

    static func kind(_ status: stat) -> String {
        switch status.st_mode & S_IFMT {
        case S_IFREG: regular
        case S_IFDIR: folder
        case S_IFIFO: "a pipe"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }

    /// The kinds that paths mostly lead to.
    package static let (regular, folder) = ("a file", "a folder")

    /// Whether no file can be called so, because a part of its path is longer than the file system allows.
    static func isTooLong(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) != 0 && errno == ENAMETOOLONG
    }

    /// The names of what lies in a folder, in no order; none where it cannot be read.
    package static func names(inFolder path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            // The name ends within the array: it is a C string.
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The text of the file at `path`, up to 64 KiB of it; nil where it cannot be read. For small files that the kernel
    /// makes up as they are read, such as those in `/proc`, which cannot be mapped.
    package static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    /// The bytes of such a file.
    package static func bytes(_ path: String) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var end = 0
        while end < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe read(
                    descriptor, UnsafeMutableRawBufferPointer(rebasing: buffer[end...]).baseAddress, buffer.count - end)
            }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            end += count
        }
        return Array(bytes[..<end])
    }

    /// The first line of such a file.
    package static func line(_ path: String) -> String? {
        text(path).map { String($0.prefix { $0 != "\n" }) }
    }
}

/// The system's text for an `errno`.
func systemErrorText(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}

/// What could be done about an `errno`, where there is something.
func systemErrorHint(_ code: Int32) -> String? {
    code == EMFILE ? "this process may not open more files: 'ulimit -n' says how many" : nil
}
