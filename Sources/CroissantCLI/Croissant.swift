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
        Interruption.install()
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as Failure {
            Console.fail(error)
        } catch let error as ModelError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as GGUFError {
            Console.fail(Failure("\(error)", hint: error.hint))
        } catch let error as TokenizerError {
            Console.fail(Failure("\(error)"))
        } catch {
            exit(withError: error)
        }
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

    /// The user pressed Ctrl-C.
    static let interrupted = Failure("interrupted", status: 130)
}
