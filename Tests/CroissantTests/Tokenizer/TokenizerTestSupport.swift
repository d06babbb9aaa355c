import Croissant
import GGUF

/// A small vocabulary written in a test: ids are the order of insertion.
struct VocabularyFixture {
    /// Texts, in order of id.
    var texts: [String] = []
    /// Values of `tokenizer.ggml.token_type`, in order of id.
    var kinds: [Int32] = []
    /// Scores, in order of id.
    var scores: [Float] = []
    /// Keys beside the vocabulary, without their prefix.
    var options: [String: GGUFValue] = [:]

    /// `<unk>`, `<s>` and `</s>` as 0, 1 and 2, as in SentencePiece's models.
    static var sentencePiece: VocabularyFixture {
        var fixture = VocabularyFixture()
        fixture.add("<unk>", .unknown)
        fixture.add("<s>", .control)
        fixture.add("</s>", .control)
        return fixture
    }

    /// `sentencePiece` with pieces of text whose scores fall from -1 in steps of 1: the first is merged first.
    static func pieces(_ pieces: String...) -> VocabularyFixture {
        var fixture = sentencePiece
        for (index, piece) in pieces.enumerated() { fixture.add(piece, .normal, score: -1 - Float(index)) }
        return fixture
    }

    /// Adds a token.
    mutating func add(_ text: String, _ kind: Tokenizer.TokenKind, score: Float = 0) {
        texts.append(text)
        kinds.append(Int32(kind.rawValue))
        scores.append(score)
    }

    /// Adds `<0x00>` … `<0xFF>`, or some of them.
    mutating func addBytes(_ bytes: ClosedRange<UInt8> = 0...255) {
        for byte in bytes {
            let digits = String(byte, radix: 16, uppercase: true)
            add("<0x\(digits.count == 1 ? "0" : "")\(digits)>", .byte)
        }
    }

    /// As a file's metadata.
    var metadata: GGUFMetadata {
        var metadata: GGUFMetadata = [
            "tokenizer.ggml.model": .string("llama"),
            "tokenizer.ggml.tokens": .array(.string(GGUFStrings(texts))),
            "tokenizer.ggml.scores": .array(.float32(scores)),
            "tokenizer.ggml.token_type": .array(.int32(kinds)),
        ]
        for (key, value) in options { metadata["tokenizer.ggml." + key] = value }
        return metadata
    }

    /// As a tokenizer, without the prefix space unless the options say otherwise.
    func tokenizer() throws -> Tokenizer {
        var fixture = self
        fixture.options["add_space_prefix"] = options["add_space_prefix"] ?? .bool(false)
        return try Tokenizer(metadata: fixture.metadata)
    }
}

extension Tokenizer {
    /// The texts of the tokens of `text`, without BOS.
    func pieces(_ text: String, parseSpecial: Bool = true) -> [String] {
        encode(text, addBOS: false, parseSpecial: parseSpecial).map { self.text(of: $0) ?? "?" }
    }
}

/// A generator of the same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Starts a sequence.
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Random text of many scripts, with runs of spaces, control characters and what looks like special tokens.
func randomText(length: Int, using generator: inout SeededGenerator) -> String {
    let words = [
        "le ", "the ", "œuvre", "e\u{301}", "👩‍👩‍👧", "<s>", "</s>", "<0x0A>", "\r\n", "\0", "한국", "   ", "<", "s>",
    ]
    var text = ""
    for _ in 0..<length {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<5: text.unicodeScalars.append(Unicode.Scalar(UInt8.random(in: 0x20...0x7E, using: &generator)))
        case 5, 6: text += words.randomElement(using: &generator) ?? ""
        case 7: text += String(repeating: " ", count: Int.random(in: 1...5, using: &generator))
        default:
            let value = UInt32.random(in: 0...0x10FFFF, using: &generator)
            // The tokenizer's own sign for a space comes back as a space.
            if let scalar = Unicode.Scalar(value), scalar != "\u{2581}" { text.unicodeScalars.append(scalar) }
        }
    }
    return text
}
