/* The twelve bytes that hold the integers of Q4_K and Q5_K: a scale and a minimum of six bits for each of eight groups
 * of 32 weights. The first four groups have the lower six bits of a byte each; the other four have four bits in the
 * last bytes, and the two bits that the first eight bytes leave.
 *
 *     byte i = 0...3        scale[i]           | upper bits of scale[i + 4] << 6
 *     byte i + 4            minimum[i]         | upper bits of minimum[i + 4] << 6
 *     byte i + 8            scale[i + 4] & 15  | (minimum[i + 4] & 15) << 4
 */
#pragma once

#include "block256_avx2.h"

CK_INLINE void ck_six_bits_scalar(const uint8_t packed[12], int8_t scales[16], uint8_t minimums[16]) {
    for (size_t i = 0; i < 4; i++) {
        const uint8_t scale = packed[i], minimum = packed[i + 4], low = packed[i + 8];
        scales[2 * i] = scales[2 * i + 1] = scale & 63;
        minimums[2 * i] = minimums[2 * i + 1] = minimum & 63;
        scales[2 * i + 8] = scales[2 * i + 9] = (int8_t)((low & 15) | scale >> 6 << 4);
        minimums[2 * i + 8] = minimums[2 * i + 9] = (uint8_t)(low >> 4 | minimum >> 6 << 4);
    }
}

#if defined(__x86_64__)

/* `start`: 16 bytes, the last twelve of which are those above. */
CK_AVX2 CK_INLINE ck_groups256 ck_six_bits_avx2(const void *start) {
    const __m128i block = _mm_loadu_si128(start);
    /* Four bytes each: scales 0...3, 4...7, minimums 0...3, 4...7. */
    const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(block, _MM_SHUFFLE(3, 2, 3, 1)), _mm_setr_epi32(0, 0, 0, 4));
    const __m128i high = _mm_srli_epi32(_mm_shuffle_epi32(block, _MM_SHUFFLE(2, 2, 1, 1)), 2);
    const __m128i both = _mm_or_si128(
        _mm_and_si128(low, _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f)),
        _mm_and_si128(high, _mm_setr_epi32(0, 0x30303030, 0, 0x30303030)));
    return (ck_groups256){.scales = _mm_unpacklo_epi8(both, both), .minimums = _mm_unpackhi_epi8(both, both)};
}

#endif
