/* Q3_K: 256 weights of three bits, scales of six bits for 16 groups and a scale, 3.4375 bits a weight.
 *
 *     byte   0                     32                      96                   108     110
 *            | 32 bytes: the third | low: two halves of 32 | 12 bytes: scales   | scale |
 *
 * The lower two bits lie as in Q2_K; bit k of third[i] is the third bit of q[32 * k + i]. A scale's lower four bits lie
 * in the first eight of its bytes, the upper two in the last four:
 *
 *     scales[g] = (packed[g % 8] >> 4 * (g / 8) & 15 | (packed[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32
 *     w[i] = scale * scales[i / 16] * (q[i] - 4)
 */
#include "block256_avx512.h"
#include "block256_neon.h"
#include "blocks.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {
    .bytes = sizeof(ck_block_q3_k), .unit = 1, .scale = offsetof(ck_block_q3_k, scale), .offset = 4};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_q3_k *block = address;
    CK_UNROLL /* shifts that are constant, for which compilers have vectors */
    for (size_t k = 0; k < 8; k++) {
        for (size_t i = 0; i < 32; i++) {
            const uint8_t low = block->low[32 * (k / 4) + i] >> 2 * (k % 4) & 3;
            q[32 * k + i] = (uint8_t)(low | (block->third[i] >> k & 1) << 2);
        }
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_q3_k *block = address;
    for (size_t g = 0; g < 16; g++) {
        const int low = block->packed[g % 8] >> g / 8 * 4 & 15;
        const int high = block->packed[8 + g % 4] >> g / 4 * 2 & 3;
        scales[g] = (int8_t)((low | high << 4) - 32);
    }
    (void)minimums;
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    /* From two bytes before: 16 from their start could lie beyond the last block. */
    const uint8_t *start = (const uint8_t *)address + offsetof(ck_block_q3_k, packed) - 2;
    const __m128i packed = _mm_srli_si128(_mm_loadu_si128((const void *)start), 2);
    const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(packed, _MM_SHUFFLE(1, 0, 1, 0)), _mm_setr_epi32(0, 0, 4, 4));
    const __m128i high = _mm_srlv_epi32(_mm_shuffle_epi32(packed, _MM_SHUFFLE(2, 2, 2, 2)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i both = _mm_or_si128(
        _mm_and_si128(low, _mm_set1_epi8(15)), _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
    return (ck_groups256){.scales = _mm_sub_epi8(both, _mm_set1_epi8(32))};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_q3_k *block = address;
    const __m256i low = _mm256_loadu_si256((const void *)(block->low + 32 * (eighth / 4)));
    const __m256i third = ck_move_bits_avx2(_mm256_loadu_si256((const void *)block->third), (int)eighth, 2);
    return _mm256_or_si256(
        _mm256_and_si256(_mm256_srli_epi16(low, 2 * (int)(eighth % 4)), _mm256_set1_epi8(3)),
        _mm256_and_si256(third, _mm256_set1_epi8(4)));
}

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_q3_k *block = address;
    const int bit = 4 * (int)(quarter % 2), third_bit = 2 * (int)quarter;
    const __m512i low = ck_rotate_avx512(ck_twice_avx512(block->low + 32 * (quarter / 2)), bit, bit + 2);
    const __m512i third = ck_rotate_avx512(ck_twice_avx512(block->third), third_bit - 2, third_bit + 1 - 2);
    return _mm512_or_si512(
        _mm512_and_si512(low, _mm512_set1_epi8(3)), _mm512_and_si512(third, _mm512_set1_epi8(4)));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_q3_k *block = address;
    (void)tools;
    ck_words low, third;
    memcpy(&low, block->low + 32 * (eighth / 4), sizeof low);
    memcpy(&third, block->third, sizeof third);
    *values = (ck_bytes)((low >> 2 * (uint32_t)(eighth % 4) & 0x03030303) |
                         (third >> (uint32_t)eighth & 0x01010101) << 2) - 4;
}

CK_DEFINE_NEON_256(format, 16, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_q3_k_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {
    .bits = 3, .group = 16, .block = 256, .offset = 4, .factor_bits = 6, .factor_offset = 32};
CK_DEFINE_PANELS256(format, unpack_scalar, groups_scalar)

const ck_panel_row ck_q3_k_panels = {&panel_format, {CK_TABLE_PANELS}};
