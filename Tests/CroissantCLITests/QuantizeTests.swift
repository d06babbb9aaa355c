import Foundation
import Testing

@Suite("quantize: files in other types, and one clear line where that is not possible")
struct QuantizeTests {
    /// A model in F16 whose rows are whole blocks of every type, made once.
    private static let source: String = {
        let path = Fixture.newPath("F16.gguf")
        do {
            let shape = try Fixture.newFile("shape.json", Fixture.shape(layers: 2, embedding: 256, feedForward: 512))
            let result = try CLI.run(["synthesize", path, "--shape", shape, "--type", "F16"])
            return result.status == 0 ? path : "no model: \(result.error)"
        } catch {
            return "no model: \(error)"
        }
    }()

    /// What `--json` prints.
    private struct Report: Decodable {
        let isDryRun: Bool
        let type: String
        let bytesBefore: Int
        let bytesAfter: Int
        let tensors: [Tensor]

        struct Tensor: Decodable {
            let name: String
            let typeBefore: String
            let typeAfter: String
            let substituted: String?
        }

        func type(of name: String) -> String? { tensors.first { $0.name == name }?.typeAfter }
    }

    @Test(
        "Files of all kinds are written, and generate",
        arguments: ["Q4_0", "q8_0", "Q4_K_M", "F32", "TQ2_0", "MXFP4"])
    func types(type: String) throws {
        let out = Fixture.newPath("out.gguf")
        let run = try CLI.run(["quantize", Self.source, out, type])
        #expect(run.status == 0)
        #expect(run.output.isEmpty)
        #expect(run.error.hasPrefix("wrote \(out): "))
        #expect(run.error.contains("of \(type.uppercased()) weights, "))
        let generation = try CLI.run(["-m", out, "-p", "a", "-n", "4", "--ignore-eos", "--json"])
        #expect(try generation.json(Generation.self).tokens.count == 4)
        #expect(try CLI.run(["check", out, "-q"]).status == 0)
    }

