import GGUF

/// Reads tokenizer.model, SentencePiece's own file: a protocol buffer of type `ModelProto`
/// (sentencepiece_model.proto), whose kinds of pieces have the numbers that GGUF gives them.
struct SentencePieceModel {
    /// A piece of the vocabulary.
    struct Piece {
        /// Its bytes, which need not be valid UTF-8.
        var text: [UInt8] = []
        /// When it is merged: the highest first.
        var score: Float = 0
        /// What it is for.
        var kind = Tokenizer.TokenKind.normal
    }

    /// The pieces, by id.
    private(set) var pieces: [Piece] = []
    /// Ids that the trainer gave: -1 for none.
    private(set) var unknown = 0
    private(set) var bos = 1
    private(set) var eos = 2
    private(set) var padding = -1

    private var addsSpacePrefix = true
    private var removesExtraSpaces = true
    private var escapesSpaces = true
    private var marksSpacesBehind = false
    private var normalizer = ""
    private var hasCharacterMap = false
    private var isBPE = false
    private let bytes: [UInt8]
    private let file: String

    /// Numbers of fields, as the definition has them.
    private enum FieldNumber {
        static let pieces = 1
        static let trainer = 2
        static let normalizer = 3
    }

    /// Reads the bytes of the file called `file`.
    init(_ bytes: [UInt8], file: String) throws(ConversionError) {
        self.bytes = bytes
        self.file = file
        var reader = ProtobufReader(bytes, 0..<bytes.count, file: file)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (FieldNumber.pieces, .bytes(let range)): pieces.append(try piece(range, field.offset))
            case (FieldNumber.trainer, .bytes(let range)): try readTrainer(range)
            case (FieldNumber.normalizer, .bytes(let range)): try readNormalizer(range)
            case (FieldNumber.pieces...FieldNumber.normalizer, _):
                throw invalid(field.offset, "a message", "another kind of field")
            default: break  // Tests, and what later versions add.
            }
        }
        guard !pieces.isEmpty else { throw invalid(0, "pieces", "none") }
        guard isBPE else {
            throw .unsupported(
                feature: "a SentencePiece model other than BPE", file: file, key: "trainer_spec.model_type",
                found: "another type")
        }
        guard escapesSpaces else {
            throw .unsupported(
                feature: "a vocabulary with spaces in it", file: file, key: "normalizer_spec.escape_whitespaces",
                found: "false")
        }
        guard !marksSpacesBehind else {
            throw .unsupported(
                feature: "a vocabulary with spaces behind words", file: file,
                key: "trainer_spec.treat_whitespace_as_suffix", found: "true")
        }
    }

    private func invalid(_ offset: Int, _ expected: String, _ found: String) -> ConversionError {
        .invalidTokenizerModel(file, offset: offset, expected: expected, found: found)
    }

    private func piece(_ range: Range<Int>, _ offset: Int) throws(ConversionError) -> Piece {
        var piece = Piece()
        var reader = ProtobufReader(bytes, range, file: file)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let range)): piece.text = Array(bytes[range])
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .varint(let number)):
                guard let kind = Int(exactly: number).flatMap(Tokenizer.TokenKind.init) else {
                    throw invalid(field.offset, "a kind of piece from 1 to 6", "\(number)")
                }
                piece.kind = kind
            case (1...3, _): throw invalid(field.offset, "a field of another type", "a wrong wire type")
            default: break
            }
        }
        guard !piece.text.isEmpty else { throw invalid(offset, "a piece with a text", "one without") }
        guard !piece.score.isNaN else { throw invalid(offset, "a score", "NaN") }
        return piece
    }

    private mutating func readTrainer(_ range: Range<Int>) throws(ConversionError) {
        var reader = ProtobufReader(bytes, range, file: file)
        while let field = try reader.next() {
            guard case .varint(let number) = field.value else { continue }
            // Negative numbers are written as 64 bits of two's complement.
            let id = Int(Int32(truncatingIfNeeded: number))
            switch field.number {
            case 3: isBPE = number == 2
            case 24: marksSpacesBehind = number != 0
            case 40: unknown = id
            case 41: bos = id
            case 42: eos = id
            case 43: padding = id
            default: break
            }
        }
    }

    private mutating func readNormalizer(_ range: Range<Int>) throws(ConversionError) {
        var reader = ProtobufReader(bytes, range, file: file)
        while let field = try reader.next() {
            switch (field.number, field.value) {
            case (1, .bytes(let range)): normalizer = String(decoding: bytes[range], as: UTF8.self)
            case (2, .bytes(let range)): hasCharacterMap = !range.isEmpty
            case (3, .varint(let number)): addsSpacePrefix = number != 0
            case (4, .varint(let number)): removesExtraSpaces = number != 0
            case (5, .varint(let number)): escapesSpaces = number != 0
            default: break
            }
        }
    }

    /// The vocabulary, with the tokens that were added later.
    ///
    /// - Parameter count: the rows of the embedding.
    func vocabulary(count: Int, added: [AddedToken]) throws(ConversionError) -> ConvertedVocabulary {
        var vocabulary = ConvertedVocabulary(.sentencePiece, count: count, file: file)
        // Tokens that were added have no score. They are found before anything is merged.
        var scores = [Float](repeating: -1000, count: count)
        for (id, piece) in pieces.enumerated() {
            try vocabulary.place(piece.text, at: id, piece.kind)
            scores[id] = piece.score
        }
        vocabulary.scores = scores
        for token in added { try vocabulary.add(token) }
        vocabulary.setRules(findsPieces: true)
        vocabulary.addsSpacePrefix = addsSpacePrefix
        vocabulary.removesExtraSpaces = removesExtraSpaces
        if hasCharacterMap {
            // The table that the file holds is that of a rule with a name, but for rules of somebody's own.
            guard let form = NormalForm(rawValue: normalizer), [.nfkc, .nmtNFKC].contains(form) else {
                throw .unsupported(
                    feature: "replacing characters by a table", file: file, key: "normalizer_spec.name",
                    found: normalizer.quoted)
            }
            vocabulary.preparation.normalForms = [form]
        }
        return vocabulary
    }
}
