internal import GGUF

/// Where what is in a file of logits: the layout of llama.cpp's `llama-perplexity --save-all-logits`.
///
/// ```text
/// "_logits_"                                        8 bytes
/// chunk length, vocabulary, chunks                  3 × int32
/// the tokens of all chunks                          chunks × chunk length × int32
/// for each scored position of each chunk a row:
///     scale, minimum                                2 × float
///     q of each token                               vocabulary × uint16, padded to an even number
/// ```
///
/// All numbers are little-endian. The natural logarithm of a token's probability is minimum + scale × q; whatever is
/// more than 16 below the most likely token is raised to that.
struct LogitsLayout: Sendable {
    /// Tokens in a chunk.
    let chunkLength: Int
    /// Tokens in the vocabulary.
    let vocabularySize: Int
    /// Chunks.
    let chunkCount: Int
    /// Bytes of the file.
    let byteCount: Int

    /// What a file begins with.
    static let magic = Array("_logits_".utf8)
    /// Magic and three counts.
    static let headerBytes = 20
    /// Scale and minimum.
    static let rowHeaderBytes = 8
    /// How far below the most likely token probabilities are told apart, in nats.
    static let range: Float = 16
    /// The largest q.
    static let largest: Float = 65535

    /// nil for counts that make no sense, and where they multiply past 2^63.
    init?(chunkLength: Int, vocabularySize: Int, chunkCount: Int) {
        guard chunkLength >= TokenChunks.minimumLength, vocabularySize >= 1, chunkCount >= 1 else { return nil }
        self.chunkLength = chunkLength
        self.vocabularySize = vocabularySize
        self.chunkCount = chunkCount
        let scored = chunkLength - 1 - chunkLength / 2
        let (values, valuesOverflow) = vocabularySize.addingReportingOverflow(vocabularySize % 2)
        let (valueBytes, valueBytesOverflow) = values.multipliedReportingOverflow(by: 2)
        let (row, rowOverflow) = valueBytes.addingReportingOverflow(Self.rowHeaderBytes)
        let (rows, rowsOverflow) = row.multipliedReportingOverflow(by: scored)
        let (tokens, tokensOverflow) = chunkLength.multipliedReportingOverflow(by: 4)
        let (chunk, chunkOverflow) = rows.addingReportingOverflow(tokens)
        let (chunks, chunksOverflow) = chunk.multipliedReportingOverflow(by: chunkCount)
        let (total, totalOverflow) = chunks.addingReportingOverflow(Self.headerBytes)
        let overflows = [
            valuesOverflow, valueBytesOverflow, rowOverflow, rowsOverflow, tokensOverflow, chunkOverflow,
            chunksOverflow, totalOverflow,
        ]
        guard !overflows.contains(true) else { return nil }
        byteCount = total
    }

    /// Rows of a chunk.
    var rowsPerChunk: Int { chunkLength - 1 - chunkLength / 2 }
    /// Tokens of all chunks.
    var tokenCount: Int { chunkCount * chunkLength }
    /// Bytes of a row.
    var rowBytes: Int { Self.rowHeaderBytes + 2 * (vocabularySize + vocabularySize % 2) }
    /// The bytes of a chunk's rows.
    func rows(ofChunk index: Int) -> Range<Int> {
        let size = rowsPerChunk * rowBytes
        let start = Self.headerBytes + 4 * tokenCount + index * size
        return start..<start + size
    }
}

/// The probabilities that a model gave to the tokens of a text, as `perplexity --save-logits` and llama.cpp's
/// `llama-perplexity --save-all-logits` write them: either program can judge a model by what the other has saved.
///
/// The file is mapped; rows are read as they are needed.
public struct LogitsFile: Sendable {
    /// The path.
    public let path: String
    /// The tokens of all chunks, one after the other: ``chunkCount`` times ``chunkLength`` ids below
    /// ``vocabularySize``.
    public let tokens: [Int32]
    let layout: LogitsLayout
    let file: MappedFile

