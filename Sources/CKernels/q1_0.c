/* Q1_0: 128 weights of one bit and a scale, 1.125 bits a weight.
 *
 *     byte   0      2                                     18
 *            | scale | 16 bytes: bit i % 8 of byte i / 8   |        w[i] = scale where bit i is set, else -scale
 */
#include "blocks.h"
#include "unpacked.h"

static const ck_format format = {.columns = 128, .bytes = sizeof(ck_block_q1_0), .scale_columns = 128};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q1_0 *block = address;
    ck_bytes set; /* -1 or 0 */
    ck_spread_bits(ck_load_u32(block->bits + 4 * index), &set);
    out->values = -1 - set - set;
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

/* One bit says which of two. */
static const uint8_t codebook[16] = {
    128 - 1, 128 + 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

CK_DEFINE_UNPACKED(q1_0, format, unpack, NULL)

static const ck_panel_format panel_format = {
    .bits = 1, .group = 32, .block = 128, .offset = 128, .codebook = codebook};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_q1_0 *block = address;
    out->scale = block->scale;
}

CK_DEFINE_UNPACKED_PANELS(q1_0, format, unpack, take_header)
