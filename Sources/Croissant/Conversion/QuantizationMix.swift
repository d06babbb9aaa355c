public import GGUF

/// Which type each tensor of a file gets: a published recipe, such as Q4_K_M, or one type for all matrices.
///
/// The recipes are those of llama.cpp's quantiser for dense models, so that a file named after one has the same types
/// and the same size as everybody else's. They spend more bits where errors cost most: on the output matrix, on the
/// values of attention, on the way back from the feed-forward network, and there on the first and last layers.
public struct QuantizationMix: Sendable, Hashable {
    private enum Kind: Hashable {
        case published(FileType)
        case pure(GGMLType)
    }

    private let kind: Kind

    /// The published recipe that `fileType` names.
    public init(_ fileType: FileType) { kind = .published(fileType) }

    /// One type for all matrices whose rows are whole blocks of it; the others get a larger one that fits.
    public init(pure type: GGMLType) { kind = .pure(type) }

    /// The recipe of a name such as "Q4_K_M", in upper or lower case; of a name that only a tensor type has, such as
    /// "MXFP4", that type for all matrices.
    public init?(name: String) {
        if let fileType = FileType(name: name) {
            self.init(fileType)
        } else if let type = GGMLType(name: name), type.isWeightType {
            self.init(pure: type)
        } else {
            return nil
        }
    }

    /// The name of the recipe or the type.
    public var name: String {
        switch kind {
        case .published(let fileType): fileType.shortName
        case .pure(let type): type.name
        }
    }

    /// Whether all matrices get one type.
    public var isPure: Bool {
        if case .pure = kind { true } else { false }
    }

    /// The same with one type for all matrices: the one that most of them get.
    public var pure: QuantizationMix { QuantizationMix(pure: baseType) }

    /// What `general.file_type` says about such a file: GGUF's number; nil where there is none for it.
    public var fileType: FileType? {
        switch kind {
        case .published(let fileType): fileType
        case .pure(let type): FileType.allCases.first { QuantizationMix($0).baseType == type }
        }
    }

    /// The type that most matrices get.
    public var baseType: GGMLType {
        switch kind {
        case .published(let fileType): QuantizationRecipe(fileType).base
        case .pure(let type): type
        }
    }

    /// Every type that a matrix may get, whatever the model, if its rows are whole blocks.
    var allTypes: Set<GGMLType> {
        switch kind {
        case .published(let fileType): QuantizationRecipe(fileType).allTypes
        case .pure(let type): [type]
        }
    }

    /// A tensor to be given a type.
    package struct Tensor {
        /// The name, such as "blk.0.attn_q.weight".
        let name: String
        /// The sizes, the length of a row first.
        let dimensions: [Int]

        /// A tensor of these sizes.
        package init(name: String, dimensions: [Int]) {
            self.name = name
            self.dimensions = dimensions
        }
    }

    /// The types of `tensors`, those of a whole model; nil for tensors that stay as they are, such as norms.
    package func types(of tensors: [Tensor], in model: ModelFacts) -> [GGMLType?] {
        zip(tensors, wantedTypes(of: tensors, in: model)).map { tensor, type in
            type.map { Self.fitting($0, columns: tensor.dimensions[0]) }
        }
    }

    /// The same, were all rows whole blocks.
    func wantedTypes(of tensors: [Tensor], in model: ModelFacts) -> [GGMLType?] {
        var types = [GGMLType?](repeating: nil, count: tensors.count)
        let roles = tensors.map { TensorRole(name: $0.name) }
        let hasOutput = roles.contains(.output)
        // Values are counted, because not every layer of every model has them.
        let values = tensors.indices.filter { roles[$0].isValue }.sorted { tensors[$0].layer < tensors[$1].layer }
        let ranks = Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, $0) })
        for (index, tensor) in tensors.enumerated() where TensorRole.isQuantized(tensor) {
            switch kind {
            case .pure(let type): types[index] = type
            case .published(let fileType):
                let recipe = QuantizationRecipe(fileType)
                // A model without an output matrix multiplies with the embedding in its place.
                let role = tensor.name == TensorLayout.embeddingName && !hasOutput ? .output : roles[index]
                let layer = ranks[index] ?? tensor.layer
                let layers = ranks[index] == nil ? model.layers : values.count
                types[index] = recipe.type(
                    of: role, layer: layer, layers: layers, columns: tensor.dimensions[0], in: model)
            }
        }
        return types
    }

    /// `type`, or what takes its place where rows of `columns` weights are not whole blocks of it.
    package static func fitting(_ type: GGMLType, columns: Int) -> GGMLType {
        if columns.isMultiple(of: type.blockSize) { return type }
        let other: GGMLType =
            switch type {
            case .q2_K, .q3_K, .tq1_0, .tq2_0, .q1_0, .q2_0: .q4_0
            case .q4_K: .q5_0
            case .q5_K: .q5_1
            case .q6_K: .q8_0
            case .iq1_s, .iq1_m, .iq2_xxs, .iq2_xs, .iq2_s, .iq3_xxs, .iq3_s, .iq4_xs, .nvfp4: .iq4_nl
            default: .f16
            }
        return columns.isMultiple(of: other.blockSize) ? other : .f16
    }
}

