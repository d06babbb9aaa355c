/* Kernels of the types with blocks of 256 weights in 512-bit registers: 64 columns of one row at a time. */
#pragma once

#include "block256_avx2.h"
#include "block32_avx512.h"

#if defined(__x86_64__)

/* The q of columns 64 * quarter to 64 * quarter + 63. */
typedef __m512i (*ck_unpack256_avx512)(const void *block, size_t quarter);

/* The 32 bytes at `address` in both halves: shifted differently, they give the bits of 64 columns. */
CK_AVX512 CK_INLINE __m512i ck_twice_avx512(const void *address) {
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(address));
}

/* Rotates the lower half's 64-bit lanes right by `lower` bits, and the upper half's by `upper`; left by negative ones.
 * Only bits that stay in their byte are of use. */
CK_AVX512 CK_INLINE __m512i ck_rotate_avx512(__m512i bits, int lower, int upper) {
    return _mm512_rorv_epi64(
        bits, _mm512_setr_epi64(lower, lower, lower, lower, upper, upper, upper, upper));
}

CK_AVX512 CK_INLINE __m512 ck_bytes_to_floats_avx512(__m128i bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

/* ---- Dequantisation ---------------------------------------------------------------------- */

CK_AVX512 CK_INLINE void ck_dequantize256_avx512(
    ck_format256 format, ck_unpack256_avx512 unpack, ck_groups_avx2 groups, const void *blocks, float *out,
    size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block += format.bytes) {
        const ck_groups256 integers = groups(block);
        const void *const scale = block + format.scale, *const minimum = block + format.minimum;
        _Alignas(64) float scales[16], minimums[16];
        _mm512_store_ps(
            scales,
            _mm512_mul_ps(
                _mm512_mul_ps(_mm512_set1_ps(format.unit), ck_broadcast_f16_pair_avx512(scale, scale)),
                ck_bytes_to_floats_avx512(integers.scales)));
        if (format.has_minimum) {
            _mm512_store_ps(
                minimums,
                _mm512_mul_ps(
                    ck_broadcast_f16_pair_avx512(minimum, minimum), ck_bytes_to_floats_avx512(integers.minimums)));
        }
        __m512i q[4]; /* unpacked before any output is written, so that what the quarters share is computed once */
        CK_UNROLL
        for (size_t quarter = 0; quarter < 4; quarter++) {
            q[quarter] = _mm512_sub_epi8(unpack(block, quarter), _mm512_set1_epi8((char)format.offset));
        }
        CK_UNROLL
        for (size_t quarter = 0; quarter < 4; quarter++) {
            const __m128i sixteens[4] = {
                _mm512_castsi512_si128(q[quarter]), _mm512_extracti32x4_epi32(q[quarter], 1),
                _mm512_extracti32x4_epi32(q[quarter], 2), _mm512_extracti32x4_epi32(q[quarter], 3)};
            for (size_t k = 0; k < 4; k++) {
                const size_t group = 4 * quarter + k;
                const __m512 value = ck_bytes_to_floats_avx512(sixteens[k]);
                const __m512 group_scale = _mm512_set1_ps(scales[group]);
                _mm512_storeu_ps(
                    out + i + 16 * group,
                    format.has_minimum ? _mm512_fmsub_ps(group_scale, value, _mm512_set1_ps(minimums[group]))
                                       : _mm512_mul_ps(group_scale, value));
            }
        }
    }
}

/* ---- Integer products -------------------------------------------------------------------- */

/* The activations of 64 columns: int8_t in `low`, or int16_t, the first 32 in `low`. */
typedef struct ck_columns512 {
    __m512i low, high;
} ck_columns512;

/* Sums of (q - offset) * a over four columns in each lane of 32 bits; see ck_dot32_256. */
typedef __m512i (*ck_dot64_512)(__m512i q, uint8_t offset, ck_columns512 a);

