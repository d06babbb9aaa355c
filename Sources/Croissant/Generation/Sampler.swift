#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Chooses tokens: parameters, the tokens that penalties look at, and the state of the draws.
package struct Sampler: Sendable {
    /// The parameters.
    package let parameters: SamplingParameters
    /// The seed in use, the caller's or one of its own.
    package let seed: UInt64
    private var random: Xoshiro256
    private var recent: [Int32] = []
    /// Kept between tokens so that a draw allocates nothing.
    private var candidates: [Candidate] = []

    /// A token that may be drawn.
    private struct Candidate {
        let token: Int32
        let logit: Float
        var probability: Float = 0
    }

    /// A sampler that has seen no tokens.
    package init(_ parameters: SamplingParameters) {
        self.parameters = parameters
        // Programs that read a document with the seed in it may have no other numbers than doubles.
        seed = parameters.seed ?? UInt64.random(in: 0..<1 << 53)
        random = Xoshiro256(seed: seed)
    }

    /// Counts `token` among the recent ones.
    package mutating func accept(_ token: Int32) {
        guard parameters.repeatLastN != 0 else { return }
        recent.append(token)
        // Trimmed now and then rather than for every token.
        if parameters.repeatLastN > 0, recent.count / 2 - 32 >= parameters.repeatLastN {
            recent.removeFirst(recent.count - parameters.repeatLastN)
        }
    }

    /// Chooses a token. `logits` may be changed by penalties.
    package mutating func sample(_ logits: inout MutableSpan<Float>) -> Int32 {
        penalize(&logits)
        if parameters.temperature == 0 { return Self.argmax(logits.span) }
        collect(logits.span)
        keepTopP()
        keepMinP()
        return draw()
    }

    /// The token with the largest logit, the first of equals; NaN never wins.
    package static func argmax(_ logits: Span<Float>) -> Int32 {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] || logits[best].isNaN { best = index }
        return Int32(best)
    }

    /// The penalties of the CTRL paper (arXiv 1909.05858, `repeatPenalty`) and of OpenAI's interface (the others).
    private func penalize(_ logits: inout MutableSpan<Float>) {
        let parameters = parameters
        guard parameters.repeatPenalty != 1 || parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0
        else { return }
        let window = parameters.repeatLastN < 0 ? recent[...] : recent.suffix(parameters.repeatLastN)
        var counts: [Int32: Int] = [:]
        for token in window { counts[token, default: 0] += 1 }
        for (token, count) in counts {
            let index = Int(token)
            var logit = logits[index]
            logit = logit > 0 ? logit / parameters.repeatPenalty : logit * parameters.repeatPenalty
            logits[index] = logit - parameters.presencePenalty - Float(count) * parameters.frequencyPenalty
        }
    }

    /// The top-k tokens, most likely first, with the softmax of their logits as probabilities.
    private mutating func collect(_ logits: Span<Float>) {
        candidates.removeAll(keepingCapacity: true)
        let k = parameters.topK == 0 ? logits.count : min(parameters.topK, logits.count)
        // Most tokens are below the worst of the best so far: kept sorted, that takes one comparison each.
        let isSmall = k <= 256
        for index in logits.indices where !logits[index].isNaN {
            let candidate = Candidate(token: Int32(index), logit: logits[index])
            if !isSmall {
                candidates.append(candidate)
            } else if candidates.count < k || candidate.logit > candidates[candidates.count - 1].logit {
                if candidates.count == k { candidates.removeLast() }
                candidates.insert(candidate, at: Self.position(of: candidate.logit, in: candidates))
            }
        }
        if !isSmall {
            candidates.sort { ($0.logit, $1.token) > ($1.logit, $0.token) }
            candidates.removeLast(max(0, candidates.count - k))
        }
        softmax(temperature: 1)
    }

    /// Where a logit belongs in a descending list, behind its equals.
    private static func position(of logit: Float, in candidates: [Candidate]) -> Int {
        var low = 0
        var high = candidates.count
        while low < high {
            let middle = (low + high) / 2
            if candidates[middle].logit >= logit { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The candidates' probabilities: softmax(logits / temperature). Infinite logits share all the probability.
    private mutating func softmax(temperature: Float) {
        guard let largest = candidates.first?.logit else { return }
        var sum: Float = 0
        for index in candidates.indices {
            let logit = candidates[index].logit
            // Equal ones are told apart because infinity less itself is no number.
            candidates[index].probability = logit == largest ? 1 : expf((logit - largest) / temperature)
            sum += candidates[index].probability
        }
        for index in candidates.indices { candidates[index].probability /= sum }
    }

    private mutating func keepTopP() {
        guard parameters.topP < 1 else { return }
        var sum: Float = 0
        for index in candidates.indices {
            sum += candidates[index].probability
            if sum >= parameters.topP {
                candidates.removeLast(candidates.count - index - 1)
                return
            }
        }
    }

    private mutating func keepMinP() {
        guard parameters.minP > 0, let largest = candidates.first?.probability else { return }
        let threshold = parameters.minP * largest
        while let last = candidates.last, candidates.count > 1, last.probability < threshold { candidates.removeLast() }
    }

    /// Draws by the softmax of logits / temperature among the tokens that are left.
    private mutating func draw() -> Int32 {
        softmax(temperature: parameters.temperature)
        let target = Float(random.next() >> 40) * 0x1p-24
        var sum: Float = 0
        var possible: Int32 = 0  // Stays 0 only where all logits are NaN.
        for candidate in candidates where candidate.probability > 0 {
            sum += candidate.probability
            possible = candidate.token
            if target < sum { break }
        }
        // Where rounding left the sum a little below 1, the last one that is possible.
        return possible
    }
}

/// The generator xoshiro256** (Blackman and Vigna, 2018), seeded by SplitMix64: the same draws on every platform.
package struct Xoshiro256: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A generator whose numbers follow from `seed`.
    package init(seed: UInt64) {
        var splitMix = seed
        func next() -> UInt64 {
            splitMix &+= 0x9E37_79B9_7F4A_7C15
            var z = splitMix
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        state = (next(), next(), next(), next())
    }

    /// The next 64 random bits.
    package mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = (state.3 << 45) | (state.3 >> 19)
        return result
    }
}
