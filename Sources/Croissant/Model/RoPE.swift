#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Rotary position embedding (arXiv 2104.09864): the angles by which the pairs of a head are turned.
package struct RoPE: Sendable {
    /// Which elements form pairs.
    package let layout: RoPELayout
    /// Radians a position, for each pair. Doubles: at position 2000 a float angle is off by 1e-4.
    private let frequencies: [Double]

    /// The frequencies base^(-2i/n) of `configuration`, divided by the linear scale and by the factors of each pair
    /// where the file has them (`rope_freqs.weight`: Llama 3).
    package init(_ configuration: ModelConfiguration, factors: [Float]?) {
        layout = configuration.architecture.rope
        let dimensions = configuration.ropeDimensions
        frequencies = (0..<dimensions / 2).map { pair in
            let frequency = pow(configuration.ropeBase, -2 * Double(pair) / Double(dimensions))
            return frequency / configuration.ropeScale / Double(factors?[pair] ?? 1)
        }
    }

    /// Pairs of a head that are turned.
    package var pairs: Int { frequencies.count }

    /// Cosines and sines (positions, pairs) of the angles at `positions`.
    package func fill(_ positions: Range<Int>, cosines: inout FloatBuffer, sines: inout FloatBuffer) {
        var cosines = cosines.mutableSpan
        var sines = sines.mutableSpan
        for (row, position) in positions.enumerated() {
            for pair in 0..<pairs {
                let angle = Double(position) * frequencies[pair]
                cosines[row * pairs + pair] = Float(cos(angle))
                sines[row * pairs + pair] = Float(sin(angle))
            }
        }
    }
}
