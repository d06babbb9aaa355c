import Croissant
import Foundation
import Testing

/// Many draws from the same logits, compared with the distribution that the parameters define.
private struct Draws {
    let counts: [Int32: Int]
    let number: Int

    init(_ parameters: SamplingParameters, _ logits: [Float], number: Int = 10_000) {
        self.number = number
        var parameters = parameters
        parameters.seed = parameters.seed ?? 42
        var sampler = Sampler(parameters)
        var counts: [Int32: Int] = [:]
        for _ in 0..<number {
            var copy = logits
            var span = copy.mutableSpan
            counts[sampler.sample(&span), default: 0] += 1
        }
        self.counts = counts
    }

    var tokens: Set<Int32> { Set(counts.keys) }

    /// Pearson's statistic in standard deviations of its own distribution: normal around 0 where the frequencies are
    /// those of `distribution`. Infinite where a token came up that cannot.
    func deviation(from distribution: [Int32: Double]) -> Double {
        guard tokens.isSubset(of: distribution.keys) else { return .infinity }
        let degrees = Double(max(1, distribution.count - 1))
        let statistic = distribution.reduce(0.0) { sum, entry in
            let expected = entry.value * Double(number)
            let difference = Double(counts[entry.key] ?? 0) - expected
            return sum + difference * difference / expected
        }
        return (statistic - degrees) / (2 * degrees).squareRoot()
    }
}

@Suite("Sampling draws from the distribution that its parameters define")
struct SamplerTests {
    /// Eight tokens, in no order.
    private static let logits: [Float] = [0.5, 2, -1, 1.5, 1, -3, 0, 1.75]

    /// softmax(logits / temperature) of some tokens.
    private static func softmax(_ tokens: [Int32], temperature: Double = 1) -> [Int32: Double] {
        let weights = tokens.map { exp(Double(logits[Int($0)]) / temperature) }
        let sum = weights.reduce(0, +)
        return Dictionary(uniqueKeysWithValues: zip(tokens, weights.map { $0 / sum }))
    }

    /// Tokens from the most likely one on.
    private static let ranked = logits.indices.sorted { logits[$0] > logits[$1] }.map(Int32.init)

    /// Parameters that keep everything.
    private static func plain(_ change: (inout SamplingParameters) -> Void = { _ in }) -> SamplingParameters {
        var parameters = SamplingParameters(temperature: 1)
        parameters.topK = 0
        parameters.topP = 1
        parameters.minP = 0
        change(&parameters)
        return parameters
    }

    @Test("frequencies follow softmax(logits / temperature)", arguments: [0.25, 0.5, 1, 2, 10])
    func temperature(temperature: Double) {
        let draws = Draws(Self.plain { $0.temperature = Float(temperature) }, Self.logits)
        #expect(draws.deviation(from: Self.softmax(Self.ranked, temperature: temperature)) < 5)
        // The bound is one that another temperature does not pass, unless both are all but uniform.
        guard temperature <= 2 else { return }
        #expect(draws.deviation(from: Self.softmax(Self.ranked, temperature: temperature * 1.2)) > 5)
    }

    @Test("top-k keeps exactly the k most likely", arguments: 1...9)
    func topK(k: Int) {
        let kept = Array(Self.ranked.prefix(k))
        let draws = Draws(Self.plain { $0.topK = k }, Self.logits)
        #expect(draws.tokens == Set(kept))
        #expect(draws.deviation(from: Self.softmax(kept)) < 5)
    }

    @Test("top-p keeps the smallest set that reaches p", arguments: [0.01, 0.3, 0.35, 0.5, 0.75, 0.9, 0.99])
    func topP(p: Double) {
        var kept: [Int32] = []
        var sum = 0.0
        let probabilities = Self.softmax(Self.ranked)
        for token in Self.ranked where sum < p {
            kept.append(token)
            sum += probabilities[token] ?? 0
        }
        let draws = Draws(Self.plain { $0.topP = Float(p) }, Self.logits)
        #expect(draws.tokens == Set(kept))
        #expect(draws.deviation(from: Self.softmax(kept)) < 5)
    }

    @Test(
        "min-p keeps what is likely enough next to the most likely", arguments: [0.001, 0.02, 0.1, 0.5, 0.7, 0.99, 1])
    func minP(p: Double) {
        let probabilities = Self.softmax(Self.ranked)
        let largest = probabilities.values.max() ?? 0
        let kept = Self.ranked.filter { (probabilities[$0] ?? 0) >= p * largest }
        let draws = Draws(Self.plain { $0.minP = Float(p) }, Self.logits)
        #expect(draws.tokens == Set(kept))
        #expect(draws.deviation(from: Self.softmax(kept)) < 5)
    }

