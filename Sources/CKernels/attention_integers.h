/* Attention of many queries with integers of 16 bits: the tile of attention_tile.h, whose products add two terms at a
 * time, which is twice what products of floats do.
 *
 * A query, a key and a value are rounded with a scale each, and so are the exponentials of a query's scores of
 * CHUNK positions, with the largest of these as theirs: however small they are beside another chunk's, they keep their
 * digits. The limits are such that no sum leaves 32 bits. What is rounded lies where the floats were:
 *
 *     queries  lane by lane, elements 2i and 2i + 1 in row i of the panel; the scales in row stride / 2
 *     keys     elements 2i and 2i + 1 as number i of the row; the scale as number stride / 2
 *     values   element i of keys 2j and 2j + 1 as number i of row 2j; both scales in row 2j + 1 */
#pragma once

#include "attention_panel.h"

/* Positions whose exponentials share a scale, and whose products with values are added as integers. */
#define CHUNK 32
/* CHUNK * EXPONENTIAL_LIMIT * VALUE_LIMIT < 2^31 */
#define EXPONENTIAL_LIMIT 16383
#define VALUE_LIMIT 4095

typedef int16_t shorts __attribute__((vector_size(2 * LANES)));

/* What elements of queries and keys are rounded to: head_size * limit^2 < 2^31. */
CK_INLINE float score_limit(size_t head_size) {
    const float limit = (float)(int32_t)__builtin_sqrt(2147483647.0 / (double)head_size);
    return limit < 32767 ? limit : 32767;
}

/* x = 2^x for x <= 0, with a relative error of 3e-6; 2^-100 below. */
TARGET CK_INLINE void power_of_two(lanes *x) {
    const lanes zero = {0};
    const float shift = 0x1.8p23f; /* adding it leaves the nearest integer in the lowest bits */
    const lanes value = SELECT(*x < -100, zero - 100, *x);
    const lanes shifted = value + shift;
    const lanes r = value - (shifted - shift);
    lanes p = r * 0x1.3997d6p-7f + 0x1.ca1442p-5f;
    p = p * r + 0x1.ec06dap-3f;
    p = p * r + 0x1.62e0dcp-1f;
    p = p * r + 0x1.ffffe8p-1f;
    *x = (lanes)((integers)p + ((integers)shifted << 23));
}

/* Integers nearest to the floats, of which only the lower 16 bits are right. */
TARGET CK_INLINE integers rounded(lanes x) {
    return (integers)(x + 0x1.8p23f);
}

/* The lower 16 bits of both. */
TARGET CK_INLINE integers pairs(integers first, integers second) {
    return (first & 0xffff) | (second << 16);
}

/* The larger of two magnitudes, as bits: NaN and infinity are larger than any number. */
TARGET CK_INLINE integers larger_magnitude(integers maximum, lanes x) {
    const integers magnitude = (integers)x & 0x7fffffff;
    return (magnitude & (magnitude > maximum)) | (maximum & ~(magnitude > maximum));
}

/* What a number is multiplied by to be rounded to `limit` at most; numbers that are next to nothing become 0. */
CK_INLINE float inverse_scale(float maximum, float limit) {
    return maximum > 1e-30f ? limit / maximum : 0;
}

/* ---- Rounding --------------------------------------------------------------------------------- */

TARGET CK_INLINE float largest_magnitude(const float *row, size_t n) {
    integers lane_maxima = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes values;
        memcpy(&values, row + i, sizeof values);
        lane_maxima = larger_magnitude(lane_maxima, values);
    }
    int32_t maximum = 0;
    for (; i < n; i++) {
        const int32_t magnitude = (int32_t)(ck_bits(row[i]) & 0x7fffffff);
        maximum = magnitude > maximum ? magnitude : maximum;
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        maximum = lane_maxima[lane] > maximum ? lane_maxima[lane] : maximum;
    }
    return ck_float((uint32_t)maximum);
}

