import Croissant
import GGUF
import TextTable

/// What became of the tensors of a checkpoint, or would.
struct ConvertReport: Encodable {
    /// The folder.
    let input: String
    let output: String
    /// The recipe.
    let type: String
    let isDryRun: Bool
    let tensors: [Tensor]
    let weights: Int
    /// Bytes of all tensors in the file.
    let bytesAfter: Int
    let bitsPerWeight: Double
    /// What was left out of the file.
    let warnings: [String]
    /// Seconds that the work took; absent where it was not done.
    let seconds: Double?
    /// The most memory that the process had, in bytes, where the system tells.
    let peakMemory: Int?

    struct Tensor: Encodable {
        let name: String
        let dimensions: [Int]
        /// The name in the checkpoint; absent for tensors that follow from its configuration, as is the type.
        let checkpointName: String?
        let typeBefore: String?
        let typeAfter: String
        let bytesAfter: Int
    }

    /// A report about work that took so many seconds, or has not been done.
    init(_ converter: ModelConverter, folder: String, out: String, seconds: Double?) {
        input = folder
        output = out
        type = converter.mix.name
        isDryRun = seconds == nil
        tensors = converter.tensors.map { tensor in
            Tensor(
                name: tensor.declaration.name, dimensions: tensor.declaration.dimensions,
                checkpointName: tensor.checkpointName,
                typeBefore: tensor.checkpointName.map { _ in tensor.sourceType.name },
                typeAfter: tensor.declaration.type.name, bytesAfter: tensor.byteCount)
        }
        weights = tensors.reduce(0) { $0 + $1.dimensions.reduce(1, *) }
        bytesAfter = converter.tensorBytes
        bitsPerWeight = weights == 0 ? 0 : 8 * Double(bytesAfter) / Double(weights)
        warnings = converter.warnings
        self.seconds = seconds
        peakMemory = HostMemory.peakResident
    }

    /// The tensors as a Markdown table, and what they take together.
    var table: String {
        let table = TextTable<Tensor> {
            [
                Column("tensor" <- $0.name),
                Column("shape" <- $0.dimensions.map(String.init).joined(separator: " x ")),
                Column("type" <- $0.typeBefore ?? ""), Column("new type" <- $0.typeAfter),
                Column("new size" <- ByteCount($0.bytesAfter).description, align: .right),
            ]
        }
        return (table.string(for: tensors, style: Style.pipe) ?? "")
            + "\n\(tensors.count) tensors, \(weights.abbreviated) weights: \(summary)"
    }

    /// The size in words.
    var summary: String {
        "\(ByteCount(bytesAfter)) of \(type) weights, \(bitsPerWeight.formatted(places: 2)) bits each"
    }
}