    /// Opens a file, and checks its header, its length and its tokens. The logits themselves are checked as they are
    /// read.
    ///
    /// - Parameter path: a file in the layout of llama.cpp's `llama-perplexity --save-all-logits`.
    /// - Throws: ``EvaluationError/file(_:)`` for a file that cannot be read,
    ///   ``EvaluationError/invalidLogitsFile(_:_:expected:found:)`` or
    ///   ``EvaluationError/logitsFileSize(_:expected:found:)`` for one that is something else or cut off.
    public init(path: String) throws(EvaluationError) {
        let file: MappedFile
        do throws(GGUFError) { file = try MappedFile(path: path) } catch { throw .file(error) }
        let bytes = file.bytes
        var start: [UInt8] = []
        for index in 0..<min(LogitsLayout.magic.count, bytes.byteCount) { start.append(bytes.integer(at: index)) }
        guard start == LogitsLayout.magic else {
            throw .invalidLogitsFile(
                path, "not a file of logits", expected: "magic _logits_",
                found: String(decoding: start, as: UTF8.self).quoted)
        }
        guard bytes.byteCount >= LogitsLayout.headerBytes else {
            throw .logitsFileSize(path, expected: LogitsLayout.headerBytes, found: bytes.byteCount)
        }
        var counts: [Int] = []
        for index in 0..<3 { counts.append(Int(bytes.integer(at: 8 + 4 * index, as: Int32.self))) }
        guard let layout = LogitsLayout(chunkLength: counts[0], vocabularySize: counts[1], chunkCount: counts[2]) else {
            throw .invalidLogitsFile(
                path, "impossible counts",
                expected: "chunks of \(TokenChunks.minimumLength) tokens or more, a vocabulary, and at least one chunk",
                found: "\(counts[2]) chunks of \(counts[0]) of \(counts[1]) tokens")
        }
        guard bytes.byteCount == layout.byteCount else {
            throw .logitsFileSize(path, expected: layout.byteCount, found: bytes.byteCount)
        }
        var tokens: [Int32] = []
        tokens.reserveCapacity(layout.tokenCount)
        for index in 0..<layout.tokenCount {
            let token = bytes.integer(at: LogitsLayout.headerBytes + 4 * index, as: Int32.self)
            guard token >= 0, Int(token) < layout.vocabularySize else {
                throw .invalidLogitsFile(
                    path, "unknown token at \(index)", expected: "0 to \(layout.vocabularySize - 1)", found: "\(token)")
            }
            tokens.append(token)
        }
        self.path = path
        self.tokens = tokens
        self.layout = layout
        self.file = file
    }

    /// Checks that the logits can be compared with those of a model with a vocabulary of `size` tokens.
    ///
    /// - Throws: ``EvaluationError/otherVocabulary(_:expected:found:)`` where they are those of a vocabulary of another
    ///   size.
    public func check(vocabularySize size: Int) throws(EvaluationError) {
        guard vocabularySize == size else { throw .otherVocabulary(path, expected: size, found: vocabularySize) }
    }

    /// Tokens in a chunk: at least ``TokenChunks/minimumLength``.
    public var chunkLength: Int { layout.chunkLength }
    /// Tokens in the vocabulary.
    public var vocabularySize: Int { layout.vocabularySize }
    /// The number of chunks, at least 1.
    public var chunkCount: Int { layout.chunkCount }
}

/// The probabilities of one position.
struct LogitsRow: ~Escapable {
    private let values: RawSpan
    private let scale: Float
    private let minimum: Float

    /// Reads the two numbers at the start of a row.
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        scale = Float(bitPattern: bytes.integer(at: 0))
        minimum = Float(bitPattern: bytes.integer(at: 4))
        values = bytes.extracting(LogitsLayout.rowHeaderBytes..<bytes.byteCount)
    }

    /// Whether the numbers can be logarithms of probabilities: finite, ascending, and none above 1, but for rounding.
    var isValid: Bool {
        minimum.isFinite && scale >= 0 && scale <= 1 && minimum + LogitsLayout.largest * scale <= 0.01
    }

    /// The natural logarithm of the probability of a token. In single precision, as llama.cpp has it.
    func logProbability(of token: Int) -> Float {
        minimum + scale * Float(values.integer(at: 2 * token, as: UInt16.self))
    }
}

/// Writes the probabilities that a model gives to the tokens of a text.
///
/// The file appears under its name when it is complete; a writer that is dropped before leaves nothing behind.
public struct LogitsFileWriter: ~Copyable {
    private var output: OutputFile
    private let layout: LogitsLayout
    private let path: String
    private let tokens: [Int32]
    private var writtenRows = 0

