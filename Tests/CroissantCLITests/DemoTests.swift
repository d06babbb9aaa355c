import Foundation
import Testing

@Suite("The first minute: what the program does without a model, and without anything at all")
struct DemoTests {
    @Test("Without arguments it tells a story in both languages, translates, and says what to try next")
    func nothing() throws {
        let result = try CLI.run([])
        #expect(result.status == 0)
        #expect(result.output.contains("> Raconte une histoire"))
        let beginsInFrench = result.output.contains(/\nIl (était une fois|y avait autrefois)/)
        let beginsInEnglish = result.output.contains(/\n(Once upon a time|There once was)/)
        #expect(beginsInFrench && beginsInEnglish, "\(result.output)")
        #expect(result.output.contains("\nLe petit renard dort sous le vieux pont.\n"))
        #expect(result.error.contains("tokens/s"))
        #expect(result.error.contains("croissant-gguf generate --chat"))
    }

    @Test("A seed gives the same story again, and --quiet nothing beside it")
    func seed() throws {
        let first = try CLI.run(["demo", "--seed", "7", "-q"])
        #expect(first.error.isEmpty)
        #expect(first.output == (try CLI.run(["demo", "--seed", "7", "-q"])).output)
        #expect(first.output != (try CLI.run(["demo", "--seed", "8", "-q"])).output)
    }

    @Test("How much is said is no reason to ask for a prompt")
    func bare() throws {
        let result = try CLI.run(["-q"])
        #expect(result.status == 0 && result.output.hasPrefix("> Raconte") && result.error.isEmpty)
    }

    @Test("--save writes it for the commands that need a file")
    func save() throws {
        let path = Fixture.newPath("saved.gguf")
        let saved = try CLI.run(["demo", "--save", path])
        #expect(saved.status == 0 && saved.output.isEmpty)
        #expect(try CLI.run(["inspect", path]).output.contains("Q6_K"))
        #expect(try CLI.run(["check", path]).status == 0)
        #expect(try CLI.run(["demo", "--save", "/nowhere/a.gguf"]).status == 1)
    }

    @Test("A question without --chat, to which the model says nothing, gets a hint")
    func hint() throws {
        let question = ["-p", "Translate into French: The owl sings at night.", "--temp", "0"]
        let silent = try CLI.run(question)
        #expect(silent.output == "\n" && silent.error.contains("hint: this model answers messages: --chat"))
        #expect(!(try CLI.run(question + ["--chat"])).error.contains("hint:"))
    }

    @Test("The model's advice on sampling is taken where the user gives none, and -v says so")
    func advice() throws {
        let saved = Fixture.newPath("model.gguf")
        let advised = Fixture.newPath("advised.gguf")
        #expect(try CLI.run(["demo", "--save", saved, "-q"]).status == 0)
        let edit = ["edit", saved, advised, "--set", "general.sampling.temp:f32=0.25"]
        #expect(try CLI.run(edit + ["--set", "general.sampling.top_k:i32=7"]).status == 0)
        func sampling(_ options: [String]) throws -> String {
            try CLI.run(["-p", "Il", "-n", "1", "-v"] + options).error
        }
        #expect(try sampling(["-m", advised]).contains("temperature 0.25, top-k 7, top-p 0.95"))
        #expect(try sampling(["-m", advised]).contains("the model's advice"))
        #expect(try sampling(["-m", advised, "--top-k", "9"]).contains("temperature 0.25, top-k 9"))
        #expect(try sampling([]).contains("sampling: temperature 0.8, top-k 40"))
    }

    @Test("A prompt that is piped in is completed, though no argument is given")
    func piped() throws {
        let result = try CLI.run([], stdin: "Il était une fois")
        #expect(result.status == 0)
        #expect(!result.output.contains("> "))
        #expect(result.error.contains("prompt 5 tokens"))
    }

    @Test("It is found from any folder")
    func folder() throws {
        let result = try CLI.shell(#"cd / && "$BIN" generate --chat --temp 0 -q -p "Traduis en anglais : Il neige.""#)
        #expect(result.output == "It is snowing.\n")
    }

    @Test(
        "Commands that look at a model take it where none is named",
        arguments: [["inspect"], ["check"], ["tokenize", "Bonjour"], ["detokenize", "1"], ["-p", "Il", "-n", "2"]])
    func others(arguments: [String]) throws {
        #expect(try CLI.run(arguments).status == 0)
    }

    @Test("--chat asks for a format that is known, and for text")
    func chat() throws {
        let unknown = try CLI.run(["-m", Fixture.tiny, "--chat", "-p", "a"])
        #expect(unknown.status == 1)
        #expect(unknown.error.hasPrefix("error: no known chat template: tokenizer.chat_template"))
        #expect(try CLI.run(["--chat", "--ids", "1"]).status == 64)
        #expect(try CLI.run(["--system", "a", "-p", "b"]).status == 64)
    }

    @Test("A line feed that a pipe puts at the end is no part of the message")
    func lineFeed() throws {
        let arguments = ["--chat", "--temp", "0", "-q"]
        let piped = try CLI.run(arguments, stdin: "Translate into French: It is snowing.\n")
        #expect(piped.output == "Il neige.\n")
    }
}
