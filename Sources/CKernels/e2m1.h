/* Four-bit floats, E2M1 of the Open Compute Project's MX formats, for MXFP4 and NVFP4: a sign, two bits of exponent,
 * one of mantissa. */
#pragma once

#include "group.h"

/* Twice the number of each code. Minus zero is not told apart. */
static const int8_t ck_e2m1_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* The numbers in ascending order, with 128 added: what panels hold places in. */
static const uint8_t ck_e2m1_codebook[16] = {
    128 - 12, 128 - 8, 128 - 6, 128 - 4, 128 - 3, 128 - 2, 128 - 1, 128, 128 + 1, 128 + 2, 128 + 3, 128 + 4, 128 + 6,
    128 + 8,  128 + 12, 255};

/* 32 codes: the lower halves of 8 bytes, the upper ones, and the same for 8 bytes more. */
CK_INLINE void ck_unpack_nibbles_of_8(const uint8_t low[16], ck_bytes *out) {
    uint64_t first, second;
    memcpy(&first, low, sizeof first);
    memcpy(&second, low + 8, sizeof second);
    const ck_long_words eights = {first, first, second, second};
    *out = (ck_bytes)(eights >> (ck_long_words){0, 4, 0, 4} & 0x0f0f0f0f0f0f0f0f);
}
