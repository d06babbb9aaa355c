#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What turns the logits of one position into logarithms of probabilities, in double precision.
///
/// One exponential for each token of the vocabulary: next to the product that gave the logit it costs nothing.
package struct LogSoftmax: BitwiseCopyable, Sendable {
    /// The largest logit.
    package let maximum: Float
    /// log(sum of exp(logit - maximum)).
    package let logSum: Double

    /// Goes through the logits of one position.
    package init(_ logits: Span<Float>, kernels: Kernels) {
        let maximum = kernels.maximum(logits)
        var sum = 0.0
        for index in logits.indices { sum += exp(Double(logits[index]) - Double(maximum)) }
        self.maximum = maximum
        logSum = log(sum)
    }

    /// The natural logarithm of the probability of a token with this logit.
    package func logProbability(of logit: Float) -> Double { Double(logit) - Double(maximum) - logSum }
}
