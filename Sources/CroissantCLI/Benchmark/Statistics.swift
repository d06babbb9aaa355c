import Foundation

/// What is said about some measurements of one thing.
struct Statistics {
    /// The measurements, sorted.
    private let sorted: [Double]
    /// Their mean.
    let mean: Double
    /// With n - 1; 0 for a single one.
    let variance: Double
    /// The root of the variance.
    var standardDeviation: Double { variance.squareRoot() }

    /// The statistics of at least one sample.
    init(_ samples: [Double]) {
        precondition(!samples.isEmpty, "no samples")
        sorted = samples.sorted()
        let mean = samples.reduce(0, +) / Double(samples.count)
        self.mean = mean
        let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        variance = samples.count > 1 ? squares / Double(samples.count - 1) : 0
    }

    /// The middle one, or the mean of the two in the middle.
    var median: Double { quantile(0.5) }

    /// What a share of the samples is not above, with linear interpolation between neighbours (type 7 of Hyndman and
    /// Fan, "Sample Quantiles in Statistical Packages", 1996).
    func quantile(_ share: Double) -> Double {
        let position = share * Double(sorted.count - 1)
        let lower = Int(position)
        let upper = min(lower + 1, sorted.count - 1)
        return sorted[lower] + (sorted[upper] - sorted[lower]) * (position - Double(lower))
    }
}
