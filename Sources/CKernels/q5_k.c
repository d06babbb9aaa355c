/* Q5_K: 256 weights of five bits, scales and minimums of six bits for eight groups, a scale and a minimum, 5.5 bits a
 * weight.
 *
 *     byte   0       2         4                                  16                    48                        176
 *            | scale | minimum | scales, minimums: see six_bits.h | 32 bytes: the fifth | low: four quarters of 32 |
 *
 * The lower four bits lie as in Q4_K; bit k of fifth[i] is the fifth bit of q[32 * k + i].
 *
 *     w[i] = scale * scales[i / 32] * q[i] - minimum * minimums[i / 32]
 */
#include "block256_avx512.h"
#include "block256_neon.h"
#include "blocks.h"
#include "panel_kernels.h"
#include "registry.h"
#include "six_bits.h"

static const ck_format256 format = {
    .bytes = sizeof(ck_block_q5_k), .unit = 1, .minimum = offsetof(ck_block_q5_k, minimum), .has_minimum = true};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_q5_k *block = address;
    CK_UNROLL /* shifts that are constant, for which compilers have vectors */
    for (size_t k = 0; k < 8; k++) {
        for (size_t i = 0; i < 32; i++) {
            const uint8_t low = block->low[32 * (k / 2) + i] >> 4 * (k % 2) & 15;
            q[32 * k + i] = (uint8_t)(low | (block->fifth[i] >> k & 1) << 4);
        }
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    ck_six_bits_scalar(((const ck_block_q5_k *)address)->packed, scales, minimums);
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_q5_k *block = address;
    const __m256i low = _mm256_loadu_si256((const void *)(block->low + 32 * (eighth / 2)));
    const __m256i fifth = ck_move_bits_avx2(_mm256_loadu_si256((const void *)block->fifth), (int)eighth, 4);
    return _mm256_or_si256(
        _mm256_and_si256(_mm256_srli_epi16(low, 4 * (int)(eighth % 2)), _mm256_set1_epi8(0x0f)),
        _mm256_and_si256(fifth, _mm256_set1_epi8(0x10)));
}

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_q5_k *block = address;
    const __m512i low = ck_rotate_avx512(ck_twice_avx512(block->low + 32 * quarter), 0, 4);
    const int bit = 2 * (int)quarter;
    const __m512i fifth = ck_rotate_avx512(ck_twice_avx512(block->fifth), bit - 4, bit + 1 - 4);
    return _mm512_or_si512(
        _mm512_and_si512(low, _mm512_set1_epi8(0x0f)), _mm512_and_si512(fifth, _mm512_set1_epi8(0x10)));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, ck_six_bits_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, ck_six_bits_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_q5_k *block = address;
    (void)tools;
    ck_words low, fifth;
    memcpy(&low, block->low + 32 * (eighth / 2), sizeof low);
    memcpy(&fifth, block->fifth, sizeof fifth);
    *values = (ck_bytes)((low >> 4 * (uint32_t)(eighth % 2) & 0x0f0f0f0f) |
                         (fifth >> (uint32_t)eighth & 0x01010101) << 4);
}

CK_DEFINE_NEON_256(format, 32, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_q5_k_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {
    .bits = 5, .group = 32, .block = 256, .has_minimum = true, .factor_bits = 6};
CK_DEFINE_PANELS256(format, unpack_scalar, groups_scalar)

const ck_panel_row ck_q5_k_panels = {&panel_format, {CK_TABLE_PANELS}};
