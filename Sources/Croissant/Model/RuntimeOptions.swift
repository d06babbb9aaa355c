public import GGUF

/// How a model is loaded and run. What is nil is chosen for the model and the machine.
public struct RuntimeOptions: Sendable {
    /// Compute threads.
    public var threads: Int?
    /// Compute threads for batches of a prompt; as many as ``threads`` when nil.
    public var promptThreads: Int?
    /// Positions that the KV cache holds; the model's own context length when nil.
    public var contextLength: Int?
    /// Prompt tokens in one pass.
    public var batchSize = 512
    /// The type of cached keys: F32, F16, BF16, Q8_0 or Q4_0.
    public var keyType = GGMLType.f16
    /// The type of cached values: F32, F16, BF16, Q8_0 or Q4_0.
    public var valueType = GGMLType.f16
    /// Where the weights are; resident where the budget and the machine allow it when nil.
    public var weights: WeightPlacement?
    /// How batches are multiplied; what is fastest on this machine, as precise as ``activations`` ask for, when nil.
    public var prefill: PrefillMethod?
    /// What decode rounds activations to; int16 when nil.
    public var activations: ActivationPrecision?
    /// The most memory that the process may ever have, as the kernel counts it (``MemoryPlan/byteCount``).
    public var memoryBudget: ByteCount?
    /// The kernels; the best of the machine when nil.
    public var instructionSet: InstructionSet?
    /// Whether a pass keeps the logits of every position, not only the last one's.
    public var allLogits = false

    /// The defaults.
    public init() {}

    /// The defaults with a context length.
    public init(contextLength: Int?) {
        self.contextLength = contextLength
    }
}
