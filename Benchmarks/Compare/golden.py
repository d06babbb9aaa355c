"""Prints the golden numbers of Tests/CroissantTests/Evaluation, from float64 reference logits and nothing of this
program.

    python golden.py ../../../shared/data/models

The folder holds random-mha-logits.json with 48 token ids, and for every model the logits that a float64 forward pass
gives for them. One chunk of 48 tokens is scored from position 24 to 46.
"""

import json
import pathlib
import sys

import numpy
from logits_file import Divergence, LogitsFile, encode, header, log_softmax, standard_error

FIGURES = (
    "basePerplexity", "logRatio", "logRatio.error", "divergence.mean", "divergence.mean.error", "divergence.median",
    "divergence.maximum", "divergence.90", "probabilityChange.mean", "rootMeanSquareChange",
    "rootMeanSquareChange.error", "sameTop",
)  # fmt: skip


def main() -> None:
    """Prints one line for each model."""
    folder = pathlib.Path(sys.argv[1])
    ids = json.loads((folder / "random-mha-logits.json").read_text())["ids"]
    first = len(ids) // 2
    targets = numpy.array(ids[first + 1 :])
    scored = {}
    for path in sorted(folder.glob("random-mha-*.logits.f32")):
        logits = numpy.fromfile(path, "<f4").astype(numpy.float64).reshape(len(ids), -1)
        scored[path.name.removeprefix("random-mha-").removesuffix(".logits.f32")] = logits[first : len(ids) - 1]

    print("perplexity: model, perplexity, error")
    for name, logits in scored.items():
        losses = -log_softmax(logits)[numpy.arange(len(targets)), targets]
        perplexity = numpy.exp(losses.mean())
        print(f'    ("{name}", {perplexity:.9f}, {standard_error(losses) * perplexity:.9f}),')

    data = header(numpy.array([ids]), scored["f32"].shape[1]) + encode(scored["f32"])
    print(f"logits of f32: {len(data)} bytes; scale, minimum, sum of q of each row")
    base = LogitsFile(data)
    for row in base.rows[0]:
        print(f"    ({row['scale']:.9g}, {row['minimum']:.9g}, {int(row['q'].sum())}),")

    print("divergence from f32: model, " + ", ".join(FIGURES))
    for name, logits in scored.items():
        divergence = Divergence()
        divergence.add(logits, base.log_probabilities(0), targets)
        statistics = divergence.statistics()
        print(f'    ("{name}", [{", ".join(f"{statistics[figure]:.9g}" for figure in FIGURES)}]),')


if __name__ == "__main__":
    main()
