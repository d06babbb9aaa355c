import Croissant
import Foundation
import GGUF

/// The test data beside the repository, which is not part of it.
enum TestData {
    private static let models: URL = {
        var root = URL(filePath: #filePath)
        for _ in 0..<5 { root.deleteLastPathComponent() }
        return root.appending(path: "shared/data/models")
    }()

    /// Whether the data is there.
    static let isPresent = FileManager.default.fileExists(atPath: path("random-mha-logits.json"))

    /// The path of a file among the models.
    static func path(_ name: String) -> String { models.appending(path: name).path(percentEncoded: false) }

    /// The names of the files among the models, sorted.
    static var names: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: models.path(percentEncoded: false)).sorted()) ?? []
    }

    /// A JSON file among the models.
    static func decode<Value: Decodable>(_ type: Value.Type, from name: String) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(contentsOf: URL(filePath: path(name))))
    }

    /// A file of little-endian floats among the models.
    static func floats(_ name: String) throws -> [Float] {
        let data = try Data(contentsOf: URL(filePath: path(name)))
        return stride(from: 0, to: data.count, by: 4).map { start in
            Float(bitPattern: data[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
    }
}

/// A new folder, to be removed in a `defer`.
struct TemporaryFolder {
    let path: String

    init() throws {
        // Finished files are flushed to the disk, which tests that write thousands of them must not wait for.
        let memory = URL(filePath: "/dev/shm", directoryHint: .isDirectory)
        let parent =
            FileManager.default.isWritableFile(atPath: memory.path) ? memory : FileManager.default.temporaryDirectory
        let url = parent.appending(path: "croissant-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path(percentEncoded: false)
    }

    /// Removes the folder and everything in it.
    func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder.
    func file(_ name: String) -> String { path + "/" + name }

    /// The names of everything in the folder.
    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// A model file taken apart, so that one thing of it can be changed before it is written again.
struct ModelFile {
    /// A tensor with its bytes.
    struct Tensor {
        var name: String
        var dimensions: [Int]
        var type: GGMLType
        var bytes: [UInt8]
    }

    var metadata: GGUFMetadata
    var tensors: [Tensor]

    /// Takes the file at `path` apart.
    init(path: String) throws {
        let file = try GGUFFile(path: path)
        metadata = file.metadata
        tensors = file.tensors.map { tensor in
            Tensor(
                name: tensor.name, dimensions: tensor.dimensions, type: tensor.type,
                bytes: unsafe file.bytes(of: tensor).withUnsafeBytes { unsafe Array($0) })
        }
    }

    /// A model of random weights.
    init(shape: ModelShape, type: GGMLType = .f32, seed: UInt64 = 1) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try ModelSynthesizer(shape: shape, type: type, seed: seed).write(to: folder.file("model.gguf"), threads: 1)
        try self.init(path: folder.file("model.gguf"))
    }

    /// Where the tensor of that name is in the list.
    func index(of name: String) throws -> Int {
        guard let index = tensors.firstIndex(where: { $0.name == name }) else { throw NoSuchTensor(name: name) }
        return index
    }

    /// Changes the tensor of that name.
    mutating func change(_ name: String, _ body: (inout Tensor) -> Void) throws { body(&tensors[try index(of: name)]) }

    /// Replaces the elements of a tensor by floats.
    mutating func set(_ name: String, to floats: [Float], dimensions: [Int]? = nil) throws {
        try change(name) { tensor in
            tensor.type = .f32
            tensor.dimensions = dimensions ?? tensor.dimensions
            tensor.bytes = bytes(of: floats)
        }
    }

    /// Makes it a file of another architecture, with the same sizes.
    mutating func rename(to architecture: String) {
        for key in metadata.keys where key.hasPrefix("llama.") {
            metadata[architecture + key.dropFirst("llama".count)] = metadata[key]
            metadata[key] = nil
        }
        metadata["general.architecture"] = .string(architecture)
    }

    /// Writes the file.
    func write(to path: String) throws {
        let declarations = tensors.map {
            GGUFWriter.Declaration(name: $0.name, dimensions: $0.dimensions, type: $0.type)
        }
        var writer = try GGUFWriter(path: path, metadata: metadata, tensors: declarations)
        for tensor in tensors { try writer.write(tensor.bytes.span, of: tensor.name) }
        try writer.finish()
    }

    /// Writes the file, loads it, and removes it: a mapping outlives the name.
    func load(_ options: RuntimeOptions = .small) throws -> Model {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try write(to: folder.file("model.gguf"))
        return try Model(contentsOf: folder.file("model.gguf"), options: options)
    }

    /// The error that loading the file gives; nil where it loads.
    func loadError(_ options: RuntimeOptions = .small) throws -> ModelError? {
        do {
            _ = try load(options)
            return nil
        } catch let error as ModelError {
            return error
        }
    }

    private struct NoSuchTensor: Error {
        let name: String
    }
}

extension RuntimeOptions {
    /// One thread, and buffers for models of a few kilobytes.
    static var small: RuntimeOptions {
        var options = RuntimeOptions(contextLength: 64)
        options.threads = 1
        options.batchSize = 16
        options.weights = .mapped
        return options
    }

    /// Floats throughout: activations and cache.
    static func exact(contextLength: Int, threads: Int = 1) -> RuntimeOptions {
        var options = RuntimeOptions(contextLength: contextLength)
        options.threads = threads
        options.activations = .f32
        options.keyType = .f32
        options.valueType = .f32
        return options
    }
}

extension ModelShape {
    /// A model of some hundred kilobytes with grouped queries.
    static let tiny = ModelShape(
        name: "tiny", contextLength: 128, embeddingLength: 64, layers: 2, feedForwardLength: 96, heads: 4,
        keyValueHeads: 2, vocabularySize: 512)
}

extension InstructionSet {
    /// Those that this machine can run.
    static let supported = allCases.filter(Kernels.isSupported)
}

extension Session {
    /// How many logits the last pass left.
    var logitCount: Int { logits.count }

    /// Feeds `tokens`, and returns the logits of the last one.
    mutating func logits(after tokens: [Int32]) throws -> [Float] {
        try evaluate(tokens)
        return array(logits)
    }

    /// Feeds `tokens` in passes of the batch size, and returns the logits of every position, one after the other.
    mutating func allLogits(of tokens: [Int32]) throws -> [Float] {
        var all: [Float] = []
        try evaluateAll(tokens) { _, logits in all += array(logits) }
        return all
    }
}

/// The elements of a span.
func array(_ span: Span<Float>) -> [Float] { span.indices.map { span[$0] } }

/// The bytes of floats as a file holds them.
func bytes(of floats: [Float]) -> [UInt8] {
    floats.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
}

/// The largest difference of two lists of the same length; infinite where it is no number.
func largestDifference(_ left: [Float], _ right: [Float]) -> Float {
    guard left.count == right.count else { return .infinity }
    var largest: Float = 0
    for (a, b) in zip(left, right) {
        guard !(a - b).isNaN else { return .infinity }
        largest = max(largest, abs(a - b))
    }
    return largest
}

/// The mean over rows of `columns` logits of the Kullback-Leibler divergence, reference || other, in nats.
func meanDivergence(of logits: [Float], from reference: [Float], columns: Int) -> Double {
    guard logits.count == reference.count, !logits.isEmpty else { return .infinity }
    func logSoftmax(_ row: ArraySlice<Float>) -> [Double] {
        let largest = Double(row.max() ?? 0)
        let sum = row.reduce(0) { $0 + exp(Double($1) - largest) }
        return row.map { Double($0) - largest - log(sum) }
    }
    var total = 0.0
    for start in stride(from: 0, to: logits.count, by: columns) {
        let p = logSoftmax(reference[start..<start + columns])
        let q = logSoftmax(logits[start..<start + columns])
        for (p, q) in zip(p, q) { total += exp(p) * (p - q) }
    }
    return total / Double(logits.count / columns)
}
