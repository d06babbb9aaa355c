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
        let bytesBefore: Int
        let bytesAfter: Int
    }

    /// A report about work that took so many seconds, or has not been done.
    init(_ quantizer: Quantizer, out: String, seconds: Double?) {
        input = quantizer.file.path
        output = out
        type = quantizer.options.mix.name
        isDryRun = seconds == nil
        tensors = quantizer.tensors.map { tensor in
            Tensor(
                name: tensor.source.name, dimensions: tensor.source.dimensions, typeBefore: tensor.source.type.name,
                typeAfter: tensor.type.name, substituted: tensor.substituted?.name,
                bytesBefore: tensor.source.byteCount, bytesAfter: tensor.byteCount)
        }
        weights = quantizer.weights
        bytesBefore = quantizer.sourceBytes
        bytesAfter = quantizer.byteCount
        bitsPerWeight = weights == 0 ? 0 : 8 * Double(bytesAfter) / Double(weights)
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
        if let seconds { Console.note(WorkCost(bytes: bytesBefore, seconds: seconds).text) }
    }
}
