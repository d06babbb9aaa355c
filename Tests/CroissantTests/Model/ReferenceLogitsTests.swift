import Croissant
import GGUF
import Testing

/// A file of random weights with the float64 logits of 48 tokens.
private struct ReferenceModel: Sendable, CustomTestStringConvertible {
    /// The part of the file's name that names the type, such as "Q4_K_M".
    let name: String
    let ids: [Int32]
    /// The mean divergence of llama.cpp on the same tokens: as one batch, and one by one.
    let peer: Peer

    struct Peer: Sendable, Decodable {
        let batch: Double
        let single: Double
    }

    var testDescription: String { name }
    var path: String { TestData.path("random-mha-\(name).gguf") }
    var logits: [Float] { get throws { try TestData.floats("random-mha-\(name).logits.f32") } }

    private struct Document: Decodable {
        let ids: [Int32]
        let llamaCppMeanKl: [String: Peer]
    }

    /// Every file that the document has figures for.
    static let all: [ReferenceModel] = {
        guard TestData.isPresent, let document = try? TestData.decode(Document.self, from: "random-mha-logits.json")
        else { return [] }
        return document.llamaCppMeanKl.sorted { $0.key < $1.key }.map { name, peer in
            ReferenceModel(name: name, ids: document.ids, peer: peer)
        }
    }()

    /// The types that there are files of.
    static let names = ["IQ4_XS", "Q2_K", "Q4_0", "Q4_K_M", "Q5_K_M", "Q8_0", "f32"]

    /// The mean divergence of the logits that a model with `options` gives for the first `count` tokens.
    func divergence(_ options: RuntimeOptions, count: Int? = nil) throws -> Double {
        let tokens = Array(ids.prefix(count ?? ids.count))
        var options = options
        options.contextLength = ids.count
        options.allLogits = true
        let model = try Model(contentsOf: path, options: options)
        var session = try Session(model)
        let columns = model.configuration.vocabularySize
        let reference = Array(try logits.prefix(tokens.count * columns))
        return meanDivergence(of: try session.allLogits(of: tokens), from: reference, columns: columns)
    }
}

@Suite("Reference logits", .enabled(if: TestData.isPresent, "needs ../shared/data"))
struct ReferenceLogitsTests {
    @Test("every file of the folder is among the models, and every type among the files")
    func files() throws {
        let models = ReferenceModel.all
        #expect(models.map(\.name) == ReferenceModel.names)
        let found = TestData.names.filter { $0.hasPrefix("random-mha-") && $0.hasSuffix(".gguf") }
        #expect(found == models.map { "random-mha-\($0.name).gguf" })
        for model in models {
            let types = Set(try GGUFFile(path: model.path).tensors.map(\.type))
            #expect(types.allSatisfy(Kernels.canCompute), "\(model.name)")
        }
    }

    @Test("with default options the logits are at least as near as llama.cpp's", arguments: ReferenceModel.all)
    fileprivate func defaults(model: ReferenceModel) throws {
        var options = RuntimeOptions()
        #expect(try model.divergence(options) <= model.peer.batch)
        options.batchSize = 1
        #expect(try model.divergence(options) <= model.peer.single)
    }

    @Test(
        "with a cache of floats, activations of 16 bits and floats come a hundred times nearer than llama.cpp",
        arguments: ReferenceModel.all, [ActivationPrecision.int16, .f32])
    fileprivate func precise(model: ReferenceModel, activations: ActivationPrecision) throws {
        var options = RuntimeOptions.exact(contextLength: 48, threads: 2)
        // Batches are as precise as decode: what the precision of prefill follows from, where nobody sets it.
        options.activations = activations
        for (batchSize, peer) in [(48, model.peer.batch), (1, model.peer.single)] {
            options.batchSize = batchSize
            let divergence = try model.divergence(options)
            // Floats meet floats: no activation is rounded, by llama.cpp either, and nothing is left to be better at.
            let limit = model.name == "f32" ? 2e-6 : peer / 100
            #expect(divergence <= limit, "batches of \(batchSize): \(divergence)")
        }
    }

    @Test(
        "with floats throughout the logits are the reference's on every path",
        arguments: ReferenceModel.all, InstructionSet.supported)
    fileprivate func exact(model: ReferenceModel, instructionSet: InstructionSet) throws {
        // Few tokens where they are multiplied one by one: a debug build takes its time for them.
        for (batchSize, count) in [(1, 8), (3, 9), (7, 21), (48, 48)] {
            var options = RuntimeOptions.exact(contextLength: 48, threads: 2)
            options.batchSize = batchSize
            options.instructionSet = instructionSet
            let divergence = try model.divergence(options, count: count)
            #expect(divergence <= 2e-6, "batches of \(batchSize): \(divergence)")
        }
    }
}
