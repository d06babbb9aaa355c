"""Compares our tokens with those of Hugging Face's `tokenizers` for CroissantLLM's recipe, line by line.

    python3 -m venv venv && venv/bin/pip install -r Benchmarks/Compare/oracles.txt
    swift build -c release
    venv/bin/python Benchmarks/Compare/tokenizer_oracle.py ../shared/data/text [--lines 10000]
    venv/bin/python Benchmarks/Compare/tokenizer_oracle.py --golden Tests/CroissantTests/Golden/croissant

Trains the recipe on nine tenths of the texts, and tokenises held-out French, English and code (the sources of this
repository), with lines made of them: characters from all of Unicode, full-width letters, decomposed accents, numbers,
spaces in odd places, special tokens. Three files are compared with `tokenizers`: one that carries the whole tokenizer
over (no line may differ), one as published files of CroissantLLM are (every score -1000, no merges, no keys of ours; at
most one line in a thousand may differ), and that file with --tokenizer (no line may differ). Then small tokenizers of other
recipes, whose added tokens have flags by chance, and models of SentencePiece with symbols that its user has defined (no
line may differ). With --golden it writes a
small tokenizer, trained on sentences of its own, and the tokens of such lines, for the tests.
"""

import argparse
import base64
import io
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import unicodedata

try:
    import numpy
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
except ImportError as error:
    raise SystemExit(f"{error}: nothing to compare with (see the first lines of this script)") from error

try:
    import sentencepiece
except ImportError:
    sentencepiece = None

from program import EXECUTABLE, ROOT

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", *(f"<extra_id_{index}>" for index in range(100))]
CHAT = ["<|im_start|>", "<|im_end|>"]
# Added tokens that overlap each other and words, and such that normal forms change.
ADDED = [
    "<tool>", "</tool>", "mon", "the", " the", "  ", "is a", "▁le", "é", "a\u0300", "ﬁn", "²", "🦊", "ne vous", "ous av", "vous"]
SYMBOLS = ["<sep>", "Alice", "ing", "é", "ﬁn", "12", "…", "▁vous", "▁▁", "Ali"]

SENTENCES = [
    "Le croissant est encore chaud, et le café l'attend.", "Où est passé le garçon qui vendait des pommes ?",
    "Il était déjà tard quand l'élève rendit son cœur d'ouvrage.", "The baker opens at six and sells bread until noon.",
    "A small model on a small machine answers in a second.", "Çà et là, des œuvres naïves ornaient l'hôtel.",
    "Nothing is faster than a number that was measured.", "En 2024, il y avait 1345 personnes à 7 h 30.",
    "The year 1999 had 365 days, and 12 months.", "let bytes = file.tensors.reduce(0) { $0 + $1.byteCount }",
    "func encode(_ text: String) -> [Int32] { return [] }", "if count == 0 { throw Failure(\"no tokens\") }",
    "« Bonjour », dit-elle ; « il fait beau aujourd'hui ! »", "We don't know whether it's going to rain; they'll see.",
    "Les forêts, les prés et les rivières dormaient sous la neige.", "for index in 0..<10 where index % 2 == 1 { sum += index }",
    "Sur la table : du pain, du beurre, de la confiture et du thé.", "What the file does not say, the program has to find out.",
]


