import Croissant
import Testing

@Suite("What one worker unpacks at a time covers a matrix")
struct TileSizeTests {
    @Test("parts of the columns follow one another, in whole blocks, and are no wider than those that are wanted")
    func parts() {
        for instructionSet in InstructionSet.supported {
            let kernels = Kernels(instructionSet)
            for precision in [ActivationPrecision.int8, .int16] {
                let size = kernels.tileSize(for: precision)
                for columns in [32, 96, 2048, 2080, 4096, 5504, 11008, 14336] {
                    let parts = size.parts(of: columns)
                    let isWhole = instructionSet != .amx || precision == .int16 || columns <= 2048
                    #expect(parts.count == (isWhole ? 1 : (columns + 2047) / 2048))
                    #expect(parts.first?.lowerBound == 0 && parts.last?.upperBound == columns)
                    for (part, next) in zip(parts, parts.dropFirst()) {
                        #expect(part.upperBound == next.lowerBound && part.count % 256 == 0)
                        #expect(part.count <= 2048 && next.count <= part.count && !next.isEmpty)
                    }
                }
            }
        }
    }

    @Test("a tile is whole panels, one at least, and of a gate as many as of what it gates")
    func rows() {
        for instructionSet in InstructionSet.supported {
            let size = Kernels(instructionSet).tileSize(for: .int8)
            for columns in [32, 2048, 5504, 1 << 20] {
                for isGated in [false, true] {
                    let rows = size.rows(columns: columns, isGated: isGated)
                    #expect(rows > 0 && rows % 16 == 0)
                }
                let gated = size.rows(columns: columns, isGated: true)
                #expect(gated == 16 || 2 * gated <= size.rows(columns: columns))
            }
        }
    }
}
