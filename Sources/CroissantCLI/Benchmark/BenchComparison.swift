import Foundation

/// Two results of `bench`, test by test.
///
/// Rows are matched by model and test, and where a file has several such rows, by as many settings as tell them apart.
/// Any other setting may differ: that is often what is compared. Rows of one file that agree in everything are the
/// same test in several processes, such as one file makes that `bench -o jsonl` is appended to again and again.
package struct BenchComparison: Encodable {
    /// The names of the files.
    package let files: Pair<String>
    /// The chance that an interval holds the true ratio.
    package let confidence: Double
    /// What both have, in the order of A.
    package let tests: [Test]
    /// What only A has, or has in a way that cannot be told apart from its other rows.
    package let onlyInA: [Row]
    /// The same for B.
    package let onlyInB: [Row]

    /// Compares rows that each have samples.
    package init(_ a: [ComparedRow], _ b: [ComparedRow], names: (a: String, b: String) = ("A", "B")) {
        files = Pair(a: names.a, b: names.b)
        confidence = SpeedRatio.confidence
        let groups = Pair(a: Group.all(a), b: Group.all(b))
        var tests: [Test] = []
        var only = Pair<[Row]>(a: [], b: [])
        for name in (groups.a + groups.b).map(\.name).uniqued() {
            let sides = Pair(a: groups.a.filter { $0.name == name }, b: groups.b.filter { $0.name == name })
            let settings = Self.distinguishing(sides)
            let keys = Pair(a: sides.a.map { $0.key(settings) }, b: sides.b.map { $0.key(settings) })
            var isMatched = Pair(a: keys.a.map { _ in false }, b: keys.b.map { _ in false })
            for (index, key) in keys.a.enumerated() where keys.a.filter({ $0 == key }).count == 1 {
                guard let other = keys.b.firstIndex(of: key), keys.b.lastIndex(of: key) == other else { continue }
                isMatched.a[index] = true
                isMatched.b[other] = true
                tests.append(Test(sides.a[index], sides.b[other], distinguishedBy: settings))
            }
            func unmatched(_ side: [Group], _ isMatched: [Bool]) -> [Row] {
                let settings = settings + Self.distinguishing(Pair(a: side, b: side))
                return zip(side, isMatched).filter { !$0.1 }.map { Row($0.0, distinguishedBy: settings) }
            }
            only.a += unmatched(sides.a, isMatched.a)
            only.b += unmatched(sides.b, isMatched.b)
        }
        self.tests = tests
        (onlyInA, onlyInB) = (only.a, only.b)
    }

    /// Reads and compares two files.
    package static func read(_ pathA: String, _ pathB: String) throws(Failure) -> BenchComparison {
        let rows = Pair(
            a: try SavedResult.read(pathA, as: ComparedRow.self), b: try SavedResult.read(pathB, as: ComparedRow.self))
        let comparison = BenchComparison(rows.a, rows.b, names: (pathA, pathB))
        guard !comparison.tests.isEmpty else {
            let names = [comparison.onlyInA, comparison.onlyInB].map { side in
                side.map { "\($0.test) of \($0.model)" }.uniqued().joined(separator: ", ")
            }
            throw Failure(
                "no test in common: \(pathA), \(pathB) (the first has \(names[0]); the second has \(names[1]))",
                hint: "rows are matched by model and test, and where there are several by their settings")
        }
        return comparison
    }

    /// The settings that tell the rows of the same test apart, as few as possible.
    private static func distinguishing(_ sides: Pair<[Group]>) -> [ComparedRow.Setting] {
        func count(_ settings: [ComparedRow.Setting]) -> [Int] {
            [sides.a, sides.b].map { Set($0.map { $0.key(settings) }).count }
        }
        var chosen: [ComparedRow.Setting] = []
        // What one file does not say at all cannot match.
        for setting in ComparedRow.Setting.allCases
        where [sides.a, sides.b].allSatisfy({ $0.contains { $0.settings[setting] != nil } }) {
            if count(chosen + [setting]) != count(chosen) { chosen.append(setting) }
        }
        return chosen
    }

    /// Rows that agree in everything, of one file.
    fileprivate struct Group {
        let name: Name
        let settings: [ComparedRow.Setting: String]
        /// Tokens a second of each run of each process.
        var processes: [[Double]]

        struct Name: Hashable {
            let model: String
            let test: String
        }

        /// The rows of a file by what they agree in, in the file's order.
        static func all(_ rows: [ComparedRow]) -> [Group] {
            var groups: [Group] = []
            for row in rows {
                let name = Name(model: row.model, test: row.test)
                if let index = groups.firstIndex(where: { $0.name == name && $0.settings == row.settings }) {
                    groups[index].processes.append(row.samples)
                } else {
                    groups.append(Group(name: name, settings: row.settings, processes: [row.samples]))
                }
            }
            return groups
        }

        func key(_ settings: [ComparedRow.Setting]) -> [String?] { settings.map { self.settings[$0] } }
    }

    /// Something of both files.
    package struct Pair<Value> {
        package var a: Value
        package var b: Value

        package init(a: Value, b: Value) {
            self.a = a
            self.b = b
        }
    }

    /// What the interval of a test says.
    package enum Verdict: String, Encodable {
        case faster, slower
        /// The interval holds 1. There may be a difference that is smaller than the interval.
        case noDifferenceShown
        /// There is no interval.
        case tooFewRuns
    }

    /// A row of one file alone.
    package struct Row: Encodable {
        package let model: String
        package let test: String
        /// The settings that tell this test from others of its name, by their names in the file.
        package let settings: [String: String]

        fileprivate init(_ group: Group, distinguishedBy settings: [ComparedRow.Setting]) {
            model = group.name.model
            test = group.name.test
            self.settings = group.settings.filter { settings.contains($0.key) }.named
        }
    }

    /// One test of both files.
    package struct Test: Encodable {
        package let model: String
        package let test: String
        /// The settings that tell this test from others of its name, by their names in the file.
        package let settings: [String: String]
        /// The settings that A and B both state, differently.
        package let differences: [String: Pair<String>]
        /// Counted runs of all processes.
        package let runs: Pair<Int>
        /// Processes, one for each row.
        package let processes: Pair<Int>
        /// The geometric mean of the runs, in tokens a second.
        package let speed: Pair<Double>
        /// The speed of B divided by that of A.
        package let ratio: Double
        /// The ends of the ratio's confidence interval, where there is one.
        package let low: Double?
        package let high: Double?
        package let verdict: Verdict

        fileprivate init(_ a: Group, _ b: Group, distinguishedBy settings: [ComparedRow.Setting]) {
            model = a.name.model
            test = a.name.test
            self.settings = a.settings.filter { settings.contains($0.key) }.named
            var differences: [String: Pair<String>] = [:]
            for (setting, value) in a.settings {
                guard let other = b.settings[setting], other != value else { continue }
                differences[setting.rawValue] = Pair(a: value, b: other)
            }
            self.differences = differences
            runs = Pair(a: a.processes.joined().count, b: b.processes.joined().count)
            processes = Pair(a: a.processes.count, b: b.processes.count)
            let result = SpeedRatio(a.processes, b.processes)
            speed = Pair(a: result.speedA, b: result.speedB)
            ratio = result.ratio
            (low, high) = (result.interval?.lowerBound, result.interval?.upperBound)
            verdict =
                switch result.interval {
                case nil: .tooFewRuns
                case .some(let interval) where interval.lowerBound > 1: .faster
                case .some(let interval) where interval.upperBound < 1: .slower
                default: .noDifferenceShown
                }
        }
    }
}

extension BenchComparison.Pair: Encodable where Value: Encodable {}
extension BenchComparison.Pair: Equatable where Value: Equatable {}

extension Dictionary<ComparedRow.Setting, String> {
    /// The same by names.
    fileprivate var named: [String: String] {
        [String: String](uniqueKeysWithValues: map { ($0.key.rawValue, $0.value) })
    }
}

extension Array where Element: Hashable {
    /// The elements without repetitions, in the order of their first occurrence.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
