/* Four-bit floats, E2M1 of the Open Compute Project's MX formats, for MXFP4 and NVFP4: a sign, two bits of exponent,
 * one of mantissa. */
#pragma once

#include "group.h"

/* Twice the number of each code. Minus zero is not told apart. */
static const int8_t ck_e2m1_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* The lower halves of 16 bytes, then the upper ones. */
CK_INLINE void ck_unpack_nibbles(const uint8_t low[16], ck_bytes *out) {
    ck_unsigned_bytes both;
    memcpy(&both, low, 16);
    memcpy((uint8_t *)&both + 16, low, 16);
    *out = (ck_bytes)((ck_words)both >> (ck_words){0, 0, 0, 0, 4, 4, 4, 4} & 0x0f0f0f0f);
}

/* The same for 8 bytes and 8 more: weights i, then i + 8, of each. */
CK_INLINE void ck_unpack_nibbles_of_8(const uint8_t low[16], ck_bytes *out) {
    uint64_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, low + 8, sizeof second);
    const ck_long_words eights = {first, first, second, second};
    *out = (ck_bytes)(eights >> (ck_long_words){0, 4, 0, 4} & 0x0f0f0f0f0f0f0f0f);
}
