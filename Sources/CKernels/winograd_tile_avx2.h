/* Tiles for INT11, with half of the multiplications: what AVX2 has for weights of full bytes.
 *
 * Two products of full bytes overflow 16 bits, so that AVX2 multiplies 16 bits by 16, half as many in an operation, and
 * adds each vector of products: two multiplications and two additions for 32 products, and only half of its units
 * multiply. Winograd's inner product (IEEE Transactions on Computers C-17, 1968, p. 693) makes that three additions and
 * one multiplication:
 *
 *     x0 y0 + x1 y1 = (x0 + y1) (x1 + y0) - x0 x1 - y0 y1
 *
 * The last two terms are the same for all vectors, or for all rows: the one is where sums start, the other leaves the
 * results of all columns, in floats that were rounded in the same order, so that a row of zeros gives zero. Sums of 32
 * bits wrap around on the way, and what comes out is exact. As 16 bits hold more than a byte, weights are whole numbers
 * of one step in all of a row, and sums of 64 columns become floats at once. For each panel
 *
 *     step     float [16 rows]    1 / 248 of a row's largest scale, so that 31744 steps are 128 times that
 *     and for each 64 columns
 *     words    int16 [2][8][2][16][2]    as ck_widen_words leaves them: columns 0 and 2 of four, then columns 1 and 3
 *     bias     int32 [16]                minus the sum of products of neighbours
 *
 * A weight is off by a step at most; blocks with scales far below the largest keep as many bits less. Activations have
 * 11 bits: a word and an activation added fit into 16, the products of 64 columns and those of neighbouring activations
 * into 32, and the error is an eighth of that of 8. Zen 3 takes 4.6 instructions a cycle here, so that their number is
 * what counts: hence an operand from memory, and no prefetches. */
#pragma once

#include "wide_tile_avx2.h"

/* The largest factor, q = 128 times which is the largest word: 31744 + 1023 < 2^15, and
 * 64 * 31744 * 1023 + 32 * 1023 * 1023 < 2^31. */
#define CK_INT11_FACTOR 31744

/* Whether a format has such tiles: one whose words fill a byte. */
CK_INLINE bool ck_has_int11_tiles(ck_panel_format format) {
    return ck_word_bits(format) == 8 && format.group == 32 && !format.has_minimum;
}

/* Bytes for each 64 columns. */
#define CK_INT11_TILE_BYTES (2048 + 64)

#if defined(__x86_64__)

/* The eight words of 32 columns, full bytes with a sign, times their factors; `products` += those of neighbours. */
CK_AVX2 CK_INLINE void ck_scale_words(
    const ck_bytes64 words[8], const ck_ints16 *factors, __m256i *wide, __m256i products[2]) {
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m256i word = ((const __m256i *)&words[j])[half];
            const __m256i factor = ((const __m256i *)factors)[half];
            /* q * 2^8 * factor / 2^15, to the nearest */
            const __m256i even = _mm256_mulhrs_epi16(_mm256_slli_epi16(word, 8), factor);
            const __m256i odd =
                _mm256_mulhrs_epi16(_mm256_and_si256(word, _mm256_set1_epi16((short)0xff00)), factor);
            wide[4 * j + half] = even;
            wide[4 * j + 2 + half] = odd;
            products[half] = _mm256_add_epi32(products[half], _mm256_madd_epi16(even, odd));
        }
    }
}

CK_AVX2 CK_INLINE void ck_unpack_int11(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const ck_words_form form = {.bits = 8, .is_signed = true};
    ck_floats16 unit;
    ck_find_units(format, isa, panel, columns, CK_INT11_FACTOR, &unit);
    const ck_floats16 step = unit * 128, reciprocal = 1 / unit;
    memcpy(tile, &step, sizeof step);
    tile += sizeof step;
    __m256i products[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0, b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, i++, panel += 64 * format.bits) {
            ck_bytes64 words[8];
            ck_ints16 factors;
            const ck_floats16 factor = header.scales[c] * reciprocal;
            ck_pair_factors(&factor, &factor, &factors);
            ck_take_words(format, isa, form, panel, words);
            ck_scale_words(words, &factors, (__m256i *)(tile + 1024 * (i % 2)), products);
            if (i % 2 == 1) {
                CK_UNROLL
                for (int half = 0; half < 2; half++) {
                    ((__m256i *)(tile + 2048))[half] = _mm256_sub_epi32(_mm256_setzero_si256(), products[half]);
                    products[half] = _mm256_setzero_si256();
                }
                tile += CK_INT11_TILE_BYTES;
            }
        }
    }
}

CK_AVX2 CK_INLINE void ck_int11_tile_product(
    ck_panel_format format, const uint8_t *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    enum { N = CK_TILE_VECTORS_AVX2 };
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    (void)format;
    __m256 result[N][2], step[2];
    ck_begin_results_avx2(tile, step, result);
    tile += sizeof step;
    for (size_t c = 0; c < columns / CK_WIDE_COLUMNS; c++, tile += CK_INT11_TILE_BYTES) {
        const __m256i *const bias = (const __m256i *)(tile + 2048);
        __m256i all[N][2];
        CK_UNROLL
        for (int j = 0; j < 16; j++) {
            const __m256i *const word = (const __m256i *)(tile + 128 * j);
            __m256i even = word[0], odd[2] = {word[2], word[3]};
            __asm__ volatile("" : "+x"(even));
            ck_hold_word_avx2(odd);
            CK_UNROLL
            for (int t = 0; t < N; t++) {
                const __m256i first = ck_spread_u32_avx2(values + 8 * (N * j + t));
                const __m256i second = ck_spread_u32_avx2(values + 8 * (N * j + t) + 4);
                CK_UNROLL
                for (int half = 0; half < 2; half++) {
                    const __m256i product = _mm256_madd_epi16(
                        _mm256_add_epi16(first, odd[half]), _mm256_add_epi16(second, half == 0 ? even : word[1]));
                    all[t][half] = _mm256_add_epi32(j == 0 ? bias[half] : all[t][half], product);
                    /* word[1] stays in memory: loading it once takes one more instruction. */
                    __asm__ volatile("" : "+x"(all[t][half]) : : "memory");
                }
            }
        }
        ck_add_all_scaled_avx2(all, scales, result);
        values += 128 * N;
        scales += N;
    }
    CK_UNROLL
    for (int t = 0; t < N; t++) {
        const __m256 neighbours = _mm256_set1_ps(x->sums[t]);
        result[t][0] = _mm256_sub_ps(result[t][0], neighbours);
        result[t][1] = _mm256_sub_ps(result[t][1], neighbours);
    }
    ck_store_scaled_avx2(result, step, y, stride);
}

#endif