/* The queries of a tile, before they meet keys. Their scales make scores powers of two. */
TARGET static void begin_integers(const ck_attention_tile *tile) {
    const size_t head_size = tile->head_size;
    const float limit = score_limit(head_size);
    for (size_t row = 0; row < tile->rows; row += WIDTH) {
        for (size_t v = 0; v < REGISTERS; v++) {
            float *const column = tile->queries + row * tile->stride + v * LANES;
            integers maxima = {0};
            for (size_t i = 0; i < head_size; i++) {
                lanes values;
                memcpy(&values, column + i * WIDTH, sizeof values);
                maxima = larger_magnitude(maxima, values);
            }
            const lanes maximum = (lanes)maxima;
            const lanes zero = {0};
            const lanes inverse = SELECT(maximum > 1e-30f, limit / maximum, zero);
            for (size_t i = 0; i < head_size; i += 2) {
                lanes first, second = zero;
                memcpy(&first, column + i * WIDTH, sizeof first);
                if (i + 1 < head_size) {
                    memcpy(&second, column + (i + 1) * WIDTH, sizeof second);
                }
                const integers both = pairs(rounded(first * inverse), rounded(second * inverse));
                memcpy(column + i / 2 * WIDTH, &both, sizeof both);
            }
            const lanes scale = maximum * (0x1.715476p+0f / limit); /* 1 / ln 2 */
            memcpy(column + tile->stride / 2 * WIDTH, &scale, sizeof scale);
        }
    }
}

TARGET CK_INLINE void round_key(float *row, size_t head_size, size_t stride, float limit) {
    const float maximum = largest_magnitude(row, head_size);
    const float inverse = inverse_scale(maximum, limit), scale = maximum / limit;
    uint8_t *const target = (uint8_t *)row;
    size_t i = 0;
    for (; i + LANES <= head_size; i += LANES) {
        lanes values;
        memcpy(&values, row + i, sizeof values);
        const shorts numbers = __builtin_convertvector(rounded(values * inverse), shorts);
        memcpy(target + 2 * i, &numbers, sizeof numbers);
    }
    for (; i < head_size; i++) {
        float value;
        memcpy(&value, row + i, sizeof value);
        const uint16_t number = (uint16_t)ck_bits(value * inverse + 0x1.8p23f);
        memcpy(target + 2 * i, &number, sizeof number);
    }
    memcpy(row + stride / 2, &scale, sizeof scale);
}

/* Two values; the second may be beyond the last: its exponentials are 0, and so is its scale. */
TARGET CK_INLINE void round_values(float *row, bool both, size_t head_size, size_t stride) {
    float *const next = row + stride;
    const float maxima[2] = {largest_magnitude(row, head_size), both ? largest_magnitude(next, head_size) : 0};
    const float inverse[2] = {inverse_scale(maxima[0], VALUE_LIMIT), inverse_scale(maxima[1], VALUE_LIMIT)};
    size_t i = 0;
    for (; i + LANES <= head_size; i += LANES) {
        lanes first, second;
        memcpy(&first, row + i, sizeof first);
        memcpy(&second, next + i, sizeof second);
        const integers numbers = pairs(rounded(first * inverse[0]), rounded(second * inverse[1]));
        memcpy(row + i, &numbers, sizeof numbers);
    }
    for (; i < head_size; i++) {
        const uint32_t first = ck_bits(row[i] * inverse[0] + 0x1.8p23f);
        const uint32_t second = ck_bits(next[i] * inverse[1] + 0x1.8p23f);
        const uint32_t numbers = (first & 0xffff) | second << 16;
        memcpy(row + i, &numbers, sizeof numbers);
    }
    for (size_t k = 0; k < 2; k++) {
        next[k] = maxima[k] / VALUE_LIMIT;
    }
}

/* The keys and values of a tile. Returns 0, or NaN if one of them is not finite. */
TARGET CK_INLINE float round_tile(const ck_attention_tile *tile) {
    const float limit = score_limit(tile->head_size);
    float poison = 0;
    for (size_t k = 0; k < tile->n; k++) {
        float *const key = tile->keys + k * tile->stride;
        round_key(key, tile->head_size, tile->stride, limit);
        poison += key[tile->stride / 2] * 0;
    }
    for (size_t k = 0; k < tile->n; k += 2) {
        float *const values = tile->values + k * tile->stride;
        round_values(values, k + 1 < tile->n, tile->head_size, tile->stride);
        poison += (values[tile->stride] + values[tile->stride + 1]) * 0;
    }
    return poison;
}

/* ---- Products --------------------------------------------------------------------------------- */

