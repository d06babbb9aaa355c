/* Q2_K: 256 weights of two bits, scales and minimums of four bits for 16 groups, a scale and a minimum, 2.625 bits a
 * weight.
 *
 *     byte   0                                             16                    80      82        84
 *            | 16 bytes: scales[g] | minimums[g] << 4      | low: two halves of 32 | scale | minimum |
 *
 * Each half holds 128 weights, 32 in each two bits of its bytes:
 *
 *     q[32 * k + i] = low[i] >> 2 * k & 3        w[i] = scale * scales[i / 16] * q[i] - minimum * minimums[i / 16]
 */
#include "block256_avx512.h"
#include "block256_neon.h"
#include "blocks.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {
    .bytes = sizeof(ck_block_q2_k), .unit = 1,
    .scale = offsetof(ck_block_q2_k, scale),
    .minimum = offsetof(ck_block_q2_k, minimum),
    .has_minimum = true};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_q2_k *block = address;
    for (size_t i = 0; i < 256; i++) {
        q[i] = block->low[32 * (i / 128) + i % 32] >> i / 32 % 4 * 2 & 3;
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_q2_k *block = address;
    for (size_t g = 0; g < 16; g++) {
        scales[g] = block->packed[g] & 15;
        minimums[g] = block->packed[g] >> 4;
    }
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    const ck_block_q2_k *block = address;
    const __m128i packed = _mm_loadu_si128((const void *)block->packed), mask = _mm_set1_epi8(15);
    return (ck_groups256){
        .scales = _mm_and_si128(packed, mask), .minimums = _mm_and_si128(_mm_srli_epi16(packed, 4), mask)};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_q2_k *block = address;
    const __m256i low = _mm256_loadu_si256((const void *)(block->low + 32 * (eighth / 4)));
    return _mm256_and_si256(_mm256_srli_epi16(low, 2 * (int)(eighth % 4)), _mm256_set1_epi8(3));
}

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_q2_k *block = address;
    const int bit = 4 * (int)(quarter % 2);
    const __m512i low = ck_rotate_avx512(ck_twice_avx512(block->low + 32 * (quarter / 2)), bit, bit + 2);
    return _mm512_and_si512(low, _mm512_set1_epi8(3));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_q2_k *block = address;
    (void)tools;
    ck_words low;
    memcpy(&low, block->low + 32 * (eighth / 4), sizeof low);
    *values = (ck_bytes)(low >> 2 * (uint32_t)(eighth % 4) & 0x03030303);
}

CK_DEFINE_NEON_256(format, 16, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_q2_k_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {
    .bits = 2, .group = 16, .block = 256, .has_minimum = true, .factor_bits = 4};
CK_DEFINE_PANELS256(format, unpack_scalar, groups_scalar)

const ck_panel_row ck_q2_k_panels = {&panel_format, {CK_TABLE_PANELS}};
