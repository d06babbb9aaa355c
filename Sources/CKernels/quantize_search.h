/* The best scale, or the best scale and minimum, of sixteen groups at a time: first free, then as the small multiples
 * of a block's scale that K-quants store. */
#pragma once

#include "quantize.h"

/* Rounds numbers to those that a type's weights are multiples of. */
typedef void (*ck_round)(ck_lanes *numbers);

/* Trials of a search: what a group's largest magnitude, or its range, may become. */
typedef struct ck_trials {
    float first, step;
    size_t count;
} ck_trials;

/* Numbers from `lowest` to `highest`, rounded to whole ones. Clamped first, because only small numbers are rounded
 * correctly. */
#define CK_ROUND_TO(numbers, lowest, highest) \
    CK_NEAREST(CK_MIN(CK_MAX(numbers, CK_SPLAT((float)(lowest))), CK_SPLAT((float)(highest))))

/* One number for each block of a batch, from the lanes of its groups, in all of them: the largest. */
CK_INLINE void ck_block_maximum(const ck_lanes *lanes, size_t groups_of_block, ck_lanes *maximum) {
    for (size_t first = 0; first < CK_LANES; first += groups_of_block) {
        float largest = (*lanes)[first];
        for (size_t k = 1; k < groups_of_block; k++) {
            largest = (*lanes)[first + k] > largest ? (*lanes)[first + k] : largest;
        }
        for (size_t k = 0; k < groups_of_block; k++) {
            (*maximum)[first + k] = largest;
        }
    }
}

/* Halves as they are stored, and what they mean. */
CK_INLINE void ck_round_to_halves(ck_lanes *lanes, uint16_t halves[CK_LANES]) {
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        halves[lane] = ck_f32_to_f16((*lanes)[lane]);
        (*lanes)[lane] = ck_f16_to_f32(halves[lane]);
    }
}

/* ---- w = scale * q ----------------------------------------------------------------------- */

/* The best scales found so far, and how much less the squared error is than that of w = 0. */
typedef struct ck_scales {
    ck_lanes scale, gain;
} ck_scales;

/* The scale for which  w = scale * q  comes closest to each group, if it is better than that found so far. `extreme`
 * becomes each number of the trials; for the q that the group then rounds to, the best scale is known. */
CK_INLINE void ck_search_scale_from(
    const ck_lane_groups *groups, ck_round round, ck_trials trials, const ck_lanes *extreme, ck_scales *found) {
    CK_DO_NOT_FUSE
    const ck_lanes reciprocal = CK_QUOTIENT(CK_SPLAT(1.0f), *extreme);
    for (size_t k = 0; k < trials.count; k++) {
        const ck_lanes inverse = (trials.first + trials.step * (float)k) * reciprocal;
        ck_lanes xq = CK_SPLAT(0.0f), qq = CK_SPLAT(0.0f);
        for (size_t i = 0; i < groups->size; i++) {
            ck_lanes q = groups->x[i] * inverse;
            round(&q);
            const ck_lanes wq = groups->has_importance ? groups->importance[i] * q : q;
            xq += groups->x[i] * wq;
            qq += q * wq;
        }
        const ck_lanes candidate = CK_QUOTIENT(xq, qq);
        const ck_lanes gain = xq * candidate;
        const ck_int_lanes better = gain > found->gain;
        found->gain = CK_SELECT(better, gain, found->gain);
        found->scale = CK_SELECT(better, candidate, found->scale);
    }
}

/* The value of the largest magnitude of each group. */
CK_INLINE void ck_find_extremes(const ck_lane_groups *groups, ck_lanes *extreme) {
    *extreme = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        *extreme = CK_SELECT(CK_MAGNITUDE(groups->x[i]) > CK_MAGNITUDE(*extreme), groups->x[i], *extreme);
    }
}

