public import CKernels
import Foundation
public import Testing

/// The instruction sets that this machine can run: what every test of a kernel is repeated for.
let supportedISAs = (0..<UInt32(CK_ISA_COUNT)).map { ck_isa(rawValue: $0) }.filter { ck_isa_supported($0) }

/// The types that have kernels.
let types = (0..<UInt32(CK_TYPE_COUNT)).map { ck_type(rawValue: $0) }.filter {
    unsafe ck_traits($0.rawValue).name != nil
}

/// The types that floats can be quantised to.
let quantizableTypes = types.filter { unsafe ck_kernels($0, CK_ISA_SCALAR).quantize != nil }

/// The types of blocks that Golden has; F64 is not among them.
let goldenTypes = types.filter { $0 != CK_TYPE_F64 }

/// The types that a cache of keys and values may have.
let cacheTypes = [CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_Q8_0, CK_TYPE_Q4_0]

/// The types whose rows may be multiplied with quantised activations.
let integerTypes = types.filter { unsafe ck_kernels($0, CK_ISA_SCALAR).gemv.1 != nil }

extension ck_isa: @retroactive CustomTestStringConvertible {
    /// The name that the test's report shows.
    public var testDescription: String { unsafe String(cString: ck_isa_name(self)) }
}

extension ck_type: @retroactive CustomTestStringConvertible {
    /// The name that the test's report shows.
    public var testDescription: String { name }
}

extension ck_type {
    /// The name in the table, such as "Q4_0".
    var name: String { unsafe ck_traits(rawValue).name.map { unsafe String(cString: $0) } ?? "type \(rawValue)" }
    var block: Int { unsafe Int(ck_traits(rawValue).block) }
    var blockBytes: Int { unsafe Int(ck_traits(rawValue).block_bytes) }

    /// Where a block holds an f16: its scale, and its minimum if it has one. (That of IQ1_M is in four parts.)
    var halves: [Int] {
        switch self {
        case CK_TYPE_Q4_0, CK_TYPE_Q5_0, CK_TYPE_Q8_0: [0]
        case CK_TYPE_Q4_1, CK_TYPE_Q5_1: [0, 2]
        case CK_TYPE_Q2_K: [80, 82]
        case CK_TYPE_Q3_K: [108]
        case CK_TYPE_Q4_K, CK_TYPE_Q5_K: [0, 2]
        case CK_TYPE_Q6_K: [208]
        case CK_TYPE_IQ3_XXS, CK_TYPE_IQ3_S, CK_TYPE_IQ4_NL, CK_TYPE_IQ4_XS: [0]
        case CK_TYPE_Q1_0, CK_TYPE_Q2_0: [0]
        case CK_TYPE_IQ1_S, CK_TYPE_IQ2_XXS, CK_TYPE_IQ2_XS, CK_TYPE_IQ2_S: [0]
        case CK_TYPE_TQ1_0: [52]
        case CK_TYPE_TQ2_0: [64]
        default: []
        }
    }

    /// Bytes of a row of `columns` weights.
    func rowBytes(_ columns: Int) -> Int { columns / block * blockBytes }
}

/// Golden data made by other implementations; absent outside the project's own workshop.
enum Golden {
    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "shared/data/blocks")
    static let isPresent = FileManager.default.fileExists(atPath: folder.path())

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appending(path: name)))
    }

    static func floats(_ name: String) throws -> [Float] {
        let bytes = try bytes(name)
        return stride(from: 0, to: bytes.count, by: 4).map { i in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << (8 * UInt32($1)) })
        }
    }
}

/// Repeatable numbers (splitmix64).
struct Random {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) }

    mutating func bits() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Between -1 and 1.
    mutating func float() -> Float { Float(Int64(bitPattern: bits()) >> 40) / Float(1 << 23) }

    mutating func floats(_ count: Int, times factor: Float = 1) -> [Float] {
        (0..<count).map { _ in factor * float() }
    }
}

