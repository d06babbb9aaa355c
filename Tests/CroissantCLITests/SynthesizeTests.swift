import Foundation
import Testing

@Suite("synthesize: files that load, and are the same each time")
struct SynthesizeTests {
    /// Rows of whole blocks of every type.
    private static let shape = try? Fixture.newFile(
        "shape.json", Fixture.shape(layers: 1, embedding: 256, feedForward: 512))

    private func make(_ options: String...) throws -> String {
        let path = Fixture.newPath("made.gguf")
        let run = try CLI.run(["synthesize", path, "--shape", try #require(Self.shape)] + options)
        #expect(run.status == 0)
        #expect(run.output.isEmpty)
        #expect(run.error.hasPrefix("wrote \(path): "))
        return path
    }

    @Test("Every type that help offers is made, and generates")
    func types() throws {
        let help = try CLI.run(["synthesize", "--help"]).output.split { $0.isWhitespace }.joined(separator: " ")
        let list = try #require(help.firstMatch(of: /are quantised to: ([A-Z0-9_, ]+)\./)).1
        let types = list.split(separator: ", ").map(String.init)
        #expect(Set(types).isSuperset(of: ["F16", "Q4_0", "Q4_K_M", "Q2_K", "Q6_K", "MXFP4", "F64"]))
        for type in types {
            #if DEBUG
            // Searching the grids of the smallest types takes seconds where C is not optimised.
            if ["IQ1", "IQ2", "IQ3"].contains(type.prefix(3)) { continue }
            #endif
            let path = try make("--type", type.lowercased())
            let generation = try CLI.run(["-m", path, "-p", "a", "-n", "4", "--ignore-eos", "--json"])
            #expect(generation.status == 0)
            #expect(try generation.json(Generation.self).tokens.count == 4)
        }
    }

    @Test("A published type is a mix, unless one type is asked for")
    func mixes() throws {
        let mixed = try CLI.run(["inspect", try make("--type", "Q4_K_M")]).output
        for type in ["Q4_K", "Q6_K", "F32"] { #expect(mixed.contains("| \(type) ")) }
        #expect(mixed.contains("general.file_type = 15\n"))
        let pure = try CLI.run(["inspect", try make("--type", "Q4_K_M", "--pure")]).output
        #expect(pure.contains("| Q4_K ") && !pure.contains("| Q6_K "))
        let wrong = try CLI.run(["synthesize", Fixture.newPath("no.gguf"), "--type", "Q9_K"])
        #expect(wrong.status == 64)
        #expect(wrong.error.contains("'Q9_K' is not a type of files or tensors, such as Q4_K_M or F16"))
    }

    @Test("The same seed gives the same bytes with any number of threads, another seed others")
    func seeds() throws {
        func bytes(_ options: String...) throws -> Data {
            let path = Fixture.newPath("made.gguf")
            let shape = try #require(Self.shape)
            #expect(try CLI.run(["synthesize", path, "--shape", shape, "-q"] + options).error.isEmpty)
            return try Data(contentsOf: URL(filePath: path))
        }
        let first = try bytes("--seed", "3", "-t", "1")
        #expect(try bytes("--seed", "3", "-t", "2") == first)
        #expect(try bytes("--seed", "4", "-t", "1") != first)
    }

    @Test("An existing file is replaced")
    func replaces() throws {
        let path = try Fixture.newFile("old.gguf", "old")
        #expect(try CLI.run(["synthesize", path, "--shape", try #require(Self.shape)]).status == 0)
        #expect(try CLI.run(["inspect", path]).status == 0)
    }

    @Test(
        "A shape that makes no sense is refused, and leaves nothing",
        arguments: [
            ("hello", "not a model shape: FILE (expected a JSON object with a name and whole numbers)"),
            ("[]", "not a model shape: FILE (expected a JSON object with a name and whole numbers)"),
            (#"{"name": "a"}"#, "not a model shape: FILE (contextLength is missing)"),
            (#"{"name": 1}"#, "not a model shape: FILE (name has the wrong type)"),
            (
                Fixture.shape(embedding: 63),
                "bad value: heads (expected a divisor of half of embedding_length, 63, found 4)"
            ),
            (Fixture.shape(embedding: -1), "bad value: embedding_length (expected 1 to 65536, found -1)"),
            (Fixture.shape(vocabulary: 5), "bad value: vocabulary_size (expected 512 to 1048576, found 5)"),
            (Fixture.shape(layers: .max), "bad value: layers (expected 1 to 1024, found 9223372036854775807)"),
        ])
    func badShape(content: String, message: String) throws {
        let folder = try Fixture.newFolder("bad")
        let shape = try Fixture.newFile("bad.json", content)
        let run = try CLI.run(["synthesize", folder + "/out.gguf", "--shape", shape])
        #expect(run.status == 1)
        #expect(run.error == "error: \(message.replacing("FILE", with: shape))\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
}
