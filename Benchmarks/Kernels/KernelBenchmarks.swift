import ArgumentParser
import Croissant
import Foundation
import GGUF
import TextTable

/// Measures the matrix products of the engine, type by type, against what the machine can do at best.
@main
struct KernelBenchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "KernelBenchmarks",
        abstract: "Measures products of weights and activations: type x kernels x layout x precision x tokens.",
        discussion: """
            Every row is a whole product as the engine computes it, rounding of activations and hand-over to threads \
            included, on matrices that together are larger than the caches. GB/s count the bytes of weights as they are \
            held; Gop/s count a product and its addition as two. The shares are of what the same threads read from \
            memory, and multiply on registers, in the same process just before and just after, again and again. Lists \
            are separated by commas.
            """)

    @Option(
        help: ArgumentHelp("Weight types. (default: all that can be made)", valueName: "list"), transform: tensorTypes)
    var types = List(ModelSynthesizer.types)

    @Option(help: ArgumentHelp("Kernel sets. (default: the best)", valueName: "list"), transform: instructionSetList)
    var isa = List([Kernels.bestInstructionSet])

    @Option(help: ArgumentHelp("Tokens in a batch. (default: 1,512)", valueName: "list"), transform: countList)
    var tokens = List([1, 512])

    @Option(
        help: ArgumentHelp(
            "What activations are held in; batches in f32 go through the BLAS. (default: int8,int16)", valueName: "list"
        ),
        transform: precisionList)
    var activations = List([ActivationPrecision.int8, .int16])

    @Option(
        help: ArgumentHelp("Matrices, rows x columns. (default: 5504x2048)", valueName: "list"), transform: shapeList)
    var shapes = List([MatrixShape(rows: 5504, columns: 2048)])

    @Option(
        help: ArgumentHelp(
            "How weights lie: panels (rows for types without), rows. (default: panels)", valueName: "list"),
        transform: layoutList)
    var layouts = List([WeightLayout.panels])

    @Option(name: .shortAndLong, help: "Threads. (default: physical cores within the container's quota)")
    var threads: Int?

    @Option(help: "MiB of weights that products go through, one matrix after the other.")
    var workingSet = 256

    @Option(help: "Seconds for the products of each row; the roofs take about two more.")
    var seconds = 0.5

    @Flag(help: "Print a JSON document.")
    var json = false

    func validate() throws {
        if let threads, !(1...ThreadPool.maximumThreads).contains(threads) {
            throw ValidationError("--threads: expected 1 to \(ThreadPool.maximumThreads), found \(threads)")
        }
        if !(1...1 << 16).contains(workingSet) { throw ValidationError("--working-set: expected 1 to 65536") }
        if !(seconds > 0 && seconds <= 3600) { throw ValidationError("--seconds: expected up to 3600") }
    }

    func run() throws {
        var rows: [BenchmarkRow] = []
        for shape in shapes.elements {
            for type in types.elements {
                guard shape.columns.isMultiple(of: type.blockSize) else {
                    leaveOut("\(type.name): rows of \(shape.columns) are not whole blocks of \(type.blockSize)")
                    continue
                }
                let file = try WeightFile(type: type, shape: shape, bytes: workingSet << 20)
                defer { file.remove() }
                for instructionSet in isa.elements {
                    // A type without panels is measured as it is computed with, in rows.
                    for layout in unique(layouts.elements.map { Panel.exists(for: type) ? $0 : .rows }) {
                        rows += try measure(file, instructionSet, layout)
                    }
                }
            }
        }
        if rows.isEmpty { throw ExitCode.failure }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        } else {
            print(BenchmarkRow.table.string(for: rows, style: Style.pipe) ?? "")
        }
    }

    private func measure(
        _ file: WeightFile, _ instructionSet: InstructionSet, _ layout: WeightLayout
    ) throws -> [BenchmarkRow] {
        var rows: [BenchmarkRow] = []
        // Weights that are not quantised meet floats, whatever is asked for; f32 asks for the BLAS.
        let isQuantized = Panel.exists(for: file.type)
        for precision in unique(activations.elements.map { isQuantized || $0 == .f32 ? $0 : .int8 }) {
            let benchmark = try ProductBenchmark(
                file, layout: layout, precision: precision, instructionSet: instructionSet,
                threads: threads ?? HostProcessors.recommendedThreads, tokens: tokens.elements.max() ?? 1)
            // A few vectors of floats meet rows only, and those that are not quantised without the BLAS.
            let isBatch = precision == .f32 && (layout == .panels || !isQuantized)
            for count in tokens.elements {
                if isBatch && count <= CPUBackend.vectorProducts {
                    leaveOut("\(file.type.name) in f32: the BLAS multiplies batches, not \(count) tokens")
                    continue
                }
                rows.append(try benchmark.measure(tokens: count, seconds: seconds))
            }
        }
        return rows
    }
}

/// Says what was asked for and is not measured.
private func leaveOut(_ what: String) {
    FileHandle.standardError.write(Data("left out: \(what)\n".utf8))
}

/// The elements without repetitions, in their order.
private func unique<Element: Equatable>(_ elements: [Element]) -> [Element] {
    elements.enumerated().filter { elements.firstIndex(of: $1) == $0 }.map(\.element)
}

/// The rows and columns of a matrix.
struct MatrixShape {
    let rows: Int
    let columns: Int
}

/// A list as the command line takes it.
struct List<Element> {
    let elements: [Element]

    init(_ elements: [Element]) { self.elements = elements }

    /// Reads elements separated by commas.
    init(_ text: String, _ element: (String) -> Element?) throws {
        elements = try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
            guard let value = element(String(word)) else { throw ValidationError("'\(word)' is none of them") }
            return value
        }
    }
}

private func tensorTypes(_ text: String) throws -> List<GGMLType> { try List(text) { GGMLType(name: $0) } }

private func precisionList(_ text: String) throws -> List<ActivationPrecision> {
    try List(text) { ActivationPrecision(rawValue: $0) }
}

private func countList(_ text: String) throws -> List<Int> {
    try List(text) { word in Int(word).flatMap { (1...1 << 16).contains($0) ? $0 : nil } }
}

private func instructionSetList(_ text: String) throws -> List<InstructionSet> {
    try List(text) { name in InstructionSet(rawValue: name).flatMap { Kernels.isSupported($0) ? $0 : nil } }
}

private func layoutList(_ text: String) throws -> List<WeightLayout> {
    try List(text) { ["panels": .panels, "rows": .rows][$0] }
}

private func shapeList(_ text: String) throws -> List<MatrixShape> {
    try List(text) { word in
        let sides = word.split(separator: "x").compactMap { Int($0) }
        guard sides.count == 2, sides.allSatisfy({ (1...1 << 20).contains($0) }) else { return nil }
        return MatrixShape(rows: sides[0], columns: sides[1])
    }
}
