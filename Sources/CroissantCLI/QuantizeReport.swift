import Croissant
import Foundation
import GGUF
import TextTable

/// What became of the tensors of a file, or would.
struct QuantizeReport: Encodable {
    let input: String
    let output: String
    /// The recipe.
    let type: String
    let isDryRun: Bool
    let tensors: [Tensor]
    let weights: Int
    let bytesBefore: Int
    let bytesAfter: Int
    let bitsPerWeight: Double
    /// What weights were rounded by; absent where nothing but themselves.
    let calibration: Calibration?
    /// Seconds that the work took; absent where it was not done.
    let seconds: Double?
    /// The most memory that the process had, in bytes, where the system tells.
    let peakMemory: Int?

    struct Tensor: Encodable {
        let name: String
        let dimensions: [Int]
        let typeBefore: String
        let typeAfter: String
        /// The type that was asked for, where its blocks do not divide the rows.
        let substituted: String?
        /// How it was calibrated, where it was.
        let calibration: String?
        let bytesBefore: Int
        let bytesAfter: Int
    }

    struct Calibration: Encodable {
        let dataset: String
        let method: String
        let chunkLength: Int
        let chunks: Int
        let availableChunks: Int
        let tokens: Int
        /// Matrices, and those of them whose rounding errors were fed forward.
        let matrices: Int
        let secondOrderMatrices: Int
        /// Bytes by what they are for, those of a mapped file aside.
        let memory: [String: Int]
        let plannedMemory: Int

        fileprivate init(_ plan: CalibrationPlan, _ quantizer: Quantizer, _ items: [MemoryPlan.Item]) {
            let methods = quantizer.tensors.compactMap { plan.method(for: $0) }
            let own = items.filter { !$0.isFileBacked }
            dataset = plan.name
            method = plan.method.rawValue
            chunkLength = plan.chunkLength
            chunks = plan.chunkCount
            availableChunks = plan.availableChunks
            tokens = plan.tokenCount
            matrices = methods.count
            secondOrderMatrices = methods.count { $0 == .gptq }
            memory = Dictionary(own.map { ($0.name, $0.byteCount) }, uniquingKeysWith: +)
            plannedMemory = own.reduce(0) { $0 + $1.byteCount }
        }

        /// One line, and one about the memory.
        fileprivate var text: String {
            let parts = memory.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.filter { $0.value >= 1 << 20 }
                .map { "\($0.key) \(ByteCount($0.value))" }
            return """
                calibration: \(tokens) tokens of \(dataset.escaped), \(chunks) of \(availableChunks) chunks of \
                \(chunkLength); \(method), fed forward in \(secondOrderMatrices) of \(matrices) matrices
                calibration memory: \(ByteCount(plannedMemory)) (\(parts.joined(separator: ", ")))
                """
        }
    }

    /// A report about work that took so many seconds, or has not been done.
    init(_ quantizer: Quantizer, out: String, calibrationMemory: [MemoryPlan.Item], seconds: Double?) {
        input = quantizer.file.path
        output = out
        type = quantizer.options.mix.name
        isDryRun = seconds == nil
        tensors = quantizer.tensors.map { tensor in
            Tensor(
                name: tensor.source.name, dimensions: tensor.source.dimensions, typeBefore: tensor.source.type.name,
                typeAfter: tensor.type.name, substituted: tensor.substituted?.name,
                calibration: quantizer.calibration?.method(for: tensor)?.rawValue,
                bytesBefore: tensor.source.byteCount, bytesAfter: tensor.byteCount)
        }
        weights = quantizer.weights
        bytesBefore = quantizer.sourceBytes
        bytesAfter = quantizer.byteCount
        bitsPerWeight = weights == 0 ? 0 : 8 * Double(bytesAfter) / Double(weights)
        calibration = quantizer.calibration.map { Calibration($0, quantizer, calibrationMemory) }
        self.seconds = seconds
        peakMemory = HostMemory.peakResident
    }

    /// The tensors as a Markdown table, and what they take together.
    var table: String {
        let table = TextTable<Tensor> {
            [
                Column("tensor" <- $0.name.cell),
                Column("shape" <- $0.dimensions.map(String.init).joined(separator: " x ")),
                Column("type" <- $0.typeBefore),
                Column("new type" <- $0.typeAfter + ($0.substituted.map { " for \($0)" } ?? "")),
                Column("size" <- ByteCount($0.bytesBefore).description, align: .right),
                Column("new size" <- ByteCount($0.bytesAfter).description, align: .right),
            ]
        }
        let rows = table.string(for: tensors, style: Style.pipe) ?? "no tensors"
        return rows + "\n\(tensors.count) tensors, \(weights.abbreviated) weights: \(summary)"
            + (calibration.map { "\n" + $0.text } ?? "")
    }

    /// Sizes in one line.
    var summary: String {
        "\(ByteCount(bytesAfter)) of \(type) weights, \(bitsPerWeight.formatted(places: 2)) bits each, "
            + "from \(ByteCount(bytesBefore))"
    }

    /// Tells what the work took, and which types could not be had.
    func noteDetails() {
        let substituted = tensors.filter { $0.substituted != nil }.count
        if substituted > 0 {
            Console.note("\(substituted) of \(tensors.count) tensors have rows that blocks of their type do not divide")
        }
        if let calibration { Console.note(calibration.text) }
        if let seconds { Console.note(WorkCost(bytes: bytesBefore, seconds: seconds).text) }
    }
}
