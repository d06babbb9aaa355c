import ArgumentParser
import Croissant
import GGUF

/// Changes metadata.
struct Edit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a GGUF file again with other metadata.",
        discussion: """
            A key of the file keeps the type of its value; a new key needs one: --set general.author:str=Anna. Types \
            are \(MetadataAssignment.typeNames), and arrays of them, such as --set 'general.tags:[str]=["a", "b"]'. \
            What would turn a file that loads into one that does not is refused.
            """)

    @Argument(
        help: ArgumentHelp("A .gguf file, or the first part of a split one.", valueName: "in"), completion: .model)
    var input: String

    @Argument(help: ArgumentHelp("The file to write.", valueName: "out"), completion: .file())
    var out: String

    @Option(
        help: ArgumentHelp("Give a key a value; may be repeated.", valueName: "key[:type]=value"),
        transform: MetadataAssignment.init)
    var set: [MetadataAssignment] = []

    @Option(help: ArgumentHelp("Remove a key; may be repeated.", valueName: "key"))
    var remove: [String] = []

    @OptionGroup var output: OutputOptions

    func validate() throws {
        let keys = set.map(\.key) + remove
        if keys.isEmpty { throw ValidationError("nothing to change: give --set KEY=VALUE or --remove KEY") }
        var seen: Set<String> = []
        for key in keys where !seen.insert(key).inserted {
            throw ValidationError("'\(key)' is given twice")
        }
    }

    func run() throws {
        let file = try GGUFFile(path: input)
        let edit = try MetadataEdit(
            of: file, setting: try set.map { ($0.key, try $0.value(in: file.metadata)) }, removing: remove)
        if !output.quiet { file.warnOfRepairs(replaced: set.map(\.key) + remove) }
        let cost = try ProgressBar.show("writing", total: file.tensorBytes, output: output) {
            try file.copy(to: out, metadata: edit.metadata, progress: $0)
        }
        if !output.quiet {
            let count = set.count + remove.count
            Console.note("wrote \(out.escaped): \(count) key\(count == 1 ? "" : "s") changed")
        }
        if output.verbose { Console.note(cost.text) }
    }
}