def train(lines: list[str], size: int) -> Tokenizer:
    """CroissantLLM's recipe: shared/reference/croissant.md."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=None))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True)])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, special_tokens=SPECIAL, limit_alphabet=1000, show_progress=False))
    tokenizer.add_special_tokens(CHAT)
    return tokenizer


def held_out(texts: list[str], sources: list[str], count: int) -> list[str]:
    """Lines that were not trained on, and lines made of them."""
    generator = random.Random(7)
    # Of old versions of Unicode: `tokenizers` knows no newer one than 12.
    assigned = [code for code in range(0x20, 0x30000) if unicodedata.ucd_3_2_0.category(chr(code)) not in (
        "Cn", "Cs", "Co")]

    def mark(line: str) -> str:
        kind = generator.randrange(9)
        place = generator.randrange(len(line) + 1)
        def some(low: int, high: int) -> str:
            return "".join(chr(generator.choice(assigned)) for _ in range(generator.randint(low, high)))
        inserts = [
            lambda: some(1, 4), lambda: str(generator.randrange(10**9)), lambda: " " * generator.randint(2, 6),
            lambda: generator.choice(SPECIAL + CHAT), lambda: generator.choice(["▁", "\t", "\n", "\u00a0", "²", "½", "٣", "…"]),
            lambda: "".join(generator.choice("abceotu") + "".join(generator.choices("\u0300\u0301\u0302\u0308\u0323\u0327", k=2)))]
        if kind < len(inserts):
            return line[:place] + inserts[kind]() + line[place:]
        if kind == 6:
            return unicodedata.normalize("NFD", line)
        if kind == 7:
            return " " + line
        return "".join(chr(ord(c) + 0xFEE0) if 0x21 <= ord(c) <= 0x7E and generator.random() < 0.2 else c for c in line)
    lines = [line for line in texts + sources if line]
    while len(lines) < count:
        lines.append(mark(generator.choice(lines[: len(texts) + len(sources)] or ["x"])))
    generator.shuffle(lines)
    return lines[:count]


def mixed(line: str, generator: random.Random) -> str:
    """The line with added tokens, in and between words."""
    for _ in range(generator.randint(0, 3)):
        place = generator.randrange(len(line) + 1)
        text = "".join(generator.choice(["", " ", "  ", "\t", "n"]) + generator.choice(ADDED + CHAT + SYMBOLS)
                       for _ in range(generator.randint(1, 3)))
        line = line[:place] + text + generator.choice(["", " ", "   ", "\u00a0", "s"]) + line[place:]
    return line


def save_safetensors(path: pathlib.Path, tensors: dict[str, numpy.ndarray]):
    """Float32 tensors; the package for it is not needed for this."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[offset, offset + tensor.nbytes])
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.astype("<f4").tobytes())


def checkpoint(folder: pathlib.Path, size: int, tokenizer: bytes, name: str = "tokenizer.json"):
    """A model of one layer, for nothing but its tokenizer: the content of the file that has it."""
    hidden, ffn = 32, 32
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=hidden, intermediate_size=ffn,
        num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, rms_norm_eps=1e-5, vocab_size=size,
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)))
    (folder / name).write_bytes(tokenizer)
    shapes = {"model.embed_tokens.weight": (size, hidden), "model.norm.weight": (hidden,)}
    layer = "model.layers.0."
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                 "mlp.up_proj", "mlp.down_proj"]:
        shapes[f"{layer}{name}.weight"] = (hidden, hidden)
    shapes |= {f"{layer}{name}.weight": (hidden,) for name in ["input_layernorm", "post_attention_layernorm"]}
    save_safetensors(folder / "model.safetensors", {name: numpy.ones(shape, "f4") for name, shape in shapes.items()})