/* The best scale, of either sign; the trials are for the value of the largest magnitude. */
CK_INLINE void ck_search_scale(const ck_lane_groups *groups, ck_round round, ck_trials trials, ck_scales *found) {
    ck_lanes extreme;
    ck_find_extremes(groups, &extreme);
    ck_search_scale_from(groups, round, trials, &extreme, found);
}

/* The best scale that is positive; the trials are for the largest magnitude. */
CK_INLINE void ck_search_positive_scale(
    const ck_lane_groups *groups, ck_round round, ck_trials trials, ck_scales *found) {
    ck_lanes extreme;
    ck_find_extremes(groups, &extreme);
    extreme = CK_MAGNITUDE(extreme);
    ck_search_scale_from(groups, round, trials, &extreme, found);
}

/* The squared error of each group when it is rounded by a scale. */
CK_INLINE void ck_scale_error(
    const ck_lane_groups *groups, ck_round round, const ck_lanes *scale, ck_lanes *error) {
    CK_DO_NOT_FUSE
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), *scale);
    *error = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        ck_lanes q = groups->x[i] * inverse;
        round(&q);
        const ck_lanes rest = groups->x[i] - *scale * q;
        const ck_lanes square = rest * rest;
        *error += groups->has_importance ? groups->importance[i] * square : square;
    }
}

/* Blocks whose groups have scales that are whole multiples of the block's. */
typedef struct ck_scaled_blocks {
    uint16_t halves[CK_LANES]; /* the block's scale as an f16, in the lanes of all its groups */
    ck_lanes scale;            /* the same as a float */
    ck_lanes multiples;        /* of each group */
    ck_lanes q[CK_GROUP];      /* of each weight */
} ck_scaled_blocks;

/* The best of each group's multiple and its two neighbours, by the error of rounding with it. */
CK_INLINE void ck_improve_multiples(
    const ck_lane_groups *groups, ck_round round, ck_round round_multiples, ck_scaled_blocks *blocks) {
    CK_DO_NOT_FUSE
    const ck_lanes start = blocks->multiples;
    ck_lanes least = CK_SPLAT(0x1p126f);
    for (int k = 0; k < 3; k++) {
        ck_lanes multiple = start + (k == 0 ? 0.0f : k == 1 ? -1.0f : 1.0f), error;
        round_multiples(&multiple);
        const ck_lanes scale = blocks->scale * multiple;
        ck_scale_error(groups, round, &scale, &error);
        const ck_int_lanes better = error < least;
        least = CK_SELECT(better, error, least);
        blocks->multiples = CK_SELECT(better, multiple, blocks->multiples);
    }
}

/* The q of all weights; and the scale of each block that is best for them, unless that is nonsense. */
CK_INLINE void ck_round_by_scales(
    const ck_lane_groups *groups, ck_round round, size_t groups_of_block, ck_scaled_blocks *blocks, ck_lanes *best) {
    CK_DO_NOT_FUSE
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), blocks->scale * blocks->multiples);
    ck_lanes xq = CK_SPLAT(0.0f), qq = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        ck_lanes q = groups->x[i] * inverse;
        round(&q);
        const ck_lanes wq = groups->has_importance ? groups->importance[i] * q : q;
        blocks->q[i] = q;
        xq += groups->x[i] * wq;
        qq += q * wq;
    }
    xq *= blocks->multiples;
    qq *= blocks->multiples * blocks->multiples;
    for (size_t first = 0; first < CK_LANES; first += groups_of_block) {
        float xq_sum = 0, qq_sum = 0;
        for (size_t k = 0; k < groups_of_block; k++) {
            xq_sum += xq[first + k];
            qq_sum += qq[first + k];
        }
        for (size_t k = 0; k < groups_of_block; k++) {
            (*best)[first + k] = qq_sum > 0x1p-100f ? xq_sum / qq_sum : blocks->scale[first];
        }
    }
}

