import Croissant
import Foundation
import GGUF
import Testing

@Suite("Rotary positions")
struct RoPETests {
    @Test("both layouts turn the pairs that they say", arguments: InstructionSet.supported)
    func layouts(instructionSet: InstructionSet) {
        let kernels = Kernels(instructionSet)
        var generator = SeededGenerator(seed: 3)
        for pairs in [1, 3, 8, 15, 16, 17, 64] {
            // Two elements more than are turned: partial RoPE leaves them.
            let head = (0..<2 * pairs + 2).map { _ in Float.random(in: -2...2, using: &generator) }
            let angles = (0..<pairs).map { _ in Double.random(in: -3000...3000, using: &generator) }
            let cosines = angles.map { Float(cos($0)) }
            let sines = angles.map { Float(sin($0)) }
            for layout in [RoPELayout.adjacent, .halves] {
                var expected = head.map(Double.init)
                for (pair, angle) in angles.enumerated() {
                    let (i, j) = layout == .adjacent ? (2 * pair, 2 * pair + 1) : (pair, pair + pairs)
                    let (a, b) = (Double(head[i]), Double(head[j]))
                    expected[i] = a * cos(angle) - b * sin(angle)
                    expected[j] = a * sin(angle) + b * cos(angle)
                }
                var turned = head
                var span = turned.mutableSpan
                kernels.rotate(&span, cosines: cosines.span, sines: sines.span, layout: layout)
                let error = zip(turned, expected).map { abs(Double($0) - $1) }.max() ?? 1
                #expect(error < 1e-6, "\(pairs) pairs, \(layout): \(error)")
                #expect(turned.suffix(2) == head.suffix(2))
            }
        }
    }

    /// The configuration of a tiny model with some keys of its own.
    private func configuration(
        _ keys: [String: GGUFValue], shape: ModelShape = .tiny
    ) throws -> ModelConfiguration {
        var file = try ModelFile(shape: shape)
        for (key, value) in keys { file.metadata["llama." + key] = value }
        return try file.load().configuration
    }

    /// The largest error of the cosines and sines of some far positions.
    private func error(
        _ rope: RoPE, magnitude: Double = 1, angle: (_ position: Int, _ pair: Int) -> Double
    ) throws -> Double {
        let positions = 1990..<2000
        let count = positions.count * rope.pairs
        var cosines = try FloatBuffer.allocate(count, purpose: "a test")
        var sines = try FloatBuffer.allocate(count, purpose: "a test")
        rope.fill(positions, cosines: &cosines, sines: &sines)
        var largest = 0.0
        for (row, position) in positions.enumerated() {
            for pair in 0..<rope.pairs {
                let angle = angle(position, pair)
                largest = max(largest, abs(Double(cosines.span[row * rope.pairs + pair]) - magnitude * cos(angle)))
                largest = max(largest, abs(Double(sines.span[row * rope.pairs + pair]) - magnitude * sin(angle)))
            }
        }
        return largest
    }

    @Test("angles are position * base^(-2i/n), exact at far positions too")
    func angles() throws {
        let plain = RoPE(try configuration([:]), factors: nil)
        #expect(plain.pairs == 8)
        #expect(try error(plain, angle: { Double($0) * pow(10000, -Double($1) / 8) }) < 1e-7)
        let other = RoPE(
            try configuration(["rope.freq_base": .float32(500_000), "rope.dimension_count": .uint32(12)]), factors: nil)
        #expect(other.pairs == 6)
        #expect(try error(other, angle: { Double($0) * pow(500_000, -Double($1) / 6) }) < 1e-7)
    }

