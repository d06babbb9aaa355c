"""Runs croissant-gguf and llama.cpp over the same files in turn, and prints medians and the ratio of each pair.

    Benchmarks/Compare/setup.sh
    swift build -c release
    Benchmarks/Compare/.venv/bin/python Benchmarks/Compare/compare.py croissant-Q4_0.gguf croissant-Q8_0.gguf

With --json, results can be kept, and drawn later: compare.py --show results.json --svg picture.svg

Machines are noisy and drift: only ratios of neighbouring runs count, and their median.
"""

import argparse
import importlib.metadata
import json
import pathlib
import statistics
import subprocess
import sys

import picture
from program import EXECUTABLE

HERE = pathlib.Path(__file__).resolve().parent


def ours(path: str, options: argparse.Namespace) -> dict:
    """One process of croissant-gguf."""
    command = [EXECUTABLE, "bench", "-m", path, "-q", "-o", "json", "-t", str(options.threads)]
    command += ["-p", str(options.p), "-n", str(options.n), "-d", str(options.d), "-r", str(options.r)]
    if options.c:
        command += ["-c", str(options.c)]
    rows = json.loads(subprocess.run(command + options.flags, check=True, capture_output=True).stdout)
    result = {row["test"][:2]: row["samples"] for row in rows}
    result["peak_memory"] = max(row["peakMemory"] for row in rows)
    return result


def theirs(path: str, options: argparse.Namespace) -> dict:
    """One process of llama.cpp."""
    command = [sys.executable, str(HERE / "llama_bench.py"), path, "-t", str(options.threads)]
    command += ["-p", str(options.p), "-n", str(options.n), "-d", str(options.d), "-r", str(options.r)]
    command += ["-c", str(options.c)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def compare(path: str, options: argparse.Namespace) -> dict:
    """Interleaved pairs of processes; tokens a second of both, and their ratios."""
    pairs = [(ours(path, options), theirs(path, options)) for _ in range(options.pairs)]
    peer = f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}"
    result = {"file": pathlib.Path(path).name, "peer": peer, "threads": options.threads, "tests": {}}
    for test, count in (("pp", options.p), ("tg", options.n)):
        if not count:
            continue
        speeds = [(statistics.median(a[test]), statistics.median(b[test])) for a, b in pairs]
        ratios = [a / b for a, b in speeds]
        result["tests"][f"{test}{count}" + (f" @ d{options.d}" if options.d else "")] = {
            "ours": statistics.median(a for a, _ in speeds),
            "theirs": statistics.median(b for _, b in speeds),
            "ratio": statistics.median(ratios),
            "ratio_minimum": min(ratios),
            "ratio_maximum": max(ratios),
        }
    result["peer_build"] = pairs[0][1]["build"]
    result["peak_memory_ours"] = max(a["peak_memory"] for a, _ in pairs)
    result["peak_memory_theirs"] = max(b["peak_memory"] for _, b in pairs)
    return result


def table(results: list[dict]) -> str:
    """Results in Markdown."""
    lines = [
        "| file | test | croissant-gguf | llama.cpp | ratio (min–max) | peak memory |",
        "|:--|:--|--:|--:|--:|--:|",
    ]
    for result in results:
        memory = " / ".join(f"{result[f'peak_memory_{who}'] / 2**20:.0f} MiB" for who in ("ours", "theirs"))
        for test, row in result["tests"].items():
            lines.append(
                f"| {result['file']} | {test} | {row['ours']:.1f} | {row['theirs']:.1f} "
                f"| {row['ratio']:.2f} ({row['ratio_minimum']:.2f}–{row['ratio_maximum']:.2f}) | {memory} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Prints a Markdown table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=128)
    parser.add_argument("-d", type=int, default=0)
    parser.add_argument("-c", type=int, default=0, help="context length; what the tests need when 0")
    parser.add_argument("-r", type=int, default=3, help="counted runs in a process")
    parser.add_argument("--pairs", type=int, default=3, help="interleaved pairs of processes")
    parser.add_argument("--show", type=pathlib.Path, help="measure nothing: results of --json that were kept")
    parser.add_argument("--svg", type=pathlib.Path, help="draw the results into this file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("flags", nargs="*", help="after --: more flags for croissant-gguf bench")
    arguments = sys.argv[1:]
    flags = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    options = parser.parse_args(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    if bool(options.models) == bool(options.show):
        parser.error("files to compare on, or results to --show")
    options.flags = flags
    if options.show:
        results = json.loads(options.show.read_text())
    else:
        results = [compare(path, options) for path in options.models]
    if options.svg:
        options.svg.write_text(picture.svg(results))
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    main()
