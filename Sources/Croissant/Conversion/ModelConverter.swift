public import GGUF
import Synchronization

/// Makes a GGUF file of a checkpoint in Hugging Face's layout: config.json, *.safetensors and a tokenizer.
///
/// ```swift
/// let converter = try ModelConverter(folder: "CroissantLLMBase", mix: QuantizationMix(.q4_K_M))
/// try converter.write(to: "croissant.gguf")
/// ```
///
/// Everything about the files but the weights themselves is checked before anything is written, and the result is one
/// that loads: its hyper-parameters, tensors and tokenizer have been through the checks of loading. Weights are read
/// through a mapping and written piece by piece: memory stays at some mebibytes whatever the size of the model.
public struct ModelConverter: Sendable {
    /// A tensor of the file, and where it comes from.
    public struct Tensor: Sendable {
        /// Its name in the checkpoint; nil for one that follows from the configuration.
        public let checkpointName: String?
        /// How the checkpoint stores it.
        public let sourceType: GGMLType
        /// Its name, sizes (the length of a row first) and type in the file.
        public let declaration: GGUFWriter.Declaration
        /// Bytes in the file.
        public let byteCount: Int

        /// Where the elements come from.
        fileprivate let source: Source
    }

    fileprivate enum Source: Sendable {
        /// A tensor of the checkpoint, with its rows in another order where there are heads to be reordered.
        case checkpoint(CheckpointTensors.Entry, HeadRows?)
        /// Numbers that follow from the configuration.
        case values([Float])
    }

    /// Which types the matrices get.
    public let mix: QuantizationMix
    /// The tensors, in the order of the file.
    public let tensors: [Tensor]
    /// The keys of the file.
    public let metadata: GGUFMetadata
    /// What was left out of the file, and is nothing to worry about: a line each, with texts from files escaped.
    public let warnings: [String]

    private let checkpoint: CheckpointTensors
    private let inputs: [String]
    private let kernels: Kernels

    /// Reads everything but the weights.
    ///
    /// - Parameters:
    ///   - folder: the folder with config.json.
    ///   - name: what `general.name` says; nil for nothing.
    ///   - mix: the types of the matrices; nil for the type that the checkpoint has them in.
    /// - Throws: ``ConversionError``, by its cases, for a folder, a configuration, a tokenizer or a tensor file that is
    ///   missing, damaged, or asks for something that cannot be converted.
    public init(folder: String, name: String? = nil, mix: QuantizationMix? = nil) throws(ConversionError) {
        let folder = CheckpointFolder(path: folder)
        let config = try folder.json("config.json")
        guard config.exists else {
            let found = SystemFile.kind(of: folder.path)
            guard found == SystemFile.folder else { throw .notAFolder(folder.path, found: found) }
            throw .missingFile(folder: folder.path, expected: "config.json")
        }
        let configuration = try CheckpointConfiguration(config)
        checkpoint = try CheckpointTensors(folder)
        let sizes: ModelConfiguration
        do throws(ModelError) {
            sizes = try ModelConfiguration(metadata: configuration.metadata) { configuration.vocabularySize }
        } catch {
            throw .model(error)
        }
        let sources = try CheckpointLayout.sources(of: checkpoint, configuration, sizes)
        let tokenizer = try CheckpointTokenizer(folder, configuration: config, count: configuration.vocabularySize)
        do throws(TokenizerError) { _ = try Tokenizer(metadata: tokenizer.metadata) } catch { throw .tokenizer(error) }
        let sampling = CheckpointProvenance.sampling(try folder.json("generation_config.json"))
        warnings = tokenizer.warnings + sampling.warnings

        let mix = mix ?? Self.mix(of: sources)
        self.mix = mix
        kernels = Kernels(Kernels.bestInstructionSet)
        let types = mix.types(
            of: sources.map { QuantizationMix.Tensor(name: $0.name, dimensions: $0.dimensions) },
            in: ModelFacts(configuration.metadata))
        var tensors: [Tensor] = []
        for (source, type) in zip(sources, types) {
            let type = type ?? .f32
            guard kernels.canQuantize(to: type) else {
                throw .model(
                    .invalidOption(name: "type", value: type.name, expected: "a type that weights can be made in"))
            }
            tensors.append(try Self.tensor(source, type: type))
        }
        self.tensors = tensors
        inputs = checkpoint.files.map(\.file.path) + folder.files

        var metadata: GGUFMetadata = [
            "general.architecture": .string(sizes.architectureName), "general.type": .string("model"),
        ]
        if let name, !name.isEmpty { metadata["general.name"] = .string(name) }
        if let fileType = mix.fileType { metadata["general.file_type"] = .uint32(fileType.rawValue) }
        metadata["general.quantization_version"] = .uint32(2)
        metadata.merge(try CheckpointProvenance(folder).metadata)
        metadata.merge(sampling.metadata)
        metadata.merge(configuration.metadata)
        metadata["\(sizes.architectureName).vocab_size"] = .uint32(UInt32(sizes.vocabularySize))
        metadata.merge(tokenizer.metadata)
        self.metadata = metadata
    }

