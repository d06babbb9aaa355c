/* NVFP4: 64 weights of four bits, E2M1, and four scales of eight, 4.5 bits a weight.
 *
 *     byte   0                             4                                                     36
 *            | 4 scales, of 16 weights each | 4 groups of 8 bytes: q[i] | q[i + 8] << 4, i = 0...7 |
 *
 *     w[i] = UE4M3(scales[i / 16]) * E2M1(q[i])
 */
#include "blocks.h"
#include "e2m1.h"
#include "unpacked.h"

static const ck_format format = {.columns = 64, .bytes = sizeof(ck_block_nvfp4), .scale_columns = 16};

/* Half of an unsigned E4M3 (bias 7), because the table of E2M1 is doubled. Its NaN is 0, as ggml has it. */
CK_INLINE float half_scale(uint8_t code) {
    const uint32_t bits = code == 0x7f ? 0 : (uint32_t)(code & 0x7f) << 20;
    return ck_float(bits) * 0x1p119f; /* the bias grows from 7 to 127, less one: subnormals come out right */
}

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_nvfp4 *block = address;
    ck_unpack_nibbles_of_8(block->low[2 * index], &out->values);
    tools.look_up(ck_e2m1_doubled, &out->values);
    out->scales[0] = half_scale(block->scales[2 * index]);
    out->scales[1] = half_scale(block->scales[2 * index + 1]);
}

CK_DEFINE_UNPACKED(nvfp4, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 4, .group = 16, .block = 64, .offset = 128, .scale = CK_PANEL_NONE, .exponent = -1, .factor_bits = 8,
    .codebook = ck_e2m1_codebook, .is_packed_slowly = true};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_nvfp4 *block = address;
    for (size_t g = 0; g < 4; g++) {
        out->factors[g] = block->scales[g] == 0x7f ? 0 : block->scales[g] & 0x7f;
    }
}

CK_DEFINE_UNPACKED_PANELS(nvfp4, format, unpack, take_header)
