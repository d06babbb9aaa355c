import Foundation
import GGUF

/// The energy that the machine uses, where it can be read: the processor packages' own counters, or what a battery
/// gives.
struct EnergyMeter {
    /// Where the figure comes from.
    enum Source: String, Codable {
        /// Running average power limit: counters of the processor packages, memory and screen not included.
        case rapl
        /// The charge of a battery that is being discharged: the whole machine.
        case battery
        /// Neither can be read.
        case unavailable
    }

    /// Where the figures come from.
    let source: Source
    private let start: [String: Double]
    private let battery: Double?

    private static let counters = "/sys/class/powercap"
    private static let supplies = "/sys/class/power_supply"

    /// Begins to measure.
    init() {
        start = Self.packages()
        battery = start.isEmpty ? Self.batteries() : nil
        source = !start.isEmpty ? .rapl : battery != nil ? .battery : .unavailable
    }

    /// Joules since the beginning; nil where they cannot be told.
    var joules: Double? {
        switch source {
        case .rapl:
            let now = Self.packages()
            return start.reduce(0) { sum, counter in
                guard let end = now[counter.key], let sum else { return nil }
                // A counter begins at 0 again after its range.
                let range = Self.number("\(Self.counters)/\(counter.key)/max_energy_range_uj") ?? 0
                return sum + (end >= counter.value ? end - counter.value : end + range - counter.value) * 1e-6
            }
        case .battery:
            // A battery counts in large steps: most short runs are within one, and some pay for all of it.
            guard let battery, let now = Self.batteries() else { return nil }
            return battery - now
        case .unavailable: return nil
        }
    }

    /// Microjoules of each package by the name of its counter (kernel: power/powercap).
    private static func packages() -> [String: Double] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: counters)) ?? []
        // "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it; processors of AMD have the same names.
        let packages = names.filter { $0.hasPrefix("intel-rapl:") && $0.count { $0 == ":" } == 1 }
        return packages.reduce(into: [:]) { $0[$1] = number("\(counters)/\($1)/energy_uj") }
    }

    /// Joules in all batteries; nil where there is none, or one that is not being discharged (sysfs-class-power).
    private static func batteries() -> Double? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: supplies)) ?? []
        let batteries = names.filter { $0.hasPrefix("BAT") }.map { "\(supplies)/\($0)" }
        guard !batteries.isEmpty, batteries.allSatisfy({ SystemFile.line("\($0)/status") == "Discharging" }) else {
            return nil
        }
        return batteries.reduce(0) { sum, battery in
            guard let sum else { return nil }
            // Microwatt hours, or microampere hours at microvolts.
            if let energy = number("\(battery)/energy_now") { return sum + energy * 3600e-6 }
            guard let charge = number("\(battery)/charge_now"), let voltage = number("\(battery)/voltage_now") else {
                return nil
            }
            return sum + charge * 1e-6 * voltage * 1e-6 * 3600
        }
    }

    private static func number(_ path: String) -> Double? { SystemFile.line(path).flatMap { Double($0) } }
}
