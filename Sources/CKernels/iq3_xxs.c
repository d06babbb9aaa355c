/* IQ3_XXS: 64 points of four weights, scales of four bits for eight groups and a scale, 3.0625 bits a weight.
 *
 *     byte   0       2                  66                                                    98
 *            | scale | points: 64 bytes | words: eight numbers of 32 bits, one for each group |
 *
 * Bits 28 to 31 of a group's word are its scale; each seven bits below are the signs of eight weights. The eighth sign
 * makes the number of minus signs even.
 *
 *     w[i] = scale * (1 + 2 * (words[i / 32] >> 28)) / 4 * magnitude i % 4 of point[i / 4] of iq3_tables.h, signed
 */
#include "block256_neon.h"
#include "blocks.h"
#include "iq3.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {.bytes = sizeof(ck_block_iq3_xxs), .unit = 0.25f, .offset = 128};

/* The signs of 64 weights as bits, from two words. */
CK_INLINE uint64_t signs(const ck_block_iq3_xxs *block, size_t quarter) {
    const uint64_t words = ck_load_u64(block->words + 8 * quarter);
    const uint64_t sevens = (words & 0x0000007f0000007f) | (words & 0x00003f8000003f80) << 1 |
                            (words & 0x001fc000001fc000) << 2 | (words & 0x0fe000000fe00000) << 3;
    uint64_t parity = sevens ^ sevens >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return sevens | (parity & 0x0101010101010101) << 7;
}

/* Digits of 7 are 62, two more than the others' 8 * n + 4 would say. */
#define BYTES(point) \
    8 * CK_IQ3_BYTES(point) + 0x04040404 + 2 * CK_IQ3_BYTES((point) & (point) >> 1 & (point) >> 2 & 01111u),
static const uint32_t grid[256] = {CK_IQ3_XXS_POINTS(BYTES)};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_iq3_xxs *block = address;
    for (size_t quarter = 0; quarter < 4; quarter++) {
        uint32_t points[16];
        for (size_t i = 0; i < 16; i++) {
            points[i] = grid[block->points[16 * quarter + i]];
        }
        ck_iq3_signed_scalar(points, signs(block, quarter), q + 64 * quarter);
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_iq3_xxs *block = address;
    for (size_t g = 0; g < 8; g++) {
        scales[2 * g] = scales[2 * g + 1] = (int8_t)(1 + 2 * (block->words[4 * g + 3] >> 4));
    }
    (void)minimums;
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    const ck_block_iq3_xxs *block = address;
    const __m256i steps = _mm256_srli_epi32(_mm256_loadu_si256((const void *)block->words), 28);
    /* Lanes of 32 bits: 1 + 2 * steps in the lower two bytes. */
    const __m256i scales =
        _mm256_or_si256(_mm256_madd_epi16(steps, _mm256_set1_epi32(0x0202)), _mm256_set1_epi32(0x0101));
    return (ck_groups256){
        .scales = _mm_packus_epi32(_mm256_castsi256_si128(scales), _mm256_extracti128_si256(scales, 1))};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_iq3_xxs *block = address;
    uint32_t points[8];
    for (size_t i = 0; i < 8; i++) {
        points[i] = grid[block->points[8 * eighth + i]];
    }
    return ck_iq3_signed_avx2(points, (uint32_t)(signs(block, eighth / 2) >> eighth % 2 * 32));
}

#define NIBBLES(point) CK_IQ3_NIBBLES(point),
static const uint16_t nibbles[256] = {CK_IQ3_XXS_POINTS(NIBBLES)};

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_iq3_xxs *block = address;
    const __m512i indices = ck_iq3_indices_avx512(block->points + 32 * (quarter / 2), 0);
    const __m512i points = ck_iq3_look_up_avx512(nibbles, 256, indices);
    const __m512i magnitudes = _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_setr_epi8(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0)),
        ck_iq3_expand_avx512(points, quarter % 2 == 1));
    return ck_iq3_signed_avx512(magnitudes, signs(block, quarter));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_iq3_xxs *block = address;
    (void)tools;
    uint32_t points[8];
    for (size_t i = 0; i < 8; i++) {
        points[i] = grid[block->points[8 * eighth + i]];
    }
    memcpy(values, points, sizeof points);
    ck_negate((uint32_t)(signs(block, eighth / 2) >> eighth % 2 * 32), values);
}

CK_DEFINE_NEON_256(format, 32, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_iq3_xxs_kernels[CK_ISA_COUNT] = {
    CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const uint8_t codebook[16] = CK_IQ3_CODEBOOK(4, 12, 20, 28, 36, 44, 52, 62);

CK_INLINE void codes_scalar(const void *block, uint8_t q[256]) {
    unpack_scalar(block, q);
    ck_find_codes(codebook, 256, q);
}

static const ck_panel_format panel_format = {
    .bits = 4, .group = 32, .block = 256, .offset = 128, .exponent = -2, .factor_bits = 8,
    .codebook = codebook, .is_packed_slowly = true};
CK_DEFINE_PANELS256(format, codes_scalar, groups_scalar)

const ck_panel_row ck_iq3_xxs_panels = {&panel_format, {CK_TABLE_PANELS}};
