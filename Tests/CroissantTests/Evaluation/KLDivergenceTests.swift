import Croissant
import Foundation
import GGUF
import Testing

/// A file of logits for tests, with the reference logits of the unquantised model.
enum ReferenceLogits {
    /// The scored positions of the one chunk that there is.
    static let scored = 24..<47

    /// Saves the float64 logits of `random-mha-f32` for their 48 tokens.
    static func write(to path: String) throws {
        let ids = try ReferenceIDs.load()
        let logits = try TestData.floats("random-mha-f32.logits.f32")
        let size = logits.count / ids.count
        let chunks = try TokenChunks(ids, length: ids.count, beginning: nil)
        var writer = try LogitsFileWriter(path: path, chunks: chunks, vocabularySize: size)
        let kernels = Kernels(.scalar)
        for position in scored {
            let row = Array(logits[position * size..<(position + 1) * size])
            try writer.append(row.span, LogSoftmax(row.span, kernels: kernels))
        }
        try writer.finish()
    }
}

@Suite("Divergence is that of float64 arithmetic", .enabled(if: TestData.isPresent, "needs ../shared/data"))
struct ReferenceDivergenceTests {
    /// By Benchmarks/Compare/golden.py, first to last figure: base perplexity, ln(PPL/base) and its error, mean KLD and
    /// its error, median, maximum and 90 % KLD, mean change of p, its root mean square and error, same top.
    static let golden: [(String, [Double])] = [
        (
            "IQ4_XS",
            [
                863.030642, -0.00249734008, 0.105281267, 0.0811567307, 0.00546765051, 0.0772173814, 0.128897177,
                0.117051502, 0.000168457062, 0.00104703693, 0.000284465658, 0.52173913,
            ]
        ),
        (
            "Q2_K",
            [
                863.030642, 0.274223783, 0.183658378, 0.496806707, 0.0186200232, 0.513171373, 0.667724674, 0.626134401,
                -0.00032087888, 0.00227943999, 0.00055928801, 0.0434782609,
            ]
        ),
        (
            "Q4_0",
            [
                863.030642, 0.102057209, 0.108335284, 0.106221845, 0.011164624, 0.098402251, 0.236757281, 0.183517037,
                -0.000138416244, 0.000835172916, 0.000117859636, 0.304347826,
            ]
        ),
        (
            "Q4_K_M",
            [
                863.030642, -0.0239420883, 0.0812928315, 0.0744758319, 0.00488262767, 0.0654737466, 0.137060119,
                0.100723755, -0.000100961631, 0.00103797633, 0.000229433622, 0.434782609,
            ]
        ),
        (
            "Q5_K_M",
            [
                863.030642, 0.0612662884, 0.0382695487, 0.0183637607, 0.00131681225, 0.0189446087, 0.0286694278,
                0.026118551, -0.000257614609, 0.000695597123, 0.000260159193, 0.826086957,
            ]
        ),
        (
            "Q8_0",
            [
                863.030642, 0.0127987807, 0.0069903296, 0.000510320007, 4.76831344e-05, 0.000450967537, 0.0010309052,
                0.000846741484, -2.53453828e-05, 6.98058024e-05, 1.51070458e-05, 1,
            ]
        ),
        (
            "f32",
            [
                863.030642, 8.82643501e-06, 5.4023838e-06, -2.52752524e-07, 2.44160795e-07, -2.42740827e-07,
                1.71585326e-06, 1.11299268e-06, -1.90031915e-08, 5.65520423e-08, 8.99073573e-09, 1,
            ]
        ),
    ]

