import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Says what memory a model needs.
struct Budget: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the memory that a model needs, before it is loaded.",
        discussion: """
            For a file, or for a shape with --type: what the memory is for, and the budgets that hold it. For a shape \
            alone: every published type, context and type of cached keys and values. Then what this machine has, and \
            the best choice for it. The numbers are those that --memory-budget of other commands goes by: the most \
            that the process will have in memory, its own code included, but for the logits that perplexity, and \
            --draft and --logits of generate, keep.


            """ + ShapeArgument.fileHelp)

    @Argument(
        help: ArgumentHelp("A .gguf file, or the first part of a split one.", valueName: "file"), completion: .model)
    var file: String?

    @Option(help: "A shape by name (\(ShapeArgument.names)), or a FILE.json. (default: croissant)")
    var shape: ShapeArgument?

    @Option(
        help: ArgumentHelp("What the matrices of the shape are quantised to. (default: every type)", valueName: "type"),
        completion: .types, transform: quantizationMix)
    var type: QuantizationMix?

    @Flag(help: "Print a JSON document.")
    var json = false

    @OptionGroup(title: "Runtime") var runtime: RuntimeArguments

    func validate() throws {
        if file != nil && shape != nil {
            throw ValidationError("a file has a shape of its own: give FILE or --shape")
        }
        if file != nil && type != nil {
            throw ValidationError("a file has types of its own: give FILE or --type")
        }
        if file == "" { throw ValidationError("the path is empty: expected a GGUF file") }
        try shape?.validate()
    }

    func run() throws {
        let report: BudgetReport
        if let file {
            let gguf = try GGUFFile(path: file)
            report = try BudgetReport(runtime, name: gguf.path) { options throws(ModelError) in
                try MemoryPlan(file: gguf, options: options)
            }
        } else {
            let shape = try (shape ?? .croissant).shape()
            let planner = try ShapePlanner(shape)
            if let type {
                report = try BudgetReport(
                    runtime, name: shape.name, type: type, planning: planner.model(in: type).plan)
            } else {
                report = try BudgetReport(runtime, planner)
            }
        }
        if json { try Console.writeJSON(report) } else { try report.write() }
    }
}
