/* Q5_0: 32 weights of five bits and a scale, 5.5 bits a weight.
 *
 *     byte   0      2                      6                                          22
 *            | scale | fifth: bit i of q[i] | 16 bytes: low[i] | low[i + 16] << 4      |
 *
 *     q[i] = low[i] | fifth bit << 4        w[i] = scale * (q[i] - 16)
 */
#include "block32_avx512.h"
#include "blocks.h"
#include "group_neon.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_q5_0), .offset = 16};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    const ck_block_q5_0 *block = address;
    for (size_t i = 0; i < 16; i++) {
        q[i] = (uint8_t)((block->low[i] & 0x0f) | ((block->fifth >> i) & 1) << 4);
        q[i + 16] = (uint8_t)((block->low[i] >> 4) | ((block->fifth >> (i + 16)) & 1) << 4);
    }
}

/* The weight of the largest magnitude becomes q = 0, as in Q4_0. */
CK_INLINE void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_q5_0 *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block++) {
        const float scale = ck_extreme32(values + i) / -16;
        uint8_t q[32];
        ck_round32(values + i, 0, ck_reciprocal(scale), 16.5f, 31, q);
        block->scale = ck_f32_to_f16(scale);
        block->fifth = ck_pack_fifth32(q);
        ck_pack_low32(q, block->low);
    }
}

CK_DEFINE_SCALAR32(format, unpack_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address) {
    const uint8_t *block = address;
    return _mm256_or_si256(
        ck_nibbles_avx2(block + offsetof(ck_block_q5_0, low)),
        ck_fifth_bits_avx2(block + offsetof(ck_block_q5_0, fifth)));
}

CK_AVX512 CK_INLINE __m512i unpack_pair_avx512(const void *lower, const void *upper) {
    const size_t low = offsetof(ck_block_q5_0, low), fifth = offsetof(ck_block_q5_0, fifth);
    const uint8_t *first = lower, *second = upper;
    return ck_add_fifth_bits_avx512(
        ck_nibbles_pair_avx512(first + low, second + low), first + fifth, second + fifth);
}

CK_DEFINE_AVX2_32(format, unpack_avx2)
CK_DEFINE_AVX512_32(format, unpack_avx2, unpack_pair_avx512)

#endif

#if defined(__aarch64__)

static const ck_format group_format = {
    .columns = 32, .bytes = sizeof(ck_block_q5_0), .scale_columns = 32};

CK_INLINE void unpack_group(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q5_0 *block = address;
    (void)index;
    ck_unpack_five_bits(block->low, block->fifth, &out->values);
    out->values -= 16;
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_q5_0_kernels[CK_ISA_COUNT] = {CK_TABLE_SCALAR32, CK_TABLE_X86_32 CK_TABLE_NEON};

static const ck_panel_format panel_format = {.bits = 5, .group = 32, .block = 32, .offset = 16};
CK_DEFINE_PANELS32(format, unpack_scalar)

const ck_panel_row ck_q5_0_panels = {&panel_format, {CK_TABLE_PANELS}};