/* Blocks of groups whose weights are  block scale * multiple * q,  from the best scales of the groups by themselves;
 * the lowest multiple, which is negative, reaches furthest. */
CK_INLINE void ck_search_scaled_blocks(
    const ck_lane_groups *groups, ck_round round, ck_round round_multiples, float lowest_multiple,
    const ck_lanes *scales, size_t groups_of_block, ck_scaled_blocks *blocks) {
    CK_DO_NOT_FUSE
    ck_lanes best, highest, lowest;
    const ck_lanes opposite = -*scales;
    ck_block_maximum(scales, groups_of_block, &highest);
    ck_block_maximum(&opposite, groups_of_block, &lowest);
    blocks->scale = CK_SELECT(lowest > highest, -lowest, highest) / lowest_multiple;
    ck_round_to_halves(&blocks->scale, blocks->halves);
    blocks->multiples = CK_QUOTIENT(*scales, blocks->scale);
    round_multiples(&blocks->multiples);
    ck_improve_multiples(groups, round, round_multiples, blocks);
    ck_round_by_scales(groups, round, groups_of_block, blocks, &best);
    blocks->scale = best;
    ck_round_to_halves(&blocks->scale, blocks->halves);
    ck_improve_multiples(groups, round, round_multiples, blocks);
    ck_round_by_scales(groups, round, groups_of_block, blocks, &best);
}

/* ---- w = scale * q - minimum ------------------------------------------------------------- */

/* The scale and the minimum for which  w = scale * q - minimum,  q = 0 to `highest`, comes closest to each group, no
 * minimum being negative. The group's range becomes each number of the trials; for the whole numbers that the group
 * then rounds to, the best line is known. */
CK_INLINE void ck_search_line(
    const ck_lane_groups *groups, float highest, ck_trials trials, ck_lanes *scale, ck_lanes *minimum) {
    CK_DO_NOT_FUSE
    ck_lanes base = CK_SPLAT(0.0f), largest = CK_SPLAT(0.0f); /* q = 0 is never above zero */
    ck_lanes weight = CK_SPLAT(0.0f), sum = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        base = CK_MIN(groups->x[i], base);
        largest = CK_MAX(groups->x[i], largest);
    }
    for (size_t i = 0; i < groups->size; i++) {
        const ck_lanes y = groups->x[i] - base;
        weight += groups->has_importance ? groups->importance[i] : CK_SPLAT(1.0f);
        sum += groups->has_importance ? groups->importance[i] * y : y;
    }
    const ck_lanes reciprocal = CK_QUOTIENT(CK_SPLAT(1.0f), largest - base);
    /* Through zero instead of with a minimum, the gain is counted from another point: see below. */
    const ck_lanes distance = base * (2.0f * sum + weight * base);
    ck_lanes best = CK_SPLAT(0.0f);
    *scale = CK_SPLAT(0.0f);
    *minimum = CK_SPLAT(0.0f);
    for (size_t k = 0; k < trials.count; k++) {
        const ck_lanes inverse = (trials.first + trials.step * (float)k) * reciprocal;
        ck_lanes q_sum = CK_SPLAT(0.0f), qq = CK_SPLAT(0.0f), yq = CK_SPLAT(0.0f);
        for (size_t i = 0; i < groups->size; i++) {
            const ck_lanes y = groups->x[i] - base;
            const ck_lanes q = CK_NEAREST(CK_MIN(y * inverse, CK_SPLAT(highest)));
            const ck_lanes wq = groups->has_importance ? groups->importance[i] * q : q;
            q_sum += wq;
            qq += q * wq;
            yq += y * wq;
        }
        /* y ~ slope * q + intercept; the gain is what is gone of weight * sum(y * y). */
        const ck_lanes covariance = weight * yq - q_sum * sum;
        ck_lanes slope = CK_QUOTIENT(covariance, weight * qq - q_sum * q_sum);
        ck_lanes offset = CK_QUOTIENT(sum - slope * q_sum, weight) + base;
        ck_lanes gain = slope * covariance + sum * sum;
        /* If the minimum is negative that way: x ~ slope * q. */
        const ck_lanes xq = yq + base * q_sum;
        const ck_lanes through_zero = CK_QUOTIENT(xq, qq);
        const ck_int_lanes is_above = offset > 0.0f;
        slope = CK_SELECT(is_above, through_zero, slope);
        gain = CK_SELECT(is_above, weight * (through_zero * xq - distance), gain);
        offset = CK_MIN(offset, CK_SPLAT(0.0f));
        const ck_int_lanes better = gain > best;
        best = CK_SELECT(better, gain, best);
        *scale = CK_SELECT(better, slope, *scale);
        *minimum = CK_SELECT(better, -offset, *minimum);
    }
}

