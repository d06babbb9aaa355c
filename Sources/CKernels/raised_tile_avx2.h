/* Tiles for RAISED_INT8, activations with a scale for 32 columns: what AVX2 has for words of up to five bits in blocks
 * below 256 columns that have a scale for 32 or more: Q4_0 and its like.
 *
 * As in wide_tile_avx2.h, activations are moved up by 128, words are signed, and sums leave their 16 bits by a
 * multiplication with the factor of their scale. Those 16 bits hold the products of sixteen columns with activations
 * that have a sign, 16 * 16 * 127 < 2^15, but not with those moved up. They begin with the difference, the bias, modulo
 * 2^16: what overflows on the way to the end overflows back, and no sum has to leave early. For each panel
 *
 *     scale      float [16 rows]  1 / 32767 of a row's largest one
 *     and for each 32 columns
 *     words      int8 [8][64]
 *     factors    int16 [16][2]    scale / the row's scale, each one twice
 *     bias       int16 [16][2]    -128 times the sums of words: of the first two of every four columns, of the others
 *     minimums   float [16]       formats with a minimum: (minimum + centre * scale) / the row's scale
 *
 * On Zen 3 tiles of Q5_0 take 15% less time than other tiles do, those of Q5_1 and Q4_0 12%. */
#pragma once

#include "wide_tile_avx2.h"

/* Whether a format has such tiles. */
CK_INLINE bool ck_has_raised_tiles(ck_panel_format format) {
    return format.group == 32 && format.block < 256 && ck_word_bits(format) <= 5;
}

/* Bytes for each 32 columns. */
CK_INLINE size_t ck_raised_tile_bytes(ck_panel_format format) {
    return 512 + 64 * (format.has_minimum ? 3 : 2);
}

#if defined(__x86_64__)

CK_AVX2 CK_INLINE void ck_unpack_raised(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const float moved = ck_wide_move(format);
    ck_floats16 scale;
    ck_find_units(format, isa, panel, columns, INT16_MAX, &scale); /* 32 * 16 * 127 * 2^15 < 2^31 */
    const ck_floats16 reciprocal = 1 / scale;
    memcpy(tile, &scale, sizeof scale);
    tile += sizeof scale;
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits, tile += ck_raised_tile_bytes(format)) {
            ck_bytes64 *const words = (ck_bytes64 *)tile;
            ck_ints16 *const factors = (ck_ints16 *)(tile + 512);
            __m256i *const bias = (__m256i *)(factors + 1);
            ck_take_words(format, isa, ck_signed_words(format), panel, words);
            const ck_floats16 factor = header.scales[c] * reciprocal;
            ck_pair_factors(&factor, &factor, factors);
            ck_find_wrapped_bias_avx2(words, bias);
            if (format.has_minimum) {
                ck_floats16 minimum;
                ck_move_minimum(&header, c, moved, &minimum);
                minimum *= reciprocal;
                memcpy(factors + 2, &minimum, sizeof minimum);
            }
        }
    }
}

/* What is loaded once and wanted by several vectors; compilers would load it again for each. */
#define CK_HOLD_FLOATS(value) __asm__ volatile("" : "+x"(value))

CK_AVX2 CK_INLINE void ck_raised_tile_product(
    ck_panel_format format, const uint8_t *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    enum { N = CK_TILE_VECTORS_AVX2 };
    const uint8_t *values = x->values;
    const float *scales = x->scales, *sums = x->sums;
    __m256 result[N][2], scale[2];
    ck_begin_results_avx2(tile, scale, result);
    tile += sizeof scale;
    for (size_t c = 0; c < columns / 32; c++, tile += ck_raised_tile_bytes(format)) {
        const __m256i *const factors = (const __m256i *)(tile + 512), *const bias = factors + 2;
        const float *const minimums = (const float *)(bias + 2);
        __m256i pairs[N][2];
        ck_multiply_run_avx2(tile, 8, values, bias, pairs);
        __m256 minimum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        if (format.has_minimum) {
            memcpy(minimum, minimums, sizeof minimum);
            CK_HOLD_FLOATS(minimum[0]);
            CK_HOLD_FLOATS(minimum[1]);
        }
        CK_UNROLL
        for (int t = 0; t < N; t++) {
            const __m256 spread = _mm256_set1_ps(scales[t]);
            __m256 sum = _mm256_setzero_ps();
            if (format.has_minimum) {
                sum = _mm256_set1_ps(sums[t]);
                CK_HOLD_FLOATS(sum);
            }
            /* Both halves side by side: 1% of Q4_0. */
            __m256 products[2];
            CK_UNROLL
            for (int half = 0; half < 2; half++) {
                pairs[t][half] = _mm256_madd_epi16(pairs[t][half], factors[half]);
            }
            ck_hold_word_avx2(pairs[t]);
            CK_UNROLL
            for (int half = 0; half < 2; half++) {
                products[half] = _mm256_cvtepi32_ps(pairs[t][half]);
            }
            CK_HOLD_FLOATS(products[0]);
            CK_HOLD_FLOATS(products[1]);
            CK_UNROLL
            for (int half = 0; half < 2; half++) {
                if (format.has_minimum) {
                    result[t][half] = _mm256_fmadd_ps(minimum[half], sum, result[t][half]);
                }
                result[t][half] = _mm256_fmadd_ps(products[half], spread, result[t][half]);
                __asm__ volatile("" : "+m"(result[t][half]));
            }
        }
        values += 32 * N;
        scales += N;
        sums += N;
    }
    ck_store_scaled_avx2(result, scale, y, stride);
}

#endif
