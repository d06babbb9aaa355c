import GGUF

/// A published recipe: the type that most matrices get, and the exceptions.
struct QuantizationRecipe {
    /// The type of all matrices that no exception holds for.
    let base: GGMLType
    private let exceptions: [Exception]

    /// Matrices of a role get a type where a condition holds.
    private struct Exception {
        let role: TensorRole
        let type: GGMLType
        let condition: Condition

        init(_ role: TensorRole, _ type: GGMLType, _ condition: Condition = .always) {
            self.role = role
            self.type = type
            self.condition = condition
        }
    }

    private enum Condition {
        case always
        /// In the first layers, by number.
        case first(Int)
        /// In the first of so many equal parts of the layers.
        case firstPart(Int)
        /// In all layers but the first and the last eighth.
        case middle
        /// In the first and the last eighth of the layers, and in every third between.
        case often
        /// Where four or more queries share keys and values, which makes these matrices small.
        case groupedQueries
    }

    /// Every type that a matrix may get.
    var allTypes: Set<GGMLType> { Set([base] + exceptions.map(\.type)) }

    /// The type of a matrix in layer `layer` of `layers`; the first exception that holds decides.
    func type(
        of role: TensorRole, layer: Int, layers: Int, columns: Int, in model: ModelFacts
    ) -> GGMLType {
        if role == .output && !columns.isMultiple(of: base.blockSize) { return .q8_0 }
        let exception = exceptions.first {
            $0.role == role && holds($0.condition, layer: layer, layers: layers, in: model)
        }
        let type = exception?.type ?? base
        // The largest Llamas have so few values that they can be had more precisely.
        let isLarge = model.layers == 80 && model.queriesPerKey > 1 && role == .value
        return isLarge && !isTiny && (type == .q3_K || type == .q4_K) ? .q5_K : type
    }

    private func holds(_ condition: Condition, layer: Int, layers: Int, in model: ModelFacts) -> Bool {
        switch condition {
        case .always: true
        case .first(let count): layer < count
        case .firstPart(let parts): layer < layers / parts
        case .middle: layer >= layers / 8 && layer < 7 * layers / 8
        case .often: layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
        case .groupedQueries: model.queriesPerKey >= 4
        }
    }

    /// Whether the recipe is one of those with about two bits or fewer, whose exceptions are their own.
    private var isTiny: Bool {
        switch base {
        case .iq1_s, .iq1_m, .iq2_xxs, .iq2_xs, .iq2_s: true
        default: false
        }
    }
}

extension QuantizationRecipe {
    private init(base: GGMLType, output: GGMLType = .q6_K, _ exceptions: Exception...) {
        self.base = base
        self.exceptions = [Exception(.output, output)] + exceptions
    }

    /// A recipe of about two bits or fewer.
    private init(base: GGMLType, better: GGMLType, attentionOutput: GGMLType? = nil) {
        self.base = base
        exceptions = [
            Exception(.output, .q5_K), Exception(.embedding, better), Exception(.value, .q4_K, .groupedQueries),
            Exception(.value, better), Exception(.down, better, .firstPart(8)),
            Exception(.attentionOutput, attentionOutput ?? base),
        ]
    }