def recipes(lines: list[str], size: int = 700, specials: int = len(SPECIAL)) -> dict[str, Tokenizer]:
    """Small tokenizers, each of another way to prepare texts, with added tokens of flags by chance."""
    marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    metaspace, digits = pre_tokenizers.Metaspace, pre_tokenizers.Digits(individual_digits=True)
    words = Regex(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found = {}
    for name, normalizer, cutter, model in [
            ("marks by the normalizer, bytes", marks, None, dict(byte_fallback=True, unk_token="<unk>", fuse_unk=True)),
            ("marks by the normalizer, unknown not fused", marks, None, dict(unk_token="<unk>", fuse_unk=False)),
            ("NFC, marks without a prefix", [normalizers.NFC(), marks[1]], None, dict(unk_token="<unk>", fuse_unk=True)),
            ("Metaspace always, NFKC, digits", [normalizers.NFKC()],
             [metaspace(prepend_scheme="always"), digits], dict(unk_token="<unk>", fuse_unk=False)),
            ("Metaspace first, digits, unknown fused", [],
             [digits, metaspace(prepend_scheme="first")], dict(unk_token="<unk>", fuse_unk=True)),
            ("Metaspace never, NFD, in one", [normalizers.NFD()],
             [metaspace(prepend_scheme="never", split=False)], dict(byte_fallback=True, unk_token=None)),
            ("bytes, NFC", [normalizers.NFC()], [pre_tokenizers.Split(words, "isolated"), bytes_of], {})]:
        generator = random.Random(name)
        tokenizer = Tokenizer(models.BPE(**model))
        tokenizer.normalizer = normalizers.Sequence(normalizer)
        # Trained in words, even where it is used without.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cutter) if cutter else metaspace(prepend_scheme="never")
        tokenizer.decoder = decoders.ByteLevel() if cutter and bytes_of in cutter else decoders.Metaspace()
        has_bytes = model.get("byte_fallback") and model["unk_token"]
        special = SPECIAL[:specials] + [f"<0x{byte:02X}>" for byte in range(256) if has_bytes]
        alphabet = pre_tokenizers.ByteLevel.alphabet() if not model else []
        tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
            vocab_size=len(special) + len(alphabet) + size, special_tokens=special, limit_alphabet=300, initial_alphabet=alphabet,
            show_progress=False))
        if not cutter:
            tokenizer.pre_tokenizer = None
        data = json.loads(tokenizer.to_str())
        data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
        tokenizer = Tokenizer.from_str(json.dumps(data))

        def flags(text: str) -> AddedToken:
            # White space that is a token and takes more with it is what `tokenizers` fails on.
            strips = not text.startswith(" ")
            return AddedToken(
                text, lstrip=strips and generator.random() < 0.4, rstrip=strips and generator.random() < 0.4,
                single_word=generator.random() < 0.4, normalized=generator.random() < 0.5)
        tokenizer.add_special_tokens([flags(text) for text in CHAT])
        tokenizer.add_tokens([flags(text) for text in ADDED])
        found[name] = tokenizer
    return found


def sentencepiece_models(lines: list[str], size: int = 1000) -> dict[str, bytes]:
    """Small models of SentencePiece with user-defined symbols, each with other rules."""
    found = {}
    for rule, extra, prefix, bytes in [
            ("identity", False, True, True), ("nmt_nfkc", True, True, False), ("nfkc", True, False, True),
            ("nfkc", False, False, False)]:
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, model_type="bpe", vocab_size=size, hard_vocab_limit=False,
            user_defined_symbols=SYMBOLS, control_symbols=["<line>"], normalization_rule_name=rule,
            remove_extra_whitespaces=extra, add_dummy_prefix=prefix, byte_fallback=bytes, minloglevel=2,
            character_coverage=0.999)
        found[f"SentencePiece, {rule}, {extra=}, {prefix=}, {bytes=}"] = model.getvalue()
    return found


def without_map(model: bytes) -> bytes:
    """The model with a table of characters of one byte, where it has one: the name of the rule says which it is."""
    def fields(data: bytes):
        position = 0
        def varint() -> int:
            nonlocal position
            value = shift = 0
            while True:
                byte = data[position]
                position += 1
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return value
        while position < len(data):
            start, key = position, varint()
            if key & 7 == 2:
                length = varint()
                content = data[position:position + length]
                position += length
            else:
                content = None
                position = position + {1: 8, 5: 4}[key & 7] if key & 7 else (varint(), position)[1]
            yield key, content, data[start:position]

    def field(key: int, content: bytes) -> bytes:
        length, size = b"", len(content)
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([key]) + length + bytes([size]) + content
    return b"".join(
        field(key, b"".join(field(inner, b"0") if inner == 0x12 and content else whole
                            for inner, content, whole in fields(content))) if key == 0x1A else whole
        for key, content, whole in fields(model))


def is_plain(line: str) -> bool:
    """Whether SentencePiece is to be asked: what looks like a control token is one to us and text to it, and its tables of
    normal forms do not put several marks on one letter in order."""
    return not any(token in line for token in ["<s>", "</s>", "<unk>", "<line>"]) and not re.search(
        r"[\u0300-\u036f]{2}", unicodedata.normalize("NFD", line))


