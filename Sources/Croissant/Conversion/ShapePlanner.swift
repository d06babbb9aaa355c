import GGUF

/// Plans the memory of models of one shape in any mix of types, without a file.
///
/// The tensors are those that ``ModelSynthesizer`` would write. What does not depend on their types, the vocabulary
/// above all, is worked out once.
public struct ShapePlanner: Sendable {
    /// The sizes.
    public let shape: ModelShape
    private let configuration: ModelConfiguration
    private let layout: TensorLayout
    private let tokenizerBytes: Int

    /// Prepares plans for models of `shape`.
    ///
    /// - Parameter shape: the sizes.
    /// - Throws: ``ModelError/invalidHyperparameter(key:value:expected:)`` for a shape that no model can have.
    public init(_ shape: ModelShape) throws(ModelError) {
        self.shape = shape
        configuration = try shape.configuration()
        layout = TensorLayout(configuration)
        tokenizerBytes = MemoryPlan.tokenizerBytes(
            for: ModelSynthesizer.metadata(of: shape, SyntheticVocabulary(size: shape.vocabularySize)))
    }

    /// The model in the types of `mix`.
    ///
    /// - Throws: ``ModelError/file(_:)`` where the mix has a type that the rows of the shape are no whole blocks of.
    public func model(in mix: QuantizationMix) throws(ModelError) -> PlannedModel {
        var tensors: [TensorInfo] = []
        do throws(GGUFError) {
            for declaration in ModelSynthesizer.declarations(of: shape, layout, mix) {
                tensors.append(try TensorInfo(declaration))
            }
        } catch {
            throw .file(error)
        }
        return PlannedModel(
            mix: mix, configuration: configuration, tensors: tensors, tokenizerBytes: tokenizerBytes)
    }
}

/// A model that exists only as the sizes and types of its tensors.
public struct PlannedModel: Sendable {
    /// The types.
    public let mix: QuantizationMix
    fileprivate let configuration: ModelConfiguration
    fileprivate let tensors: [TensorInfo]
    fileprivate let tokenizerBytes: Int

    /// Bytes of all tensors together.
    public var weightBytes: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    /// Its plan, were it run with `options`.
    ///
    /// - Throws: ``ModelError/overBudget(planned:budget:remedy:)`` where it is larger than the budget of `options`,
    ///   ``ModelError/invalidOption(name:value:expected:)`` for options that make no sense.
    public func plan(_ options: RuntimeOptions) throws(ModelError) -> MemoryPlan {
        try MemoryPlan(configuration, tensors: tensors, tokenizerBytes: tokenizerBytes, options: options)
    }

    /// Its plan whatever the budget, which only decides how the weights are held.
    package func unlimitedPlan(_ options: RuntimeOptions) throws(ModelError) -> MemoryPlan {
        try MemoryPlan(unlimited: configuration, tensors: tensors, tokenizerBytes: tokenizerBytes, options: options)
    }
}
