import ArgumentParser
import Croissant
import GGUF

/// The runtime options of a benchmark: those of other commands, most of them lists. Every combination is measured.
struct BenchSettings: ParsableArguments {
    @Option(
        name: [.customShort("c"), .customLong("ctx-size")], parsing: .unconditional,
        help: ArgumentHelp("Context length in tokens; 0 for what the longest test needs.", valueName: "n"))
    var contextLength = 0

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp(
            "Compute threads. (default: physical cores within the container's quota)", valueName: "list"),
        transform: NumberList.init)
    var threads: NumberList?

    @Option(
        name: [.customLong("tb", withSingleDash: true), .customLong("threads-batch")], parsing: .unconditional,
        help: ArgumentHelp("Compute threads for batches of a prompt. (default: those of -t)", valueName: "list"),
        transform: NumberList.init)
    var promptThreads: NumberList?

    @Option(
        name: [.customShort("b"), .customLong("batch-size")], parsing: .unconditional,
        help: ArgumentHelp("Prompt tokens per pass. (default: 512)", valueName: "list"), transform: NumberList.init)
    var batchSize = NumberList([512])

    @Option(
        name: [.customLong("ctk", withSingleDash: true), .customLong("cache-type-k")],
        help: ArgumentHelp("Types of cached keys: f32, f16, bf16, q8_0, q4_0. (default: f16)", valueName: "list"),
        transform: typeList)
    var keyType = [GGMLType.f16]

    @Option(
        name: [.customLong("ctv", withSingleDash: true), .customLong("cache-type-v")],
        help: ArgumentHelp("Types of cached values: f32, f16, bf16, q8_0, q4_0. (default: f16)", valueName: "list"),
        transform: typeList)
    var valueType = [GGMLType.f16]

    @Option(
        help: ArgumentHelp(
            "Where weights are: auto (resident where there is room), mapped, resident. (default: auto)",
            valueName: "list"),
        transform: choices)
    var weights: [WeightPlacement?] = [nil]

    @Option(
        help: ArgumentHelp("How batches are multiplied: auto, sgemm, int8, int16. (default: auto)", valueName: "list"),
        transform: choices)
    var prefill: [PrefillMethod?] = [nil]

    @Option(
        help: ArgumentHelp(
            "What decode quantises activations to: auto, int8, int16, f32. (default: auto)", valueName: "list"),
        transform: choices)
    var activations: [ActivationPrecision?] = [nil]

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Hard limit on memory, such as 1.2GiB: what would exceed it is refused before it is loaded.",
            valueName: "size"),
        transform: byteCount)
    var memoryBudget: ByteCount?

    @Option(
        help: ArgumentHelp(
            "Kernel sets: auto, \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")). (default: auto)",
            valueName: "list"), transform: choices)
    var isa: [InstructionSet?] = [nil]

    func validate() throws {
        try requireRange("--ctx-size", contextLength, 0...1 << 24)
        for threads in threads?.values ?? [] { try requireThreads(threads) }
        for threads in promptThreads?.values ?? [] { try requireThreads(threads, "--threads-batch") }
        for size in batchSize.values { try requireRange("--batch-size", size, 1...1 << 16) }
    }

    /// Every combination, the options given first changing slowest.
    ///
    /// - Parameter defaultContext: the context length where the user gave none.
    func combinations(defaultContext: Int?) -> [RuntimeOptions] {
        var all = [RuntimeOptions(contextLength: contextLength == 0 ? defaultContext : contextLength)]
        all[0].memoryBudget = memoryBudget
        func multiply<Value>(_ option: WritableKeyPath<RuntimeOptions, Value>, by values: [Value]) {
            all = all.flatMap { options in
                values.map { value in
                    var options = options
                    options[keyPath: option] = value
                    return options
                }
            }
        }
        multiply(\.instructionSet, by: isa)
        multiply(\.weights, by: weights)
        multiply(\.activations, by: activations)
        multiply(\.prefill, by: prefill)
        multiply(\.batchSize, by: batchSize.values)
        multiply(\.keyType, by: keyType)
        multiply(\.valueType, by: valueType)
        multiply(\.threads, by: threads?.values ?? [nil])
        multiply(\.promptThreads, by: promptThreads?.values ?? [nil])
        return all
    }
}

private func typeList(_ text: String) throws -> [GGMLType] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { try cacheType(String($0)) }
}

/// Reads a list of choices; those that are left to the program are nil.
private func choices<Value>(_ text: String) throws -> [Value?]
where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
        guard let choice = Choice<Value>(argument: String(word)) else {
            throw ValidationError("'\(word)' is none of \(Choice<Value>.allValueStrings.joined(separator: ", "))")
        }
        return choice.value
    }
}
