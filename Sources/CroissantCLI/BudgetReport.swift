import Croissant
import GGUF

/// What `budget` has to say, as text and as JSON.
struct BudgetReport: Encodable {
    /// The path of the file, or the name of the shape.
    let model: String
    /// The type of a shape's matrices; nil for a file, and where all types are in the table.
    let type: String?
    /// The plan, where there is one model.
    let plan: Plan?
    /// The budgets in question, where there is one model.
    let budgets: [Verdict]?
    /// Every type, context and cache type, where there is only a shape.
    let table: [Row]?
    /// The budgets that the table's rows are compared with, in bytes.
    let tableBudgets: [Int]?
    /// The memory of this machine.
    let machine = Machine()
    /// The best for this machine; nil where nothing fits, or the machine does not say what it has.
    let choice: Choice?

    /// One plan.
    struct Plan: Encodable {
        let contextLength: Int
        let keyType: String
        let valueType: String
        let batchSize: Int
        let threads: Int
        let weights: String
        let kernels: String
        let items: [Item]
        /// All items together, in bytes.
        let planned: Int

        struct Item: Encodable {
            let name: String
            let bytes: Int
            /// Whether the bytes are the page cache's copy of a file.
            let isFileBacked: Bool
        }

        init(_ plan: MemoryPlan) {
            contextLength = plan.contextLength
            keyType = plan.cache.keyType.name
            valueType = plan.cache.valueType.name
            batchSize = plan.batchSize
            threads = plan.threads
            weights = plan.weights.rawValue
            kernels = plan.instructionSet.rawValue
            items = plan.items.map { Item(name: $0.name, bytes: $0.byteCount, isFileBacked: $0.isFileBacked) }
            planned = plan.byteCount
        }
    }

    /// Whether a model fits into a budget.
    struct Verdict: Encodable {
        let bytes: Int
        let fits: Bool
        /// What would make it fit.
        let remedy: String?
    }

    /// The plan of one type with one context and one type of cache.
    struct Row: Encodable {
        let type: String
        let contextLength: Int
        let keyType: String
        let valueType: String
        /// Bytes of the weights.
        let weights: Int
        /// All of the plan, in bytes.
        let planned: Int
        /// The budgets that hold it, in bytes.
        let fitsIn: [Int]
    }

    /// What the system says it has, in bytes; nil where it does not say.
    struct Machine: Encodable {
        let total = HostMemory.total
        let available = HostMemory.available
        let containerLimit = HostMemory.containerLimit
        /// What a plan may take of it with room to spare.
        let spare = HostMemory.spare
    }

    /// What to take on this machine, of what leaves room to spare.
    struct Choice: Encodable {
        /// The type of a shape's matrices; nil for a file.
        let type: String?
        let contextLength: Int
        let keyType: String
        let valueType: String
        let planned: Int
    }

    /// How a model is planned with options.
    typealias Planning = (RuntimeOptions) throws(ModelError) -> MemoryPlan

    /// The budgets that are looked at where the user names none, in GiB.
    static let commonBudgets = [1, 2, 4, 8].map { ByteCount.gibibytes(Double($0)) }

    /// About one model.
    init(_ runtime: RuntimeArguments, name: String, type: QuantizationMix? = nil, planning: Planning) throws {
        model = name
        self.type = type?.name
        var options = runtime.options()
        func verdict(_ budget: ByteCount) throws(ModelError) -> (Verdict, MemoryPlan?) {
            options.memoryBudget = budget
            do {
                return (Verdict(bytes: budget.bytes, fits: true, remedy: nil), try planning(options))
            } catch .overBudget(_, _, let remedy) {
                return (Verdict(bytes: budget.bytes, fits: false, remedy: remedy), nil)
            }
        }
        let verdicts = try Self.budgets(runtime).map(verdict)
        budgets = verdicts.map(\.0)
        let fitted = runtime.memoryBudget.flatMap { _ in verdicts.first?.1 }
        // Beyond a budget, what the model would take without one.
        options.memoryBudget = nil
        plan = Plan(try fitted ?? planning(options))
        table = nil
        tableBudgets = nil
        choice = try Self.choice(runtime, type: type, planning: planning)
    }

