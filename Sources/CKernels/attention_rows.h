/* Attention of a few queries, in one pass over the rows of a cache: each row is loaded once, and meets all queries. */
#pragma once

#include "blocks.h"
#include "float_rows.h"
#include "lanes.h"

/* ---- Loads: elements i to i + LANES - 1 of a row, i a multiple of LANES ---------------------- */

typedef lanes (*load_fn)(const void *row, size_t i);

/* The factor, in every lane, of what a load_fn gives for the block of 32 that element i is in; NULL: none. It is
 * applied once to a block's products, or to its probability: on Zen 3 two threads attend to 1536 positions of q4_0 1.6
 * times as fast this way and with raise_bytes, to those of q8_0 1.1 times. */
typedef lanes (*scale_fn)(const void *row, size_t i);

typedef int8_t bytes __attribute__((vector_size(LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

TARGET CK_INLINE lanes load_f32(const void *row, size_t i) {
    lanes values;
    memcpy(&values, (const uint8_t *)row + 4 * i, sizeof values);
    return values;
}

TARGET CK_INLINE lanes load_f16(const void *row, size_t i) {
#if LANES == 16
    return (lanes)ck_load_f16_avx512(row, i, 0xffff);
#elif LANES == 8
    return (lanes)ck_load_f16_avx2(row, i);
#elif defined(__aarch64__)
    return (lanes)ck_load_f16_neon(row, i);
#else
    lanes values;
    for (size_t lane = 0; lane < LANES; lane++) {
        values[lane] = ck_load_f16_scalar(row, i + lane);
    }
    return values;
#endif
}

TARGET CK_INLINE lanes load_bf16(const void *row, size_t i) {
    halves values;
    memcpy(&values, (const uint8_t *)row + 2 * i, sizeof values);
    return (lanes)(__builtin_convertvector(values, integers) << 16);
}

/* The half at `address` in every lane. */
TARGET CK_INLINE lanes broadcast_f16(const void *address) {
#if LANES == 16
    return (lanes)_mm512_cvtph_ps(_mm256_set1_epi16((int16_t)ck_load_u16(address)));
#elif LANES == 8
    return (lanes)ck_broadcast_f16_avx2(address);
#elif defined(__aarch64__)
    return (lanes)vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(ck_load_u16(address))));
#else
    return (lanes){0} + ck_f16_to_f32(ck_load_u16(address));
#endif
}

#if LANES == 8
/* Bytes i to i + 7 of sixteen, each one the highest of its lane: what a sign extension would give, times 2^24, in one
 * operation instead of two (Zen 3). */
TARGET CK_INLINE __m256i raise_bytes(__m256i sixteen_twice, size_t i) {
    const __m256i places = _mm256_setr_epi32(
        0x00808080, 0x01808080, 0x02808080, 0x03808080, 0x04808080, 0x05808080, 0x06808080, 0x07808080);
    return _mm256_shuffle_epi8(sixteen_twice, _mm256_add_epi8(places, _mm256_set1_epi32((int)i << 24)));
}

TARGET CK_INLINE __m256i load_sixteen_twice(const void *address) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(address));
}
#endif

TARGET CK_INLINE lanes load_q8_0(const void *row, size_t i) {
    const ck_block_q8_0 *const block = (const ck_block_q8_0 *)row + i / 32;
#if LANES == 8
    return (lanes)_mm256_cvtepi32_ps(raise_bytes(load_sixteen_twice(block->weights + (i & 16)), i & 8));
#else
    bytes weights;
    memcpy(&weights, block->weights + i % 32, sizeof weights);
    return __builtin_convertvector(weights, lanes);
#endif
}

TARGET CK_INLINE lanes scale_q8_0(const void *row, size_t i) {
    const lanes scale = broadcast_f16(&((const ck_block_q8_0 *)row + i / 32)->scale);
    return LANES == 8 ? scale * 0x1p-24f : scale;
}

TARGET CK_INLINE lanes load_q4_0(const void *row, size_t i) {
    const ck_block_q4_0 *const block = (const ck_block_q4_0 *)row + i / 32;
#if LANES == 16
    /* A table of all sixteen weights, of which the lower four bits of a lane choose one: cheaper than a conversion. */
    const lanes table = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
    const __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)block->low));
    return (lanes)_mm512_permutexvar_ps(i & 16 ? _mm512_srli_epi32(pairs, 4) : pairs, (__m512)table);
#elif LANES == 8
    /* With its highest bit inverted, a weight of four bits is what it stands for, q - 8. */
    const __m256i pairs = raise_bytes(
        _mm256_xor_si256(load_sixteen_twice(block->low), _mm256_set1_epi8((char)0x88)), i & 8);
    return (lanes)_mm256_cvtepi32_ps(
        i & 16 ? _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xf0000000)) : _mm256_slli_epi32(pairs, 4));
