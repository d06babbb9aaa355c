/* Products of panels with one vector, where sixteen columns share a factor that is a whole number: Q2_K, Q3_K, Q6_K,
 * IQ1_M, IQ2_XS, IQ2_S.
 *
 * On AVX2 products leave their 16 bits by a multiplication: with one, or with the factor of their group. Then 32
 * columns have one sum in the place of two, and no factor of a scale becomes a float. */
#pragma once

#include "panel_product.h"

/* Where the factors of 32 columns are, those of groups 2 c and 2 c + 1: a row's are the first two of four bytes. */
CK_INLINE const uint8_t *ck_factors_of(const uint8_t *factors, int c) {
    return factors + 64 * (c / 2) + 2 * (c % 2);
}

/* *result += the factors of two groups' minimums times the sums of their activations. */
CK_INLINE void ck_add_minimums(const uint8_t *pair, const float *sums, ck_floats16 *result) {
    ck_ints16 lanes;
    memcpy(&lanes, pair, sizeof lanes);
    *result += __builtin_convertvector(lanes & 0xff, ck_floats16) * sums[0];
    *result += __builtin_convertvector(lanes >> 8 & 0xff, ck_floats16) * sums[1];
}

/* ck_panel_product with one vector. */
CK_INLINE void ck_factors_product(
    ck_panel_format format, ck_panel_isa isa, int parts, const uint8_t *panel, size_t columns, const ck_columns *x,
    float *y) {
    const ck_words_form form = ck_panel_words(format, isa);
    const int words = ck_factor_words(format);
    ck_place place = ck_first_place(format, 1, columns, x);
    ck_floats16 result = {0};
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_ask_ahead(isa, panel, ck_panel_header_bytes(format));
        ck_floats16 scale, minimum = {0}, products = {0}, minimums = {0};
        ck_take_scale(format, isa, panel, &scale);
        if (format.has_minimum) {
            isa.halves(panel + 2 * CK_PANEL_ROWS, &minimum);
        }
        panel += ck_panel_scale_bytes(format);
        ck_bytes64 unpacked[9]; /* room behind the last pair, which is read as four bytes */
        const uint8_t *factors = panel;
        if (format.factor_bits == 8) {
            panel += 64 * words;
        } else {
            panel = ck_unpack_factors(format, panel, unpacked);
            unpacked[words] = (ck_bytes64){0};
            factors = (const uint8_t *)unpacked;
        }
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits) {
            const ck_word_source source = {.in_planes = true, .planes = panel, .format = format};
            ck_ask_ahead(isa, panel, 64 * (size_t)format.bits);
            ck_floats16 product;
            isa.one_factors(
                format, form, parts, &source, ck_factors_of(factors, c), place.values, place.totals, &product);
            products += product * *place.scales;
            if (format.has_minimum) {
                ck_add_minimums(ck_factors_of(factors + 32 * words, c), place.sums, &minimums);
            }
            place.values += 32 * parts;
            place.scales++;
            place.totals += 2;
            place.sums += 2;
        }
        result += products * scale;
        if (format.has_minimum) {
            result += minimums * minimum;
        }
    }
    memcpy(y, &result, sizeof result);
}

/* ck_factors_product where there is one, ck_panel_product otherwise. */
CK_INLINE void ck_vectors_product(
    ck_panel_format format, ck_panel_isa isa, int parts, int n, const uint8_t *panel, size_t columns,
    const ck_columns *x, float *y, size_t stride) {
    const bool has_bytes = parts == 1 || !isa.has_wide_words;
    if (n == 1 && isa.one_factors != NULL && has_bytes && ck_has_integer_factors16(format)) {
        ck_factors_product(format, isa, parts, panel, columns, x, y);
    } else {
        ck_panel_product(format, isa, parts, n, panel, columns, x, y, stride);
    }
}
