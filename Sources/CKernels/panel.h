/* Panels: the weights of sixteen rows side by side, the layout that resident weights are kept in.
 *
 * Row by row, every block pays for the conversion of its scale and for a horizontal sum. Side by side, one conversion
 * serves sixteen rows, their sums grow in the lanes of one vector, and offsets are where the sums start. One layout
 * serves products with one activation vector, with a few, and (unpacked to bytes) the GEMM of a batch; sixteen lanes
 * are one register of AVX-512, two of AVX2, four of NEON. A panel is as large as its rows in the file, give or take a
 * sixteenth, except for types whose weights share indices: IQ3 grows by a quarter to two fifths, IQ2 and TQ1_0 by a
 * quarter to three fifths, IQ1 doubles.
 *
 * A weight is
 *
 *     w = scale * (q - offset)  or  w = scale * q + minimum,   q an unsigned byte of 1 to 8 bits,
 *
 * scale and minimum either numbers of 16 bits, one for a block, or such a number times the factor of a group of 16 or
 * 32 columns, a small integer. Where weights lie on a grid or on uneven steps, panels hold the place of each in a
 * codebook. The grids' own indices would be smaller, but no instruction set looks up sixteen of them quickly.
 *
 * A block of a panel is
 *
 *     scale     f16 or bf16 [16 rows]           but not where factors are floats
 *     minimum   f16 [16]                        formats with a minimum
 *     factors   [factor bits][groups / 4][8]    formats with factors: those of scales, then those of minimums
 *     q         [block / 32][bits][64]          32 columns of sixteen rows take 64 bytes a bit
 *
 * The q of 32 columns are eight words of four columns: byte 4 r + i of word j is column 4 j + i of row r, as the dot
 * products of all instruction sets take them. Words are cut into planes of 64 bytes: see ck_word_fields. Factors are
 * words too, of four groups instead of four columns. */
#pragma once

#include "isa.h"

/* The most groups of a block that have factors. */
#define CK_MOST_GROUPS 16

/* What a block's scale is held in. */
typedef enum ck_panel_scale {
    CK_PANEL_F16 = 0,
    CK_PANEL_BF16,
    CK_PANEL_NONE, /* factors are unsigned floats E4M3 */
} ck_panel_scale;

typedef struct ck_panel_format {
    uint8_t bits;            /* of a weight: 1, 2, 3, 4, 5, 6 or 8 */
    uint8_t group;           /* columns with one scale: 16 or 32 */
    uint16_t block;          /* a multiple of 32 columns, up to 256 */
    uint8_t offset;          /* a power of two that is subtracted from q; 0 with a minimum */
    bool has_minimum;
    ck_panel_scale scale;
    int8_t exponent;         /* scales are to be multiplied by this power of two */
    uint8_t factor_bits;     /* 4 or 6, unsigned, or 8, signed or floats; 0 where the block's scale is all there is */
    uint8_t factor_offset;   /* subtracted from factors of scales */
    /* What q stands for: sixteen ascending bytes, 128 more than the weights, the rest 255; NULL: itself. */
    const uint8_t *codebook;
    bool is_packed_slowly;   /* weights become codes one by one, see ck_panel_traits */
} ck_panel_format;

/* Words that hold the factors of a block. */
CK_INLINE int ck_factor_words(ck_panel_format format) {
    return format.factor_bits == 0 ? 0 : format.block / format.group / 4 * (format.has_minimum ? 2 : 1);
}

/* Bytes of the scales and minimums of a block. */
CK_INLINE size_t ck_panel_scale_bytes(ck_panel_format format) {
    return 2 * CK_PANEL_ROWS * ((size_t)(format.scale != CK_PANEL_NONE) + format.has_minimum);
}

/* Bytes of a block of a panel before its q. */
CK_INLINE size_t ck_panel_header_bytes(ck_panel_format format) {
    return ck_panel_scale_bytes(format) + 8 * (size_t)(ck_factor_words(format) * format.factor_bits);
}

/* Bytes of a block of a panel. */
CK_INLINE size_t ck_panel_block_bytes(ck_panel_format format) {
    return ck_panel_header_bytes(format) + (size_t)format.block / 32 * format.bits * 64;
}

/* One block of one row, taken apart: what a type has to provide. */
typedef struct ck_panel_source {
    uint8_t q[256];
    uint16_t scale, minimum;              /* f16, or what the format says */
    uint8_t factors[2 * CK_MOST_GROUPS];  /* as they are stored, before their offset: scales, then minimums */
} ck_panel_source;

typedef void (*ck_panel_take)(const void *block, ck_panel_source *out);

