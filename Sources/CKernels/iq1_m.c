/* IQ1_M: 256 weights on a grid, 1.75 bits a weight.
 *
 *     byte   0               32                                  48                                  56
 *            | 32 bytes: low | 16 bytes: high, of 16 weights each | 4 u16: scales, of 64 weights each |
 *
 *     high:   for each of two points k, four bits: three of its index, low[k] | bits << 8; one that says that d = -1/8,
 *             else 1/8
 *     scales: four s of three bits, of 16 weights each; the upper four bits of all four, the first lowest, are the
 *             block's scale as an f16
 *
 *     w[i] = scale * (2 s[i / 16] + 1) * (grid + d),   grid -1, 0 or 1
 */
#include "blocks.h"
#include "iq_grids.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_iq1_m), .scale_columns = 16};

/* The scale of a block, an f16. */
CK_INLINE uint16_t block_scale(const ck_block_iq1_m *block) {
    return (uint16_t)(block->scales[0] >> 12 | (block->scales[1] >> 8 & 0xf0) | (block->scales[2] >> 4 & 0xf00) |
                      (block->scales[3] & 0xf000));
}

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq1_m *block = address;
    const uint8_t *low = block->low + 4 * index;
    const uint32_t high = ck_load_u16(block->high + 2 * index);
    const uint32_t down = (high >> 3 & 1) | (high << 1 & 0x100) | (high << 5 & 0x10000) | (high << 9 & 0x1000000);
    ck_iq1_points(
        low[0] | (high << 8 & 0x700), low[1] | (high << 4 & 0x700), low[2] | (high & 0x700),
        low[3] | (high >> 4 & 0x700), down, &out->values);
    const float scale = 0.125f * tools.half(block_scale(block));
    const unsigned steps = (unsigned)block->scales[index / 2] >> 6 * (index % 2);
    out->scales[0] = scale * (float)(int32_t)(2 * (steps & 7) + 1);
    out->scales[1] = scale * (float)(int32_t)(2 * (steps >> 3 & 7) + 1);
}

CK_DEFINE_UNPACKED(iq1_m, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 3, .group = 16, .block = 256, .offset = 128, .exponent = -3, .factor_bits = 8, .codebook = ck_iq1_codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_iq1_m *block = address;
    out->scale = block_scale(block);
    for (size_t g = 0; g < 16; g++) {
        out->factors[g] = (uint8_t)(2 * (block->scales[g / 4] >> 3 * (g % 4) & 7) + 1);
    }
}

CK_DEFINE_UNPACKED_PANELS(iq1_m, format, unpack, take_header)
