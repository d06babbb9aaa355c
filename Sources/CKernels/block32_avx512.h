/* Kernels of the types with blocks of 32 weights in 512-bit registers: a block of one row in the lower half, the block
 * of the next row in the upper half, so that both meet the same activations. */
#pragma once

#include "block32_avx2.h"

#if defined(__x86_64__)

/* ---- Unpacking the blocks of two rows ----------------------------------------------------- */

typedef __m512i (*ck_unpack_pair_avx512)(const void *lower, const void *upper);

CK_AVX512 CK_INLINE __m512i ck_nibbles_pair_avx512(const void *lower, const void *upper) {
    const __m512i first = _mm512_broadcast_i64x2(_mm_loadu_si128(lower));
    const __m512i both = _mm512_mask_broadcast_i64x2(first, 0xf0, _mm_loadu_si128(upper));
    const __m512i shifted = _mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    return _mm512_and_si512(shifted, _mm512_set1_epi8(0x0f));
}

/* Sets bit 4 of the bytes of q whose bit is set in the 32 bits at `lower` and at `upper`. */
CK_AVX512 CK_INLINE __m512i ck_add_fifth_bits_avx512(__m512i q, const void *lower, const void *upper) {
    const __mmask64 set = (__mmask64)ck_load_u32(lower) | (__mmask64)ck_load_u32(upper) << 32;
    return _mm512_mask_add_epi8(q, set, q, _mm512_set1_epi8(16));
}

CK_AVX512 CK_INLINE __m512i ck_load_pair_avx512(const void *lower, const void *upper) {
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256(lower)), _mm256_loadu_si256(upper), 1);
}

/* ---- Dequantisation ---------------------------------------------------------------------- */

CK_AVX512 CK_INLINE void ck_dequantize32_avx512(
    ck_format32 format, ck_unpack_avx2 unpack, const void *blocks, float *out, size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block += format.bytes) {
        const __m512 scale = ck_broadcast_f16_pair_avx512(block, block);
        const __m512 minimum =
            format.has_minimum ? ck_broadcast_f16_pair_avx512(block + 2, block + 2) : _mm512_setzero_ps();
        const __m256i q = _mm256_sub_epi8(unpack(block), _mm256_set1_epi8((char)format.offset));
        const __m128i halves[2] = {_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)};
        for (size_t k = 0; k < 2; k++) {
            const __m512 value = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(halves[k]));
            _mm512_storeu_ps(
                out + i + 16 * k,
                format.has_minimum ? _mm512_fmadd_ps(scale, value, minimum) : _mm512_mul_ps(scale, value));
        }
    }
}

/* ---- Integer products -------------------------------------------------------------------- */

/* The activations of a block's 32 columns: int8_t, twice, or int16_t, once. */
typedef __m512i (*ck_dot32_512)(__m512i q, uint8_t offset, __m512i a);

CK_AVX512VNNI CK_INLINE __m512i ck_dot32_int8_avx512vnni(__m512i q, uint8_t offset, __m512i a) {
    const __m512i zero = _mm512_setzero_si512();
    if (offset == 0) {
        return _mm512_dpbusd_epi32(zero, q, a);
    }
    const __m512i centre = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8((char)offset), a);
    return _mm512_dpbusd_epi32(_mm512_sub_epi32(zero, centre), q, a);
}

/* As bytes: see ck_split_avx2. */
CK_AVX512VNNI CK_INLINE __m512i ck_dot32_int16_avx512vnni(__m512i q, uint8_t offset, __m512i a) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i centre = _mm512_set1_epi8((char)offset);
    const __m512i lower = _mm512_broadcast_i64x4(_mm512_cvtepi16_epi8(a));
    const __m512i upper = _mm512_broadcast_i64x4(_mm512_cvtepi16_epi8(_mm512_srai_epi16(a, 8)));
    const __m512i start =
        offset == 0 ? zero : _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, centre, upper));
    const __m512i product = _mm512_slli_epi32(_mm512_dpbusd_epi32(start, q, upper), 8);
    return _mm512_dpbusd_epi32(product, lower, _mm512_sub_epi8(q, centre));
}

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation: 1 or 2 bytes. */
CK_AVX512 CK_INLINE void ck_gemv32_512(
    ck_format32 format, ck_unpack_pair_avx512 unpack, ck_dot32_512 dot, size_t width, const void *weights,
    size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y) {
    enum { PAIRS = CK_ROWS / 2 };
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *lower[PAIRS], *upper[PAIRS];
        __m512 sums[PAIRS];
        for (size_t p = 0; p < PAIRS; p++) {
            lower[p] = ck_row(weights, row_bytes, first + 2 * p, rows);
            upper[p] = ck_row(weights, row_bytes, first + 2 * p + 1, rows);
            sums[p] = _mm512_setzero_ps();
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / 32; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            const uint8_t *values = (const uint8_t *)x->values + 32 * width * b;
            const __m512i a = width == 2 ? _mm512_loadu_si512(values)
                                         : _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)values));
            const __m512 activation_scale = _mm512_set1_ps(x->scales[b]);
            /* The sum of 32 activations, an eighth in each lane. */
            const __m512 eighth = _mm512_set1_ps(
                format.has_minimum ? 0.125f * x->scales[b] * (float)(x->sums[2 * b] + x->sums[2 * b + 1]) : 0);
            for (size_t p = 0; p < PAIRS; p++) {
                const __m512 product = _mm512_cvtepi32_ps(dot(unpack(lower[p], upper[p]), format.offset, a));
                const __m512 scale =
                    _mm512_mul_ps(ck_broadcast_f16_pair_avx512(lower[p], upper[p]), activation_scale);
                sums[p] = _mm512_fmadd_ps(product, scale, sums[p]);
                if (format.has_minimum) {
                    const __m512 minimum = ck_broadcast_f16_pair_avx512(lower[p] + 2, upper[p] + 2);
                    sums[p] = _mm512_fmadd_ps(minimum, eighth, sums[p]);
                }
                lower[p] += format.bytes;
                upper[p] += format.bytes;
            }
        }
        for (size_t p = 0; p < PAIRS; p++) {
            float pair[2];
            ck_half_sums_avx512(sums[p], &pair[0], &pair[1]);
            for (size_t r = 0; r < 2 && first + 2 * p + r < rows; r++) {
                y[first + 2 * p + r] = pair[r];
            }
        }
    }
}

#endif