/* Bytes -> their places in a codebook. */
CK_INLINE void ck_find_codes(const uint8_t codebook[16], size_t count, uint8_t *bytes) {
    for (size_t i = 0; i < count; i++) {
        uint8_t code = 0;
        for (int k = 0; k < 15; k++) {
            code = (uint8_t)(code + (bytes[i] > codebook[k]));
        }
        bytes[i] = code;
    }
}

/* ---- Vectors of 64 bytes, which every compiler splits as the machine needs ------------------ */

typedef uint8_t ck_bytes64 __attribute__((vector_size(64)));
typedef uint16_t ck_shorts32 __attribute__((vector_size(64)));
typedef int16_t ck_signed_shorts32 __attribute__((vector_size(64)));
typedef uint32_t ck_words8 __attribute__((vector_size(32)));

/* Moves the bits of `mask` from bit `from` of every byte to bit `to`, and clears the others. Wider lanes shift what the
 * mask takes away again: no instruction set shifts bytes. */
CK_INLINE void ck_move_bits64(const ck_bytes64 *bytes, int from, int to, uint8_t mask, ck_bytes64 *out) {
    const ck_shorts32 lanes = (ck_shorts32)*bytes;
    *out = (ck_bytes64)(from < to ? lanes << (to - from) : lanes >> (from - to)) & (uint8_t)(mask << to);
}

