/* Attention of a few queries: each row of a cache that is loaded meets HEADS of them, two or one. */
#pragma once

#include "blocks.h"
#include "float_rows.h"
#include "lanes.h"

/* ---- Loads: elements i to i + LANES - 1 of a row or a block, i a multiple of LANES ----------- */

typedef lanes (*load_fn)(const void *address, size_t i);

typedef int8_t bytes __attribute__((vector_size(LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

TARGET CK_INLINE lanes load_f32(const void *row, size_t i) {
    lanes values;
    memcpy(&values, (const uint8_t *)row + 4 * i, sizeof values);
    return values;
}

TARGET CK_INLINE lanes load_f16(const void *row, size_t i) {
#if LANES == 16
    return (lanes)ck_load_f16_avx512(row, i);
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

TARGET CK_INLINE lanes load_q8_0(const void *address, size_t i) {
    const ck_block_q8_0 *const block = address;
#if LANES == 8
    return (lanes)_mm256_cvtepi32_ps(raise_bytes(load_sixteen_twice(block->weights + (i & 16)), i & 8));
#else
    bytes weights;
    memcpy(&weights, block->weights + i, sizeof weights);
    return __builtin_convertvector(weights, lanes);
#endif
}

TARGET CK_INLINE lanes load_q4_0(const void *address, size_t i) {
    const ck_block_q4_0 *const block = address;
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

/* What a cache's type is to these templates. A row is an array of pieces: elements, or blocks of 32 of them that begin
 * with their scale, an f16. */
typedef struct row_type {
    load_fn load; /* from a row of elements, or from a block */
    /* The bytes and the elements of a piece. */
    size_t size, elements;
    /* An element of a block is the block's scale times what `load` gives, times this power of two. The scale is applied
     * once to the products of a block, or to its probability, this factor once to results. */
    float unit;
    /* Rows of values that pass by at a time: what they take stays in the first-level cache for all slabs. */
    size_t run;
    /* Element i, where vectors end before a row does; NULL for blocks, which are whole vectors. */
    ck_load_scalar load_one;
} row_type;

CK_INLINE bool has_blocks(row_type type) {
    return type.elements > 1;
}

/* Where the piece with element i of a row is. */
CK_INLINE const uint8_t *piece_with(row_type type, const uint8_t *row, size_t i) {
    return row + type.size * (i / type.elements);
}

/* The scale of a block, in every lane. */
TARGET CK_INLINE lanes load_scale(const uint8_t *block) {
#if LANES == 16
    return (lanes)_mm512_cvtph_ps(_mm256_set1_epi16((int16_t)ck_load_u16(block)));
#elif LANES == 8
    return (lanes)ck_broadcast_f16_avx2(block);
#elif defined(__aarch64__)
    return (lanes)vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(ck_load_u16(block))));
#else
    return (lanes){0} + ck_f16_to_f32(ck_load_u16(block));
#endif
}

_Static_assert(CK_ROWS % ABREAST == 0, "rows of keys are left over");

/* Rows of keys, or registers of values, that meet `heads` queries side by side: as many as leave registers for what is
 * added to their sums. */
CK_INLINE size_t abreast(size_t heads) {
    return heads == HEADS ? ABREAST : CK_ROWS;
}

/* ---- Scores ------------------------------------------------------------------------------- */

/* scores[r] = unit * the sum of the lanes of sums[r], for the first `count` rows. Added up together, the sums of four
 * rows take so much less that scores of one query are 1.25 to 1.4 times as fast from an f16 cache (Zen 3). */
TARGET CK_INLINE void store_scores(const lanes sums[CK_ROWS], float unit, size_t count, float *scores) {
    float values[CK_ROWS];
#if LANES >= 8
    __m256 eight[CK_ROWS];
    CK_UNROLL
    for (size_t r = 0; r < CK_ROWS; r++) {
#if LANES == 16
        eight[r] = _mm256_add_ps(
            _mm512_castps512_ps256((__m512)sums[r]), _mm512_extractf32x8_ps((__m512)sums[r], 1));
#else
        eight[r] = (__m256)sums[r];
#endif
    }
    const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(eight[0], eight[1]), _mm256_hadd_ps(eight[2], eight[3]));
    _mm_storeu_ps(
        values, _mm_mul_ps(_mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)), _mm_set1_ps(unit)));
#else
    CK_UNROLL
    for (size_t r = 0; r < CK_ROWS; r++) {
        values[r] = unit * ((sums[r][0] + sums[r][2]) + (sums[r][1] + sums[r][3]));
    }
#endif
    if (count >= CK_ROWS) { /* the size is a constant, or this would be a call */
        memcpy(scores, values, sizeof values);
    } else {
        memcpy(scores, values, count * sizeof *values);
    }
}

