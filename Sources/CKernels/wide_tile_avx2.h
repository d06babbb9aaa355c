/* Tiles for WIDE_INT8 on AVX2, where products of bytes leave their 16 bits by a multiplication: here with the factor of
 * their group's scale, elsewhere with one. So scales of weights take no operations of their own, nor do offsets, and 64
 * columns become floats at once: on Zen 3 the GEMM for Q6_K is 1.4 times as fast as with other tiles, that for Q3_K 1.3
 * times, Q2_K 1.2 times, Q4_K and Q5_K 1.1 times.
 *
 * Activations are moved up by 128 until they have no sign, and words down by `centre`, half of what they reach:
 *
 *     sum((q - centre) * a) = sum((q - centre) * (a + 128)) - 128 * sum(q - centre)
 *
 * where the last term is the same for all vectors: the bias. For each panel
 *
 *     scale      float [16 rows]
 *     and for each 64 columns
 *     words      int8 [16][64]                as in other tiles, but signed
 *     factors    int16 [64 / group][16][2]    of scales, each one twice: group scale / scale
 *     minimums   int16 [pairs][16][2]         formats with a minimum: (minimum + centre * group scale) / scale,
 *                                             over 2^shift, see ck_minimum_shift_avx2
 *     bias       int32 [16]                   -128 times the sums of words times their factors
 *           or   int16 [64 / group][16][2]    see ck_wraps_avx2
 *
 * A row's scale makes 18 bits of its largest weight, so that the products of 64 columns fit into 32: 12 or 13 bits of
 * its largest factor where words have six bits or seven, up to 15 where they have fewer. What this rounds is held to
 * the same bound as in the tiles of wide_tile.h. */
#pragma once

#include "panel_avx2.h"
#include "wide_tile.h"

/* Whether a format has such tiles: products of full bytes would not fit into 16 bits. */
CK_INLINE bool ck_has_wide_tiles_avx2(ck_panel_format format) {
    return format.block == 256 && ck_word_bits(format) < 8;
}

/* What words are moved down by. Those of two bits stay in 16 bits without: then their minimums, which may all but
 * cancel them, are not rounded together with what they are moved by. */
CK_INLINE uint8_t ck_wide_centre(ck_panel_format format) {
    return format.offset > 0 ? format.offset : format.bits < 4 ? 0 : (uint8_t)(1 << (format.bits - 1));
}

/* The largest magnitude of a signed word. */
CK_INLINE int ck_largest_wide_word(ck_panel_format format) {
    if (format.codebook != NULL) {
        return ck_largest_weight(format);
    }
    const int below = ck_wide_centre(format), above = (1 << format.bits) - 1 - below;
    return below > above ? below : above;
}

/* Words as these tiles and those of raised_tile_avx2.h have them. */
CK_INLINE ck_words_form ck_signed_words(ck_panel_format format) {
    return (ck_words_form){
        .bits = 8, .is_signed = true, .offset = (uint8_t)(format.offset - ck_wide_centre(format))};
}

/* How much further down ck_wide_centre moves words than the format's offset does. */
CK_INLINE float ck_wide_move(ck_panel_format format) {
    return (float)(ck_wide_centre(format) - format.offset);
}

/* Whether the sums of all words of a group stay in 16 bits, as they begin with their bias, modulo 2^16: see
 * raised_tile_avx2.h. On Zen 3 tiles of Q5_K take 8% less time than with half as many words at a time; with words of
 * six bits, Q6_K, four at a time would take 1% more than two. */
CK_INLINE bool ck_wraps_avx2(ck_panel_format format) {
    return format.group == 32 && ck_word_bits(format) == 5;
}

CK_INLINE size_t ck_wide_tile_bytes_avx2(ck_panel_format format) {
    const size_t pairs = (size_t)ck_wide_pairs(format);
    return 1024 + 64 * (2 * pairs + (format.has_minimum ? pairs : 0) + (ck_wraps_avx2(format) ? 2 * pairs : 1));
}

#if defined(__x86_64__)

/* *unit = what the scales of sixteen rows become multiples of, `most` being the largest factor: a normal number, whose
 * reciprocal is finite, and no smaller than what minimums can be divided by. */