/* Word j of eight rows, in lane r of words[j]; `rows` has a row in each vector. */
CK_INLINE void ck_transpose_words(const ck_words8 rows[8], ck_words8 words[8]) {
    ck_words8 pairs[8], fours[8];
    CK_UNROLL
    for (int r = 0; r < 8; r += 2) {
        pairs[r] = __builtin_shufflevector(rows[r], rows[r + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pairs[r + 1] = __builtin_shufflevector(rows[r], rows[r + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    CK_UNROLL
    for (int i = 0; i < 8; i++) {
        const ck_words8 a = pairs[i / 4 * 4 + i / 2 % 2], b = pairs[i / 4 * 4 + i / 2 % 2 + 2];
        fours[i] = i % 2 == 0 ? __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
                              : __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    CK_UNROLL
    for (int j = 0; j < 4; j++) {
        words[j] = __builtin_shufflevector(fours[j], fours[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        words[j + 4] = __builtin_shufflevector(fours[j], fours[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* ---- Packing ------------------------------------------------------------------------------- */

/* Bits of a word that lie together in a plane: `width` of them, from bit `bit` of the plane's bytes on, are those from
 * bit `to` on of the word's. */
typedef struct ck_field {
    uint8_t plane, bit, to, width;
} ck_field;

/* Where word j of `count` lies: 8, or 4 of bits that are even. Returns the number of its fields, three at most.
 *
 * A field takes a shift, unless its bits are in their place, and a conjunction, and one more operation if it is not the
 * first. So as many words as possible are in one plane, and in their place: eight words of five bits take 23 operations
 * for a register, where the lower four bits of two words in each plane and a plane of the fifth bits took 35; of six
 * bits 22 in the place of 34, of three bits 19 in the place of 37. */
CK_INLINE int ck_word_fields(int bits, int count, int j, ck_field fields[3]) {
    switch (bits) {
        case 3: /* two words in a plane, and two of what is left of three planes */
            if (j < 6) {
                fields[0] = (ck_field){(uint8_t)(j / 2), (uint8_t)(3 * (j % 2)), 0, 3};
                return 1;
            }
            fields[0] = (ck_field){(uint8_t)(j - 6), 6, 0, 2};
            fields[1] = (ck_field){2, (uint8_t)j, 2, 1};
            return 2;
        case 4: /* two words in a plane, half of them apart */
            fields[0] = (ck_field){(uint8_t)(j % (count / 2)), j < count / 2 ? 0 : 4, 0, 4};
            return 1;
        case 5: /* a word in a plane, and three of what is left of five */
            if (j < 5) {
                fields[0] = (ck_field){(uint8_t)j, 0, 0, 5};
                return 1;
            }
            fields[0] = (ck_field){(uint8_t)(2 * j - 10), 5, 2, 3};
            if (j < 7) {
                fields[1] = (ck_field){(uint8_t)(2 * j - 9), 6, 0, 2};
                return 2;
            }
            fields[1] = (ck_field){1, 5, 0, 1};
            fields[2] = (ck_field){3, 5, 1, 1};
            return 3;
        case 6: /* a word in a plane, and one of what is left of three */
            if (j % 4 < 3) {
                fields[0] = (ck_field){(uint8_t)(j / 4 * 3 + j % 4), 0, 0, 6};
                return 1;
            }
            CK_UNROLL
            for (int k = 0; k < 3; k++) {
                fields[k] = (ck_field){(uint8_t)(j / 4 * 3 + k), 6, (uint8_t)(2 * k), 2};
            }
            return 3;
        default: /* as many words in a plane as there is room for */
            fields[0] = (ck_field){(uint8_t)(j * bits / 8), (uint8_t)(j * bits % 8), 0, (uint8_t)bits};
            return 1;
    }
}

/* Words of sixteen rows in their planes, of 64 bytes each: `q` points at the first byte of row 0, rows are `stride`
 * apart. */
CK_INLINE void ck_pack_words(int bits, int count, const uint8_t *q, size_t stride, uint8_t *out) {
    ck_bytes64 words[8];
    CK_UNROLL
    for (size_t half = 0; half < 2; half++) {
        ck_words8 rows[8], columns[8];
        CK_UNROLL
        for (size_t r = 0; r < 8; r++) {
            rows[r] = (ck_words8){0};
            memcpy(&rows[r], q + (8 * half + r) * stride, 4 * (size_t)count);
        }
        ck_transpose_words(rows, columns);
        CK_UNROLL
        for (int j = 0; j < count; j++) {
            memcpy((uint8_t *)&words[j] + 32 * half, &columns[j], 32);
        }
    }
    CK_UNROLL
    for (int i = 0; i < count * bits / 8; i++) {
        ck_bytes64 plane = {0};
        CK_UNROLL
        for (int j = 0; j < count; j++) {
            ck_field fields[3];
            const int number = ck_word_fields(bits, count, j, fields);
            CK_UNROLL
            for (int k = 0; k < number; k++) {
                if (fields[k].plane == i) {
                    const uint8_t mask = (uint8_t)((1 << fields[k].width) - 1);
                    ck_bytes64 moved;
                    ck_move_bits64(&words[j], fields[k].to, fields[k].bit, mask, &moved);
                    plane |= moved;
                }
            }
        }
        memcpy(out + 64 * i, &plane, sizeof plane);
    }
}

/* Rows in the layout of the file -> a panel. Rows from `rows` on, up to the sixteenth, become zero. */
CK_INLINE void ck_pack_panel(
    ck_panel_format format, ck_panel_take take, size_t block_bytes, const void *weights, size_t row_bytes, size_t rows,
    size_t columns, uint8_t *panel) {
    const int factor_words = ck_factor_words(format);
    ck_panel_source source[CK_PANEL_ROWS] = {0};
    /* Whole rows lie one behind the other, and the next panel's behind them: these are asked for in the second-level
     * cache meanwhile. Two and four tokens of Q4_0 in a mapped file were 1.59 and 1.45 times as fast with it. */
    const uintptr_t ahead = (uintptr_t)weights + CK_PANEL_ROWS * row_bytes;
    const bool is_whole = columns / format.block * block_bytes == row_bytes;
    for (size_t b = 0; b < columns / format.block; b++) {
        if (is_whole) {
            ck_prefetch_far(ahead + CK_PANEL_ROWS * block_bytes * b, CK_PANEL_ROWS * block_bytes);
        }
        for (size_t r = 0; r < rows; r++) {
            take((const uint8_t *)weights + r * row_bytes + b * block_bytes, &source[r]);
        }
        for (size_t r = 0; r < CK_PANEL_ROWS && format.scale != CK_PANEL_NONE; r++) {
            memcpy(panel + 2 * r, &source[r].scale, 2);
            if (format.has_minimum) {
                memcpy(panel + 2 * CK_PANEL_ROWS + 2 * r, &source[r].minimum, 2);
            }
        }
        panel += ck_panel_scale_bytes(format);
        if (factor_words > 0) {
            ck_pack_words(format.factor_bits, factor_words, source[0].factors, sizeof source[0], panel);
            panel += 8 * factor_words * format.factor_bits;
        }
        for (size_t c = 0; c < format.block / 32u; c++, panel += 64 * format.bits) {
            ck_pack_words(format.bits, 8, source[0].q + 32 * c, sizeof source[0], panel);
        }
    }
}

/* ---- Unpacking ------------------------------------------------------------------------------- */

/* Word j of the `count` that ck_pack_words made planes of. */
CK_INLINE void ck_unpack_word(int bits, int count, int j, const uint8_t *planes, ck_bytes64 *word) {
    ck_field fields[3];
    const int number = ck_word_fields(bits, count, j, fields);
    CK_UNROLL
    for (int k = 0; k < number; k++) {
        const ck_field field = fields[k];
        ck_bytes64 plane;
        memcpy(&plane, planes + 64 * field.plane, 64);
        if (field.width < 8) {
            ck_move_bits64(&plane, field.bit, field.to, (uint8_t)((1 << field.width) - 1), &plane);
        }
        *word = k == 0 ? plane : *word | plane;
    }
}

CK_INLINE void ck_unpack_words(int bits, int count, const uint8_t *planes, ck_bytes64 *words) {
    CK_UNROLL
    for (int j = 0; j < count; j++) {
        ck_unpack_word(bits, count, j, planes, &words[j]);
    }
}
