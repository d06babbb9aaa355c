#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// YaRN (arXiv 2309.00071): a longer context by interpolating the pairs of a head that turn slowly, and only these.
package struct YaRN: Sendable, Equatable {
    /// Positions of the training before.
    package let originalContextLength: Int
    /// Turns over the original context from which on a pair is left as it is: the paper's beta.
    package let fastTurns: Double
    /// Turns up to which a pair is interpolated entirely: the paper's alpha.
    package let slowTurns: Double

    /// With limits in turns over `originalContextLength` positions.
    package init(originalContextLength: Int, fastTurns: Double, slowTurns: Double) {
        self.originalContextLength = originalContextLength
        self.fastTurns = fastTurns
        self.slowTurns = slowTurns
    }

    /// The part of interpolation in the frequency of each of `dimensions / 2` pairs, from 0 to 1.
    ///
    /// Between the two limits it grows with the index of the pair, from whole index to whole index, as in the authors'
    /// code that models are trained with; the formula of the paper grows with the turns.
    func interpolation(dimensions: Int, base: Double) -> [Double] {
        func index(ofTurns turns: Double) -> Double {
            Double(dimensions) * log(Double(originalContextLength) / (turns * 2 * .pi)) / (2 * log(base))
        }
        let first = max(0, index(ofTurns: fastTurns).rounded(.down))
        let last = min(Double(dimensions - 1), index(ofTurns: slowTurns).rounded(.up))
        return (0..<dimensions / 2).map { min(1, max(0, (Double($0) - first) / max(0.001, last - first))) }
    }

    /// The factor of queries and keys that makes up for attention being spread over `scale` times the positions.
    static func magnitude(scale: Double) -> Double { scale > 1 ? 1 + 0.1 * log(scale) : 1 }
}

/// Rotary position embedding (arXiv 2104.09864): the angles by which the pairs of a head are turned.
package struct RoPE: Sendable {
    /// Which elements form pairs.
    package let layout: RoPELayout
    /// Radians a position, for each pair. Doubles: at position 2000 a float angle is off by 1e-4.
    private let frequencies: [Double]
    /// What turned pairs are multiplied by.
    private let magnitude: Double

    /// The frequencies base^(-2i/n) of `configuration`, divided by its scale, with YaRN to a part, and by the factors
    /// of each pair where the file has them (`rope_freqs.weight`: Llama 3).
    package init(_ configuration: ModelConfiguration, factors: [Float]?) {
        layout = configuration.architecture.rope
        let dimensions = configuration.ropeDimensions
        let base = configuration.ropeBase
        let scale = configuration.ropeScale
        let interpolation = configuration.yarn?.interpolation(dimensions: dimensions, base: base)
        frequencies = (0..<dimensions / 2).map { pair in
            let frequency = pow(base, -2 * Double(pair) / Double(dimensions)) / Double(factors?[pair] ?? 1)
            let part = interpolation?[pair] ?? 1
            return frequency * (part / scale + (1 - part))
        }
        magnitude = configuration.yarn == nil ? 1 : YaRN.magnitude(scale: scale)
    }

    /// Positions in which each of `dimensions / 2` pairs turns once, without any scaling.
    static func wavelengths(dimensions: Int, base: Double) -> [Double] {
        (0..<dimensions / 2).map { 2 * .pi * pow(base, 2 * Double($0) / Double(dimensions)) }
    }

    /// Pairs of a head that are turned.
    package var pairs: Int { frequencies.count }

    /// Cosines and sines (positions, pairs) of the angles at `positions`, times the magnitude.
    package func fill(_ positions: Range<Int>, cosines: inout FloatBuffer, sines: inout FloatBuffer) {
        var cosines = cosines.mutableSpan
        var sines = sines.mutableSpan
        for (row, position) in positions.enumerated() {
            for pair in 0..<pairs {
                let angle = Double(position) * frequencies[pair]
                cosines[row * pairs + pair] = Float(magnitude * cos(angle))
                sines[row * pairs + pair] = Float(magnitude * sin(angle))
            }
        }
    }
}
