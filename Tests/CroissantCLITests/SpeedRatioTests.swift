import Croissant
import CroissantCLI
import Foundation
import Testing

@Suite("Ratios of speeds: intervals that hold what they promise")
struct SpeedRatioTests {
    /// How the logarithms of speeds scatter about those of the true ones.
    enum Noise: CaseIterable {
        /// The same normal noise of 2 % in both.
        case even
        /// B is six times as noisy as A.
        case uneven
        /// Most runs are about as fast as can be, a few much slower.
        case longTail
        /// One run of five is disturbed, by up to a third.
        case struck
    }

    /// Simulated pairs; the share whose interval holds the true ratio scatters by 0.4 %.
    private static let pairs = 4000

    @Test(
        "Without differences between processes, 95 % intervals hold the true ratio in 93 % or more",
        arguments: Noise.allCases)
    func coverage(noise: Noise) throws {
        var random = Xoshiro256(seed: 11)
        for (runsA, runsB) in [(5, 5), (3, 3), (10, 10), (5, 3)] {
            var held = 0
            for _ in 0..<Self.pairs {
                let a = Self.runs(runsA, noise, of: 0, &random)
                let b = Self.runs(runsB, noise, of: 1, &random)
                let half = try #require(SpeedRatio.halfWidth(a, b))
                let difference = b.reduce(0, +) / Double(runsB) - a.reduce(0, +) / Double(runsA)
                let truth = Self.mean(noise, of: 1) - Self.mean(noise, of: 0)
                if abs(difference - truth) <= half { held += 1 }
            }
            let share = Double(held) / Double(Self.pairs)
            #expect(share >= 0.93, "\(noise), \(runsA) and \(runsB) runs")
            if noise == .even { #expect(share <= 0.975, "\(runsA) and \(runsB) runs") }
        }
    }

    @Test("Where processes differ by 1 %, whole intervals hold the true ratio", arguments: Noise.allCases)
    func processes(noise: Noise) throws {
        var random = Xoshiro256(seed: 12)
        for (processes, runs) in [(1, 5), (1, 10), (2, 5), (3, 5), (5, 5)] {
            var held = 0
            for _ in 0..<Self.pairs {
                // B is 1.2 times as fast.
                let sides = [0, 1].map { side in
                    (0..<processes).map { _ in
                        let level = 0.01 * Self.normal(&random) + (side == 1 ? log(1.2) : 0)
                        return Self.runs(runs, noise, of: side, &random).map { 50 * exp($0 + level) }
                    }
                }
                let interval = try #require(SpeedRatio(sides[0], sides[1]).interval)
                if interval.contains(1.2 * exp(Self.mean(noise, of: 1) - Self.mean(noise, of: 0))) { held += 1 }
            }
            #expect(Double(held) / Double(Self.pairs) >= 0.93, "\(noise), \(processes) processes of \(runs) runs")
        }
    }

    @Test("Five runs with noise of 2 % show a difference of 12 %, and ten of 1 % one of 6 %")
    func power() throws {
        var random = Xoshiro256(seed: 13)
        for (runs, noise, ratio) in [(5, 0.02, 1.12), (10, 0.01, 1.06)] {
            var shown = 0
            for _ in 0..<Self.pairs {
                let sides = [1, ratio].map { level in
                    (0..<runs).map { _ in level * exp(noise * Self.normal(&random)) }
                }
                let interval = try #require(SpeedRatio([sides[0]], [sides[1]]).interval)
                if interval.lowerBound > 1 { shown += 1 }
            }
            #expect(Double(shown) / Double(Self.pairs) > 0.9, "\(runs) runs")
        }
    }

    @Test("A single run gives a ratio, and no interval")
    func single() {
        for (a, b) in [([10.0], [20.0]), ([10], [20, 20]), ([10, 10], [20])] {
            let result = SpeedRatio([a], [b])
            #expect(abs(result.ratio - 2) < 1e-12 && result.interval == nil)
        }
    }

    @Test("Runs that agree leave the margin for processes, and drift widens it")
    func margin() throws {
        let steady = try #require(SpeedRatio([[50, 50, 50]], [[60, 60, 60]]).interval)
        #expect(abs(steady.lowerBound - 1.2 / 1.03) < 1e-12 && abs(steady.upperBound - 1.2 * 1.03) < 1e-12)
        let drifting = try #require(SpeedRatio([[50, 50, 55, 55]], [[60, 60, 60, 60]]).interval)
        let mixed = try #require(SpeedRatio([[50, 55, 55, 50]], [[60, 60, 60, 60]]).interval)
        #expect(drifting.upperBound / drifting.lowerBound > 1.05 * mixed.upperBound / mixed.lowerBound)
    }

    @Test("From three processes on, what differs between them is measured, and counts alone")
    func measured() throws {
        let alike = [[50.0, 50.1], [50.1, 50], [50, 50.2]]
        let narrow = try #require(SpeedRatio(alike, alike).interval)
        #expect(narrow.contains(1) && narrow.upperBound / narrow.lowerBound < 1.01)
        let different = [[50.0, 50], [45, 45], [55, 55]]
        let wide = try #require(SpeedRatio(different, alike).interval)
        #expect(wide.upperBound / wide.lowerBound > 1.4)
        let two = try #require(SpeedRatio(Array(alike.prefix(2)), alike).interval)
        #expect(two.upperBound / two.lowerBound > 1.06)
    }

    @Test(
        "Bounds of Student's distribution are those of the tables",
        arguments: [
            (1.0, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (8, 2.3060), (9, 2.2622), (10, 2.2281),
            (30, 2.0423), (120, 1.9799), (1e9, 1.9623),
        ])
    func student(freedom: Double, bound: Double) {
        #expect(abs(StudentT.centralBound(0.95, freedom: freedom) - bound) < 1e-4)
    }

    @Test("Between whole degrees of freedom, bounds lie a little above the true ones")
    func fractions() {
        // The true ones as SciPy gives them.
        for (freedom, bound) in [(1.5, 6.016663), (2.5, 3.574655), (7.3, 2.345067)] {
            let found = StudentT.centralBound(0.95, freedom: freedom)
            #expect(found >= bound && found < bound * 1.03, "\(freedom): \(found)")
        }
    }

    /// Logarithms of speeds whose true mean is `mean(noise, of: side)`.
    private static func runs(_ count: Int, _ noise: Noise, of side: Int, _ random: inout Xoshiro256) -> [Double] {
        (0..<count).map { _ in
            switch noise {
            case .even: 0.02 * normal(&random)
            case .uneven: (side == 0 ? 0.005 : 0.03) * normal(&random)
            case .longTail: 0.02 * log(Double.random(in: .leastNormalMagnitude..<1, using: &random))
            case .struck:
                0.01 * normal(&random)
                    - (Double.random(in: 0..<1, using: &random) < 0.2 ? Double.random(in: 0..<0.3, using: &random) : 0)
            }
        }
    }

    private static func mean(_ noise: Noise, of side: Int) -> Double {
        switch noise {
        case .even, .uneven: 0
        case .longTail: -0.02
        case .struck: -0.03
        }
    }

    /// Normally distributed (Box and Muller, 1958).
    private static func normal(_ random: inout Xoshiro256) -> Double {
        let length = (-2 * log(Double.random(in: .leastNormalMagnitude..<1, using: &random))).squareRoot()
        return length * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
    }
}
