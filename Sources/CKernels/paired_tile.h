/* Tiles for PAIRED_INT8: those of wide_tile.h for formats without minimums whose groups have 32 columns, as many as
 * share a scale of the activations.
 *
 * With scales that are floats, the product of sixteen rows and 32 columns with a vector takes eight dot products, a
 * multiplication of two scales, and a fused addition, all in the same units. Here scales are integers of 16 bits, those
 * of weights parts of their row's largest, those of activations of their vector's. The products of scales for two
 * groups are one multiplication, which keeps their upper halves; with them the groups' sums are multiplied in one more
 * dot product; and what is left to add has no scale, so that additions, which take other units on Zen 4, add it. Of
 * eighteen operations in those units sixteen are dot products, in the place of sixteen of twenty.
 *
 * For each panel
 *
 *     scale      float [16 rows]           the row's largest
 *     and for each 64 columns
 *     words      [16][64]                  (q - offset) * 2^k + 128: all of the bits of a byte
 *     factors    int16 [16][2]             of scales: scale / the row's largest * 32767
 *
 * Whatever the format, sums of 32 products fit into 16 bits when they are shifted by four, and start from totals that
 * have what rounds them then: an addition here would take some of the time of the units that multiply.
 *
 * A product of scales is off by 3 * 2^-16 of the product of the two largest, at most: next to nothing beside what 8
 * bits are off by in a group that has both. Where no group has, as with outliers among the activations that only small
 * weights meet, it is as much more as the largest product of a group is smaller. */
#pragma once

#include "wide_tile.h"

#define CK_PAIRED_TILE_BYTES (1024 + 64)
#define CK_PAIRED_LIMIT 32767.0f

/* How far sums are shifted. */
#define CK_PAIRED_SHIFT 4

/* Whether a format has such tiles. */
CK_INLINE bool ck_has_paired_tiles(ck_panel_format format) {
    return format.block < 256 && format.group == 32 && format.offset > 0 && !format.has_minimum;
}

/* How far weights are shifted to be bytes: k above. */
CK_INLINE int ck_paired_word_shift(ck_panel_format format) {
    const int shift = 8 - ck_word_bits(format), above = (1 << format.bits) - 1 - format.offset;
    return format.codebook == NULL && above << shift > INT8_MAX ? shift - 1 : shift;
}

#if defined(__x86_64__)

CK_AVX512 CK_INLINE void ck_unpack_paired(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const int groups = format.block / format.group;
    const size_t block_bytes = ck_panel_block_bytes(format);
    ck_panel_header header;
    /* At least the smallest normal number, whose reciprocal is finite: a row of zeros has that. */
    ck_ints16 largest = (ck_ints16){0} + (1 << 23);
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_read_header(format, isa, panel + b * block_bytes, &header);
        CK_UNROLL
        for (int g = 0; g < groups; g++) {
            ck_raise(&header.scales[g], 1, &largest);
        }
    }
    const ck_floats16 most = (ck_floats16)largest, reciprocal = 1 / most;
    /* NaN for a row with an infinite scale, whose results are no numbers. */
    const ck_floats16 scale = most + 0 * most;
    memcpy(tile, &scale, sizeof scale);
    tile += sizeof scale;
    ck_floats16 factors[2];
    size_t place = 0;
    for (size_t b = 0; b < columns / format.block; b++) {
        panel = ck_read_header(format, isa, panel, &header);
        CK_UNROLL
        for (int g = 0; g < groups; g++, place++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_take_words(format, isa, ck_wide_words(format), panel, words);
            CK_UNROLL
            for (int j = 0; j < 8; j++) {
                words[j] = ((words[j] ^ 128) << ck_paired_word_shift(format)) ^ 128;
            }
            memcpy(tile + 512 * (place % 2), words, sizeof words);
            factors[place % 2] = header.scales[g] * reciprocal * CK_PAIRED_LIMIT;
            if (place % 2 == 1) {
                ck_ints16 pair;
                ck_pair_factors(&factors[0], &factors[1], &pair);
                memcpy(tile + 1024, &pair, sizeof pair);
                tile += CK_PAIRED_TILE_BYTES;
            }
        }
    }
}

CK_AVX512VNNI CK_INLINE void ck_paired_tile_product(
    ck_panel_format format, int n, const uint8_t *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    const int32_t *totals = x->totals;
    __m512 result[CK_WIDE_VECTORS];
    const __m512 scale = _mm512_loadu_ps(tile);
    tile += 64;
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        result[t] = _mm512_setzero_ps();
    }
    for (size_t c = 0; c < columns / CK_WIDE_COLUMNS; c++, tile += CK_PAIRED_TILE_BYTES) {
        __m512i first[CK_WIDE_VECTORS], second[CK_WIDE_VECTORS];
        ck_prefetch((uintptr_t)values + CK_VALUES_AHEAD * 32 * (uintptr_t)n, 64 * (size_t)n);
        ck_wide_sums(format, 0, n, 0, tile, values, totals, first);
        __asm__ volatile("" ::: "memory"); /* what is loaded early would not fit into the registers */
        ck_wide_sums(format, 0, n, 8, tile, values, totals + n, second);
        const __m512i factors = _mm512_load_si512(tile + 1024);
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            const __m512i pair = ck_pair_sums_avx512(CK_PAIRED_SHIFT, first[t], second[t]);
            const __m512i products = _mm512_mulhrs_epi16(factors, ck_spread_word_avx512(scales + t));
            result[t] = _mm512_add_ps(result[t], _mm512_cvtepi32_ps(_mm512_madd_epi16(pair, products)));
        }
        values += 64 * n;
        scales += n;
        totals += 2 * n;
    }
    /* What is left of the shifts, of sums, of weights, and of products of scales. */
    const float step =
        (float)(1 << (CK_PAIRED_SHIFT + 15 - ck_paired_word_shift(format))) / (CK_PAIRED_LIMIT * CK_PAIRED_LIMIT);
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        const __m512 products = _mm512_mul_ps(result[t], _mm512_set1_ps(x->sums[t] * step));
        ck_store_line(x->passes, y + (size_t)t * stride, _mm512_mul_ps(products, scale));
    }
}

#endif
