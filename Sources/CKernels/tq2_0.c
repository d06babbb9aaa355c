/* TQ2_0: 256 weights -1, 0, 1 of two bits and a scale, 2.0625 bits a weight.
 *
 *     byte   0                             64     66
 *            | pairs: two halves of 32 bytes | scale |
 *
 *     Each half holds 128 weights: q[i] = half[i % 32] >> 2 (i / 32) & 3        w[i] = scale * (q[i] - 1)
 */
#include "blocks.h"
#include "ternary.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_tq2_0), .scale_columns = 256};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_tq2_0 *block = address;
    ck_words pairs;
    memcpy(&pairs, block->pairs + 32 * (index / 4), sizeof pairs);
    out->values = (ck_bytes)(pairs >> 2 * (uint32_t)(index % 4) & 0x03030303) - 1;
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

static void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_tq2_0 *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block++) {
        uint8_t q[256];
        block->scale = ck_f32_to_f16(ck_round_ternary(values + i, q));
        for (size_t k = 0; k < 64; k++) {
            const uint8_t *first = q + k / 32 * 128 + k % 32;
            block->pairs[k] = (uint8_t)(first[0] | first[32] << 2 | first[64] << 4 | first[96] << 6);
        }
    }
}

CK_DEFINE_UNPACKED(tq2_0, format, unpack, quantize)

static const ck_panel_format panel_format = {.bits = 2, .group = 32, .block = 256, .offset = 1};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_tq2_0 *block = address;
    out->scale = block->scale;
}

CK_DEFINE_UNPACKED_PANELS(tq2_0, format, unpack, take_header)
