import Croissant
import GGUF
import Testing

@Suite("Memory is a contract")
struct MemoryPlanTests {
    /// Options that differ in everything that a plan depends on.
    private static let settings: [RuntimeOptions] = {
        var settings: [RuntimeOptions] = []
        let caches: [(GGMLType, GGMLType)] = [(.f16, .f16), (.f32, .f32), (.f32, .f16), (.bf16, .f32)]
        var index = 0
        for context in [1, 7, 64, 1000] {
            for batch in [1, 4, 5, 33, 512] {
                for threads in [1, 2, 3] {
                    var options = RuntimeOptions(contextLength: context)
                    options.batchSize = batch
                    options.threads = threads
                    (options.keyType, options.valueType) = caches[index % caches.count]
                    options.allLogits = index % 3 == 0
                    options.draftTokens = index % 5
                    options.weights = index % 2 == 0 ? .mapped : .resident
                    settings.append(options)
                    index += 1
                }
            }
        }
        return settings
    }()

    @Test("what is allocated is what was planned, to the byte", arguments: [GGMLType.f32, .q8_0])
    func allocations(type: GGMLType) throws {
        var file = try ModelFile(shape: .tiny, type: type)
        file.tensors.append(
            .init(
                name: "rope_freqs.weight", dimensions: [8], type: .f32, bytes: bytes(of: Array(repeating: 1, count: 8)))
        )
        for options in Self.settings {
            let model = try file.load(options)
            let session = try Session(model)
            var real = model.allocations.merging(session.allocations) { $0 + $1 }
            let weights = try #require(session.plan.items.first { $0.name == "weights" })
            #expect(weights.isFileBacked == (options.weights == .mapped))
            if weights.isFileBacked {
                #expect(real["weights"] == 0)
                real["weights"] = file.tensors.reduce(0) { $0 + ($1.dimensions.count == 2 ? $1.bytes.count : 0) }
            }
            var planned = Dictionary(uniqueKeysWithValues: session.plan.items.map { ($0.name, $0.byteCount) })
            #expect(session.plan.byteCount == planned.values.reduce(0, +))
            #expect(model.plan.byteCount == session.plan.byteCount)
            // Arrays have what the allocator has rounded up.
            let tokenizer = planned.removeValue(forKey: "tokenizer") ?? 0
            let held = real.removeValue(forKey: "tokenizer") ?? 0
            #expect(held >= tokenizer && held <= tokenizer + 16 * 16)
            let process = planned.removeValue(forKey: "process") ?? 0
            #expect(process == MemoryPlan.processBytes + session.plan.threads * MemoryPlan.threadBytes)
            if let reading = planned.removeValue(forKey: "reading") {
                let staging = WeightStore.stagingBytes(of: session.plan.matrices, threads: session.plan.threads)
                #expect(reading == staging - session.plan.sessionBytes)
            }
            #expect(planned == real, "\(options)")
        }
    }

    @Test("a session with another context is planned anew")
    func otherContext() throws {
        let model = try ModelFile(shape: .tiny).load()
        let session = try Session(model, contextLength: 9)
        #expect(session.contextLength == 9)
        let planned = Dictionary(uniqueKeysWithValues: session.plan.items.map { ($0.name, $0.byteCount) })
        for (name, bytes) in session.allocations { #expect(planned[name] == bytes) }
        // Two layers of two heads of 16, keys and values of two bytes.
        #expect(planned["KV cache"] == 9 * 2 * 2 * 16 * 2 * 2)
    }

    @Test("the plan of a file is the plan of its model")
    func planOfFile() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try ModelFile(shape: .tiny).write(to: folder.file("model.gguf"))
        let plan = try MemoryPlan(file: GGUFFile(path: folder.file("model.gguf")), options: .small)
        let model = try Model(contentsOf: folder.file("model.gguf"), options: .small)
        #expect(plan.items.map(\.byteCount) == model.plan.items.map(\.byteCount))
        #expect(plan.contextLength == 64 && plan.batchSize == 16 && plan.threads == 1)
    }

