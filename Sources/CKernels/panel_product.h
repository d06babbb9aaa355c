/* Products of panels with activations: one template for any format, precision, instruction set and number of columns.
 *
 * The right-hand side holds `n` vectors side by side, so that the four activations that meet a word lie together for
 * all of them; with one vector that is the plain order: see columns.c. */
#pragma once

#include "panel.h"

typedef int32_t ck_ints16 __attribute__((vector_size(64)));
typedef float ck_floats16 __attribute__((vector_size(64)));

/* What the words of a panel or a tile are to an instruction set: w = scale * (word - offset). */
typedef struct ck_words_form {
    uint8_t bits;   /* words are below 2^bits; 8: any byte */
    bool is_signed;
    uint8_t offset; /* 0 or a power of two */
    bool is_paired; /* as ck_pair_words leaves them */
    bool is_wide;   /* as ck_widen_words leaves them: the offset is gone */
} ck_words_form;

/* Sets bytes to codebook[bytes[i]] + added, for bytes below sixteen. */
typedef void (*ck_panel_lookup)(const uint8_t *codebook, uint8_t added, ck_bytes64 *bytes);

/* The eight words of 32 columns: as ck_take_words leaves them, or still in their planes. */
typedef struct ck_word_source {
    bool in_planes;
    const uint8_t *planes; /* where they are in planes, of `format` */
    ck_panel_format format;
    const ck_bytes64 *words; /* where they are not */
} ck_word_source;

/* The parameters of ck_panel_isa.sum, and their names. */
#define CK_SUM_PARAMETERS                                                                                    \
    ck_words_form form, int parts, int n, int first, int count, const ck_word_source *source, \
        const uint8_t *values, const int32_t *totals, ck_ints16 *sums
#define CK_SUM_ARGUMENTS form, parts, n, first, count, source, values, totals, sums

/* What an instruction set gives to the templates. Functions take vectors by address, because how a wide vector is
 * passed by value depends on the instruction set; all of them are inlined. */
typedef struct ck_panel_isa {
    /* sums[t] = the products of (words - offset) with vector t, for `count` words from the `first` on, of the eight
     * that `values` begin with. Activations are of 8 bits (parts 1) or of 16 (parts 2); totals[t] is -128 times the sum
     * of those of vector t. */
    void (*sum)(CK_SUM_PARAMETERS);
    /* *product = the products of 32 columns with one vector, of bytes or planes of bytes, times the factors of their
     * groups, of which words with an offset have two: the first of every row's four bytes at `factors`, 67 in all.
     * Words are in their planes, totals are those of groups. NULL where this is no gain: see panel_factors.h. */
    void (*one_factors)(
        ck_panel_format format, ck_words_form form, int parts, const ck_word_source *source, const uint8_t *factors,
        const uint8_t *values, const int32_t *totals, ck_floats16 *product);
    /* Sixteen f16 -> floats. */
    void (*halves)(const void *halves, ck_floats16 *out);
    ck_panel_lookup lookup;
    /* For up to how many vectors a panel's words stay in their planes, until `sum` takes one after the other. Where
     * registers are few, words that are taken all at once go through memory: with one vector of 16 bits, from a cache,
     * Q4_0 is 1.3 times as fast this way on Zen 3, Q8_0 1.2 times, Q5_0 1.14 times, IQ4_XS 1.1 times. */
    uint8_t late_vectors;
    /* Whether words of eight bits are to be signed. */
    bool is_signed;
    /* Whether fewer bits are less work, so that what a codebook holds takes no more of them than it needs. */
    bool has_narrow_words;
    /* Whether tiles hold words of eight bits wherever there is an offset: then the sums of any format start from the
     * totals as they are, or from zero where words are signed. */
    bool widens_tiles;
    /* Whether tiles hold pairs of words. */
    bool pairs_tiles;
    /* Whether activations of 16 bits come whole, not in planes, and tiles for them hold words of 16 bits. */
    bool has_wide_words;
    /* Whether results of several vectors are better left in memory, where the compiler does not see it by itself. */
    bool results_in_memory;
} ck_panel_isa;

