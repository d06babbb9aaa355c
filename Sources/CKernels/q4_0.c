/* Q4_0: 32 weights of four bits and a scale, 4.5 bits a weight.
 *
 *     byte   0      2                                    18
 *            | scale | 16 bytes: q[i] | q[i + 16] << 4    |        w[i] = scale * (q[i] - 8)
 */
#include "block32_avx512.h"
#include "blocks.h"
#include "group_neon.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_q4_0), .offset = 8};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    ck_unpack_low32(((const ck_block_q4_0 *)address)->low, q);
}

/* The weight of the largest magnitude becomes q = 0, which reaches one step further than q = 15. */
CK_INLINE void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_q4_0 *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block++) {
        const float scale = ck_extreme32(values + i) / -8;
        uint8_t q[32];
        ck_round32(values + i, 0, ck_reciprocal(scale), 8.5f, 15, q);
        block->scale = ck_f32_to_f16(scale);
        ck_pack_low32(q, block->low);
    }
}

CK_DEFINE_SCALAR32(format, unpack_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address) {
    const ck_block_q4_0 *block = address;
    return ck_nibbles_avx2(block->low);
}

CK_AVX512 CK_INLINE __m512i unpack_pair_avx512(const void *lower, const void *upper) {
    return ck_nibbles_pair_avx512(((const ck_block_q4_0 *)lower)->low, ((const ck_block_q4_0 *)upper)->low);
}

CK_DEFINE_AVX2_32(format, unpack_avx2)
CK_DEFINE_AVX512_32(format, unpack_avx2, unpack_pair_avx512)

#endif

#if defined(__aarch64__)

static const ck_format group_format = {
    .columns = 32, .bytes = sizeof(ck_block_q4_0), .scale_columns = 32};

CK_INLINE void unpack_group(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q4_0 *block = address;
    (void)index;
    ck_unpack_nibbles(block->low, &out->values);
    out->values -= 8;
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_q4_0_kernels[CK_ISA_COUNT] = {CK_TABLE_SCALAR32, CK_TABLE_X86_32 CK_TABLE_NEON};

static const ck_panel_format panel_format = {.bits = 4, .group = 32, .block = 32, .offset = 8};
CK_DEFINE_PANELS32(format, unpack_scalar)

const ck_panel_row ck_q4_0_panels = {&panel_format, {CK_TABLE_PANELS}};