    @Test("A dry run prints a table, or a document, and writes nothing")
    func dryRun() throws {
        let folder = try Fixture.newFolder("dry")
        let run = try CLI.run(["quantize", Self.source, folder + "/out.gguf", "Q4_K_M", "--dry-run"])
        #expect(run.status == 0)
        #expect(run.error.isEmpty)
        let lines = run.output.split(separator: "\n")
        #expect(lines.first?.contains("new type") == true)
        #expect(lines.contains { $0.contains("blk.0.attn_v.weight") && $0.contains("256 x 128") })
        #expect(lines.last?.contains("tensors, ") == true)

        let options = ["--tensor-type", "ffn_=q8_0", "--tensor-type", "blk.1.ffn_up=F16", "--dry-run", "--json"]
        let json = try CLI.run(["quantize", Self.source, folder + "/out.gguf", "Q4_K_M"] + options)
        let report = try json.json(Report.self)
        #expect(report.isDryRun && report.type == "Q4_K_M")
        #expect(report.type(of: "blk.0.ffn_up.weight") == "Q8_0")
        #expect(report.type(of: "blk.1.ffn_up.weight") == "F16")
        #expect(report.type(of: "blk.0.attn_q.weight") == "Q4_K")
        #expect(report.type(of: "output.weight") == "Q6_K")
        #expect(report.bytesAfter < report.bytesBefore)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("Options decide over the mix")
    func options() throws {
        let out = Fixture.newPath("out.gguf")
        let pure = try CLI.run(["quantize", Self.source, out, "Q4_K_M", "--pure", "--json", "-q", "-t", "2"])
        #expect(pure.error.isEmpty)
        let report = try pure.json(Report.self)
        #expect(Set(report.tensors.map(\.typeAfter)) == ["Q4_K", "F32"])
        let types = ["--output-tensor-type", "q8_0", "--token-embedding-type", "bf16", "--tensor-type", "nose=Q4_0"]
        let run = try CLI.run(["quantize", Self.source, out, "Q4_0", "--json"] + types)
        #expect(run.error.hasPrefix("warning: no matrix has such a name: --tensor-type nose=Q4_0\nwrote "))
        #expect(try run.json(Report.self).type(of: "output.weight") == "Q8_0")
        #expect(try run.json(Report.self).type(of: "token_embd.weight") == "BF16")
        let verbose = try CLI.run(["quantize", Self.source, out, "Q8_0", "-v"])
        #expect(verbose.errorLines.last?.wholeMatch(of: /in .* s, .* a second; peak .*/) != nil)
    }

    @Test("Names that mean other types elsewhere are explained, and experts that a model does not have are missed")
    func names() throws {
        let help = try CLI.run(["help", "quantize"]).output.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
        #expect(help.contains("Q3_K, Q4_K and Q5_K are one type for all matrices"))
        let dry = ["quantize", Self.source, "x", "--dry-run", "--json"]
        let run = try CLI.run(dry + ["mxfp4_moe"])
        #expect(
            run.error
                == "warning: MXFP4_MOE makes every matrix of a model without experts Q8_0: MXFP4 gives them four bits\n"
        )
        #expect(run.status == 0)
        #expect(Set(try run.json(Report.self).tensors.map(\.typeAfter)) == ["Q8_0", "F32"])
        for quiet in [["mxfp4_moe", "-q"], ["mxfp4"], ["q8_0"]] { #expect(try CLI.run(dry + quiet).error.isEmpty) }
    }

    @Test("An expression that others search for without an end is none here")
    func expression() throws {
        // Each letter more would double the time of a search that goes back.
        let endless = String(repeating: "(a*)*", count: 8) + "(\\w|.)+(\\w|.)+$x=Q4_0"
        let run = try CLI.run(["quantize", Self.source, "x", "Q8_0", "--dry-run", "--tensor-type", endless])
        #expect(run.status == 0)
        #expect(run.error.hasPrefix("warning: no matrix has such a name: "))
        let unknown = try CLI.run(["quantize", Self.source, "x", "Q8_0", "--tensor-type", "(?=a)=Q4_0"])
        #expect(unknown.status == 64)
        #expect(unknown.error.contains("(expected a regular expression without '(?' but for '(?:')"))
    }

    @Test("Quantised weights are quantised again only where that is asked for")
    func again() throws {
        let (first, second) = (Fixture.newPath("first.gguf"), Fixture.newPath("second.gguf"))
        #expect(try CLI.run(["quantize", Self.source, first, "Q8_0"]).status == 0)
        let refused = try CLI.run(["quantize", first, second, "Q4_0"])
        #expect(refused.status == 1)
        #expect(refused.errorLines.count == 2)
        #expect(
            refused.errorLines.first
                == "error: weights are quantised already: tensor \"token_embd.weight\" (expected F32, F16 or BF16, found Q8_0)"
        )
        #expect(!FileManager.default.fileExists(atPath: second))
        #expect(try CLI.run(["quantize", first, second, "Q4_0", "--allow-requantize"]).status == 0)
        // Copied as it is.
        #expect(try CLI.run(["quantize", first, second, "Q8_0"]).status == 0)
        #expect(try Data(contentsOf: URL(filePath: first)) == Data(contentsOf: URL(filePath: second)))
    }

