// swift-format-ignore: AlwaysUseLowerCamelCase
/// How the elements of a tensor are stored: a plain number type, or blocks of quantised weights.
///
/// The raw value is the `ggml_type` id of a GGUF file, and the layouts of blocks are ggml's (`ggml-common.h`).
/// Everything there is to know about the size of a type on disk is one row of the table behind ``name``, ``blockSize``
/// and ``blockBytes``; what can be computed with it is the business of the kernels.
public enum GGMLType: UInt32, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32 = 0
    /// 16-bit IEEE floats.
    case f16 = 1
    /// 4-bit weights, one scale per 32.
    case q4_0 = 2
    /// 4-bit weights, scale and minimum per 32.
    case q4_1 = 3
    /// 5-bit weights, one scale per 32.
    case q5_0 = 6
    /// 5-bit weights, scale and minimum per 32.
    case q5_1 = 7
    /// 8-bit weights, one scale per 32.
    case q8_0 = 8
    /// 8-bit activations with their block sums; exists in memory only.
    case q8_1 = 9
    /// 2-bit weights in super-blocks of 256, with 4-bit scales and minima.
    case q2_K = 10
    /// 3-bit weights in super-blocks of 256, with 6-bit scales.
    case q3_K = 11
    /// 4-bit weights in super-blocks of 256, with 6-bit scales and minima.
    case q4_K = 12
    /// 5-bit weights in super-blocks of 256, with 6-bit scales and minima.
    case q5_K = 13
    /// 6-bit weights in super-blocks of 256, with 8-bit scales.
    case q6_K = 14
    /// 8-bit activations in super-blocks of 256; exists in memory only.
    case q8_K = 15
    /// Codebook of 2-bit vectors, 2.06 bits per weight.
    case iq2_xxs = 16
    /// Codebook of 2-bit vectors, 2.31 bits per weight.
    case iq2_xs = 17
    /// Codebook of 3-bit vectors, 3.06 bits per weight.
    case iq3_xxs = 18
    /// Codebook of ternary vectors, 1.56 bits per weight.
    case iq1_s = 19
    /// 4-bit indices into a table of 16 unevenly spaced values, one scale per 32.
    case iq4_nl = 20
    /// Codebook of 3-bit vectors, 3.44 bits per weight.
    case iq3_s = 21
    /// Codebook of 2-bit vectors, 2.56 bits per weight.
    case iq2_s = 22
    /// 4-bit indices into the table of `iq4_nl`, in super-blocks of 256.
    case iq4_xs = 23
    /// 8-bit integers.
    case i8 = 24
    /// 16-bit integers.
    case i16 = 25
    /// 32-bit integers.
    case i32 = 26
    /// 64-bit integers.
    case i64 = 27
    /// 64-bit floats.
    case f64 = 28
    /// Codebook of ternary vectors, 1.75 bits per weight.
    case iq1_m = 29
    /// bfloat16: the upper half of a 32-bit float.
    case bf16 = 30
    /// Ternary weights, five to a byte.
    case tq1_0 = 34
    /// Ternary weights, four to a byte.
    case tq2_0 = 35
    /// E2M1 weights, one E8M0 exponent per 32 (OCP Microscaling Formats 1.0).
    case mxfp4 = 39
    /// E2M1 weights, one UE4M3 scale per 16.
    case nvfp4 = 40
    /// Sign bits, one scale per 128.
    case q1_0 = 41
    /// 2-bit weights, one scale per 64.
    case q2_0 = 42
}

extension GGMLType {
    /// A row of the table: the name as ggml prints it, elements in a block, bytes of a block.
    private struct Layout {
        let name: String
        let blockSize: Int
        let blockBytes: Int

        init(_ name: String, _ blockSize: Int, _ blockBytes: Int) {
            self.name = name
            self.blockSize = blockSize
            self.blockBytes = blockBytes
        }
    }

