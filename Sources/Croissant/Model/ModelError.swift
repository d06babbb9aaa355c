public import GGUF

/// Why a model cannot be loaded or run.
public enum ModelError: Error, Sendable, Equatable {
    /// The file is not what the format says.
    case file(GGUFError)
    /// The file's tokenizer is not one that works.
    case tokenizer(TokenizerError)
    /// `general.architecture` is `found`, none of those that this runtime knows.
    case unsupportedArchitecture(found: String, known: [String])
    /// The metadata key `key` asks, with `value`, for something that is not computed here: ignoring it would give wrong
    /// results. `feature` says what.
    case unsupportedFeature(_ feature: String, key: String, value: String)
    /// The metadata key `key` has a value that makes no sense; `expected` says which would.
    case invalidHyperparameter(key: String, value: String, expected: String)
    /// A tensor that the architecture needs is not in the file. `expected` is its shape, the length of a row first;
    /// empty where that is not known.
    case missingTensor(name: String, expected: [Int])
    /// A tensor is in the file that the architecture, as it is known here, has no use for: ignoring it would give wrong
    /// results.
    case unexpectedTensor(name: String)
    /// A tensor does not have the shape that the metadata asks for. Shapes begin with the length of a row.
    case wrongShape(tensor: String, expected: [Int], found: [Int])
    /// A tensor has a type that cannot be computed with here. `type` is its name, `expected` those of types that can.
    case unsupportedType(tensor: String, type: String, expected: String)
    /// A tensor has a number that makes no sense: one of few, each of which decides over every result, or one that the
    /// type it is to have cannot express. `index` counts elements of the tensor from 0, row after row.
    case invalidWeight(tensor: String, index: Int, value: String, expected: String)
    /// What `tensor` is multiplied with while a text is read has numbers that are none, or whose squares are none.
    case infiniteActivations(tensor: String)
    /// What follows position `position`, from 0 on, has logits that are no numbers.
    case noNumbers(position: Int)
    /// A tensor that is quantised already, in the type named, would be quantised again.
    case requantization(tensor: String, type: String)
    /// The system refused so many bytes, which were for `purpose`.
    case outOfMemory(bytes: Int, purpose: String)
    /// The plan is larger than the budget, both in bytes; `remedy` says what would fit, where something does.
    case overBudget(planned: Int, budget: Int, remedy: String?)
    /// What the plan needs beside mapped files is more than the container (cgroup) may have, both in bytes.
    case overContainer(needed: Int, limit: Int)
    /// Calibrating takes more memory than there is, both in bytes.
    case overMemory(needed: Int, available: Int)
    /// More positions, `tokens` of them, were asked for than the `capacity` that the context holds.
    case contextExceeded(tokens: Int, capacity: Int)
    /// An option has a value that does not work, at all or with this model or machine; `expected` says which would.
    case invalidOption(name: String, value: String, expected: String)
    /// A token id is outside the vocabulary: ids are from 0 to below `vocabularySize`.
    case invalidToken(id: Int, vocabularySize: Int)
    /// The file has no tokenizer, so text means nothing to it.
    case noTokenizer(path: String)
}

