"""Compares what `convert` makes of checkpoints with what Hugging Face's own programs compute: logits and tokens.

    python3 -m venv venv && venv/bin/pip install -r Benchmarks/Compare/oracles.txt
    swift build -c release
    venv/bin/python Benchmarks/Compare/convert_oracle.py ../shared/data/text [--keep FOLDER]

Makes tiny checkpoints of random weights, each with a tokenizer trained on the texts, converts them to F32 and to their
own type, and ends with status 1 where a logit differs by more than 1e-4 or a text gets other tokens.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    import transformers
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers import trainers
except ImportError as error:
    raise SystemExit(f"{error}: nothing to compare with (see the first lines of this script)") from error

from program import EXECUTABLE

transformers.utils.logging.disable_progress_bar()
TOLERANCE = 1e-4
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
SHAPE = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256)
LONG = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, rope_theta=10000.0)
LLAMA3_ROPE = dict(
    rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64,
    rope_theta=10000.0,
)


def byte_level(files: list[str], pattern: str | None, ignore_merges: bool) -> Tokenizer:
    """GPT-2's family: bytes are merged, within the words that `pattern` matches (GPT-2's own where None)."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    byte = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    tokenizer.pre_tokenizer = (
        byte if pattern is None else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte])
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train(files, trainers.BpeTrainer(
        vocab_size=800, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens(["<think>"])
    return tokenizer


def sentencepiece_like(files: list[str], has_bytes: bool, metaspace: bool) -> Tokenizer:
    """Characters are merged, spaces are marked; with bytes as Llama 2 has it, without as CroissantLLM."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>" if has_bytes else None))
    special = ["<unk>", "<s>", "</s>", "<pad>"]
    if has_bytes:
        special += [f"<0x{byte:02X}>" for byte in range(256)]
    if metaspace:
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Digits(individual_digits=True)])
        tokenizer.decoder = decoders.Metaspace()
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        # Trained in words, used without, as Llama 2's tokenizer.json has it.
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.train(files, trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, limit_alphabet=150, show_progress=False))
    if not metaspace:
        tokenizer.pre_tokenizer = None
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    # Byte tokens are pieces of the vocabulary, not special ones: the trainer knows no third kind.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_tokens([AddedToken("<think>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


def variants(files: list[str]) -> dict[str, tuple]:
    """Each checkpoint: configuration, tokenizer, type of the weights, and the largest file."""
    llama3 = byte_level(files, LLAMA3, True)
    qwen2 = byte_level(files, QWEN2, False)
    llama2 = sentencepiece_like(files, True, False)
    croissant = sentencepiece_like(files, False, True)
    single = "10GB"
    return {
        "llama, GQA, factors of frequencies": (
            transformers.LlamaConfig(**SHAPE, num_key_value_heads=2, rope_parameters=LLAMA3_ROPE, tie_word_embeddings=False),
            llama3, torch.float32, single),
        "llama, heads of their own size, tied": (
            transformers.LlamaConfig(**SHAPE, num_key_value_heads=1, head_dim=32, tie_word_embeddings=True),
            byte_level(files, None, False), torch.float32, single),
        "llama, linear scaling, two files": (
            transformers.LlamaConfig(**SHAPE, num_key_value_heads=2, rope_parameters=dict(
                rope_type="linear", factor=2.0, rope_theta=10000.0)),
            llama2, torch.float16, "200KB"),
        "llama as CroissantLLM": (
            transformers.LlamaConfig(**SHAPE, num_key_value_heads=4), croissant, torch.bfloat16, single),
        "mistral, sliding window, sharded": (
            transformers.MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=7), llama2, torch.float32, "100KB"),
        "qwen2, tied, BF16": (
            transformers.Qwen2Config(**SHAPE, num_key_value_heads=2, tie_word_embeddings=True), qwen2, torch.bfloat16,
            single),
        "qwen2, YaRN": (
            transformers.Qwen2Config(**SHAPE, num_key_value_heads=4, rope_parameters=LONG), qwen2, torch.float32, single),
        "qwen3, YaRN": (
            transformers.Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=32, rope_parameters=LONG), qwen2,
            torch.float32, single),
    }


def save(folder: pathlib.Path, config, tokenizer: Tokenizer, dtype: torch.dtype, limit: str):
    """Writes a checkpoint of random weights, none of them a default such as norms of one, and returns the model."""
    config.vocab_size = tokenizer.get_vocab_size() + 5  # Rows that only make the size a round number.
    torch.manual_seed(len(str(folder)))
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(torch.randn_like(weight) * (0.1 if weight.dim() > 1 else 0.3) + (1 if "norm" in name else 0))
    model = model.to(dtype)
    model.save_pretrained(folder, max_shard_size=limit)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {name: token for name, token in [
        ("bos_token", "<s>"), ("eos_token", "</s>"), ("bos_token", "<|begin|>"), ("eos_token", "<|im_end|>"),
        ("pad_token", "<pad>")] if tokenizer.token_to_id(token) is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    # Converted as it is, the model would round its table of frequencies too.
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def run(*arguments: object) -> str:
    """Standard output of our program."""
    result = subprocess.run([EXECUTABLE, *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    if result.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, arguments))}")
    return result.stdout.decode()


def difference(gguf: pathlib.Path, model, ids: list[int]) -> float:
    """The largest difference of a logit."""
    logits = gguf.with_suffix(".npy")
    run("generate", "-m", gguf, "--ids", ",".join(map(str, ids)), "-n", 0, "--logits", logits, "-q", "-ctk", "f32",
        "-ctv", "f32", "--activations", "f32", "--prefill", "sgemm", "-t", 1)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    return float(numpy.abs(numpy.load(logits) - expected).max())


def other_tokens(gguf: pathlib.Path, tokenizer: Tokenizer, texts: list[str]) -> int:
    """How many texts get other tokens."""
    count = 0
    for text in texts:
        file = gguf.with_suffix(".txt")
        file.write_bytes(text.encode())
        found = run("tokenize", "-m", gguf, "-f", file, "--ids").split()
        count += [int(id) for id in found] != tokenizer.encode(text).ids
    return count


def main() -> None:
    """Prints a line for each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="keep checkpoints, files and expected tokens here")
    options = parser.parse_args()
    files = sorted(map(str, options.texts.glob("*.txt")))
    if not files:
        raise SystemExit(f"no .txt files in {options.texts}")
    lines = [line for file in files for line in pathlib.Path(file).read_text().splitlines() if len(line) > 20]
    texts = lines[:: max(1, len(lines) // 40)] + [
        "a", " two  spaces ", "1234567 and 3.14", "Œuvre naïve, ça va ?", "emoji 😀 and 漢字", "<think>no</think>",
        "tab\tand\nlines\r\n\r\nend", "ﬁne ½ Å", "don't I'LL", "▁mark"]
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or pathlib.Path(temporary)
        for index, (name, (config, tokenizer, dtype, limit)) in enumerate(variants(files).items()):
            folder = root / f"checkpoint-{index}"
            folder.mkdir(parents=True, exist_ok=True)
            model = save(folder, config, tokenizer, dtype, limit)
            generator = numpy.random.default_rng(index)
            ids = generator.integers(0, config.vocab_size, 48).tolist()
            worst = 0.0
            for type in ("F32", None):
                gguf = root / f"model-{index}-{type or 'own'}.gguf"
                run("convert", folder, gguf, "-q", *(["--type", type] if type else []))
                worst = max(worst, difference(gguf, model, ids))
            others = other_tokens(gguf, tokenizer, texts)
            if options.keep:
                expected = [[text, tokenizer.encode(text).ids] for text in texts]
                (root / f"tokens-{index}.json").write_text(json.dumps(expected))
            count = len(list(folder.glob("*.safetensors")))
            bad = worst > TOLERANCE or others > 0
            failed |= bad
            print(f"{'FAIL' if bad else 'ok  '} {name}: {count} file(s), largest difference of a logit {worst:.1e}, "
                  f"{others} of {len(texts)} texts with other tokens", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
