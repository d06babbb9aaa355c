/* Tiles for batches whose activations have one scale for 64 columns instead of 32: a GEMM that all but consists of dot
 * products. For types with blocks of 256, whose peers' activations have one scale for 256. AVX2 has tiles of its own:
 * see wide_tile_avx2.h.
 *
 * On registers of 512 bits dot products, multiplications and fused additions of floats take the same units. With scales
 * for 32 columns, the product of sixteen rows and 32 columns with a vector takes eight of the first and two to four of
 * the others: scales of weights times scale of activations, minimums. Here the sums of two groups become integers of 16
 * bits and meet the groups' scales, 16 bits too, in one more dot product, and minimums meet the sums of activations in
 * another: half an operation each for 32 columns, and half a fused addition. Shifts and blends take units of their own.
 *
 * For each panel
 *
 *     scale      float [16 rows]
 *     and for each 64 columns
 *     words      [16][64]                  as in other tiles, moved up to offset 128 where there is any
 *     factors    int16 [pairs][16][2]      of scales: group scale * 2^shift / scale
 *     minimums   int16 [pairs][16][2]      formats with a minimum: minimum / scale
 *     bias       int32 [16]                formats with one, see ck_has_bias
 *
 * Sums are rounded to a multiple of 2^shift, scales to 14 bits of the row's largest: together a fifth, at most, of what
 * rounding the activations to 8 bits is off by (tested). Where the scales of a row are so far apart that the small ones
 * have few bits left, a thousandth of the largest, their groups are too small to matter unless activations are larger
 * there by as much. */
#pragma once

#include "panel_product.h"

#define CK_WIDE_COLUMNS 64
#define CK_WIDE_VECTORS 8

/* Whether a format has such tiles. */
CK_INLINE bool ck_has_wide_tiles(ck_panel_format format) {
    return format.block == 256;
}

/* Pairs of groups in 64 columns. */
CK_INLINE int ck_wide_pairs(ck_panel_format format) {
    return CK_WIDE_COLUMNS / format.group / 2;
}

/* How far sums of a group are shifted to be integers of 16 bits. */
CK_INLINE int ck_wide_shift(ck_panel_format format) {
    const int most = format.group * ck_largest_weight(format) * 127;
    int shift = 0;
    CK_UNROLL
    for (int k = 1; k <= 5; k++) {
        shift = (most + (1 << (k - 1) >> 1)) >> (k - 1) > INT16_MAX ? k : shift;
    }
    return shift;
}

/* Whether sums are truncated, and a tile has what they lack on average, from which the products of 64 columns start.
 * With groups of 16 this costs less than to round each sum (Q6_K on Zen 4: 5%), with groups of 32 as much. */
CK_INLINE bool ck_has_bias(ck_panel_format format) {
    return format.group == 16 && ck_wide_shift(format) > 0;
}

/* Bytes of the factors and the bias of 64 columns of a tile. `has_bias` is an argument, as the loops of ck_has_bias can
 * only be unrolled for a format that the compiler knows. */
CK_INLINE size_t ck_wide_factor_bytes(ck_panel_format format, bool has_bias) {
    return 64 * ((size_t)ck_wide_pairs(format) * (format.has_minimum ? 2 : 1) + (has_bias ? 1 : 0));
}

CK_INLINE size_t ck_wide_tile_bytes(ck_panel_format format) {
    return 1024 + ck_wide_factor_bytes(format, ck_has_bias(format));
}

/* The largest factor of a scale: 14 bits, or what lets the products of 64 columns fit into 32. */
CK_INLINE int ck_wide_factor_limit(ck_panel_format format) {
    const int shift = ck_wide_shift(format), groups = 2 * ck_wide_pairs(format);
    const int rounded = (format.group * ck_largest_weight(format) * 127 + (1 << shift >> 1)) >> shift;
    const int sum = rounded + (ck_has_bias(format) ? 1 : 0);
    const int minimums = format.has_minimum ? CK_WIDE_COLUMNS * 127 * INT16_MAX : 0;
    const int limit = (INT32_MAX - minimums) / (groups * sum);
    return limit < 16383 ? limit : 16383;
}

/* Words as wide tiles have them. */
CK_INLINE ck_words_form ck_wide_words(ck_panel_format format) {
    return (ck_words_form){.bits = 8, .offset = format.offset > 0 ? 128 : 0};
}

