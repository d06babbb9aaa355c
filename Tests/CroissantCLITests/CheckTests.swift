import Foundation
import Testing

@Suite("check: everything that is wrong with a file, with its remedy")
struct CheckTests {
    private struct Report: Decodable {
        struct Finding: Decodable {
            let severity: String
            let kind: String
            let subject: String?
            let message: String
            let remedy: String?
        }

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
    }

    private struct Inspected: Decodable {
        struct Tensor: Decodable {
            let name: String
            let offset: Int
        }

        let tensors: [Tensor]
    }

    /// The tiny model with some bytes of its tensors replaced.
    private static func damaged(_ changes: [(tensor: String, offset: Int, bytes: [UInt8])]) throws -> String {
        let tensors = try CLI.run(["inspect", Fixture.tiny, "--json"]).json(Inspected.self).tensors
        var data = try Data(contentsOf: URL(filePath: Fixture.tiny))
        for change in changes {
            let tensor = try #require(tensors.first { $0.name == change.tensor })
            let start = tensor.offset + change.offset
            data.replaceSubrange(start..<start + change.bytes.count, with: change.bytes)
        }
        let path = Fixture.newPath("damaged.gguf")
        try data.write(to: URL(filePath: path))
        return path
    }

    @Test("A clean file has nothing, and status 0")
    func clean() throws {
        let run = try CLI.run(["check", Fixture.tiny])
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.count == 2)
        #expect(lines.first?.hasPrefix("\(Fixture.tiny): GGUF version 3, ") == true)
        #expect(lines.first?.hasSuffix(", 21 tensors, 151.9 K weights") == true, "\(lines)")
        #expect(lines.last == "nothing found")
        let verbose = try CLI.run(["check", Fixture.tiny, "-v", "-t", "1"])
        #expect(verbose.error.contains(/KiB in [0-9.]+ s, .* a second; peak [0-9.]+ MiB\n/))
        #expect(verbose.output == run.output)
    }

    @Test("Damaged weights are errors with their place, and status 1")
    func damage() throws {
        // A half-precision scale that is no number in the third block of row 0; a norm that is infinite.
        let path = try Self.damaged([
            ("blk.1.ffn_up.weight", 18, [0x00, 0x7E]), ("blk.0.attn_norm.weight", 40, [0, 0, 0x80, 0x7F]),
        ])
        let run = try CLI.run(["check", path])
        #expect(run.status == 1)
        #expect(run.error == "error: the file has 2 errors: \(path)\n")
        let lines = run.output.split(separator: "\n").dropFirst().map(String.init)
        #expect(
            lines == [
                "error: not finite: blk.0.attn_norm.weight (1 infinite of 64 values, the first at row 0, column 10)",
                "error: not finite: blk.1.ffn_up.weight (32 NaN of 10240 values, the first at row 0, column 32)",
                "  remedy: the file is damaged, or was converted from damaged weights: download or convert it again",
                "2 errors",
            ])
    }

    @Test("JSON holds every finding")
    func json() throws {
        let path = try Self.damaged([("blk.1.ffn_up.weight", 18, [0x00, 0x7C])])
        let run = try CLI.run(["check", path, "--json"])
        #expect(run.status == 1 && run.errorLines.count == 1)
        let report = try run.json(Report.self)
        #expect(report.path == path && report.isComplete)
        #expect(report.errors == 1 && report.warnings == 0 && report.notes == 0)
        #expect(
            report.tensors == 21 && report.scannedTensors == 21 && report.weights > 100_000 && report.bytes > 80_000)
        let finding = try #require(report.findings.first)
        #expect(report.findings.count == 1)
        #expect(finding.severity == "error" && finding.kind == "notFinite" && finding.subject == "blk.1.ffn_up.weight")
        #expect(finding.message.hasPrefix("not finite: ") && finding.remedy?.isEmpty == false)
        let clean = try CLI.run(["check", Fixture.tiny, "--json"])
        #expect(clean.status == 0)
        #expect(try clean.json(Report.self).findings.isEmpty)
    }

    @Test("Warnings alone are status 0")
    func warnings() throws {
        let zeros = [UInt8](repeating: 0, count: 64 * 32 / 32 * 18)
        let path = try Self.damaged([("blk.0.attn_k.weight", 0, zeros)])
        let run = try CLI.run(["check", path, "-q"])
        #expect(run.status == 0 && run.error.isEmpty)
        #expect(run.output.contains("\nwarning: all zero: blk.0.attn_k.weight (2048 values)\n  remedy: "))
        #expect(run.output.hasSuffix("\n1 warning\n"))
    }

    @Test("Thousands of findings of one kind are summed up; JSON has them all")
    func many() throws {
        // 40 blocks in the metadata in place of 2.
        var data = try Data(contentsOf: URL(filePath: Fixture.tiny))
        let key = try #require(data.range(of: Data("llama.block_count".utf8)))
        data[key.upperBound + 4] = 40
        let path = Fixture.newPath("blocks.gguf")
        try data.write(to: URL(filePath: path))
        let run = try CLI.run(["check", path])
        #expect(run.status == 1)
        let lines = run.output.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("error: missing tensor: blk.") } == 20)
        #expect(lines.contains("error: … and 322 more of the kind"))
        #expect(lines.last == "342 errors")
        #expect(try CLI.run(["check", path, "--json"]).json(Report.self).findings.count == 38 * 9)
    }

    @Test("A file without a model in it is checked as far as it goes")
    func noModel() throws {
        let path = try Self.bare(rows: 4)
        let run = try CLI.run(["check", path])
        #expect(run.status == 1)
        #expect(run.output.contains("\nerror: bad value: general.architecture (expected a string, found nothing)\n"))
        #expect(run.output.contains("\nwarning: all zero: x\\u{1b}[31m (4096 values)\n"))
        #expect(run.output.contains("\nwarning: no tokenizer: "))
    }

    @Test("Ctrl-C prints what was found so far, with 130", arguments: [false, true])
    func interruption(json: Bool) throws {
        // Four gibibytes of zeros that take no space.
        let path = try Self.bare(rows: 1 << 20)
        let running = try Running(["check", path, "-t", "1"] + (json ? ["--json"] : []))
        Thread.sleep(forTimeInterval: 1)
        running.signal(SIGINT)
        let result = try running.finish(limit: 20)
        #expect(result.status == 130)
        #expect(result.error == "error: interrupted\n")
        if json {
            let report = try result.json(Report.self)
            #expect(!report.isComplete && report.scannedTensors == 0 && report.tensors == 1)
        } else {
            #expect(result.output.hasSuffix(" in 0 of 1 tensors; interrupted\n"))
        }
    }

    /// A GGUF file with one tensor of zeros, 1024 floats a row, under a name that would colour a terminal.
    private static func bare(rows: UInt64) throws -> String {
        var data = Data("GGUF".utf8)
        func append<Value: FixedWidthInteger>(_ value: Value) {
            for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
                data.append(UInt8(truncatingIfNeeded: value >> Value(shift)))
            }
        }
        append(UInt32(3))
        append(UInt64(1))
        append(UInt64(0))
        let name = "x\u{1B}[31m"
        append(UInt64(name.utf8.count))
        data.append(contentsOf: name.utf8)
        append(UInt32(2))
        append(UInt64(1024))
        append(rows)
        append(UInt32(0))
        append(UInt64(0))
        let path = Fixture.newPath("bare.gguf")
        try data.write(to: URL(filePath: path))
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: UInt64((data.count + 31) / 32 * 32) + rows * 4096)
        try file.close()
        return path
    }
}
