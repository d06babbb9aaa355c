import ArgumentParser
import Croissant
import Foundation
import GGUF

/// Looks for everything that is wrong with a file.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Validates a file: structure, every weight, and known traps.",
        discussion: """
            The file is checked as for loading, and every weight is read. Errors make the model unusable; warnings \
            and notes are about results that may surprise. Exit status 1 where there is an error.
            """)

    @OptionGroup var source: FileArgument

    @OptionGroup var threadOption: ThreadOption

    @Flag(help: "Print a JSON document.")
    var json = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let gguf = try source.open()
        Interruption.setPolled(true)
        let bytes = gguf.tensorBytes
        let begin = ContinuousClock.now
        let bar = ProgressBar("checking weights", total: bytes, isQuiet: output.quiet)
        let check: ModelCheck
        do {
            defer { bar.finish() }
            check = try ModelCheck(gguf, threads: threadOption.threads) { done in
                bar.update(done)
                return !Interruption.isRequested
            }
        }
        let seconds = (ContinuousClock.now - begin).seconds
        if json { try Console.writeJSON(Report(gguf, check, seconds: seconds)) } else { try show(gguf, check) }
        if output.verbose {
            Console.note("\(ByteCount(bytes)) \(WorkCost(bytes: bytes, seconds: seconds).text)")
        }
        try Interruption.check()
        guard check.count(.error) == 0 else {
            throw Failure("the file has \(Self.counted(check.count(.error), "error")): \(gguf.path)")
        }
    }

    /// Findings of one kind that are printed; a damaged file may have thousands.
    private static let shownPerKind = 20

    private func show(_ gguf: GGUFFile, _ check: ModelCheck) throws {
        let weights = gguf.tensors.reduce(0) { $0 + $1.elementCount }
        try Console.writeLine(
            "\(gguf.path.escaped): GGUF version \(gguf.version), \(ByteCount(gguf.fileSize)), "
                + "\(Self.counted(gguf.tensors.count, "tensor")), \(weights.abbreviated) weights")
        for severity in ModelCheck.Severity.allCases {
            for kind in ModelCheck.Kind.allCases {
                let findings = check.findings.filter { $0.severity == severity && $0.kind == kind }
                for finding in findings.prefix(Self.shownPerKind) {
                    try Console.writeLine("\(severity.rawValue): \(finding.message)")
                }
                let hidden = findings.count - Self.shownPerKind
                if hidden > 0 { try Console.writeLine("\(severity.rawValue): … and \(hidden) more of the kind") }
                for remedy in Set(findings.compactMap(\.remedy)).sorted() {
                    try Console.writeLine("  remedy: \(remedy)")
                }
            }
        }
        let counts = ModelCheck.Severity.allCases.map { (check.count($0), $0.rawValue) }.filter { $0.0 > 0 }
        let summary = counts.isEmpty ? "nothing found" : counts.map(Self.counted).joined(separator: ", ")
        try Console.writeLine(
            check.isComplete
                ? summary : summary + " in \(check.scannedTensors) of \(gguf.tensors.count) tensors; interrupted")
    }

    /// Such as "1 error", "2 errors".
    private static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)" + (count == 1 ? "" : "s") }

    private struct Report: Encodable {
        let path: String
        let isComplete: Bool
        let errors: Int
        let warnings: Int
        let notes: Int
        let findings: [Finding]
        let tensors: Int
        let scannedTensors: Int
        let weights: Int
        let bytes: Int
        let seconds: Double

        struct Finding: Encodable {
            let severity: String
            let kind: String
            let subject: String?
            let message: String
            let remedy: String?
        }

        init(_ gguf: GGUFFile, _ check: ModelCheck, seconds: Double) {
            path = gguf.path
            isComplete = check.isComplete
            errors = check.count(.error)
            warnings = check.count(.warning)
            notes = check.count(.note)
            findings = check.findings.map {
                Finding(
                    severity: $0.severity.rawValue, kind: $0.kind.rawValue, subject: $0.subject, message: $0.message,
                    remedy: $0.remedy)
            }
            tensors = gguf.tensors.count
            scannedTensors = check.scannedTensors
            weights = gguf.tensors.reduce(0) { $0 + $1.elementCount }
            bytes = gguf.tensorBytes
            self.seconds = seconds
        }
    }
}