    @Test("the chain is top-k, top-p, min-p, temperature")
    func chain() {
        let parameters = Self.plain { parameters in
            parameters.topK = 6
            parameters.topP = 0.9
            parameters.minP = 0.4
            parameters.temperature = 3
        }
        // Of the six best, five reach 0.9; of these, four have 0.4 of the best one's probability. A temperature that was
        // applied first would have kept more.
        let six = Self.softmax(Array(Self.ranked.prefix(6)))
        var sum = 0.0
        var kept: [Int32] = []
        for token in Self.ranked.prefix(6) where sum < 0.9 {
            kept.append(token)
            sum += six[token] ?? 0
        }
        let largest = six[Self.ranked[0]] ?? 0
        kept.removeAll { (six[$0] ?? 0) < 0.4 * largest }
        let draws = Draws(parameters, Self.logits)
        #expect(kept.count < 6)
        #expect(draws.tokens == Set(kept))
        #expect(draws.deviation(from: Self.softmax(kept, temperature: 3)) < 5)
    }

    @Test("a large vocabulary is cut the same way by sorting as by insertion")
    func largeVocabulary() {
        var generator = SeededGenerator(seed: 9)
        // Many equal logits: which of them stay is decided by the id.
        let logits = (0..<500).map { _ in Float(Int.random(in: 0..<40, using: &generator)) / 4 }
        let ranked = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        for k in [256, 257] {
            var seen: Set<Int32> = []
            // So hot that everything that is kept comes up.
            var sampler = Sampler(
                Self.plain {
                    $0.topK = k
                    $0.temperature = 1000
                    $0.seed = 1
                })
            for _ in 0..<11 * k {
                var copy = logits
                var span = copy.mutableSpan
                seen.insert(sampler.sample(&span))
            }
            #expect(seen == Set(ranked.prefix(k).map(Int32.init)))
        }
    }

    // MARK: Greedy

    @Test(
        "greedy takes the first of the largest",
        arguments: [
            ([1, 3, 3, 2], 1), ([5], 0), ([-1, -2], 0), ([.nan, 1, 2], 2), ([2, .nan, 1], 0), ([.nan, .nan], 1),
            ([0, .infinity, .infinity], 1), ([-.infinity, -.infinity], 0), ([-.infinity, .nan, -5], 2),
            ([-0.0, 0.0], 0),
        ] as [([Float], Int32)])
    func greedy(logits: [Float], expected: Int32) {
        #expect(Sampler.argmax(logits.span) == expected)
        var sampler = Sampler(.greedy)
        var copy = logits
        var span = copy.mutableSpan
        #expect(sampler.sample(&span) == expected)
    }

    @Test("top-k 1 is greedy at any temperature")
    func topOne() {
        let draws = Draws(
            Self.plain {
                $0.topK = 1
                $0.temperature = 100
            }, [1, 3, 3, 2], number: 500)
        #expect(draws.tokens == [1])
    }

    // MARK: Penalties

    @Test("penalties follow their formulas")
    func penalties() {
        var parameters = SamplingParameters.greedy
        parameters.repeatPenalty = 1.25
        parameters.presencePenalty = 0.5
        parameters.frequencyPenalty = 0.125
        var sampler = Sampler(parameters)
        for token: Int32 in [0, 1, 1, 1, 2] { sampler.accept(token) }
        var logits: [Float] = [2, 4, -2, 1]
        var span = logits.mutableSpan
        _ = sampler.sample(&span)
        // Seen once: 2 / 1.25 - 0.5 - 0.125 and -2 * 1.25 - 0.5 - 0.125; three times: 4 / 1.25 - 0.5 - 3 * 0.125.
        #expect(largestDifference(logits, [0.975, 2.325, -3.125, 1]) < 1e-6)
    }

    @Test("penalties look at the last tokens only", arguments: [(-1, 300), (0, 0), (1, 1), (3, 3), (200, 200)])
    func window(lastN: Int, penalized: Int) {
        var parameters = SamplingParameters.greedy
        parameters.presencePenalty = 1
        parameters.repeatLastN = lastN
        var sampler = Sampler(parameters)
        for token: Int32 in 0..<300 { sampler.accept(token) }
        var logits = [Float](repeating: 0, count: 300)
        var span = logits.mutableSpan
        _ = sampler.sample(&span)
        #expect(logits.filter { $0 == -1 }.count == penalized)
        #expect(logits.suffix(penalized).allSatisfy { $0 == -1 })
    }