    /// The table.
    init(_ fileType: FileType) {
        self =
            switch fileType {
            case .f32: Self(base: .f32, output: .f32)
            case .f16: Self(base: .f16, output: .f16)
            case .bf16: Self(base: .bf16, output: .bf16)
            case .q4_0: Self(base: .q4_0)
            case .q4_1: Self(base: .q4_1)
            case .q5_0: Self(base: .q5_0)
            case .q5_1: Self(base: .q5_1)
            case .q8_0, .mxfp4_MoE: Self(base: .q8_0, output: .q8_0)
            case .q2_K:
                Self(
                    base: .q2_K, .init(.value, .q4_K, .groupedQueries), .init(.value, .q3_K), .init(.down, .q3_K),
                    .init(.attentionOutput, .q3_K))
            case .q2_K_S: Self(base: .q2_K, .init(.value, .q4_K, .groupedQueries), .init(.down, .q4_K, .firstPart(8)))
            case .q3_K_S: Self(base: .q3_K)
            case .q3_K_M:
                Self(
                    base: .q3_K, .init(.value, .q5_K, .first(2)), .init(.value, .q4_K),
                    .init(.down, .q5_K, .firstPart(16)),
                    .init(.down, .q4_K), .init(.attentionOutput, .q4_K), .init(.queryKeyValue, .q4_K))
            case .q3_K_L:
                Self(
                    base: .q3_K, .init(.value, .q5_K), .init(.down, .q5_K), .init(.attentionOutput, .q5_K),
                    .init(.queryKeyValue, .q4_K))
            case .q4_K_S: Self(base: .q4_K, .init(.value, .q5_K, .first(4)), .init(.down, .q5_K, .firstPart(8)))
            case .q4_K_M:
                Self(
                    base: .q4_K, .init(.value, .q6_K, .often), .init(.down, .q6_K, .often), .init(.queryKeyValue, .q5_K)
                )
            case .q5_K_S: Self(base: .q5_K)
            case .q5_K_M:
                Self(
                    base: .q5_K, .init(.value, .q6_K, .often), .init(.down, .q6_K, .often), .init(.queryKeyValue, .q6_K)
                )
            case .q6_K: Self(base: .q6_K)
            case .iq1_s: Self(base: .iq1_s, better: .q2_K, attentionOutput: .iq2_xxs)
            case .iq1_m: Self(base: .iq1_m, better: .q2_K, attentionOutput: .iq2_xxs)
            case .iq2_xxs: Self(base: .iq2_xxs, better: .q2_K)
            case .iq2_xs: Self(base: .iq2_xs, better: .q2_K)
            case .iq2_s: Self(base: .iq2_xs, better: .iq3_s, attentionOutput: .iq3_s)
            case .iq2_m: Self(base: .iq2_s, better: .iq3_s, attentionOutput: .iq3_s)
            case .iq3_xxs:
                Self(
                    base: .iq3_xxs, output: .q5_K, .init(.embedding, .iq3_s), .init(.value, .q4_K, .groupedQueries),
                    .init(.value, .iq3_s), .init(.query, .iq2_s), .init(.key, .iq2_s),
                    .init(.down, .q4_K, .firstPart(8)), .init(.down, .q3_K), .init(.attentionOutput, .iq3_s))
            case .iq3_xs:
                Self(
                    base: .iq3_s, .init(.value, .q4_K, .groupedQueries), .init(.query, .iq3_xxs), .init(.key, .iq3_xxs),
                    .init(.gate, .iq3_xxs, .middle), .init(.up, .iq3_xxs, .middle))
            case .iq3_s: Self(base: .iq3_s, .init(.value, .q4_K, .groupedQueries))
            case .iq3_m:
                Self(
                    base: .iq3_s, .init(.value, .q4_K), .init(.down, .q4_K, .firstPart(8)),
                    .init(.attentionOutput, .q4_K),
                    .init(.queryKeyValue, .q4_K))
            case .iq4_nl:
                Self(base: .iq4_nl, .init(.value, .q5_K, .groupedQueries), .init(.down, .q5_K, .firstPart(8)))
            case .iq4_xs:
                Self(base: .iq4_xs, .init(.value, .q5_K, .groupedQueries), .init(.down, .q5_K, .firstPart(8)))
            case .tq1_0: Self(base: .tq1_0, .init(.embedding, .q4_K))
            case .tq2_0: Self(base: .tq2_0, .init(.embedding, .q4_K))
            case .nvfp4: Self(base: .nvfp4)
            case .q1_0: Self(base: .q1_0)
            case .q2_0: Self(base: .q2_0, .init(.embedding, .q4_K))
            }
    }
}