extension GGMLType {
    /// Whether weights are stored in it: not so for whole numbers, and for what only exists in memory.
    package var isWeightType: Bool {
        switch self {
        case .i8, .i16, .i32, .i64, .q8_1, .q8_K: false
        default: true
        }
    }

    /// Whether elements are floats by themselves, not blocks.
    var isFloat: Bool { isWeightType && blockSize == 1 }
}

/// What recipes ask of a model.
package struct ModelFacts: Sendable, Equatable {
    /// Transformer blocks.
    let layers: Int
    /// Query heads to a key/value head.
    let queriesPerKey: Int

    /// More than any model has: recipes multiply layers, and any file may be quantised.
    private static let mostLayers = 1 << 20

    /// Facts by themselves.
    package init(layers: Int, queriesPerKey: Int) {
        self.layers = layers
        self.queriesPerKey = queriesPerKey
    }

    /// What `metadata` says about the model. Where it says nothing, the recipes do without.
    package init(_ metadata: GGUFMetadata) {
        let architecture = metadata["general.architecture"]?.asString ?? ""
        // Some models have a number for each layer: the first layer's stands for all.
        func first(_ key: String) -> Int? {
            guard let value = metadata["\(architecture).\(key)"] else { return nil }
            return value.asInt ?? value.asInts?.first
        }
        let heads = first("attention.head_count") ?? 1
        let keys = first("attention.head_count_kv") ?? heads
        self.init(
            layers: min(max(0, first("block_count") ?? 0), Self.mostLayers), queriesPerKey: keys > 0 ? heads / keys : 1)
    }
}

extension QuantizationMix.Tensor {
    /// A tensor of a file.
    init(_ tensor: TensorInfo) { self.init(name: tensor.name, dimensions: tensor.dimensions) }

    /// The number in "blk.7."; 0 where there is none.
    fileprivate var layer: Int {
        let parts = name.split(separator: ".", maxSplits: 2)
        return parts.count == 3 && parts[0] == "blk" ? Int(parts[1]) ?? 0 : 0
    }
}

/// What a matrix is for, as far as recipes tell apart.
enum TensorRole {
    case embedding
    case output
    case query
    case key
    case value
    case queryKeyValue
    case attentionOutput
    case gate
    case up
    case down
    case other

    init(name: String) {
        self =
            switch name {
            case "token_embd.weight", "per_layer_token_embd.weight": .embedding
            case "output.weight": .output
            case _ where name.contains("attn_qkv.weight"): .queryKeyValue
            case _ where name.contains("attn_v.weight"): .value
            case _ where name.contains("attn_k.weight"): .key
            case _ where name.contains("attn_q.weight"): .query
            case _ where name.contains("attn_output.weight"): .attentionOutput
            case _ where name.contains("ffn_down"): .down
            case _ where name.contains("ffn_gate"): .gate
            case _ where name.contains("ffn_up"): .up
            default: .other
            }
    }

    var isValue: Bool { self == .value || self == .queryKeyValue }

    /// Whether a tensor is one that quantisers touch: a matrix of weights, and none of those whose few numbers decide
    /// too much.
    static func isQuantized(_ tensor: QuantizationMix.Tensor) -> Bool {
        let name = tensor.name
        guard name.hasSuffix("weight"), tensor.dimensions.dropFirst().contains(where: { $0 > 1 }) else { return false }
        return !untouched.contains { name.contains($0) }
    }

    private static let untouched = [
        "_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "ssm_conv1d.weight",
        "shortconv.conv.weight", "attn_rel_b.weight", "per_layer_model_proj", "altup", "laurel", "time_mix_",
    ]
}
