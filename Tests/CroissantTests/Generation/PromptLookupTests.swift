import Croissant
import Testing

@Suite("A guess is what followed the last tokens where they were last")
struct PromptLookupTests {
    /// What is guessed after `text`, which has not been guessed at before.
    private static func guess(_ text: [Int32], most: Int = 8, atMost limit: Int = .max) -> [Int32] {
        var lookup = PromptLookup(most: most)
        for token in text { lookup?.accept(token) }
        return lookup?.guess(atMost: limit) ?? []
    }

    @Test("two tokens have to be the same; one says nothing")
    func common() {
        #expect(Self.guess([1, 2, 3, 4, 5, 1, 2], most: 5) == [3, 4, 5, 1, 2])
        #expect(Self.guess([1, 2, 3, 4, 5, 9, 2]) == [])
        #expect(Self.guess([1, 2, 3]) == [])
        #expect(Self.guess([1]) == [] && Self.guess([]) == [])
    }

    @Test("of several places the one that has more in common counts, and the last of equals")
    func best() {
        #expect(Self.guess([9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2], most: 1) == [3])
        #expect(Self.guess([1, 2, 3, 8, 1, 2, 4, 9, 1, 2], most: 1) == [4])
    }

    @Test("what repeats itself is guessed to go on, beyond the end of what has been said")
    func repetition() {
        #expect(Self.guess([7, 7, 7], most: 4) == [7, 7, 7, 7])
        #expect(Self.guess([1, 2, 1, 2], most: 5) == [1, 2, 1, 2, 1])
        #expect(Self.guess([1, 2, 3, 4, 5, 1, 2], most: 8) == [3, 4, 5, 1, 2, 3, 4, 5])
    }

    @Test("no guess is longer than wanted")
    func length() {
        let text: [Int32] = [1, 2, 3, 4, 5, 6, 1, 2]
        #expect(Self.guess(text, most: 3) == [3, 4, 5])
        #expect(Self.guess(text, atMost: 2) == [3, 4])
        #expect(Self.guess(text, atMost: 0) == [] && Self.guess(text, atMost: -1) == [])
        #expect(PromptLookup(most: 0) == nil)
    }

    @Test("guesses are as long as the last one was right, and twice as long where all of it was")
    func learning() throws {
        var lookup = try #require(PromptLookup(most: 6))
        for token: Int32 in [1, 2, 3, 4, 5, 6, 7, 8, 1, 2] { lookup.accept(token) }
        #expect(lookup.guess(atMost: .max).count == 6)
        lookup.learn(right: 0, of: 6)
        #expect(lookup.guess(atMost: .max) == [3])
        lookup.learn(right: 0, of: 0)  // There was no guess.
        #expect(lookup.guess(atMost: .max).count == 1)
        lookup.learn(right: 1, of: 1)
        #expect(lookup.guess(atMost: .max).count == 2)
        lookup.learn(right: 2, of: 2)
        #expect(lookup.guess(atMost: .max).count == 4)
        lookup.learn(right: 3, of: 4)
        #expect(lookup.guess(atMost: .max).count == 3)
        lookup.learn(right: 3, of: 3)
        #expect(lookup.guess(atMost: .max).count == 6)
    }
}