    @Test(
        "linear scaling divides positions, under its old name and its new one",
        arguments: [
            (["rope.scaling.type": .string("linear"), "rope.scaling.factor": .float32(4)], 4),
            (["rope.scaling.factor": .float32(2.5)], 2.5),
            (["rope.scale_linear": .float32(8)], 8),
            (["rope.scale_linear": .float32(8), "rope.scaling.factor": .float32(2)], 2),
            (["rope.scaling.type": .string("none"), "rope.scaling.factor": .float32(4)], 1),
        ] as [([String: GGUFValue], Double)])
    func scaling(keys: [String: GGUFValue], factor: Double) throws {
        let configuration = try configuration(keys)
        #expect(configuration.ropeScale == factor)
        let rope = RoPE(configuration, factors: nil)
        #expect(try error(rope, angle: { Double($0) / factor * pow(10000, -Double($1) / 8) }) < 1e-7)
    }

    @Test("YaRN leaves fast pairs as they are and divides slow ones, with what lies between in steps")
    func yarn() throws {
        // The sizes of Qwen 2.5 with the scaling that it is published with. A pair that turns 32 times in 32768
        // positions would be number 23.6 of 64, one that turns once number 39.7: steps from 23 to 40.
        var shape = ModelShape.tiny
        shape.embeddingLength = 256
        shape.heads = 2
        let keys: [String: GGUFValue] = [
            "rope.freq_base": .float32(1_000_000), "rope.scaling.type": .string("yarn"),
            "rope.scaling.factor": .float32(4), "rope.scaling.original_context_length": .uint32(32768),
        ]
        let configuration = try configuration(keys, shape: shape)
        #expect(configuration.yarn == YaRN(originalContextLength: 32768, fastTurns: 32, slowTurns: 1))
        let error = try error(RoPE(configuration, factors: nil), magnitude: 1 + 0.1 * log(4)) { position, pair in
            let frequency = pow(1_000_000, -Double(pair) / 64)
            let part = pair <= 23 ? 0 : pair >= 40 ? 1 : Double(pair - 23) / 17
            return Double(position) * frequency * (1 - part + part / 4)
        }
        #expect(error < 2e-7)
    }

    @Test("YaRN by a factor of 1 is no scaling, and the original context is the whole one where none is given")
    func yarnWithoutScale() throws {
        let plain = RoPE(
            try configuration(["rope.scaling.type": .string("yarn"), "rope.scaling.factor": .float32(1)]), factors: nil)
        #expect(try error(plain, angle: { Double($0) * pow(10000, -Double($1) / 8) }) < 1e-7)
        // The context of the file is the original one where that is not given.
        let keys: [String: GGUFValue] = ["rope.scaling.type": .string("yarn"), "rope.scaling.factor": .float32(2)]
        #expect(try configuration(keys).yarn?.originalContextLength == 128)
    }

    @Test("the factors of a file divide each frequency")
    func factors() throws {
        let factors: [Float] = [1, 1.5, 2, 3, 4, 8, 8, 32]
        let rope = RoPE(try configuration(["rope.scaling.factor": .float32(2)]), factors: factors)
        #expect(try error(rope, angle: { Double($0) / 2 * pow(10000, -Double($1) / 8) / Double(factors[$1]) }) < 1e-7)
    }

    @Test("scaling by key, by old key and by the factors of the file reach the logits, and are the same")
    func logits() throws {
        let tokens: [Int32] = [1, 300, 20, 400, 77, 5, 9]
        func logits(_ change: (inout ModelFile) -> Void) throws -> [Float] {
            var file = try ModelFile(shape: .tiny)
            change(&file)
            var session = try Session(try file.load())
            return try session.logits(after: tokens)
        }
        let plain = try logits { _ in }
        let scaled = try logits { $0.metadata["llama.rope.scaling.factor"] = .float32(4) }
        #expect(largestDifference(plain, scaled) > 0.01)
        let older = try logits { $0.metadata["llama.rope.scale_linear"] = .float32(4) }
        #expect(older == scaled)
        let fours = bytes(of: Array(repeating: 4, count: 8))
        let divided = try logits {
            $0.tensors.append(.init(name: "rope_freqs.weight", dimensions: [8], type: .f32, bytes: fours))
        }
        #expect(divided == scaled)
    }
}