/* The largest magnitude of (q - offset). */
CK_INLINE int ck_largest_weight(ck_panel_format format) {
    const int above = (1 << format.bits) - 1 - format.offset;
    int largest = format.offset > above ? format.offset : above;
    if (format.codebook != NULL) {
        largest = 0;
        CK_UNROLL
        for (int k = 0; k < 16; k++) {
            const int magnitude = format.codebook[k] < 128 ? 128 - format.codebook[k] : format.codebook[k] - 128;
            largest = magnitude > largest && format.codebook[k] != 255 ? magnitude : largest;
        }
    }
    return largest;
}

/* The bits that the words of a format need: of a codebook, those of its values with an offset that is half of them. */
CK_INLINE uint8_t ck_word_bits(ck_panel_format format) {
    if (format.codebook == NULL) {
        return format.bits;
    }
    const int largest = ck_largest_weight(format);
    uint8_t bits = 8;
    CK_UNROLL
    for (uint8_t fewer = 7; fewer > 1; fewer--) {
        bits = largest < 1 << (fewer - 1) ? fewer : bits;
    }
    return bits;
}

/* Whether AVX2 has products of a format with activations of SPLIT_INT16: those of full bytes would overflow, and would
 * not be faster. Formats with a codebook are 1 to 24% faster for it with one vector, as decode has it (Zen 3, from
 * memory), and 7 to 17% slower with four. */
CK_INLINE bool ck_splits_int16(ck_panel_format format) {
    return ck_word_bits(format) < 8;
}

/* Whether groups of sixteen columns have factors that are whole numbers. */
CK_INLINE bool ck_has_integer_factors16(ck_panel_format format) {
    return format.group == 16 && format.factor_bits > 0 && format.scale != CK_PANEL_NONE;
}

/* ---- Words ------------------------------------------------------------------------------------ */

/* The words that panels are unpacked to. */
CK_INLINE ck_words_form ck_panel_words(ck_panel_format format, ck_panel_isa isa) {
    const uint8_t bits = format.codebook != NULL && !isa.has_narrow_words ? 8 : ck_word_bits(format);
    if (format.codebook != NULL && bits < 8) {
        return (ck_words_form){.bits = bits, .offset = (uint8_t)(1 << (bits - 1))};
    }
    const bool is_signed = bits == 8 && isa.is_signed;
    return (ck_words_form){
        .bits = bits, .is_signed = is_signed, .offset = (uint8_t)(format.offset - (is_signed ? 128 : 0))};
}

/* The words of tiles that meet activations of 8 bits (parts 1) or 16 (parts 2). */
CK_INLINE ck_words_form ck_tile_words(ck_panel_format format, ck_panel_isa isa, int parts) {
    ck_words_form form = ck_panel_words(format, isa);
    if (isa.has_wide_words && parts == 2) {
        return (ck_words_form){.bits = 8, .is_signed = true, .is_wide = true};
    }
    if (isa.widens_tiles && format.offset > 0) {
        form = (ck_words_form){.bits = 8, .is_signed = isa.is_signed, .offset = isa.is_signed ? 0 : 128};
    }
    form.is_paired = isa.pairs_tiles;
    return form;
}

/* Vectors of 64 bytes that eight words take. */
CK_INLINE int ck_word_vectors(ck_words_form form) {
    return form.is_wide ? 16 : 8;
}

/* Bytes of the scales and minimums of 32 columns of a tile. */
CK_INLINE size_t ck_tile_scale_bytes32(ck_panel_format format) {
    return 64 * (size_t)(32 / format.group) * (format.has_minimum ? 2 : 1);
}

/* Eight words of bytes -> of 16 bits without their offset: columns 0 and 2 of all rows, then columns 1 and 3. */
CK_INLINE void ck_widen_words(ck_words_form form, const ck_bytes64 words[8], ck_bytes64 wide[16]) {
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
        const ck_signed_shorts32 lanes = (ck_signed_shorts32)words[j];
        const ck_signed_shorts32 even = form.is_signed ? lanes << 8 >> 8 : lanes & 0xff;
        const ck_signed_shorts32 odd = form.is_signed ? lanes >> 8 : lanes >> 8 & 0xff;
        wide[2 * j] = (ck_bytes64)(even - form.offset);
        wide[2 * j + 1] = (ck_bytes64)(odd - form.offset);
    }
}