    @Test("with floats throughout, each figure", arguments: golden)
    func exact(name: String, expected: [Double]) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try ReferenceLogits.write(to: folder.file("base.logits"))
        let base = try LogitsFile(path: folder.file("base.logits"))
        #expect(base.chunkLength == 48 && base.chunkCount == 1 && base.vocabularySize == 512)
        let path = TestData.path("random-mha-\(name).gguf")
        for batchSize in [512, 5] {
            // The reference logits are those of the tokens as they are, without BOS.
            var file = try ModelFile(path: path)
            file.metadata["tokenizer.ggml.add_bos_token"] = .bool(false)
            var options = RuntimeOptions.exact(contextLength: 48, threads: 2)
            options.batchSize = batchSize
            let model = try file.load(options.evaluating(chunksOf: 48))
            var comparison = try KLDivergence(model, base: base)
            let chunk = try #require(try comparison.next())
            #expect(try comparison.next() == nil)
            let found = comparison.statistics
            #expect(found.count == 23 && chunk.divergence.values == found.divergence.values)
            let quantiles = try #require(found.divergence.quantiles([0.5, 1, 0.9]))
            let figures = [
                found.basePerplexity.perplexity, found.logRatio.value, found.logRatio.error,
                found.divergence.mean.value, found.divergence.mean.error, quantiles[0], quantiles[1], quantiles[2],
                found.probabilityChange.mean.value, found.rootMeanSquareChange, found.rootMeanSquareChangeError,
                found.sameTop.value,
            ]
            for (index, (figure, expected)) in zip(figures, expected).enumerated() {
                let difference = abs((figure ?? .infinity) - expected)
                #expect(difference < 1e-5 + 1e-5 * abs(expected), "figure \(index): \(figure ?? .nan), \(expected)")
            }
        }
    }

    @Test("saved logits are those that numpy makes of the same numbers")
    func saved() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        try ReferenceLogits.write(to: folder.file("base.logits"))
        let data = [UInt8](try Data(contentsOf: URL(filePath: folder.file("base.logits"))))
        #expect(data.count == 23948)
        #expect(Array(data.prefix(20)) == Array("_logits_".utf8) + [48, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0])
        // By Benchmarks/Compare/golden.py: scale, minimum, sum of q, of the first four rows.
        let golden: [(Float, Float, Int)] = [
            (9.65759391e-05, -9.80529499, 16367222),
            (8.48935233e-05, -9.63082027, 17508577),
            (9.45608917e-05, -9.99763298, 17594334),
            (8.86107446e-05, -9.7036438, 17251201),
        ]
        for (index, (scale, minimum, sum)) in golden.enumerated() {
            let start = 20 + 4 * 48 + index * (8 + 2 * 512)
            #expect(abs(float(data, start) / scale - 1) < 1e-6)
            #expect(abs(float(data, start + 4) / minimum - 1) < 1e-6)
            let values = (0..<512).map { Int(data[start + 8 + 2 * $0]) | Int(data[start + 9 + 2 * $0]) << 8 }
            #expect(values.min() == 0 && values.max() == 65535)
            #expect(abs(values.reduce(0, +) - sum) <= 20, "roundings to the nearest of two equally near numbers")
        }
    }

    private func float(_ data: [UInt8], _ offset: Int) -> Float {
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(data[offset + $1]) << (8 * UInt32($1)) })
    }
}

@Suite("Divergence")
struct KLDivergenceTests {
    private static let file = Result { try ModelFile(shape: .tiny, seed: 5) }
    private static let tokens = (0..<60).map { Int32($0 * 37 % 512) }

    private static func model(_ change: (inout ModelFile) throws -> Void = { _ in }) throws -> Model {
        var file = try file.get()
        try change(&file)
        return try file.load(RuntimeOptions.small.evaluating(chunksOf: 12))
    }

    /// Saves the logits of the tiny model over five chunks.
    private static func save(to path: String) throws -> PerplexityEstimate {
        let model = try model()
        let chunks = try TokenChunks(tokens, length: 12, beginning: TokenChunks.beginning(model))
        let writer = try LogitsFileWriter(
            path: path, chunks: chunks, vocabularySize: model.configuration.vocabularySize)
        return try Perplexity(model, chunks, savingTo: writer).run()
    }

