import ArgumentParser
import Croissant
import DemonstrationModel
import GGUF

/// Shows in a few seconds what the program does: what it does where no argument is given.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells a story and translates a sentence with the model that is built in.",
        discussion:
            "The texts go to standard output, timings and what to try next to standard error. For programs there is generate --json."
    )

    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Seed of the story; -1 for a new one each time. (default: -1)", valueName: "n"),
        transform: seedValue)
    var seed: UInt64? = nil

    @Option(
        help: ArgumentHelp("Write the model to a file instead, for a command that needs one.", valueName: "file.gguf"),
        completion: .file())
    var save: String?

    @OptionGroup var output: OutputOptions

    /// Whom the story may be about, in the words of both languages that the model knows.
    private static let heroes = [
        "un renard curieux", "une souris courageuse", "un vieux hibou", "une tortue intelligente", "un ours triste",
        "une petite grenouille", "un écureuil timide", "un boulanger gentil", "une jeune sorcière", "un roi paresseux",
    ]
    private static let sentences = [
        ("Translate into French", "The small fox sleeps under the old bridge."),
        ("Translate into English", "Le boulanger a donné trois croissants à la reine."),
    ]

    func run() throws {
        let file = try GGUFFile.demonstration()
        guard let save else { return try show(file) }
        _ = try file.copy(to: save, metadata: file.metadata)
        if !output.quiet { Console.note("wrote \(save.escaped): the demonstration model") }
    }

    private func show(_ file: GGUFFile) throws {
        let model = try Model.load(file, RuntimeOptions(), output: output)
        guard let format = model.chatFormat else { throw ModelError.noTokenizer(path: model.file.path) }
        var sampling = SamplingParameters()
        sampling.temperature = 0.7
        sampling.seed = seed
        var random = SystemRandomNumberGenerator()
        let draw = seed ?? random.next()
        let hero = Self.heroes[Int(draw % UInt64(Self.heroes.count))]
        Interruption.setPolled(true)
        var tally = Tally()
        try answer("Raconte une histoire en français et en anglais avec \(hero).", model, format, sampling, &tally)
        for (task, sentence) in Self.sentences {
            try answer("\(task): \(sentence)", model, format, .greedy, &tally)
        }
        if !output.quiet { report(model, tally) }
    }

    /// What was done in all.
    private struct Tally {
        var tokens = 0
        var seconds = 0.0
    }

    private func answer(
        _ question: String, _ model: Model, _ format: ChatFormat, _ sampling: SamplingParameters, _ tally: inout Tally
    ) throws {
        try Console.writeLine("> \(question)\n")
        var generation = try Generator(try Session(model), prompt: format.prompt(question), sampling: sampling)
        while !Interruption.isRequested, let piece = generation.next() { try Console.writeForeign(piece) }
        try Console.writeLine("\n")
        try Interruption.check()
        tally.tokens += generation.tokens.count
        tally.seconds += generation.metrics.generationTime.seconds
    }

    private func report(_ model: Model, _ tally: Tally) {
        let speed = tally.seconds > 0 ? Double(tally.tokens) / tally.seconds : 0
        let peak = HostMemory.peakResident.map { "\(ByteCount($0)) of memory at most, " } ?? ""
        Console.note(
            """
            \(speed.formatted(places: 0)) tokens/s on \(model.threads) threads; \(peak)\(ByteCount(model.plan.byteCount)) planned.
            This was the built-in demonstration model (\(model.parameterCount.abbreviated) weights, a small world). Next:

              croissant-gguf generate --chat -p "Tell me a story about a brave mouse."
              croissant-gguf generate --chat -p "Traduis en anglais : Le hibou chante la nuit."
              croissant-gguf generate -m FILE.gguf -p "La capitale de la France est"   a model of yours
              croissant-gguf bench        tokens per second and memory of a model in CroissantLLM's shape
              croissant-gguf --help       everything else
            """)
    }
}
