import Foundation
import Testing

@Suite("split, merge, edit: the same weights in other files")
struct SplitTests {
    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

    @Test("A split model runs as it is, and merges into the same file")
    func roundTrip() throws {
        let folder = try Fixture.newFolder("split")
        let split = try CLI.run(["split", Fixture.tiny, folder + "/part", "--max-size", "50KiB", "--max-tensors", "4"])
        #expect(split.status == 0)
        #expect(split.output.isEmpty)
        let match = try #require(split.error.wholeMatch(of: /wrote (.*): the first of (\d+) parts\n/))
        let first = String(match.1)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count == Int(match.2))
        #expect(folder + "/" + names[0] == first)
        for name in names { #expect(try bytes(folder + "/" + name).count <= 50 << 10) }
        let generate = ["-p", "a", "-n", "8", "--ignore-eos", "--temp", "0", "-q"]
        #expect(try CLI.run(["-m", first] + generate).output == CLI.run(["-m", Fixture.tiny] + generate).output)

        let merged = folder + "/merged.gguf"
        let merge = try CLI.run(["merge", first, merged])
        #expect(merge.status == 0)
        #expect(merge.error.hasPrefix("wrote \(merged): "))
        #expect(try bytes(merged) == bytes(Fixture.tiny))

        let second = try CLI.run(["merge", folder + "/" + names[1], merged])
        #expect(second.status == 1)
        #expect(second.error.contains("not the first shard: "))
        #expect(second.error.hasSuffix("hint: open \(first)\n"))
        try FileManager.default.removeItem(atPath: folder + "/" + names[2])
        #expect(try CLI.run(["merge", first, merged]).error.hasPrefix("error: shard is missing: "))
        #expect(try bytes(merged) == bytes(Fixture.tiny))
    }

    @Test("A text that is not UTF-8, which a copy cannot keep, is warned of")
    func repairedText() throws {
        let folder = try Fixture.newFolder("split")
        let named = folder + "/named.gguf"
        #expect(try CLI.run(["edit", Fixture.tiny, named, "--set", "general.note:str=caf#", "-q"]).status == 0)
        var contents = try bytes(named)
        let text = try #require(contents.range(of: Data("caf#".utf8)))
        contents[text.upperBound - 1] = 0xE9
        let latin = folder + "/latin.gguf"
        try contents.write(to: URL(filePath: latin))

        let warning = "warning: not UTF-8: \"general.note\"; U+FFFD stands for what cannot be read\n"
        let copy = folder + "/copy.gguf"
        let edit = ["edit", latin, copy, "--set", "general.name=x"]
        #expect(try CLI.run(edit).error.hasPrefix(warning))
        #expect(try CLI.run(edit + ["--remove", "general.note"]).error.hasPrefix("wrote "))
        #expect(try CLI.run(edit + ["-q"]).error.isEmpty)
        let split = try CLI.run(["split", latin, folder + "/part", "--max-tensors", "9"])
        let first = try #require(split.error.firstMatch(of: /wrote (.*): the first of/)).1
        #expect(split.error.hasPrefix(warning))
        // The parts hold what was read, and nothing is left to warn of.
        #expect(try CLI.run(["merge", String(first), copy]).error.hasPrefix("wrote "))
        let quantize = ["quantize", latin, copy, "Q8_0", "--dry-run", "--allow-requantize"]
        #expect(try CLI.run(quantize).error.contains(warning))
    }

    @Test("What cannot be split or merged is said in one line")
    func refusals() throws {
        let folder = try Fixture.newFolder("split")
        let small = try CLI.run(["split", Fixture.tiny, folder + "/part", "--max-size", "1000"])
        #expect(small.status == 1)
        #expect(small.error.hasPrefix("error: shards are too small: the metadata (expected at least "))
        #expect(small.error.hasSuffix("hint: make the shards larger\n"))
        for (prefix, found) in [("", "an empty prefix"), (folder + "/", "a folder")] {
            let unnamed = try CLI.run(["split", Fixture.tiny, prefix, "--max-tensors", "3"])
            #expect(unnamed.status == 1)
            #expect(unnamed.error.contains("(expected the path of a file to write, found \(found))\n"))
        }
        // A part's number makes it too long, which is seen before anything is written.
        let long = folder + "/" + String(repeating: "a", count: 240)
        let named = try CLI.run(["split", Fixture.tiny, long, "--max-tensors", "3"])
        #expect(named.status == 1)
        #expect(named.error.hasPrefix("error: cannot create file: \(long)-00001-of-"))
        #expect(named.error.hasSuffix(".gguf (File name too long)\n"))
        let whole = try CLI.run(["merge", Fixture.tiny, folder + "/merged.gguf"])
        #expect(whole.status == 1)
        #expect(
            whole.error
                == "error: not a part of a split file: \(Fixture.tiny) (expected split.count in its metadata, found nothing)\n"
        )
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test(
        "A new key's type is proposed by its value",
        arguments: [
            ("1", "u32=1"), ("-1", "i32=-1"), ("4294967296", "u64=4294967296"), ("0.5", "f32=0.5"),
            ("1e40", "f64=1e40"), ("-inf", "f32=-inf"),
            ("true", "bool=true"), ("[1, 2]", "[i32]=[1, 2]"), ("[0.5]", "[f32]=[0.5]"), ("[\"a\"]", "[str]=[\"a\"]"),
            ("a", "str=a"), (String(repeating: "a", count: 41), "str=VALUE"),
        ])
    func proposedTypes(value: String, proposal: String) throws {
        let run = try CLI.run(["edit", Fixture.tiny, Fixture.newPath("x"), "--set", "no.such=\(value)"])
        #expect(run.status == 1)
        #expect(run.errorLines.last?.hasPrefix("hint: a new one needs a type: --set no.such:\(proposal) (u8, ") == true)
    }

