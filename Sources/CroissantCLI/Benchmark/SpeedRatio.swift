import Foundation

/// How fast B is as a multiple of A, with a confidence interval.
///
/// The interval is Welch's t interval (Biometrika 34, 1947) of the difference of the means of the speeds' logarithms.
/// Noise multiplies speeds, so that logarithms are closer to what the method assumes, and the interval is one of a ratio.
/// It was chosen for three to ten runs. There, a percentile bootstrap covers too little, because a resample of few
/// values spreads less than a sample; and the exact interval of the rank test does not exist below four runs, and covers
/// too little where one file is much noisier. With five runs of each, Welch's intervals of 95 % hold the true ratio in
/// 94.7 to 99 % of simulated pairs, whether noise is even, has a long tail, is six times as large in one file, or
/// strikes single runs (`SpeedRatioTests`).
///
/// What runs of one process share, their spread does not show: the load of the machine at that minute, the clock, the
/// places in memory (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009).
/// Kalibera and Jones ("Quantifying performance changes with effect size confidence intervals", University of Kent,
/// 2012) therefore repeat the outermost thing that varies, the process. So do files with `measurableProcesses` rows of
/// the same test and settings, and then a process counts as one value. For any other file, the interval is widened by
/// `processMargin` and by the drift of both files, the difference between the first and the second half of the runs: a
/// speed that changes within a process will have changed between two. The parts are independent, and added as squares.
/// Where processes differ by 1 %, that holds the true ratio in 97 % of pairs. No margin saves a pair of processes on a
/// machine whose speed wanders by more from one minute to the next than within one: only more of them do, in turn.
package struct SpeedRatio {
    /// The geometric mean of the runs of A, in tokens a second.
    package let speedA: Double
    /// The same for B.
    package let speedB: Double
    /// What holds the true ratio with a chance of `confidence`; nil where there is a single run, which says nothing
    /// about chance.
    package let interval: ClosedRange<Double>?

    /// Speed of B divided by that of A.
    package var ratio: Double { speedB / speedA }

    /// The chance that an interval holds the true ratio.
    package static let confidence = 0.95
    /// Half the width, as a difference of logarithms, of the interval of two processes that differ in nothing: 3 %.
    ///
    /// The least to allow for: on a machine of two shared cores, three passes of two programs over three files, each of
    /// two tests, were 3 to 44 % apart, 13 in the median.
    package static let processMargin = log(1.03)
    /// From so many processes of both on, what differs between processes is measured. Two are too few for an interval
    /// that anybody could use.
    package static let measurableProcesses = 3

    /// The ratio of speeds, in tokens a second, of the runs of each process; there must be at least one run of both.
    package init(_ a: [[Double]], _ b: [[Double]]) {
        let isMeasured = min(a.count, b.count) >= Self.measurableProcesses
        let logarithms = [a, b].map { processes in
            let processes = processes.map { $0.map { log($0) } }
            return isMeasured ? processes.map { Statistics($0).mean } : processes.flatMap { $0 }
        }
        let means = logarithms.map { Statistics($0).mean }
        (speedA, speedB) = (exp(means[0]), exp(means[1]))
        guard var half = Self.halfWidth(logarithms[0], logarithms[1]) else {
            interval = nil
            return
        }
        if !isMeasured {
            for part in [Self.processMargin] + logarithms.map(Self.drift) {
                half = (half * half + part * part).squareRoot()
            }
        }
        let difference = means[1] - means[0]
        interval = exp(difference - half)...exp(difference + half)
    }

    /// Half the width of Welch's interval of the difference of two means; nil where one has a single value.
    package static func halfWidth(_ a: [Double], _ b: [Double]) -> Double? {
        guard min(a.count, b.count) > 1 else { return nil }
        // Squares of the standard errors of the means.
        let squares = [a, b].map { Statistics($0).variance / Double($0.count) }
        let sum = squares[0] + squares[1]
        guard sum > 0 else { return 0 }
        // Welch and Satterthwaite's degrees of freedom.
        let parts = zip(squares, [a, b]).map { square, values in square * square / Double(values.count - 1) }
        return StudentT.centralBound(confidence, freedom: sum * sum / (parts[0] + parts[1])) * sum.squareRoot()
    }

    /// How much the second half of the runs differs from the first; the one in the middle belongs to neither.
    private static func drift(_ values: [Double]) -> Double {
        let half = values.count / 2
        return Statistics(Array(values.suffix(half))).mean - Statistics(Array(values.prefix(half))).mean
    }
}

/// Student's distribution.
package enum StudentT {
    /// The bound that a variable stays within, on both sides of 0, with a chance of `probability`.
    ///
    /// Between whole degrees of freedom, its logarithm is interpolated over their reciprocals: that is never too small,
    /// and by 3 % too large at the most, between 1 and 2.
    package static func centralBound(_ probability: Double, freedom: Double) -> Double {
        // Above, the normal distribution is 0.1 % away.
        let freedom = min(max(freedom, 1), 1000)
        let below = Int(freedom)
        let bound = centralBound(probability, freedom: below)
        guard Double(below) < freedom else { return bound }
        let next = centralBound(probability, freedom: below + 1)
        let share = (1 / Double(below) - 1 / freedom) * Double(below * (below + 1))
        return bound * pow(next / bound, share)
    }

    private static func centralBound(_ probability: Double, freedom: Int) -> Double {
        var angles = (low: 0.0, high: Double.pi / 2)
        for _ in 0..<48 {
            let middle = (angles.low + angles.high) / 2
            if centralProbability(angle: middle, freedom: freedom) < probability {
                angles.low = middle
            } else {
                angles.high = middle
            }
        }
        return Double(freedom).squareRoot() * tan(angles.low)
    }

    /// The chance of values within tan(angle) · √freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    private static func centralProbability(angle: Double, freedom: Int) -> Double {
        let isOdd = freedom % 2 == 1
        var (sum, term) = (0.0, isOdd ? cos(angle) : 1)
        for power in stride(from: isOdd ? 1 : 0, through: freedom - 2, by: 2) {
            sum += term
            term *= cos(angle) * cos(angle) * Double(power + 1) / Double(power + 2)
        }
        return isOdd ? (angle + sin(angle) * sum) * 2 / .pi : sin(angle) * sum
    }
}
