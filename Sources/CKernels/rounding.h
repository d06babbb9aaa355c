/* How blocks of 32 or 64 activations become integers, four blocks at a time: what combines all lanes of a vector costs
 * as much as all the rest, and four vectors share it. `vectors`, a constant, is how many sixteens a block has. */
#pragma once

#include "isa.h"

typedef float ck_rounding_lanes __attribute__((vector_size(64)));
typedef int32_t ck_rounding_integers __attribute__((vector_size(64)));
/* A number of each of four blocks. */
typedef float ck_four_floats __attribute__((vector_size(16)));
typedef int32_t ck_four_integers __attribute__((vector_size(16)));

/* ---- Across lanes ----------------------------------------------------------------------------- */

#define CK_ADD(a, b) ((a) + (b))
#if defined(__clang__)
#define CK_LARGER(a, b) __builtin_elementwise_max(a, b)
#else
#define CK_LARGER(a, b) (((a) & ((a) > (b))) | ((b) & ~((a) > (b))))
#endif

/* Defines `name`: (*out)[b] = all lanes of vectors[b] combined, at first with those eight lanes away, at last with
 * their neighbours: an order that is the same on every instruction set. */
#define CK_DEFINE_ACROSS(name, wide, narrow, COMBINE)                                                                \
    CK_INLINE void name(const wide vectors[4], narrow *out) {                                                        \
        CK_DO_NOT_FUSE                                                                                               \
        wide halves[2];                                                                                              \
        CK_UNROLL                                                                                                    \
        for (int i = 0; i < 2; i++) {                                                                                \
            const wide a = vectors[2 * i], b = vectors[2 * i + 1];                                                   \
            halves[i] = COMBINE(                                                                                     \
                __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),               \
                __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));        \
        }                                                                                                            \
        const wide a = halves[0], b = halves[1];                                                                     \
        const wide quarters = COMBINE(                                                                               \
            __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),                 \
            __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));              \
        const wide pairs = COMBINE(                                                                                  \
            quarters, __builtin_shufflevector(                                                                       \
                quarters, quarters, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));                          \
        const wide all = COMBINE(                                                                                    \
            pairs,                                                                                                   \
            __builtin_shufflevector(pairs, pairs, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));            \
        *out = __builtin_shufflevector(all, all, 0, 4, 8, 12);                                                       \
    }

CK_DEFINE_ACROSS(ck_across_sum, ck_rounding_lanes, ck_four_floats, CK_ADD)
CK_DEFINE_ACROSS(ck_across_integer_sum, ck_rounding_integers, ck_four_integers, CK_ADD)
CK_DEFINE_ACROSS(ck_across_maximum, ck_rounding_integers, ck_four_integers, CK_LARGER)

/* ---- Scales ----------------------------------------------------------------------------------- */

/* All bits where a < b, none elsewhere: for integers that are not negative, and floats that are not by their bits. A
 * comparison would have its result in a register of another kind on AVX-512. Of NaNs, whose rounding nobody takes, it
 * says anything. */
#define CK_IS_BELOW(a, b) (((ck_four_integers)(a) - (ck_four_integers)(b)) >> 31)

/* `yes` where all bits of `condition` are set, `no` where none is. */
#define CK_SELECT_FOUR(condition, yes, no) \
    ((ck_four_floats)(((ck_four_integers)(yes) & (condition)) | ((ck_four_integers)(no) & ~(condition))))

/* How four blocks are rounded: x ~ scale * q, q the integer nearest to x * reciprocal. */
typedef struct ck_rounding {
    ck_four_floats scale, reciprocal;
    ck_four_integers has_integers; /* all bits; none where all q are zero */
} ck_rounding;

/* The bits of the largest magnitudes of four blocks. */
CK_INLINE void ck_find_largest(int vectors, const float *const blocks[4], ck_four_integers *out) {
    ck_rounding_integers larger[4];
    CK_UNROLL
    for (int b = 0; b < 4; b++) {
        CK_UNROLL
        for (int i = 0; i < vectors; i++) {
            /* Without their sign bits floats order as integers do. */
            ck_rounding_integers next;
            memcpy(&next, blocks[b] + 16 * i, sizeof next);
            next &= 0x7fffffff;
            larger[b] = i == 0 ? next : CK_LARGER(larger[b], next);
        }
    }
    ck_across_maximum(larger, out);
}

/* The sums of the squared errors of rounding four blocks by `by`. */
CK_INLINE void ck_rounding_errors(
    int vectors, const float *const blocks[4], const ck_rounding *by, ck_four_floats *out) {
    CK_DO_NOT_FUSE
    const float shift = 0x1.8p23f; /* adding it leaves the nearest integer in the lowest bits */
    ck_rounding_lanes squares[4];
    CK_UNROLL
    for (int b = 0; b < 4; b++) {
        CK_UNROLL
        for (int i = 0; i < vectors; i++) {
            ck_rounding_lanes value;
            memcpy(&value, blocks[b] + 16 * i, sizeof value);
            const ck_rounding_lanes error =
                value - ((value * by->reciprocal[b] + shift) - shift) * by->scale[b];
            squares[b] = i == 0 ? error * error : squares[b] + error * error;
        }
    }
    ck_across_sum(squares, out);
}

