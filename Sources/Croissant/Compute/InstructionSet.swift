/// A set of instructions that kernels are written for.
///
/// The best one that the machine can run is chosen at run time; ``RuntimeOptions/instructionSet`` can force another.
/// The raw values are the names that the program's `--isa` takes.
public enum InstructionSet: String, Sendable, CaseIterable {
    /// Plain C: the reference that every other set is tested against.
    case scalar
    /// AVX2 with FMA and F16C: every x86 laptop of the last ten years.
    case avx2
    /// AVX2 and the 256-bit VNNI dot products of recent laptops.
    case avxvnni
    /// AVX-512 F, BW, DQ and VL.
    case avx512
    /// AVX-512 and VNNI.
    case avx512vnni
    /// AVX-512, VNNI and AMX, the matrix registers of Intel's servers.
    case amx
    /// ARMv8 NEON.
    case neon
    /// NEON with the `sdot` instruction.
    case neonDotprod = "neon-dotprod"
    /// NEON with the `smmla` instruction.
    case neonI8mm = "neon-i8mm"
}
