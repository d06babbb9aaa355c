/* IQ3_S: 64 points of four weights, a sign for each weight, scales of four bits for eight groups and a scale, 3.4375
 * bits a weight.
 *
 *     byte   0       2                66              74               106      110
 *            | scale | low: 64 bytes  | ninth: 8 bytes | signs: 32 bytes | scales |
 *
 *     point[k] = low[k] | bit k of ninth << 8              (of iq3_tables.h; k = i / 4)
 *     w[i] = scale * (1 + 2 * (scales[i / 64] >> 4 * (i / 32 % 2) & 15)) * magnitude i % 4 of point[i / 4],
 *            negative where bit i of signs is set
 */
#include "block256_neon.h"
#include "blocks.h"
#include "iq3.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format256 format = {.bytes = sizeof(ck_block_iq3_s), .unit = 1, .offset = 128};

#define BYTES(point) 2 * CK_IQ3_BYTES(point) + 0x01010101,
static const uint32_t grid[512] = {CK_IQ3_S_POINTS(BYTES)};

/* The magnitudes of `count` points from k on. */
CK_INLINE void look_up(const ck_block_iq3_s *block, size_t k, size_t count, uint32_t *points) {
    for (size_t i = 0; i < count; i++) {
        points[i] = grid[block->low[k + i] | (block->ninth[(k + i) / 8] >> (k + i) % 8 & 1) << 8];
    }
}

CK_INLINE void unpack_scalar(const void *address, uint8_t q[256]) {
    const ck_block_iq3_s *block = address;
    for (size_t quarter = 0; quarter < 4; quarter++) {
        uint32_t points[16];
        look_up(block, 16 * quarter, 16, points);
        ck_iq3_signed_scalar(points, ck_load_u64(block->signs + 8 * quarter), q + 64 * quarter);
    }
}

CK_INLINE void groups_scalar(const void *address, int8_t scales[16], uint8_t minimums[16]) {
    const ck_block_iq3_s *block = address;
    for (size_t g = 0; g < 8; g++) {
        scales[2 * g] = scales[2 * g + 1] = (int8_t)(1 + 2 * (block->scales[g / 2] >> g % 2 * 4 & 15));
    }
    (void)minimums;
}

CK_DEFINE_SCALAR256(format, unpack_scalar, groups_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE ck_groups256 groups_avx2(const void *address) {
    const ck_block_iq3_s *block = address;
    const __m128i bytes = _mm_cvtsi32_si128((int)ck_load_u32(block->scales));
    const __m128i mask = _mm_set1_epi8(2 * 15);
    /* Twice each: in every four bytes, two of a lower half and two of an upper. */
    const __m128i lower = _mm_and_si128(_mm_slli_epi16(bytes, 1), mask);
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(bytes, 3), mask);
    const __m128i both = _mm_unpacklo_epi8(lower, upper);
    return (ck_groups256){.scales = _mm_or_si128(_mm_unpacklo_epi8(both, both), _mm_set1_epi8(1))};
}

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address, size_t eighth) {
    const ck_block_iq3_s *block = address;
    uint32_t points[8];
    look_up(block, 8 * eighth, 8, points);
    return ck_iq3_signed_avx2(points, ck_load_u32(block->signs + 4 * eighth));
}

#define NIBBLES(point) 2 * CK_IQ3_NIBBLES(point) + 0x1111,
static const uint16_t nibbles[512] = {CK_IQ3_S_POINTS(NIBBLES)};

CK_AVX512 CK_INLINE __m512i unpack_avx512(const void *address, size_t quarter) {
    const ck_block_iq3_s *block = address;
    const size_t half = quarter / 2;
    const __m512i indices = ck_iq3_indices_avx512(block->low + 32 * half, ck_load_u32(block->ninth + 4 * half));
    const __m512i points = ck_iq3_look_up_avx512(nibbles, 512, indices);
    return ck_iq3_signed_avx512(
        ck_iq3_expand_avx512(points, quarter % 2 == 1), ck_load_u64(block->signs + 8 * quarter));
}

CK_DEFINE_AVX2_256(format, unpack_avx2, groups_avx2)
CK_DEFINE_AVX512_256(format, unpack_avx512, groups_avx2)

#endif

#if defined(__aarch64__)

CK_INLINE void unpack_group(const void *address, size_t eighth, ck_tools tools, ck_bytes *values) {
    const ck_block_iq3_s *block = address;
    (void)tools;
    uint32_t points[8];
    look_up(block, 8 * eighth, 8, points);
    memcpy(values, points, sizeof points);
    ck_negate(ck_load_u32(block->signs + 4 * eighth), values);
}

CK_DEFINE_NEON_256(format, 32, unpack_group, groups_scalar)

#endif

const ck_type_kernels ck_iq3_s_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const uint8_t codebook[16] = CK_IQ3_CODEBOOK(1, 3, 5, 7, 9, 11, 13, 15);

CK_INLINE void codes_scalar(const void *block, uint8_t q[256]) {
    unpack_scalar(block, q);
    ck_find_codes(codebook, 256, q);
}

static const ck_panel_format panel_format = {
    .bits = 4, .group = 32, .block = 256, .offset = 128, .factor_bits = 8, .codebook = codebook,
    .is_packed_slowly = true};
CK_DEFINE_PANELS256(format, codes_scalar, groups_scalar)

const ck_panel_row ck_iq3_s_panels = {&panel_format, {CK_TABLE_PANELS}};
