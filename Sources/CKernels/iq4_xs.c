/* IQ4_XS: 256 weights of four bits that name values, scales of six bits for eight groups and a scale, 4.25 bits a
 * weight.
 *
 *     byte   0       2             4               8                            136
 *            | scale | scales_high | scales_low    | low: eight groups of 16    |
 *
 * The bits of 32 weights lie as in Q4_0, in 16 bytes. A scale's lower four bits lie in scales_low, the upper two in
 * scales_high, a number of 16 bits:
 *
 *     scales[g] = (scales_low[g / 2] >> 4 * (g % 2) & 15 | (scales_high >> 2 * g & 3) << 4) - 32
 *     w[i] = scale * scales[i / 32] * value(n[i]): see iq4.h
 */
#include "block256_avx512.h"
#include "block256_neon.h"
#include "blocks.h"
#include "iq4.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {.bytes = sizeof(ck_block_iq4_xs), .unit = 1, .offset = 128};

/* The n of a block. */
CK_INLINE void indices_scalar(const void *address, uint8_t n[256]) {
    const ck_block_iq4_xs *block = address;
    for (size_t i = 0; i < 256; i++) {
        n[i] = block->low[16 * (i / 32) + i % 16] >> i / 16 % 2 * 4 & 15;
    }
}

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    indices_scalar(address, q);
    for (size_t i = 0; i < 256; i++) {
        q[i] = ck_iq4_values[q[i]];
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_iq4_xs *block = address;
    for (size_t g = 0; g < 8; g++) {
        const int low = block->scales_low[g / 2] >> g % 2 * 4 & 15;
        const int high = block->scales_high >> 2 * g & 3;
        scales[2 * g] = scales[2 * g + 1] = (int8_t)((low | high << 4) - 32);
    }
    (void)minimums;
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    const ck_block_iq4_xs *block = address;
    /* Lanes of 16 bits for the eight groups. A multiplication shifts each lane by what it needs. */
    const __m128i low = _mm_mullo_epi16(
        _mm_shuffle_epi8(
            _mm_cvtsi32_si128((int)ck_load_u32(block->scales_low)),
            _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1)),
        _mm_setr_epi16(16, 1, 16, 1, 16, 1, 16, 1));
    const __m128i high = _mm_mullo_epi16(
        _mm_set1_epi16((int16_t)block->scales_high),
        _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 1 << 2, 1));
    const __m128i both = _mm_or_si128(
        _mm_and_si128(_mm_srli_epi16(low, 4), _mm_set1_epi16(15)),
        _mm_and_si128(_mm_srli_epi16(high, 10), _mm_set1_epi16(3 << 4)));
    const __m128i twice = _mm_shuffle_epi8(both, _mm_setr_epi8(0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14));
    return (ck_groups256){.scales = _mm_sub_epi8(twice, _mm_set1_epi8(32))};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    return ck_iq4_values_avx2(((const ck_block_iq4_xs *)address)->low + 16 * eighth);
}

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_iq4_xs *block = address;
    const __m256i low = _mm256_loadu_si256((const void *)(block->low + 32 * quarter));
    const __m512i twice =
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), _mm512_castsi256_si512(low));
    const __m512i shifted = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
    return ck_iq4_look_up_avx512(_mm512_and_si512(shifted, _mm512_set1_epi8(0x0f)));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_iq4_xs *block = address;
    ck_unpack_nibbles(block->low + 16 * eighth, values);
    ck_iq4_look_up_group(tools, values);
}

CK_DEFINE_NEON_256(format, 32, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_iq4_xs_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {
    .bits = 4, .group = 32, .block = 256, .offset = 128, .factor_bits = 8, .codebook = ck_iq4_values};
CK_DEFINE_PANELS256(format, indices_scalar, groups_scalar)

const ck_panel_row ck_iq4_xs_panels = {&panel_format, {CK_TABLE_PANELS}};
