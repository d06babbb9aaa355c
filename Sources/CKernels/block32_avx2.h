/* Kernels of the types with blocks of 32 weights in 256-bit registers: AVX2, and AVX2 with VNNI. */
#pragma once

#include "block32.h"

#if defined(__x86_64__)

/* ---- Unpacking: 32 q as bytes, in the order of the columns ------------------------------- */

typedef __m256i (*ck_unpack_avx2)(const void *block);

/* Four bits each: weight i in the lower half of byte i, weight i + 16 in the upper. */
CK_AVX2 CK_INLINE __m256i ck_nibbles_avx2(const void *low) {
    const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128(low));
    const __m256i shifted = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
    return _mm256_and_si256(shifted, _mm256_set1_epi8(0x0f));
}

/* -1 where bit i of `bits` is set, else 0. */
CK_AVX2 CK_INLINE __m256i ck_spread_bits_avx2(uint32_t bits) {
    const __m256i bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int32_t)bits),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
}

/* 16 where bit i of the 32 bits at `fifth` is set, else 0. */
CK_AVX2 CK_INLINE __m256i ck_fifth_bits_avx2(const void *fifth) {
    return _mm256_and_si256(ck_spread_bits_avx2(ck_load_u32(fifth)), _mm256_set1_epi8(16));
}

/* ---- Dequantisation ---------------------------------------------------------------------- */

CK_AVX2 CK_INLINE void ck_dequantize32_avx2(
    ck_format32 format, ck_unpack_avx2 unpack, const void *blocks, float *out, size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block += format.bytes) {
        const __m256 scale = ck_broadcast_f16_avx2(block);
        const __m256 minimum = format.has_minimum ? ck_broadcast_f16_avx2(block + 2) : _mm256_setzero_ps();
        const __m256i q = _mm256_sub_epi8(unpack(block), _mm256_set1_epi8((char)format.offset));
        const __m128i halves[2] = {_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)};
        for (size_t k = 0; k < 4; k++) {
            const __m128i eight = k % 2 == 0 ? halves[k / 2] : _mm_unpackhi_epi64(halves[k / 2], halves[k / 2]);
            const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
            /* The product has at most 19 bits, so that fusing the addition changes nothing. */
            _mm256_storeu_ps(
                out + i + 8 * k,
                format.has_minimum ? _mm256_fmadd_ps(scale, value, minimum) : _mm256_mul_ps(scale, value));
        }
    }
}

/* ---- Integer products -------------------------------------------------------------------- */

/* The activations of a block's 32 columns: int8_t in `low`, or int16_t, the first 16 in `low`. */
typedef struct ck_columns256 {
    __m256i low, high;
} ck_columns256;

/* Sums of (q - offset) * a over the columns, spread over eight lanes of 32 bits. What depends on the activations
 * alone is written where it is used: it is the same for every row, and the compiler computes it once. */
typedef __m256i (*ck_dot32_256)(__m256i q, uint8_t offset, ck_columns256 a);

/* Int16 activations are multiplied as bytes, a = 256 * upper + lower, upper signed and lower unsigned: the
 * instructions take signed bytes times unsigned ones, and q below 128 is both. */
CK_AVX2 CK_INLINE ck_columns256 ck_split_avx2(ck_columns256 a) {
    const __m256i mask = _mm256_set1_epi16(0x00ff);
    const __m256i lower = _mm256_packus_epi16(_mm256_and_si256(a.low, mask), _mm256_and_si256(a.high, mask));
    const __m256i upper = _mm256_packs_epi16(_mm256_srai_epi16(a.low, 8), _mm256_srai_epi16(a.high, 8));
    /* Packing works within 128 bits; this puts the columns back in order. */
    return (ck_columns256){
        .low = _mm256_permute4x64_epi64(lower, 0xd8), .high = _mm256_permute4x64_epi64(upper, 0xd8)};
}

CK_AVX2 CK_INLINE __m256i ck_dot32_int8_avx2(__m256i q, uint8_t offset, ck_columns256 a) {
    const __m256i ones = _mm256_set1_epi16(1);
    if (offset == 128) {
        /* Sums of two products of full bytes overflow 16 bits, so the sign moves to the activation:
         * at most 2 * 128 * 127. */
        const __m256i w = _mm256_xor_si256(q, _mm256_set1_epi8((char)0x80));
        return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a.low, w)), ones);
    }
    const __m256i centre = _mm256_maddubs_epi16(_mm256_set1_epi8((char)offset), a.low);
    return _mm256_madd_epi16(_mm256_sub_epi16(_mm256_maddubs_epi16(q, a.low), centre), ones);
}