/* Blocks whose groups have scales and minimums that are whole multiples of the block's. */
typedef struct ck_line_blocks {
    uint16_t scale_halves[CK_LANES]; /* the block's scale as an f16, in the lanes of all its groups */
    uint16_t minimum_halves[CK_LANES];
    ck_lanes scale, minimum;         /* the same as floats */
    ck_lanes scales, minimums;       /* the multiples of each group */
    ck_lanes q[CK_GROUP];            /* of each weight */
} ck_line_blocks;

/* The best of each group's scale and its two neighbours with the minimum that is best for each, by the error of
 * rounding with them. */
CK_INLINE void ck_improve_lines(
    const ck_lane_groups *groups, float highest, float most, ck_line_blocks *blocks) {
    CK_DO_NOT_FUSE
    const ck_lanes start = blocks->scales, minimum = blocks->minimum * blocks->minimums;
    const ck_lanes old = blocks->minimums;
    ck_lanes least = CK_SPLAT(0x1p126f);
    for (int k = 0; k < 3; k++) {
        const ck_lanes multiple = CK_ROUND_TO(start + (k == 0 ? 0.0f : k == 1 ? -1.0f : 1.0f), 0, most);
        const ck_lanes scale = blocks->scale * multiple;
        const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), scale);
        ck_lanes weight = CK_SPLAT(0.0f), sum = CK_SPLAT(0.0f), squares = CK_SPLAT(0.0f);
        for (size_t i = 0; i < groups->size; i++) {
            const ck_lanes y = groups->x[i] + minimum;
            const ck_lanes rest = y - scale * CK_ROUND_TO(y * inverse, 0, highest);
            const ck_lanes w = groups->has_importance ? groups->importance[i] : CK_SPLAT(1.0f);
            const ck_lanes part = groups->has_importance ? rest * w : rest;
            weight += w;
            sum += part;
            squares += rest * part;
        }
        /* Another minimum moves what is left of all weights by the same distance. */
        const ck_lanes mean = CK_QUOTIENT(sum, weight);
        const ck_lanes other = CK_ROUND_TO(old - CK_QUOTIENT(mean, blocks->minimum), 0, most);
        const ck_lanes distance = (other - old) * blocks->minimum;
        const ck_lanes error = squares + distance * (2.0f * sum + weight * distance);
        const ck_int_lanes better = error < least;
        least = CK_SELECT(better, error, least);
        blocks->scales = CK_SELECT(better, multiple, blocks->scales);
        blocks->minimums = CK_SELECT(better, other, blocks->minimums);
    }
}

