/// What is done with a file that does not say how its model's texts become tokens.
package enum TokenizerRepair: String, Sendable, CaseIterable {
    /// Scores that are all the same, or none, and no merges: tokens merge in the order of their ids, in which training
    /// made them.
    case mergeOrder
    /// CroissantLLM's special tokens, and no word about how its texts are prepared: as its authors' tokenizer does it.
    case croissantPreparation

    /// For a line of text.
    package var description: String {
        switch self {
        case .mergeOrder: "tokens merge in the order of their ids"
        case .croissantPreparation:
            "text is prepared as CroissantLLM's (NFKC, digits one by one, what has no token is left out)"
        }
    }
}

extension Vocabulary {
    /// CroissantLLM's special tokens, in their places.
    var hasCroissantTokens: Bool {
        func isToken(_ text: String, at id: Int32) -> Bool {
            contains(id) && string(of: id).utf8.elementsEqual(text.utf8)
        }
        return isToken("<pad>", at: 3) && isToken("<extra_id_0>", at: 4) && isToken("<extra_id_99>", at: 103)
    }
}
