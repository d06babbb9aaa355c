/* Kernels of the types with blocks of 256 weights in 256-bit registers: AVX2, and AVX2 with VNNI. */
#pragma once

#include "block256.h"
#include "block32_avx2.h"

#if defined(__x86_64__)

/* The q of columns 32 * eighth to 32 * eighth + 31. */
typedef __m256i (*ck_unpack256_avx2)(const void *block, size_t eighth);

/* The integers of a block's 16 groups, as bytes. */
typedef struct ck_groups256 {
    __m128i scales;   /* signed */
    __m128i minimums; /* unsigned */
} ck_groups256;

typedef ck_groups256 (*ck_groups_avx2)(const void *block);

/* Moves bit `from` of every byte to bit `to`, and the others with it, some into the bytes beside. */
CK_AVX2 CK_INLINE __m256i ck_move_bits_avx2(__m256i bits, int from, int to) {
    return from < to ? _mm256_slli_epi16(bits, to - from) : _mm256_srli_epi16(bits, from - to);
}

/* The upper eight bytes, moved to the lower. */
CK_AVX2 CK_INLINE __m128i ck_upper_bytes(__m128i bytes) {
    return _mm_unpackhi_epi64(bytes, bytes);
}

/* The lower eight bytes, signed, as floats. */
CK_AVX2 CK_INLINE __m256 ck_bytes_to_floats_avx2(__m128i bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/* ---- Dequantisation ---------------------------------------------------------------------- */

CK_AVX2 CK_INLINE void ck_dequantize256_avx2(
    ck_format256 format, ck_unpack256_avx2 unpack, ck_groups_avx2 groups, const void *blocks, float *out,
    size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block += format.bytes) {
        const ck_groups256 integers = groups(block);
        const __m256 scale =
            _mm256_mul_ps(_mm256_set1_ps(format.unit), ck_broadcast_f16_avx2(block + format.scale));
        const __m256 minimum =
            format.has_minimum ? ck_broadcast_f16_avx2(block + format.minimum) : _mm256_setzero_ps();
        _Alignas(32) float scales[16], minimums[16];
        for (size_t half = 0; half < 2; half++) {
            const __m128i s = half == 0 ? integers.scales : ck_upper_bytes(integers.scales);
            const __m128i m = half == 0 ? integers.minimums : ck_upper_bytes(integers.minimums);
            _mm256_store_ps(scales + 8 * half, _mm256_mul_ps(scale, ck_bytes_to_floats_avx2(s)));
            _mm256_store_ps(minimums + 8 * half, _mm256_mul_ps(minimum, ck_bytes_to_floats_avx2(m)));
        }
        CK_UNROLL
        for (size_t eighth = 0; eighth < 8; eighth++) {
            const __m256i q = _mm256_sub_epi8(unpack(block, eighth), _mm256_set1_epi8((char)format.offset));
            const __m128i halves[2] = {_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)};
            for (size_t k = 0; k < 4; k++) {
                const __m128i eight = k % 2 == 0 ? halves[k / 2] : ck_upper_bytes(halves[k / 2]);
                const __m256 value = ck_bytes_to_floats_avx2(eight);
                const __m256 group_scale = _mm256_broadcast_ss(scales + 2 * eighth + k / 2);
                const __m256 group_minimum = _mm256_broadcast_ss(minimums + 2 * eighth + k / 2);
                _mm256_storeu_ps(
                    out + i + 32 * eighth + 8 * k,
                    format.has_minimum ? _mm256_fmsub_ps(group_scale, value, group_minimum)
                                       : _mm256_mul_ps(group_scale, value));
            }
        }
    }
}

/* ---- Integer products -------------------------------------------------------------------- */

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation: 1 or 2 bytes.
 *
 * The product of 32 columns has eight lanes, four for each of two groups. The factors of these lanes (scale, group
 * scale and activation scale) come from a register that holds those of eight groups, the even ones in its lower half
 * and the odd ones in its upper: a shuffle within the halves spreads the two that are wanted. */
CK_AVX2 CK_INLINE void ck_gemv256_256(
    ck_format256 format, ck_unpack256_avx2 unpack, ck_groups_avx2 groups, ck_dot32_256 dot, size_t width,
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y) {
    const __m128i even_odd = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        __m256 sums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = _mm256_setzero_ps();
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / 256; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            const uint8_t *values = (const uint8_t *)x->values + 256 * width * b;
            __m256 activation_scales[2], activation_sums[2];
            for (size_t half = 0; half < 2; half++) {
                const __m128 four = _mm_loadu_ps(x->scales + 8 * b + 4 * half);
                activation_scales[half] = _mm256_set_m128(four, four);
                if (format.has_minimum) {
                    const __m256i integers = _mm256_loadu_si256((const void *)(x->sums + 16 * b + 8 * half));
                    activation_sums[half] = _mm256_mul_ps(
                        _mm256_cvtepi32_ps(integers), _mm256_permutevar8x32_ps(activation_scales[half], twice));
                }
            }
            __m256 factors[CK_ROWS][2];
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                const ck_groups256 integers = groups(block[r]);
                const __m256 scale =
                    _mm256_mul_ps(_mm256_set1_ps(format.unit), ck_broadcast_f16_avx2(block[r] + format.scale));
                const __m128i scales = _mm_shuffle_epi8(integers.scales, even_odd);
                factors[r][0] =
                    _mm256_mul_ps(ck_bytes_to_floats_avx2(scales), _mm256_mul_ps(scale, activation_scales[0]));
                factors[r][1] = _mm256_mul_ps(
                    ck_bytes_to_floats_avx2(ck_upper_bytes(scales)), _mm256_mul_ps(scale, activation_scales[1]));
                if (format.has_minimum) {
                    const __m256 lower = ck_bytes_to_floats_avx2(integers.minimums);
                    const __m256 upper = ck_bytes_to_floats_avx2(ck_upper_bytes(integers.minimums));
                    const __m256 product =
                        _mm256_fmadd_ps(upper, activation_sums[1], _mm256_mul_ps(lower, activation_sums[0]));
                    sums[r] = _mm256_fnmadd_ps(ck_broadcast_f16_avx2(block[r] + format.minimum), product, sums[r]);
                }
            }
            CK_UNROLL
            for (size_t eighth = 0; eighth < 8; eighth++) {
                const uint8_t *start = values + 32 * width * eighth;
                ck_columns256 a = {.low = _mm256_loadu_si256((const void *)start)};
                a.high = width == 2 ? _mm256_loadu_si256((const void *)(start + 32)) : a.low;
                CK_UNROLL
                for (size_t r = 0; r < CK_ROWS; r++) {
                    const __m256i product = dot(unpack(block[r], eighth), format.offset, a);
                    const __m256 factor =
                        _mm256_permutevar_ps(factors[r][eighth / 4], _mm256_set1_epi32((int32_t)(eighth % 4)));
                    sums[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(product), factor, sums[r]);
                }
            }
            for (size_t r = 0; r < CK_ROWS; r++) {
                block[r] += format.bytes;
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < rows; r++) {
            y[first + r] = ck_sum_avx2(sums[r]);
        }
    }
}

#endif
