/* Rounding to -1, 0 and 1 as ggml's reference does, for TQ1_0 and TQ2_0. */
#pragma once

#include "isa.h"

/* Rounds 256 values over the largest magnitude, which it returns, to q - 1: q is 0, 1 or 2. */
CK_INLINE float ck_round_ternary(const float values[256], uint8_t q[256]) {
    uint32_t largest = 0; /* as bits without a sign, which order like magnitudes */
    for (size_t i = 0; i < 256; i++) {
        const uint32_t magnitude = ck_bits(values[i]) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    const float scale = ck_float(largest);
    const float reciprocal = largest < ck_bits(0x1p-127f) ? 0 : 1 / scale; /* which is finite */
    for (size_t i = 0; i < 256; i++) {
        const float value = values[i] * reciprocal; /* halves away from zero: a half has been reached or not */
        q[i] = (uint8_t)(1 + (value >= 0.5f) - (value <= -0.5f));
    }
    return scale;
}