/* The products of a row of blocks with `heads` queries. */
TARGET CK_INLINE void multiply_blocks(
    row_type type, const uint8_t *row, const float *queries, size_t heads, size_t head_size, lanes sums[HEADS]) {
    CK_UNROLL
    for (size_t h = 0; h < heads; h++) {
        sums[h] = (lanes){0};
    }
    for (size_t i = 0; i < head_size; i += 32) {
        const uint8_t *const block = piece_with(type, row, i);
        lanes products[HEADS];
        CK_UNROLL
        for (size_t k = 0; k < 32; k += LANES) {
            const lanes values = type.load(block, k);
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                const lanes query = load_f32(queries + h * head_size, i + k);
                products[h] = k == 0 ? values * query : products[h] + values * query;
            }
        }
        const lanes scale = load_scale(block);
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            sums[h] += products[h] * scale;
        }
    }
}

/* The products of abreast(heads) rows of elements, from row `first` on, with `heads` queries, as far as they are whole
 * vectors. */
TARGET CK_INLINE void multiply_elements(
    row_type type, const uint8_t *const row[CK_ROWS], size_t first, const float *queries, size_t heads,
    size_t head_size, lanes sums[HEADS][CK_ROWS]) {
    lanes own[HEADS][CK_ROWS];
    lanes more[CK_ROWS]; /* one query alone has too few sums to hide the latency of an addition */
    const size_t rows = abreast(heads);
    size_t i = 0;
    CK_UNROLL
    for (size_t r = 0; r < rows; r++) {
        more[r] = (lanes){0};
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            own[h][r] = (lanes){0};
        }
    }
    if (heads == 1) {
        for (; i + 2 * LANES <= head_size; i += 2 * LANES) {
            const lanes even = load_f32(queries, i), odd = load_f32(queries, i + LANES);
            CK_UNROLL
            for (size_t r = 0; r < rows; r++) {
                own[0][r] += type.load(row[first + r], i) * even;
                more[r] += type.load(row[first + r], i + LANES) * odd;
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
        for (size_t r = 0; r < rows; r++) {
            const lanes values = type.load(row[first + r], i);
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                own[h][r] += values * query[h];
            }
        }
    }
    CK_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            sums[h][first + r] = heads == 1 ? own[h][r] + more[r] : own[h][r];
        }
    }
}

/* The products of CK_ROWS rows with `heads` queries, 1, 2 or HEADS, as far as they are whole vectors. */
TARGET CK_INLINE void products_of(
    row_type type, const uint8_t *const row[CK_ROWS], const float *queries, size_t heads, size_t head_size,
    lanes sums[HEADS][CK_ROWS]) {
    if (has_blocks(type)) {
        CK_UNROLL
        for (size_t r = 0; r < CK_ROWS; r++) {
            lanes own[HEADS];
            multiply_blocks(type, row[r], queries, heads, head_size, own);
            CK_UNROLL
            for (size_t h = 0; h < heads; h++) {
                sums[h][r] = own[h];
            }
        }
        return;
    }
    /* Not unrolled: where not all rows are side by side, the sums of some are in memory while others are added up. */
    for (size_t first = 0; first < CK_ROWS; first += abreast(heads)) {
        multiply_elements(type, row, first, queries, heads, head_size, sums);
    }
}

/* For `heads` queries, 1, 2 or HEADS. */
TARGET CK_INLINE void scores_of_heads(
    row_type type, size_t row_bytes, const float *queries, size_t heads, const void *keys, size_t n, size_t head_size,
    size_t ahead, float *scores, size_t stride) {
    for (size_t first = 0; first < n; first += CK_ROWS) {
        const uint8_t *row[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            row[r] = ck_row(keys, row_bytes, first + r, n);
        }
        if (ahead > 0) {
            ck_prefetch_far((uintptr_t)row[0] + ahead, CK_ROWS * row_bytes);
        }
        lanes sums[HEADS][CK_ROWS];
        products_of(type, row, queries, heads, head_size, sums);
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            store_scores(sums[h], type.unit, n - first, scores + h * stride + first);
        }
        for (size_t i = head_size / LANES * LANES; !has_blocks(type) && i < head_size; i++) {
            for (size_t r = 0; r < CK_ROWS && first + r < n; r++) {
                const float value = type.load_one(row[r], i);
                for (size_t h = 0; h < heads; h++) {
                    scores[h * stride + first + r] += value * queries[h * head_size + i];
                }
            }
        }
    }
}

/* All rows meet some queries before they meet the next ones: keys come from a cache by then, and few rows at a time for
 * all queries were not faster. */
