/* TQ1_0: 256 weights -1, 0, 1, five to a byte, and a scale, 1.6875 bits a weight.
 *
 *     byte   0                                    32                             48                      52     54
 *            | 32 bytes: weights i, i + 32, ...    | 16 bytes: from 160 on, i + 16 | 4 bytes: from 240, i + 4 | scale |
 *
 *     A byte holds q = 0, 1 or 2 of its weights as a fraction in base 3, the first being its first digit; of the last
 *     four bytes each has four digits and a zero. It is the fraction times 256, rounded up, so that the digit k is
 *     ((byte * 3^k mod 256) * 3) >> 8.        w[i] = scale * (q[i] - 1)
 */
#include "blocks.h"
#include "ternary.h"
#include "unpacked.h"

static const ck_format format = {.columns = 256, .bytes = sizeof(ck_block_tq1_0), .scale_columns = 256};

/* What brings the digit of a weight to the front: 3^k for each of the bytes that 32 weights lie in. */
#define TWICE(...) __VA_ARGS__, __VA_ARGS__
#define FOUR_TIMES(...) TWICE(__VA_ARGS__), TWICE(__VA_ARGS__)
#define SIXTEEN_TIMES(...) FOUR_TIMES(FOUR_TIMES(__VA_ARGS__))
static const uint8_t powers[8][32] = {
    {TWICE(SIXTEEN_TIMES(1))},
    {TWICE(SIXTEEN_TIMES(3))},
    {TWICE(SIXTEEN_TIMES(9))},
    {TWICE(SIXTEEN_TIMES(27))},
    {TWICE(SIXTEEN_TIMES(81))},
    {SIXTEEN_TIMES(1), SIXTEEN_TIMES(3)},
    {SIXTEEN_TIMES(9), SIXTEEN_TIMES(27)},
    {SIXTEEN_TIMES(81), FOUR_TIMES(1), FOUR_TIMES(3), FOUR_TIMES(9), FOUR_TIMES(27)},
};

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_tq1_0 *block = address;
    uint8_t lanes[32];
    if (index < 5) {
        memcpy(lanes, block->fives, 32);
    } else {
        memcpy(lanes, block->fives + 32, 16);
        memcpy(lanes + 16, block->fives + 32, 16);
        for (size_t i = 16; index == 7 && i < 32; i += 4) {
            memcpy(lanes + i, block->fours, 4);
        }
    }
    ck_unsigned_bytes bytes, power;
    memcpy(&bytes, lanes, sizeof bytes);
    memcpy(&power, powers[index], sizeof power);
    bytes *= power;
    /* A third and two thirds of 256 are 85.3 and 170.7. A comparison that holds is -1. */
    out->values = -1 - (ck_bytes)(bytes > 85) - (ck_bytes)(bytes > 170);
    out->scales[0] = out->scales[1] = tools.half(block->scale);
}

/* The byte of `digits` q, each `distance` after the one before. */
CK_INLINE uint8_t pack(const uint8_t *q, size_t distance, size_t digits) {
    unsigned number = 0;
    for (size_t k = 0; k < 5; k++) {
        number = 3 * number + (k < digits ? q[k * distance] : 0);
    }
    return (uint8_t)((number * 256 + 242) / 243);
}

static void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_tq1_0 *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block++) {
        uint8_t q[256];
        block->scale = ck_f32_to_f16(ck_round_ternary(values + i, q));
        for (size_t k = 0; k < 32; k++) {
            block->fives[k] = pack(q + k, 32, 5);
        }
        for (size_t k = 0; k < 16; k++) {
            block->fives[32 + k] = pack(q + 160 + k, 16, 5);
        }
        for (size_t k = 0; k < 4; k++) {
            block->fours[k] = pack(q + 240 + k, 4, 4);
        }
    }
}

CK_DEFINE_UNPACKED(tq1_0, format, unpack, quantize)

static const ck_panel_format panel_format = {.bits = 2, .group = 32, .block = 256, .offset = 1};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_tq1_0 *block = address;
    out->scale = block->scale;
}

CK_DEFINE_UNPACKED_PANELS(tq1_0, format, unpack, take_header)
