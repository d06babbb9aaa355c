/* What IQ3_XXS and IQ3_S share: indices name points of four weights (iq3_tables.h), and a bit for each weight says that
 * it is negative. The templates take q = w + 128. */
#pragma once

#include "block256_avx512.h"
#include "iq3_tables.h"

/* The four octal digits of a point spread to bytes, or to four bits each. */
#define CK_IQ3_BYTES(point) \
    (((point) & 07u) | ((point) & 070u) << 5 | ((point) & 0700u) << 10 | ((point) & 07000u) << 15)
#define CK_IQ3_NIBBLES(point) \
    (((point) & 07u) | ((point) & 070u) << 1 | ((point) & 0700u) << 2 | ((point) & 07000u) << 3)

/* The codebook of panels from the eight magnitudes. */
#define CK_IQ3_CODEBOOK(a, b, c, d, e, f, g, h)                                                                  \
    {                                                                                                            \
        128 - h, 128 - g, 128 - f, 128 - e, 128 - d, 128 - c, 128 - b, 128 - a, 128 + a, 128 + b, 128 + c,       \
            128 + d, 128 + e, 128 + f, 128 + g, 128 + h                                                          \
    }

CK_INLINE uint64_t ck_load_u64(const void *address) {
    uint64_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

/* q of 64 weights from their magnitudes, a point in each 32 bits, and a bit for each that is negative. */
CK_INLINE void ck_iq3_signed_scalar(const uint32_t points[16], uint64_t negative, uint8_t q[64]) {
    for (size_t i = 0; i < 64; i++) {
        const uint32_t magnitude = points[i / 4] >> i % 4 * 8 & 0xff;
        q[i] = (uint8_t)(negative >> i & 1 ? 128 - magnitude : 128 + magnitude);
    }
}

#if defined(__x86_64__)

/* The same for 32 weights. */
CK_AVX2 CK_INLINE __m256i ck_iq3_signed_avx2(const uint32_t points[8], uint32_t negative) {
    const __m256i magnitudes = _mm256_setr_epi32(
        (int)points[0], (int)points[1], (int)points[2], (int)points[3], (int)points[4], (int)points[5], (int)points[6],
        (int)points[7]);
    const __m256i minus = ck_spread_bits_avx2(negative);
    const __m256i w = _mm256_sub_epi8(_mm256_xor_si256(magnitudes, minus), minus);
    return _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
}

/* Where registers are wide and many, the whole table lies in them: points of four bits a weight, 64 in two registers,
 * of which one instruction picks 32. The upper bits of an index choose among what each pair of registers gave. */
CK_AVX512 CK_INLINE __m512i ck_iq3_look_up_avx512(const uint16_t *table, size_t size, __m512i indices) {
    __m512i found[8];
    CK_UNROLL
    for (size_t pair = 0; pair < size / 64; pair++) {
        found[pair] = _mm512_permutex2var_epi16(
            _mm512_loadu_si512(table + 64 * pair), indices, _mm512_loadu_si512(table + 64 * pair + 32));
    }
    CK_UNROLL
    for (size_t bit = 64; bit < size; bit *= 2) {
        const __mmask32 upper = _mm512_test_epi16_mask(indices, _mm512_set1_epi16((int16_t)bit));
        CK_UNROLL
        for (size_t i = 0; i < size / 2 / bit; i++) {
            found[i] = _mm512_mask_blend_epi16(upper, found[2 * i], found[2 * i + 1]);
        }
    }
    return found[0];
}

/* 32 indices from their lower eight bits, and a mask of those with the ninth; in an order that makes
 * ck_iq3_expand_avx512 give weights in theirs. */
CK_AVX512 CK_INLINE __m512i ck_iq3_indices_avx512(const void *low, uint32_t ninth) {
    const __m512i indices = _mm512_cvtepu8_epi16(_mm256_loadu_si256(low));
    return _mm512_permutexvar_epi64(
        _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7),
        _mm512_mask_add_epi16(indices, ninth, indices, _mm512_set1_epi16(256)));
}

/* The bytes of 16 of 32 points: of the first, or the last. */
CK_AVX512 CK_INLINE __m512i ck_iq3_expand_avx512(__m512i points, bool last) {
    const __m512i mask = _mm512_set1_epi8(0x0f);
    const __m512i even = _mm512_and_si512(points, mask), odd = _mm512_and_si512(_mm512_srli_epi16(points, 4), mask);
    return last ? _mm512_unpackhi_epi8(even, odd) : _mm512_unpacklo_epi8(even, odd);
}

CK_AVX512 CK_INLINE __m512i ck_iq3_signed_avx512(__m512i magnitudes, uint64_t negative) {
    const __m512i centre = _mm512_set1_epi8((char)0x80);
    return _mm512_mask_sub_epi8(_mm512_add_epi8(centre, magnitudes), negative, centre, magnitudes);
}

#endif