TARGET CK_INLINE void scores_of_rows(
    row_type type, const float *queries, size_t heads, const void *keys, size_t n, size_t head_size, size_t ahead,
    float *scores, size_t stride) {
    const size_t row_bytes = type.size * (head_size / type.elements);
    size_t h = 0;
    for (; h + HEADS <= heads; h += HEADS) {
        scores_of_heads(
            type, row_bytes, queries + h * head_size, HEADS, keys, n, head_size, h == 0 ? ahead : 0,
            scores + h * stride, stride);
    }
    for (; HEADS > 2 && h + 2 <= heads; h += 2) {
        scores_of_heads(
            type, row_bytes, queries + h * head_size, 2, keys, n, head_size, h == 0 ? ahead : 0, scores + h * stride,
            stride);
    }
    for (; h < heads; h++) {
        scores_of_heads(
            type, row_bytes, queries + h * head_size, 1, keys, n, head_size, h == 0 ? ahead : 0, scores + h * stride,
            stride);
    }
}

/* ---- The sum of the values ------------------------------------------------------------------ */

/* `registers` vectors of `out`, for `heads` queries, 1, 2 or HEADS: they stay in registers while the rows pass by. They
 * begin in the piece of the first row at `values`, with its element `first`. */
TARGET CK_INLINE void accumulate_slab(
    row_type type, size_t row_bytes, const float *probabilities, size_t heads, size_t stride, const uint8_t *values,
    size_t first, size_t n, size_t head_size, size_t ahead, size_t registers, float *out) {
    lanes sums[HEADS][8];
    /* A factor for each query takes as many operations as queries, one for each vector as many as vectors: the latter
     * is less with four queries and AVX2's slabs (1.2 times as fast from q8_0, Zen 3). */
    const bool scales_values = has_blocks(type) && heads == HEADS && registers < HEADS && LANES == 8;
    CK_UNROLL
    for (size_t h = 0; h < heads; h++) {
        CK_UNROLL
        for (size_t k = 0; k < registers; k++) {
            sums[h][k] = load_f32(out + h * head_size, k * LANES) * (1 / type.unit);
        }
    }
    for (size_t j = 0; j < n; j++) {
        if (ahead > 0) {
            const uint8_t *const part = piece_with(type, values + j * row_bytes, first);
            ck_prefetch_far((uintptr_t)part + ahead, registers * LANES * type.size / type.elements);
        }
        lanes probability[HEADS], factors[HEADS];
        CK_UNROLL
        for (size_t h = 0; h < heads; h++) {
            /* Less zero, and not plus, which would be an operation: -0 + 0 is 0. */
            factors[h] = probability[h] = probabilities[h * stride + j] - (lanes){0};
        }
        CK_UNROLL
        for (size_t k = 0; k < registers; k++) {
            const size_t i = first + k * LANES;
            const uint8_t *const piece = piece_with(type, values + j * row_bytes, i);
            if (has_blocks(type) && !scales_values && (k == 0 || i % 32 == 0)) {
                const lanes scale = load_scale(piece);
                CK_UNROLL
                for (size_t h = 0; h < heads; h++) {
                    factors[h] = probability[h] * scale;
                }
            }
            lanes value = type.load(piece, i % type.elements);
            if (scales_values) {
                value *= load_scale(piece);
            }
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
            const lanes result = sums[h][k] * type.unit;
            memcpy(out + h * head_size + k * LANES, &result, sizeof result);
        }
    }
}

/* Slabs of so many registers, from element i on, as far as they fit. Returns where they end. */
TARGET CK_INLINE size_t accumulate_slabs(
    row_type type, size_t row_bytes, const float *probabilities, size_t heads, size_t stride, const uint8_t *values,
    size_t n, size_t head_size, size_t ahead, size_t i, size_t registers, float *out) {
    for (; i + registers * LANES <= head_size; i += registers * LANES) {
        accumulate_slab(
            type, row_bytes, probabilities, heads, stride, piece_with(type, values, i), 0, n, head_size, ahead,
            registers, out + i);
    }
    return i;
}

/* Registers of a slab of one block, or of a part of it. */
CK_INLINE size_t part_registers(size_t heads) {
    return abreast(heads) * LANES < 32 ? abreast(heads) : 32 / LANES;
}

