/* Q8_0: 32 weights of eight bits and a scale, 8.5 bits a weight.
 *
 *     byte   0      2                     34
 *            | scale | 32 signed bytes     |        w[i] = scale * weights[i]
 *
 * The templates take unsigned q, so that unpacking adds 128: flips the upper bit.
 */
#include "block32_avx512.h"
#include "blocks.h"
#include "group_neon.h"
#include "panel_kernels.h"
#include "registry.h"

static const ck_format32 format = {.bytes = sizeof(ck_block_q8_0), .offset = 128};

CK_INLINE void unpack_scalar(const void *address, uint8_t q[32]) {
    const ck_block_q8_0 *block = address;
    for (size_t i = 0; i < 32; i++) {
        q[i] = (uint8_t)(block->weights[i] ^ 0x80);
    }
}

CK_INLINE void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_q8_0 *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block++) {
        const float scale = ck_float(ck_bits(ck_extreme32(values + i)) & 0x7fffffff) / 127;
        const float reciprocal = ck_reciprocal(scale);
        block->scale = ck_f32_to_f16(scale);
        for (size_t lane = 0; lane < 32; lane++) {
            const float value = values[i + lane] * reciprocal;
            /* To nearest, halves away from zero: adding the float below a half never carries a smaller value over. */
            const float half = ck_float(ck_bits(0x1.fffffep-2f) | (ck_bits(value) & 0x80000000));
            block->weights[lane] = (int8_t)(value + half < 127 ? value + half : 127); /* what NaN becomes */
        }
    }
}

CK_DEFINE_SCALAR32(format, unpack_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i unpack_avx2(const void *address) {
    const ck_block_q8_0 *block = address;
    return _mm256_xor_si256(_mm256_loadu_si256((const void *)block->weights), _mm256_set1_epi8((char)0x80));
}

CK_AVX512 CK_INLINE __m512i unpack_pair_avx512(const void *lower, const void *upper) {
    const ck_block_q8_0 *first = lower, *second = upper;
    return _mm512_xor_si512(
        ck_load_pair_avx512(first->weights, second->weights), _mm512_set1_epi8((char)0x80));
}

CK_DEFINE_AVX2_32(format, unpack_avx2)
CK_DEFINE_AVX512_32(format, unpack_avx2, unpack_pair_avx512)

#endif

#if defined(__aarch64__)

static const ck_format group_format = {
    .columns = 32, .bytes = sizeof(ck_block_q8_0), .scale_columns = 32};

CK_INLINE void unpack_group(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q8_0 *block = address;
    (void)index;
    memcpy(&out->values, block->weights, sizeof block->weights);
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_NEON(group_format, unpack_group)

#endif

const ck_type_kernels ck_q8_0_kernels[CK_ISA_COUNT] = {CK_TABLE_SCALAR32, CK_TABLE_X86_32 CK_TABLE_NEON};

static const ck_panel_format panel_format = {.bits = 8, .group = 32, .block = 32, .offset = 128};
CK_DEFINE_PANELS32(format, unpack_scalar)

const ck_panel_row ck_q8_0_panels = {&panel_format, {CK_TABLE_PANELS}};
