import ArgumentParser

/// One thing to measure.
struct BenchTest {
    /// Tokens fed as a batch.
    let prompt: Int
    /// Tokens fed one by one.
    let generation: Int
    /// Tokens that are in the context before, and not timed.
    let depth: Int

    /// Tokens that are timed.
    var tokens: Int { prompt + generation }
    /// Positions that the context must hold.
    var positions: Int { tokens + depth }

    /// Such as "pp512", "tg128 @ d1024" or "pp512+tg128".
    var name: String {
        let parts = (prompt > 0 ? ["pp\(prompt)"] : []) + (generation > 0 ? ["tg\(generation)"] : [])
        return parts.joined(separator: "+") + (depth > 0 ? " @ d\(depth)" : "")
    }

    /// Reads "512,128": a prompt and tokens after it.
    static func promptAndGeneration(_ text: String) throws -> BenchTest {
        let parts = try text.split(separator: ",", omittingEmptySubsequences: false).map(NumberList.number)
        guard parts.count == 2, let prompt = parts[0], let generation = parts[1], prompt + generation > 0
        else { throw ValidationError("'\(text)' is not a prompt length and a number of tokens, such as 512,128") }
        return BenchTest(prompt: prompt, generation: generation, depth: 0)
    }
}
