/* Rounding to the points of a grid, and the best scale for groups that are rounded so.
 *
 * The nearest point is found among all of them, for sixteen vectors at a time. What either half of a vector would gain
 * is tabled for every combination of levels that a half may have: a point is then one addition away. */
#pragma once

#include "quantize_search.h"

#define CK_GRID_POINTS 2048

/* Whether the levels of a grid may be moved by an eighth, up or down: never, all those of a group together, or those of
 * each point. */
typedef enum ck_grid_shift { CK_SHIFT_NONE, CK_SHIFT_GROUPS, CK_SHIFT_POINTS } ck_grid_shift;

/* What is known of a type when its code is compiled. */
typedef struct ck_grid_format {
    size_t dimensions;      /* weights of a point, 4 or 8 */
    size_t levels;          /* that a weight may have, 3 or 8 */
    ck_grid_shift shift;
    float most;             /* a group's scale is an odd multiple of the block's, at most this one */
    size_t groups_of_block;
} ck_grid_format;

/* The points of a grid, as they are searched. */
typedef struct ck_grid {
    size_t count;
    float level[8];
    uint8_t digits[CK_GRID_POINTS][8]; /* of each weight, which level it has */
    uint8_t half[2][CK_GRID_POINTS];   /* the numbers that the digits of either half make, the first the lowest */
} ck_grid;

/* Fills `half` from the digits. */
CK_INLINE void ck_number_halves(ck_grid_format format, ck_grid *grid) {
    const size_t length = format.dimensions / 2;
    for (size_t point = 0; point < grid->count; point++) {
        for (size_t half = 0; half < 2; half++) {
            size_t number = 0;
            for (size_t i = length; i-- > 0;) {
                number = format.levels * number + grid->digits[point][half * length + i];
            }
            grid->half[half][point] = (uint8_t)number;
        }
    }
}

/* The points nearest to the vectors x[0] to x[dimensions - 1] times `inverse`, in the units of the levels, all of which
 * are moved by `shift`; and by how much less the error is than that of w = 0. */
CK_INLINE void ck_nearest_points(
    ck_grid_format format, const ck_grid *grid, const ck_lanes *x, const ck_lanes *importance,
    const ck_lanes *inverse, float shift, ck_int_lanes *points, ck_lanes *gain) {
    CK_DO_NOT_FUSE
    ck_lanes table[2][81];
    for (size_t half = 0; half < 2; half++) {
        size_t count = 1;
        table[half][0] = CK_SPLAT(0.0f);
        for (size_t k = 0; k < format.dimensions / 2; k++) {
            const size_t i = half * format.dimensions / 2 + k;
            const ck_lanes twice = 2.0f * x[i] * *inverse;
            /* Backwards, so that the entries that the others are made from are written last. */
            for (size_t level = format.levels; level-- > 0;) {
                const float value = grid->level[level] + shift;
                ck_lanes part = (twice - value) * value; /* x * x - (x - value)^2 */
                if (importance != NULL) {
                    part *= importance[i];
                }
                for (size_t number = 0; number < count; number++) {
                    table[half][level * count + number] = table[half][number] + part;
                }
            }
            count *= format.levels;
        }
    }
    *gain = table[0][grid->half[0][0]] + table[1][grid->half[1][0]];
    *points = (ck_int_lanes){0};
    for (size_t point = 1; point < grid->count; point++) {
        const ck_lanes sum = table[0][grid->half[0][point]] + table[1][grid->half[1][point]];
        const ck_int_lanes better = sum > *gain;
        *gain = CK_SELECT(better, sum, *gain);
        *points = (((ck_int_lanes){0} + (int32_t)point) & better) | (*points & ~better);
    }
}

/* Added to the number of a point whose levels are an eighth lower, not higher. */
#define CK_POINT_IS_LOWER CK_GRID_POINTS

/* Blocks whose groups are rounded to points of a grid, with scales that are odd multiples of the block's. */
typedef struct ck_grid_blocks {
    uint16_t halves[CK_LANES]; /* the block's scale as an f16, in the lanes of all its groups */
    ck_lanes scale;            /* the same as a float */
    ck_lanes multiples;        /* of each group */
    ck_lanes gain;             /* how much less the squared error of each group is than that of w = 0 */
    ck_int_lanes points[8];    /* of each vector of a group */
} ck_grid_blocks;

/* Takes what is better of the points of `count` vectors. */
CK_INLINE void ck_take_points(
    const ck_int_lanes *better, const ck_int_lanes *points, size_t count, ck_int_lanes *best) {
    for (size_t v = 0; v < count; v++) {
        best[v] = (points[v] & *better) | (best[v] & ~*better);
    }
}

