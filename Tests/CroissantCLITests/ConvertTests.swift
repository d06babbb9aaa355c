import Foundation
import Testing

@Suite("convert: a checkpoint becomes a file that generates")
struct ConvertTests {
    @Test(
        "The result is named after the folder, says its type, and generates",
        arguments: ["F32", "F16", "Q8_0", "Q4_K_M"])
    func converts(type: String) throws {
        let folder = try TinyCheckpoint.make()
        let out = Fixture.newPath("out.gguf")
        let run = try CLI.run(["convert", folder + "/", out, "--type", type.lowercased(), "-t", "2"])
        #expect(run.status == 0 && run.output.isEmpty)
        #expect(run.error.hasPrefix("wrote \(out): ") && run.error.contains(" of \(type) weights, "))
        let generation = try CLI.run(["-m", out, "-p", "ab", "-n", "4", "--ignore-eos", "--json"])
        #expect(generation.status == 0, "\(generation.error)")
        let shown = try CLI.run(["inspect", out]).output
        let name = try #require(folder.split(separator: "/").last)
        #expect(shown.contains("general.name = \"\(name)\"\n"))
        #expect(try CLI.run(["inspect", out, "--metadata", "tokenizer.chat_template"]).output == "T\n")
        #expect(try CLI.run(["tokenize", "-m", out, "a b", "--ids"]).output == "3 4 3 5\n")
        #expect(try CLI.run(["check", out]).status == 0)
    }

    @Test("Without a type the checkpoint's own is kept; quiet says nothing; a name can be given")
    func ownType() throws {
        let out = Fixture.newPath("out.gguf")
        let run = try CLI.run(["convert", try TinyCheckpoint.make(), out, "-q", "--name", "My model"])
        #expect(run.status == 0 && run.error.isEmpty)
        let shown = try CLI.run(["inspect", out]).output
        #expect(shown.contains("general.file_type = 0\n") && shown.contains("general.name = \"My model\""))
    }

    @Test("A dry run lists what would be written, and writes nothing")
    func dryRun() throws {
        let folder = try TinyCheckpoint.make()
        let out = folder + "/out.gguf"
        let run = try CLI.run(["convert", folder, out, "--type", "Q8_0", "--dry-run"])
        #expect(run.status == 0 && run.error.isEmpty)
        let row = /\| blk\.0\.ffn_down\.weight *\| 64 x 32 *\| F32 *\| Q8_0 *\| *2\.1 KiB \|/
        #expect(run.output.contains(row), "\(run.output)")
        let sum = /\n11 tensors, \d+\.\d+ K weights: 11\.0 KiB of Q8_0 weights, \d+\.\d\d bits each\n$/
        #expect(run.output.contains(sum), "\(run.output)")
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    @Test("What is wrong is one line, and nothing is left behind")
    func problems() throws {
        func error(_ folder: String, _ options: String...) throws -> String {
            let target = try Fixture.newFolder("target")
            let run = try CLI.run(["convert", folder, target + "/out.gguf"] + options)
            #expect(run.status == 1 && run.output.isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: target).isEmpty)
            return run.error.replacing(folder, with: "FOLDER")
        }
        let empty = try Fixture.newFolder("empty")
        #expect(try error(empty) == "error: missing file: FOLDER (expected config.json, found none)\n")
        #expect(
            try error("/no/such/folder")
                == "error: not a folder: FOLDER (expected one with a config.json, found nothing)\n")
        #expect(
            try error(Fixture.tiny)
                == """
                error: not a folder: FOLDER (expected one with a config.json, found a file)
                hint: name the folder that the files of the checkpoint are in

                """)
        #expect(
            try error(try TinyCheckpoint.make(config: ["architectures": ["MambaForCausalLM"]]))
                == "error: bad value: FOLDER/config.json, architectures[0] (expected one of LlamaForCausalLM, "
                + "MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, found \"MambaForCausalLM\")\n")
        let damaged = try TinyCheckpoint.make { name, values in
            if name.hasSuffix("up_proj") { values[70] = .infinity }
        }
        #expect(
            try error(damaged) == "error: bad weight: model.layers.0.mlp.up_proj.weight[70] (expected a finite number, "
                + "found inf)\n")
    }

    @Test("No file of the checkpoint is overwritten, whether it is read or not, by whatever name")
    func outputIsInput() throws {
        let folder = try TinyCheckpoint.make()
        let manager = FileManager.default
        let (hard, soft) = (folder + "/hard.gguf", folder + "/soft.gguf")
        // No index names this one.
        try manager.copyItem(atPath: folder + "/model.safetensors", toPath: folder + "/other.safetensors")
        try manager.linkItem(atPath: folder + "/other.safetensors", toPath: hard)
        try manager.createSymbolicLink(atPath: soft, withDestinationPath: folder + "/other.safetensors")
        try Data("a".utf8).write(to: URL(filePath: folder + "/pytorch_model.bin"))
        let names = [
            "model.safetensors", "other.safetensors", "hard.gguf", "soft.gguf", "config.json", "pytorch_model.bin",
        ]
        let before = try manager.contentsOfDirectory(atPath: folder).sorted()
        for name in names {
            let run = try CLI.run(["convert", folder + "/", folder + "/./" + name])
            #expect(run.status == 1)
            #expect(
                run.error == """
                    error: output is the same file as the input: \(folder)/./\(name)
                    hint: choose another output

                    """)
        }
        #expect(try manager.contentsOfDirectory(atPath: folder).sorted() == before)
        #expect(try CLI.run(["convert", folder, folder + "/out.gguf", "-q"]).status == 0)
    }

    private struct Report: Decodable {
        let isDryRun: Bool
        let type: String
        let bytesAfter: Int
        let seconds: Double?
        let tensors: [Tensor]

        struct Tensor: Decodable {
            let name: String
            let checkpointName: String?
            let typeBefore: String?
            let typeAfter: String
        }
    }

    @Test("A document about all tensors, and what the work took")
    func report() throws {
        let folder = try TinyCheckpoint.make()
        let out = Fixture.newPath("out.gguf")
        let dry = try CLI.run(["convert", folder, out, "--type", "Q8_0", "--dry-run", "--json"])
        #expect(dry.status == 0 && dry.error.isEmpty)
        let report = try dry.json(Report.self)
        #expect(report.isDryRun && report.seconds == nil && report.type == "Q8_0" && report.tensors.count == 11)
        let up = try #require(report.tensors.first { $0.name == "blk.0.ffn_up.weight" })
        #expect(up.checkpointName == "model.layers.0.mlp.up_proj.weight")
        #expect(up.typeBefore == "F32" && up.typeAfter == "Q8_0")
        #expect(!FileManager.default.fileExists(atPath: out))
        let run = try CLI.run(["convert", folder, out, "--json", "-v"])
        #expect(try !run.json(Report.self).isDryRun && run.json(Report.self).seconds != nil)
        #expect(run.errorLines.last?.wholeMatch(of: /in .* s, .* a second; peak .*/) != nil)
    }

    @Test("Wrong usage")
    func usage() throws {
        #expect(try CLI.run(["convert", "a"]).status == 64)
        #expect(try CLI.run(["convert", "a", "b", "--type", "Q9"]).status == 64)
        #expect(try CLI.run(["convert", "a", "b", "--pure"]).status == 64)
        #expect(try CLI.run(["convert", "a", "b", "-t", "0"]).status == 64)
    }
}
