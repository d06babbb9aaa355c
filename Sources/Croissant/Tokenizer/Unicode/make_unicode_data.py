"""Writes UnicodeData.swift, what normalization needs of the Unicode Character Database, from Python's copy of it:

    python3 Sources/Croissant/Tokenizer/Unicode/make_unicode_data.py

With a folder as argument it writes the golden data of the tests there as well. The version is that of Python
(3.11: Unicode 14.0). Characters that a later version brought are left as they are.
"""

import pathlib
import random
import sys
import unicodedata

SCALARS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)  # By algorithm.


def decompositions() -> list[tuple[int, str, list[int]]]:
    """Each character with what it becomes in one step; = composes again, ! does not, ~ is for compatibility."""
    rows = []
    for code in SCALARS:
        fields = unicodedata.decomposition(chr(code)).split()
        if not fields or code in HANGUL:
            continue
        if fields[0].startswith("<"):
            kind, fields = "~", fields[1:]
        else:
            kind = "=" if unicodedata.normalize("NFC", chr(code)) == chr(code) else "!"
        rows.append((code, kind, [int(field, 16) for field in fields]))
    return rows


def records() -> list[str]:
    """The decompositions, with neighbours that become neighbours as one: START+COUNT KIND TARGET."""
    texts, rows, index = [], decompositions(), 0
    while index < len(rows):
        code, kind, targets = rows[index]
        count = 1
        while len(targets) == 1 and rows[index + count:] and rows[index + count] == (
                code + count, kind, [targets[0] + count]):
            count += 1
        run = f"+{count:X}" if count > 1 else ""
        texts.append(f"{code:X}{run}{kind}" + ".".join(f"{target:X}" for target in targets))
        index += count
    return texts


def classes() -> list[str]:
    """The combining classes other than 0: START+COUNT = CLASS."""
    texts, index = [], 0
    rows = [(code, unicodedata.combining(chr(code))) for code in SCALARS if unicodedata.combining(chr(code))]
    while index < len(rows):
        code, value = rows[index]
        count = 1
        while rows[index + count:] and rows[index + count] == (code + count, value):
            count += 1
        texts.append(f"{code:X}" + (f"+{count:X}" if count > 1 else "") + f"={value:X}")
        index += count
    return texts


def literal(name: str, comment: str, texts: list[str]) -> str:
    """A Swift constant of lines of records."""
    lines, line = [], ""
    for text in texts:
        if len(line) + len(text) + 1 > 110:
            lines.append(line)
            line = ""
        line += (" " if line else "") + text
    body = "".join(f"        {line}\n" for line in [*lines, line])
    return f'    /// {comment}\n    static let {name} = """\n{body}        """\n'


GOLDEN = [
    "ﬁﬂﬃﬅ", "ｆｕｌｌ　ｗｉｄｔｈ１２！", "ｶﾞｷﾞﾊﾟ", "x²y₃①⑳㊿", "½ ⅓ ⅐", "™℠℡№", "…‥‼⁇", "\u00a0\u2007\u202f\u3000", "ǆǅǄ",
    "A\u030a", "\u212b", "\u2126\u212a", "e\u0301", "e\u0301\u0323", "e\u0323\u0301", "a\u0315\u0300\u05ae\u0062",
    "q\u0307\u0323", "\u1e9b\u0323", "\u1e69", "d\u0307\u0323", "\u0344", "\u0f73\u0f75", "\u0958\u095f", "\u2adc",
    "\ufb2c\ufb1d", "\u0387\u037e\u1fef", "\uac00\uac01\ud7a3", "\u1100\u1161", "\u1100\u1161\u11a8",
    "\u1100\u1161\u11a7", "\uac00\u11a8", "\uac01\u11a8", "\uac00\u0300\u11a8", "\u1161\u11a8", "\uffa1\uffc2",
    "\u0300", "\u0300\u0301\u0300", "\u0334a\u0334", "\ufdfa", "\ufb50\ufefb", "\U0001d400\U0001d7ff", "\U0001d15e",
    "\U0001109a\U000110ab", "\U00011131\U00011127", "\uf900\ufa10\ufa0e", "\U0002f800", "\u0b47\u0b3e\u0b57",
    "\u1025\u102e", "\u0cc6\u0cc2\u0cd5", "\u30ab\u3099", "\u304b\u3099\u309a", "\u0dd9\u0dcf\u0dca", "a\u0300\u0300",
    "\u3131\u314f", "㍿㋿㍐", "ﷲ", "ŉ", "ſt", "\u1e9b", "\u0a33\u0a3c", "é", "Œuvre", "\u200bzero\u200d", "\ufffd",
    "\U0001f468\u200d\U0001f469", "\u05d0\u05b7\u05bc", "\u0f71\u0f72\u0f74", "\u0340\u0341\u0343", "plain",
]


def golden() -> list[str]:
    """Text, and its four normal forms; as code points."""
    generator = random.Random(1)
    interesting = [row[0] for row in decompositions()]
    marks = [code for code in SCALARS if unicodedata.combining(chr(code))]
    texts = list(GOLDEN)
    for _ in range(150):
        texts.append(chr(generator.choice(interesting)))
    for _ in range(150):
        texts.append("".join(chr(generator.choice(generator.choice(
            [interesting, marks, marks, HANGUL, range(0x1100, 0x1200), range(0x41, 0x7B)]))) for _ in range(6)))
    def points(text: str) -> str:
        return " ".join(f"{ord(character):X}" for character in text)
    return [";".join(points(text) for text in [text, *(unicodedata.normalize(form, text) for form in (
        "NFC", "NFD", "NFKC", "NFKD"))]) for text in texts]


def main() -> None:
    """Writes the table, and the golden data where wanted."""
    version = unicodedata.unidata_version
    text = f"""// Written by make_unicode_data.py from Unicode {version}. Do not edit.

/// What normalization needs of the Unicode Character Database, version {version}: numbers are hexadecimal.
enum UnicodeData {{
{literal("decompositions", "START+COUNT, what that becomes in one step: = composes again, ! does not, ~ is for compatibility.",
         records())}
{literal("combiningClasses", "START+COUNT=CLASS, where it is not 0.", classes())}}}
"""
    pathlib.Path(__file__).with_name("UnicodeData.swift").write_text(text)
    for folder in sys.argv[1:]:
        head = f"# Unicode {version}: text; NFC; NFD; NFKC; NFKD, written by make_unicode_data.py\n"
        (pathlib.Path(folder) / "normalization.txt").write_text(head + "\n".join(golden()) + "\n")


if __name__ == "__main__":
    main()
