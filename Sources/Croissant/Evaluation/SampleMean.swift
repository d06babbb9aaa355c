/// The mean of values that arrive one by one, and how far it may be from that of all values there could be.
public struct SampleMean: Sendable, Equatable {
    /// The number of values.
    public private(set) var count = 0
    /// Their mean, in their unit; 0 without any.
    public private(set) var value = 0.0
    /// The sum of the squared distances from the mean (Welford, 1962), which sums of squares would lose to rounding.
    private var squares = 0.0

    /// No values.
    public init() {}

    /// The standard error of the mean: sqrt((mean of squares - square of mean) / (count - 1)), as llama.cpp computes
    /// it; nil for fewer than two values.
    public var error: Double? {
        count > 1 ? (squares / Double(count) / Double(count - 1)).squareRoot() : nil
    }

    /// Adds a value.
    package mutating func add(_ sample: Double) {
        count += 1
        let distance = sample - value
        value += distance / Double(count)
        squares += distance * (sample - value)
    }
}