/* Two words of four columns -> the rows' eight columns, one row after the other. */
CK_INLINE void ck_pair_words(ck_bytes64 words[2]) {
    typedef uint32_t lanes16 __attribute__((vector_size(64)));
    const lanes16 first = (lanes16)words[0], second = (lanes16)words[1];
    words[0] = (ck_bytes64)__builtin_shufflevector(
        first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    words[1] = (ck_bytes64)__builtin_shufflevector(
        first, second, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* Word j of 32 columns in a form, but not paired. */
CK_INLINE void ck_take_word(
    ck_panel_format format, ck_panel_lookup lookup, ck_words_form form, const uint8_t *planes, int j,
    ck_bytes64 *word) {
    ck_unpack_word(format.bits, 8, j, planes, word);
    const uint8_t added = (uint8_t)(form.offset - format.offset);
    if (format.codebook != NULL) {
        lookup(format.codebook, added, word);
    } else if (added != 0) {
        *word += added;
    }
}

/* The words of 32 columns in a form. */
CK_INLINE void ck_take_words(
    ck_panel_format format, ck_panel_isa isa, ck_words_form form, const uint8_t *planes, ck_bytes64 words[8]) {
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
        ck_take_word(format, isa.lookup, form, planes, j, &words[j]);
    }
    if (form.is_paired) {
        CK_UNROLL
        for (int j = 0; j < 8; j += 2) {
            ck_pair_words(words + j);
        }
    }
}

/* Where sums start, so that the offset of the words needs no further care. */
CK_INLINE int32_t ck_start(ck_words_form form, int32_t total) {
    return form.offset == 0 ? 0 : total >> (7 - __builtin_ctz(form.offset));
}

/* ---- Scales and minimums ---------------------------------------------------------------------- */

/* Those of the groups of a block. */
typedef struct ck_panel_header {
    ck_floats16 scales[CK_MOST_GROUPS], minimums[CK_MOST_GROUPS];
} ck_panel_header;

/* The factors of one of the groups that `words` hold. */
CK_INLINE void ck_take_integers(ck_panel_format format, const ck_bytes64 *words, int group, ck_ints16 *out) {
    const ck_ints16 lanes = (ck_ints16)words[group / 4];
    const int bit = 8 * (group % 4);
    const bool is_signed = format.factor_bits == 8 && format.scale != CK_PANEL_NONE;
    *out = is_signed ? lanes << (24 - bit) >> 24 : lanes >> bit & 0xff;
}

CK_INLINE void ck_take_factors(ck_panel_format format, const ck_bytes64 *words, int group, ck_floats16 *out) {
    ck_ints16 factors;
    ck_take_integers(format, words, group, &factors);
    /* Floats: exponent and mantissa go to their places, where the bias is 127 and not 7; subnormals come out right. */
    *out = format.scale == CK_PANEL_NONE ? (ck_floats16)(factors << 20) * 0x1p120f
                                         : __builtin_convertvector(factors, ck_floats16);
}

/* The scales of a block; 1 where it has none. */
CK_INLINE void ck_take_scale(ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, ck_floats16 *out) {
    if (format.scale == CK_PANEL_F16) {
        isa.halves(panel, out);
    } else if (format.scale == CK_PANEL_BF16) {
        typedef uint16_t shorts16 __attribute__((vector_size(32)));
        shorts16 halves;
        memcpy(&halves, panel, sizeof halves);
        *out = (ck_floats16)(__builtin_convertvector(halves, ck_ints16) << 16);
    } else {
        *out = (ck_floats16){0} + 1;
    }
    if (format.exponent != 0) {
        *out *= ck_float((uint32_t)(127 + format.exponent) << 23);
    }
}

/* Unpacks the factors of a block, which lie behind its scale and minimum; returns where its q begin. */
CK_INLINE const uint8_t *ck_unpack_factors(ck_panel_format format, const uint8_t *planes, ck_bytes64 factors[8]) {
    const int words = ck_factor_words(format);
    ck_unpack_words(format.factor_bits, words, planes, factors);
    return planes + 8 * words * format.factor_bits;
}

/* Reads the header of a block; returns where its q begin. */
CK_INLINE const uint8_t *ck_read_header(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, ck_panel_header *header) {
    const int groups = format.block / format.group;
    ck_floats16 scale, minimum = {0};
    ck_take_scale(format, isa, panel, &scale);
    if (format.has_minimum) {
        isa.halves(panel + 2 * CK_PANEL_ROWS, &minimum);
    }
    panel += ck_panel_scale_bytes(format);
    if (format.factor_bits == 0) {
        CK_UNROLL
        for (int g = 0; g < groups; g++) {
            header->scales[g] = scale;
            header->minimums[g] = minimum;
        }
        return panel;
    }
    ck_bytes64 factors[8];
    panel = ck_unpack_factors(format, panel, factors);
    CK_UNROLL
    for (int g = 0; g < groups; g++) {
        ck_take_factors(format, factors, g, &header->scales[g]);
        header->scales[g] = (header->scales[g] - (float)format.factor_offset) * scale;
        if (format.has_minimum) {
            ck_take_factors(format, factors, groups + g, &header->minimums[g]);
            header->minimums[g] *= minimum;
        }
    }
    return panel;
}

/* ---- Activations ------------------------------------------------------------------------------ */

/* Where in ck_columns a group is. */
typedef struct ck_place {
    const uint8_t *values; /* of the group's 32 columns */
    const float *scales;
    const int32_t *totals;
    const float *sums;
} ck_place;

CK_INLINE ck_place ck_first_place(ck_panel_format format, int n, size_t columns, const ck_columns *x) {
    const size_t skipped = format.group == 16 ? columns / 32 * (size_t)n : 0;
    return (ck_place){x->values, x->scales, x->totals + skipped, x->sums + skipped};
}

/* result[t] += the products of 32 columns with n vectors; `scales` and `minimums` are those of their groups. */
CK_INLINE void ck_multiply32(
    ck_panel_format format, ck_panel_isa isa, ck_words_form form, int parts, int n, const ck_word_source *source,
    const ck_floats16 *scales, const ck_floats16 *minimums, ck_place *place, ck_floats16 *result) {
    const int groups = 32 / format.group, count = 8 / groups;
    ck_floats16 first[CK_TILE_VECTORS];
    CK_UNROLL
    for (int g = 0; g < groups; g++) {
        ck_ints16 sums[CK_TILE_VECTORS];
        isa.sum(form, parts, n, g * count, count, source, place->values, place->totals, sums);
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            const ck_floats16 product = __builtin_convertvector(sums[t], ck_floats16);
            if (groups == 1 || form.is_wide) { /* wide words leave no registers for `first` */
                result[t] += product * (scales[g] * place->scales[t]);
            } else if (g == 0) {
                first[t] = product * scales[0];
            } else { /* two groups share the activations' scale */
                result[t] += (first[t] + product * scales[1]) * place->scales[t];
            }
            if (format.has_minimum) {
                result[t] += minimums[g] * place->sums[t];
            } else if (isa.results_in_memory && (groups == 1 || form.is_wide) && n > 1) {
                /* Left to itself, the compiler moves results to and fro: with this plain tiles of Q4_0 and of Q5_0 are
                 * a tenth faster on Zen 3. With minimums it would be 3% slower, with bytes in groups of 16 8%. */
                __asm__ volatile("" : "+m"(result[t]));
            }
        }
        place->totals += n;
        place->sums += n;
    }
    place->values += 32 * parts * n;
    place->scales += n;
}

/* ---- A panel with a few vectors ----------------------------------------------------------------- */

CK_INLINE void ck_store_results(int n, const ck_floats16 *result, float *y, size_t stride) {
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        memcpy(y + t * stride, &result[t], sizeof result[t]);
    }
}

