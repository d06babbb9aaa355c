public import GGUF

/// Rewrites a GGUF file in other types.
///
/// ```swift
/// let file = try GGUFFile(path: "croissant-F16.gguf")
/// let quantizer = try Quantizer(file, options: .init(mix: QuantizationMix(.q4_K_M)))
/// for tensor in quantizer.tensors { print(tensor.source.name, tensor.source.type, tensor.type) }
/// try quantizer.write(to: "croissant-Q4_K_M.gguf")
/// ```
///
/// Matrices get the types that the published recipes have for them; norms, biases and what else has few numbers stay as
/// they are. What becomes of each tensor is known, and checked, before anything is written.
public struct Quantizer: Sendable {
    /// What tensors become.
    public struct Options: Sendable {
        /// The recipe.
        public var mix: QuantizationMix
        /// Types for some of the matrices in place of those of the recipe; of several that match, the last one counts.
        public var overrides: [TypeOverride] = []
        /// The type of the output matrix, or of what takes its place, over everything else; that of the recipe when
        /// nil.
        public var outputType: GGMLType?
        /// The type of the token embedding, over everything else; that of the recipe when nil.
        public var embeddingType: GGMLType?
        /// Whether weights may be quantised that are already. By default that is an error: rounding errors would add
        /// up.
        public var allowsRequantization = false
        /// A text to calibrate with; nil, the default, for rounding that knows nothing but the weights. Types are the
        /// same with it and without, so that files are as large; llama.cpp's recipes for files with an importance matrix,
        /// which differ in the first layers of some types, are not used.
        public var calibration: Calibration?

        /// The types of a recipe.
        public init(mix: QuantizationMix) { self.mix = mix }
    }

    /// A type for all matrices whose names match.
    public struct TypeOverride: Sendable, Hashable {
        /// A regular expression that is looked for anywhere in the name, in any case: of characters, `.`, `[a-z]`,
        /// `[^…]`, `\d`, `\w`, `\s`, groups, `|`, `*`, `+`, `?`, `{2,3}`, `^` and `$`.
        public let pattern: String
        /// The type.
        public let type: GGMLType

        /// A type for all matrices in whose names `pattern`, a regular expression, is found.
        ///
        /// - Parameters:
        ///   - pattern: what ``pattern`` says; whether it is a regular expression, a ``Quantizer`` finds out.
        ///   - type: one of ``Quantizer/types``.
        public init(pattern: String, type: GGMLType) {
            self.pattern = pattern
            self.type = type
        }
    }

    /// What becomes of a tensor.
    public struct Tensor: Sendable, Hashable {
        /// The tensor of the file.
        public let source: TensorInfo
        /// The type that it gets.
        public let type: GGMLType
        /// Bytes that it takes in the new file.
        public let byteCount: Int
        /// The type that was asked for, where its blocks do not divide the rows; nil elsewhere.
        public let substituted: GGMLType?

        /// Whether its bytes stay as they are.
        public var isCopied: Bool { source.type == type }
    }

    /// The file that is read.
    public let file: GGUFFile
    /// What is done to it.
    public let options: Options
    /// The tensors, in the order of both files.
    public let tensors: [Tensor]
    /// Those overrides that no matrix matches.
    public let unusedOverrides: [TypeOverride]
    /// How it is calibrated, where it is.
    public let calibration: CalibrationPlan?
    let kernels: Kernels

    /// Decides over all tensors of `file`.
    ///
    /// - Parameters:
    ///   - file: the file to be rewritten.
    ///   - options: what its tensors become.
    /// - Throws: ``ModelError/requantization(tensor:type:)`` for weights that are quantised already, unless that is
    ///   allowed; ``ModelError/unsupportedType(tensor:type:expected:)`` for those that cannot be read;
    ///   ``ModelError/invalidOption(name:value:expected:)`` for types that nothing is quantised to and patterns that
    ///   are no regular expressions. With a text to calibrate with, ``ModelError/noTokenizer(path:)``, what
    ///   ``MemoryPlan/init(file:options:)`` throws for a model that cannot be run, and
    ///   ``ModelError/invalidOption(name:value:expected:)`` for a text that is shorter than a chunk.
    public init(_ file: GGUFFile, options: Options) throws(ModelError) {
        kernels = Kernels(Kernels.bestInstructionSet)
        self.file = file
        self.options = options
        let wanted = try Self.wantedTypes(of: file, options)
        unusedOverrides = wanted.unusedOverrides
        var tensors: [Tensor] = []
        for (tensor, wanted) in zip(file.tensors, wanted.types) {
            tensors.append(try Self.tensor(tensor, wanted, options, kernels))
        }
        self.tensors = tensors
        calibration = try options.calibration.map { calibration throws(ModelError) in
            try CalibrationPlan(calibration, of: file, tensors: tensors)
        }
    }