    /// Bytes of all tensors together, in the file to be written.
    public var tensorBytes: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    private static func tensor(_ source: CheckpointLayout.Source, type: GGMLType) throws(ConversionError) -> Tensor {
        let declaration = GGUFWriter.Declaration(name: source.name, dimensions: source.dimensions, type: type)
        do throws(GGUFError) {
            let byteCount = try TensorInfo(declaration).byteCount
            switch source.origin {
            case .values(let values):
                return Tensor(
                    checkpointName: nil, sourceType: .f32, declaration: declaration, byteCount: byteCount,
                    source: .values(values))
            case .checkpoint(let entry, let sourceType, let heads):
                return Tensor(
                    checkpointName: entry.tensor.name, sourceType: sourceType, declaration: declaration,
                    byteCount: byteCount, source: .checkpoint(entry, heads))
            }
        } catch {
            throw .file(error)
        }
    }

    /// The type in which a checkpoint has most of its weights.
    private static func mix(of sources: [CheckpointLayout.Source]) -> QuantizationMix {
        var weights: [FileType: Int] = [:]
        for source in sources {
            guard case .checkpoint(_, let type, _) = source.origin, let fileType = FileType(name: type.name) else {
                continue
            }
            weights[fileType, default: 0] += source.dimensions.reduce(1, *)
        }
        return QuantizationMix(weights.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key ?? .f16)
    }
}

// MARK: - Writing

extension ModelConverter {
    /// Writes the file.
    ///
    /// - Parameters:
    ///   - path: where it appears once it is complete.
    ///   - threads: threads that round weights, 1 to 512; one for each physical core when nil.
    ///   - progress: called now and then with the bytes of tensors written so far, of ``tensorBytes``; returning false
    ///     stops, and leaves no file behind.
    /// - Returns: whether the file was written.
    /// - Throws: ``ConversionError/model(_:)`` with ``ModelError/invalidWeight(tensor:index:value:expected:)`` for a
    ///   weight that is no number or that its type cannot hold, and ``ModelError/invalidOption(name:value:expected:)``
    ///   for a number of threads that makes no sense; ``ConversionError/file(_:)`` where reading or writing fails.
    ///   Nothing is left behind then.
    @discardableResult
    public func write(
        to path: String, threads: Int? = nil, progress: ((Int) -> Bool)? = nil
    ) throws(ConversionError) -> Bool {
        do throws(ModelError) {
            let pool = ThreadPool(threadCount: try HostProcessors.threads(threads))
            return try PiecewiseFile(metadata: metadata, declarations: tensors.map(\.declaration), inputs: inputs)
                .write(to: path, progress: progress) { (index, rows, blocks) throws(ModelError) in
                    try fill(&blocks, tensors[index], rows: rows, pool: pool)
                }
        } catch .file(let error) {
            throw .file(error)
        } catch {
            throw .model(error)
        }
    }