CK_INLINE void ck_find_units(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, float most, ck_floats16 *unit) {
    ck_panel_header header;
    ck_ints16 largest = (ck_ints16){0} + 0x00800000; /* 2^-126 */
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_read_header(format, isa, panel + b * ck_panel_block_bytes(format), &header);
        CK_UNROLL
        for (int g = 0; g < format.block / format.group; g++) {
            ck_raise(&header.scales[g], 1 / most, &largest);
            if (format.has_minimum) {
                ck_raise(&header.minimums[g], 0x1p-40f, &largest);
            }
        }
    }
    *unit = (ck_floats16)largest;
}

/* The sums of the first two bytes of words and of the last two, in 16 bits, of half of the rows. */
CK_AVX2 CK_INLINE __m256i ck_sum_words_avx2(const ck_bytes64 *words, int count, int half) {
    __m256i pairs = _mm256_setzero_si256();
    for (int j = 0; j < count; j++) {
        const __m256i word = ((const __m256i *)&words[j])[half];
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(_mm256_set1_epi8(1), word));
    }
    return pairs;
}

/* What the sums of 32 columns in 16 bits begin with: -128 times the sums of words, modulo 2^16. */
CK_AVX2 CK_INLINE void ck_find_wrapped_bias_avx2(const ck_bytes64 words[8], __m256i bias[2]) {
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m256i sums = ck_sum_words_avx2(words, 8, half);
        bias[half] = _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), sums), 7);
    }
}

/* bias -= 128 times the sums of a group's words times its factors; wraps, as the sums that it meets do. */
CK_AVX2 CK_INLINE void ck_subtract_words_avx2(
    const ck_bytes64 *words, int count, const ck_ints16 *factors, __m256i bias[2]) {
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m256i products =
            _mm256_madd_epi16(ck_sum_words_avx2(words, count, half), ((const __m256i *)factors)[half]);
        bias[half] = _mm256_sub_epi32(bias[half], _mm256_slli_epi32(products, 7));
    }
}

/* Minimums of words that are moved may be many times as large as factors: they are in steps of 2^shift, and meet sums
 * of activations that are larger by that. */
CK_INLINE int ck_minimum_shift_avx2(ck_panel_format format) {
    return ck_wide_centre(format) > 0 ? 2 : 0;
}

/* *minimum = that of words moved down by `moved`. */
CK_INLINE void ck_move_minimum(const ck_panel_header *header, int group, float moved, ck_floats16 *minimum) {
    *minimum = header->minimums[group] + moved * header->scales[group];
}

/* *scale = that of the integers of sixteen rows. The largest weight is 264000, and 64 * 127 * 264000 < 2^31. */
CK_INLINE void ck_find_wide_scale_avx2(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, float moved, ck_floats16 *scale) {
    const size_t block_bytes = ck_panel_block_bytes(format);
    const float word = (float)ck_largest_wide_word(format);
    ck_panel_header header;
    ck_ints16 largest = {0};
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_read_header(format, isa, panel + b * block_bytes, &header);
        CK_UNROLL
        for (int g = 0; g < format.block / format.group; g++) {
            const ck_floats16 products = (ck_floats16)((ck_ints16)header.scales[g] & 0x7fffffff) * word;
            ck_floats16 minimum = {0};
            if (format.has_minimum) {
                ck_move_minimum(&header, g, moved, &minimum);
            }
            const ck_floats16 weight = products + (ck_floats16)((ck_ints16)minimum & 0x7fffffff);
            ck_raise(&weight, 1.0f / 264000, &largest);
            ck_raise(&header.scales[g], 1.0f / INT16_MAX, &largest);
            ck_raise(&minimum, 1 / (float)(INT16_MAX << ck_minimum_shift_avx2(format)), &largest);
        }
    }
    *scale = (ck_floats16)largest;
}

