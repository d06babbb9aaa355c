"""Compares greedy text with that of llama.cpp, question by question.

    bash Benchmarks/Compare/setup.sh && swift build -c release
    Benchmarks/Compare/.venv/bin/python Benchmarks/Compare/same_text.py croissant-nano-F32.gguf [--questions 200]

The file is the demonstration model in a float type (Models/README.md says how it is converted). Both programs answer the
same held-out sentences and requests for stories, token by token the most likely one, and what they say has to be the
same, character by character. Exit status 1 where it is not. With --golden FILE.json, llama.cpp's answers are kept for the
tests: those to the built-in model's own weights (demo --save, quantize to F32).
"""

import argparse
import json
import pathlib
import subprocess
import sys

from llama_cpp import Llama
from program import EXECUTABLE, ROOT

HEROES = "fox mouse owl turtle bear frog baker witch king squirrel".split()
LIMIT = 300


def questions(count: int) -> list[str]:
    lines = (ROOT / "Models" / "held-out.tsv").read_text().splitlines()[: count // 2]
    pairs = [line.split("\t") for line in lines]
    asked = [f"Translate into French: {en}" for en, _ in pairs] + [f"Translate into English: {fr}" for _, fr in pairs]
    return asked + [f"Tell me a story in English and in French about a curious {hero}." for hero in HEROES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--golden", type=pathlib.Path, help="keep the questions and llama.cpp's answers")
    options = parser.parse_args()
    llama = Llama(str(options.file), n_ctx=512, n_threads=2, verbose=False)
    differ = 0
    asked = questions(options.questions)
    answers = []
    for question in asked:
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        ids = llama.tokenize(prompt.encode(), add_bos=True, special=True)
        theirs = llama(ids, max_tokens=LIMIT, temperature=0.0)["choices"][0]["text"]
        answers.append([question, theirs])
        ours = subprocess.run(
            [EXECUTABLE, "generate", "-m", options.file, "--chat", "--temp", "0", "-n", str(LIMIT), "-q", "-p", question],
            capture_output=True, text=True, check=True,
        ).stdout.removesuffix("\n")  # fmt: skip
        if ours != theirs:
            differ += 1
            print(f"{question}\n  ours   {ours!r}\n  theirs {theirs!r}")
    if options.golden:
        lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        options.golden.write_text(f"[\n{lines}\n]\n")
    print(f"{len(asked)} questions to {options.file.name}: {differ} answers differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
