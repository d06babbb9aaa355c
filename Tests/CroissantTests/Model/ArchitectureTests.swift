import Croissant
import Foundation
import GGUF
import Testing

/// A tiny random model with changes of its metadata and tensors, and what its logits are in float64; `make_golden.py`
/// beside the files made both, and compared them with llama.cpp's.
private struct Variant: Sendable, Decodable, CustomTestStringConvertible {
    let name: String
    let file: String
    let ids: [Int32]
    /// Keys that are added or replaced.
    let metadata: [String: Value]
    /// Tensors that are left out.
    let removed: [String]
    /// The mean divergence of llama.cpp with its default settings, where it computes this variant.
    let llamaCpp: Peer?

    struct Peer: Sendable, Decodable {
        let batch: Double
        let single: Double
    }

    /// A value of the metadata.
    struct Value: Sendable, Decodable {
        let value: GGUFValue

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let integer = try? container.decode(UInt32.self) {
                value = .uint32(integer)
            } else if let number = try? container.decode(Float.self) {
                value = .float32(number)
            } else {
                value = .string(try container.decode(String.self))
            }
        }
    }

    var testDescription: String { name }

    private static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Golden")

    /// All of them, with the logits (tokens, vocabulary) of each.
    static let all = Result {
        let data = try Data(contentsOf: folder.appending(path: "variants.json"))
        return try JSONDecoder().decode([Variant].self, from: data)
    }

    static let list = (try? all.get()) ?? []

    /// The logits of the reference.
    func logits() throws -> [Float] {
        let data = try Data(contentsOf: Self.folder.appending(path: "logits.f32"))
        let index = Self.list.firstIndex { $0.name == name } ?? 0
        let size = data.count / Self.list.count
        return stride(from: index * size, to: (index + 1) * size, by: 4).map { start in
            Float(bitPattern: data[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
    }

    /// The model file.
    func modelFile() throws -> ModelFile {
        var result = try ModelFile(path: Self.folder.appending(path: file).path(percentEncoded: false))
        for (key, value) in metadata { result.metadata[key] = value.value }
        for name in removed { result.tensors.remove(at: try result.index(of: name)) }
        return result
    }

    /// The divergence of the last position's logits alone, of a model with `options`, from the reference.
    func lastDivergence(_ options: RuntimeOptions) throws -> Double {
        let model = try modelFile().load(options)
        var session = try Session(model)
        let last = try session.logits(after: ids)
        return meanDivergence(of: last, from: Array(try logits().suffix(last.count)), columns: last.count)
    }

    /// The mean divergence of the logits of a model with `options` from the reference.
    func divergence(_ options: RuntimeOptions) throws -> Double {
        var options = options
        options.contextLength = ids.count
        options.allLogits = true
        let model = try modelFile().load(options)
        var session = try Session(model)
        return meanDivergence(
            of: try session.allLogits(of: ids), from: try logits(), columns: model.configuration.vocabularySize)
    }
}

@Suite("Architectures against float64 and llama.cpp")
struct ArchitectureTests {
    @Test("every architecture of the table has a golden file")
    func complete() throws {
        let names = try Variant.all.get().map { $0.file }
        #expect(names.count == 11)
        for architecture in Architecture.all { #expect(names.contains("\(architecture.name).gguf")) }
    }

    @Test("with floats throughout the logits are the reference's on every path", arguments: Variant.list)
    fileprivate func exact(variant: Variant) throws {
        for instructionSet in InstructionSet.supported {
            for (batchSize, weights) in [(1, WeightPlacement.mapped), (3, .resident), (7, .mapped), (24, .resident)] {
                var options = RuntimeOptions.exact(contextLength: variant.ids.count, threads: 2)
                options.batchSize = batchSize
                options.weights = weights
                options.instructionSet = instructionSet
                let divergence = try variant.divergence(options)
                #expect(divergence <= 2e-6, "\(instructionSet), batches of \(batchSize): \(divergence)")
                let last = try variant.lastDivergence(options)
                #expect(last <= 2e-6, "the last alone, \(instructionSet), batches of \(batchSize): \(last)")
            }
        }
    }

    @Test(
        "one by one, with default options, the logits are at least as near as llama.cpp's",
        arguments: Variant.list.filter { $0.llamaCpp != nil })
    fileprivate func oneByOne(variant: Variant) throws {
        let peer = try #require(variant.llamaCpp)
        var options = RuntimeOptions()
        options.threads = 2
        options.batchSize = 1
        #expect(try variant.divergence(options) <= peer.single)
    }

    @Test("as a batch, with default options, the logits are as near as llama.cpp's")
    func batch() throws {
        // Both round the activations of a batch to 8 bits. On 24 tokens of one model chance decides who is nearer, by a
        // factor of up to two, on all of them together it does not.
        var ours = 0.0
        var theirs = 0.0
        for variant in Variant.list {
            guard let peer = variant.llamaCpp else { continue }
            var options = RuntimeOptions()
            options.threads = 2
            let divergence = try variant.divergence(options)
            #expect(divergence <= 3 * peer.batch, "\(variant): \(divergence), llama.cpp \(peer.batch)")
            ours += divergence
            theirs += peer.batch
        }
        #expect(ours <= 1.2 * theirs, "\(ours), llama.cpp \(theirs)")
    }

    @Test("a model takes text and gives text", arguments: Architecture.all.map(\.name))
    func text(architecture: String) throws {
        let variant = try #require(Variant.list.first { $0.file == "\(architecture).gguf" })
        let model = try variant.modelFile().load(.exact(contextLength: 64))
        #expect(model.configuration.architectureName == architecture)
        // The reference for what follows is the model itself, one token at a time.
        var generation = try Generator(
            try Session(model), prompt: "the le, quand", sampling: .greedy, limits: GenerationLimits(maximumTokens: 8))
        while try generation.nextToken() != nil {}
        let prompt = try #require(model.tokenizer).encode("the le, quand")
        var session = try Session(model)
        var expected: [Int32] = []
        var logits: [Float] = []
        for token in prompt { logits = try session.logits(after: [token]) }
        while expected.count < generation.tokens.count {
            let best = Sampler.argmax(logits.span)
            expected.append(best)
            logits = try session.logits(after: [best])
        }
        #expect(generation.tokens == expected)
    }

    @Test("the plan counts biases and norms of heads", arguments: Architecture.all.map(\.name))
    func plan(architecture: String) throws {
        let variant = try #require(Variant.list.first { $0.file == "\(architecture).gguf" })
        let file = try variant.modelFile()
        let model = try file.load()
        let vectors = file.tensors.filter { $0.dimensions.count == 1 }.map(\.bytes.count).reduce(0, +)
        #expect(model.allocations["norms"] == vectors)
        #expect(model.plan.items.first { $0.name == "norms" }?.byteCount == vectors)
    }
}