    /// Makes some rows of a tensor, in blocks of its type.
    private func fill(
        _ blocks: inout Buffer<UInt8>, _ tensor: Tensor, rows: Range<Int>, pool: ThreadPool
    ) throws(ModelError) {
        if case .checkpoint(let entry, nil) = tensor.source {
            advise(.willNeed, entry, tensor, rows: rows)
        }
        let shared = blocks.shared
        let columns = tensor.columns
        // The first bad weight, by its index in the checkpoint's tensor, whichever thread meets one first.
        let problem = Mutex<(index: Int, value: Float)?>(nil)
        // Several rows at a time, for quantisers that make many blocks at once.
        let height = max(1, 16384 / columns)
        pool.parallelFor((rows.count + height - 1) / height) { chunk, _ in
            let start = rows.lowerBound + chunk * height
            let chunkRows = start..<min(start + height, rows.upperBound)
            let values = floats(of: tensor, rows: chunkRows)
            let type = tensor.declaration.type
            if let bad = kernels.firstValue(in: values.span, beyond: type) {
                let index = tensor.sourceRow(chunkRows.lowerBound + bad / columns) * columns + bad % columns
                problem.withLock { if index < $0?.index ?? .max { $0 = (index, values[bad]) } }
                return
            }
            let first = chunkRows.lowerBound - rows.lowerBound
            var bytes = shared.slice(first * tensor.rowBytes..<(first + chunkRows.count) * tensor.rowBytes)
            kernels.quantizeRows(values.span, columns: columns, as: type, into: &bytes)
        }
        if let (index, value) = problem.withLock({ $0 }) {
            throw .badWeight(
                value, at: index, of: tensor.checkpointName ?? tensor.declaration.name, for: tensor.declaration.type)
        }
        if case .checkpoint(let entry, let heads) = tensor.source {
            // Reordered rows lie all over the tensor: its pages go once all are done.
            if heads == nil {
                advise(.dontNeed, entry, tensor, rows: rows)
            } else if rows.upperBound == tensor.rows {
                advise(.dontNeed, entry, tensor, rows: 0..<tensor.rows)
            }
        }
    }

    /// Tells the kernel what is going to happen to rows of the checkpoint.
    private func advise(
        _ advice: MappedFile.Advice, _ entry: CheckpointTensors.Entry, _ tensor: Tensor, rows: Range<Int>
    ) {
        let start = entry.tensor.range.lowerBound
        let range = start + rows.lowerBound * tensor.sourceRowBytes..<start + rows.upperBound * tensor.sourceRowBytes
        checkpoint.files[entry.file].file.advise(advice, range: range)
    }

    /// Rows of a tensor as floats.
    private func floats(of tensor: Tensor, rows: Range<Int>) -> [Float] {
        switch tensor.source {
        case .values(let values):
            return Array(values[rows.lowerBound * tensor.columns..<rows.upperBound * tensor.columns])
        case .checkpoint(let entry, _):
            let file = checkpoint.files[entry.file].file
            let rowBytes = tensor.sourceRowBytes
            // Gathered first: rows may be out of order, and elements at odd addresses.
            var bytes: [UInt8] = []
            bytes.reserveCapacity(rows.count * rowBytes)
            for row in rows {
                let start = entry.tensor.range.lowerBound + tensor.sourceRow(row) * rowBytes
                file.bytes.append(start..<start + rowBytes, to: &bytes)
            }
            var values = [Float](repeating: 0, count: rows.count * tensor.columns)
            var span = values.mutableSpan
            kernels.dequantize(bytes.rawBytes, as: tensor.sourceType, count: rows.count * tensor.columns, into: &span)
            return values
        }
    }
}

extension ModelConverter.Tensor {
    fileprivate var columns: Int { declaration.columns }
    fileprivate var rows: Int { declaration.rows }
    fileprivate var rowBytes: Int { declaration.rowBytes }
    fileprivate var sourceRowBytes: Int { columns * sourceType.blockBytes }

    /// Where row `row` of the file lies in the checkpoint's tensor.
    fileprivate func sourceRow(_ row: Int) -> Int {
        if case .checkpoint(_, let heads?) = source { heads.sourceRow(row) } else { row }
    }
}
