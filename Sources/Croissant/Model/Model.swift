public import GGUF

/// A model that is ready to run: its weights, its tokenizer and the threads that compute.
///
/// Loading checks everything that a file can get wrong; after it, generation cannot fail. A model is immutable and may
/// be shared; what changes while it runs belongs to a ``Session``.
///
/// ```swift
/// let model = try Model(contentsOf: "croissantllmchat-v0.1.Q4_K_M.gguf")
/// let session = try Session(model, contextLength: 1024)
/// var generation = try Generator(session, prompt: "La capitale de la France est")
/// while let piece = generation.next() { print(piece, terminator: "") }
/// ```
public final class Model: Sendable {
    /// The sizes of the model.
    public let configuration: ModelConfiguration
    /// Text to token ids and back; nil where the file has no vocabulary.
    public let tokenizer: Tokenizer?
    /// The file.
    public let file: GGUFFile
    /// The memory that the model and a session with the same options take.
    public let plan: MemoryPlan
    /// The options that it was loaded with.
    public let options: RuntimeOptions

    /// The forward pass.
    package let transformer: Transformer
    /// The tensors of the file, in the order of the layout.
    package let tensors: [TensorInfo]
    private let store: WeightStore

    /// Loads the GGUF file at `path`; the other parts of a split file are found beside it.
    ///
    /// - Parameters:
    ///   - path: the file, or the first part of a split one.
    ///   - options: how the model is run.
    ///   - progress: called now and then, on the thread that loads, with the bytes of the weights that have been read,
    ///     of ``weightBytes``; never where weights are mapped.
    /// - Throws: ``ModelError/file(_:)`` for a file that cannot be read or is not GGUF, and what
    ///   ``init(_:options:progress:)`` throws.
    public convenience init(
        contentsOf path: String, options: RuntimeOptions = RuntimeOptions(),
        progress: (@Sendable (_ bytes: Int) -> Void)? = nil
    ) throws(ModelError) {
        let file: GGUFFile
        do throws(GGUFError) { file = try GGUFFile(path: path) } catch { throw .file(error) }
        try self.init(file, options: options, progress: progress)
    }

    /// Loads an open file, which the model keeps.
    ///
    /// - Parameters:
    ///   - file: the file; where weights are mapped, they stay in its mapping.
    ///   - options: how the model is run.
    ///   - progress: called now and then, on the thread that loads, with the bytes of the weights that have been read,
    ///     of ``weightBytes``; never where weights are mapped.
    /// - Throws: before weights are read, ``ModelError/unsupportedArchitecture(found:known:)`` or
    ///   ``ModelError/unsupportedFeature(_:key:value:)`` for what the file asks for and is not computed;
    ///   ``ModelError/invalidHyperparameter(key:value:expected:)``, ``ModelError/missingTensor(name:expected:)``,
    ///   ``ModelError/unexpectedTensor(name:)``, ``ModelError/wrongShape(tensor:expected:found:)``,
    ///   ``ModelError/unsupportedType(tensor:type:expected:)`` or ``ModelError/tokenizer(_:)`` for what is wrong with
    ///   it; ``ModelError/invalidOption(name:value:expected:)`` for options that make no sense;
    ///   ``ModelError/overBudget(planned:budget:remedy:)``, ``ModelError/overContainer(needed:limit:)`` or
    ///   ``ModelError/outOfMemory(bytes:purpose:)`` for memory that there is not. While they are read,
    ///   ``ModelError/file(_:)`` where that fails and ``ModelError/invalidWeight(tensor:index:value:expected:)`` for a
    ///   norm, a bias or a RoPE factor that makes no sense.
    public init(
        _ file: GGUFFile, options: RuntimeOptions = RuntimeOptions(),
        progress: (@Sendable (_ bytes: Int) -> Void)? = nil
    ) throws(ModelError) {
        self.file = file
        self.options = options
        configuration = try ModelConfiguration(file: file)
        let layout = TensorLayout(configuration)
        tensors = try layout.check(file)
        plan = try MemoryPlan(
            configuration, tensors: tensors, tokenizerBytes: MemoryPlan.tokenizerBytes(for: file.metadata),
            options: options)
        try plan.check(containerLimit: HostMemory.containerLimit)
        try plan.checkAddressSpace()
        tokenizer = try Self.tokenizer(of: file, vocabularySize: configuration.vocabularySize)
        let backend = CPUBackend(
            instructionSet: plan.instructionSet, threads: plan.threads, activations: plan.precision)
        store = try WeightStore(
            file: file, resident: plan.weights == .resident ? plan.matrices : [], kernels: backend.kernels,
            pool: backend.pool, progress: progress)
        let weights = try Weights(layout, file: file, store: store, kernels: backend.kernels, plan: plan)
        transformer = Transformer(
            configuration: configuration, weights: weights,
            rope: RoPE(configuration, factors: weights.ropeFactors), backend: backend,
            promptBackend: backend.with(threads: plan.promptThreads))
    }

    /// How conversations are written for it, by `tokenizer.chat_template`; nil where that is missing or not known.
    public var chatFormat: ChatFormat? {
        file.metadata["tokenizer.chat_template"]?.asString.flatMap(ChatFormat.init(template:))
    }
    /// How those who made the model advise to sample from it, as the file says (`general.sampling.*`) or as they have
    /// published it; nil without advice.
    public var advisedSampling: SamplingParameters? {
        SamplingParameters.advice(in: file.metadata, for: configuration)
    }
    /// The kernels in use.
    public var instructionSet: InstructionSet { transformer.backend.kernels.instructionSet }
    /// The threads in use.
    public var threads: Int { transformer.backend.pool.threadCount }
    /// The threads in use for batches of a prompt.
    public var promptThreads: Int { transformer.promptBackend.pool.threadCount }
    /// The number of weights, of all tensors together.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.elementCount } }
    /// Bytes of all tensors together, as they are in the file.
    public var weightBytes: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    /// Bytes that it holds, by the names of the plan's items; mapped weights are none of them.
    ///
    /// Those of the tokenizer with what the allocator has rounded up: less than a page for each table.
    package var allocations: [String: Int] {
        [
            "weights": store.residentByteCount, "norms": transformer.weights.vectorBytes,
            "tokenizer": file.metadata.heldArrayBytes + (tokenizer?.heldTableBytes ?? 0),
        ]
    }

    /// The tokenizer of `file`, which must not have more tokens than there are embeddings; nil where it has none.
    static func tokenizer(of file: GGUFFile, vocabularySize: Int) throws(ModelError) -> Tokenizer? {
        guard file.metadata["tokenizer.ggml.model"] != nil else { return nil }
        let tokenizer: Tokenizer
        do throws(TokenizerError) { tokenizer = try Tokenizer(metadata: file.metadata) } catch {
            throw .tokenizer(error)
        }
        // A token without an embedding could be produced by encoding, and would be looked up outside the matrix.
        guard tokenizer.vocabularySize <= vocabularySize else {
            throw .invalidHyperparameter(
                key: "tokenizer.ggml.tokens", value: "\(tokenizer.vocabularySize) tokens",
                expected: "at most the \(vocabularySize) rows of token_embd.weight")
        }
        return tokenizer
    }
}