CK_AVX2 CK_INLINE void ck_unpack_wide_avx2(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const int groups = CK_WIDE_COLUMNS / format.group, pairs = groups / 2;
    const float moved = ck_wide_move(format);
    ck_panel_header header;
    ck_floats16 scale;
    ck_find_wide_scale_avx2(format, isa, panel, columns, moved, &scale);
    const ck_floats16 reciprocal = 1 / (scale + 0x1p-120f); /* finite for a row of zeros, too */
    memcpy(tile, &scale, sizeof scale);
    tile += sizeof scale;
    for (size_t b = 0; b < columns / format.block; b++) {
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / CK_WIDE_COLUMNS; c++, tile += ck_wide_tile_bytes_avx2(format)) {
            ck_bytes64 *const words = (ck_bytes64 *)tile;
            ck_ints16 *const factors = (ck_ints16 *)(tile + 1024), *const minimums = factors + groups;
            for (int half = 0; half < 2; half++, panel += 64 * format.bits) {
                ck_take_words(format, isa, ck_signed_words(format), panel, words + 8 * half);
            }
            __m256i bias[2 * CK_WIDE_COLUMNS / 16] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            for (int g = 0; g < groups; g++) {
                const ck_bytes64 *const group = words + format.group / 4 * g;
                const ck_floats16 factor = header.scales[c * groups + g] * reciprocal;
                ck_pair_factors(&factor, &factor, &factors[g]);
                if (ck_wraps_avx2(format)) {
                    ck_find_wrapped_bias_avx2(group, bias + 2 * g);
                } else {
                    ck_subtract_words_avx2(group, format.group / 4, &factors[g], bias);
                }
            }
            for (int p = 0; format.has_minimum && p < pairs; p++) {
                ck_floats16 pair[2];
                for (int i = 0; i < 2; i++) {
                    ck_move_minimum(&header, c * groups + 2 * p + i, moved, &pair[i]);
                    pair[i] *= reciprocal / (float)(1 << ck_minimum_shift_avx2(format));
                }
                ck_pair_factors(&pair[0], &pair[1], &minimums[p]);
            }
            const size_t bias_bytes = ck_wraps_avx2(format) ? 64 * (size_t)groups : 64;
            memcpy(tile + ck_wide_tile_bytes_avx2(format) - bias_bytes, bias, bias_bytes);
        }
    }
}

/* sums[t] += the products of two words with vector t, in 16 bits, times the factors. */
CK_AVX2 CK_INLINE void ck_add_two_words_avx2(
    const uint8_t *words, const uint8_t *values, const __m256i *factors, __m256i sums[CK_TILE_VECTORS_AVX2][2]) {
    enum { N = CK_TILE_VECTORS_AVX2 };
    __m256i even[2], odd[2];
    memcpy(even, words, sizeof even);
    memcpy(odd, words + 64, sizeof odd);
    ck_hold_word_avx2(even);
    ck_hold_word_avx2(odd);
    CK_UNROLL
    for (int t = 0; t < N; t++) {
        const __m256i first = ck_spread_u32_avx2(values + 4 * t);
        const __m256i second = ck_spread_u32_avx2(values + 4 * (N + t));
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m256i both = _mm256_add_epi16(
                _mm256_maddubs_epi16(first, even[half]), _mm256_maddubs_epi16(second, odd[half]));
            sums[t][half] = _mm256_add_epi32(sums[t][half], _mm256_madd_epi16(both, factors[half]));
            __asm__ volatile("" : "+x"(sums[t][half]));
        }
    }
}

/* pairs[t] = the products of 4 * count columns with vector t, in 16 bits; they begin with `start` where that is not
 * NULL. A vector's products are added when the next one's are multiplied: in this order the same operations take 1 to
 * 2% less time on Zen 3 in these tiles, and 4% in those of Q4_0 together with the order in raised_tile_avx2.h. */