/* The q of all weights; and the scale and the minimum of each block that are best for them, unless that is nonsense. */
CK_INLINE void ck_round_by_lines(
    const ck_lane_groups *groups, float highest, size_t groups_of_block, ck_line_blocks *blocks, ck_lanes *best_scale,
    ck_lanes *best_minimum) {
    CK_DO_NOT_FUSE
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), blocks->scale * blocks->scales);
    const ck_lanes minimum = blocks->minimum * blocks->minimums;
    ck_lanes weight = CK_SPLAT(0.0f), x = CK_SPLAT(0.0f), q_sum = CK_SPLAT(0.0f);
    ck_lanes xq = CK_SPLAT(0.0f), qq = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        const ck_lanes q = CK_ROUND_TO((groups->x[i] + minimum) * inverse, 0, highest);
        const ck_lanes w = groups->has_importance ? groups->importance[i] : CK_SPLAT(1.0f);
        const ck_lanes wq = groups->has_importance ? w * q : q;
        blocks->q[i] = q;
        weight += w;
        x += groups->has_importance ? w * groups->x[i] : groups->x[i];
        q_sum += wq;
        xq += groups->x[i] * wq;
        qq += q * wq;
    }
    /* x ~ scale * a - minimum * b,  a = scales * q,  b = minimums */
    const ck_lanes aa = qq * blocks->scales * blocks->scales, bb = weight * blocks->minimums * blocks->minimums;
    const ck_lanes ab = q_sum * blocks->scales * blocks->minimums;
    const ck_lanes xa = xq * blocks->scales, xb = x * blocks->minimums;
    *best_scale = blocks->scale;
    *best_minimum = blocks->minimum;
    for (size_t first = 0; first < CK_LANES; first += groups_of_block) {
        double aa_sum = 0, ab_sum = 0, bb_sum = 0, xa_sum = 0, xb_sum = 0;
        for (size_t k = first; k < first + groups_of_block; k++) {
            aa_sum += aa[k];
            ab_sum += ab[k];
            bb_sum += bb[k];
            xa_sum += xa[k];
            xb_sum += xb[k];
        }
        const double determinant = aa_sum * bb_sum - ab_sum * ab_sum;
        if (determinant <= 0.001 * aa_sum * bb_sum) {
            continue; /* a line through too few points */
        }
        const double scale = (xa_sum * bb_sum - xb_sum * ab_sum) / determinant;
        const double least = (xa_sum * ab_sum - xb_sum * aa_sum) / determinant;
        if (scale > 0 && least >= 0) {
            for (size_t k = first; k < first + groups_of_block; k++) {
                (*best_scale)[k] = (float)scale;
                (*best_minimum)[k] = (float)least;
            }
        }
    }
}

/* Blocks of groups whose weights are  block scale * scales * q - block minimum * minimums,  q = 0 to `highest`, scales
 * and minimums 0 to `most`. */
CK_INLINE void ck_search_line_blocks(
    const ck_lane_groups *groups, float highest, float most, ck_trials trials, size_t groups_of_block,
    ck_line_blocks *blocks) {
    CK_DO_NOT_FUSE
    ck_lanes scale, minimum;
    ck_search_line(groups, highest, trials, &scale, &minimum);
    ck_block_maximum(&scale, groups_of_block, &blocks->scale);
    ck_block_maximum(&minimum, groups_of_block, &blocks->minimum);
    blocks->scale /= most;
    blocks->minimum /= most;
    ck_round_to_halves(&blocks->scale, blocks->scale_halves);
    ck_round_to_halves(&blocks->minimum, blocks->minimum_halves);
    blocks->scales = CK_ROUND_TO(CK_QUOTIENT(scale, blocks->scale), 0, most);
    blocks->minimums = CK_ROUND_TO(CK_QUOTIENT(minimum, blocks->minimum), 0, most);
    ck_improve_lines(groups, highest, most, blocks);
    ck_round_by_lines(groups, highest, groups_of_block, blocks, &scale, &minimum);
    blocks->scale = scale;
    blocks->minimum = minimum;
    ck_round_to_halves(&blocks->scale, blocks->scale_halves);
    ck_round_to_halves(&blocks->minimum, blocks->minimum_halves);
    ck_improve_lines(groups, highest, most, blocks);
    ck_round_by_lines(groups, highest, groups_of_block, blocks, &scale, &minimum);
}
