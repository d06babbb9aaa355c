/* IQ2_S: 256 weights on a grid, 2.5625 bits a weight.
 *
 *     byte   0      2               34                66                74                              82
 *            | scale | 32 bytes: low | 32 bytes: signs | 8 bytes: high   | 8 bytes: s[i] | s[i + 1] << 4  |
 *
 *     The index of the point k, k = 0 to 31, is low[k] | (high[k / 4] >> 2 (k % 4) & 3) << 8.
 *     w[i] = scale * (2 s[i / 16] + 1) / 8 * magnitude, negative where bit i of the signs is set
 */
#include "blocks.h"
#include "iq_grids.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_iq2_s), .scale_columns = 16};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq2_s *block = address;
    const uint8_t *low = block->low + 4 * index;
    const size_t high = block->high[index];
    out->values = (ck_bytes)(ck_long_words){
        ck_iq2_s_grid[low[0] | (high << 8 & 0x300)], ck_iq2_s_grid[low[1] | (high << 6 & 0x300)],
        ck_iq2_s_grid[low[2] | (high << 4 & 0x300)], ck_iq2_s_grid[low[3] | (high << 2 & 0x300)]};
    ck_negate(ck_load_u32(block->signs + 4 * index), &out->values);
    ck_iq2_scales(tools.half(block->scale), block->scales[index], out->scales);
}

CK_DEFINE_UNPACKED(iq2_s, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 3, .group = 16, .block = 256, .offset = 128, .exponent = -3, .factor_bits = 8, .codebook = ck_iq2_codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_iq2_s *block = address;
    ck_iq2_header(block->scale, block->scales, out);
}

CK_DEFINE_UNPACKED_PANELS(iq2_s, format, unpack, take_header)
