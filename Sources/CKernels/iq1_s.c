/* IQ1_S: 256 weights on a grid, 1.5625 bits a weight.
 *
 *     byte   0      2               34                                     50
 *            | scale | 32 bytes: low | 8 u16: high, of 32 weights each      |
 *
 *     high: bits 3 k to 3 k + 2 belong to the index of the point k, k = 0 to 3: low[k] | bits << 8;
 *           bits 12 to 14 are s, bit 15 says that d = -1/8, else 1/8
 *
 *     w[i] = scale * (2 s + 1) * (grid + d),   grid -1, 0 or 1
 */
#include "blocks.h"
#include "iq_grids.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_iq1_s), .scale_columns = 32};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_iq1_s *block = address;
    const uint8_t *low = block->low + 4 * index;
    const size_t high = block->high[index];
    const uint32_t down = (uint32_t)(high >> 15) * 0x01010101;
    ck_iq1_points(
        low[0] | (high << 8 & 0x700), low[1] | (high << 5 & 0x700), low[2] | (high << 2 & 0x700),
        low[3] | (high >> 1 & 0x700), down, &out->values);
    out->scales[0] = out->scales[1] = tools.half(block->scale) * 0.125f * (float)(int32_t)(2 * (high >> 12 & 7) + 1);
}

CK_DEFINE_UNPACKED(iq1_s, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 3, .group = 32, .block = 256, .offset = 128, .exponent = -3, .factor_bits = 8, .codebook = ck_iq1_codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_iq1_s *block = address;
    out->scale = block->scale;
    for (size_t g = 0; g < 8; g++) {
        out->factors[g] = (uint8_t)(2 * (block->high[g] >> 12 & 7) + 1);
    }
}

CK_DEFINE_UNPACKED_PANELS(iq1_s, format, unpack, take_header)