/* The 16-bit product of full bytes with int16 activations. */
CK_AVX2 CK_INLINE __m256i ck_widen_low_avx2(__m256i q) {
    const __m256i w = _mm256_xor_si256(q, _mm256_set1_epi8((char)0x80));
    return _mm256_cvtepi8_epi16(_mm256_castsi256_si128(w));
}

CK_AVX2 CK_INLINE __m256i ck_widen_high_avx2(__m256i q) {
    const __m256i w = _mm256_xor_si256(q, _mm256_set1_epi8((char)0x80));
    return _mm256_cvtepi8_epi16(_mm256_extracti128_si256(w, 1));
}

CK_AVX2 CK_INLINE __m256i ck_dot32_int16_avx2(__m256i q, uint8_t offset, ck_columns256 a) {
    if (offset == 128) {
        return _mm256_add_epi32(
            _mm256_madd_epi16(ck_widen_low_avx2(q), a.low), _mm256_madd_epi16(ck_widen_high_avx2(q), a.high));
    }
    const ck_columns256 bytes = ck_split_avx2(a);
    const __m256i centre = _mm256_set1_epi8((char)offset);
    const __m256i lower =
        _mm256_sub_epi16(_mm256_maddubs_epi16(bytes.low, q), _mm256_maddubs_epi16(bytes.low, centre));
    const __m256i upper =
        _mm256_sub_epi16(_mm256_maddubs_epi16(q, bytes.high), _mm256_maddubs_epi16(centre, bytes.high));
    return _mm256_add_epi32(
        _mm256_madd_epi16(lower, _mm256_set1_epi16(1)), _mm256_madd_epi16(upper, _mm256_set1_epi16(256)));
}

CK_AVXVNNI CK_INLINE __m256i ck_dot32_int8_avxvnni(__m256i q, uint8_t offset, ck_columns256 a) {
    const __m256i zero = _mm256_setzero_si256();
    if (offset == 0) {
        return _mm256_dpbusd_avx_epi32(zero, q, a.low);
    }
    const __m256i centre = _mm256_dpbusd_avx_epi32(zero, _mm256_set1_epi8((char)offset), a.low);
    return _mm256_dpbusd_avx_epi32(_mm256_sub_epi32(zero, centre), q, a.low);
}

CK_AVXVNNI CK_INLINE __m256i ck_dot32_int16_avxvnni(__m256i q, uint8_t offset, ck_columns256 a) {
    const __m256i zero = _mm256_setzero_si256();
    if (offset == 128) {
        const __m256i low = _mm256_dpwssd_avx_epi32(zero, ck_widen_low_avx2(q), a.low);
        return _mm256_dpwssd_avx_epi32(low, ck_widen_high_avx2(q), a.high);
    }
    const ck_columns256 bytes = ck_split_avx2(a);
    const __m256i centre = _mm256_set1_epi8((char)offset);
    const __m256i start =
        offset == 0 ? zero : _mm256_sub_epi32(zero, _mm256_dpbusd_avx_epi32(zero, centre, bytes.high));
    const __m256i product = _mm256_slli_epi32(_mm256_dpbusd_avx_epi32(start, q, bytes.high), 8);
    return _mm256_dpbusd_avx_epi32(product, bytes.low, _mm256_sub_epi8(q, centre));
}

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation: 1 or 2 bytes. */
CK_AVX2 CK_INLINE void ck_gemv32_256(
    ck_format32 format, ck_unpack_avx2 unpack, ck_dot32_256 dot, size_t width, const void *weights,
    size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y) {
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        __m256 sums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = _mm256_setzero_ps();
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / 32; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            const uint8_t *values = (const uint8_t *)x->values + 32 * width * b;
            ck_columns256 a = {.low = _mm256_loadu_si256((const void *)values)};
            a.high = width == 2 ? _mm256_loadu_si256((const void *)(values + 32)) : a.low;
            const __m256 activation_scale = _mm256_set1_ps(x->scales[b]);
            /* The sum of 32 activations, an eighth in each lane. */
            const __m256 eighth = _mm256_set1_ps(
                format.has_minimum ? 0.125f * x->scales[b] * (float)(x->sums[2 * b] + x->sums[2 * b + 1]) : 0);
            for (size_t r = 0; r < CK_ROWS; r++) {
                const __m256 product = _mm256_cvtepi32_ps(dot(unpack(block[r]), format.offset, a));
                const __m256 scale = _mm256_mul_ps(ck_broadcast_f16_avx2(block[r]), activation_scale);
                sums[r] = _mm256_fmadd_ps(product, scale, sums[r]);
                if (format.has_minimum) {
                    sums[r] = _mm256_fmadd_ps(ck_broadcast_f16_avx2(block[r] + 2), eighth, sums[r]);
                }
                block[r] += format.bytes;
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < rows; r++) {
            y[first + r] = ck_sum_avx2(sums[r]);
        }
    }
}

#endif