    @Test("More parts than files may be open are read; what is wrong with one names it; what it took is told")
    func manyParts() throws {
        let folder = try Fixture.newFolder("split")
        let split = try CLI.run(["split", Fixture.tiny, folder + "/part", "--max-tensors", "1", "-v"])
        #expect(split.errorLines.last?.wholeMatch(of: /in .* s, .* a second; peak .*/) != nil)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count > 16)
        let environment = ["FIRST": folder + "/" + names[0], "OUT": folder + "/merged.gguf"]
        let merge = try CLI.shell(#"ulimit -n 16; exec "$BIN" merge "$FIRST" "$OUT" -v"#, environment: environment)
        #expect(merge.status == 0, "\(merge.error)")
        #expect(merge.errorLines.last?.wholeMatch(of: /in .* s, .* a second; peak .*/) != nil)
        let run = try CLI.shell(
            #"ulimit -n 16; exec "$BIN" -m "$FIRST" --weights resident -p a -n 1"#, environment: environment)
        #expect(run.status == 0, "\(run.error)")

        let third = URL(filePath: folder + "/" + names[2])
        try Data(contentsOf: third).dropLast(64).write(to: third)
        let cut = try CLI.run(["merge", folder + "/" + names[0], folder + "/merged.gguf"])
        #expect(cut.status == 1)
        #expect(cut.errorLines.first?.hasSuffix(", in shard \(folder)/\(names[2])") == true, "\(cut.error)")
        #expect(cut.errorLines.last == "hint: the file may be incomplete: download it again")
    }

    private func metadata(_ path: String, _ key: String) throws -> String {
        try CLI.run(["inspect", path, "--metadata", key]).output
    }

    @Test("Values keep their type, new keys are given one, removed ones are gone")
    func edit() throws {
        let out = Fixture.newPath("edited.gguf")
        let run = try CLI.run([
            "edit", Fixture.tiny, out, "--set", "general.name=a = b: c", "--set", "llama.rope.freq_base=5e5",
            "--set", "a.u8:u8=255", "--set", "a.infinite:f32=inf", "--set", "a.bool:bool=true", "--set",
            "a.strings:[str]=[\"é\", \"\"]",
            "--set", "a.floats:[f32]=[0.5, -1]", "--set", "a.long:uint64=18446744073709551615",
            "--remove", "general.description", "-v",
        ])
        #expect(run.status == 0)
        #expect(run.errorLines.first == "wrote \(out): 9 keys changed")
        #expect(run.errorLines.last?.wholeMatch(of: /in .* s, .* a second; peak .*/) != nil)
        #expect(try metadata(out, "general.name") == "a = b: c\n")
        #expect(try metadata(out, "llama.rope.freq_base") == "500000.0\n")
        #expect(try metadata(out, "a.u8") == "255\n")
        #expect(try metadata(out, "a.infinite") == "inf\n")
        #expect(try metadata(out, "a.bool") == "true\n")
        #expect(try metadata(out, "a.strings") == "[é, ]\n")
        #expect(try metadata(out, "a.floats") == "[0.5, -1.0]\n")
        #expect(try metadata(out, "a.long") == "18446744073709551615\n")
        #expect(try CLI.run(["inspect", out, "--metadata", "general.description"]).status == 1)
        #expect(try CLI.run(["-m", out, "-p", "a", "-n", "2", "--ignore-eos"]).status == 0)
    }

    @Test(
        "Edits that cannot be are refused in one line",
        arguments: [
            (["--set", "no.such=1"], "no such key: no.such"),
            (["--set", "llama.block_count=two"], "bad value: llama.block_count (expected uint32, found \"two\")"),
            (["--set", "a:u8=256"], "bad value: a (expected uint8, found \"256\")"),
            (["--set", "a:f32=1e40"], "bad value: a (expected float32, found \"1e40\")"),
            (["--set", "a:f32=-3.5e38"], "bad value: a (expected float32, found \"-3.5e38\")"),
            (["--set", "a:f64=1e400"], "bad value: a (expected float64, found \"1e400\")"),
            (
                ["--set", "llama.rope.freq_base=1e39"],
                "bad value: llama.rope.freq_base (expected float32, found \"1e39\")"
            ),
            (["--set", "a:[i8]=1,2"], "bad value: a (expected a JSON array of int8, found \"1,2\")"),
            (
                ["--set", "a:u8=" + String(repeating: "9", count: 1000)],
                "bad value: a (expected uint8, found \"\(String(repeating: "9", count: 80))…\")"
            ),
            (["--set", "general.name:text=a"], "unknown type: \"text\" of key general.name (expected one of u8, i8, "),
            (["--set", "llama.block_count=3"], "missing tensor: blk.2.attn_norm.weight"),
            (["--set", "general.architecture=none"], "unknown architecture: general.architecture"),
            (["--set", "general.alignment:u32=3"], "invalid alignment: general.alignment"),
            (["--set", "split.count:u16=2"], "invalid name: \"split.count\""),
            (["--remove", "no.such"], "metadata key is missing: no.such"),
            (["--remove", "llama.block_count"], "bad value: llama.block_count (expected a number, found nothing)"),
        ])
    func refusedEdits(options: [String], error: String) throws {
        let out = Fixture.newPath("refused.gguf")
        let run = try CLI.run(["edit", Fixture.tiny, out] + options)
        #expect(run.status == 1)
        #expect(run.errorLines.first?.hasPrefix("error: \(error)") == true, "\(run.error)")
        #expect(run.errorLines.count <= 2)
        #expect(!FileManager.default.fileExists(atPath: out))
    }
}
