"""Prints the table of DequantizationTests.swift: hashes of what gguf's own dequantisers make of pseudo-random blocks.

    python3 -m venv venv && venv/bin/pip install gguf==0.19.0
    venv/bin/python make_dequantization_hashes.py

The package's dequantisers are written in numpy and share nothing with those of this project. Types that it has none for
(F64, Q1_0, Q2_0) are left out.
"""

import gguf
import numpy

WEIGHTS = 65536
MASK = (1 << 64) - 1

# What keeps the numbers of a block finite: bytes of it, and the bits of each that stay. In an f16 without bit 14 the
# exponent is at most 15, so that it is below 2; four bits of the f16 of IQ1_M are the upper half of its last byte.
FINITE = {
    "F32": {3: 0xBF}, "F16": {1: 0xBF}, "BF16": {1: 0xBF},
    "Q4_0": {1: 0xBF}, "Q4_1": {1: 0xBF, 3: 0xBF}, "Q5_0": {1: 0xBF}, "Q5_1": {1: 0xBF, 3: 0xBF}, "Q8_0": {1: 0xBF},
    "Q2_K": {81: 0xBF, 83: 0xBF}, "Q3_K": {109: 0xBF}, "Q4_K": {1: 0xBF, 3: 0xBF}, "Q5_K": {1: 0xBF, 3: 0xBF},
    "Q6_K": {209: 0xBF},
    "IQ1_S": {1: 0xBF}, "IQ1_M": {55: 0xBF}, "IQ2_XXS": {1: 0xBF}, "IQ2_XS": {1: 0xBF}, "IQ2_S": {1: 0xBF},
    "IQ3_XXS": {1: 0xBF}, "IQ3_S": {1: 0xBF}, "IQ4_NL": {1: 0xBF}, "IQ4_XS": {1: 0xBF},
    "TQ1_0": {53: 0xBF}, "TQ2_0": {65: 0xBF},
    "MXFP4": {0: 0x7F}, "NVFP4": {},
}


def random_bytes(seed, count):
    """The upper halves of splitmix64's numbers, a byte of each."""
    state = seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield ((z ^ (z >> 31)) >> 32) & 0xFF


def fnv1a(data):
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


for kind in gguf.GGMLQuantizationType:
    if kind.name not in FINITE:
        continue
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = numpy.fromiter(random_bytes(kind.value, WEIGHTS // block * size), dtype=numpy.uint8).reshape(-1, size)
    for byte, bits in FINITE[kind.name].items():
        blocks[:, byte] &= bits
    weights = gguf.dequantize(blocks.reshape(1, -1), kind).astype("<f4")
    assert weights.size == WEIGHTS and numpy.isfinite(weights).all(), kind.name
    print(f"    (CK_TYPE_{kind.name}, 0x{fnv1a(weights.tobytes()):019_x}),")
