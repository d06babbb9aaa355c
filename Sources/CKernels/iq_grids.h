/* The grids of the IQ1 and IQ2 types: the points of eight weights that an index in a block may name, chosen by the
 * authors of the format. A point is eight bytes, weight i in byte i. iq_grids.c writes it with two bits a weight.
 *
 * IQ2 grids hold magnitudes, 8, 25 or 43, to which a block gives signs. The IQ1 grid holds -8, 0 and 8: eight times
 * a weight, so that the eighth that a block adds or takes off is a whole number too. */
#pragma once

#include "group.h"
#include "panel.h"

extern const uint64_t ck_iq2_xxs_grid[256];
extern const uint64_t ck_iq2_xs_grid[512];
extern const uint64_t ck_iq2_s_grid[1024];
extern const uint64_t ck_iq1_grid[2048];

/* Signs of eight weights in seven bits: the number of minus signs is even, which the last sign makes up for. Takes
 * four such numbers, seven bits each, to bytes with all the signs. */
CK_INLINE uint32_t ck_even_signs(uint32_t packed) {
    const uint32_t sevens = (packed & 0x7f) | (packed & 0x7f << 7) << 1 | (packed & 0x7f << 14) << 2 |
                            (packed & 0x7f << 21) << 3;
    uint32_t parity = sevens ^ sevens >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return sevens | (parity & 0x01010101) << 7;
}

/* What panels hold places in: magnitudes with both signs; points an eighth up and down. 128 is added to all. */
#define CK_CODEBOOK_END 255, 255, 255, 255, 255, 255, 255, 255, 255, 255
static const uint8_t ck_iq2_codebook[16] = {
    128 - 43, 128 - 25, 128 - 8, 128 + 8, 128 + 25, 128 + 43, CK_CODEBOOK_END};
static const uint8_t ck_iq1_codebook[16] = {
    128 - 9, 128 - 7, 128 - 1, 128 + 1, 128 + 7, 128 + 9, CK_CODEBOOK_END};

/* What panels hold of a block's scale and of the steps of its groups of 16 weights, four bits each. */
CK_INLINE void ck_iq2_header(uint16_t scale, const uint8_t steps[8], ck_panel_source *out) {
    out->scale = scale;
    for (size_t g = 0; g < 16; g++) {
        out->factors[g] = (uint8_t)(2 * (steps[g / 2] >> g % 2 * 4 & 15) + 1);
    }
}

/* The scales of 32 weights from four bits for 16. */
CK_INLINE void ck_iq2_scales(float scale, uint8_t steps, float scales[2]) {
    scales[0] = scale * 0.125f * (float)(2 * (steps & 15) + 1);
    scales[1] = scale * 0.125f * (float)(2 * (steps >> 4) + 1);
}

/* Four points of the IQ1 grid, each shifted by an eighth of a weight: up, or down where its byte of `down` is 1. */
CK_INLINE void ck_iq1_points(size_t a, size_t b, size_t c, size_t d, uint32_t down, ck_bytes *out) {
    ck_unsigned_bytes shifts; /* 1 or -1 */
    ck_repeat_bytes(0x01010101 ^ down * 0xfe, &shifts);
    *out = (ck_bytes)(ck_long_words){ck_iq1_grid[a], ck_iq1_grid[b], ck_iq1_grid[c], ck_iq1_grid[d]};
    *out += (ck_bytes)shifts;
}
