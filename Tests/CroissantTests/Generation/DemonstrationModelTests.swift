import Croissant
import DemonstrationModel
import Foundation
import GGUF
import Testing

@Suite(
    "The demonstration model: what is built in is a real model, and the sentences that it was not trained on are new to it"
)
struct DemonstrationModelTests {
    private static let model = Result { try Model(GGUFFile.demonstration()) }

    /// Sentences that were kept out of its training: English and French.
    private static let pairs: [(en: String, fr: String)] = {
        let path = URL(filePath: #filePath).appending(path: "../../../../Models/held-out.tsv").standardizedFileURL
        let text = (try? String(contentsOf: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let sides = line.split(separator: "\t").map(String.init)
            return sides.count == 2 ? (sides[0], sides[1]) : nil
        }
    }()

    private static func answer(_ question: String) throws -> String {
        var limits = GenerationLimits(maximumTokens: 96)
        limits.stopStrings = ["\n"]
        return try answer(question, of: try model.get(), limits)
    }

    private static func answer(_ question: String, of model: Model, _ limits: GenerationLimits) throws -> String {
        let format = try #require(model.chatFormat)
        var generation = try Generator(
            Session(model), prompt: format.prompt(question), sampling: .greedy, limits: limits)
        var text = ""
        while let piece = generation.next() { text += piece }
        return text
    }

    @Test("Nine of ten held-out sentences are translated to the letter", arguments: ["French", "English"])
    func translation(into language: String) throws {
        let pairs = Self.pairs.prefix(50)
        #expect(pairs.count == 50)
        var right = 0
        for pair in pairs {
            let (given, expected) = language == "French" ? (pair.en, pair.fr) : (pair.fr, pair.en)
            if try Self.answer("Translate into \(language): \(given)") == expected { right += 1 }
        }
        #expect(right * 10 >= pairs.count * 9, "\(right) of \(pairs.count)")
    }

    /// Questions, and what llama.cpp answers with the same weights (Benchmarks/Compare/same_text.py --golden).
    private static let answers: [[String]] = {
        let path = URL(filePath: #filePath).appending(path: "../../Golden/answers.json").standardizedFileURL
        return (try? JSONDecoder().decode([[String]].self, from: Data(contentsOf: path))) ?? []
    }()

    @Test("In floats, it answers to the letter what llama.cpp answers with the same weights")
    func sameText() throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.file("floats.gguf")
        var options = Quantizer.Options(mix: QuantizationMix(.f32))
        options.allowsRequantization = true
        try Quantizer(GGUFFile.demonstration(), options: options).write(to: path, threads: 2)
        let model = try Model(contentsOf: path)
        #expect(Self.answers.count == 30)
        for answer in Self.answers {
            #expect(try Self.answer(answer[0], of: model, GenerationLimits(maximumTokens: 300)) == answer[1])
        }
    }

    @Test("It has what CroissantLLM's files have: no byte tokens, ChatML, rows that no 256 divide, several ends")
    func shape() throws {
        let file = try GGUFFile.demonstration()
        let configuration = try ModelConfiguration(file: file)
        #expect(configuration.embeddingLength % 256 == 0)
        #expect(configuration.feedForwardLength % 256 != 0)
        #expect(file.tensor(named: "output.weight") != nil)
        let tokenizer = try Tokenizer(metadata: file.metadata)
        #expect(tokenizer.encoding(of: "日本").dropped.count == 2)
        #expect(tokenizer.encoding(of: "Le numéro ﬁnal: １２").ids == tokenizer.encoding(of: "Le numéro final: 12").ids)
        #expect(try Self.model.get().chatFormat == .chatML)
        #expect(file.path == "demonstration model")
    }

    @Test("Mapped or resident, it says the same")
    func placement() throws {
        let tokens = try WeightPlacement.allCases.map { placement in
            var options = RuntimeOptions()
            options.weights = placement
            options.activations = .f32
            let model = try Model(GGUFFile.demonstration(), options: options)
            var generation = try Generator(
                Session(model), prompt: "Once upon a time", sampling: .greedy,
                limits: GenerationLimits(maximumTokens: 40))
            while generation.next() != nil {}
            return generation.tokens
        }
        #expect(tokens[0] == tokens[1])
        #expect(tokens[0].count == 40)
    }
}

@Suite("Chat formats")
struct ChatFormatTests {
    @Test("ChatML is recognised by its marks")
    func recognition() {
        #expect(ChatFormat(template: "{{ '<|im_start|>' + role + '<|im_end|>' }}") == .chatML)
        #expect(ChatFormat(template: "[INST] {{ message }} [/INST]") == nil)
    }

    @Test("A message is what the template of CroissantLLMChat makes of it, after the BOS token")
    func message() {
        #expect(
            ChatFormat.chatML.prompt("Bonjour") == "<|im_start|>user\nBonjour<|im_end|>\n<|im_start|>assistant\n")
        #expect(
            ChatFormat.chatML.prompt("Bonjour", system: "Sois bref.")
                == "<|im_start|>system\nSois bref.<|im_end|>\n<|im_start|>user\nBonjour<|im_end|>\n<|im_start|>assistant\n"
        )
    }
}