    /// Begins a file at `path` for the chunks of a text and a model with `vocabularySize` tokens.
    ///
    /// - Parameters:
    ///   - path: where the file will be.
    ///   - chunks: the chunks of the text, whose scored positions have a row each.
    ///   - vocabularySize: the tokens of a row: ``ModelConfiguration/vocabularySize``.
    ///   - inputs: paths of files that must not be overwritten.
    /// - Throws: ``EvaluationError/file(_:)`` where the file cannot be made,
    ///   ``EvaluationError/invalidLogitsFile(_:_:expected:found:)`` for more than the format has numbers for.
    public init(
        path: String, chunks: TokenChunks, vocabularySize: Int, inputs: [String] = []
    ) throws(EvaluationError) {
        guard
            let layout = LogitsLayout(
                chunkLength: chunks.length, vocabularySize: vocabularySize, chunkCount: chunks.count),
            max(chunks.length, vocabularySize, chunks.count) <= Int(Int32.max)
        else {
            throw .invalidLogitsFile(
                path, "too many logits to save", expected: "counts below 2^31",
                found: "\(chunks.count) chunks of \(chunks.length) of \(vocabularySize) tokens")
        }
        var header = LogitsLayout.magic
        for count in [chunks.length, vocabularySize, chunks.count] { header.append(littleEndian: UInt32(count)) }
        for token in chunks.tokens { header.append(littleEndian: UInt32(bitPattern: token)) }
        var output = try Self.create(path, inputs: inputs)
        do throws(GGUFError) { try output.write(header.rawBytes) } catch { throw .file(error) }
        self.output = output
        self.layout = layout
        self.path = path
        tokens = chunks.tokens
    }

    /// Checks that what a model with a vocabulary of `size` tokens gives for `chunks` is what the file was begun for.
    func check(_ chunks: TokenChunks, vocabularySize size: Int) throws(EvaluationError) {
        guard layout.vocabularySize == size else {
            throw .otherVocabulary(path, expected: size, found: layout.vocabularySize)
        }
        guard layout.chunkLength == chunks.length, tokens == chunks.tokens else {
            throw .invalidLogitsFile(
                path, "begun for another text", expected: "\(chunks.count) chunks of \(chunks.length) tokens",
                found: "\(layout.chunkCount) of \(layout.chunkLength)")
        }
    }

    private static func create(_ path: String, inputs: [String]) throws(EvaluationError) -> OutputFile {
        do throws(GGUFError) { return try OutputFile(path: path, inputs: inputs) } catch { throw .file(error) }
    }

    /// Bytes of the finished file.
    public var byteCount: Int { layout.byteCount }

    /// Appends the row of the next scored position.
    package mutating func append(_ logits: Span<Float>, _ softmax: LogSoftmax) throws(EvaluationError) {
        precondition(logits.count == layout.vocabularySize, "\(logits.count) logits of \(layout.vocabularySize)")
        var lowest = softmax.maximum
        for index in logits.indices { lowest = min(lowest, logits[index]) }
        lowest = max(lowest, softmax.maximum - LogitsLayout.range)
        let scale = (softmax.maximum - lowest) / LogitsLayout.largest
        let inverse = scale > 0 ? 1 / scale : 0
        var row: [UInt8] = []
        row.reserveCapacity(layout.rowBytes)
        row.append(littleEndian: scale.bitPattern)
        row.append(littleEndian: Float(softmax.logProbability(of: lowest)).bitPattern)
        for index in logits.indices {
            // Below the lowest, and for what is no number, it is 0.
            let distance = logits[index] > lowest ? (logits[index] - lowest) * inverse : 0
            let q = UInt16(min(distance.rounded(.toNearestOrEven), LogitsLayout.largest))
            row.append(UInt8(truncatingIfNeeded: q))
            row.append(UInt8(truncatingIfNeeded: q >> 8))
        }
        row.append(contentsOf: repeatElement(0, count: layout.rowBytes - row.count))
        do throws(GGUFError) { try output.write(row.rawBytes) } catch { throw .file(error) }
        writtenRows += 1
    }

    /// Flushes the file to the disk and gives it its name.
    package consuming func finish() throws(EvaluationError) {
        precondition(writtenRows == layout.chunkCount * layout.rowsPerChunk, "rows are missing")
        do throws(GGUFError) { try output.commit() } catch { throw .file(error) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: UInt32) {
        for shift: UInt32 in [0, 8, 16, 24] { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}