    @Test("Inputs and outputs that cannot be are named, and nothing changes")
    func badPaths() throws {
        let folder = try Fixture.newFolder("paths")
        let source = folder + "/source.gguf"
        try FileManager.default.copyItem(atPath: Self.source, toPath: source)
        try FileManager.default.createSymbolicLink(atPath: folder + "/soft.gguf", withDestinationPath: source)
        try FileManager.default.linkItem(atPath: source, toPath: folder + "/hard.gguf")
        let before = try Data(contentsOf: URL(filePath: source))
        let cut = folder + "/cut.gguf"
        try before.prefix(before.count - 1000).write(to: URL(filePath: cut))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        let cases: [(input: String, out: String, error: String)] = [
            (source, source, "output is the same file as the input: \(source)"),
            (source, folder + "/soft.gguf", "output is the same file as the input: \(folder)/soft.gguf"),
            (source, folder + "/hard.gguf", "output is the same file as the input: \(folder)/hard.gguf"),
            (folder + "/soft.gguf", source, "output is the same file as the input: \(source)"),
            ("/no/such.gguf", folder + "/out.gguf", "no such file: /no/such.gguf"),
            (source, "/no/such/out.gguf", "cannot create file: /no/such/out.gguf (No such file or directory)"),
            (source, folder, "output is not a file: \(folder) (expected the path of a file to write, found a folder)"),
            (
                source, "/dev/full",
                "output is not a file: /dev/full (expected the path of a file to write, found a device)"
            ),
            (source, "", "output is not a file: \"\" (expected the path of a file to write, found an empty path)"),
            ("", folder + "/out.gguf", "no such file: \"\""),
            (
                source, folder + "/" + String(repeating: "a", count: 300),
                "cannot create file: \(folder)/\(String(repeating: "a", count: 300)) (File name too long)"
            ),
            (cut, folder + "/out.gguf", "tensor lies outside the file: "),
            (folder, folder + "/out.gguf", "not a file: \(folder) (expected a GGUF file, found a folder)"),
        ]
        for (input, out, error) in cases {
            for command in [["quantize", input, out, "Q4_0"], ["edit", input, out, "--set", "general.name=x"]] {
                let run = try CLI.run(command)
                #expect(run.status == 1)
                #expect(run.output.isEmpty)
                #expect(run.errorLines.first?.hasPrefix("error: \(error)") == true, "\(run.error)")
                #expect(run.errorLines.count <= 2)
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == names)
        #expect(try Data(contentsOf: URL(filePath: source)) == before)
    }

    /// The arguments of a command that writes into a folder, and the path that it makes there.
    private static func writing(_ command: String, into folder: String) throws -> (arguments: [String], path: String) {
        let out = folder + "/out.gguf"
        switch command {
        case "quantize": return (["quantize", source, out, "Q8_0"], out)
        case "edit": return (["edit", source, out, "--set", "general.name=x"], out)
        case "convert": return (["convert", try TinyCheckpoint.make(), out, "--type", "F32"], out)
        case "synthesize":
            return (["synthesize", out, "--shape", try Fixture.newFile("shape.json", Fixture.shape())], out)
        case "merge":
            let parts = try Fixture.newFolder("parts")
            #expect(try CLI.run(["split", source, parts + "/part", "--max-tensors", "12", "-q"]).status == 0)
            let first = try #require(try FileManager.default.contentsOfDirectory(atPath: parts).sorted().first)
            return (["merge", parts + "/" + first, out], out)
        default:
            return (["split", source, folder + "/out", "--max-tensors", "12"], folder + "/out-00001-of-00002.gguf")
        }
    }

    private static let writers = ["quantize", "split", "merge", "edit", "convert", "synthesize"]

    @Test("A folder that may not be written to", arguments: writers)
    func readOnly(command: String) throws {
        let folder = try Fixture.newFolder("read-only")
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder)
        defer { try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder) }
        // Whoever may do everything is kept out of the kernel's own folders only.
        let place = FileManager.default.isWritableFile(atPath: folder) ? "/sys" : folder
        let (arguments, path) = try Self.writing(command, into: place)
        let run = try CLI.run(arguments)
        #expect(run.status == 1)
        #expect(run.output.isEmpty)
        #expect(run.errorLines.count == 1)
        #expect(run.error.hasPrefix("error: cannot create file: \(path) ("), "\(run.error)")
    }

    @Test("A full disk is one line, and leaves nothing", arguments: writers)
    func full(command: String) throws {
        let folder = try Fixture.newFolder("full")
        let (arguments, path) = try Self.writing(command, into: folder)
        // Blocks of 512 bytes: less than the smallest of the files.
        let run = try CLI.shell("ulimit -f 20; exec \"$BIN\" \(arguments.joined(separator: " "))")
        #expect(run.status == 1)
        #expect(run.output.isEmpty)
        #expect(run.errorLines.count == 1)
        #expect(run.error.hasPrefix("error: cannot write file: \(path)"), "\(run.error)")
        #expect(run.error.hasSuffix(" (File too large)\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("A weight that is no number is named")
    func notANumber() throws {
        var data = try Data(contentsOf: URL(filePath: Self.source))
        let folder = try Fixture.newFolder("nan")
        let matrix = try CLI.run(["inspect", Self.source, "--json"]).json(Inspection.self).tensors
            .first { $0.name == "blk.1.ffn_up.weight" }
        let offset = try #require(matrix).offset + 2 * 777
        data.replaceSubrange(offset..<offset + 2, with: [0x01, 0x7C])
        try data.write(to: URL(filePath: folder + "/nan.gguf"))
        let run = try CLI.run(["quantize", folder + "/nan.gguf", folder + "/out.gguf", "Q4_K_M"])
        #expect(run.status == 1)
        #expect(run.errorLines.count == 1)
        #expect(run.error.hasPrefix("error: bad weight: blk.1.ffn_up.weight[777] (expected a magnitude up to 65504"))
        #expect(run.error.hasSuffix("found NaN)\n"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["nan.gguf"])
    }

    private struct Inspection: Decodable {
        let tensors: [Tensor]

        struct Tensor: Decodable {
            let name: String
            let offset: Int
        }
    }

    @Test("Ctrl-C and SIGTERM leave nothing", arguments: [SIGINT, SIGTERM])
    func interrupted(signal: Int32) throws {
        let folder = try Fixture.newFolder("interrupted")
        let large = try Fixture.newFolder("large") + "/large.gguf"
        let shape = try Fixture.newFile("large.json", Fixture.shape(layers: 1, embedding: 1024, vocabulary: 1 << 16))
        #expect(try CLI.run(["synthesize", large, "--shape", shape, "--type", "F16"]).status == 0)
        let running = try Running(["quantize", large, folder + "/out.gguf", "IQ3_XXS", "--pure", "-t", "1"])
        try waitUntil("a temporary file") { try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }
        running.signal(signal)
        let result = try running.finish()
        #expect(result.status == 128 + signal)
        #expect(result.error == "error: interrupted\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        try FileManager.default.removeItem(atPath: large)
    }

    /// A text of some thousand tokens.
    private static func text() throws -> String {
        try Fixture.newFile("text.txt", (0..<600).map { "number \($0) of \($0 * 7 % 31)" }.joined(separator: ", "))
    }

    /// What `--json` prints about a calibration.
    private struct CalibrationReport: Decodable {
        let calibration: Calibration
        let tensors: [Tensor]

        struct Calibration: Decodable {
            let dataset: String
            let method: String
            let chunks: Int
            let tokens: Int
            let matrices: Int
            let secondOrderMatrices: Int
            let plannedMemory: Int
        }

        struct Tensor: Decodable {
            let name: String
            let calibration: String?
        }
    }

    @Test("A text to calibrate with: the file generates, and the report says what was done")
    func calibration() throws {
        let out = Fixture.newPath("out.gguf")
        let text = try Self.text()
        let options = ["--calibration", text, "--calibration-context", "32", "--calibration-chunks", "3"]
        let run = try CLI.run(["quantize", Self.source, out, "Q4_K", "--json"] + options)
        #expect(run.status == 0, "\(run.error)")
        let report = try run.json(CalibrationReport.self)
        #expect(text.hasSuffix(report.calibration.dataset) && !report.calibration.dataset.contains("/"))
        #expect(report.calibration.method == "gptq")
        #expect(report.calibration.chunks == 3 && report.calibration.tokens == 96)
        #expect(report.calibration.matrices == 15 && report.calibration.secondOrderMatrices == 15)
        #expect(report.calibration.plannedMemory > 36 << 20)
        #expect(report.tensors.first { $0.name == "token_embd.weight" }?.calibration == nil)
        #expect(report.tensors.first { $0.name == "blk.1.ffn_down.weight" }?.calibration == "gptq")
        // Fewer tokens than columns.
        #expect(run.errorLines.first?.hasPrefix("warning: 96 tokens to calibrate with are few") == true)
        #expect(try CLI.run(["-m", out, "-p", "a", "-n", "4", "--ignore-eos", "-q"]).status == 0)
        let dry = try CLI.run(["quantize", Self.source, out, "TQ2_0", "--dry-run"] + options)
        #expect(dry.output.contains("\ncalibration: 96 tokens of "))
        #expect(dry.output.contains("\ncalibration memory: "))
        #expect(dry.error.contains("weights of TQ2_0 are not rounded one by one"))
        let method = options + ["--calibration-method", "importance"]
        let weighed = try CLI.run(["quantize", Self.source, out, "Q4_0", "-v"] + method)
        #expect(weighed.error.contains("; importance, fed forward in 0 of 15 matrices\n"))
    }

    @Test("Texts and options that cannot be calibrated with are one line, and nothing is written")
    func badCalibration() throws {
        let folder = try Fixture.newFolder("calibration")
        let out = folder + "/out.gguf"
        let text = try Self.text()
        let short = try Fixture.newFile("short.txt", "a few words")
        let cases: [(options: [String], status: Int32, error: String)] = [
            (
                ["--calibration", short], 1,
                "bad option: calibration text (expected a chunk of 512 tokens or more, found "
            ),
            (["--calibration", "/no/such.txt"], 1, "cannot read text: /no/such.txt (No such file or directory)"),
            (["--calibration-method", "importance"], 64, "--calibration-method needs a text: --calibration FILE"),
            (["--calibration-chunks", "3"], 64, "--calibration-chunks needs a text: --calibration FILE"),
            (["--calibration", text, "--calibration-context", "3"], 64, "--calibration-context: expected 16 to 65536"),
            (["--calibration", text, "--calibration-chunks", "0"], 64, "--calibration-chunks: expected 1 to "),
            (["--calibration", text, "--calibration-method", "guess"], 64, "The value 'guess' is invalid"),
        ]
        for (options, status, error) in cases {
            let run = try CLI.run(["quantize", Self.source, out, "Q4_0"] + options)
            #expect(run.status == status)
            #expect(run.output.isEmpty)
            #expect(run.errorLines.first?.hasPrefix("error: \(error)") == true, "\(run.error)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test("The text is no place for the file, by whatever name", arguments: ["text.txt", "soft.txt", "hard.txt"])
    func calibrationOverText(name: String) throws {
        let folder = try Fixture.newFolder("over-text")
        let text = folder + "/text.txt"
        try FileManager.default.copyItem(atPath: try Self.text(), toPath: text)
        try FileManager.default.createSymbolicLink(atPath: folder + "/soft.txt", withDestinationPath: text)
        try FileManager.default.linkItem(atPath: text, toPath: folder + "/hard.txt")
        let before = try Data(contentsOf: URL(filePath: text))
        let out = folder + "/" + name
        let run = try CLI.run(["quantize", Self.source, out, "Q4_0", "--calibration", text])
        #expect(run.status == 1)
        #expect(run.errorLines.first == "error: output is the same file as the input: \(out)", "\(run.error)")
        #expect(try Data(contentsOf: URL(filePath: text)) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 3)
    }

    @Test("Weights that are quantised already may be calibrated with, and a line says what that means")
    func calibrationAgain() throws {
        let (first, second) = (Fixture.newPath("first.gguf"), Fixture.newPath("second.gguf"))
        #expect(try CLI.run(["quantize", Self.source, first, "Q8_0"]).status == 0)
        let options = ["--allow-requantize", "--calibration", try Self.text(), "--calibration-context", "128"]
        let run = try CLI.run(["quantize", first, second, "Q4_0"] + options)
        #expect(run.status == 0, "\(run.error)")
        #expect(run.error.contains("warning: calibrated with weights that are quantised already, such as "))
    }

    @Test("Ctrl-C while calibrating leaves nothing")
    func calibrationInterrupted() throws {
        let folder = try Fixture.newFolder("calibrating")
        let arguments = ["quantize", Self.source, folder + "/out.gguf", "Q4_K", "--pure", "-t", "1", "--calibration"]
        let long = try Fixture.newFile("long.txt", String(repeating: "the cat sat on the mat and ", count: 40_000))
        let running = try Running(arguments + [long, "--calibration-chunks", "100000"])
        try waitUntil("a temporary file") { try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }
        running.signal(SIGINT)
        let result = try running.finish()
        #expect(result.status == 130)
        #expect(result.error == "error: interrupted\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
}
