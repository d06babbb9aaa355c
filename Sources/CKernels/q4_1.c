/* Q4_1: 32 weights of four bits, a scale and a minimum, 5 bits a weight.
 *
 *     byte   0      2         4                                    20
 *            | scale | minimum | 16 bytes: q[i] | q[i + 16] << 4    |        w[i] = scale * q[i] + minimum
 */
#include "block32_avx512.h"
#include "blocks.h"
#include "group_neon.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_q4_1), .has_minimum = true};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    ck_unpack_low32(((const ck_block_q4_1 *)address)->low, q);
}

CK_INLINE void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_q4_1 *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block++) {
        float minimum, maximum;
        ck_range32(values + i, &minimum, &maximum);
        const float scale = (maximum - minimum) / 15;
        uint8_t q[32];
        ck_round32(values + i, minimum, ck_reciprocal(scale), 0.5f, 15, q);
        block->scale = ck_f32_to_f16(scale);
        block->minimum = ck_f32_to_f16(minimum);
        ck_pack_low32(q, block->low);
    }
}

CK_DEFINE_SCALAR32(format, unpack_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address) {
    const ck_block_q4_1 *block = address;
    return ck_nibbles_avx2(block->low);
}

CK_AVX512 CK_INLINE __m512i unpack_pair_avx512(const void *lower, const void *upper) {
    return ck_nibbles_pair_avx512(((const ck_block_q4_1 *)lower)->low, ((const ck_block_q4_1 *)upper)->low);
}

CK_DEFINE_AVX2_32(format, unpack_avx2)
CK_DEFINE_AVX512_32(format, unpack_avx2, unpack_pair_avx512)

#endif

#if defined(__aarch64__)

static const ck_format group_format = {
    .columns = 32, .bytes = sizeof(ck_block_q4_1), .scale_columns = 32, .has_minimum = true};

CK_INLINE void unpack_group(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q4_1 *block = address;
    (void)index;
    ck_unpack_nibbles(block->low, &out->values);
    out->scales[0] = out->scales[1] = tools.half(block->scale);
    out->minimums[0] = out->minimums[1] = tools.half(block->minimum);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_q4_1_kernels[CK_ISA_COUNT] = {CK_TABLE_SCALAR32, CK_TABLE_X86_32 CK_TABLE_NEON};

static const ck_panel_format panel_format = {.bits = 4, .group = 32, .block = 32, .has_minimum = true};
CK_DEFINE_PANELS32(format, unpack_scalar)

const ck_panel_row ck_q4_1_panels = {&panel_format, {CK_TABLE_PANELS}};
