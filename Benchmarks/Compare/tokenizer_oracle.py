"""Compares our tokens with those of Hugging Face's `tokenizers` for CroissantLLM's recipe, line by line.

    python3 -m venv venv && venv/bin/pip install -r Benchmarks/Compare/oracles.txt
    swift build -c release
    venv/bin/python Benchmarks/Compare/tokenizer_oracle.py ../shared/data/text [--lines 10000]
    venv/bin/python Benchmarks/Compare/tokenizer_oracle.py --golden Tests/CroissantTests/Golden/croissant

Trains the recipe on nine tenths of the texts, and tokenises held-out French, English and code (the sources of this
repository), with lines made of them: characters from all of Unicode, full-width letters, decomposed accents, numbers,
spaces in odd places, special tokens. Three files are compared with `tokenizers`: one that carries the whole tokenizer
over (no line may differ), one as published files of CroissantLLM are (every score -1000, no merges, no keys of ours; at
most one line in a thousand may differ), and that file with --tokenizer (no line may differ). With --golden it writes a
small tokenizer, trained on sentences of its own, and the tokens of such lines, for the tests.
"""

import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unicodedata

try:
    import numpy
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
except ImportError as error:
    raise SystemExit(f"{error}: nothing to compare with (see the first lines of this script)") from error

from program import EXECUTABLE, ROOT

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", *(f"<extra_id_{index}>" for index in range(100))]
CHAT = ["<|im_start|>", "<|im_end|>"]

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


def checkpoint(folder: pathlib.Path, tokenizer: Tokenizer):
    """A model of one layer, for nothing but its tokenizer."""
    hidden, ffn, size = 32, 32, tokenizer.get_vocab_size()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=hidden, intermediate_size=ffn,
        num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, rms_norm_eps=1e-5, vocab_size=size,
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2)))
    tokenizer.save(str(folder / "tokenizer.json"))
    shapes = {"model.embed_tokens.weight": (size, hidden), "model.norm.weight": (hidden,)}
    layer = "model.layers.0."
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                 "mlp.up_proj", "mlp.down_proj"]:
        shapes[f"{layer}{name}.weight"] = (hidden, hidden)
    shapes |= {f"{layer}{name}.weight": (hidden,) for name in ["input_layernorm", "post_attention_layernorm"]}
    save_safetensors(folder / "model.safetensors", {name: numpy.ones(shape, "f4") for name, shape in shapes.items()})


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


def ours(gguf: pathlib.Path, lines: list[str], *options: object) -> list[list[int]]:
    """Our ids of each line. A special token that no line has stands between lines: what lies between special tokens is
    prepared by itself, so that one run does for all."""
    text = "<extra_id_99>".join(lines)
    command = [EXECUTABLE, "tokenize", "-m", str(gguf), "--ids", "--no-bos", *map(str, options)]
    result = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if result.returncode:
        raise SystemExit(f"failed: {' '.join(command)}: {result.stderr.decode()}")
    parts: list[list[int]] = [[]]
    for id in map(int, result.stdout.split()):
        if id == 103:
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
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or pathlib.Path(temporary)
        checkpoint(root / "checkpoint", tokenizer)
        whole, published = root / "converted.gguf", root / "published.gguf"
        subprocess.run([EXECUTABLE, "convert", str(root / "checkpoint"), str(whole), "-q"], check=True)
        strip(whole, published)
        print(f"{tokenizer.get_vocab_size()} tokens trained on {len(trained)} lines; {len(tests)} lines to compare, "
              f"{sum(map(len, expected))} tokens", flush=True)
        for name, gguf, arguments, allowed in [
                ("converted", whole, [], 0), ("as published", published, [], len(tests) // 1000),
                ("as published, --tokenizer", published, ["--tokenizer", root / "checkpoint" / "tokenizer.json"], 0)]:
            found = ours(gguf, tests, *arguments)
            if len(found) != len(expected):
                raise SystemExit(f"{name}: {len(found)} lines")
            others = [index for index in range(len(tests)) if found[index] != expected[index]]
            failed |= len(others) > allowed
            print(f"{'FAIL' if len(others) > allowed else 'ok  '} {name}: {len(others)} lines with other tokens")
            for index in others[:3]:
                print(f"     {tests[index]!r}\n     expected {[tokenizer.id_to_token(id) for id in expected[index]]}\n"
                      f"     found    {[tokenizer.id_to_token(id) for id in found[index]]}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