/* y[t][r] = dot(row r of the panel, vector t), for n vectors; results of a vector are `stride` apart. */
CK_INLINE void ck_panel_product(
    ck_panel_format format, ck_panel_isa isa, int parts, int n, const uint8_t *panel, size_t columns,
    const ck_columns *x, float *y, size_t stride) {
    const ck_words_form form = ck_panel_words(format, isa);
    const int groups = 32 / format.group;
    ck_place place = ck_first_place(format, n, columns, x);
    ck_floats16 result[CK_TILE_VECTORS];
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        result[t] = (ck_floats16){0};
    }
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        ck_ask_ahead(x->ahead, panel, ck_panel_header_bytes(format));
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            const ck_word_source source = {n <= isa.late_vectors, panel, format, words};
            ck_ask_ahead(x->ahead, panel, 64 * (size_t)format.bits);
            if (!source.in_planes) {
                ck_take_words(format, isa, form, panel, words);
            }
            ck_multiply32(
                format, isa, form, parts, n, &source, &header.scales[c * groups], &header.minimums[c * groups], &place,
                result);
        }
    }
    ck_store_results(n, result, y, stride);
}

/* ---- The GEMM of a batch --------------------------------------------------------------------
 *
 * A panel is unpacked once, into a tile that the second-level cache holds, and meets all vectors from there. Every
 * format becomes the same tile, for each 32 columns
 *
 *     words     [8][64]                        as ck_take_words leaves them, or
 *               [16][64]                       as ck_widen_words does
 *     scales    float [32 / group][16]
 *     minimums  float [32 / group][16]         formats with a minimum
 *
 * Where that is faster, some become another one: see wide_tile.h, paired_tile.h and, for AVX2, raised_tile_avx2.h and
 * winograd_tile_avx2.h. */

