/* What IQ4_NL and IQ4_XS share: four bits name one of 16 signed bytes, which lie closer together around zero. Here 128
 * is added to them: the templates take unsigned q with an offset. */
#pragma once

#include "block32_avx512.h"
#include "group.h"

static const uint8_t ck_iq4_values[16] = {
    128 - 127, 128 - 104, 128 - 83, 128 - 65, 128 - 49, 128 - 35, 128 - 22, 128 - 10,
    128 + 1,   128 + 13,  128 + 25, 128 + 38, 128 + 53, 128 + 69, 128 + 89, 128 + 113,
};

#if defined(__aarch64__)
/* The values themselves, for instructions that multiply signed bytes. */
CK_INLINE void ck_iq4_look_up_group(ck_tools tools, ck_bytes *indices) {
    tools.look_up((const int8_t *)ck_iq4_values, indices);
    *indices ^= -128;
}
#endif

#if defined(__x86_64__)

/* Values of 32 weights whose four bits lie as in Q4_0. */
CK_AVX2 CK_INLINE __m256i ck_iq4_values_avx2(const void *low) {
    const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)ck_iq4_values));
    return _mm256_shuffle_epi8(values, ck_nibbles_avx2(low));
}

CK_AVX512 CK_INLINE __m512i ck_iq4_look_up_avx512(__m512i nibbles) {
    return _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)ck_iq4_values)), nibbles);
}

#endif