extension ModelError: CustomStringConvertible {
    /// One line: what is wrong, where, what was expected and what was found.
    public var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .tokenizer(let error): "\(error)"
        case .unsupportedArchitecture(let found, let known):
            "unknown architecture: general.architecture "
                + "(expected one of \(known.joined(separator: ", ")), found \"\(found.escaped)\")"
        case .unsupportedFeature(let feature, let key, let value):
            "\(feature) is not supported: \(key.escaped) (found \(value.escaped))"
        case .invalidHyperparameter(let key, let value, let expected):
            "bad value: \(key.escaped) (expected \(expected), found \(value.escaped))"
        case .missingTensor(let name, let expected):
            "missing tensor: \(name) (expected " + (expected.isEmpty ? "a matrix)" : "shape \(expected))")
        case .unexpectedTensor(let name):
            "unexpected tensor: \(name.escaped) (expected only tensors of the architecture)"
        case .wrongShape(let tensor, let expected, let found):
            "wrong shape: \(tensor) (expected \(expected), found \(found))"
        case .unsupportedType(let tensor, let type, let expected):
            "unsupported type: \(tensor.escaped) (expected \(expected), found \(type))"
        case .invalidWeight(let tensor, let index, let value, let expected):
            "bad weight: \(tensor.escaped)[\(index)] (expected \(expected), found \(value))"
        case .infiniteActivations(let tensor):
            "bad activations: the input of \(tensor.escaped) (expected numbers with finite squares, found others)"
        case .noNumbers(let position):
            "the model gives no number: position \(position) (expected finite logits)"
        case .requantization(let tensor, let type):
            "weights are quantised already: tensor \(tensor.quoted) (expected F32, F16 or BF16, found \(type))"
        case .outOfMemory(let bytes, let purpose):
            "out of memory: \(ByteCount(bytes)) for \(purpose) were refused by the system"
        case .overBudget(let planned, let budget, _):
            "over the memory budget: the plan needs \(ByteCount(planned)) (expected at most \(ByteCount(budget)))"
        case .overContainer(let needed, let limit):
            "over the container's memory: the plan needs \(ByteCount(needed)) (expected at most \(ByteCount(limit)))"
        case .overMemory(let needed, let available):
            "not enough memory: the plan needs \(ByteCount(needed)) (expected at most \(ByteCount(available)))"
        case .contextExceeded(let tokens, let capacity):
            "the context is full: \(tokens) tokens were given, \(capacity) fit"
        case .invalidOption(let name, let value, let expected):
            "bad option: \(name) (expected \(expected), found \(value))"
        case .invalidToken(let id, let vocabularySize):
            "unknown token: \(id) (expected 0 to \(vocabularySize - 1))"
        case .noTokenizer(let path):
            "no tokenizer: \(path.escaped) holds no vocabulary, so it takes token ids only"
        }
    }

    /// What could be done about it, where there is something.
    public var hint: String? {
        switch self {
        case .file(let error): error.hint
        case .tokenizer(let error): error.hint
        case .overBudget(_, _, let remedy): remedy
        case .requantization:
            "quantise the original, in F16 or BF16; --allow-requantize does it all the same, and adds up the errors"
        case .noNumbers: "'croissant-gguf check FILE' looks for damaged weights"
        case .infiniteActivations: "weights that make this input are too large, whatever the text"
        case .outOfMemory, .overContainer:
            "a smaller context (-c), a smaller batch (-b), fewer threads (-t) or --weights mapped needs less"
        case .overMemory: "fewer chunks of text, or shorter ones, need less"
        case .contextExceeded: "a larger context (-c) holds more, up to what the model was trained for"
        case .noTokenizer: "give token ids with --ids"
        default: nil
        }
    }
}

/// A number of bytes that prints itself with a binary unit.
public struct ByteCount: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The bytes.
    public let bytes: Int

    /// `bytes` bytes.
    public init(_ bytes: Int) { self.bytes = bytes }

    /// `count` times 2^20 bytes, rounded down to a byte.
    ///
    /// - Precondition: `count` is finite, and the bytes fit an `Int`.
    public static func mebibytes(_ count: Double) -> ByteCount { ByteCount(Int(count * 0x1p20)) }

    /// `count` times 2^30 bytes, rounded down to a byte.
    ///
    /// - Precondition: `count` is finite, and the bytes fit an `Int`.
    public static func gibibytes(_ count: Double) -> ByteCount { ByteCount(Int(count * 0x1p30)) }

    /// Whether `left` is fewer bytes than `right`.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    /// Such as "774.0 MiB", "1.33 GiB" or "12 B".
    public var description: String {
        let value = Double(bytes)
        if bytes >= 1 << 30 { return "\(Self.decimal(value / 0x1p30, places: 2)) GiB" }
        if bytes >= 1 << 20 { return "\(Self.decimal(value / 0x1p20, places: 1)) MiB" }
        if bytes >= 1 << 10 { return "\(Self.decimal(value / 0x1p10, places: 1)) KiB" }
        return "\(bytes) B"
    }

    /// Reads "1.2GiB", "512 MiB", "800MB", "1000000", in upper or lower case: KiB, MiB, GiB and K, M, G are powers of
    /// 1024; KB, MB, GB powers of 1000; a bare number is bytes. The result is nil where `text` is none of these, is
    /// negative, or comes to 2^62 bytes.
    public init?(parsing text: String) {
        let units: [(suffix: String, factor: Double)] = [
            ("gib", 0x1p30), ("mib", 0x1p20), ("kib", 0x1p10), ("gb", 1e9), ("mb", 1e6), ("kb", 1e3), ("g", 0x1p30),
            ("m", 0x1p20), ("k", 0x1p10), ("b", 1), ("", 1),
        ]
        let lowered = text.lowercased().filter { !$0.isWhitespace }
        guard let unit = units.first(where: { lowered.hasSuffix($0.suffix) }),
            let value = Double(lowered.dropLast(unit.suffix.count)), value.isFinite, value >= 0,
            value * unit.factor < 0x1p62
        else { return nil }
        bytes = Int(value * unit.factor)
    }

    private static func decimal(_ value: Double, places: Int) -> String {
        var factor = 1.0
        for _ in 0..<places { factor *= 10 }
        let scaled = Int((value * factor).rounded())
        let (whole, part) = scaled.quotientAndRemainder(dividingBy: Int(factor))
        let digits = String(part)
        return "\(whole)." + String(repeating: "0", count: places - digits.count) + digits
    }
}
