internal import GGUF

/// What files that people made of CroissantLLM, or of models like it, do to those who use them: each thing is looked for
/// by what can be seen of it, in whatever model, with what this program does about it.
struct CommunityFile {
    let file: GGUFFile
    /// nil where it cannot be read.
    let configuration: ModelConfiguration?
    /// nil where there is none.
    let tokenizer: Tokenizer?

    typealias Finding = ModelCheck.Finding

    /// Everything that was found.
    var findings: [Finding] {
        [mixedTypes, byteTokens, mergeOrder, normalization, endOfGeneration, contextLength].compactMap { $0 }
    }

    // MARK: Tensors

    /// Rows of the feed-forward network that hold no whole blocks of 256 (CroissantLLM: 5504 = 21.5 × 256): quantisers
    /// replace the type of the recipe by one with blocks of 32.
    private var mixedTypes: Finding? {
        guard let configuration, configuration.feedForwardLength % Self.superBlock != 0 else { return nil }
        let length = configuration.feedForwardLength
        let matrices = Dictionary(grouping: file.tensors.filter { $0.dimensions.count == 2 }, by: \.type)
        // The type of most weights is that of the recipe.
        let sizes = matrices.mapValues { $0.reduce(0) { $0 + $1.elementCount } }
        guard let recipe = sizes.max(by: { ($0.value, $0.key.name) < ($1.value, $1.key.name) })?.key,
            recipe.blockSize == Self.superBlock
        else { return nil }
        let replaced = matrices.mapValues { $0.count { $0.columns == length } }.filter { $0.value > 0 }
        let counts = replaced.map { "\($0.value) \($0.key.name)" }.sorted().joined(separator: ", ")
        guard !counts.isEmpty else { return nil }
        return Finding(
            .note, .mixedTypes, "\(configuration.architectureName).feed_forward_length",
            "mixed types: rows of \(length) hold no whole blocks of \(Self.superBlock), so that in place of "
                + "\(recipe.name) there are \(counts)",
            remedy: "none is needed here; for programs without these types, quantise all of it as Q8_0 or Q4_0")
    }

    private static let superBlock = 256

    // MARK: Vocabulary

    /// Whether tokens merge by scores.
    private var mergesByScore: Bool { file.metadata["tokenizer.ggml.model"]?.asString == "llama" }

    /// A vocabulary without all byte tokens: characters outside it have no tokens to fall back on.
    private var byteTokens: Finding? {
        guard let tokenizer, mergesByScore else { return nil }
        let count = (0..<Int32(tokenizer.vocabularySize)).count { tokenizer.kind(of: $0) == .byte }
        guard count < 256 else { return nil }
        let writesUnknown =
            tokenizer.unknown.flatMap(tokenizer.kind) == .unknown && !tokenizer.repairs.contains(.croissantPreparation)
        return Finding(
            .warning, .byteTokens, "tokenizer.ggml.tokens",
            "\(count == 0 ? "no" : "only \(count)") byte tokens: characters outside the vocabulary "
                + (writesUnknown ? "become the unknown token" : "are left out"),
            remedy: "replace such characters in the text; 'tokenize\(writesUnknown ? "' shows" : " --json' lists") them"
        )
    }

    /// Scores that are all the same: no order of merging can be read from them.
    private var mergeOrder: Finding? {
        guard let tokenizer, tokenizer.repairs.contains(.mergeOrder) else { return nil }
        let normal = (0..<Int32(tokenizer.vocabularySize)).filter { tokenizer.kind(of: $0) == .normal }
        guard normal.count > 1 else { return nil }
        let key = "tokenizer.ggml.scores"
        let problem =
            file.metadata[key]?.asFloats.map { "every token has the score \($0[Int(normal[0])])" }
            ?? "there are no scores"
        return Finding(
            .warning, .mergeOrder, key,
            "merge order lost: \(problem); here tokens merge in the order of their ids, elsewhere differently",
            remedy: "none is needed here; for other programs, convert the model again with scores by merge order")
    }

    /// CroissantLLM's vocabulary, by its special tokens: its tokenizer normalises text to NFKC, which no key says.
    private var normalization: Finding? {
        guard let tokenizer, tokenizer.repairs.contains(.croissantPreparation) else { return nil }
        return Finding(
            .note, .normalization, "tokenizer.ggml.tokens",
            "no key says how text is prepared; here it is NFKC with digits one by one, as CroissantLLM was trained",
            remedy: "none is needed here; for other programs, normalise the text to NFKC first")
    }

    /// A chat model's end of turn beside an end of text: which of them the file calls EOS is a matter of luck.
    private var endOfGeneration: Finding? {
        let text = "<|im_end|>"
        guard let tokenizer, let turn = tokenizer.id(of: text), tokenizer.eos != turn else { return nil }
        let eos = tokenizer.eos.map { "EOS is \($0)" } ?? "there is no EOS"
        let key = "tokenizer.ggml.eot_token_id"
        guard tokenizer.endOfGeneration.contains(turn) else {
            return Finding(
                .warning, .endOfGeneration, key,
                "answers go on after their end: \(text) is token \(turn), an ordinary one, and \(eos)",
                remedy: "set \(key) to \(turn), or give --stop '\(text)'")
        }
        guard file.metadata[key]?.asInt != Int(turn) else { return nil }
        return Finding(
            .note, .endOfGeneration, key,
            "two ends: \(eos), and \(text) is token \(turn); both end an answer here",
            remedy: "none is needed here; for other programs, set \(key) to \(turn)")
    }

    // MARK: Context

    /// CroissantLLM was trained with 2048 positions, and nothing extends them.
    private var contextLength: Finding? {
        guard let configuration else { return nil }
        let key = "\(configuration.architectureName).context_length"
        let length = configuration.contextLength
        // A smaller model with its tokenizer may have been trained with less.
        let isLong = tokenizer?.hasCroissantTokens == true && length >= Self.croissantContext
        guard configuration.isCroissant || isLong else { return nil }
        guard length != Self.croissantContext else {
            return Finding(
                .note, .contextLength, key,
                "a context of \(length) tokens: longer texts are refused, not cut",
                remedy: "'tokenize' says how many tokens a text has")
        }
        return Finding(
            .warning, .contextLength, key,
            "a context of \(length) tokens: CroissantLLM was trained with \(Self.croissantContext)",
            remedy: "run it with -c \(Self.croissantContext)")
    }

    private static let croissantContext = 2048
}
