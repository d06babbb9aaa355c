public import GGUF

/// How a model is loaded and run. What is nil, the default where nothing else is said, is chosen for the model and the
/// machine. A value outside its range is a ``ModelError/invalidOption(name:value:expected:)`` where a ``MemoryPlan``, a
/// ``Model`` or a ``Session`` is made.
public struct RuntimeOptions: Sendable {
    /// Compute threads, 1 to 512; when nil, one for each physical core that the process may use, within its container's
    /// quota.
    public var threads: Int?
    /// Compute threads for batches of a prompt, 1 to 512; as many as ``threads`` when nil.
    public var promptThreads: Int?
    /// Positions that the KV cache holds, 1 to 2^24; the length that the model was trained for when nil.
    public var contextLength: Int?
    /// The most prompt tokens in one pass, 1 to 65536; 512 by default, and no more than the context has positions.
    public var batchSize = 512
    /// The most tokens that a ``Generator`` guesses ahead from what its prompt and its own tokens have said before, and
    /// has checked in one pass: 0, the default, to 64, and no more than fit into a pass (``batchSize``) with the token
    /// before them.
    ///
    /// Text that repeats itself comes faster. Tokens are chosen as without guesses, by logits that are as exact as those
    /// of a prompt, where a token alone may get more exact ones; the text may differ where two tokens are as likely. Each
    /// guess has logits in the plan: 4 bytes for each id, 125 KiB for a vocabulary of 32000.
    public var draftTokens = 0
    /// The type of cached keys: F32, F16 (the default), BF16, or, where the head size is a multiple of 32, Q8_0 or
    /// Q4_0.
    public var keyType = GGMLType.f16
    /// The type of cached values, of the same choice as ``keyType``; F16 by default.
    public var valueType = GGMLType.f16
    /// Where the weights are; resident where the budget and the machine allow it when nil.
    public var weights: WeightPlacement?
    /// How batches are multiplied; what is fastest on this machine, as precise as ``activations`` ask for, when nil.
    public var prefill: PrefillMethod?
    /// What decode rounds activations to; int16 when nil.
    public var activations: ActivationPrecision?
    /// The most memory that the process may ever have, as the kernel counts it (``MemoryPlan/byteCount``); no limit
    /// when nil.
    public var memoryBudget: ByteCount?
    /// The kernels, of a set that the machine can run; the best of these when nil.
    public var instructionSet: InstructionSet?
    /// Whether a pass keeps the logits of every position, of shape (``batchSize``, vocabulary), for
    /// ``Session/evaluateAll(_:_:)``; by default only those of the last one and of guesses, of shape
    /// (1 + ``draftTokens``, vocabulary).
    ///
    /// The logits of 512 tokens of a vocabulary of 32000 take 62.5 MiB. Only ``Session/evaluateAll(_:_:)`` and passes
    /// that check guesses take the time to bring every position through the last block and the output matrix.
    public var allLogits = false

    /// The defaults.
    public init() {}

    /// The defaults but for `contextLength`: 1 to 2^24 positions, or those that the model was trained for when nil.
    public init(contextLength: Int?) {
        self.contextLength = contextLength
    }
}
