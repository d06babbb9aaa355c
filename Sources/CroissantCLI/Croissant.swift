import ArgumentParser
import Croissant
import Foundation
import GGUF

/// The executable: one command for each thing to do, `generate` where none is named.
@main
struct CroissantCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "croissant-gguf",
        abstract: "Runs GGUF language models on the CPU: CroissantLLM first.",
        discussion: """
            Results go to standard output, everything else to standard error.
            Exit status: 0 done, 1 the work failed, 64 wrong usage, 130 interrupted.
            """,
        version: version,
        subcommands: [
            Generate.self, Bench.self, Inspect.self, Tokenize.self, Detokenize.self, Synthesize.self,
        ],
        defaultSubcommand: Generate.self)

    /// The version of this source tree.
    static let version = "0.1.0"

    /// Runs the command line, and ends with the exit status that its outcome asks for.
    static func main() {
        Console.prepare()
        Interruption.install()
        do {
            try refuseUnknownCommand()
            var command = try parseAsRoot()
            do {
                try command.run()
            } catch let error as ValidationError {
                try end(type(of: command).message(of: error))
            }
        } catch {
            end(error)
        }
    }

    /// Ends the program for an error that is not about usage, or for what the parser throws.
    private static func end(_ error: any Error) -> Never {
        switch error {
        case let failure as Failure: Console.fail(failure)
        case let error as ModelError: Console.fail(Failure("\(error)", hint: error.hint))
        case let error as GGUFError: Console.fail(Failure("\(error)", hint: error.hint))
        case let error as TokenizerError: Console.fail(Failure("\(error)"))
        default:
            do { try end(message(of: error)) } catch { end(error) }
        }
    }

    /// What the parser has to say: help and version are results, everything else is wrong usage.
    private static func end(_ message: ParserMessage) throws -> Never {
        if message.status == 0 {
            try Console.writeLine(message.text)
        } else {
            Console.note(message.text)
        }
        Console.end(message.status)
    }

    /// The default command would call it an unexpected argument.
    private static func refuseUnknownCommand() throws {
        guard let word = CommandLine.arguments.dropFirst().first, !word.hasPrefix("-") else { return }
        let names = configuration.subcommands.map { $0._commandName }
        guard word != "help", !names.contains(word) else { return }
        let isFile = word.hasSuffix(".gguf") || FileManager.default.fileExists(atPath: word)
        throw Failure(
            "unknown command: \(word) (expected one of \(names.joined(separator: ", ")))",
            hint: isFile ? "give a model with -m \(word)" : "'croissant-gguf --help' says what they do", status: 64)
    }
}

/// What the argument parser prints, and the exit status with it.
private struct ParserMessage {
    let text: String
    let status: Int32
}

extension ParsableCommand {
    static var _errorPrefix: String { Console.errorLabel + " " }

    fileprivate static func message(of error: any Error) -> ParserMessage {
        ParserMessage(text: fullMessage(for: error), status: exitCode(for: error).rawValue)
    }
}

/// Work that failed for a reason that a user can read.
struct Failure: Error {
    /// What is wrong, where, what was expected and what was found, in one line.
    let message: String
    /// What could be done about it.
    let hint: String?
    /// The exit status.
    let status: Int32

    init(_ message: String, hint: String? = nil, status: Int32 = 1) {
        self.message = message
        self.hint = hint
        self.status = status
    }

    /// The user pressed Ctrl-C, or the system asked the program to end.
    static var interrupted: Failure { Failure("interrupted", status: Interruption.status) }
}