#else
    typedef uint8_t unsigned_bytes __attribute__((vector_size(LANES)));
    unsigned_bytes pairs;
    memcpy(&pairs, block->low + i % 16, sizeof pairs);
    const bytes weights = (bytes)(i & 16 ? pairs >> 4 : pairs & 15) - 8;
    return __builtin_convertvector(weights, lanes);
#endif
}

TARGET CK_INLINE lanes scale_q4_0(const void *row, size_t i) {
    const lanes scale = broadcast_f16(&((const ck_block_q4_0 *)row + i / 32)->scale);
    return LANES == 8 ? scale * 0x1p-28f : scale;
}

/* What a cache's type is to these templates. */
typedef struct row_type {
    load_fn load;
    scale_fn scale;
    /* Element i, where vectors end before a row does. */
    ck_load_scalar load_one;
} row_type;

/* Blocks of 32 are whole vectors: only floats have a rest. */
CK_INLINE float load_none(const void *row, size_t i) {
    (void)row, (void)i;
    return 0;
}

/* ---- Scores ------------------------------------------------------------------------------- */

TARGET CK_INLINE float sum_of_lanes(lanes values) {
#if LANES == 16
    return _mm512_reduce_add_ps((__m512)values);
#elif LANES == 8
    return ck_sum_avx2((__m256)values);
#else
    return (values[0] + values[2]) + (values[1] + values[3]);
#endif
}

/* The products of CK_ROWS rows with `heads` queries, 1 or HEADS. */
TARGET CK_INLINE void scores_of(
    row_type type, const uint8_t *const row[CK_ROWS], const float *queries, size_t heads, size_t head_size,
    lanes sums[CK_ROWS][HEADS], float rest[CK_ROWS][HEADS]) {
    lanes more[CK_ROWS]; /* one query alone has too few sums to hide the latency of an addition */
    CK_UNROLL
    for (size_t r = 0; r < CK_ROWS; r++) {
        more[r] = (lanes){0};
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            sums[r][h] = (lanes){0};
            rest[r][h] = 0;
        }
    }
    size_t i = 0;
    for (; type.scale != NULL && i < head_size; i += 32) {
        CK_UNROLL
        for (size_t r = 0; r < CK_ROWS; r++) {
            lanes products[HEADS];
            CK_UNROLL
            for (size_t k = 0; k < 32; k += LANES) {
                const lanes values = type.load(row[r], i + k);
                CK_UNROLL
                for (size_t h = 0; h < heads; h++) {
                    const lanes query = load_f32(queries + h * head_size, i + k);
                    products[h] = k == 0 ? values * query : products[h] + values * query;
                }
            }
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                sums[r][h] += products[h] * type.scale(row[r], i);
            }
        }
    }
    if (heads == 1) {
        for (; i + 2 * LANES <= head_size; i += 2 * LANES) {
            const lanes first = load_f32(queries, i), second = load_f32(queries, i + LANES);
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                sums[r][0] += type.load(row[r], i) * first;
                more[r] += type.load(row[r], i + LANES) * second;
            }
        }
    }
    for (; i + LANES <= head_size; i += LANES) {
        lanes query[HEADS];
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            query[h] = load_f32(queries + h * head_size, i);
        }
        CK_UNROLL
        for (size_t r = 0; r < CK_ROWS; r++) {
            const lanes values = type.load(row[r], i);
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                sums[r][h] += values * query[h];
            }
        }
    }
    for (size_t r = 0; r < CK_ROWS; r++) {
        sums[r][0] += more[r];
        for (size_t tail = i; tail < head_size; tail++) {
            for (size_t h = 0; h < heads; h++) {
                rest[r][h] += type.load_one(row[r], tail) * queries[h * head_size + tail];
            }
        }
    }
}

TARGET CK_INLINE void scores_of_rows(
    row_type type, size_t row_bytes, const float *queries, size_t heads, const void *keys, size_t n, size_t head_size,
    float *scores, size_t stride) {
    for (size_t first = 0; first < n; first += CK_ROWS) {
        const uint8_t *row[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            row[r] = ck_row(keys, row_bytes, first + r, n);
        }
        size_t h = 0;
        while (h < heads) {
            const size_t group = heads - h >= HEADS ? HEADS : 1;
            lanes sums[CK_ROWS][HEADS];
            float rest[CK_ROWS][HEADS];
            if (group == HEADS) {
                scores_of(type, row, queries + h * head_size, HEADS, head_size, sums, rest);
            } else {
                scores_of(type, row, queries + h * head_size, 1, head_size, sums, rest);
            }
            for (size_t r = 0; r < CK_ROWS && first + r < n; r++) {
                for (size_t k = 0; k < group; k++) {
                    scores[(h + k) * stride + first + r] = sum_of_lanes(sums[r][k]) + rest[r][k];
                }
            }
            h += group;
        }
    }
}

/* ---- The sum of the values ------------------------------------------------------------------ */

/* `registers` vectors of `out` from element `first` on, for `heads` queries, 1 or HEADS: they stay in registers while
 * the rows pass by. */
