"""Measures the perplexity of one file over one text with croissant-gguf and with llama.cpp, on the same chunks.

    Benchmarks/Compare/setup.sh
    swift build -c release
    Benchmarks/Compare/.venv/bin/python Benchmarks/Compare/perplexity.py model.gguf -f text.txt -c 256 --chunks 40

Prints both and their relative difference, and ends with status 1 where it is above the tolerance.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys

import numpy
from llama_logits import Peer
from logits_file import log_softmax, standard_error
from program import EXECUTABLE



def ours(options: argparse.Namespace) -> dict:
    """What croissant-gguf measures."""
    command = [EXECUTABLE, "perplexity", "-m", options.model, "-f", options.file, "-q", "--json"]
    command += ["-c", str(options.c), "-t", str(options.threads)]
    if options.chunks:
        command += ["--chunks", str(options.chunks)]
    return json.loads(subprocess.run(command + options.flags, check=True, stdout=subprocess.PIPE).stdout)


def theirs(options: argparse.Namespace) -> list[numpy.ndarray]:
    """The negative log-likelihoods of each chunk by llama.cpp's logits, in float64."""
    peer = Peer(options.model, options.c, options.threads)
    tokens = peer.tokenize(pathlib.Path(options.file).read_bytes())
    count = len(tokens) // options.c
    losses = []
    for index in range(min(count, options.chunks or count)):
        chunk = tokens[index * options.c : (index + 1) * options.c]
        targets = chunk[options.c // 2 + 1 :]
        losses.append(-log_softmax(peer.logits(chunk))[numpy.arange(len(targets)), targets])
    return losses


def main() -> None:
    """Prints both, and judges the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-f", "--file", required=True)
    parser.add_argument("-c", type=int, default=512, help="tokens in a chunk")
    parser.add_argument("--chunks", type=int, default=0, help="the most chunks to take; all when 0")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=0.001, help="of the relative difference")
    parser.add_argument("flags", nargs="*", help="after --: more flags for croissant-gguf perplexity")
    arguments = sys.argv[1:]
    flags = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    options = parser.parse_args(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    options.flags = flags

    mine, peers = ours(options), theirs(options)
    if len(mine["chunks"]) != len(peers):
        raise SystemExit(f"{len(mine['chunks'])} chunks here, {len(peers)} in llama.cpp: other tokens")
    losses = numpy.concatenate(peers)
    perplexity = math.exp(losses.mean())
    error = standard_error(losses) * perplexity
    difference = mine["perplexity"] / perplexity - 1
    worst = max(
        abs(math.exp(chunk["loss"] - peer.mean()) - 1) for chunk, peer in zip(mine["chunks"], peers)
    )
    print(f"{len(peers)} chunks of {options.c} tokens, {len(losses)} scored")
    print(f"croissant-gguf  {mine['perplexity']:.6f} ± {mine['error']:.6f}")
    print(f"llama.cpp       {perplexity:.6f} ± {error:.6f}")
    print(f"difference      {difference:+.2e} (worst chunk {worst:.2e}, tolerance {options.tolerance:g})")
    if not abs(difference) <= options.tolerance:
        raise SystemExit("the perplexities differ")


if __name__ == "__main__":
    main()
