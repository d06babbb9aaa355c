/* IQ4_NL: 32 weights of four bits that name values, and a scale, 4.5 bits a weight.
 *
 *     byte   0      2                                    18
 *            | scale | 16 bytes: n[i] | n[i + 16] << 4    |        w[i] = scale * value(n[i]): see iq4.h
 */
#include "blocks.h"
#include "group_neon.h"
#include "iq4.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_iq4_nl), .offset = 128};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    const ck_block_iq4_nl *block = address;
    for (size_t i = 0; i < 16; i++) {
        q[i] = ck_iq4_values[block->low[i] & 0x0f];
        q[i + 16] = ck_iq4_values[block->low[i] >> 4];
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
    tools.look_up(ck_iq4_signed_values, &out->values);
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_iq4_nl_kernels[CK_ISA_COUNT] = {CK_TABLE_PRODUCTS_SCALAR, CK_TABLE_PRODUCTS_X86 CK_TABLE_NEON};