/* Rounds the groups with other multiples of the block's scale, and keeps what is better. */
CK_INLINE void ck_try_multiples(
    ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, const ck_lanes *multiples,
    ck_grid_blocks *blocks) {
    CK_DO_NOT_FUSE
    const size_t count = groups->size / format.dimensions;
    const ck_lanes scale = blocks->scale * *multiples, inverse = CK_QUOTIENT(CK_SPLAT(1.0f), scale);
    const float shift = format.shift == CK_SHIFT_NONE ? 0 : 0.125f;
    ck_int_lanes points[8], lower_points[8];
    ck_lanes sum = CK_SPLAT(0.0f), lower_sum = CK_SPLAT(0.0f);
    for (size_t v = 0; v < count; v++) {
        const ck_lanes *x = groups->x + v * format.dimensions;
        const ck_lanes *importance = groups->has_importance ? groups->importance + v * format.dimensions : NULL;
        ck_lanes gain, lower_gain;
        ck_nearest_points(format, grid, x, importance, &inverse, shift, &points[v], &gain);
        if (format.shift != CK_SHIFT_NONE) {
            ck_nearest_points(format, grid, x, importance, &inverse, -shift, &lower_points[v], &lower_gain);
            lower_points[v] += CK_POINT_IS_LOWER;
        }
        if (format.shift == CK_SHIFT_GROUPS) {
            lower_sum += lower_gain;
        } else if (format.shift == CK_SHIFT_POINTS) {
            const ck_int_lanes better = lower_gain > gain;
            gain = CK_SELECT(better, lower_gain, gain);
            ck_take_points(&better, &lower_points[v], 1, &points[v]);
        }
        sum += gain;
    }
    if (format.shift == CK_SHIFT_GROUPS) {
        const ck_int_lanes better = lower_sum > sum;
        sum = CK_SELECT(better, lower_sum, sum);
        ck_take_points(&better, lower_points, count, points);
    }
    const ck_lanes gain = sum * scale * scale;
    const ck_int_lanes better = gain > blocks->gain;
    blocks->gain = CK_SELECT(better, gain, blocks->gain);
    blocks->multiples = CK_SELECT(better, *multiples, blocks->multiples);
    ck_take_points(&better, points, count, blocks->points);
}

/* The odd numbers from 1 to `most` near some numbers. */
#define CK_ODD(numbers, most) (2.0f * CK_ROUND_TO(0.5f * (numbers) - 0.5f, 0, ((most) - 1) / 2) + 1.0f)

/* Rounds the groups with multiples of the block's scale near to some numbers, and with their neighbours. */
CK_INLINE void ck_round_to_grid(
    ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, const ck_lanes *near,
    ck_grid_blocks *blocks) {
    const ck_lanes middle = CK_ODD(*near, format.most);
    blocks->gain = CK_SPLAT(-0x1p126f);
    blocks->multiples = CK_SPLAT(1.0f);
    memset(blocks->points, 0, sizeof blocks->points);
    for (int k = -1; k <= 1; k++) {
        const ck_lanes multiples = CK_ODD(middle + 2.0f * (float)k, format.most);
        ck_try_multiples(format, grid, groups, &multiples, blocks);
    }
}

/* The scale of each block that is best for its points and multiples. */
CK_INLINE void ck_fit_grid_blocks(
    ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, ck_grid_blocks *blocks) {
    CK_DO_NOT_FUSE
    ck_lanes xq = CK_SPLAT(0.0f), qq = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        ck_lanes q;
        for (size_t lane = 0; lane < CK_LANES; lane++) {
            const int32_t point = blocks->points[i / format.dimensions][lane];
            q[lane] = grid->level[grid->digits[point % CK_GRID_POINTS][i % format.dimensions]];
            if (format.shift != CK_SHIFT_NONE) {
                q[lane] += point < CK_POINT_IS_LOWER ? 0.125f : -0.125f;
            }
        }
        const ck_lanes wq = groups->has_importance ? groups->importance[i] * q : q;
        xq += groups->x[i] * wq;
        qq += q * wq;
    }
    xq *= blocks->multiples;
    qq *= blocks->multiples * blocks->multiples;
    for (size_t first = 0; first < CK_LANES; first += format.groups_of_block) {
        float xq_sum = 0, qq_sum = 0;
        for (size_t k = first; k < first + format.groups_of_block; k++) {
            xq_sum += xq[k];
            qq_sum += qq[k];
        }
        for (size_t k = first; k < first + format.groups_of_block; k++) {
            blocks->scale[k] = qq_sum > 0x1p-100f && xq_sum > 0 ? xq_sum / qq_sum : blocks->scale[k];
        }
    }
}

/* Blocks of points, from the best scales of the groups without a grid. `unit`, a power of two, is what a level of 1 is
 * worth in the file. */
