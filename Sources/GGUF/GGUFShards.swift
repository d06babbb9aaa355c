/// The names of a model that is split over several files: `prefix-00001-of-00005.gguf`.
public struct GGUFShards: Sendable, Hashable {
    /// The path up to the first hyphen of the numbering, with its folder.
    public let prefix: String
    /// The number of shards.
    public let count: Int

    /// The metadata key with a shard's number, from 0 (uint16).
    public static let numberKey = "split.no"
    /// The metadata key with the number of shards (uint16).
    public static let countKey = "split.count"
    /// The metadata key with the number of tensors in all shards together (int32).
    public static let tensorCountKey = "split.tensors.count"
    /// The most shards that five digits and a 16-bit `split.no` can number.
    public static let limit = 65535

    /// The shards `prefix-00001-of-<count>.gguf` and so on: `prefix` is their path up to the number, `count` their
    /// number.
    ///
    /// - Precondition: `count` is in `1...limit`.
    public init(prefix: String, count: Int) {
        precondition(count >= 1 && count <= Self.limit, "the number of shards must be in 1...\(Self.limit)")
        self.prefix = prefix
        self.count = count
    }

    /// The shards that `path` is one of, and which, counted from 0; nil where the name does not follow the convention.
    public static func parse(path: String) -> (shards: GGUFShards, index: Int)? {
        // "-NNNNN-of-NNNNN.gguf", from the back.
        guard path.hasSuffix(".gguf") else { return nil }
        let tail = path.utf8.dropLast(".gguf".utf8.count).suffix(15)
        guard tail.count == 15, tail.first == UInt8(ascii: "-"), tail.dropFirst(6).prefix(4).elementsEqual("-of-".utf8),
            let number = fiveDigits(tail.dropFirst(1).prefix(5)), let count = fiveDigits(tail.suffix(5)),
            number >= 1, number <= count, count <= limit
        else { return nil }
        return (GGUFShards(prefix: String(decoding: path.utf8.dropLast(20), as: UTF8.self), count: count), number - 1)
    }

    /// The path of shard `index`, counted from 0.
    ///
    /// - Precondition: `index` is in `0..<count`.
    public func path(at index: Int) -> String {
        precondition(index >= 0 && index < count, "shard index out of range")
        return "\(prefix)-\(Self.padded(index + 1))-of-\(Self.padded(count)).gguf"
    }

    /// The paths of all shards, the first first.
    public var paths: [String] { (0..<count).map(path(at:)) }

    /// What the metadata of shard `index`, counted from 0, says about the split; `tensorCount` is the number of tensors
    /// in all shards together.
    ///
    /// - Precondition: `index` is in `0...65535`.
    public func metadata(at index: Int, tensorCount: Int) -> [(key: String, value: GGUFValue)] {
        [
            (Self.numberKey, .uint16(UInt16(index))),
            (Self.countKey, .uint16(UInt16(count))),
            (Self.tensorCountKey, .int32(Int32(clamping: tensorCount))),
        ]
    }

    /// The keys of ``metadata(at:tensorCount:)``.
    public static let keys = [numberKey, countKey, tensorCountKey]

    private static func fiveDigits(_ text: some Collection<UInt8>) -> Int? {
        guard text.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
        return text.reduce(0) { 10 * $0 + Int($1 - UInt8(ascii: "0")) }
    }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