    /// About a shape in every type.
    init(_ runtime: RuntimeArguments, _ planner: ShapePlanner) throws {
        model = planner.shape.name
        type = nil
        plan = nil
        budgets = nil
        let models = try ModelSynthesizer.mixes.filter { !$0.isPure }.map(planner.model)
        var rows: [Row] = []
        for context in Self.contexts(runtime, planner.shape) {
            for model in models {
                for (key, value) in Self.caches(runtime) {
                    var options = runtime.options()
                    options.contextLength = context
                    (options.keyType, options.valueType) = (key, value)
                    if let row = try Self.row(model, options, runtime) { rows.append(row) }
                }
            }
        }
        table = rows
        tableBudgets = Self.budgets(runtime).map(\.bytes)
        // What is larger is more exact. Floats are left out: they are for making other files from, and generate at
        // half the speed of Q8_0, which diverges from them by less than 0.0001 nats a token.
        let floats: [GGMLType] = [.f32, .f16, .bf16]
        var best: Choice?
        for model in models.filter({ !floats.contains($0.mix.baseType) }).sorted(by: { $0.weightBytes > $1.weightBytes }
        )
        where best == nil {
            best = try Self.choice(runtime, type: model.mix, planning: model.unlimitedPlan)
        }
        choice = best
    }

    private static func budgets(_ runtime: RuntimeArguments) -> [ByteCount] {
        runtime.memoryBudget.map { [$0] } ?? commonBudgets
    }

    private static func contexts(_ runtime: RuntimeArguments, _ shape: ModelShape) -> [Int] {
        if runtime.contextLength > 0 { return [runtime.contextLength] }
        let common = [512, 1024, 2048].filter { $0 <= shape.contextLength }
        return common.isEmpty ? [shape.contextLength] : common
    }

    /// The types of keys and values that are compared: all that people use, or those that the user has named.
    private static func caches(_ runtime: RuntimeArguments) -> [(GGMLType, GGMLType)] {
        let given = (runtime.keyType, runtime.valueType)
        return given == (.f16, .f16) ? [(.f16, .f16), (.q8_0, .q8_0), (.q4_0, .q4_0)] : [given]
    }

    /// One row; nil for a cache type that the shape's heads are no whole blocks of, unless the user has named it.
    private static func row(
        _ model: PlannedModel, _ options: RuntimeOptions, _ runtime: RuntimeArguments
    ) throws(ModelError) -> Row? {
        func plan(_ weights: WeightPlacement, within budget: ByteCount?) throws(ModelError) -> MemoryPlan {
            var options = options
            options.weights = weights
            options.memoryBudget = budget
            return try model.unlimitedPlan(options)
        }
        // The same on every machine: resident, whether or not this one has room.
        let places = runtime.weights.map { [$0] } ?? [.resident, .mapped]
        let usual: MemoryPlan
        do throws(ModelError) {
            usual = try plan(places[0], within: nil)
        } catch {
            guard case .invalidOption = error, options.keyType != runtime.keyType else { throw error }
            return nil
        }
        var fitting: [Int] = []
        for budget in budgets(runtime) {
            // What fits into less fits into more; what is larger as it would usually be held may be held in less.
            var fits = !fitting.isEmpty || usual.byteCount <= budget.bytes
            for place in places where !fits { fits = try plan(place, within: budget).byteCount <= budget.bytes }
            if fits { fitting.append(budget.bytes) }
        }
        return Row(
            type: model.mix.name, contextLength: usual.contextLength, keyType: options.keyType.name,
            valueType: options.valueType.name, weights: usual.items.first { $0.name == "weights" }?.byteCount ?? 0,
            planned: usual.byteCount, fitsIn: fitting)
    }

    /// The most exact cache with which a model with its whole context, or the one that the user wants, leaves this machine
    /// room to spare; nil if there is none.
    private static func choice(
        _ runtime: RuntimeArguments, type: QuantizationMix?, planning: Planning
    ) throws -> Choice? {
        guard let spare = HostMemory.spare else { return nil }
        for (key, value) in caches(runtime) {
            var options = runtime.options()
            options.memoryBudget = nil
            (options.keyType, options.valueType) = (key, value)
            do throws(ModelError) {
                let plan = try planning(options)
                guard plan.byteCount < min(spare, runtime.memoryBudget?.bytes ?? .max) else { continue }
                return Choice(
                    type: type?.name, contextLength: plan.contextLength, keyType: key.name, valueType: value.name,
                    planned: plan.byteCount)
            } catch {
                guard case .invalidOption = error, key != runtime.keyType else { throw error }
            }
        }
        return nil
    }
}
