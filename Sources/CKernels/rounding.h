/* How 32 or 64 activations become integers. `vectors`, a constant, is how many sixteens of them there are. */
#pragma once

#include "isa.h"

/* x ~ scale * q, q the integer nearest to x * reciprocal, or zero where the reciprocal is. */
typedef struct ck_rounding {
    float scale, reciprocal;
} ck_rounding;

typedef float ck_rounding_lanes __attribute__((vector_size(64)));
typedef int32_t ck_rounding_integers __attribute__((vector_size(64)));

/* The sum of the squared errors of rounding by `by`, in an order that is the same on every instruction set. */
CK_INLINE float ck_rounding_error(int vectors, const ck_rounding_lanes *x, ck_rounding by) {
    CK_DO_NOT_FUSE
    const float shift = 0x1.8p23f; /* adding it leaves the nearest integer in the lowest bits */
    ck_rounding_lanes squares = {0};
    CK_UNROLL
    for (int i = 0; i < vectors; i++) {
        const ck_rounding_lanes error = x[i] - ((x[i] * by.reciprocal + shift) - shift) * by.scale;
        squares += error * error;
    }
    float part[8], quarter[4];
    for (size_t i = 0; i < 8; i++) {
        part[i] = squares[i] + squares[i + 8];
    }
    for (size_t i = 0; i < 4; i++) {
        quarter[i] = part[i] + part[i + 4];
    }
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

/* Integers up to `limit` for some floats: 127, or enough for two bytes.
 *
 * The largest magnitude over 127 or over 126, whichever rounds with the smaller error: the two errors have little to
 * do with each other, so that the smaller one's square is 8% below that of always taking 127 (normally distributed
 * activations). What two bytes lose is not worth the trouble. Infinities and NaNs have no integers: the scale alone is
 * NaN, and so are all products with it. */
CK_INLINE ck_rounding ck_rounding_of(int vectors, const ck_rounding_lanes *x, float limit) {
    /* Without their sign bits floats order as integers do. */
    ck_rounding_integers larger = (ck_rounding_integers)x[0] & 0x7fffffff;
    CK_UNROLL
    for (int i = 1; i < vectors; i++) {
        const ck_rounding_integers next = (ck_rounding_integers)x[i] & 0x7fffffff;
        const ck_rounding_integers exceeds = next > larger;
        larger = (next & exceeds) | (larger & ~exceeds);
    }
#if defined(__clang__)
    const int32_t bits = __builtin_reduce_max(larger);
#else
    int32_t bits = larger[0];
    for (size_t i = 1; i < 16; i++) {
        bits = larger[i] > bits ? larger[i] : bits;
    }
#endif
    const float largest = ck_float((uint32_t)bits);
    /* The reciprocal of a still smaller number may be infinite. Such blocks count as zero. */
    if (largest < 0x1p-100f) {
        return (ck_rounding){0, 0};
    }
    if (bits >= 0x7f800000) {
        return (ck_rounding){__builtin_nanf(""), 0};
    }
    const ck_rounding usual = {largest / limit, limit / largest};
    if (limit != 127) {
        return usual;
    }
    const ck_rounding other = {largest / 126, 126 / largest};
    return ck_rounding_error(vectors, x, other) < ck_rounding_error(vectors, x, usual) ? other : usual;
}

/* Activations as integers, and the sum of each sixteen of them. */
typedef struct ck_rounded {
    ck_rounding_integers values[4];
    int32_t sums[4];
    float scale;
} ck_rounded;

#if defined(__clang__)
#define CK_SUM_OF_INTEGERS(lanes) __builtin_reduce_add(lanes)
#else
CK_INLINE int32_t ck_sum_of_integers(const ck_rounding_integers *lanes) {
    int32_t sum = 0;
    for (size_t i = 0; i < 16; i++) {
        sum += (*lanes)[i];
    }
    return sum;
}
#define CK_SUM_OF_INTEGERS(lanes) ck_sum_of_integers(&(lanes))
#endif

/* Rounds floats to integers up to `limit`. */
CK_INLINE void ck_round_activations(int vectors, const float *address, float limit, ck_rounded *out) {
    CK_DO_NOT_FUSE
    const float shift = 0x1.8p23f; /* as above */
    ck_rounding_lanes x[4];
    memcpy(x, address, (size_t)vectors * sizeof *x);
    const ck_rounding rounding = ck_rounding_of(vectors, x, limit);
    if (rounding.reciprocal == 0) {
        memset(x, 0, (size_t)vectors * sizeof *x);
    }
    CK_UNROLL
    for (int i = 0; i < vectors; i++) {
        const ck_rounding_lanes shifted = x[i] * rounding.reciprocal + shift;
        out->values[i] = (ck_rounding_integers)shifted - (ck_rounding_integers)((ck_rounding_lanes){0} + shift);
        out->sums[i] = CK_SUM_OF_INTEGERS(out->values[i]);
    }
    out->scale = rounding.scale;
}