#if defined(__x86_64__)

/* Two vectors of sixteen floats as pairs of 16-bit integers; what is added leaves the nearest in the lowest bits. */
CK_INLINE void ck_pair_factors(const ck_floats16 *first, const ck_floats16 *second, ck_ints16 *out) {
    const ck_floats16 shift = (ck_floats16){0} + 0x1.8p23f;
    *out = ((ck_ints16)(*first + shift) & 0xffff) | (ck_ints16)(*second + shift) << 16;
}

/* `largest` becomes at least the magnitudes of `values` times `factor`. Without their sign bits floats order as
 * integers do, NaNs behind all others. */
CK_INLINE void ck_raise(const ck_floats16 *values, float factor, ck_ints16 *largest) {
    const ck_ints16 magnitude = (ck_ints16)(*values * factor) & 0x7fffffff;
    const ck_ints16 exceeds = magnitude > *largest;
    *largest = (magnitude & exceeds) | (*largest & ~exceeds);
}

CK_AVX512 CK_INLINE void ck_unpack_wide(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const int groups = format.block / format.group, pairs = ck_wide_pairs(format), shift = ck_wide_shift(format);
    const size_t block_bytes = ck_panel_block_bytes(format);
    ck_panel_header header;
    const float most = (float)ck_wide_factor_limit(format);
    ck_ints16 largest = {0};
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_read_header(format, isa, panel + b * block_bytes, &header);
        CK_UNROLL
        for (int g = 0; g < groups; g++) {
            ck_raise(&header.scales[g], (float)(1 << shift) / most, &largest);
            if (format.has_minimum) {
                ck_raise(&header.minimums[g], 1.0f / 32767, &largest);
            }
        }
    }
    /* NaN for a row with an infinite scale: its bias is no number, and its results must be none. */
    const ck_floats16 scale = (ck_floats16)largest + 0 * (ck_floats16)largest;
    memcpy(tile, &scale, sizeof scale);
    tile += sizeof scale;
    /* A row of zeros has no scale; the smallest one keeps its reciprocal finite. */
    const ck_floats16 reciprocal = 1 / (scale + 0x1p-120f);
    for (size_t b = 0; b < columns / format.block; b++) {
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / CK_WIDE_COLUMNS; c++, tile += ck_wide_tile_bytes(format)) {
            for (int half = 0; half < 2; half++, panel += 64 * format.bits) {
                ck_bytes64 words[8];
                ck_take_words(format, isa, ck_wide_words(format), panel, words);
                memcpy(tile + 512 * half, words, sizeof words);
            }
            ck_floats16 bias = {0};
            for (int p = 0; p < pairs; p++) {
                const int g = 2 * (c * pairs + p);
                const ck_floats16 factor = reciprocal * (float)(1 << shift);
                const ck_floats16 factors[2] = {header.scales[g] * factor, header.scales[g + 1] * factor};
                ck_ints16 pair;
                ck_pair_factors(&factors[0], &factors[1], &pair);
                memcpy(tile + 1024 + 64 * p, &pair, sizeof pair);
                bias += factors[0] + factors[1];
                if (format.has_minimum) {
                    const ck_floats16 minimums[2] = {
                        header.minimums[g] * reciprocal, header.minimums[g + 1] * reciprocal};
                    ck_pair_factors(&minimums[0], &minimums[1], &pair);
                    memcpy(tile + 1024 + 64 * (pairs + p), &pair, sizeof pair);
                }
            }
            if (ck_has_bias(format)) {
                /* The mean of what shifting drops, 0 to 2^shift - 1, in steps. */
                bias *= (float)((1 << shift) - 1) / (float)(2 << shift);
                const ck_floats16 nearest = (ck_floats16){0} + 0x1.8p23f;
                const ck_ints16 start = (ck_ints16)(bias + nearest) - (ck_ints16)nearest;
                memcpy(tile + ck_wide_tile_bytes(format) - 64, &start, sizeof start);
            }
        }
    }
}

CK_AVX512VNNI CK_INLINE __m512i ck_spread_word_avx512(const void *address) {
    return _mm512_set1_epi32((int)ck_load_u32(address));
}

