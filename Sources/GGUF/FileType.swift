// swift-format-ignore: AlwaysUseLowerCamelCase
/// The recipe that a file was quantised with: `general.file_type`, llama.cpp's `llama_ftype`.
///
/// It names a mix of tensor types, and what the tensors really are is written with each of them. "Bpw" is bits per
/// weight.
public enum FileType: UInt32, Sendable, CaseIterable {
    /// All tensors F32.
    case f32 = 0
    /// Matrices F16.
    case f16 = 1
    /// Matrices Q4_0.
    case q4_0 = 2
    /// Matrices Q4_1.
    case q4_1 = 3
    /// Matrices Q8_0.
    case q8_0 = 7
    /// Matrices Q5_0.
    case q5_0 = 8
    /// Matrices Q5_1.
    case q5_1 = 9
    /// Mostly Q2_K.
    case q2_K = 10
    /// Mostly Q3_K, the small mix.
    case q3_K_S = 11
    /// Mostly Q3_K, the medium mix.
    case q3_K_M = 12
    /// Mostly Q3_K, the large mix.
    case q3_K_L = 13
    /// Mostly Q4_K, the small mix.
    case q4_K_S = 14
    /// Mostly Q4_K, the medium mix.
    case q4_K_M = 15
    /// Mostly Q5_K, the small mix.
    case q5_K_S = 16
    /// Mostly Q5_K, the medium mix.
    case q5_K_M = 17
    /// Mostly Q6_K.
    case q6_K = 18
    /// Mostly IQ2_XXS.
    case iq2_xxs = 19
    /// Mostly IQ2_XS.
    case iq2_xs = 20
    /// Mostly Q2_K, the small mix.
    case q2_K_S = 21
    /// A mix of IQ3_XXS and IQ3_S.
    case iq3_xs = 22
    /// Mostly IQ3_XXS.
    case iq3_xxs = 23
    /// Mostly IQ1_S.
    case iq1_s = 24
    /// Mostly IQ4_NL.
    case iq4_nl = 25
    /// Mostly IQ3_S.
    case iq3_s = 26
    /// Mostly IQ3_S, the medium mix.
    case iq3_m = 27
    /// Mostly IQ2_XS, the small mix.
    case iq2_s = 28
    /// Mostly IQ2_S, the medium mix.
    case iq2_m = 29
    /// Mostly IQ4_XS.
    case iq4_xs = 30
    /// Mostly IQ1_M.
    case iq1_m = 31
    /// Matrices BF16.
    case bf16 = 32
    /// Mostly TQ1_0.
    case tq1_0 = 36
    /// Mostly TQ2_0.
    case tq2_0 = 37
    /// Experts MXFP4.
    case mxfp4_MoE = 38
    /// Mostly NVFP4.
    case nvfp4 = 39
    /// Mostly Q1_0.
    case q1_0 = 40
    /// Mostly Q2_0.
    case q2_0 = 41
}

extension FileType {
    /// Added to the value in a file by programs that guessed the type from the tensors (`LLAMA_FTYPE_GUESSED`).
    public static let guessedFlag: UInt32 = 1024

    /// The type that `fileValue`, that of `general.file_type`, gives, with or without ``guessedFlag``; nil for removed
    /// and unknown values.
    public init?(fileValue: UInt32) {
        self.init(rawValue: fileValue & ~Self.guessedFlag)
    }

    /// The type of the ``shortName`` `name`, such as "Q4_K_M", in upper or lower case; nil where there is none.
    public init?(name: String) {
        let wanted = name.uppercased()
        guard let type = Self.allCases.first(where: { $0.shortName == wanted }) else { return nil }
        self = type
    }

    /// The name as quantisers take it and files carry it, such as "Q4_K_M".
    public var shortName: String { names.short }

    /// The name as llama.cpp prints it, such as "Q4_K - Medium".
    public var name: String { names.long ?? names.short }

    private var names: (short: String, long: String?) {
        switch self {
        case .f32: ("F32", "all F32")
        case .f16: ("F16", nil)
        case .q4_0: ("Q4_0", nil)
        case .q4_1: ("Q4_1", nil)
        case .q8_0: ("Q8_0", nil)
        case .q5_0: ("Q5_0", nil)
        case .q5_1: ("Q5_1", nil)
        case .q2_K: ("Q2_K", "Q2_K - Medium")
        case .q3_K_S: ("Q3_K_S", "Q3_K - Small")
        case .q3_K_M: ("Q3_K_M", "Q3_K - Medium")
        case .q3_K_L: ("Q3_K_L", "Q3_K - Large")
        case .q4_K_S: ("Q4_K_S", "Q4_K - Small")
        case .q4_K_M: ("Q4_K_M", "Q4_K - Medium")
        case .q5_K_S: ("Q5_K_S", "Q5_K - Small")
        case .q5_K_M: ("Q5_K_M", "Q5_K - Medium")
        case .q6_K: ("Q6_K", nil)
        case .iq2_xxs: ("IQ2_XXS", "IQ2_XXS - 2.0625 bpw")
        case .iq2_xs: ("IQ2_XS", "IQ2_XS - 2.3125 bpw")
        case .q2_K_S: ("Q2_K_S", "Q2_K - Small")
        case .iq3_xs: ("IQ3_XS", "IQ3_XS - 3.3 bpw")
        case .iq3_xxs: ("IQ3_XXS", "IQ3_XXS - 3.0625 bpw")
        case .iq1_s: ("IQ1_S", "IQ1_S - 1.5625 bpw")
        case .iq4_nl: ("IQ4_NL", "IQ4_NL - 4.5 bpw")
        case .iq3_s: ("IQ3_S", "IQ3_S - 3.4375 bpw")
        case .iq3_m: ("IQ3_M", "IQ3_S mix - 3.66 bpw")
        case .iq2_s: ("IQ2_S", "IQ2_S - 2.5 bpw")
        case .iq2_m: ("IQ2_M", "IQ2_M - 2.7 bpw")
        case .iq4_xs: ("IQ4_XS", "IQ4_XS - 4.25 bpw")
        case .iq1_m: ("IQ1_M", "IQ1_M - 1.75 bpw")
        case .bf16: ("BF16", nil)
        case .tq1_0: ("TQ1_0", "TQ1_0 - 1.69 bpw ternary")
        case .tq2_0: ("TQ2_0", "TQ2_0 - 2.06 bpw ternary")
        case .mxfp4_MoE: ("MXFP4_MOE", "MXFP4 MoE")
        case .nvfp4: ("NVFP4", nil)
        case .q1_0: ("Q1_0", nil)
        case .q2_0: ("Q2_0", nil)
        }
    }
}