CK_INLINE void ck_search_grid_blocks(
    ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, const ck_lanes *scales, float unit,
    ck_grid_blocks *blocks) {
    CK_DO_NOT_FUSE
    ck_lanes largest;
    ck_block_maximum(scales, format.groups_of_block, &largest);
    /* Points that are missing from the grid make the best scales a little larger. */
    blocks->scale = 1.05f / unit / format.most * largest;
    for (int k = 0; k < 2; k++) {
        ck_round_to_halves(&blocks->scale, blocks->halves);
        blocks->scale *= unit;
        const ck_lanes near = k == 0 ? CK_QUOTIENT(1.05f * *scales, blocks->scale) : blocks->multiples;
        ck_round_to_grid(format, grid, groups, &near, blocks);
        if (k == 0) {
            ck_fit_grid_blocks(format, grid, groups, blocks);
            blocks->scale /= unit;
        }
    }
}

/* Makes magnitudes of the weights of the groups; their signs, of eight weights from 8 v on, are `signs[v]`. Where the
 * number of minus signs has to be even, the weight that matters least keeps the wrong one: it becomes negative. */
CK_INLINE void ck_take_signs(ck_lane_groups *groups, bool even, uint8_t signs[4][CK_LANES]) {
    CK_DO_NOT_FUSE
    for (size_t v = 0; v < groups->size / 8; v++) {
        ck_lanes *const x = groups->x + 8 * v;
        ck_int_lanes bits = {0}, count = {0};
        ck_lanes smallest = CK_SPLAT(ck_float(0x7f800000));
        ck_int_lanes least = {0};
        for (int k = 0; k < 8; k++) {
            const ck_int_lanes negative = x[k] < 0.0f;
            bits |= negative & (1 << k);
            count ^= negative;
            x[k] = CK_MAGNITUDE(x[k]);
            const ck_lanes cost = groups->has_importance ? x[k] * groups->importance[8 * v + (size_t)k] : x[k];
            const ck_int_lanes better = cost < smallest;
            smallest = CK_SELECT(better, cost, smallest);
            least = (better & (1 << k)) | (least & ~better);
        }
        if (even) {
            least &= count;
            bits ^= least;
            for (int k = 0; k < 8; k++) {
                x[k] = CK_SELECT((least & (1 << k)) != 0, -x[k], x[k]);
            }
        }
        for (size_t lane = 0; lane < CK_LANES; lane++) {
            signs[v][lane] = (uint8_t)bits[lane];
        }
    }
}

/* A group's multiple 2 s + 1 as s. */
CK_INLINE unsigned ck_steps(const ck_grid_blocks *blocks, size_t lane) {
    return (unsigned)blocks->multiples[lane] / 2;
}

/* Defines the quantisers of a type whose function also takes a grid, which OPEN makes once for all rows. */
#define CK_DEFINE_GRID_QUANTIZER_FOR(S, TARGET, NAME, BATCH, OPEN, QUANTIZE)                                         \
    TARGET static void quantize_##NAME##_##S(CK_QUANTIZE_PARAMETERS) {                                               \
        const size_t bytes = sizeof(ck_block_##NAME);                                                                \
        ck_grid grid;                                                                                                \
        OPEN(&grid);                                                                                                 \
        if (importance == NULL) {                                                                                    \
            ck_quantize_batches(QUANTIZE, &grid, false, BATCH, 256, bytes, values, rows, columns, NULL, blocks);     \
        } else {                                                                                                     \
            ck_quantize_batches(QUANTIZE, &grid, true, BATCH, 256, bytes, values, rows, columns, importance, blocks);\
        }                                                                                                            \
    }
#if defined(__x86_64__)
#define CK_DEFINE_GRID_QUANTIZER(NAME, BATCH, OPEN, QUANTIZE)                                                        \
    CK_DEFINE_GRID_QUANTIZER_FOR(scalar, CK_SCALAR, NAME, BATCH, OPEN, QUANTIZE)                                     \
    CK_DEFINE_GRID_QUANTIZER_FOR(avx2, CK_AVX2, NAME, BATCH, OPEN, QUANTIZE)                                         \
    CK_DEFINE_GRID_QUANTIZER_FOR(avx512, CK_AVX512, NAME, BATCH, OPEN, QUANTIZE)                                     \
    CK_QUANTIZERS(NAME)
#else
#define CK_DEFINE_GRID_QUANTIZER(NAME, BATCH, OPEN, QUANTIZE)                                                        \
    CK_DEFINE_GRID_QUANTIZER_FOR(scalar, CK_SCALAR, NAME, BATCH, OPEN, QUANTIZE)                                     \
    CK_QUANTIZERS(NAME)
#endif
