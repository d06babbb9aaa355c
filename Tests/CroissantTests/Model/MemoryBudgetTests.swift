import Croissant
import GGUF
import Testing

@Suite("A memory budget is kept, or refused with what would fit")
struct MemoryBudgetTests {
    @Test("a budget of exactly the plan is enough; with one byte less, the context that the hint names fits")
    func budget() throws {
        let file = try ModelFile(shape: .tiny)
        for context in [64, 777, 5000] {
            var options = RuntimeOptions.small
            options.contextLength = context
            let needed = try file.load(options).plan.byteCount
            options.memoryBudget = ByteCount(needed)
            #expect(try file.load(options).plan.byteCount == needed)

            options.memoryBudget = ByteCount(needed - 1)
            let error = try #require(try file.loadError(options))
            guard case .overBudget(let planned, let budget, let remedy) = error else {
                Issue.record("\(error)")
                continue
            }
            #expect(planned == needed && budget == needed - 1)
            let hint = try #require(remedy)
            #expect(error.hint == hint)
            let suggested = try #require(hint.firstMatch(of: /a context of ([0-9]+) tokens/).flatMap { Int($0.1) })
            #expect(hint.contains("-c \(suggested)"))
            // One position less would do, so the hint gives away no more than that.
            #expect(suggested == context - 1)
            options.contextLength = suggested
            #expect(try file.load(options).plan.byteCount <= needed - 1)
        }
    }

    @Test("a budget that no context fits in says what else could help")
    func hopelessBudget() throws {
        let file = try ModelFile(shape: .tiny)
        for budget in [1000, 0, -1, .min] {
            var options = RuntimeOptions.small
            options.memoryBudget = ByteCount(budget)
            guard case .overBudget(_, budget, let remedy) = try file.loadError(options) else {
                Issue.record("a budget of \(budget) bytes was enough")
                continue
            }
            #expect(remedy?.hasPrefix("no context fits: ") == true)
            #expect(remedy?.contains("a file of a smaller type") == true)
        }
    }

    @Test("every change that the hint names makes the model fit")
    func remedies() throws {
        // Heads that are whole blocks of the smaller cache types.
        var shape = ModelShape.tiny
        shape.heads = 2
        let file = try ModelFile(shape: shape)
        var options = RuntimeOptions.small
        options.contextLength = 4096
        options.batchSize = 512
        let plan = try file.load(options).plan
        let pattern = /-(?:c|b) ([0-9]+)|-ctk ([a-z0-9_]+) -ctv ([a-z0-9_]+)/
        var seen: Set<Substring> = []
        for budget in [plan.byteCount - 1, plan.byteCount - plan.cache.byteCount / 2 - 1] {
            options.memoryBudget = ByteCount(budget)
            guard case .overBudget(_, _, let remedy?) = try file.loadError(options) else {
                Issue.record("nothing over \(budget) bytes")
                continue
            }
            for match in remedy.matches(of: pattern) {
                var changed = options
                seen.insert(match.0.prefix(3))
                if let number = match.1.flatMap({ Int($0) }) {
                    if match.0.hasPrefix("-c") { changed.contextLength = number } else { changed.batchSize = number }
                } else if let key = match.2, let value = match.3 {
                    changed.keyType = try #require(GGMLType(name: String(key)))
                    changed.valueType = try #require(GGMLType(name: String(value)))
                }
                #expect(try file.load(changed).plan.byteCount <= budget, "\(match.0)")
            }
        }
        #expect(seen == ["-c ", "-b ", "-ct"])
        // Half of a cache of F16 is more than Q8_0 saves, and less than Q4_0 does.
        guard case .overBudget(_, _, let remedy) = try file.loadError(options) else { return }
        #expect(remedy?.contains("(-ctk q4_0 -ctv q4_0)") == true)
    }

    @Test("with guesses, a smaller batch still has room for them, and fewer guesses may fit")
    func remediesOfGuesses() throws {
        let file = try ModelFile(shape: .tiny)
        var options = RuntimeOptions.small
        options.contextLength = 512
        options.batchSize = 64
        options.draftTokens = 40
        let needed = try file.load(options).plan.byteCount
        options.memoryBudget = ByteCount(needed - 1)
        guard case .overBudget(_, _, let remedy?) = try file.loadError(options) else {
            Issue.record("nothing over \(needed - 1) bytes")
            return
        }
        #expect(!remedy.contains("a smaller batch"), "half of 64 is too small for 41 tokens")
        #expect(remedy.contains("fewer guesses (--draft 39)"))
        options.draftTokens = 39
        #expect(try file.load(options).plan.byteCount < needed)
        options.draftTokens = 31
        options.memoryBudget = ByteCount(try file.load(options).plan.byteCount - 1)
        guard case .overBudget(_, _, let remedy?) = try file.loadError(options) else {
            Issue.record("nothing fits into a byte less than 31 guesses need")
            return
        }
        #expect(remedy.contains("(-b 32)") && remedy.contains("(--draft 30)"))
    }
}