/* sums[r][v] = sum over k of the pairs at a + r * a_row + k * a_step by those at b + k * WIDTH + v * LANES */
TARGET CK_INLINE void multiply_pairs(
    const float *a, size_t a_row, size_t a_step, const float *b, size_t depth, integers sums[ROWS][REGISTERS],
    size_t rows, size_t registers) {
    CK_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            sums[r][v] = (integers){0};
        }
    }
    for (size_t k = 0; k < depth; k++) {
        integers right[REGISTERS];
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            memcpy(&right[v], b + k * WIDTH + v * LANES, sizeof right[v]);
        }
        CK_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const integers left = (integers){0} + (int32_t)ck_load_u32(a + r * a_row + k * a_step);
            CK_UNROLL
            for (size_t v = 0; v < registers; v++) {
                sums[r][v] = ADD_PAIRS(sums[r][v], left, right[v]);
            }
        }
    }
}

TARGET CK_INLINE void score_block(
    const ck_attention_tile *tile, size_t key, const float *queries, size_t rows, size_t registers) {
    const float *const keys = tile->keys + key * tile->stride;
    const float *const key_scales = keys + tile->stride / 2;
    const float *const query_scales = queries + tile->stride / 2 * WIDTH;
    integers sums[ROWS][REGISTERS];
    multiply_pairs(keys, tile->stride, 1, queries, (tile->head_size + 1) / 2, sums, rows, registers);
    CK_UNROLL
    for (size_t v = 0; v < registers; v++) {
        lanes scale;
        memcpy(&scale, query_scales + v * LANES, sizeof scale);
        CK_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const lanes sum = __builtin_convertvector(sums[r][v], lanes);
            const lanes score = sum * scale * key_scales[r * tile->stride];
            memcpy(tile->scores + (key + r) * WIDTH + v * LANES, &score, sizeof score);
        }
    }
}

/* What becomes of the results so far, and of the products of each chunk. */
typedef struct chunk_factors {
    float before[WIDTH];
    float chunks[CK_ATTENTION_KEYS / CHUNK][WIDTH];
} chunk_factors;

/* out[i] = before * out[i] + sum over the chunks of factor * sum over k of value k [i] * exponential k */
TARGET CK_INLINE void result_block(
    const ck_attention_tile *tile, size_t begin, size_t end, const chunk_factors *factors, size_t element, float *out,
    size_t rows, size_t registers) {
    const float *before = factors->before;
    for (size_t chunk = begin, c = 0; chunk < end; chunk += CHUNK, c++) {
        const size_t positions = end - chunk < CHUNK ? end - chunk : CHUNK;
        integers sums[ROWS][REGISTERS];
        multiply_pairs(
            tile->values + chunk * tile->stride + element, 1, 2 * tile->stride, tile->scores + chunk / 2 * WIDTH,
            positions / 2, sums, rows, registers);
        CK_UNROLL
        for (size_t v = 0; v < registers; v++) {
            lanes old, new;
            memcpy(&new, factors->chunks[c] + v * LANES, sizeof new);
            if (c == 0) {
                memcpy(&old, before + v * LANES, sizeof old);
            }
            CK_UNROLL
            for (size_t r = 0; r < rows; r++) {
                float *const place = out + (element + r) * WIDTH + v * LANES;
                lanes value;
                memcpy(&value, place, sizeof value);
                value = (c == 0 ? value * old : value) + __builtin_convertvector(sums[r][v], lanes) * new;
                memcpy(place, &value, sizeof value);
            }
        }
    }
}

/* ---- Softmax ---------------------------------------------------------------------------------- */

/* The scores of the positions `begin` to `end`, even numbers, become pairs of rounded exponentials: those of positions
 * 2j and 2j + 1 in row j. `maxima` and `sums` follow them. */