/* As ck_split_avx2. */
CK_AVX512 CK_INLINE ck_columns512 ck_split_avx512(ck_columns512 a) {
    const __m512i lower_upper =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
    const __m512i low = _mm512_shuffle_epi8(a.low, lower_upper);
    const __m512i high = _mm512_shuffle_epi8(a.high, lower_upper);
    return (ck_columns512){
        .low = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), high),
        .high = _mm512_permutex2var_epi64(low, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), high)};
}

CK_AVX512VNNI CK_INLINE __m512i ck_dot64_int8_avx512vnni(__m512i q, uint8_t offset, ck_columns512 a) {
    return ck_dot32_int8_avx512vnni(q, offset, a.low);
}

CK_AVX512VNNI CK_INLINE __m512i ck_dot64_int16_avx512vnni(__m512i q, uint8_t offset, ck_columns512 a) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i centre = _mm512_set1_epi8((char)offset);
    const ck_columns512 bytes = ck_split_avx512(a);
    const __m512i start =
        offset == 0 ? zero : _mm512_sub_epi32(zero, _mm512_dpbusd_epi32(zero, centre, bytes.high));
    const __m512i product = _mm512_slli_epi32(_mm512_dpbusd_epi32(start, q, bytes.high), 8);
    return _mm512_dpbusd_epi32(product, bytes.low, _mm512_sub_epi8(q, centre));
}

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation: 1 or 2 bytes.
 *
 * The product of 64 columns has 16 lanes, four for each of four groups. Their factors come as in ck_gemv256_256, each
 * 128 bits of `factors` holding those of every fourth group. */
CK_AVX512 CK_INLINE void ck_gemv256_512(
    ck_format256 format, ck_unpack256_avx512 unpack, ck_groups_avx2 groups, ck_dot64_512 dot, size_t width,
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y) {
    const __m128i by_fours = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i by_fours_halved = _mm512_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7);
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        __m512 sums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = _mm512_setzero_ps();
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / 256; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            const uint8_t *values = (const uint8_t *)x->values + 256 * width * b;
            const __m512 eight = _mm512_castps256_ps512(_mm256_loadu_ps(x->scales + 8 * b));
            const __m512 activation_scales =
                _mm512_mul_ps(_mm512_set1_ps(format.unit), _mm512_permutexvar_ps(by_fours_halved, eight));
            const __m512 activation_sums =
                format.has_minimum
                    ? _mm512_mul_ps(
                          _mm512_cvtepi32_ps(_mm512_loadu_si512(x->sums + 16 * b)),
                          _mm512_permutexvar_ps(twice, eight))
                    : _mm512_setzero_ps();
            __m512 factors[CK_ROWS];
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                const ck_groups256 integers = groups(block[r]);
                const void *const scale = block[r] + format.scale, *const minimum = block[r] + format.minimum;
                factors[r] = _mm512_mul_ps(
                    ck_bytes_to_floats_avx512(_mm_shuffle_epi8(integers.scales, by_fours)),
                    _mm512_mul_ps(ck_broadcast_f16_pair_avx512(scale, scale), activation_scales));
                if (format.has_minimum) {
                    const __m512 product =
                        _mm512_mul_ps(ck_bytes_to_floats_avx512(integers.minimums), activation_sums);
                    sums[r] = _mm512_fnmadd_ps(ck_broadcast_f16_pair_avx512(minimum, minimum), product, sums[r]);
                }
            }
            CK_UNROLL
            for (size_t quarter = 0; quarter < 4; quarter++) {
                const uint8_t *start = values + 64 * width * quarter;
                ck_columns512 a = {.low = _mm512_loadu_si512(start)};
                a.high = width == 2 ? _mm512_loadu_si512(start + 64) : a.low;
                CK_UNROLL
                for (size_t r = 0; r < CK_ROWS; r++) {
                    const __m512i product = dot(unpack(block[r], quarter), format.offset, a);
                    const __m512 factor = _mm512_permutevar_ps(factors[r], _mm512_set1_epi32((int32_t)quarter));
                    sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), factor, sums[r]);
                }
            }
            for (size_t r = 0; r < CK_ROWS; r++) {
                block[r] += format.bytes;
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < rows; r++) {
            y[first + r] = _mm512_reduce_add_ps(sums[r]);
        }
    }
}

#endif
