/* Attention of many queries: a tile of them against a tile of keys and values, as floats. */
#pragma once

#include "attention_panel.h"

/* c[r][lane] = (adds ? c[r][lane] : 0) + sum over k of a[r * a_row + k * a_step] * b[k][lane], for `rows` rows and
 * `registers` vectors of lanes; rows of b and c are WIDTH apart. */
TARGET CK_INLINE void multiply_block(
    const float *a, size_t a_row, size_t a_step, const float *b, size_t depth, float *c, size_t rows,
    size_t registers, bool adds) {
    lanes sums[ROWS][REGISTERS];
    CK_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            sums[r][v] = (lanes){0};
            if (adds) {
                memcpy(&sums[r][v], c + r * WIDTH + v * LANES, sizeof(lanes));
            }
        }
    }
    for (size_t k = 0; k < depth; k++) {
        lanes right[REGISTERS];
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            memcpy(&right[v], b + k * WIDTH + v * LANES, sizeof(lanes));
        }
        CK_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const float left = a[r * a_row + k * a_step];
            CK_UNROLL
            for (size_t v = 0; v < registers; v++) {
                sums[r][v] += left * right[v];
            }
        }
    }
    CK_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            memcpy(c + r * WIDTH + v * LANES, &sums[r][v], sizeof(lanes));
        }
    }
}

/* multiply_block for any number of rows, a multiple of REST. */
TARGET CK_INLINE void multiply_rows(
    const float *a, size_t a_row, size_t a_step, const float *b, size_t depth, float *c, size_t rows,
    size_t registers, bool adds) {
    size_t r = 0;
    for (; r + ROWS <= rows; r += ROWS) {
        multiply_block(a + r * a_row, a_row, a_step, b, depth, c + r * WIDTH, ROWS, registers, adds);
    }
    for (; r < rows; r += REST) {
        multiply_block(a + r * a_row, a_row, a_step, b, depth, c + r * WIDTH, REST, registers, adds);
    }
}

/* The scores of the positions `begin` to `end` become exp(score - maximum), with the largest score so far as the
 * maximum of each query; `out`, `sums` and `maxima` follow it. */
TARGET CK_INLINE void softmax_panel(
    const panel_view *view, float *scores, float *out, size_t out_rows, float *maxima, float *sums, size_t registers) {
    const lanes zero = {0};
    const float infinity = __builtin_inff();
    CK_UNROLL
    for (size_t v = 0; v < registers; v++) {
        float *const column = scores + v * LANES;
        integers lower, upper;
        memcpy(&lower, view->lower + v * LANES, sizeof lower);
        memcpy(&upper, view->upper + v * LANES, sizeof upper);
        lanes before, sum;
        memcpy(&before, maxima + v * LANES, sizeof before);
        memcpy(&sum, sums + v * LANES, sizeof sum);
        lanes maximum = before;
        for (size_t k = view->begin; k < view->end; k++) {
            lanes score;
            memcpy(&score, column + k * WIDTH, sizeof score);
            if (k < view->all_begin || k >= view->all_end) {
                const integers position = (integers)zero + (int32_t)k;
                score = SELECT((position >= lower) & (position < upper), score, zero - infinity);
                memcpy(column + k * WIDTH, &score, sizeof score);
            }
            maximum = SELECT(score > maximum, score, maximum);
        }
        /* A query that has seen nothing yet: any finite maximum leaves zeros of its scores. */
        const lanes finite = SELECT(maximum == -infinity, zero, maximum);
        lanes correction = before - finite;
        exponential(&correction);
        lanes total = zero;
        for (size_t k = view->begin; k < view->end; k++) {
            lanes score;
            memcpy(&score, column + k * WIDTH, sizeof score);
            score -= finite;
            exponential(&score);
            total += score;
            memcpy(column + k * WIDTH, &score, sizeof score);
        }
        sum = sum * correction + total;
        memcpy(maxima + v * LANES, &maximum, sizeof maximum);
        memcpy(sums + v * LANES, &sum, sizeof sum);
        for (size_t r = 0; r < out_rows; r++) {
            lanes value;
            memcpy(&value, out + r * WIDTH + v * LANES, sizeof value);
            value *= correction;
            memcpy(out + r * WIDTH + v * LANES, &value, sizeof value);
        }
    }
}

TARGET CK_INLINE void attend_floats(
    const ck_attention_tile *tile, const panel_view *view, const float *queries, float poison, float *out,
    float *maxima, float *sums, size_t registers) {
    (void)poison;
    const size_t begin = view->begin / REST * REST, end = (view->end + REST - 1) / REST * REST;
    multiply_rows(
        tile->keys + begin * tile->stride, tile->stride, 1, queries, tile->head_size, tile->scores + begin * WIDTH,
        end - begin, registers, false);
    softmax_panel(view, tile->scores, out, tile->head_size, maxima, sums, registers);
    multiply_rows(
        tile->values + view->begin * tile->stride, 1, tile->stride, tile->scores + view->begin * WIDTH,
        view->end - view->begin, out, tile->stride, registers, true);
}

TARGET static void attend_tile(const ck_attention_tile *tile) {
    attend_panels(tile, 0, attend_floats);
}