    private var layout: Layout {
        switch self {
        case .f32: Layout("F32", 1, 4)
        case .f16: Layout("F16", 1, 2)
        case .q4_0: Layout("Q4_0", 32, 18)
        case .q4_1: Layout("Q4_1", 32, 20)
        case .q5_0: Layout("Q5_0", 32, 22)
        case .q5_1: Layout("Q5_1", 32, 24)
        case .q8_0: Layout("Q8_0", 32, 34)
        case .q8_1: Layout("Q8_1", 32, 36)
        case .q2_K: Layout("Q2_K", 256, 84)
        case .q3_K: Layout("Q3_K", 256, 110)
        case .q4_K: Layout("Q4_K", 256, 144)
        case .q5_K: Layout("Q5_K", 256, 176)
        case .q6_K: Layout("Q6_K", 256, 210)
        case .q8_K: Layout("Q8_K", 256, 292)
        case .iq2_xxs: Layout("IQ2_XXS", 256, 66)
        case .iq2_xs: Layout("IQ2_XS", 256, 74)
        case .iq3_xxs: Layout("IQ3_XXS", 256, 98)
        case .iq1_s: Layout("IQ1_S", 256, 50)
        case .iq4_nl: Layout("IQ4_NL", 32, 18)
        case .iq3_s: Layout("IQ3_S", 256, 110)
        case .iq2_s: Layout("IQ2_S", 256, 82)
        case .iq4_xs: Layout("IQ4_XS", 256, 136)
        case .i8: Layout("I8", 1, 1)
        case .i16: Layout("I16", 1, 2)
        case .i32: Layout("I32", 1, 4)
        case .i64: Layout("I64", 1, 8)
        case .f64: Layout("F64", 1, 8)
        case .iq1_m: Layout("IQ1_M", 256, 56)
        case .bf16: Layout("BF16", 1, 2)
        case .tq1_0: Layout("TQ1_0", 256, 54)
        case .tq2_0: Layout("TQ2_0", 256, 66)
        case .mxfp4: Layout("MXFP4", 32, 17)
        case .nvfp4: Layout("NVFP4", 64, 36)
        case .q1_0: Layout("Q1_0", 128, 18)
        case .q2_0: Layout("Q2_0", 64, 18)
        }
    }

    /// The name as ggml prints it, such as "Q4_K".
    public var name: String { layout.name }

    /// Elements in a block; 1 for plain numbers. Rows of a tensor hold whole blocks.
    public var blockSize: Int { layout.blockSize }

    /// Bytes of a block.
    public var blockBytes: Int { layout.blockBytes }

    /// Bits that a weight takes, scales included.
    public var bitsPerWeight: Double { Double(8 * blockBytes) / Double(blockSize) }

    /// Whether files hold tensors of this type. Not so for Q8_1 and Q8_K, which exist while a product is computed, and
    /// whose size differs from program to program.
    public var isStoredInFiles: Bool { self != .q8_1 && self != .q8_K }

    /// The type of the `name` that ggml prints, such as "Q4_K", in upper or lower case; nil where there is none.
    public init?(name: String) {
        let wanted = name.uppercased()
        guard let type = Self.allCases.first(where: { $0.name == wanted }) else { return nil }
        self = type
    }

    /// Bytes that `elements` elements take; nil where they are not whole blocks, negative, or too many to count.
    public func byteCount(elements: Int) -> Int? {
        let layout = layout
        guard elements >= 0, elements % layout.blockSize == 0 else { return nil }
        let (bytes, overflow) = (elements / layout.blockSize).multipliedReportingOverflow(by: layout.blockBytes)
        return overflow ? nil : bytes
    }

    /// The name of the type that `id`, which ggml has withdrawn, once stood for; nil for every other id.
    public static func removedName(id: UInt32) -> String? {
        switch id {
        case 4: "Q4_2"
        case 5: "Q4_3"
        case 31: "Q4_0_4_4"
        case 32: "Q4_0_4_8"
        case 33: "Q4_0_8_8"
        case 36: "IQ4_NL_4_4"
        case 37: "IQ4_NL_4_8"
        case 38: "IQ4_NL_8_8"
        default: nil
        }
    }
}

extension GGMLType: CustomStringConvertible {
    /// The same as `name`.
    public var description: String { name }
}