/// `count` weights of `type`, whose blocks hold random bits under finite scales.
func randomBlocks(_ type: ck_type, _ count: Int, _ random: inout Random) -> [UInt8] {
    var blocks = [UInt8](repeating: 0, count: type.rowBytes(count))
    guard type.block > 1 else {
        unsafe ck_kernels(type, CK_ISA_SCALAR).quantize(random.floats(count), &blocks, count)
        return blocks
    }
    for i in blocks.indices {
        blocks[i] = UInt8(truncatingIfNeeded: random.bits() >> 32)
    }
    for start in stride(from: 0, to: blocks.count, by: type.blockBytes) {
        for half in type.halves {  // between 2^-9 and 2^-6, or minus that
            blocks[start + half + 1] = 0x18 | blocks[start + half + 1] & 0x8b
        }
        switch type {
        case CK_TYPE_IQ1_M: blocks[start + 55] = 0x10 | blocks[start + 55] & 0x8f  // the same
        case CK_TYPE_MXFP4: blocks[start] = 112 | blocks[start] & 15  // 2^-15 to 1
        default: break
        }
    }
    return blocks
}

extension [UInt8] {
    /// Sets every f16 of every block of `type` to `bits`.
    mutating func setHalves(of type: ck_type, _ bits: UInt16) {
        for block in 0..<count / type.blockBytes { setHalves(of: type, inBlock: block, bits) }
    }

    /// Sets every f16 of one block of `type` to `bits`.
    mutating func setHalves(of type: ck_type, inBlock block: Int, _ bits: UInt16) {
        let start = block * type.blockBytes
        for half in type.halves {
            self[start + half] = UInt8(bits & 0xff)
            self[start + half + 1] = UInt8(bits >> 8)
        }
        if type == CK_TYPE_IQ1_M {
            for part in 0..<4 {  // four bits of its f16 each
                let byte = start + 49 + 2 * part
                self[byte] = self[byte] & 0x0f | UInt8(bits >> (4 * UInt16(part)) & 15) << 4
            }
        }
        if type == CK_TYPE_MXFP4 { self[start] = UInt8(bits >> 10 & 31) + 112 }  // the same power of two
    }
}

/// The weights of `blocks` as floats, by the scalar reference.
func dequantized(_ type: ck_type, _ blocks: [UInt8], _ count: Int) -> [Float] {
    var floats = [Float](repeating: .nan, count: count)
    unsafe ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, &floats, count)
    return floats
}

/// Whether two vectors have the same bits, so that zeros of different signs differ.
func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
    a.map(\.bitPattern) == b.map(\.bitPattern)
}

/// Calls `body` with a copy of `bytes` that ends where unmapped memory begins: reading one byte further is fatal.
func withGuardedCopy<Element, Result>(
    _ values: [Element], _ body: (UnsafeRawPointer) throws -> Result
) throws -> Result {
    let page = 65536  // a multiple of every page size
    let size = values.count * MemoryLayout<Element>.stride
    let mapped = (size + page - 1) / page * page
    let start = try unsafe #require(
        unsafe mmap(nil, mapped + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0))
    defer { unsafe munmap(start, mapped + page) }
    try #require(unsafe mprotect(start + mapped, page, PROT_NONE) == 0)
    let copy = unsafe start + (mapped - size)
    unsafe values.withUnsafeBytes { unsafe copy.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: size) }
    return try unsafe body(copy)
}

/// Checks `found` against `exact`, to `tolerance` of the sum of magnitudes that went into each.
func expectClose(
    _ found: [Float], _ exact: [Double], within tolerance: [Double], _ what: String,
    location: SourceLocation = #_sourceLocation
) {
    let wrong = exact.indices.first { !(abs(Double(found[$0]) - exact[$0]) <= tolerance[$0]) }
    #expect(
        wrong == nil, "\(what): element \(wrong ?? 0), \(found[wrong ?? 0]) for \(exact[wrong ?? 0])",
        sourceLocation: location)
    #expect(found.dropFirst(exact.count).first?.isNaN != false, "\(what): wrote too far", sourceLocation: location)
}
