import ArgumentParser
import Croissant
import Foundation
import GGUF

/// The text that weights are rounded by.
struct CalibrationArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A text like what the model will read and write, up to 1 GiB: weights are rounded so that what the model makes of this text changes least. The file is as large as without, and nearer to the original.",
            valueName: "file"), completion: .file())
    var calibration: String?

    @Option(
        help: ArgumentHelp(
            "gptq feeds rounding errors forward to weights that make up for them; importance only weighs each error by the input that it meets. (default: gptq)",
            valueName: "how"))
    var calibrationMethod: Quantizer.Calibration.Method?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens in a chunk of the text. (default: 512, or what the model was trained for)", valueName: "n"))
    var calibrationContext: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The most chunks to take, from all over the text. (default: 64)", valueName: "n"))
    var calibrationChunks: Int?

    func validate() throws {
        if let calibrationContext {
            try requireRange("--calibration-context", calibrationContext, Quantizer.Calibration.contextLengths)
        }
        if let calibrationChunks { try requireRange("--calibration-chunks", calibrationChunks, 1...1 << 20) }
        guard calibration == nil else { return }
        let others: [(name: String, isGiven: Bool)] = [
            ("method", calibrationMethod != nil), ("context", calibrationContext != nil),
            ("chunks", calibrationChunks != nil),
        ]
        if let other = others.first(where: \.isGiven) {
            throw ValidationError("--calibration-\(other.name) needs a text: --calibration FILE")
        }
    }

    /// The settings; nil where there is no text.
    func settings() throws -> Quantizer.Calibration? {
        guard let calibration else { return nil }
        let text = try TextInput.file(calibration)
        // The name without the folders, which are nobody else's business: it goes into the file.
        var settings = Quantizer.Calibration(
            text: text, name: URL(filePath: calibration).lastPathComponent, path: calibration)
        if let calibrationMethod { settings.method = calibrationMethod }
        settings.contextLength = calibrationContext
        if let calibrationChunks { settings.chunks = calibrationChunks }
        return settings
    }
}

extension CalibrationPlan {
    /// Says what a user should know before it begins.
    func warn(about quantizer: Quantizer) {
        if droppedCharacters > 0 {
            Console.warn(
                "the vocabulary has no token for \(droppedCharacters) characters of the text, which were left out")
        }
        let calibrated = quantizer.tensors.filter { method(for: $0) != nil }
        if calibrated.isEmpty { Console.warn("nothing to calibrate: no matrix gets a type with scales") }
        if let tensor = calibrated.first(where: { $0.source.type.blockSize > 1 }) {
            Console.warn(
                "calibrated with weights that are quantised already, such as \(tensor.source.name.escaped) in \(tensor.source.type.name): their errors stay"
            )
        }
        if chunkLength > trainedLength {
            Console.warn(
                "chunks of \(chunkLength) tokens are longer than the \(trainedLength) the model was trained for")
        }
        let longest = calibrated.map(\.source.columns).max() ?? 0
        if method == .gptq && tokenCount < longest {
            Console.warn(
                "\(tokenCount) tokens to calibrate with are few for matrices with \(longest) columns: a longer text does better"
            )
        }
        let others = Set(calibrated.filter { method(for: $0) != method }.map(\.type.name)).sorted()
        if !others.isEmpty {
            Console.note(
                "weights of \(others.joined(separator: ", ")) are not rounded one by one: those matrices are calibrated by importance"
            )
        }
    }
}
