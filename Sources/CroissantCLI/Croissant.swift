import ArgumentParser
import Croissant
import Foundation
import GGUF
import Rainbow

/// The executable: one command for each thing to do, `generate` where none is named.
@main
struct CroissantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "croissant-gguf",
        abstract: "Runs GGUF language models on the CPU: CroissantLLM first.",
        discussion: """
            Without arguments, the model that is built in tells a story (demo). Results go to standard output, \
            everything else to standard error.
            Exit status: 0 done, 1 the work failed, 64 wrong usage, 130 interrupted by \
            Ctrl-C, 143 ended by SIGTERM, 129 by SIGHUP.
            """,
        version: Host.description,
        subcommands: [
            Demo.self, Generate.self, Bench.self, Budget.self, Perplexity.self, Inspect.self, Check.self, Tokenize.self,
            Detokenize.self, Convert.self, Quantize.self, Split.self, Merge.self, Edit.self, Synthesize.self,
        ],
        defaultSubcommand: Generate.self)

    /// The version of this source tree.
    static let version = "0.1.0"

    /// What the parser's own messages begin with.
    static var _errorPrefix: String { Console.label("error", .red) + " " }

    /// Runs the command line, and ends with the exit status that its outcome asks for.
    static func main() {
        Console.prepare()
        do {
            try Interruption.install()
            try refuseDamagedArguments()
            try refuseUnknownCommand()
            var command = try isBare ? withoutArguments() : parseAsRoot()
            try command.run()
            Console.end(0)
        } catch let failure as Failure {
            Console.fail(failure)
        } catch let error as ModelError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as ConversionError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as EvaluationError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as GGUFError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as TokenizerError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch {
            endParsing(error)
        }
    }

    /// Whether the command line says at most how much is to be said.
    private static var isBare: Bool {
        CommandLine.arguments.dropFirst().allSatisfy { ["-q", "--quiet", "-v", "--verbose"].contains($0) }
    }

    /// What is done where nothing is asked for: the prompt that is piped in, or the demonstration.
    private static func withoutArguments() throws -> any ParsableCommand {
        let options = Array(CommandLine.arguments.dropFirst())
        let isQuiet = options.contains { ["-q", "--quiet"].contains($0) }
        let prompt =
            isatty(STDIN_FILENO) == 1 ? "" : try TextInput.standardInput(missing: "no prompt", isQuiet: isQuiet)
        return try prompt.isEmpty ? Demo.parse(options) : Generate.parse(options + ["--prompt", prompt])
    }

    /// Prints what the parser has to say: help and the version are results, everything else is wrong usage.
    private static func endParsing(_ error: any Error) -> Never {
        let status = exitCode(for: error).rawValue
        let text = fullMessage(for: error)
        guard status == 0 else {
            Console.note(escaped(text))
            Console.end(status)
        }
        do { try Console.writeLine(text) } catch { Console.fail(error) }
        Console.end(0)
    }

    /// The parser's message, of several lines, with what it repeats of the command line escaped as in all others.
    private static func escaped(_ message: String) -> String {
        let prefix = message.hasPrefix(_errorPrefix) ? _errorPrefix : ""
        var message = String(message.dropFirst(prefix.count))
        // A line feed of an argument would pass for one of the message.
        for argument in CommandLine.arguments.dropFirst() where argument.contains("\n") {
            message = message.replacing(argument, with: argument.escaped)
        }
        return prefix
            + message.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).escaped }
            .joined(separator: "\n")
    }

    /// Refuses arguments that are not UTF-8, where the kernel shows them: what became of them names another file.
    private static func refuseDamagedArguments() throws {
        let suspects = CommandLine.arguments.enumerated().filter { $1.unicodeScalars.contains("\u{FFFD}") }
        guard !suspects.isEmpty, let bytes = SystemFile.bytes("/proc/self/cmdline") else { return }
        let exact = bytes.split(separator: 0, omittingEmptySubsequences: false)
        for (index, argument) in suspects where index < exact.count {
            guard String(validating: exact[index], as: UTF8.self) == nil else { continue }
            throw Failure("argument \(index) is not UTF-8: \(argument.quoted)", status: 64)
        }
    }

    /// Refuses a first word that is no command, which the default command would call an unexpected argument.
    private static func refuseUnknownCommand() throws {
        let names = configuration.subcommands.map { "\($0)".lowercased() }
        var words = CommandLine.arguments.dropFirst()
        if words.first == "help" { words = words.dropFirst() }
        guard let word = words.first, !word.hasPrefix("-"), !names.contains(word) else { return }
        let isFile = FileManager.default.fileExists(atPath: word)
        throw Failure(
            "unknown command: \(word) (expected \(names.joined(separator: ", ")))",
            hint: isFile ? "a model is given with -m \(word)" : "'croissant-gguf --help' says what they do", status: 64)
    }
}

/// Work that failed for a reason that a user can read.
package struct Failure: Error {
    /// What is wrong, where, what was expected and what was found, in one line.
    package let message: String
    /// What could be done about it.
    package let hint: String?
    /// The exit status.
    package let status: Int32

    /// A failure of the work, unless `status` says otherwise.
    init(_ message: String, hint: String? = nil, status: Int32 = 1) {
        self.message = message
        self.hint = hint
        self.status = status
    }

    /// The user pressed Ctrl-C, or the system asked the program to end.
    static var interrupted: Failure { Failure("interrupted", status: Interruption.status) }
}
