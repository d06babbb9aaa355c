import ArgumentParser
import Croissant
import GGUF

/// Joins the parts of a file.
struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Joins the parts of a split GGUF file.")

    @Argument(
        help: ArgumentHelp("The first part; the others are found beside it.", valueName: "first"), completion: .model)
    var first: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"), completion: .file())
    var out: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        let file = try GGUFFile(path: first)
        if !output.quiet { file.warnOfRepairs() }
        let cost = try ProgressBar.show("merging", total: file.tensorBytes, output: output) {
            try file.merge(to: out, progress: $0)
        }
        if !output.quiet {
            let count = file.shardPaths.count
            Console.note(
                "wrote \(out.escaped): \(ByteCount(file.tensorBytes)) of weights from \(count) part\(count == 1 ? "" : "s")"
            )
        }
        if output.verbose { Console.note(cost.text) }
    }
}