/* sums[t] = the products of a group's words, from the word `first` on, with n vectors, and `rounding`. */
CK_AVX512VNNI CK_INLINE void ck_wide_sums(
    ck_panel_format format, int rounding, int n, int first, const uint8_t *tile, const uint8_t *values,
    const int32_t *totals, __m512i *sums) {
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = _mm512_set1_epi32(rounding);
        if (format.offset > 0) {
            const __m512i total = ck_spread_word_avx512(totals + t);
            sums[t] = rounding == 0 ? total : _mm512_add_epi32(sums[t], total);
        }
    }
    CK_UNROLL
    for (int j = first; j < first + format.group / 4; j++) {
        const __m512i word = _mm512_load_si512(tile + 64 * j);
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            sums[t] = _mm512_dpbusd_epi32(sums[t], word, ck_spread_word_avx512(values + 4 * (j * n + t)));
        }
    }
}

/* Sums of two groups, shifted to be integers of 16 bits, as pairs. */
CK_AVX512VNNI CK_INLINE __m512i ck_pair_sums_avx512(int shift, __m512i first, __m512i second) {
    return _mm512_mask_blend_epi16(
        0xaaaaaaaa, _mm512_srli_epi32(first, (unsigned)shift), _mm512_slli_epi32(second, (unsigned)(16 - shift)));
}

/* Results of a vector, which go past the caches if they are to, and are a whole line of theirs. */
CK_AVX512VNNI CK_INLINE void ck_store_line(bool passes, float *y, __m512 results) {
    if (passes && (uintptr_t)y % 64 == 0) {
        _mm512_stream_ps(y, results);
    } else {
        _mm512_storeu_ps(y, results);
    }
}

CK_AVX512VNNI CK_INLINE void ck_wide_tile_product(
    ck_panel_format format, int n, const uint8_t *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    const int pairs = ck_wide_pairs(format), groups = 2 * pairs, words = format.group / 4;
    /* Without a bias, half a step rounds ties up, half a step less one rounds them down: one group of a pair each way,
     * or the sum of many groups would be off to one side. */
    const int shift = ck_wide_shift(format);
    const int up = ck_has_bias(format) ? 0 : 1 << shift >> 1, down = up > 0 ? up - 1 : 0;
    const size_t skipped = format.group == 16 ? columns / 32 * (size_t)n : 0;
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    const int32_t *totals = x->totals + skipped;
    const float *sums = x->sums + skipped / 2;
    __m512 result[CK_WIDE_VECTORS];
    const __m512 scale = _mm512_loadu_ps(tile);
    tile += 64;
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        result[t] = _mm512_setzero_ps();
    }
    for (size_t c = 0; c < columns / CK_WIDE_COLUMNS; c++, tile += ck_wide_tile_bytes(format)) {
        __m512i all[CK_WIDE_VECTORS];
        const __m512i start = ck_has_bias(format) ? _mm512_load_si512(tile + ck_wide_tile_bytes(format) - 64)
                                                  : _mm512_setzero_si512();
        ck_prefetch((uintptr_t)values + CK_VALUES_AHEAD * 32 * (uintptr_t)n, 64 * (size_t)n);
        CK_UNROLL
        for (int p = 0; p < pairs; p++) {
            __m512i first[CK_WIDE_VECTORS], second[CK_WIDE_VECTORS];
            ck_wide_sums(format, up, n, 2 * p * words, tile, values, totals + 2 * p * n, first);
            __asm__ volatile("" ::: "memory"); /* what is loaded early would not fit into the registers */
            ck_wide_sums(
                format, down, n, (2 * p + 1) * words, tile, values, totals + (2 * p + 1) * n, second);
            const __m512i factors = _mm512_load_si512(tile + 1024 + 64 * p);
            CK_UNROLL
            for (int t = 0; t < n; t++) {
                const __m512i pair = ck_pair_sums_avx512(shift, first[t], second[t]);
                all[t] = ck_add_pairs_avx512(p == 0 ? start : all[t], pair, factors);
                if (format.has_minimum) {
                    const __m512i minimums = _mm512_load_si512(tile + 1024 + 64 * (pairs + p));
                    all[t] = ck_add_pairs_avx512(all[t], minimums, ck_spread_word_avx512(sums + p * n + t));
                }
            }
        }
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            result[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(all[t]), _mm512_set1_ps(scales[t]), result[t]);
        }
        values += 64 * n;
        scales += n;
        totals += groups * n;
        sums += pairs * n;
    }
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        ck_store_line(x->passes, y + (size_t)t * stride, _mm512_mul_ps(result[t], scale));
    }
}

#endif
