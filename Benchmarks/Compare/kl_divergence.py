"""Checks the Kullback-Leibler divergence of croissant-gguf against numpy in float64, from the same file of logits.

    croissant-gguf perplexity -m model-f32.gguf -f text.txt -c 256 --save-logits base.logits
    .venv/bin/python kl_divergence.py judge model-Q4_0.gguf base.logits

The file is read by logits_file.py, which shares nothing with this program, and compared with the logits of the model:
those that croissant-gguf itself gives for each chunk (the figures must agree to the tolerance), or with --peer those of
llama.cpp (for comparison by eye: quantised products differ). `write` saves logits of llama.cpp, so that this program
can be given a file of another's:

    .venv/bin/python kl_divergence.py write model-f32.gguf base.logits -f text.txt -c 256 --chunks 10
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy
from logits_file import Divergence, LogitsFile, encode, header
from program import EXECUTABLE



def own_logits(options: argparse.Namespace, base: LogitsFile, chunk: int) -> numpy.ndarray:
    """What croissant-gguf gives for the scored positions of a chunk that begins with BOS."""
    tokens = base.tokens[chunk].copy()
    tokens[0] = options.bos
    ids = ",".join(str(token) for token in tokens[:-1])
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        command = [EXECUTABLE, "generate", "-m", options.model, "-q", "--ids", ids, "-n", "0"]
        # Passes of the same size, so that no rounding differs.
        command += ["-c", str(base.length), "-b", str(min(512, base.length // 2))]
        command += ["--logits", file.name, "-t", str(options.threads)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return numpy.load(file.name)[base.length // 2 :]


def flattened(report: dict) -> dict[str, float]:
    """The figures of `perplexity --kl-divergence --json` under the names of `Divergence.statistics`."""
    result = {}
    for name in ("perplexity", "basePerplexity", "logRatio", "sameTop", "rootMeanSquareChange"):
        result[name] = report[name]["value"]
        result[f"{name}.error"] = report[name]["error"]
    for name in ("divergence", "probabilityChange"):
        spread = report[name]
        result[f"{name}.mean"], result[f"{name}.mean.error"] = spread["mean"]["value"], spread["mean"]["error"]
        for key in ("minimum", "median", "maximum"):
            result[f"{name}.{key}"] = spread[key]
        for percent, value in spread["percentiles"].items():
            result[f"{name}.{percent}"] = value
    return result


def judge(options: argparse.Namespace) -> None:
    """Prints every figure of both, and ends with status 1 where one differs."""
    base = LogitsFile(pathlib.Path(options.logits).read_bytes())
    command = [EXECUTABLE, "perplexity", "-m", options.model, "--kl-divergence", options.logits]
    command += ["-q", "--json", "-t", str(options.threads)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    ours = flattened(report)
    if options.peer:
        from llama_logits import Peer

        peer = Peer(options.model, base.length, options.threads)
    oracle = Divergence()
    for chunk in range(base.chunks):
        logits = peer.logits(base.tokens[chunk].tolist()) if options.peer else own_logits(options, base, chunk)
        oracle.add(logits, base.log_probabilities(chunk), base.targets(chunk))
    expected = oracle.statistics()
    print(f"{'':28} {'croissant-gguf':>16} {'float64':>16} {'difference':>11}")
    worst = 0.0
    for name, value in expected.items():
        difference = abs(ours[name] - value)
        worst = max(worst, difference / max(1.0, abs(value)))
        print(f"{name:28} {ours[name]:16.9f} {value:16.9f} {difference:11.1e}")
    if not options.peer and not worst <= options.tolerance:
        raise SystemExit(f"a figure differs by {worst:.1e}, more than {options.tolerance:g}")


def write(options: argparse.Namespace) -> None:
    """Saves llama.cpp's logits over a text."""
    from llama_logits import Peer

    peer = Peer(options.model, options.c, options.threads)
    tokens = peer.tokenize(pathlib.Path(options.file).read_bytes())
    count = min(len(tokens) // options.c, options.chunks or len(tokens))
    chunks = numpy.array(tokens[: count * options.c]).reshape(count, options.c)
    with open(options.logits, "wb") as file:
        file.write(header(chunks, peer.size))
        for chunk in chunks:
            file.write(encode(peer.logits(chunk.tolist())))
    print(f"{count} chunks of {options.c} tokens, {peer.size} in the vocabulary")


def main() -> None:
    """Judges or writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    judging = commands.add_parser("judge")
    judging.set_defaults(run=judge)
    judging.add_argument("--peer", action="store_true", help="compare with llama.cpp's logits")
    judging.add_argument("--bos", type=int, default=1, help="the token that each chunk begins with")
    judging.add_argument("--tolerance", type=float, default=1e-6, help="relative above 1, absolute below")
    writing = commands.add_parser("write")
    writing.set_defaults(run=write)
    writing.add_argument("-f", "--file", required=True)
    writing.add_argument("-c", type=int, default=512, help="tokens in a chunk")
    writing.add_argument("--chunks", type=int, default=0, help="the most chunks to take; all when 0")
    for command in (judging, writing):
        command.add_argument("model")
        command.add_argument("logits")
        command.add_argument("-t", "--threads", type=int, default=2)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
