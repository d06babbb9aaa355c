import Foundation
import Testing

@Suite("The first minute: what the program does without a model, and without anything at all")
struct DemoTests {
    @Test("Without arguments it tells a story in both languages, translates, and says what to try next")
    func nothing() throws {
        let result = try CLI.run([])
        #expect(result.status == 0)
        #expect(result.output.contains("> Raconte une histoire"))
        #expect(result.output.contains("Il ") && result.output.contains("Once") || result.output.contains("There once"))
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
