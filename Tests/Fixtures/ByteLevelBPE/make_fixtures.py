"""Records what Hugging Face's tokenizers make of the texts below, for ByteLevelVectorsTests.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3
    venv/bin/python make_fixtures.py <a folder of .txt files to train on>

For each way of cutting texts into words it trains a vocabulary of some 1,000 tokens on the files and on the texts
themselves, and writes `<name>.json`: tokens, merges, and the ids of every text of `texts.json`. The regular expressions
are those that the models publish; `default` is no model's, but what llama.cpp does for files that name none.
"""

import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS = {
    "default": [r"[\p{P}$+<=>^~|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")],
}
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
USER_DEFINED = ["<tool>", "<é Ġ>"]
# Tokens that no merge leads to: only a tokenizer that ignores merges finds them.
WITHOUT_MERGES = ["ĠCroissant", "Monsieur", "Ã©tÃ©", "ĠĠĠĠĠĠĠ"]

SENTENCES = r"""
Bonjour, Monsieur ! Ça va ? Où est l’hôtel ? Il n'y a qu'un seul œuf à l'intérieur.
L'été dernier, nous avons mangé 12 345 croissants — « délicieux » — pour 1 234,56 €.
Aujourd'hui, c’est l'anniversaire d’Éloïse : elle a vingt-sept ans… et demi.
The quick brown fox can't jump; it's lazy, they'll see, I'm sure you've been told we'd go.
IT'S ALL'S WELL'D: WE'RE I'VE YOU'LL HE'D I'M DON'T, It'S, we'Re, I'vE, 'Tis, 'twas 'em
Don’t say it’s “fine”; they’re not.
'ſ 'ſa x'Ss ''s '''s 's't're 'sample 'rest 'vet 'mine 'llama 'dog 'r 'v 'l 'lL 'RE 'Ll
def f(x: int) -> list[int]:\n    return [x ** 2 for _ in range(10) if x != 0]  # comment\n
#include <stdio.h>\r\nint main(void) {\r\n\tprintf("%d\\n", 0x1F);\r\n}\r\n
let x = try? foo(bar: &baz, qux: "\\(y)")\n\n\n// end
SELECT * FROM t WHERE a >= 10 AND b <> 'c''d';
if (a&&b||!c) { x+=1; y--; z<<=2; } else { w ^= ~v; } `q` $r @s
https://example.org/path/to?query=1&other=two#fragment user@example.com C:\\Temp\\a.txt
3 33 333 3333 33333 333333 3333333 33333333 333333333
1,234,567.89 -5e-10 0xDEADBEEF 12:34:56 2024-02-29 +33 1 23 45 67 89
١٢٣٤ १२३४५ ４５６７ ①②③ ⅣⅫ ½¾ x² 10⁻³ ٣1٣12٣123٣1234
a1b22c333d4444 1st 2nd 3rd 12٣345678 123٣456
 leading and trailing \n
two  spaces   three    four     five\ttab\t\ttabs \t mixed\t \tx
a\n b\n  c\n\n   d\n\t\te\r\n\r\n f\r g\n\r\n
\n\n\n\n   \n  \n x   \n   
no-break\u00a0space\u00a0\u00a0two\u2003em\u3000ideographic\u2028line\u2029paragraph\u0085next\u1680ogham
\u000b\u000cvt ff\u001c\u001d\u001e\u001f separators\u200bzero\u200dwidth\ufeffbom\u180emongol
😀 😀😀 👩‍👩‍👧‍👦 🇫🇷🇬🇧 👍🏽 ❤️ 🦙.cpp 🥐🥐🥐croissant
我想在apple工作1314151天～ 你好，世界！ 東京は日本の首都です。カタカナ ｶﾅ
한국어 문장입니다. 안녕하세요? ไทยแลนด์ ភាសាខ្មែរ
Привет, мир! Ελληνικά κείμενο; ÀÉÎÕÜ straße ﬁn ŒUVRE ǅ ʰ ª º
שלום עולם العَرَبِيَّة नमस्ते दुनिया বাংলা
e\u0301te\u0301 n\u0303 a\u0300\u0301\u0302 \u0301 \u0301x Z͑ͫ̓a̴l\u0489go
math ∑∫√∞ ≠ ≤ → ⇒ ∀x∈ℝ: x²≥0 ℵ ℓ ™ © ® ° § ¶ · ¿¡ €£¥ ¬ ± × ÷
\u0000 \u0000\u0000a\u0000 \u0001\u007f\u0080\u009f\u00ad
\ue000 \U000f0000 \U0010ffff \ufffd \ufffe \u0378 𝔸𝔹𝟘𝟙 𐐷 𒐀 𓀀 🁣
<|endoftext|> <|im_start|>user\nBonjour<|im_end|>\n<|im_start|>assistant\n <|im_end
a<|endoftext|>  b<|endoftext|>\n\nc<|im_end|>'s <|im_end|>1<|im_end|> 1 <|im_start|><|im_start|>
<tool> x<tool>y <é Ġ> z<é Ġ><é Ġ> <é G> Ġ Ċ ĉ Ā ł Ń <0x0A> <s>
 Croissant Croissant  Croissant Monsieur été été, Monsieurs       x
!!!!!! ...... ------ ====== ''''' \"\"\"\"\" ````` ~~~~~ ,,,,, ;;;;; ?!?! --> <-- ** __ ## $$ %%
( a ) [ b ] { c } < d > "e" 'f' «g» “h” ‘i’ (j)k [l]m {n}o _p_ -q- .r. /s/
a b c d e f g h i j k l m n o p q r s t u v w x y z
!a !1 ! a !\n a!\n\nb !\r\n!\n ?\n\n\n x.\n\ty,\r\r\n
 'a ' a ' 's \n's \t't  'll   'RE 1's 1'S a'1 '1 '
"""


