/* IQ2_XS: 256 weights on a grid, 2.3125 bits a weight.
 *
 *     byte   0      2                                                66                            74
 *            | scale | 32 u16: index of a point, 9 bits; signs, 7 bits | 8 bytes: s[i] | s[i + 1] << 4 |
 *
 *     w[i] = scale * (2 s[i / 16] + 1) / 8 * sign * magnitude
 */
#include "blocks.h"
#include "iq_grids.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_iq2_xs), .scale_columns = 16};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq2_xs *block = address;
    uint16_t points[4];
    memcpy(points, (const uint8_t *)block->points + 8 * index, sizeof points);
    out->values = (ck_bytes)(ck_long_words){
        ck_iq2_xs_grid[points[0] & 511], ck_iq2_xs_grid[points[1] & 511], ck_iq2_xs_grid[points[2] & 511],
        ck_iq2_xs_grid[points[3] & 511]};
    const uint32_t signs = (uint32_t)points[0] >> 9 | (uint32_t)points[1] >> 9 << 7 | (uint32_t)points[2] >> 9 << 14 |
                           (uint32_t)points[3] >> 9 << 21;
    ck_negate(ck_even_signs(signs), &out->values);
    ck_iq2_scales(tools.half(block->scale), block->scales[index], out->scales);
}

CK_DEFINE_UNPACKED(iq2_xs, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 3, .group = 16, .block = 256, .offset = 128, .exponent = -3, .factor_bits = 8, .codebook = ck_iq2_codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_iq2_xs *block = address;
    ck_iq2_header(block->scale, block->scales, out);
}

CK_DEFINE_UNPACKED_PANELS(iq2_xs, format, unpack, take_header)