TARGET CK_INLINE void accumulate_slab(
    row_type type, size_t row_bytes, const float *probabilities, size_t heads, size_t stride, const void *values,
    size_t n, size_t head_size, size_t first, size_t registers, float *out) {
    lanes sums[HEADS][8];
    CK_UNROLL
    for (size_t h = 0; h < heads; h++) {
        CK_UNROLL
        for (size_t k = 0; k < registers; k++) {
            sums[h][k] = load_f32(out + h * head_size + first, k * LANES);
        }
    }
    for (size_t j = 0; j < n; j++) {
        const uint8_t *const row = (const uint8_t *)values + j * row_bytes;
        lanes factors[HEADS];
        CK_UNROLL
        for (size_t k = 0; k < registers; k++) {
            const size_t i = first + k * LANES;
            /* A slab of more than a block begins with one. */
            if (k == 0 || (type.scale != NULL && k * LANES % 32 == 0)) {
                CK_UNROLL
                for (size_t h = 0; h < heads; h++) {
                    factors[h] = (lanes){0} + probabilities[h * stride + j];
                    if (type.scale != NULL) {
                        factors[h] *= type.scale(row, i);
                    }
                }
            }
            const lanes value = type.load(row, i);
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                sums[h][k] += value * factors[h];
            }
        }
    }
    CK_UNROLL
    for (size_t h = 0; h < heads; h++) {
        CK_UNROLL
        for (size_t k = 0; k < registers; k++) {
            memcpy(out + h * head_size + first + k * LANES, &sums[h][k], sizeof(lanes));
        }
    }
}

TARGET CK_INLINE void accumulate_rows(
    row_type type, size_t row_bytes, const float *probabilities, size_t heads, size_t stride, const void *values,
    size_t n, size_t head_size, float *out) {
    for (size_t h = 0; h < heads;) {
        const float *const p = probabilities + h * stride;
        float *const target = out + h * head_size;
        const size_t group = heads - h >= HEADS ? HEADS : 1;
        size_t i = 0;
        if (group == HEADS) {
            for (; i + 4 * LANES <= head_size; i += 4 * LANES) {
                accumulate_slab(type, row_bytes, p, HEADS, stride, values, n, head_size, i, 4, target);
            }
            for (; i + LANES <= head_size; i += LANES) {
                accumulate_slab(type, row_bytes, p, HEADS, stride, values, n, head_size, i, 1, target);
            }
        } else {
            for (; i + 8 * LANES <= head_size; i += 8 * LANES) {
                accumulate_slab(type, row_bytes, p, 1, stride, values, n, head_size, i, 8, target);
            }
            for (; i + 4 * LANES <= head_size; i += 4 * LANES) {
                accumulate_slab(type, row_bytes, p, 1, stride, values, n, head_size, i, 4, target);
            }
            for (; i + LANES <= head_size; i += LANES) {
                accumulate_slab(type, row_bytes, p, 1, stride, values, n, head_size, i, 1, target);
            }
        }
        for (size_t j = 0; i < head_size && j < n; j++) {
            for (size_t tail = i; tail < head_size; tail++) {
                const float value = type.load_one((const uint8_t *)values + j * row_bytes, tail);
                for (size_t k = 0; k < group; k++) {
                    target[k * head_size + tail] += value * p[k * stride + j];
                }
            }
        }
        h += group;
    }
}

/* ---- Kernels of a type ------------------------------------------------------------------------ */

/* ROW_BYTES may name head_size. */
#define DEFINE_ROWS(TYPE, SCALE, LOAD_ONE, ROW_BYTES)                                                             \
    static const row_type type_##TYPE = {load_##TYPE, SCALE, LOAD_ONE};                                           \
    TARGET static void scores_##TYPE(                                                                             \
        const float *queries, size_t heads, const void *keys, size_t n, size_t head_size, float *scores,          \
        size_t stride) {                                                                                          \
        scores_of_rows(type_##TYPE, ROW_BYTES, queries, heads, keys, n, head_size, scores, stride);               \
    }                                                                                                             \
    TARGET static void accumulate_##TYPE(                                                                         \
        const float *probabilities, size_t heads, size_t stride, const void *values, size_t n, size_t head_size,  \
        float *out) {                                                                                             \
        accumulate_rows(type_##TYPE, ROW_BYTES, probabilities, heads, stride, values, n, head_size, out);         \
    }

DEFINE_ROWS(f32, NULL, ck_load_f32_scalar, 4 * head_size)
DEFINE_ROWS(f16, NULL, ck_load_f16_scalar, 2 * head_size)
DEFINE_ROWS(bf16, NULL, ck_load_bf16_scalar, 2 * head_size)
DEFINE_ROWS(q8_0, scale_q8_0, load_none, sizeof(ck_block_q8_0) * (head_size / 32))
DEFINE_ROWS(q4_0, scale_q4_0, load_none, sizeof(ck_block_q4_0) * (head_size / 32))