def texts():
    """Some 300 texts: the sentences, whole and in pieces, and random mixtures of them."""
    lines = [line.encode("raw_unicode_escape").decode("unicode_escape") if "\\" in line else line
             for line in SENTENCES.strip("\n").split("\n")]
    result = ["", " ", "  ", "\n", "\n\n", " \n", "\n ", "\t", "\r\n", "a", " a", "é", "1", "'", "'s", "\0", "😀"]
    result += lines
    result += ["a" * 300, " " * 100, "\n" * 50, "=" * 77, "1" * 100, "é" * 60, "ab" * 90]
    result += [" \n" * 30, "'s" * 20, "😀" * 20]
    generator = random.Random(20240229)
    separators = ["", "", " ", " ", "  ", "   ", "\n", "\r\n", "\t", "'", "’"]
    separators += ["1", "12", "\u00a0", "!", ".\n", "<tool>"]
    while len(result) < 300:
        text = ""
        for _ in range(generator.randint(1, 5)):
            line = generator.choice(lines)
            start = generator.randrange(len(line))
            text += line[start : start + generator.randint(1, 14)] + generator.choice(separators)
        result.append(text)
    return result


def byte_characters():
    """GPT-2's characters for the bytes 0 … 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def make(name, patterns, texts, training):
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = cut
    learner.train_from_iterator(
        training + 5 * texts,
        trainers.BpeTrainer(vocab_size=1000, initial_alphabet=byte_characters(), show_progress=False))
    model = json.loads(learner.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(merge) for merge in model["merges"]]
    tokens += [token for token in WITHOUT_MERGES if token not in tokens]

    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=name == "llama-bpe"))
    tokenizer.pre_tokenizer = cut
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in USER_DEFINED])
    return {
        "pre": name,
        "tokens": tokens + CONTROL + USER_DEFINED,
        "control": len(CONTROL),
        "userDefined": len(USER_DEFINED),
        "merges": [" ".join(merge) for merge in merges],
        "ids": [tokenizer.encode(text, add_special_tokens=False).ids for text in texts],
    }


def main():
    folder = pathlib.Path(__file__).parent
    training = [path.read_text(encoding="utf-8") for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt"))]
    samples = texts()
    write = lambda name, value: (folder / name).write_text(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    write("texts.json", samples)
    for name, patterns in PRE_TOKENIZERS.items():
        write(f"{name}.json", make(name, patterns, samples, training))


main()
