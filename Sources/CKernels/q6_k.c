/* Q6_K: 256 weights of six bits, 16 group scales of a byte and a scale, 6.5625 bits a weight.
 *
 *     byte   0                       128                64                   208     210
 *            | low: two halves of 64 | high: two of 32 | 16 scales (signed) | scale |
 *
 * Each half holds 128 weights; for i = 0 to 31, with the half's low and high:
 *
 *     q[i]      = low[i] & 15       | (high[i]      & 3) << 4
 *     q[i + 32] = low[i + 32] & 15  | (high[i] >> 2 & 3) << 4
 *     q[i + 64] = low[i] >> 4       | (high[i] >> 4 & 3) << 4
 *     q[i + 96] = low[i + 32] >> 4  | (high[i] >> 6 & 3) << 4        w[i] = scale * scales[i / 16] * (q[i] - 32)
 */
#include "block256_avx512.h"
#include "block256_neon.h"
#include "blocks.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {
    .bytes = sizeof(ck_block_q6_k), .unit = 1, .scale = offsetof(ck_block_q6_k, scale), .offset = 32};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_q6_k *block = address;
    for (size_t i = 0; i < 256; i++) {
        const size_t half = i / 128, quarter = i / 32 % 4, lane = i % 32;
        const uint8_t low = block->low[64 * half + 32 * (quarter % 2) + lane];
        const uint8_t high = block->high[32 * half + lane];
        q[i] = (uint8_t)((low >> quarter / 2 * 4 & 15) | (high >> quarter * 2 & 3) << 4);
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_q6_k *block = address;
    memcpy(scales, block->scales, sizeof block->scales);
    (void)minimums;
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    const ck_block_q6_k *block = address;
    return (ck_groups256){.scales = _mm_loadu_si128((const void *)block->scales)};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_q6_k *block = address;
    const size_t half = eighth / 4, quarter = eighth % 4;
    const __m256i low = _mm256_loadu_si256((const void *)(block->low + 64 * half + 32 * (quarter % 2)));
    const __m256i high = _mm256_loadu_si256((const void *)(block->high + 32 * half));
    const __m256i moved = ck_move_bits_avx2(high, 2 * (int)quarter, 4);
    return _mm256_or_si256(
        _mm256_and_si256(_mm256_srli_epi16(low, 4 * (int)(quarter / 2)), _mm256_set1_epi8(0x0f)),
        _mm256_and_si256(moved, _mm256_set1_epi8(0x30)));
}

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_q6_k *block = address;
    const size_t half = quarter / 2;
    const __m512i low = _mm512_srli_epi16(_mm512_loadu_si512(block->low + 64 * half), 4 * (unsigned)(quarter % 2));
    const __m512i high = ck_twice_avx512(block->high + 32 * half);
    const int bit = 4 * (int)(quarter % 2);
    const __m512i moved = ck_rotate_avx512(high, bit - 4, bit + 2 - 4);
    return _mm512_or_si512(
        _mm512_and_si512(low, _mm512_set1_epi8(0x0f)), _mm512_and_si512(moved, _mm512_set1_epi8(0x30)));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_q6_k *block = address;
    (void)tools;
    const size_t half = eighth / 4, quarter = eighth % 4;
    ck_words low, high;
    memcpy(&low, block->low + 64 * half + 32 * (quarter % 2), sizeof low);
    memcpy(&high, block->high + 32 * half, sizeof high);
    *values = (ck_bytes)((low >> 4 * (uint32_t)(quarter / 2) & 0x0f0f0f0f) |
                         (high >> 2 * (uint32_t)quarter & 0x03030303) << 4) - 32;
}

CK_DEFINE_NEON_256(format, 16, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_q6_k_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {.bits = 6, .group = 16, .block = 256, .offset = 32, .factor_bits = 8};
CK_DEFINE_PANELS256(format, unpack_scalar, groups_scalar)

const ck_panel_row ck_q6_k_panels = {&panel_format, {CK_TABLE_PANELS}};
