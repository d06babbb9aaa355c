/* Products of panels with activations: one template for any format, precision, instruction set and number of columns.
 *
 * The right-hand side holds `n` vectors side by side, so that the four activations that meet a word lie together for
 * all of them; with one vector that is the plain order. Activations of 16 bits come as two planes of bytes,
 * a = 256 * upper + lower, both signed: two dot products of bytes are the exact product. */
#pragma once

#include "panel.h"

typedef int32_t ck_ints16 __attribute__((vector_size(64)));
typedef float ck_floats16 __attribute__((vector_size(64)));
typedef int8_t ck_chars16 __attribute__((vector_size(16)));

/* What an instruction set gives to the templates. Functions take vectors by address, because how a wide vector is
 * passed by value depends on the instruction set; all of them are inlined. */
typedef struct ck_panel_isa {
    /* sums[r] += dot of the four bytes of row r of `words` with the four signed ones at `activations`. Words are
     * unsigned and below 128, or `wide`: all eight bits, signed if `signed_words`, unsigned if not. */
    void (*dot)(bool wide, ck_ints16 *sums, const ck_bytes64 *words, const void *activations);
    bool signed_words;
    /* Sixteen f16 -> floats. */
    void (*halves)(const void *halves, ck_floats16 *out);
    /* bytes[i] = codebook[bytes[i]], bytes below sixteen. */
    void (*lookup)(const uint8_t *codebook, ck_bytes64 *bytes);
} ck_panel_isa;

/* Whether the words of a format have all eight bits. */
CK_INLINE bool ck_is_wide(ck_panel_format format) {
    return format.bits == 8 || format.codebook != NULL;
}

/* The offset of the words as `isa` takes them: signed words have lost 128 of theirs. */
CK_INLINE int ck_word_offset(ck_panel_format format, ck_panel_isa isa) {
    return format.offset - (isa.signed_words && ck_is_wide(format) ? 128 : 0);
}

/* The words of 32 columns as `isa` takes them. */
CK_INLINE void ck_take_words(ck_panel_format format, ck_panel_isa isa, const uint8_t *planes, ck_bytes64 words[8]) {
    ck_unpack_words(format.bits, planes, words);
    for (int j = 0; j < 8; j++) {
        if (format.codebook != NULL) {
            isa.lookup(format.codebook, &words[j]);
        }
        if (isa.signed_words && ck_is_wide(format)) {
            words[j] ^= 0x80;
        }
    }
}

CK_INLINE void ck_widen16(const uint8_t *bytes, ck_floats16 *out) {
    ck_chars16 narrow;
    memcpy(&narrow, bytes, sizeof narrow);
    *out = __builtin_convertvector(narrow, ck_floats16);
}

/* The f16 of a block, and where the small integers of its groups are. */
typedef struct ck_panel_header {
    ck_floats16 scale, minimum;
    const uint8_t *factors;
} ck_panel_header;

/* Reads the header of a block; returns where its q begin. */
CK_INLINE const uint8_t *ck_read_header(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, ck_panel_header *header) {
    isa.halves(panel, &header->scale);
    panel += 2 * CK_PANEL_ROWS;
    if (format.has_minimum) {
        isa.halves(panel, &header->minimum);
        panel += 2 * CK_PANEL_ROWS;
    }
    header->factors = panel;
    return panel + ck_panel_groups(format) * CK_PANEL_ROWS * (format.has_minimum ? 2 : 1);
}

/* Scale and minimum of a group of a block. */
CK_INLINE void ck_group_factors(
    ck_panel_format format, const ck_panel_header *header, size_t group, ck_floats16 *scale, ck_floats16 *minimum) {
    const size_t groups = ck_panel_groups(format);
    *scale = header->scale;
    *minimum = header->minimum;
    if (groups > 0) {
        ck_floats16 factor;
        ck_widen16(header->factors + CK_PANEL_ROWS * group, &factor);
        *scale *= factor;
        if (format.has_minimum) {
            ck_widen16(header->factors + CK_PANEL_ROWS * (groups + group), &factor);
            *minimum *= factor;
        }
    }
}

/* result[t] += the products of a group's words with n vectors; `first` is the group's first word of the eight. */
CK_INLINE void ck_multiply_group(
    ck_panel_isa isa, bool wide, int offset, bool has_minimum, int group, int parts, int n, int first,
    const ck_bytes64 *words, const ck_floats16 *scale, const ck_floats16 *minimum, const uint8_t *values,
    const float *scales, const int32_t *totals, ck_floats16 *result) {
    ck_ints16 sums[CK_TILE_VECTORS];
    int32_t total[CK_TILE_VECTORS];
    for (int t = 0; t < n; t++) {
        total[t] = group == 16 ? totals[first / 4 * n + t] : totals[t] + totals[n + t];
        sums[t] = (ck_ints16){0};
    }
    for (int part = 0; part < parts; part++, values += 32 * n) {
        if (part == parts - 1) {
            for (int t = 0; t < n; t++) {
                sums[t] = (parts == 2 ? sums[t] << 8 : sums[t]) - offset * total[t];
            }
        }
        for (int j = first; j < first + group / 4; j++) {
            for (int t = 0; t < n; t++) {
                isa.dot(wide, &sums[t], &words[j], values + 4 * (j * n + t));
            }
        }
    }
    for (int t = 0; t < n; t++) {
        result[t] += __builtin_convertvector(sums[t], ck_floats16) * (*scale * scales[t]);
        if (has_minimum) {
            result[t] += *minimum * (scales[t] * (float)total[t]);
        }
    }
}