/* `n` rows, a run or fewer, for `heads` queries, 1, 2 or HEADS. */
TARGET CK_INLINE void accumulate_run(
    row_type type, size_t row_bytes, const float *probabilities, size_t heads, size_t stride, const uint8_t *values,
    size_t n, size_t head_size, size_t ahead, float *out) {
    size_t i = 0;
    if (heads == 1) {
        i = accumulate_slabs(type, row_bytes, probabilities, heads, stride, values, n, head_size, ahead, i, 8, out);
    }
    const size_t registers = abreast(heads);
    if (registers * LANES % type.elements == 0) {
        i = accumulate_slabs(
            type, row_bytes, probabilities, heads, stride, values, n, head_size, ahead, i, registers, out);
    }
    for (; has_blocks(type) && i < head_size; i += 32) {
        CK_UNROLL
        for (size_t k = 0; k < 32; k += part_registers(heads) * LANES) {
            accumulate_slab(
                type, row_bytes, probabilities, heads, stride, piece_with(type, values, i), k, n, head_size, ahead,
                part_registers(heads), out + i + k);
        }
    }
    if (has_blocks(type)) {
        return;
    }
    i = accumulate_slabs(type, row_bytes, probabilities, heads, stride, values, n, head_size, ahead, i, 1, out);
    for (; i < head_size; i++) {
        for (size_t j = 0; j < n; j++) {
            const float value = type.load_one(values + j * row_bytes, i);
            for (size_t h = 0; h < heads; h++) {
                out[h * head_size + i] += value * probabilities[h * stride + j];
            }
        }
    }
}

TARGET CK_INLINE void accumulate_rows(
    row_type type, const float *probabilities, size_t heads, size_t stride, const uint8_t *values, size_t n,
    size_t head_size, size_t ahead, float *out) {
    const size_t row_bytes = type.size * (head_size / type.elements);
    for (size_t first = 0; first < n; first += type.run) {
        const uint8_t *const run = values + first * row_bytes;
        const size_t count = n - first < type.run ? n - first : type.run;
        size_t h = 0;
        for (; h + HEADS <= heads; h += HEADS) {
            accumulate_run(
                type, row_bytes, probabilities + h * stride + first, HEADS, stride, run, count, head_size,
                h == 0 ? ahead : 0, out + h * head_size);
        }
        for (; HEADS > 2 && h + 2 <= heads; h += 2) {
            accumulate_run(
                type, row_bytes, probabilities + h * stride + first, 2, stride, run, count, head_size,
                h == 0 ? ahead : 0, out + h * head_size);
        }
        for (; h < heads; h++) {
            accumulate_run(
                type, row_bytes, probabilities + h * stride + first, 1, stride, run, count, head_size,
                h == 0 ? ahead : 0, out + h * head_size);
        }
    }
}

/* ---- Kernels of a type ------------------------------------------------------------------------ */

#define DEFINE_ROWS(TYPE, ...)                                                                                    \
    static const row_type type_##TYPE = {.load = load_##TYPE, __VA_ARGS__};                                       \
    TARGET static void scores_##TYPE(                                                                             \
        const float *queries, size_t heads, const void *keys, size_t n, size_t head_size, size_t ahead,           \
        float *scores, size_t stride) {                                                                           \
        scores_of_rows(type_##TYPE, queries, heads, keys, n, head_size, ahead, scores, stride);                   \
    }                                                                                                             \
    TARGET static void accumulate_##TYPE(                                                                         \
        const float *probabilities, size_t heads, size_t stride, const void *values, size_t n, size_t head_size,  \
        size_t ahead, float *out) {                                                                               \
        accumulate_rows(type_##TYPE, probabilities, heads, stride, values, n, head_size, ahead, out);             \
    }

/* Rows of a run, where AVX2 has its own number: the slabs of a row come soon enough after each other for the processor
 * to see a stream. With rows asked for ahead, Zen 3 adds up f16 from memory 1.14 times as fast in runs of 8 as it does
 * in runs of 64 with none asked for, 1.06 times in runs of 16; q8_0 1.27 and 1.33 times. In a cache, runs of 8 are 0.77
 * times as fast, those of 16 0.94 times (f16). */
#define RUN(avx2) (LANES == 8 ? (avx2) : 64)

DEFINE_ROWS(f32, .size = 4, .elements = 1, .unit = 1, .run = 64, .load_one = ck_load_f32_scalar)
DEFINE_ROWS(f16, .size = 2, .elements = 1, .unit = 1, .run = RUN(8), .load_one = ck_load_f16_scalar)
DEFINE_ROWS(bf16, .size = 2, .elements = 1, .unit = 1, .run = RUN(8), .load_one = ck_load_bf16_scalar)
DEFINE_ROWS(q8_0, .size = sizeof(ck_block_q8_0), .elements = 32, .unit = LANES == 8 ? 0x1p-24f : 1, .run = RUN(16))
DEFINE_ROWS(q4_0, .size = sizeof(ck_block_q4_0), .elements = 32, .unit = LANES == 8 ? 0x1p-28f : 1, .run = RUN(16))
