import ArgumentParser
import Croissant
import Foundation

/// A shape as `--shape` takes it: by name, or from a JSON file.
struct ShapeArgument: ExpressibleByArgument {
    /// What was given.
    let text: String

    /// CroissantLLM's.
    static let croissant = ShapeArgument(text: "croissant")

    /// The names of the shapes that need no file.
    static var names: String { ModelShape.named.keys.sorted().joined(separator: ", ") }

    /// What a file looks like, for the help of commands.
    static let fileHelp = """
        A FILE.json for --shape looks like this:
        {"name": "tiny", "contextLength": 512,
         "embeddingLength": 256, "layers": 2,
         "feedForwardLength": 704, "heads": 4,
         "keyValueHeads": 4, "vocabularySize": 512}
        """

    private init(text: String) { self.text = text }

    /// Takes anything: ``validate()`` says what is wrong with it.
    init?(argument: String) { text = argument }

    var defaultValueDescription: String { text }

    /// The names are few, and the default.
    static var defaultCompletionKind: CompletionKind { .file(extensions: ["json"]) }

    /// Refuses what is neither a name nor a JSON file.
    func validate() throws {
        if ModelShape.named[text] == nil && !text.hasSuffix(".json") {
            throw ValidationError("'\(text)' is not a shape: expected \(Self.names) or a FILE.json")
        }
    }

    /// The file that describes it; nil for a name.
    var file: String? { ModelShape.named[text] == nil ? text : nil }

    /// The shape.
    func shape() throws -> ModelShape {
        if let named = ModelShape.named[text] { return named }
        let json = try TextInput.file(text)
        do {
            return try JSONDecoder().decode(ModelShape.self, from: Data(json.utf8))
        } catch {
            let problem = DecodingProblem.describe(error) ?? "expected a JSON object with a name and whole numbers"
            throw Failure("not a model shape: \(text) (\(problem))")
        }
    }
}