TARGET CK_INLINE void softmax_chunks(
    const ck_attention_tile *tile, const panel_view *view, size_t begin, size_t end, const float *query_scales,
    float poison, float *maxima, float *sums, chunk_factors *factors, size_t registers) {
    const lanes zero = {0};
    const float infinity = __builtin_inff();
    const float *const value_scales = tile->values + tile->stride; /* of positions 2j and 2j + 1, 2j strides on */
    for (size_t v = 0; v < registers; v++) {
        float *const column = tile->scores + v * LANES;
        integers lower, upper;
        memcpy(&lower, view->lower + v * LANES, sizeof lower);
        memcpy(&upper, view->upper + v * LANES, sizeof upper);
        lanes before, sum, scales, chunk_maxima[CK_ATTENTION_KEYS / CHUNK];
        memcpy(&scales, query_scales + v * LANES, sizeof scales);
        memcpy(&before, maxima + v * LANES, sizeof before);
        memcpy(&sum, sums + v * LANES, sizeof sum);
        lanes maximum = before;
        for (size_t chunk = begin, c = 0; chunk < end; chunk += CHUNK, c++) {
            lanes largest = zero - infinity;
            for (size_t k = chunk; k < end && k < chunk + CHUNK; k++) {
                lanes score;
                memcpy(&score, column + k * WIDTH, sizeof score);
                if (k < view->all_begin || k >= view->all_end) {
                    const integers position = (integers)zero + (int32_t)k;
                    const integers seen = (position >= lower) & (position < upper);
                    score = k < view->end ? SELECT(seen, score, zero - infinity) : zero - infinity;
                    memcpy(column + k * WIDTH, &score, sizeof score);
                }
                largest = SELECT(score > largest, score, largest);
            }
            chunk_maxima[c] = largest;
            maximum = SELECT(largest > maximum, largest, maximum);
        }
        /* A query that has seen nothing yet: any finite maximum leaves zeros of its scores. */
        const lanes finite = SELECT(maximum == -infinity, zero, maximum);
        lanes correction = before - finite;
        power_of_two(&correction);
        sum = sum * correction + (scales * 0 + poison);
        memcpy(factors->before + v * LANES, &correction, sizeof correction);
        for (size_t chunk = begin, c = 0; chunk < end; chunk += CHUNK, c++) {
            const size_t last = end < chunk + CHUNK ? end : chunk + CHUNK;
            float scale = 0;
            for (size_t k = chunk; k < last; k++) {
                const float one = value_scales[k / 2 * 2 * tile->stride + k % 2];
                scale = one > scale ? one : scale;
            }
            const float inverse = inverse_scale(scale, EXPONENTIAL_LIMIT);
            const lanes own = SELECT(chunk_maxima[c] == -infinity, zero, chunk_maxima[c]);
            lanes total = zero;
            for (size_t k = chunk; k < last; k += 2) {
                lanes first, second;
                memcpy(&first, column + k * WIDTH, sizeof first);
                memcpy(&second, column + (k + 1) * WIDTH, sizeof second);
                first -= own;
                second -= own;
                power_of_two(&first);
                power_of_two(&second);
                total += first + second;
                const float *const scales = value_scales + k * tile->stride;
                const integers both =
                    pairs(rounded(first * (scales[0] * inverse)), rounded(second * (scales[1] * inverse)));
                memcpy(column + k / 2 * WIDTH, &both, sizeof both);
            }
            lanes factor = chunk_maxima[c] - finite;
            power_of_two(&factor);
            sum += total * factor;
            factor *= scale / EXPONENTIAL_LIMIT;
            memcpy(factors->chunks[c] + v * LANES, &factor, sizeof factor);
        }
        memcpy(maxima + v * LANES, &maximum, sizeof maximum);
        memcpy(sums + v * LANES, &sum, sizeof sum);
    }
}

/* ---- A tile ----------------------------------------------------------------------------------- */

TARGET CK_INLINE void attend_integers(
    const ck_attention_tile *tile, const panel_view *view, const float *queries, float poison, float *out,
    float *maxima, float *sums, size_t registers) {
    size_t key = view->begin / CK_ATTENTION_ROWS * CK_ATTENTION_ROWS;
    const size_t begin = key, last = (view->end + CK_ATTENTION_ROWS - 1) / CK_ATTENTION_ROWS * CK_ATTENTION_ROWS;
    for (; key + ROWS <= last; key += ROWS) {
        score_block(tile, key, queries, ROWS, registers);
    }
    for (; key < last; key += REST) {
        score_block(tile, key, queries, REST, registers);
    }
    const size_t end = (view->end + 1) / 2 * 2;
    chunk_factors factors;
    softmax_chunks(
        tile, view, begin, end, queries + tile->stride / 2 * WIDTH, poison, maxima, sums, &factors, registers);
    size_t element = 0;
    for (; element + ROWS <= tile->stride; element += ROWS) {
        result_block(tile, begin, end, &factors, element, out, ROWS, registers);
    }
    for (; element < tile->stride; element += REST) {
        result_block(tile, begin, end, &factors, element, out, REST, registers);
    }
}

TARGET static void attend_integer_tile(const ck_attention_tile *tile) {
    attend_panels(tile, round_tile(tile), attend_integers);
}