    /// The types that could be asked for: all that weights can be rounded to here.
    public static var types: [GGMLType] { ModelSynthesizer.types }

    /// Bytes of all tensors of the file that is read.
    public var sourceBytes: Int { file.tensorBytes }
    /// Bytes of all tensors of the new file.
    public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    /// The number of weights, of all tensors together.
    public var weights: Int { tensors.reduce(0) { $0 + $1.source.elementCount } }

    /// What the new file says about itself.
    public var metadata: GGUFMetadata {
        var metadata = file.metadata.withoutSplit
        // How weights were calibrated is true of them for as long as they are not quantised again.
        if !tensors.allSatisfy(\.isCopied) {
            for key in metadata.keys where Self.calibrationKeys.contains(where: key.hasPrefix) { metadata[key] = nil }
        }
        metadata["general.quantization_version"] = .uint32(2)
        metadata["general.file_type"] = options.mix.fileType.map { .uint32($0.rawValue) }
        if let calibration { metadata.merge(calibration.metadata) }
        return metadata
    }

    /// What keys that tell of a calibration begin with, here and in llama.cpp's quantiser.
    private static let calibrationKeys = ["quantize.imatrix.", "quantize.calibration."]

    /// The types that are asked for, whether they fit the rows or not; nil for tensors that stay as they are.
    private static func wantedTypes(
        of file: GGUFFile, _ options: Options
    ) throws(ModelError) -> (types: [GGMLType?], unusedOverrides: [TypeOverride]) {
        var types = options.mix.wantedTypes(
            of: file.tensors.map(QuantizationMix.Tensor.init), in: ModelFacts(file.metadata))
        var unused: [TypeOverride] = []
        for override in options.overrides {
            let pattern = try NamePattern(override.pattern)
            let matching = file.tensors.indices.filter { index in
                types[index] != nil && pattern.isFound(in: file.tensors[index].name)
            }
            for index in matching { types[index] = override.type }
            if matching.isEmpty { unused.append(override) }
        }
        let embedding = file.tensors.firstIndex { $0.name == TensorLayout.embeddingName }
        // A model without an output matrix multiplies with the embedding in its place.
        let output = file.tensors.firstIndex { TensorRole(name: $0.name) == .output } ?? embedding
        for (index, type) in [(output, options.outputType), (embedding, options.embeddingType)] {
            if let index, let type, types[index] != nil { types[index] = type }
        }
        return (types, unused)
    }

    private static func tensor(
        _ source: TensorInfo, _ wanted: GGMLType?, _ options: Options, _ kernels: Kernels
    ) throws(ModelError) -> Tensor {
        guard let wanted, source.type.isWeightType else {
            return Tensor(source: source, type: source.type, byteCount: source.byteCount, substituted: nil)
        }
        let type = QuantizationMix.fitting(wanted, columns: source.columns)
        if type != source.type {
            guard kernels.canQuantize(to: type) else {
                throw .invalidOption(
                    name: "type", value: type.name, expected: types.map(\.name).joined(separator: ", "))
            }
            guard Kernels.canCompute(source.type) else {
                throw .unsupportedType(
                    tensor: source.name, type: source.type.name, expected: "a type that can be computed with")
            }
            guard source.type.blockSize == 1 || options.allowsRequantization else {
                throw .requantization(tensor: source.name, type: source.type.name)
            }
        }
        guard let byteCount = type.byteCount(elements: source.elementCount) else {
            throw .invalidOption(name: "type", value: type.name, expected: "a type that \(source.name.escaped) fits in")
        }
        return Tensor(source: source, type: type, byteCount: byteCount, substituted: type == wanted ? nil : wanted)
    }
}
