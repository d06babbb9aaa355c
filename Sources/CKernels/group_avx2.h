/* The common path of the rarer types in 256-bit registers: AVX2, and both forms of VNNI. Unpacking takes most of the
 * time, so that wider registers would help little; AVX-512 gives its masks to the unpacking all the same. */
#pragma once

#include "group.h"

#if defined(__x86_64__)

CK_AVX2 CK_INLINE float ck_half_avx2(uint16_t bits) {
    return _cvtsh_ss(bits);
}

CK_AVX2 CK_INLINE void ck_look_up_avx2(const int8_t table[16], ck_bytes *indices) {
    const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
    *indices = (ck_bytes)_mm256_shuffle_epi8(both, (__m256i)*indices);
}

static const ck_tools ck_tools_avx2 = {ck_half_avx2, ck_look_up_avx2};

/* ---- Integer products -------------------------------------------------------------------- */

/* The activations of 32 columns: int8_t in `low`, or int16_t, columns 0-7 and 16-23 in `low`, the others in `high`. In
 * this order products of either fill the lower four lanes from the first 16 columns, the upper four from the others. */
typedef struct ck_group_columns {
    __m256i low, high;
} ck_group_columns;

/* Sums of products over the columns, as described above. */
typedef __m256i (*ck_dot_group)(__m256i w, ck_group_columns a);

CK_AVX2 CK_INLINE __m256i ck_dot_group_int8_avx2(__m256i w, ck_group_columns a) {
    /* One factor must be unsigned: the sign moves to the activation. Two products are at most 2 * 127 * 127. */
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a.low, w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

CK_AVXVNNI CK_INLINE __m256i ck_dot_group_int8_avxvnni(__m256i w, ck_group_columns a) {
    /* One factor must be unsigned: w + 128, less what the 128 add. That depends on the activations alone: it is the
     * same for every row, and the compiler computes it once. */
    const __m256i zero = _mm256_setzero_si256(), top = _mm256_set1_epi8((char)0x80);
    const __m256i start = _mm256_sub_epi32(zero, _mm256_dpbusd_avx_epi32(zero, top, a.low));
    return _mm256_dpbusd_avx_epi32(start, _mm256_xor_si256(w, top), a.low);
}

CK_AVX512VNNI CK_INLINE __m256i ck_dot_group_int8_avx512vnni(__m256i w, ck_group_columns a) {
    const __m256i zero = _mm256_setzero_si256(), top = _mm256_set1_epi8((char)0x80);
    const __m256i start = _mm256_sub_epi32(zero, _mm256_dpbusd_epi32(zero, top, a.low));
    return _mm256_dpbusd_epi32(start, _mm256_xor_si256(w, top), a.low);
}

/* Columns 0-7 and 16-23 of w in 16 bits each, and the others. */
CK_AVX2 CK_INLINE __m256i ck_widen_first_avx2(__m256i w) {
    return _mm256_srai_epi16(_mm256_unpacklo_epi8(w, w), 8);
}

CK_AVX2 CK_INLINE __m256i ck_widen_second_avx2(__m256i w) {
    return _mm256_srai_epi16(_mm256_unpackhi_epi8(w, w), 8);
}

CK_AVX2 CK_INLINE __m256i ck_dot_group_int16_avx2(__m256i w, ck_group_columns a) {
    return _mm256_add_epi32(
        _mm256_madd_epi16(ck_widen_first_avx2(w), a.low), _mm256_madd_epi16(ck_widen_second_avx2(w), a.high));
}

CK_AVXVNNI CK_INLINE __m256i ck_dot_group_int16_avxvnni(__m256i w, ck_group_columns a) {
    const __m256i first = _mm256_dpwssd_avx_epi32(_mm256_setzero_si256(), ck_widen_first_avx2(w), a.low);
    return _mm256_dpwssd_avx_epi32(first, ck_widen_second_avx2(w), a.high);
}

CK_AVX512VNNI CK_INLINE __m256i ck_dot_group_int16_avx512vnni(__m256i w, ck_group_columns a) {
    const __m256i first = _mm256_dpwssd_epi32(_mm256_setzero_si256(), ck_widen_first_avx2(w), a.low);
    return _mm256_dpwssd_epi32(first, ck_widen_second_avx2(w), a.high);
}

/* `width` is the size of an activation: 1 or 2 bytes. */
CK_AVX2 CK_INLINE ck_group_columns ck_load_group_avx2(const void *values, size_t width) {
    const __m256i first = _mm256_loadu_si256(values);
    if (width == 1) {
        return (ck_group_columns){.low = first, .high = first};
    }
    const __m256i second = _mm256_loadu_si256((const void *)((const uint8_t *)values + 32));
    return (ck_group_columns){
        .low = _mm256_permute2x128_si256(first, second, 0x20), .high = _mm256_permute2x128_si256(first, second, 0x31)};
}

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation. */
CK_AVX2 CK_INLINE void ck_gemv_unpacked_256(
    ck_format format, ck_unpack_group unpack, ck_dot_group dot, size_t width, const void *weights, size_t row_bytes,
    size_t rows, size_t columns, const ck_activations *x, float *y) {
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        __m256 sums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = _mm256_setzero_ps();
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / format.columns; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            for (size_t g = 0; g < format.columns / 32; g++) {
                const size_t i = b * format.columns + 32 * g;
                const ck_group_columns a = ck_load_group_avx2((const uint8_t *)x->values + width * i, width);
                const __m256 activation_scale = _mm256_set1_ps(x->scales[i / 32]);
                CK_UNROLL
                for (size_t r = 0; r < CK_ROWS; r++) {
                    ck_group group;
                    unpack(block[r], g, ck_tools_avx2, &group);
                    const __m256 product = _mm256_cvtepi32_ps(dot((__m256i)group.values, a));
                    __m256 scale = _mm256_set1_ps(group.scales[0]);
                    if (format.scale_columns == 16) {
                        scale = _mm256_insertf128_ps(scale, _mm_set1_ps(group.scales[1]), 1);
                    }
                    sums[r] = _mm256_fmadd_ps(product, _mm256_mul_ps(scale, activation_scale), sums[r]);
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

/* Defines a type's kernels of S from its format and its function: gemv_int8_S and gemv_int16_S. */
#define CK_DEFINE_UNPACKED_GEMV(S, TARGET, FORMAT, UNPACK)                                                           \
    TARGET static void gemv_int8_##S(CK_GEMV_PARAMETERS) {                                                           \
        ck_gemv_unpacked_256(FORMAT, UNPACK, ck_dot_group_int8_##S, 1, CK_GEMV_ARGUMENTS);                           \
    }                                                                                                                \
    TARGET static void gemv_int16_##S(CK_GEMV_PARAMETERS) {                                                          \
        ck_gemv_unpacked_256(FORMAT, UNPACK, ck_dot_group_int16_##S, 2, CK_GEMV_ARGUMENTS);                          \
    }

#endif
