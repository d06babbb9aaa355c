import GGUF

/// A `llama` vocabulary that encodes any text, made from rules instead of training data.
///
/// It begins like CroissantLLM's (special tokens in the same places), has a token for every byte, for the characters of
/// French and English, for frequent words of both with all their beginnings, and then for combinations of letters until
/// it is full. Each longer token is a shorter one and a character, so that merging can reach all of them.
struct SyntheticVocabulary {
    /// The texts, by id.
    private(set) var tokens: [String] = []
    /// The scores, by id: later tokens merge later.
    private(set) var scores: [Float] = []
    /// The kinds, by id: 1 normal, 2 unknown, 3 control, 6 byte.
    private(set) var kinds: [Int32] = []
    private var known: Set<String> = []
    private let size: Int

    /// Special tokens, bytes and characters always fit.
    static let minimumSize = 512

    /// A vocabulary of `size` tokens.
    init(size: Int) {
        precondition(size >= Self.minimumSize, "a vocabulary of \(size) does not hold every byte and character")
        self.size = size
        append("<unk>", kind: 2)
        append("<s>", kind: 3)
        append("</s>", kind: 3)
        append("<pad>", kind: 3)
        for byte in 0..<256 {
            let digits = String(byte, radix: 16, uppercase: true)
            append("<0x" + (byte < 16 ? "0" : "") + digits + ">", kind: 6)
        }
        appendSpecialChatTokens()
        for character in Self.characters { append(String(character)) }
        for word in Self.words { appendBeginnings(of: "▁" + word) }
        for word in Self.words { appendBeginnings(of: word) }
        fill()
    }

    /// The ids of the ends of a turn, in the vocabularies that have room for them.
    var endOfTurn: Int? { tokens.firstIndex(of: "<|im_end|>") }

    private mutating func appendSpecialChatTokens() {
        append("<|im_start|>", kind: 3)
        append("<|im_end|>", kind: 3)
    }

    private mutating func append(_ token: String, kind: Int32 = 1) {
        guard tokens.count < size, known.insert(token).inserted else { return }
        tokens.append(token)
        scores.append(kind == 1 ? -Float(tokens.count) : 0)
        kinds.append(kind)
    }

    private mutating func appendBeginnings(of word: String) {
        for length in 2...max(2, word.count) { append(String(word.prefix(length))) }
    }

    /// Pairs, triples and fours of letters, with and without a space before them, until there are enough.
    private mutating func fill() {
        var stems = [""] + ["▁"]
        while tokens.count < size {
            var longer: [String] = []
            for stem in stems {
                for letter in Self.letters {
                    let token = stem + String(letter)
                    append(token)
                    longer.append(token)
                    if tokens.count == size { return }
                }
            }
            stems = longer
        }
    }

    private static let letters = Array("etaoinsrlducmpvéghfbqyxjàèkwzçêâîôûùëïœ")

    private static let characters: [Character] =
        ["▁"] + (33...126).compactMap { Unicode.Scalar($0).map(Character.init) } + letters
        + Array("ÀÂÆÇÈÉÊËÎÏÔÙÛÜŒæüäöáíóúñ«»’‘“”–—…°€£§·\n")

    private static let words = """
        the of and to in is that it was for on are as with his they at be this have from or had by not but what all were \
        we when your can said there use an each which she do how their if will up other about out many then them these \
        so some her would make like him into time has look two more write go see number no way could people my than \
        first water been call who oil its now find long down day did get come made may part king queen Alice little very \
        le de un être et à il avoir ne je son que se qui ce dans en du elle au pour pas vous par sur faire plus dire me \
        on mon lui nous comme mais pouvoir avec tout y aller voir bien où sans tu ou leur homme si deux mari moi vouloir \
        te femme venir quand grand notre celui jour même prendre aussi petit encore temps vie main chose bon fois autre \
        nouveau mot fille pays depuis donner parler demander tenir trouver rendre porter montrer continuer penser suivre \
        la les des est une dans était cette sont fait avait très peut être ville France Paris français anglais monde
        """.split(separator: " ").map(String.init)
}
