"""Trains the demonstration model: a Llama of 3.9 million parameters that knows a small French and English world.

    python3 -m venv venv && venv/bin/pip install -r Models/Training/requirements.txt
    venv/bin/python Models/Training/train.py croissant-nano

writes a checkpoint in Hugging Face's layout (config.json, model.safetensors, tokenizer.json …), which `croissant-gguf
convert` takes, and measures it: exact match of held-out translations, greedy, both directions. The tokenizer is made by
CroissantLLM's recipe. The corpus is drawn again each time; the same seed gives the same corpus and the same first weights.
On a graphics card it takes some 200 s, on two busy processor cores 3.6 s a step: four hours.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import random
import re
import time

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn

import documents

VOCABULARY, CONTEXT = 1600, 512
EMBEDDING, LAYERS, HEADS, FEED_FORWARD = 256, 4, 4, 672
EPSILON, THETA = 1e-5, 10000.0
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", *(f"<extra_id_{index}>" for index in range(100))]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' "
    "+ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
BATCH_TOKENS = 12288
PROMPT_WEIGHT = 0.2
"""How much the loss of a question's tokens counts: their content cannot be foreseen."""


def make_tokenizer(texts) -> Tokenizer:
    """CroissantLLM's recipe (arXiv 2402.00786 and its tokenizer.json), with fewer tokens.

    It is trained line by line and without the space before the first word: no token holds a line feed with other text, so
    that a question and its answer are the same tokens apart as together, and answers begin with whole words.
    """
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token=None))
    tokenizer.normalizer = normalizers.NFKC()

    def pre_tokenizer(**options):
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(**options), pre_tokenizers.Digits(individual_digits=True)]
        )

    tokenizer.pre_tokenizer = pre_tokenizer(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace()
    lines = (line for text in texts for line in re.split(r"<[|/][^>]*>|\n", text) if line)
    tokenizer.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY - 2,
            special_tokens=SPECIAL,
            limit_alphabet=1000,
            initial_alphabet=["\n"],
            show_progress=False,
        ),
    )
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.add_special_tokens([documents.START, documents.END])
    return tokenizer


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(EMBEDDING))

    def forward(self, x):
        return F.rms_norm(x, (EMBEDDING,), self.weight, EPSILON)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(EMBEDDING, EMBEDDING, bias=False))

    def forward(self, x, cosine, sine):
        batch, length, _ = x.shape
        query, key, value = (
            projection(x).view(batch, length, HEADS, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )

        def rotate(y):
            first, second = y.chunk(2, dim=-1)
            return y * cosine[:length] + torch.cat((-second, first), dim=-1) * sine[:length]

        mixed = F.scaled_dot_product_attention(rotate(query), rotate(key), value, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(EMBEDDING, FEED_FORWARD, bias=False)
        self.up_proj = nn.Linear(EMBEDDING, FEED_FORWARD, bias=False)
        self.down_proj = nn.Linear(FEED_FORWARD, EMBEDDING, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(), Attention()
        self.post_attention_layernorm, self.mlp = Norm(), FeedForward()

    def forward(self, x, cosine, sine):
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """The modules are named as Hugging Face names the tensors."""

    def __init__(self, vocabulary: int):
        super().__init__()
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(vocabulary, EMBEDDING),
                "layers": nn.ModuleList(Block() for _ in range(LAYERS)),
                "norm": Norm(),
            }
        )
        self.lm_head = nn.Linear(EMBEDDING, vocabulary, bias=False)
        head = EMBEDDING // HEADS
        angles = torch.outer(torch.arange(CONTEXT).float(), THETA ** (-torch.arange(0, head, 2).float() / head)).repeat(
            1, 2
        )
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = (2 * LAYERS) ** -0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1
                nn.init.normal_(parameter, std=0.02 * scale)

    def hidden(self, tokens):
        x = self.model["embed_tokens"](tokens)
        for layer in self.model["layers"]:
            x = layer(x, self.cosine, self.sine)
        return self.model["norm"](x)

    def forward(self, tokens):
        return self.lm_head(self.hidden(tokens))


def corpus_block(arguments) -> list[list[tuple[str, bool]]]:
    return documents.block(*arguments)


_tokenizer: Tokenizer | None = None
"""Of a worker process."""


def _start_worker(tokenizer: str):
    global _tokenizer
    _tokenizer = Tokenizer.from_str(tokenizer)


def _encoded_block(arguments) -> list[tuple[list[int], list[float]]]:
    """Token ids of each document with a leading <s>, and the weight of each one as a target."""
    found = []
    for document in documents.block(*arguments):
        encoding = _tokenizer.encode("".join(part for part, _ in document), add_special_tokens=False)
        parts, position = [], 0
        for part, answers in document:
            position += len(part)
            parts.append((position, 1.0 if answers else PROMPT_WEIGHT))
        weights, index = [0.0], 0
        for start, _ in encoding.offsets:
            while start >= parts[index][0] and index + 1 < len(parts):
                index += 1
            weights.append(parts[index][1])
        found.append(([1, *encoding.ids][:CONTEXT], weights[:CONTEXT]))
    return found


def batches(tokenizer: Tokenizer, seed: int, workers: int):
    """Endless batches of documents of about one length: nothing is cut, little is padding."""
    order, blocks = random.Random(seed), 40
    with multiprocessing.get_context("spawn").Pool(workers, _start_worker, [tokenizer.to_str()]) as pool:

        def draw(first: int):
            return pool.map_async(
                _encoded_block, [(seed, index) for index in range(first, first + blocks)], chunksize=1
            )

        coming = draw(0)
        for first in itertools.count(blocks, blocks):
            drawn = sorted(
                (document for some in coming.get() for document in some), key=lambda document: len(document[0])
            )
            coming = draw(first)
            ready, batch = [], []
            for document in drawn:
                if batch and len(document[0]) * (len(batch) + 1) > BATCH_TOKENS:
                    ready.append(batch)
                    batch = []
                batch.append(document)
            order.shuffle(ready)
            for batch in ready:
                length = max(len(ids) for ids, _ in batch)
                tokens = torch.zeros(len(batch), length, dtype=torch.long)
                weights = torch.zeros(len(batch), length)
                for row, (ids, weight) in enumerate(batch):
                    tokens[row, : len(ids)] = torch.tensor(ids)
                    weights[row, : len(ids)] = torch.tensor(weight)
                yield tokens, weights


@torch.no_grad()
def exact_match(
    model: Llama, tokenizer: Tokenizer, prompts: list[tuple[str, str]], device: str, show: int = 0
) -> float:
    """The share of greedy answers that are the expected ones, character by character."""
    end, right = tokenizer.token_to_id(documents.END), 0
    for start in range(0, len(prompts), 256):
        some = prompts[start : start + 256]
        ids = [
            [
                1,
                *tokenizer.encode(
                    f"{documents.START}user\n{asked}{documents.END}\n{documents.START}assistant\n",
                    add_special_tokens=False,
                ).ids,
            ]
            for asked, _ in some
        ]
        lengths = torch.tensor([len(each) for each in ids], device=device)
        tokens = torch.zeros(len(some), int(lengths.max()) + 64, dtype=torch.long)
        for row, each in enumerate(ids):
            tokens[row, : len(each)] = torch.tensor(each)
        tokens, rows = tokens.to(device), torch.arange(len(some), device=device)
        done = torch.zeros(len(some), dtype=torch.bool, device=device)
        for step in range(64):
            states = model.hidden(tokens[:, : int(lengths.max()) + step])
            following = model.lm_head(states[rows, lengths + step - 1]).argmax(-1)
            tokens[rows, lengths + step] = torch.where(done, torch.zeros_like(following), following)
            done |= following == end
            if done.all():
                break
        for row, (asked, expected) in enumerate(some):
            answer = tokens[row, lengths[row] :].tolist()
            answer = answer[: answer.index(end)] if end in answer else answer
            text = tokenizer.decode(answer, skip_special_tokens=True).strip()
            right += text == expected
            if text != expected and show > 0:
                print(f"  {asked}\n    expected {expected}\n    found    {text}")
                show -= 1
    return right / len(prompts)


def save(model: Llama, tokenizer: Tokenizer, folder: pathlib.Path):
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(documents.END)
    save_file(
        {name: value.detach().float().cpu().contiguous() for name, value in model.state_dict().items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    tokenizer.save(str(folder / "tokenizer.json"))

    # Where the model comes from, for the keys of the converted file.
    (folder / "README.md").write_text(
        "---\nlicense: mit\nlanguage: [fr, en]\ntags: [text-generation, translation, demonstration]\n---\n# Croissant Nano\n"
    )

    def write(name: str, content: dict):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    write(
        "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "torch_dtype": "float32",
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": EMBEDDING,
            "intermediate_size": FEED_FORWARD,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "hidden_act": "silu",
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": EPSILON,
            "rope_theta": THETA,
            "tie_word_embeddings": False,
            "attention_bias": False,
            "bos_token_id": 1,
            "eos_token_id": end,
            "pad_token_id": 3,
        },
    )
    write("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3})
    write(
        "tokenizer_config.json",
        {
            "tokenizer_class": "LlamaTokenizerFast",
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": "<s>",
            "eos_token": documents.END,
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "chat_template": CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT,
        },
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--test-pairs", type=int, default=500)
    options = parser.parse_args()

    began = time.time()
    torch.manual_seed(options.seed)
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        sample = pool.map(corpus_block, [(options.seed, index) for index in range(120)])
    tokenizer = make_tokenizer("".join(part for part, _ in document) for some in sample for document in some)
    model = Llama(tokenizer.get_vocab_size()).to(options.device)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{tokenizer.get_vocab_size()} tokens, {parameters:,} parameters, {time.time() - began:.0f} s", flush=True)

    matrices = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=options.learning_rate,
        betas=(0.9, 0.95),
        fused=options.device == "cuda",
    )
    warm_up = min(200, options.steps // 10 + 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * min(1, step / options.steps))) + 0.01),
    )
    half = torch.autocast("cuda", torch.bfloat16, enabled=options.device == "cuda")
    seen, losses = 0, []
    for step, (tokens, weights) in enumerate(batches(tokenizer, options.seed, options.workers)):
        if step == options.steps:
            break
        tokens, weights = tokens.to(options.device), weights.to(options.device)
        with half:
            logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        weights = weights[:, 1:].flatten()
        loss = (loss * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seen += int((weights > 0).sum())
        losses.append(loss.detach())
        if (step + 1) % 100 == 0:
            mean = torch.stack(losses).mean().item()
            losses = []
            spent = time.time() - began
            print(
                f"step {step + 1}: loss {mean:.4f}, {seen / 1e6:.1f} M tokens, {spent:.0f} s, {seen / spent:,.0f} tokens/s",
                flush=True,
            )
    save(model, tokenizer, options.folder)
    model.eval()
    pairs = documents.held_out_pairs(options.seed, options.test_pairs)
    for name, prompts in [
        ("into French", [(f"Translate into French: {en}", fr) for en, fr in pairs]),
        ("into English", [(f"Translate into English: {fr}", en) for en, fr in pairs]),
    ]:
        print(
            f"exact match {name}: {100 * exact_match(model, tokenizer, prompts, options.device, show=8):.1f}%",
            flush=True,
        )
    print(f"{time.time() - began:.0f} s in all")


if __name__ == "__main__":
    main()
