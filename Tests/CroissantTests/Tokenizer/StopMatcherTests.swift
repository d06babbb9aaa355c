import Croissant
import Testing

@Suite("Stop matcher")
struct StopMatcherTests {
    /// Everything emitted and the stop string found when a text arrives in the given pieces.
    private func run(_ stops: [String], _ pieces: [String]) -> (emitted: [String], stop: String?) {
        var matcher = StopMatcher(stops)
        var emitted: [String] = []
        for piece in pieces { emitted.append(matcher.feed(piece).emit) }
        emitted.append(matcher.finish())
        return (emitted, matcher.found)
    }

    @Test("holds back what may begin a stop string, and releases it when it does not")
    func holdsBack() {
        #expect(run(["\n\n"], ["a", "\n", "b"]) == (["a", "", "\nb", ""], nil))
        #expect(run(["\n\n"], ["a", "\n", "\nb"]) == (["a", "", "", ""], "\n\n"))
        #expect(run(["END"], ["the E", "N", "D of"]) == (["the ", "", "", ""], "END"))
        #expect(run(["END"], ["the EN"]) == (["the ", "EN"], nil))
    }

    @Test("finds stop strings that overlap their own beginnings")
    func overlaps() {
        #expect(run(["aab"], ["aaab"]) == (["a", ""], "aab"))
        #expect(run(["aab"], ["a", "a", "a", "b"]) == (["", "", "a", "", ""], "aab"))
        #expect(run(["ababc"], ["abab", "abc"]) == (["", "ab", ""], "ababc"))
        #expect(run(["aa", "ab"], ["xab"]) == (["x", ""], "ab"))
    }

    @Test("takes the one that is complete first, and the longest of several at once")
    func several() {
        #expect(run(["abcde", "cd"], ["xabcdex"]) == (["xab", ""], "cd"))
        #expect(run(["cd", "bcd"], ["abcd"]) == (["a", ""], "bcd"))
        #expect(run(["bcd", "cd"], ["abcd"]) == (["a", ""], "bcd"))
    }

    @Test("emits nothing after a stop string")
    func afterStop() {
        var matcher = StopMatcher(["."])
        #expect(matcher.feed("a.b") == ("a", "."))
        #expect(matcher.feed("c") == ("", "."))
        #expect(matcher.finish() == "")
    }

    @Test("passes everything on at once where there is nothing to look for")
    func nothingToFind() {
        #expect(run([], ["a", "b"]) == (["a", "b", ""], nil))
        #expect(run([""], ["a", "b"]) == (["a", "b", ""], nil))
    }

    @Test("compares bytes, not characters")
    func bytes() {
        #expect(run(["é"], ["e\u{301}"]) == (["e\u{301}", ""], nil))
        #expect(run(["e"], ["e\u{301}"]).stop == "e")
        #expect(run(["é"], ["è", "é"]) == (["è", "", ""], "é"))
        #expect(run(["\n"], ["a\r\nb"]) == (["a\r", ""], "\n"))
    }

    @Test("finds what a search of the whole text finds, however it is cut")
    func random() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            let text = (0..<12).map { _ in ["a", "b", "é"].randomElement(using: &generator) ?? "" }.joined()
            let stops = (0..<2).map { _ in
                (0..<Int.random(in: 1...4, using: &generator))
                    .map { _ in ["a", "b", "é"].randomElement(using: &generator) ?? "" }.joined()
            }
            // By brute force: the shortest beginning of the text that ends with a stop string.
            var expected = (emit: text, stop: String?.none)
            for end in 0...text.count {
                let beginning = text.prefix(end)
                if let stop = stops.filter({ beginning.hasSuffix($0) }).max(by: { $0.count < $1.count }) {
                    expected = (String(beginning.dropLast(stop.count)), stop)
                    break
                }
            }
            var pieces: [String] = []
            for character in text {
                if pieces.isEmpty || Bool.random(using: &generator) { pieces.append("") }
                pieces[pieces.count - 1].append(character)
            }
            let result = run(stops, pieces)
            #expect(result.emitted.joined() == expected.emit)
            #expect(result.stop == expected.stop)
        }
    }
}
