/* Q2_0: 64 weights of two bits and a scale, 2.25 bits a weight.
 *
 *     byte   0      2                                                  18
 *            | scale | 16 bytes: four q each, the first in the lowest bits |        w[i] = scale * (q[i] - 1)
 */
#include "blocks.h"
#include "unpacked.h"

static const ck_format format = {.columns = 64, .bytes = sizeof(ck_block_q2_0), .scale_columns = 64};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_q2_0 *block = address;
    ck_unpack_pairs(block->pairs + 8 * index, &out->values);
    out->values -= 1;
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

CK_DEFINE_UNPACKED(q2_0, format, unpack, NULL)

static const ck_panel_format panel_format = {.bits = 2, .group = 32, .block = 64, .offset = 1};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_q2_0 *block = address;
    out->scale = block->scale;
}

CK_DEFINE_UNPACKED_PANELS(q2_0, format, unpack, take_header)
