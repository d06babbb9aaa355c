/* Rows of floats of any kind (F32, F16, BF16, F64), and what every product of rows with a vector has in common. A kind
 * is a function that loads some of a row's elements as floats. */
#pragma once

#include "isa.h"

/* The parameters of ck_gemv_fn, and their names. */
#define CK_GEMV_PARAMETERS \
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y
#define CK_GEMV_ARGUMENTS weights, row_bytes, rows, columns, x, y

/* Rows that are multiplied at a time: they share the loads of x, and their sums hide each other's latency. */
#define CK_ROWS 4

/* Vectors for the next pass over some rows, when `left` are left: about as many each time, since one alone takes
 * nearly as long as two. */
CK_INLINE size_t ck_some_vectors(size_t left, size_t most) {
    const size_t passes = (left + most - 1) / most;
    return (left + passes - 1) / passes;
}

/* The memory to ask for while a group of rows is multiplied: the next group, but at least so many bytes ahead. The
 * processor does not foresee the next rows by itself, because each group begins four new short streams: without this
 * hint weights come from memory two to four times slower. It is asked for in the second-level cache: beside the
 * activations the first one may have no room for so much. */
CK_INLINE uintptr_t ck_ahead(const void *weights, size_t row_bytes, size_t first) {
    const size_t group = CK_ROWS * row_bytes;
    return (uintptr_t)weights + first * row_bytes + (group < 12288 ? 12288 : group);
}

/* The address of the row `row`, or of the last row: groups at the end compute a row more than once rather than have
 * code of their own. */
CK_INLINE const uint8_t *ck_row(const void *rows, size_t row_bytes, size_t row, size_t count) {
    return (const uint8_t *)rows + (row < count ? row : count - 1) * row_bytes;
}

/* ---- Loads ------------------------------------------------------------------------------- */

/* Element `i` of a row. */
typedef float (*ck_load_scalar)(const void *row, size_t i);

CK_INLINE float ck_load_f32_scalar(const void *row, size_t i) {
    return ck_float(ck_load_u32((const uint8_t *)row + 4 * i));
}

CK_INLINE float ck_load_f16_scalar(const void *row, size_t i) {
    return ck_f16_to_f32(ck_load_u16((const uint8_t *)row + 2 * i));
}

CK_INLINE float ck_load_bf16_scalar(const void *row, size_t i) {
    return ck_bf16_to_f32(ck_load_u16((const uint8_t *)row + 2 * i));
}

#if defined(__x86_64__)
/* Elements i to i + 7. */
typedef __m256 (*ck_load_avx2)(const void *row, size_t i);

CK_AVX2 CK_INLINE __m256 ck_load_f32_avx2(const void *row, size_t i) {
    return _mm256_loadu_ps((const float *)row + i);
}

CK_AVX2 CK_INLINE __m256 ck_load_f16_avx2(const void *row, size_t i) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)((const uint8_t *)row + 2 * i)));
}

CK_AVX2 CK_INLINE __m256 ck_load_bf16_avx2(const void *row, size_t i) {
    const __m128i halves = _mm_loadu_si128((const void *)((const uint8_t *)row + 2 * i));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/* Elements i to i + 15. */
typedef __m512 (*ck_load_avx512)(const void *row, size_t i);

CK_AVX512 CK_INLINE __m512 ck_load_f32_avx512(const void *row, size_t i) {
    return _mm512_loadu_ps((const uint8_t *)row + 4 * i);
}

CK_AVX512 CK_INLINE __m512 ck_load_f16_avx512(const void *row, size_t i) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)((const uint8_t *)row + 2 * i)));
}

