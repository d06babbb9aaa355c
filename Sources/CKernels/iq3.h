/* What IQ3_XXS and IQ3_S share: eight indices in a byte or more name points of four weights (iq3_tables.h), and a bit
 * for each weight says that it is negative. The templates take q = w + 128. */
#pragma once

#include "block256_avx512.h"
#include "iq3_tables.h"

CK_INLINE uint64_t ck_load_u64(const void *address) {
    uint64_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

#if defined(__x86_64__)

/* 128 plus the magnitudes, or minus those whose bit is set in `signs`. */
CK_AVX2 CK_INLINE __m256i ck_signed_avx2(__m256i magnitudes, uint32_t signs) {
    const __m256i bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int32_t)signs),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const __m256i negative = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
    const __m256i w = _mm256_sub_epi8(_mm256_xor_si256(magnitudes, negative), negative);
    return _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
}

CK_AVX512 CK_INLINE __m512i ck_signed_avx512(__m512i magnitudes, uint64_t signs) {
    const __m512i centre = _mm512_set1_epi8((char)0x80);
    return _mm512_mask_sub_epi8(_mm512_add_epi8(centre, magnitudes), signs, centre, magnitudes);
}

#endif