CK_AVX2 CK_INLINE void ck_multiply_run_avx2(
    const uint8_t *words, int count, const uint8_t *values, const __m256i *start,
    __m256i pairs[CK_TILE_VECTORS_AVX2][2]) {
    enum { N = CK_TILE_VECTORS_AVX2 };
    CK_UNROLL
    for (int j = 0; j < count; j++) {
        __m256i word[2], products[N][2];
        memcpy(word, words + 64 * j, sizeof word);
        ck_hold_word_avx2(word);
        CK_UNROLL
        for (int t = 0; t <= N; t++) {
            if (t < N) {
                const __m256i four = ck_spread_u32_avx2(values + 4 * (N * j + t));
                products[t][0] = _mm256_maddubs_epi16(four, word[0]);
                products[t][1] = _mm256_maddubs_epi16(four, word[1]);
                ck_hold_word_avx2(products[t]);
            }
            CK_UNROLL
            for (int half = 0; half < 2 && t > 0; half++) {
                __m256i *const sum = &pairs[t - 1][half];
                const __m256i product = products[t - 1][half];
                *sum = j > 0           ? _mm256_add_epi16(*sum, product)
                       : start != NULL ? _mm256_add_epi16(start[half], product)
                                       : product;
                __asm__ volatile("" : "+x"(*sum));
            }
        }
    }
}

CK_AVX2 CK_INLINE void ck_wide_tile_product_avx2(
    ck_panel_format format, const uint8_t *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    enum { N = CK_TILE_VECTORS_AVX2 };
    const int groups = CK_WIDE_COLUMNS / format.group, pairs = groups / 2, words = format.group / 4;
    const bool wraps = ck_wraps_avx2(format);
    /* As many words as elsewhere, where unsigned ones meet signed activations: here words reach half as far, to
     * 2^(bits - 1), and activations 255 instead of 127. Words of two bits that are not moved have room to spare. */
    const int most = ck_words_in_16_bits((ck_words_form){.bits = ck_word_bits(format)});
    const int run = wraps || words < most ? words : most;
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    const float *sums = x->sums + (format.group == 16 ? columns / 64 * N : 0);
    __m256 result[N][2], scale[2];
    ck_begin_results_avx2(tile, scale, result);
    tile += sizeof scale;
    for (size_t c = 0; c < columns / CK_WIDE_COLUMNS; c++, tile += ck_wide_tile_bytes_avx2(format)) {
        const __m256i *const factors = (const __m256i *)(tile + 1024), *const minimums = factors + 2 * groups;
        const __m256i *const bias = minimums + (format.has_minimum ? 2 * pairs : 0);
        __m256i all[N][2];
        CK_UNROLL
        for (int t = 0; t < N; t++) {
            all[t][0] = wraps ? _mm256_setzero_si256() : bias[0];
            all[t][1] = wraps ? _mm256_setzero_si256() : bias[1];
        }
        CK_UNROLL
        for (int j = 0; j < 16; j += run) {
            const uint8_t *const word = tile + 64 * j, *const value = values + 4 * N * j;
            const int group = j / words;
            if (run == 2) {
                ck_add_two_words_avx2(word, value, factors + 2 * group, all);
            } else {
                /* All sums are in memory meanwhile, as the registers hold those of 16 bits. */
                __m256i some[N][2];
                ck_multiply_run_avx2(word, run, value, wraps ? bias + 2 * group : NULL, some);
                CK_UNROLL
                for (int t = 0; t < N; t++) {
                    CK_UNROLL
                    for (int half = 0; half < 2; half++) {
                        const __m256i product = _mm256_madd_epi16(some[t][half], factors[2 * group + half]);
                        all[t][half] = _mm256_add_epi32(all[t][half], product);
                    }
                }
            }
        }
        /* Last, when registers are free again: 3% of Q4_K. */
        CK_UNROLL
        for (int p = 0; format.has_minimum && p < pairs; p++) {
            CK_UNROLL
            for (int t = 0; t < N; t++) {
                const __m256i pair = /* 4 * 32 * 127 < 2^15 */
                    _mm256_slli_epi16(
                        ck_spread_u32_avx2((const uint8_t *)(sums + p * N + t)), ck_minimum_shift_avx2(format));
                CK_UNROLL
                for (int half = 0; half < 2; half++) {
                    all[t][half] =
                        _mm256_add_epi32(all[t][half], _mm256_madd_epi16(pair, minimums[2 * p + half]));
                }
            }
        }
        ck_add_all_scaled_avx2(all, scales, result);
        values += 64 * N;
        scales += N;
        sums += pairs * N;
    }
    ck_store_scaled_avx2(result, scale, y, stride);
}

#endif
