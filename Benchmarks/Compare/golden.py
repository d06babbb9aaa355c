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


def log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Logits (positions, vocabulary) as natural logarithms of probabilities."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def mean_and_error(values: numpy.ndarray) -> tuple[float, float]:
    """The mean and its standard error."""
    return values.mean(), values.std() / numpy.sqrt(len(values) - 1)


def main() -> None:
    """Prints one line for each model."""
    folder = pathlib.Path(sys.argv[1])
    ids = json.loads((folder / "random-mha-logits.json").read_text())["ids"]
    first = len(ids) // 2
    targets = numpy.array(ids[first + 1 :])
    rows = numpy.arange(len(targets))
    print("perplexity: model, perplexity, error")
    for path in sorted(folder.glob("random-mha-*.logits.f32")):
        logits = numpy.fromfile(path, "<f4").astype(numpy.float64).reshape(len(ids), -1)
        losses = -log_softmax(logits[first : len(ids) - 1])[rows, targets]
        mean, error = mean_and_error(losses)
        perplexity = numpy.exp(mean)
        name = path.name.removeprefix("random-mha-").removesuffix(".logits.f32")
        print(f'    ("{name}", {perplexity:.9f}, {error * perplexity:.9f}),')


if __name__ == "__main__":
    main()