    @Test("the longest window does not overflow")
    func longestWindow() {
        var parameters = SamplingParameters.greedy
        parameters.presencePenalty = 1
        parameters.repeatLastN = .max
        var sampler = Sampler(parameters)
        for _ in 0..<500 { sampler.accept(3) }
        var logits: [Float] = [0, 0, 0, 0.5]
        var span = logits.mutableSpan
        #expect(sampler.sample(&span) == 0)
    }

    // MARK: Seeds

    @Test("seeds of its own are whole numbers that a double holds")
    func ownSeeds() {
        for _ in 0..<20 { #expect(Sampler(SamplingParameters()).seed < 1 << 53) }
    }

    @Test("the same seed gives the same draws, another one others")
    func seeds() {
        func draws(_ seed: UInt64?) -> [Int32] {
            var sampler = Sampler(Self.plain { $0.seed = seed })
            return (0..<64).map { _ in
                var copy = Self.logits
                var span = copy.mutableSpan
                return sampler.sample(&span)
            }
        }
        #expect(draws(7) == draws(7))
        #expect(draws(7) != draws(8))
        #expect(draws(nil) != draws(nil))
    }

    @Test("the generator is xoshiro256** seeded by SplitMix64")
    func generator() {
        // The first outputs for seed 0 of the authors' C code.
        var random = Xoshiro256(seed: 0)
        let first = (0..<4).map { _ in random.next() }
        #expect(
            first == [0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0, 0x6AA5_94F1_262D_2D2C])
    }

    // MARK: Numbers that are none

    @Test(
        "logits that are no numbers, or infinite, never crash and never win undeservedly",
        arguments: [
            ([.nan, 1, 2], [1, 2]), ([.nan, .nan], [0]), ([1, .infinity, 2], [1]),
            ([.infinity, .infinity, 3], [0, 1]),
            ([-.infinity, 1, -.infinity], [1]), ([-.infinity, -.infinity], [0, 1]), ([.nan, -.infinity], [1]),
            ([.infinity, -.infinity, .nan], [0]), ([3.4e38, -3.4e38], [0]),
        ] as [([Float], [Int32])])
    func hostileLogits(logits: [Float], possible: [Int32]) {
        for topK in [0, 1, 2, 40] {
            for (topP, minP) in [(1, 0), (0.9, 0.05)] as [(Float, Float)] {
                let draws = Draws(
                    Self.plain {
                        $0.topK = topK
                        $0.topP = topP
                        $0.minP = minP
                    }, logits, number: 200)
                #expect(draws.tokens.isSubset(of: possible))
            }
        }
    }

    @Test("a temperature near zero is greedy")
    func tinyTemperature() {
        #expect(Draws(Self.plain { $0.temperature = .leastNonzeroMagnitude }, Self.logits, number: 500).tokens == [1])
        #expect(
            Draws(Self.plain { $0.temperature = .greatestFiniteMagnitude }, Self.logits, number: 500).tokens.count == 8)
    }

    // MARK: Validation

    @Test("the defaults are valid, and so are the ends of each range")
    func valid() throws {
        try SamplingParameters().validate()
        try SamplingParameters.greedy.validate()
        try Self.plain {
            $0.topP = 1
            $0.minP = 1
            $0.repeatLastN = -1
            $0.presencePenalty = -2
            $0.frequencyPenalty = 2
        }.validate()
    }

    @Test("parameters that make no sense are rejected by name")
    func invalid() {
        func name(_ change: (inout SamplingParameters) -> Void) -> String? {
            var parameters = SamplingParameters()
            change(&parameters)
            do throws(ModelError) {
                try parameters.validate()
                return nil
            } catch {
                guard case .invalidOption(let name, _, _) = error else { return nil }
                return name
            }
        }
        for value in [-0.1, .nan, .infinity] as [Float] { #expect(name { $0.temperature = value } == "temperature") }
        #expect(name { $0.topK = -1 } == "top-k")
        for value in [0, -1, 1.01, .nan] as [Float] { #expect(name { $0.topP = value } == "top-p") }
        for value in [-0.1, 1.01, .nan] as [Float] { #expect(name { $0.minP = value } == "min-p") }
        for value in [0, -1, .nan, .infinity] as [Float] {
            #expect(name { $0.repeatPenalty = value } == "repeat penalty")
        }
        #expect(name { $0.repeatLastN = -2 } == "repeat-last-n")
        #expect(name { $0.presencePenalty = .nan } == "presence penalty")
        #expect(name { $0.frequencyPenalty = -.infinity } == "frequency penalty")
    }
}
