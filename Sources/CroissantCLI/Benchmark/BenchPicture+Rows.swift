import GGUF

extension BenchPicture {
    /// A panel for each kind of test that is among `rows`: prompt processing, generation, and both together.
    ///
    /// - Parameter budget: a limit on memory in bytes, which becomes a line.
    init(_ rows: [BenchRow], budget: Int?) {
        let kinds: [(title: String, holds: (BenchRow) -> Bool)] = [
            ("prompt processing", { $0.generation == 0 }), ("generation", { $0.prompt == 0 }),
            ("prompt and generation", { $0.prompt > 0 && $0.generation > 0 }),
        ]
        let models = Set(rows.map(\.model))
        let processors = Set(rows.compactMap(\.host.cpu)).sorted()
        let title = models.count == 1 ? models.first ?? "" : "\(models.count) models"
        self.init(
            title: ([title] + processors).joined(separator: " on "),
            panels: kinds.compactMap { kind in
                let rows = rows.filter { kind.holds($0) && $0.peakMemory != nil }
                return rows.isEmpty ? nil : Panel(title: Self.title(kind.title, rows), points: Self.points(rows))
            }, budget: budget)
    }

    /// Such as "generation, tg128".
    private static func title(_ kind: String, _ rows: [BenchRow]) -> String {
        let tests = Set(rows.map(\.test))
        return tests.count == 1 ? "\(kind), \(rows[0].test)" : kind
    }

    /// A point for each row, named by what tells it from the others.
    private static func points(_ rows: [BenchRow]) -> [Point] {
        let parts: [(BenchRow) -> String] = [
            { $0.fileType ?? $0.model }, { $0.test }, { "\($0.threads) threads" }, { "-b \($0.batchSize)" },
            { "\($0.keyType) keys" }, { "\($0.valueType) values" }, { $0.kernels }, { $0.weights }, { $0.prefill },
            { $0.activations }, { "context \($0.contextLength)" },
        ]
        let shown = parts.enumerated().filter { index, part in index == 0 || Set(rows.map(part)).count > 1 }
        return rows.map { row in
            let samples = Statistics(row.samples)
            return Point(
                label: shown.map { $0.element(row) }.joined(separator: ", "), bytes: row.peakMemory ?? 0,
                tokensPerSecond: row.median, spread: samples.quantile(0.1)...samples.quantile(0.9))
        }
    }
}
