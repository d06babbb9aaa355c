/* IQ2_XXS: 256 weights on a grid, 2.0625 bits a weight.
 *
 *     byte   0      2                                                            66
 *            | scale | 8 groups of 32 weights, 8 bytes each                       |
 *
 *     a group: | 4 indices of points, a byte each | u32: 4 signs, 7 bits each; s, 4 bits |
 *
 *     w[i] = scale * (2 s + 1) / 8 * sign * magnitude
 */
#include "blocks.h"
#include "iq_grids.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_iq2_xxs), .scale_columns = 32};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq2_xxs *block = address;
    const uint8_t *group = (const uint8_t *)block->points + 8 * index;
    const uint32_t signs = ck_load_u32(group + 4);
    out->values = (ck_bytes)(ck_long_words){
        ck_iq2_xxs_grid[group[0]], ck_iq2_xxs_grid[group[1]], ck_iq2_xxs_grid[group[2]], ck_iq2_xxs_grid[group[3]]};
    ck_negate(ck_even_signs(signs), &out->values);
    out->scales[0] = out->scales[1] = tools.half(block->scale) * 0.125f * (float)(int32_t)(2 * (signs >> 28) + 1);
}

CK_DEFINE_UNPACKED(iq2_xxs, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 3, .group = 32, .block = 256, .offset = 128, .exponent = -3, .factor_bits = 8, .codebook = ck_iq2_codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_iq2_xxs *block = address;
    out->scale = block->scale;
    for (size_t g = 0; g < 8; g++) {
        const uint32_t signs = ck_load_u32((const uint8_t *)block->points + 8 * g + 4);
        out->factors[g] = (uint8_t)(2 * (signs >> 28) + 1);
    }
}

CK_DEFINE_UNPACKED_PANELS(iq2_xxs, format, unpack, take_header)