CK_AVX512 CK_INLINE __m512 ck_load_bf16_avx512(const void *row, size_t i) {
    const __m256i halves = _mm256_loadu_si256((const void *)((const uint8_t *)row + 2 * i));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* The lanes of the last `count` elements, at most 16. */
CK_AVX512 CK_INLINE __mmask16 ck_tail_mask(size_t count) {
    return (__mmask16)(count >= 16 ? 0xffff : (1u << count) - 1);
}
#endif

#if defined(__aarch64__)
/* Elements i to i + 3. */
typedef float32x4_t (*ck_load_neon)(const void *row, size_t i);

CK_NEON CK_INLINE float32x4_t ck_load_f32_neon(const void *row, size_t i) {
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)row + 4 * i)); /* as bytes, which may lie at any address */
}

CK_NEON CK_INLINE float32x4_t ck_load_f16_neon(const void *row, size_t i) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)row + 2 * i)));
}

CK_NEON CK_INLINE float32x4_t ck_load_bf16_neon(const void *row, size_t i) {
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8((const uint8_t *)row + 2 * i)), 16));
}
#endif

/* ---- Dot products of floats -------------------------------------------------------------- */

CK_INLINE float ck_dot_row_scalar(ck_load_scalar load, const void *row, const float *x, size_t n) {
    /* As many sums as vectors have: an error of a unit in the last place for each term adds up where they are alike. */
    float sums[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t lane = 0; lane < 16; lane++) {
            sums[lane] += load(row, i + lane) * x[i + lane];
        }
    }
    for (; i < n; i++) {
        sums[i % 16] += load(row, i) * x[i];
    }
    for (size_t width = 8; width > 0; width /= 2) {
        for (size_t lane = 0; lane < width; lane++) {
            sums[lane] += sums[lane + width];
        }
    }
    return sums[0];
}

CK_INLINE float ck_dot_scalar(const float *a, const float *b, size_t n) {
    return ck_dot_row_scalar(ck_load_f32_scalar, a, b, n);
}

#if defined(__x86_64__)
CK_AVX2 CK_INLINE float ck_dot_avx2(const float *a, const float *b, size_t n) {
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * k), _mm256_loadu_ps(b + i + 8 * k), sums[k]);
        }
    }
    for (; i + 8 <= n; i += 8) {
        sums[0] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sums[0]);
    }
    float sum = ck_sum_avx2(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

CK_AVX512 CK_INLINE float ck_dot_avx512(const float *a, const float *b, size_t n) {
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16 * k), _mm512_loadu_ps(b + i + 16 * k), sums[k]);
        }
    }
    for (; i < n; i += 16) {
        const __mmask16 mask = ck_tail_mask(n - i);
        sums[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), sums[0]);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}
#endif

#if defined(__aarch64__)
CK_NEON CK_INLINE float ck_dot_neon(const float *a, const float *b, size_t n) {
    float32x4_t sums[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] = vfmaq_f32(sums[k], vld1q_f32(a + i + 4 * k), vld1q_f32(b + i + 4 * k));
        }
    }
    float sum = vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
    for (; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
#endif

/* ---- Quantised rows with float activations ----------------------------------------------- */

/* Columns that are dequantised at a time, into the first-level cache: a multiple of every block. */
#define CK_TILE_COLUMNS 256

/* gemv through floats, for any type. */
CK_INLINE void ck_multiply_dequantized(
    ck_dequantize_fn dequantize, float (*dot)(const float *, const float *, size_t), size_t block,
    size_t block_bytes, const void *weights, size_t row_bytes, size_t rows, size_t columns, const float *x, float *y) {
    _Alignas(64) float tile[CK_TILE_COLUMNS]; /* unaligned, wide stores and loads would straddle cache lines */
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)weights + r * row_bytes;
        float sum = 0;
        for (size_t i = 0; i < columns; i += CK_TILE_COLUMNS) {
            const size_t width = columns - i < CK_TILE_COLUMNS ? columns - i : CK_TILE_COLUMNS;
            dequantize(row + i / block * block_bytes, tile, width);
            sum += dot(tile, x + i, width);
        }
        y[r] = sum;
    }
}