    @Test("a model does not diverge from itself, but for 16 bits")
    func itself() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let saved = try Self.save(to: folder.file("base"))
        let base = try LogitsFile(path: folder.file("base"))
        #expect(base.tokens == Self.tokens && base.chunkLength == 12 && base.chunkCount == 5)
        var comparison = try KLDivergence(try Self.model(), base: base)
        while try comparison.next() != nil {}
        let found = comparison.statistics
        #expect(comparison.doneChunks == 5 && found.count == 25)
        #expect(found.perplexity == saved)
        #expect(abs(found.basePerplexity.perplexity / saved.perplexity - 1) < 1e-4)
        #expect(found.divergence.values.allSatisfy { abs($0) < 1e-5 })
        #expect(found.sameTop.value == 1)
        #expect(found.rootMeanSquareChange < 1e-5)
        #expect(
            try #require(found.divergence.quantiles([0, 1])) == [
                try #require(found.divergence.values.min()), try #require(found.divergence.values.max()),
            ])
    }

    @Test("another model does, in as many chunks as are asked for")
    func another() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        _ = try Self.save(to: folder.file("base"))
        let base = try LogitsFile(path: folder.file("base"))
        let other = try Self.model { file in
            try file.change("output.weight") { tensor in tensor.bytes.reverse(fours: 0..<64) }
        }
        var comparison = try KLDivergence(other, base: base, chunks: 2)
        let first = try #require(try comparison.next())
        let second = try #require(try comparison.next())
        #expect(try comparison.next() == nil)
        let all = comparison.statistics
        #expect(all.divergence.values == first.divergence.values + second.divergence.values)
        #expect(all.divergence.mean.value > 1e-4)
        #expect(abs(log(all.perplexity.perplexity / all.basePerplexity.perplexity) - all.logRatio.value) < 1e-12)
    }

    @Test("quantiles lie between the values that they fall between")
    func quantiles() throws {
        var statistics = DivergenceStatistics()
        #expect(statistics.divergence.quantiles([0.5]) == nil)
        for value in [3.0, 1, 4, 1, 5] {
            var position = PositionDivergence()
            position.divergence = value
            statistics.add(position)
        }
        // numpy.quantile([3, 1, 4, 1, 5], …)
        let found = try #require(statistics.divergence.quantiles([0, 0.1, 0.5, 0.9, 0.999, 1, -1, 2]))
        for (found, expected) in zip(found, [1, 1, 3, 4.6, 4.996, 5, 1, 5]) { #expect(abs(found - expected) < 1e-12) }
        #expect(statistics.divergence.mean.value == 2.8)
        #expect(statistics.divergence.quantiles([0.5, .nan]) == nil)
    }

    @Test("a run that is stopped leaves no file, and does not go on")
    func stopped() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let model = try Self.model()
        let chunks = try TokenChunks(Self.tokens, length: 12, beginning: nil)
        let writer = try LogitsFileWriter(path: folder.file("base"), chunks: chunks, vocabularySize: 512)
        do {
            var perplexity = try Perplexity(model, chunks, savingTo: writer)
            #expect(try perplexity.next() != nil)
            #expect(try folder.names.count == 1)
            #expect(try perplexity.next { _ in false } == nil)
            #expect(try folder.names.isEmpty)
            #expect(try perplexity.next() == nil)
            #expect(perplexity.doneChunks == 1)
        }
        do {
            let writer = try LogitsFileWriter(path: folder.file("base"), chunks: chunks, vocabularySize: 512)
            var perplexity = try Perplexity(model, chunks, savingTo: writer)
            #expect(try perplexity.next() != nil)
        }
        #expect(try folder.names.isEmpty, "a run that is dropped leaves none either")
    }

    @Test("a file that was begun for another text or vocabulary takes no logits")
    func strangers() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let model = try Self.model()
        let chunks = try TokenChunks(Self.tokens, length: 12, beginning: nil)
        func begin(_ other: TokenChunks, vocabularySize: Int) throws {
            let writer = try LogitsFileWriter(
                path: folder.file("base"), chunks: other, vocabularySize: vocabularySize)
            _ = try Perplexity(model, chunks, savingTo: writer)
        }
        try begin(chunks, vocabularySize: 512)
        #expect(throws: EvaluationError.otherVocabulary(folder.file("base"), expected: 512, found: 511)) {
            try begin(chunks, vocabularySize: 511)
        }
        for other in [
            try TokenChunks(Self.tokens, length: 12, beginning: nil, limit: 2),
            try TokenChunks(Self.tokens, length: 15, beginning: nil),
            try TokenChunks(Self.tokens.reversed(), length: 12, beginning: nil),
        ] {
            #expect(throws: EvaluationError.self) { try begin(other, vocabularySize: 512) }
        }
        #expect(try folder.names.isEmpty)
    }

    @Test("inputs are not overwritten, and folders and devices are no files")
    func outputs() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let chunks = try TokenChunks(Self.tokens, length: 12, beginning: nil)
        try Data("text".utf8).write(to: URL(filePath: folder.file("text")))
        for path in [folder.file("text"), folder.path, "/dev/null", "/no/such/folder/x", ""] {
            #expect(throws: EvaluationError.self) {
                _ = try LogitsFileWriter(
                    path: path, chunks: chunks, vocabularySize: 512, inputs: [folder.file("text")])
            }
        }
        #expect(try folder.names == ["text"])
    }
}

extension [UInt8] {
    /// Reverses the order of the four-byte numbers of a range.
    fileprivate mutating func reverse(fours range: Range<Int>) {
        let numbers = range.map { Array(self[4 * $0..<4 * $0 + 4]) }
        for (index, bytes) in zip(range, numbers.reversed()) { replaceSubrange(4 * index..<4 * index + 4, with: bytes) }
    }
}
