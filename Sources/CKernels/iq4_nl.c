/* IQ4_NL: 32 weights of four bits that name values, and a scale, 4.5 bits a weight.
 *
 *     byte   0      2                                    18
 *            | scale | 16 bytes: n[i] | n[i + 16] << 4    |        w[i] = scale * value(n[i]): see iq4.h
 */
#include "blocks.h"
#include "group_neon.h"
#include "iq4.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_iq4_nl), .offset = 128};

/* The n of a block. */
CK_INLINE void indices_scalar(const void *address, uint8_t n[32]) {
    ck_unpack_low32(((const ck_block_iq4_nl *)address)->low, n);
}

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    indices_scalar(address, q);
    for (size_t i = 0; i < 32; i++) {
        q[i] = ck_iq4_values[q[i]];
    }
}

CK_DEFINE_PRODUCTS_SCALAR32(format, unpack_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address) {
    return ck_iq4_values_avx2(((const ck_block_iq4_nl *)address)->low);
}

CK_AVX512 CK_INLINE __m512i unpack_pair_avx512(const void *lower, const void *upper) {
    return ck_iq4_look_up_avx512(
        ck_nibbles_pair_avx512(((const ck_block_iq4_nl *)lower)->low, ((const ck_block_iq4_nl *)upper)->low));
}

CK_DEFINE_PRODUCTS_AVX2_32(format, unpack_avx2)
CK_DEFINE_PRODUCTS_AVX512_32(format, unpack_avx2, unpack_pair_avx512)

#endif

#if defined(__aarch64__)

static const ck_format group_format = {.columns = 32, .bytes = sizeof(ck_block_iq4_nl), .scale_columns = 32};

CK_INLINE void unpack_group(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq4_nl *block = address;
    (void)index;
    ck_unpack_nibbles(block->low, &out->values);
    ck_iq4_look_up_group(tools, &out->values);
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_iq4_nl_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};

static const ck_panel_format panel_format = {
    .bits = 4, .group = 32, .block = 32, .offset = 128, .codebook = ck_iq4_values};
CK_DEFINE_PANELS32(format, indices_scalar)

const ck_panel_row ck_iq4_nl_panels = {&panel_format, {CK_TABLE_PANELS}};
