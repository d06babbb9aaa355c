import Foundation

/// A linear scale: the values that it spans, where they lie in the picture, and its ticks.
package struct PictureAxis {
    /// The values from end to end, in `unit`.
    package let domain: ClosedRange<Double>
    /// Where the ends lie in the picture.
    package let pixels: (from: Double, to: Double)
    /// Round numbers within the domain.
    package let ticks: [Double]
    /// What values are counted in, such as GiB.
    package let unit: String
    /// What a unit is, in terms of what is drawn.
    package let unitSize: Double
    /// Decimals that tell the ticks apart.
    private let places: Int

    /// A scale of a domain that is not a single value, with about as many `ticks`, which are multiples of 1, 2 or 5
    /// times a power of ten.
    package init(
        domain: ClosedRange<Double>, pixels: (from: Double, to: Double), ticks count: Int, unit: String,
        unitSize: Double = 1
    ) {
        self.domain = domain
        self.pixels = pixels
        self.unit = unit
        self.unitSize = unitSize
        let rough = (domain.upperBound - domain.lowerBound) / Double(count)
        let power = floor(log10(rough))
        let size = pow(10, power)
        let factor = [1.0, 2, 5].first { $0 * size >= rough * 0.75 }
        let step = (factor ?? 10) * size
        places = max(0, -Int(factor == nil ? power + 1 : power))
        let first = Int((domain.lowerBound / step).rounded(.up))
        let last = Int((domain.upperBound / step).rounded(.down))
        ticks = first <= last ? (first...last).map { Double($0) * step } : []
    }

    /// Where a value lies, which is not in `unit` but in what is drawn.
    package func position(_ value: Double) -> Double { position(inUnits: value / unitSize) }

    /// Where a value in `unit` lies.
    package func position(inUnits value: Double) -> Double {
        let share = (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
        return pixels.from + min(max(share, 0), 1) * (pixels.to - pixels.from)
    }

    /// The number beside a tick.
    package func text(_ tick: Double) -> String {
        // There is no room for more than six digits.
        domain.upperBound >= 1e6 ? "\(Int(tick).abbreviated)" : tick.formatted(places: places)
    }
}
