"""Compares the time to the first token after a prompt of 32 tokens, with croissant-gguf and with llama.cpp.

    Benchmarks/Compare/.venv/bin/python Benchmarks/Compare/first_token.py croissant-Q4_0.gguf croissant-Q8_0.gguf

Of this program it is the whole process, from its start to its end. Of llama.cpp it is what lies between asking for the
model and having the logits of the same tokens: what Python takes to start is not counted. A ratio below 1 is in favour
of this program.

Every program runs twice in a row, and the second time counts: the first one brings the file into the page cache, and
memory from where a virtual machine's host keeps what has been free for a while.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

from program import EXECUTABLE

TOKENS = 32
CONTEXT = 2048
SENTENCE = "Le petit chat dort dans le jardin pendant que les enfants jouent et que la pluie tombe sur les toits."


def prompt(path: str) -> str:
    """As many words of a text as make 32 tokens of the model's, or the next fewer."""
    words = SENTENCE.split() * TOKENS
    count = next(n for n in range(1, len(words)) if len(tokens(path, " ".join(words[: n + 1]))) > TOKENS)
    return " ".join(words[:count])


def tokens(path: str, text: str) -> list[str]:
    """The ids of a text, with those that the model puts before it."""
    command = [EXECUTABLE, "tokenize", "-m", path, "--ids", text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def ours(path: str, text: str, threads: int) -> float:
    """Seconds of a process that generates one token."""
    command = [EXECUTABLE, "generate", "-m", path, "-p", text, "-n", "1", "-t", str(threads), "-c", str(CONTEXT)]
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def theirs(path: str, text: str, threads: int) -> float:
    """What a process of `--peer` says."""
    command = [sys.executable, __file__, "-t", str(threads), path, "--peer", *tokens(path, text)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def peer(path: str, ids: list[int], threads: int) -> float:
    """Seconds that llama.cpp takes in this process."""
    from llama_bench import Runner

    begin = time.perf_counter()
    runner = Runner(path, threads, CONTEXT, 512)
    runner.feed(ids)
    return time.perf_counter() - begin


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs of processes")
    parser.add_argument("--peer", type=int, nargs="+", metavar="ID", help="only llama.cpp, once, in this process")
    options = parser.parse_args()
    if options.peer:
        print(peer(options.models[0], options.peer, options.threads))
        return
    print("| file | croissant-gguf | llama.cpp | ratio (min–max) |\n|:--|--:|--:|--:|")
    for path in options.models:
        text = prompt(path)
        pairs = []
        for _ in range(options.pairs):
            ours(path, text, options.threads)
            mine = ours(path, text, options.threads)
            theirs(path, text, options.threads)
            pairs.append((mine, theirs(path, text, options.threads)))
        ratios = [a / b for a, b in pairs]
        seconds = [statistics.median(pair[i] for pair in pairs) for i in range(2)]
        print(
            f"| {pathlib.Path(path).name} | {seconds[0]:.2f} s | {seconds[1]:.2f} s "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
