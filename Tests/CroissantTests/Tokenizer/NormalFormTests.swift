import Croissant
import Foundation
import Testing

@Suite("Normal forms of Unicode")
struct NormalFormTests {
    /// Texts with their four forms, made with Python's unicodedata (see make_unicode_data.py).
    private static func golden() throws -> [[String]] {
        let url = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Golden/normalization.txt")
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").dropFirst().map { line in
            line.split(separator: ";", omittingEmptySubsequences: false).map { field in
                var text = String.UnicodeScalarView()
                for code in field.split(separator: " ") {
                    if let scalar = UInt32(code, radix: 16).flatMap(Unicode.Scalar.init) { text.append(scalar) }
                }
                return String(text)
            }
        }
    }

    private func apply(_ form: NormalForm, _ text: String) -> String {
        String(decoding: form.applied(to: Array(text.utf8)), as: UTF8.self)
    }

    private func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }

    @Test("are those of Python's, alone, in the middle of text, and of themselves")
    func conformance() throws {
        let rows = try Self.golden()
        #expect(rows.count > 360)
        for row in rows {
            try #require(row.count == 5)
            for (form, expected) in zip([NormalForm.nfc, .nfd, .nfkc, .nfkd], row.dropFirst()) {
                #expect(scalars(apply(form, row[0])) == scalars(expected), "\(form) of \(scalars(row[0]))")
                #expect(scalars(apply(form, "x\n" + row[0] + "z")).starts(with: [0x78, 0x0A]))
                #expect(scalars(apply(form, expected)) == scalars(expected), "\(form) twice")
                // Canonical forms of the decomposed text are the same.
                #expect(scalars(apply(form, row[2])) == scalars(expected), "\(form) of NFD")
            }
        }
    }

    @Test("take Hangul apart and put it together by arithmetic")
    func hangul() {
        for code in UInt32(0xAC00)...0xD7A3 {
            guard let scalar = Unicode.Scalar(code) else { continue }
            let decomposed = apply(.nfd, String(scalar))
            #expect(decomposed.unicodeScalars.count == ((code - 0xAC00) % 28 == 0 ? 2 : 3))
            #expect(scalars(apply(.nfc, decomposed)) == [code])
        }
    }

    @Test("leave what cannot change, whatever its length")
    func unchanged() {
        for text in ["", "plain", "déjà vu", "漢字", "\0", "👩‍👩‍👧", "▁"] {
            #expect(scalars(apply(.nfkc, text)) == scalars(text))
        }
        #expect(apply(.nfkc, "") == "")
    }

    @Test("of SentencePiece's rule have spaces for what is white or has no width, and no control characters")
    func nmt() {
        #expect(scalars(apply(.nmtNFKC, "a\tb\u{200B}c\u{1}d\u{FEFF}\u{7F}ﬁ▁\r\n")) == scalars("a b cd fi   "))
        #expect(scalars(apply(.nmtNFKC, "\u{FF5E}Ａ")) == [0xFF5E, 0x41])
        #expect(scalars(apply(.nfkc, "\u{FF5E}Ａ")) == [0x7E, 0x41])
    }

    @Test("sort thousands of marks on one letter by class, in their order where equal")
    func manyMarks() {
        let count = 50_000
        let text = "a" + String(repeating: "\u{301}\u{323}\u{302}", count: count)
        let form = scalars(apply(.nfd, text))
        #expect(form.count == 3 * count + 1)
        #expect(form[1...count].allSatisfy { $0 == 0x323 })
        #expect(form[(count + 1)...].enumerated().allSatisfy { $0.element == ($0.offset % 2 == 0 ? 0x301 : 0x302) })
        #expect(scalars(apply(.nfc, text)).first == 0x1EA1)
    }

    @Test("of any text are stable, and read as the standard library reads the text")
    func random() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            let text = randomText(length: 40, using: &generator)
            for form in NormalForm.allCases {
                let once = apply(form, text)
                #expect(scalars(apply(form, once)) == scalars(once))
            }
            // Strings compare by canonical equivalence.
            #expect(apply(.nfc, text) == text && apply(.nfd, text) == text)
        }
    }
}
