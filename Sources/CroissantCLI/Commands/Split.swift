import ArgumentParser
import Croissant
import GGUF

/// Splits a file into parts.
struct Split: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Splits a GGUF file into parts: prefix-00001-of-00003.gguf and so on.",
        discussion: "A program that is given the first part finds the others beside it.")

    @Argument(
        help: ArgumentHelp("A .gguf file, or the first part of a split one.", valueName: "in"), completion: .model)
    var input: String

    @Argument(help: ArgumentHelp("What the names of the parts begin with.", valueName: "prefix"))
    var prefix: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The most bytes of a part, such as 500MiB.", valueName: "size"), transform: byteCount)
    var maxSize: ByteCount?

    @Option(parsing: .unconditional, help: ArgumentHelp("The most tensors in a part.", valueName: "n"))
    var maxTensors: Int?

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard maxSize != nil || maxTensors != nil else {
            throw ValidationError("how large parts may be is missing: give --max-size or --max-tensors")
        }
        if let maxTensors { try requireRange("--max-tensors", maxTensors, 1...Int(Int32.max)) }
    }

    func run() throws {
        let splitter = try GGUFSplitter(
            try GGUFFile(path: input), prefix: prefix, maximumSize: maxSize?.bytes, maximumTensors: maxTensors)
        if !output.quiet { splitter.file.warnOfRepairs() }
        let cost = try ProgressBar.show("splitting", total: splitter.file.tensorBytes, output: output) {
            try splitter.write(progress: $0)
        }
        if !output.quiet {
            let count = splitter.shards.count
            let first = splitter.shards.path(at: 0).escaped
            Console.note("wrote \(first): the first of \(count) part\(count == 1 ? "" : "s")")
        }
        if output.verbose { Console.note(cost.text) }
    }
}