/* y[t][r] = dot(row r of the panel, vector t), for n vectors; results of a vector are `stride` apart. */
CK_INLINE void ck_panel_product(
    ck_panel_format format, ck_panel_isa isa, int parts, int n, const uint8_t *panel, size_t columns,
    const ck_columns *x, float *y, size_t stride) {
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    const int32_t *totals = x->totals;
    ck_floats16 result[CK_TILE_VECTORS];
    for (int t = 0; t < n; t++) {
        result[t] = (ck_floats16){0};
    }
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_prefetch((uintptr_t)panel + CK_PANEL_AHEAD, 64 * format.bits);
            ck_take_words(format, isa, panel, words);
            for (int g = 0; g < 32 / format.group; g++) {
                ck_floats16 scale, minimum;
                ck_group_factors(format, &header, c * (32 / format.group) + g, &scale, &minimum);
                ck_multiply_group(
                    isa, ck_is_wide(format), ck_word_offset(format, isa), format.has_minimum, format.group, parts, n,
                    g * format.group / 4, words, &scale, &minimum, values, scales, totals, result);
            }
            values += 32 * parts * n;
            scales += n;
            totals += 2 * n;
        }
    }
    for (int t = 0; t < n; t++) {
        memcpy(y + t * stride, &result[t], sizeof result[t]);
    }
}

/* ---- The GEMM of a batch --------------------------------------------------------------------
 *
 * A panel is unpacked once, into a tile that the second-level cache holds, and meets all vectors from there. Every
 * format becomes the same tile, for each 32 columns
 *
 *     words     [8][64]                        as ck_take_words leaves them
 *     scales    float [32 / group][16]
 *     minimums  float [32 / group][16]         formats with a minimum
 */

CK_INLINE void ck_unpack_panel(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_take_words(format, isa, panel, words);
            memcpy(tile, words, sizeof words);
            for (int g = 0; g < 32 / format.group; g++) {
                ck_floats16 scale, minimum;
                ck_group_factors(format, &header, c * (32 / format.group) + g, &scale, &minimum);
                memcpy(tile + 512 + 64 * g, &scale, sizeof scale);
                if (format.has_minimum) {
                    memcpy(tile + 512 + 64 * (32 / format.group + g), &minimum, sizeof minimum);
                }
            }
            tile += ck_tile_bytes32(format);
        }
    }
}

/* As ck_panel_product, from the panel's tile. */
CK_INLINE void ck_tile_product(
    ck_panel_format format, ck_panel_isa isa, int parts, int n, const uint8_t *tile, size_t columns,
    const ck_columns *x, float *y, size_t stride) {
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    const int32_t *totals = x->totals;
    ck_floats16 result[CK_TILE_VECTORS];
    for (int t = 0; t < n; t++) {
        result[t] = (ck_floats16){0};
    }
    for (size_t c = 0; c < columns / 32; c++) {
        const ck_bytes64 *const words = (const ck_bytes64 *)tile;
        for (int g = 0; g < 32 / format.group; g++) {
            const ck_floats16 *const scale = (const ck_floats16 *)(tile + 512 + 64 * g);
            const ck_floats16 *const minimum = scale + 32 / format.group;
            ck_multiply_group(
                isa, ck_is_wide(format), ck_word_offset(format, isa), format.has_minimum, format.group, parts, n,
                g * format.group / 4, words, scale, minimum, values, scales, totals, result);
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

/* A panel as floats: out[column * stride + row], the order in which a BLAS takes its right-hand side. */
CK_INLINE void ck_dequantize_panel(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, float *out, size_t stride) {
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits, out += 32 * stride) {
            ck_bytes64 words[8];
            ck_unpack_words(format.bits, panel, words);
            for (int j = 0; j < 8; j++) {
                ck_floats16 scale, minimum;
                ck_group_factors(
                    format, &header, c * (32 / format.group) + (format.group == 16 ? j / 4 : 0), &scale, &minimum);
                if (format.codebook != NULL) {
                    isa.lookup(format.codebook, &words[j]);
                }
                for (int i = 0; i < 4; i++) {
                    const ck_ints16 column = (ck_ints16)words[j] >> 8 * i & 0xff;
                    const ck_floats16 q = __builtin_convertvector(column - format.offset, ck_floats16);
                    const ck_floats16 value = format.has_minimum ? q * scale + minimum : q * scale;
                    memcpy(out + (4 * j + i) * stride, &value, sizeof value);
                }
            }
        }
    }
}
