import CroissantCLI
import Foundation
import Testing

@Suite("Texts are read up to a limit, whatever they come from")
struct TextInputTests {
    @Test("A text as long as the limit is read, and one that is longer is not")
    func limit() throws {
        let path = try Fixture.newFile("text.txt", "abc\u{e9}")
        #expect(try TextInput.file(path, limit: 5) == "abc\u{e9}")
        let failure = try #require(throws: Failure.self) { try TextInput.file(path, limit: 4) }
        #expect(failure.message == "text too long: \(path) (expected at most 4 B, found more)")
    }

    @Test("A device without an end is given up at the limit")
    func endless() throws {
        let failure = try #require(throws: Failure.self) { try TextInput.file("/dev/zero", limit: 3 << 20) }
        #expect(failure.message == "text too long: /dev/zero (expected at most 3.0 MiB, found more)")
        #expect(failure.status == 1)
    }

    @Test("Ctrl-C ends the reading of a text")
    func interrupted() throws {
        let result = try CLI.shell(
            """
            mkfifo "$FIFO"; exec 3<>"$FIFO"; echo words >&3
            "$BIN" quantize "$MODEL" "$OUT" Q8_0 --calibration "$FIFO" & pid=$!
            sleep 1; kill -TERM $pid; wait $pid
            """,
            environment: [
                "FIFO": Fixture.newPath("fifo"), "MODEL": Fixture.tiny, "OUT": Fixture.newPath("out.gguf"),
            ])
        #expect(result.status == 143)
    }
}