CK_INLINE void ck_unpack_panel(
    ck_panel_format format, ck_panel_isa isa, int parts, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const ck_words_form form = ck_tile_words(format, isa, parts);
    const int groups = 32 / format.group;
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            if (form.is_wide) {
                const ck_words_form narrow = ck_panel_words(format, isa);
                ck_take_words(format, isa, narrow, panel, words);
                ck_widen_words(narrow, words, (ck_bytes64 *)tile);
            } else {
                ck_take_words(format, isa, form, panel, words);
                memcpy(tile, words, sizeof words);
            }
            tile += 64 * ck_word_vectors(form);
            CK_UNROLL
            for (int g = 0; g < groups; g++) {
                memcpy(tile + 64 * g, &header.scales[c * groups + g], 64);
                if (format.has_minimum) {
                    memcpy(tile + 64 * (groups + g), &header.minimums[c * groups + g], 64);
                }
            }
            tile += ck_tile_scale_bytes32(format);
        }
    }
}

/* How many blocks ahead of use a batch's activations are asked for. They come from the third-level cache, tile after
 * tile; without asking, Zen 4 spends a twentieth of the time waiting for them. Tiles that AVX2 alone has do not ask: on
 * Zen 3 that took as much time as it saved, or more. */
#define CK_VALUES_AHEAD 4

/* As ck_panel_product, from the panel's tile. */
CK_INLINE void ck_tile_product(
    ck_panel_format format, ck_panel_isa isa, int parts, int n, const uint8_t *tile, size_t columns,
    const ck_columns *x, float *y, size_t stride) {
    const ck_words_form form = ck_tile_words(format, isa, parts);
    const size_t word_bytes = 64 * (size_t)ck_word_vectors(form);
    ck_place place = ck_first_place(format, n, columns, x);
    ck_floats16 result[CK_TILE_VECTORS];
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        result[t] = (ck_floats16){0};
    }
    for (size_t c = 0; c < columns / 32; c++, tile += word_bytes + ck_tile_scale_bytes32(format)) {
        const ck_floats16 *const scales = (const ck_floats16 *)(tile + word_bytes);
        ck_prefetch((uintptr_t)place.values + CK_VALUES_AHEAD * 32 * (uintptr_t)(parts * n), 32 * (size_t)(parts * n));
        const ck_word_source source = {.words = (const ck_bytes64 *)tile};
        ck_multiply32(
            format, isa, form, parts, n, &source, scales, scales + 32 / format.group, &place, result);
    }
    ck_store_results(n, result, y, stride);
}

/* ---- A panel as floats ------------------------------------------------------------------------ */

/* out[column * stride + row], the order in which a BLAS takes its right-hand side. */
CK_INLINE void ck_dequantize_panel(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, float *out, size_t stride) {
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_unpack_words(format.bits, 8, panel, words);
            CK_UNROLL
            for (int j = 0; j < 8; j++, out += 4 * stride) {
                const int group = (8 * c + j) / (format.group / 4);
                if (format.codebook != NULL) {
                    isa.lookup(format.codebook, 0, &words[j]);
                }
                CK_UNROLL
                for (int i = 0; i < 4; i++) {
                    const ck_ints16 q = ((ck_ints16)words[j] >> 8 * i & 0xff) - format.offset;
                    ck_floats16 value = __builtin_convertvector(q, ck_floats16) * header.scales[group];
                    if (format.has_minimum) {
                        value += header.minimums[group];
                    }
                    memcpy(out + i * stride, &value, sizeof value);
                }
            }
        }
    }
}
