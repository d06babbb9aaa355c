import GGUF

/// What would make a plan fit into its budget: the changes of one option that do, each as small as it can be, the batch
/// by halves.
struct MemoryRemedy {
    /// One line for a user, naming the options of the command line.
    let text: String

    /// Looks for changes to `options`, of which `plan` is the plan.
    ///
    /// - Parameter planning: the plan of other options for the same model, whatever the budget.
    init(
        of plan: MemoryPlan, options: RuntimeOptions, planning: (RuntimeOptions) throws(ModelError) -> MemoryPlan
    ) {
        let budget = options.memoryBudget?.bytes ?? .max
        // Asked of the system once, not for every plan.
        var options = options
        options.threads = plan.threads
        options.promptThreads = plan.promptThreads
        func fits(_ change: (inout RuntimeOptions) -> Void) -> Bool {
            var changed = options
            change(&changed)
            return ((try? planning(changed))?.byteCount).map { $0 <= budget } ?? false
        }
        var changes: [String] = []

        let context = Self.largest(below: plan.contextLength) { length in fits { $0.contextLength = length } }
        if context > 0 { changes.append("a context of \(context) tokens (-c \(context))") }

        for type in [GGMLType.q8_0, .q4_0] {
            let key = Self.smaller(type, options.keyType)
            let value = Self.smaller(type, options.valueType)
            guard (key, value) != (options.keyType, options.valueType) else { continue }
            if fits({ ($0.keyType, $0.valueType) = (key, value) }) {
                let names = (key.name.lowercased(), value.name.lowercased())
                changes.append("smaller keys and values (-ctk \(names.0) -ctv \(names.1))")
                break
            }
        }

        // A guess is fed in one pass, with the token before it.
        var batch = plan.batchSize / 2
        while batch > plan.draftTokens, !fits({ $0.batchSize = batch }) { batch /= 2 }
        if batch > plan.draftTokens { changes.append("a smaller batch (-b \(batch))") }

        if plan.draftTokens > 0, fits({ $0.draftTokens = 0 }) {
            let draft = Self.largest(below: plan.draftTokens) { draft in fits { $0.draftTokens = draft } }
            changes.append("fewer guesses (--draft \(draft))")
        }

        if options.weights == .resident, fits({ $0.weights = .mapped }) {
            changes.append("weights left in the file (--weights mapped)")
        }

        switch changes.count {
        case 0:
            let least = ByteCount(plan.byteCount - plan.sessionBytes)
            text =
                "no context fits: the model itself takes \(least), mapped or resident; "
                + "a file of a smaller type takes less"
        case 1: text = changes[0] + " fits"
        default: text = "any of these fits: " + changes.joined(separator: ", ")
        }
    }

    /// The largest number below `limit` for which `holds` does, as it does for all smaller ones; 0 if there is none.
    private static func largest(below limit: Int, where holds: (Int) -> Bool) -> Int {
        var low = 0
        var high = limit - 1
        while low < high {
            let middle = low + (high - low + 1) / 2
            if holds(middle) { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// The type of the two that takes less.
    private static func smaller(_ type: GGMLType, _ other: GGMLType) -> GGMLType {
        // 256 elements are whole blocks of every type.
        (type.byteCount(elements: 256) ?? .max) < (other.byteCount(elements: 256) ?? .max) ? type : other
    }
}