    @Test(
        "the plan of a shape is the plan of the file that it would be written to",
        arguments: ["F32", "Q4_0", "Q4_K_M"])
    func planOfShape(name: String) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 256
        let mix = try #require(QuantizationMix(name: name))
        try ModelSynthesizer(shape: shape, mix: mix).write(to: folder.file("model.gguf"), threads: 1)
        let file = try GGUFFile(path: folder.file("model.gguf"))
        let model = try ShapePlanner(shape).model(in: mix)
        #expect(model.weightBytes == file.tensors.reduce(0) { $0 + $1.byteCount })
        for placement in WeightPlacement.allCases {
            var options = RuntimeOptions.small
            options.weights = placement
            let planned = try model.plan(options).items
            let real = try MemoryPlan(file: file, options: options).items
            #expect(planned.map(\.name) == real.map(\.name))
            #expect(planned.map(\.byteCount) == real.map(\.byteCount))
        }
    }

    @Test("the BLAS is planned for where it multiplies: asked for, or for a quantised matrix beside a gate of floats")
    func blas() throws {
        /// Whether a batch of `tokens` needs it where gates are of one type and what they gate of another.
        func usesBLAS(_ gate: GGMLType, _ up: GGMLType, tokens: Int, _ prefill: PrefillMethod) throws -> Bool {
            var file = try ModelFile(shape: .tiny, type: gate)
            let other = try ModelFile(shape: .tiny, type: up)
            file.tensors = file.tensors.map { tensor in
                tensor.name.hasSuffix("ffn_up.weight")
                    ? other.tensors.first { $0.name == tensor.name } ?? tensor : tensor
            }
            var options = RuntimeOptions.small
            (options.batchSize, options.prefill) = (tokens, prefill)
            let plan = try file.load(options).plan
            return plan.scratch.usesBLAS
        }
        #expect(try !usesBLAS(.f16, .f16, tokens: 9, .int8))
        #expect(try !usesBLAS(.f16, .bf16, tokens: 9, .int16))
        #expect(try !usesBLAS(.q8_0, .q4_0, tokens: 9, .int8))
        #expect(try usesBLAS(.f16, .q8_0, tokens: 9, .int8))
        #expect(try usesBLAS(.q8_0, .f16, tokens: 9, .int16))
        #expect(try usesBLAS(.f16, .f16, tokens: 9, .sgemm))
        #expect(try !usesBLAS(.f16, .q8_0, tokens: 8, .int8))
        #expect(try !usesBLAS(.f16, .f16, tokens: 8, .sgemm))
    }

    @Test("weights pass through buffers that the plan counts where they are larger than a session")
    func staging() throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 1024
        let file = try ModelFile(shape: shape, type: .q8_0)
        var options = RuntimeOptions(contextLength: 1)
        (options.threads, options.batchSize, options.weights) = (4, 1, .resident)
        let plan = try file.load(options).plan
        let reading = try #require(plan.items.first { $0.name == "reading" })
        let staging = WeightStore.stagingBytes(of: plan.matrices, threads: 4)
        #expect(reading.byteCount == staging - plan.sessionBytes)
        options.contextLength = 4096
        #expect(!(try file.load(options).plan.items.contains { $0.name == "reading" }))
    }

    @Test("a session beyond the budget is refused too")
    func budgetOfSession() throws {
        let file = try ModelFile(shape: .tiny)
        var options = RuntimeOptions.small
        options.memoryBudget = ByteCount(try file.load(options).plan.byteCount)
        let model = try file.load(options)
        _ = try Session(model)
        #expect(throws: ModelError.self) { _ = try Session(model, contextLength: 65) }
    }

    @Test("where a resident copy is over the budget, the weights stay in their file")
    func fallsBackToMapping() throws {
        // Matrices of 513 rows of 72 halves end within a cache line, which only the resident copy fills up.
        var shape = ModelShape.tiny
        shape.embeddingLength = 72
        shape.vocabularySize = 513
        let file = try ModelFile(shape: shape, type: .f16)
        var options = RuntimeOptions.small
        options.weights = .resident
        let resident = try file.load(options).plan
        options.weights = .mapped
        let mapped = try file.load(options).plan
        try #require(mapped.byteCount < resident.byteCount)

        options.weights = nil
        #expect(try file.load(options).plan.weights == .resident)
        options.memoryBudget = ByteCount(resident.byteCount)
        #expect(try file.load(options).plan.weights == .resident)
        options.memoryBudget = ByteCount(resident.byteCount - 1)
        #expect(try file.load(options).plan.weights == .mapped)
        options.memoryBudget = ByteCount(mapped.byteCount)
        #expect(try file.load(options).plan.weights == .mapped)
        options.memoryBudget = ByteCount(mapped.byteCount - 1)
        #expect(try file.loadError(options) != nil)
        options.memoryBudget = ByteCount(resident.byteCount - 1)
        options.weights = .resident
        #expect(try file.loadError(options) != nil, "what was asked for is not changed silently")
    }

    @Test("where larger panels are over the budget, rows stay rows; where a copy is, the weights stay in their file")
    func fallsBackToRows() throws {
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.feedForwardLength = 256
        shape.vocabularySize = 513
        let file = try ModelFile(shape: shape, type: .iq2_xxs)
        var options = RuntimeOptions.small
        options.weights = .resident
        let roomy = try file.load(options).plan
        options.memoryBudget = ByteCount(roomy.byteCount - 1)
        let tight = try file.load(options)
        #expect(tight.plan.byteCount < roomy.byteCount && tight.plan.weights == .resident)
        #expect(roomy.matrices.contains { $0.layout == .panels })
        #expect(tight.plan.matrices.allSatisfy { $0.layout == .rows })
        #expect(tight.allocations["weights"] == tight.plan.items.first { $0.name == "weights" }?.byteCount)
        // A session is planned with the weights as they are held, not as they might be.
        _ = try Session(tight)
        options.memoryBudget = ByteCount(tight.plan.byteCount - 1)
        #expect(try file.loadError(options) != nil)
        options.weights = nil
        #expect(try file.load(options).plan.weights == .mapped)
    }

    @Test(
        "sizes print with a unit and are read back",
        arguments: [
            ("12B", 12, "12 B"), ("1.5 KiB", 1536, "1.5 KiB"), ("774MiB", 774 << 20, "774.0 MiB"),
            ("1.33GiB", 1_428_076_625, "1.33 GiB"), ("2k", 2048, "2.0 KiB"), ("800MB", 800_000_000, "762.9 MiB"),
            ("1000000", 1_000_000, "976.6 KiB"),
        ])
    func byteCounts(text: String, bytes: Int, printed: String) {
        #expect(ByteCount(parsing: text)?.bytes == bytes)
        #expect("\(ByteCount(bytes))" == printed)
    }

    @Test("what is no size is none", arguments: ["", "GiB", "-1", "nan", "inf", "1e30GiB", "12 parsecs", "0x"])
    func noByteCounts(text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    // MARK: Options

    @Test("options that make no sense are errors that name them")
    func options() throws {
        let file = try ModelFile(shape: .tiny)
        func name(_ change: (inout RuntimeOptions) -> Void) throws -> String? {
            var options = RuntimeOptions.small
            change(&options)
            guard case .invalidOption(let name, _, _) = try file.loadError(options) else { return nil }
            return name
        }
        for threads in [0, -1, 513, .max] { #expect(try name { $0.threads = threads } == "threads") }
        for length in [0, -1, .min, .max, 1 << 24 + 1] {
            #expect(try name { $0.contextLength = length } == "context length")
        }
        for size in [0, -1, .max] { #expect(try name { $0.batchSize = size } == "batch size") }
        // Heads are shorter than a block of the last two.
        for type in [GGMLType.i8, .q8_K, .q5_0, .iq1_s, .f64, .q8_0, .q4_0] {
            #expect(try name { $0.keyType = type } == "key cache type", "\(type)")
            #expect(try name { $0.valueType = type } == "value cache type", "\(type)")
        }
        if let missing = InstructionSet.allCases.first(where: { !Kernels.isSupported($0) }) {
            #expect(try name { $0.instructionSet = missing } == "instruction set")
        }
    }

    @Test("a plan that its container has no room for is refused; pages of a mapped file are not counted")
    func container() throws {
        let file = try ModelFile(shape: .tiny)
        for placement in WeightPlacement.allCases {
            var options = RuntimeOptions.small
            options.weights = placement
            let plan = try file.load(options).plan
            let mapped = placement == .mapped ? plan.items.first { $0.name == "weights" }?.byteCount : 0
            let needed = try plan.byteCount - #require(mapped)
            try plan.check(containerLimit: nil)
            try plan.check(containerLimit: needed)
            // As the kernel rounds what is written to a control group's limit.
            let wholePages = needed - needed % HostMemory.pageSize
            try plan.check(containerLimit: wholePages)
            #expect(throws: ModelError.overContainer(needed: needed, limit: wholePages - 1)) {
                try plan.check(containerLimit: wholePages - 1)
            }
        }
    }

    @Test("a context that no address space holds is an error, not a crash")
    func outOfMemory() throws {
        var shape = ModelShape.tiny
        shape.layers = 1 << 10
        shape.embeddingLength = 1 << 13
        shape.heads = 1
        shape.keyValueHeads = 1
        var options = RuntimeOptions(contextLength: 1 << 24)
        (options.keyType, options.valueType) = (.f32, .f32)
        let plan = try MemoryPlan(shape.configuration(), tensors: [], options: options)
        // Layers, elements, positions; keys and values of four bytes.
        #expect(plan.cache.byteCount == 1 << (10 + 13 + 24 + 3))
        #expect(throws: ModelError.outOfMemory(bytes: 1 << 49, purpose: "the key cache")) {
            _ = try KVCache(plan.cache)
        }
    }

    @Test("sizes that only a hostile file has do not overflow the plan")
    func largestSizes() throws {
        var metadata = try ModelFile(shape: .tiny).metadata
        for (key, value) in [
            ("block_count", 1 << 12), ("attention.head_count", 1 << 14), ("attention.head_count_kv", 1 << 14),
            ("attention.key_length", 1 << 14), ("rope.dimension_count", 1 << 14), ("embedding_length", 1 << 20),
            ("feed_forward_length", 1 << 22), ("context_length", 1 << 28),
        ] { metadata["llama.\(key)"] = .uint32(UInt32(value)) }
        var file = try ModelFile(shape: .tiny)
        file.metadata = metadata
        file.tensors.removeAll { $0.name != "token_embd.weight" }
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try file.write(to: folder.file("model.gguf"))
        let configuration = try ModelConfiguration(file: GGUFFile(path: folder.file("model.gguf")))
        var options = RuntimeOptions()
        (options.keyType, options.valueType) = (.f32, .f32)
        options.batchSize = 1 << 16
        options.threads = ThreadPool.maximumThreads
        options.allLogits = true
        options.contextLength = 1 << 24
        #expect(throws: ModelError.self) { _ = try MemoryPlan(configuration, tensors: [], options: options) }
        options.contextLength = 1 << 17
        #expect(try MemoryPlan(configuration, tensors: [], options: options).byteCount < 1 << 62)
    }
}
