/* The GEMM of a batch: a panel is unpacked to bytes once, into the second-level cache, and meets all vectors from
 * there. Any format becomes the same tile:
 *
 *     for each 32 columns    words     uint8 [8][64]              as ck_unpack_words leaves them
 *                            scales    float [32 / group][16]
 *                            minimums  float [32 / group][16]     formats with a minimum
 */
#pragma once

#include "panel_product.h"

/* What of a format is left in a tile. */
typedef struct ck_tile_format {
    uint8_t group;
    uint8_t offset;
    bool has_minimum;
} ck_tile_format;

CK_INLINE size_t ck_tile_bytes32(ck_tile_format format) {
    return 512 + 64 * (size_t)(32 / format.group) * (format.has_minimum ? 2 : 1);
}

CK_INLINE void ck_unpack_panel(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const size_t groups = format.block == 32 ? 0 : format.block / format.group;
    const size_t per32 = 32 / format.group;
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_floats16 scale, minimum = {0};
        isa.halves(panel, &scale);
        panel += 2 * CK_PANEL_ROWS;
        if (format.has_minimum) {
            isa.halves(panel, &minimum);
            panel += 2 * CK_PANEL_ROWS;
        }
        const uint8_t *factors = panel;
        panel += (format.has_minimum ? 2 : 1) * groups * CK_PANEL_ROWS;
        for (size_t c = 0; c < format.block / 32u; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_unpack_words(format.bits, panel, words);
            for (int j = 0; format.codebook != NULL && j < 8; j++) {
                isa.lookup(format.codebook, &words[j]);
            }
            memcpy(tile, words, sizeof words);
            tile += sizeof words;
            for (int kind = 0; kind < (format.has_minimum ? 2 : 1); kind++) {
                for (size_t g = 0; g < per32; g++, tile += 64) {
                    ck_floats16 value = kind == 0 ? scale : minimum;
                    if (groups > 0) {
                        ck_floats16 factor;
                        ck_widen16(factors + CK_PANEL_ROWS * (kind * groups + c * per32 + g), &factor);
                        value = value * factor;
                    }
                    memcpy(tile, &value, sizeof value);
                }
            }
        }
    }
}

/* y[t][r] = dot(row r of the tile, vector t), for n vectors side by side. */
CK_INLINE void ck_tile_product(
    ck_tile_format format, ck_panel_isa isa, int parts, int n, const uint8_t *tile, size_t columns,
    const uint8_t *values, const float *scales, const int32_t *totals, float *y, size_t stride) {
    const int per32 = 32 / format.group;
    ck_floats16 result[12];
    for (int t = 0; t < n; t++) {
        result[t] = (ck_floats16){0};
    }
    for (size_t c = 0; c < columns / 32; c++) {
        const uint8_t *const factors = tile + 512;
        for (int g = 0; g < per32; g++) {
            ck_ints16 sums[12];
            int32_t total[12];
            for (int t = 0; t < n; t++) {
                total[t] = format.group == 16 ? totals[g * n + t] : totals[t] + totals[n + t];
                sums[t] = (ck_ints16){0};
            }
            for (int part = 0; part < parts; part++) {
                if (part == parts - 1) {
                    for (int t = 0; t < n; t++) {
                        sums[t] = (parts == 2 ? sums[t] << 8 : sums[t]) - format.offset * total[t];
                    }
                }
                for (int j = g * format.group / 4; j < (g + 1) * format.group / 4; j++) {
                    ck_bytes64 word;
                    memcpy(&word, tile + 64 * j, sizeof word);
                    for (int t = 0; t < n; t++) {
                        isa.dot(&sums[t], &word, values + 32 * n * part + 4 * (j * n + t));
                    }
                }
            }
            ck_floats16 scale, minimum;
            memcpy(&scale, factors + 64 * g, sizeof scale);
            if (format.has_minimum) {
                memcpy(&minimum, factors + 64 * (per32 + g), sizeof minimum);
            }
            for (int t = 0; t < n; t++) {
                result[t] += __builtin_convertvector(sums[t], ck_floats16) * (scale * scales[t]);
                if (format.has_minimum) {
                    result[t] += minimum * (scales[t] * (float)total[t]);
                }
            }
        }
        tile += ck_tile_bytes32(format);
        values += 32 * parts * n;
        scales += n;
        totals += 2 * n;
    }
    for (int t = 0; t < n; t++) {
        memcpy(y + t * stride, &result[t], sizeof result[t]);
    }
}