/* Fours of blocks whose rounding is found together: enough for the vectors of a tile. */
#define CK_MOST_FOURS ((CK_TILE_VECTORS + 3) / 4)

/* Blocks in fours, and how they are rounded. */
typedef struct ck_fours {
    const float *start[CK_MOST_FOURS][4];
    ck_rounding rounding[CK_MOST_FOURS];
} ck_fours;

/* How to round four times `count` blocks to integers up to `limit`: 127, or more in 16 bits.
 *
 * The largest magnitude over 127 or over 126, whichever rounds with the smaller error: the two errors have little to
 * do with each other, so that the smaller one's square is 8% below that of always taking 127 (normally distributed
 * activations). What 16 bits lose is not worth the trouble. Infinities and NaNs have no integers: the scale alone is
 * NaN, and so are all products with it.
 *
 * Every step is a chain of operations that wait for one another: several fours, step by step, hide that. */
CK_INLINE void ck_find_roundings(int vectors, size_t count, float limit, ck_fours *fours) {
    ck_four_integers largest[CK_MOST_FOURS];
    for (size_t i = 0; i < count; i++) {
        ck_find_largest(vectors, fours->start[i], &largest[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const float *const *const blocks = fours->start[i];
        const ck_four_integers bits = largest[i], zero = {0};
        ck_rounding rounding = {(ck_four_floats)bits / limit, limit / (ck_four_floats)bits, zero};
        if (limit == 127) {
            const ck_rounding other = {(ck_four_floats)bits / 126, 126 / (ck_four_floats)bits, zero};
            ck_four_floats error, other_error;
            ck_rounding_errors(vectors, blocks, &rounding, &error);
            ck_rounding_errors(vectors, blocks, &other, &other_error);
            const ck_four_integers is_better = CK_IS_BELOW(other_error, error);
            rounding.scale = CK_SELECT_FOUR(is_better, other.scale, rounding.scale);
            rounding.reciprocal = CK_SELECT_FOUR(is_better, other.reciprocal, rounding.reciprocal);
        }
        /* The reciprocal of a number below 2^-100 may be infinite. Such blocks count as zero. */
        const ck_four_integers is_finite = CK_IS_BELOW(bits, zero + 0x7f800000);
        rounding.has_integers = is_finite & ~CK_IS_BELOW(bits, zero + ((127 - 100) << 23));
        rounding.scale = (ck_four_floats)(
            ((ck_four_integers)rounding.scale & rounding.has_integers) | (~is_finite & 0x7fc00000));
        fours->rounding[i] = rounding;
    }
}

/* The first block of four number i of n. The last four overlap those before them where n is no multiple. */
CK_INLINE size_t ck_first_of_four(size_t i, size_t n) {
    return 4 * i + 4 <= n ? 4 * i : n - 4;
}

/* n blocks, from 4 to 4 * CK_MOST_FOURS, `stride` floats apart, and how they are rounded. The last of `rows` stands for
 * those that are missing. */
CK_INLINE void ck_take_fours(
    int vectors, const float *x, size_t stride, size_t rows, size_t n, float limit, ck_fours *out) {
    const size_t count = (n + 3) / 4;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < 4; k++) {
            const size_t row = ck_first_of_four(i, n) + k;
            out->start[i][k] = x + (row < rows ? row : rows - 1) * stride;
        }
    }
    ck_find_roundings(vectors, count, limit, out);
}

/* ---- Integers --------------------------------------------------------------------------------- */

/* Four blocks of activations as integers, and the sum of each sixteen of them. */
typedef struct ck_rounded {
    ck_rounding_integers values[4][4]; /* [block][sixteen] */
    ck_four_integers sums[4];          /* [sixteen][block] */
} ck_rounded;

/* Rounds four blocks. */
CK_INLINE void ck_round(int vectors, const float *const blocks[4], const ck_rounding *by, ck_rounded *out) {
    CK_DO_NOT_FUSE
    const float shift = 0x1.8p23f; /* as above */
    CK_UNROLL
    for (int i = 0; i < vectors; i++) {
        ck_rounding_integers sixteen[4];
        CK_UNROLL
        for (int b = 0; b < 4; b++) {
            ck_rounding_lanes value;
            memcpy(&value, blocks[b] + 16 * i, sizeof value);
            const ck_rounding_lanes shifted = value * by->reciprocal[b] + shift;
            sixteen[b] = (ck_rounding_integers)shifted - (ck_rounding_integers)((ck_rounding_lanes){0} + shift);
            sixteen[b] &= by->has_integers[b];
            out->values[b][i] = sixteen[b];
        }
        ck_across_integer_sum(sixteen, &out->sums[i]);
    }
}