def strip(source: pathlib.Path, target: pathlib.Path):
    """The same file as converters without a SentencePiece model write it."""
    data = source.read_bytes()
    position = 8
    def number(format: str) -> int:
        nonlocal position
        value = struct.unpack_from("<" + format, data, position)[0]
        position += struct.calcsize("<" + format)
        return value
    def skip(type: int):
        nonlocal position
        if type == 8:
            length = number("Q")
            position += length
        elif type == 9:
            item, count = number("I"), number("Q")
            for _ in range(count):
                skip(item)
        else:
            position += {0: 1, 1: 1, 7: 1, 2: 2, 3: 2, 10: 8, 11: 8, 12: 8}.get(type, 4)
    tensors, pairs, kept = number("Q"), number("Q"), []
    for _ in range(pairs):
        start = position
        length = number("Q")
        key = data[position:position + length].decode()
        position += length
        skip(number("I"))
        pair = data[start:position]
        if key.startswith("croissant.") or key == "tokenizer.ggml.merges":
            continue
        if key == "tokenizer.ggml.scores":
            head = 8 + length + 4 + 4 + 8
            pair = pair[:head] + struct.pack("<f", -1000) * ((len(pair) - head) // 4)
        kept.append(pair)
    infos = position
    for _ in range(tensors):
        length = number("Q")
        position += length
        dimensions = number("I")
        position += 8 * dimensions + 4 + 8
    head = data[:16] + struct.pack("<Q", len(kept)) + b"".join(kept) + data[infos:position]
    aligned = (position + 31) // 32 * 32
    target.write_bytes(head + b"\0" * (-len(head) % 32) + data[aligned:])


def ours(gguf: pathlib.Path, lines: list[str], *options: object, mark: str = "<extra_id_99>", id: int = 103) -> list[list[int]]:
    """Our ids of each line. A special token that no line has stands between lines: what lies between special tokens is
    prepared by itself, so that one run does for all."""
    text = mark.join(lines)
    command = [EXECUTABLE, "tokenize", "-m", str(gguf), "--ids", "--no-bos", *map(str, options)]
    result = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if result.returncode:
        raise SystemExit(f"failed: {' '.join(command)}: {result.stderr.decode()}")
    return split(list(map(int, result.stdout.split())), id)


def split(ids: list[int], mark: int) -> list[list[int]]:
    """The ids between marks."""
    parts: list[list[int]] = [[]]
    for id in ids:
        if id == mark:
            parts.append([])
        else:
            parts[-1].append(id)
    return parts


def golden(folder: pathlib.Path):
    """Writes a small tokenizer and the tokens of some lines."""
    tokenizer = train(SENTENCES, 420)
    lines = held_out(SENTENCES, [], 300) + ["", " ", "▁", "1", " 1", "😀", "ﬁ", "a😀b", "x٣y", "<s>ﬁ", "<|im_end|> a"]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    rows = [json.dumps([line, tokenizer.encode(line).ids]) for line in lines]
    (folder / "tokens.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")

    lines = [mixed(line, random.Random(index)) for index, line in enumerate(held_out(SENTENCES, [], 30))]
    # White space that is taken and is a token, words that are not, tokens that overlap, runs without a token.
    lines += ["", "a<tool>   b  c", "  <tool>  mon <tool>", "mont, mon, monmon_ mon.", "ne vous av", "🦊🦊🦊 🦊 b", "٣  then the",
              "e\u0301 a\u0300 ﬁn", "cookAlice was", "well <sep>", "  a  <sep>  Ali▁ ", "Aliceing12…"]
    (folder / "recipes.json").write_text("[\n" + ",\n".join(json.dumps(dict(
        name=name, tokenizer=tokenizer.to_str(), texts=[[line, tokenizer.encode(line).ids] for line in lines]))
        for name, tokenizer in recipes(SENTENCES, 60, 4).items()) + "\n]\n")
    lines = [line for line in lines if is_plain(line)]
    rows = []
    for name, model in sentencepiece_models(SENTENCES, 400).items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        rows.append(json.dumps(dict(
            name=name, model=base64.b64encode(without_map(model)).decode(), texts=[[line, processor.encode(line)] for line in lines])))
    (folder / "sentencepiece.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def main() -> None:
    """Prints a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=pathlib.Path, nargs="?")
    parser.add_argument("--golden", type=pathlib.Path, help="write the data of the tests into this folder")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--vocabulary", type=int, default=12_000, help="tokens to train, at most")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the files here")
    options = parser.parse_args()
    if options.golden:
        return golden(options.golden)
    if not options.texts:
        parser.error("no texts to train on")
    files = sorted(options.texts.glob("*.txt"))
    if not files:
        raise SystemExit(f"no .txt files in {options.texts}")
    lines = [line for file in files for line in file.read_text().splitlines() if line]
    trained = [line for index, line in enumerate(lines) if index % 10]
    sources = [line for file in sorted((ROOT / "Sources").rglob("*.swift"))[::4] for line in file.read_text().splitlines()]
    known = set(trained)
    tests = [line for line in lines[::10] if line not in known]
    tests = held_out(tests, random.Random(3).sample(sources, 4000), options.lines)
    tests = [line.replace("<extra_id_99>", "") for line in tests]
    tokenizer = train(trained, options.vocabulary)
    expected = [tokenizer.encode(line).ids for line in tests]
    failed = False

    def compare(name: str, lines: list[str], expected: list[list[int]], found: list[list[int]], text, allowed: int = 0):
        nonlocal failed
        if len(found) != len(expected):
            raise SystemExit(f"{name}: {len(found)} lines")
        others = [index for index in range(len(lines)) if found[index] != expected[index]]
        failed |= len(others) > allowed
        print(f"{'FAIL' if len(others) > allowed else 'ok  '} {name}: {len(others)} lines with other tokens", flush=True)
        for index in others[:3]:
            print(f"     {lines[index]!r}\n     expected {[text(id) for id in expected[index]]}\n"
                  f"     found    {[text(id) for id in found[index]]}")

    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or pathlib.Path(temporary)

        def converted(name: str, size: int, tokenizer: bytes, file: str = "tokenizer.json") -> pathlib.Path:
            checkpoint(root / name, size, tokenizer, file)
            subprocess.run([EXECUTABLE, "convert", str(root / name), str(root / f"{name}.gguf"), "-q"], check=True)
            return root / f"{name}.gguf"

        whole = converted("checkpoint", tokenizer.get_vocab_size(), tokenizer.to_str().encode())
        published = root / "published.gguf"
        strip(whole, published)
        print(f"{tokenizer.get_vocab_size()} tokens trained on {len(trained)} lines; {len(tests)} lines to compare, "
              f"{sum(map(len, expected))} tokens", flush=True)
        for name, gguf, arguments, allowed in [
                ("converted", whole, [], 0), ("as published", published, [], len(tests) // 1000),
                ("as published, --tokenizer", published, ["--tokenizer", root / "checkpoint" / "tokenizer.json"], 0)]:
            compare(name, tests, expected, ours(gguf, tests, *arguments), tokenizer.id_to_token, allowed)

        few = trained[:: max(1, len(trained) // 600)]
        tests = held_out(tests[:500], [], 1000)
        tests = [mixed(line, random.Random(index)).replace("<extra_id_99>", "") for index, line in enumerate(tests)]
        for index, (name, tokenizer) in enumerate(recipes(few).items()):
            gguf = converted(f"recipe-{index}", max(tokenizer.get_vocab().values()) + 1, tokenizer.to_str().encode())
            # In one text, as for us: what comes before a line is no start of a text.
            expected = split(tokenizer.encode("<extra_id_99>".join(tests)).ids, 103)
            compare(name, tests, expected, ours(gguf, tests), tokenizer.id_to_token)
        if not sentencepiece:
            print("sentencepiece is not installed: its models are not compared")
        tests = [line for line in tests if is_plain(line)]
        for index, (name, model) in enumerate(sentencepiece_models(few).items() if sentencepiece else []):
            processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            gguf = converted(f"sentencepiece-{index}", processor.get_piece_size(), model, "tokenizer.model")
            found = ours(gguf, tests, mark="<line>", id=processor.piece_to_id("<line>"))
            compare(name, tests, processor.encode(tests), found, processor.id_to_piece)
    sys.exit(failed)


if __name__ == "__main__":
    main()
