"""Files of logits in the layout of llama.cpp's llama-perplexity, read and written with numpy alone, and the statistics
of Kullback-Leibler divergence in float64: an independent account of what croissant-gguf does.
"""

import numpy

MAGIC = b"_logits_"


class LogitsFile:
    """A file of logits."""

    def __init__(self, data: bytes):
        if data[:8] != MAGIC:
            raise SystemExit("not a file of logits")
        self.length, self.size, self.chunks = (int(n) for n in numpy.frombuffer(data, "<i4", 3, 8))
        self.tokens = numpy.frombuffer(data, "<i4", self.chunks * self.length, 20).reshape(self.chunks, self.length)
        self.scored = self.length - 1 - self.length // 2
        row = numpy.dtype([("scale", "<f4"), ("minimum", "<f4"), ("q", "<u2", 2 * ((self.size + 1) // 2))])
        offset = 20 + 4 * self.chunks * self.length
        if len(data) != offset + self.chunks * self.scored * row.itemsize:
            raise SystemExit(f"{len(data)} bytes of logits: not what their header says")
        self.rows = numpy.frombuffer(data, row, offset=offset).reshape(self.chunks, self.scored)

    def log_probabilities(self, chunk: int) -> numpy.ndarray:
        """Logarithms of probabilities (positions, vocabulary) of one chunk; single precision as llama.cpp has them,
        then float64."""
        rows = self.rows[chunk]
        q = rows["q"][:, : self.size].astype(numpy.float32)
        return (rows["minimum"][:, None] + rows["scale"][:, None] * q).astype(numpy.float64)

    def targets(self, chunk: int) -> numpy.ndarray:
        """The tokens that the scored positions of a chunk predict."""
        return self.tokens[chunk, self.length // 2 + 1 :]


def encode(logits: numpy.ndarray) -> bytes:
    """Rows (positions, vocabulary) of logits as a file holds them."""
    logits = logits.astype(numpy.float64)
    size = logits.shape[1]
    top = logits.max(axis=1)
    low = numpy.maximum(logits.min(axis=1), top - 16)
    scale = (top - low) / 65535
    normalizer = numpy.log(numpy.exp(logits - top[:, None]).sum(axis=1))
    rows = numpy.zeros(
        len(logits), [("scale", "<f4"), ("minimum", "<f4"), ("q", "<u2", 2 * ((size + 1) // 2))]
    )
    rows["scale"], rows["minimum"] = scale, low - top - normalizer
    distance = numpy.maximum(logits - low[:, None], 0)
    inverse = numpy.divide(1, scale, out=numpy.zeros_like(scale), where=scale > 0)
    rows["q"][:, :size] = numpy.rint(distance * inverse[:, None])
    return rows.tobytes()


def header(tokens: numpy.ndarray, size: int) -> bytes:
    """What a file with the tokens (chunks, length) of a vocabulary of `size` begins with."""
    chunks, length = tokens.shape
    return MAGIC + numpy.array([length, size, chunks], "<i4").tobytes() + tokens.astype("<i4").tobytes()


def log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Logits (positions, vocabulary) as natural logarithms of probabilities, in float64."""
    logits = logits.astype(numpy.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


class Divergence:
    """Positions compared so far."""

    def __init__(self):
        self.loss, self.base_loss, self.divergence, self.same = [], [], [], []

    def add(self, logits: numpy.ndarray, base: numpy.ndarray, targets: numpy.ndarray) -> None:
        """Compares logits with logarithms of base probabilities, both (positions, vocabulary)."""
        own = log_softmax(logits)
        rows = numpy.arange(len(targets))
        self.loss.append(-own[rows, targets])
        self.base_loss.append(-base[rows, targets])
        self.divergence.append(numpy.where(base > -16, numpy.exp(base) * (base - own), 0).sum(axis=1))
        self.same.append((logits.argmax(axis=1) == base.argmax(axis=1)).astype(numpy.float64))

    def statistics(self) -> dict[str, float]:
        """All figures, by the names that this program's JSON gives them."""
        loss, base = numpy.concatenate(self.loss), numpy.concatenate(self.base_loss)
        divergence, same = numpy.concatenate(self.divergence), numpy.concatenate(self.same)
        change = numpy.exp(-loss) - numpy.exp(-base)
        square = (change**2).mean()
        result = {
            "perplexity": numpy.exp(loss.mean()),
            "perplexity.error": numpy.exp(loss.mean()) * standard_error(loss),
            "basePerplexity": numpy.exp(base.mean()),
            "basePerplexity.error": numpy.exp(base.mean()) * standard_error(base),
            "logRatio": (loss - base).mean(),
            "logRatio.error": standard_error(loss - base),
            "sameTop": same.mean(),
            "sameTop.error": standard_error(same),
            "rootMeanSquareChange": square**0.5,
            "rootMeanSquareChange.error": 0.5 / square**0.5 * standard_error(change**2) if square else 0.0,
        }
        for name, values in (("divergence", divergence), ("probabilityChange", change)):
            result[f"{name}.mean"] = values.mean()
            result[f"{name}.mean.error"] = standard_error(values)
            for key, share in (("minimum", 0), ("median", 0.5), ("maximum", 1)):
                result[f"{name}.{key}"] = numpy.quantile(values, share)
            for percent in ("99.9", "99", "95", "90", "75", "25", "10", "5", "1", "0.1"):
                result[f"{name}.{percent}"] = numpy.quantile(values, float(percent) / 100)
        return {key: float(value) for key, value in result.items()}


def standard_error(values: numpy.ndarray) -> float:
    """Of the mean of values."""
    return values.std() / numpy.sqrt(len(values) - 1)
