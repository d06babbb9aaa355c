/* Products of panels with one vector, where groups have factors that are whole numbers: of sixteen columns in Q2_K,
 * Q3_K, Q6_K, IQ1_M, IQ2_XS, IQ2_S, of 32 in Q4_K and Q5_K.
 *
 * On AVX2 products leave their 16 bits by a multiplication: with one, or with the factor of their group. Then 32
 * columns have one sum, and no factor of a scale becomes a float. From a cache, on Zen 3, that makes Q4_K 1.11 and Q5_K
 * 1.09 times as fast with activations of 8 bits, and 1.05 and 1.01 times with 16. Groups of 32 whose words have an
 * offset start from totals times factors, which takes more than it saves: with 16 bits IQ3_S is at 0.92, IQ3_XXS at
 * 0.85, IQ2_XXS and IQ1_S at 0.9. Four pieces of 32 columns unrolled are another 1.03 times as fast in quiet minutes,
 * and 0.8 times in some busy ones, perhaps since a shared core has less room for decoded instructions. */
#pragma once

#include "panel_product.h"

/* Whether a format's panels meet one vector in this way. */
CK_INLINE bool ck_has_factors_product(ck_panel_format format) {
    return ck_has_integer_factors16(format) || (format.group == 32 && format.factor_bits > 0 && format.has_minimum);
}

/* *result += the factors of the minimums of 32 columns, at `factors` as ck_panel_isa.one_factors has them, times the
 * sums of their groups' activations. */
CK_INLINE void ck_add_minimums(
    ck_panel_format format, const uint8_t *factors, const float *sums, ck_floats16 *result) {
    ck_ints16 lanes;
    memcpy(&lanes, factors, sizeof lanes);
    CK_UNROLL
    for (int g = 0; g < 32 / format.group; g++) {
        *result += __builtin_convertvector(lanes >> 8 * g & 0xff, ck_floats16) * sums[g];
    }
}

/* ck_panel_product with one vector. */
CK_INLINE void ck_factors_product(
    ck_panel_format format, ck_panel_isa isa, int parts, const uint8_t *panel, size_t columns, const ck_columns *x,
    float *y) {
    const ck_words_form form = ck_panel_words(format, isa);
    const int words = ck_factor_words(format), groups = 32 / format.group;
    ck_place place = ck_first_place(format, 1, columns, x);
    ck_floats16 result = {0};
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_ask_ahead(x->ahead, panel, ck_panel_header_bytes(format));
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
            const int first = groups * c, place32 = 64 * (first / 4) + first % 4;
            ck_ask_ahead(x->ahead, panel, 64 * (size_t)format.bits);
            ck_floats16 product;
            isa.one_factors(format, form, parts, &source, factors + place32, place.values, place.totals, &product);
            products += product * *place.scales;
            if (format.has_minimum) {
                ck_add_minimums(format, factors + 32 * words + place32, place.sums, &minimums);
            }
            place.values += 32 * parts;
            place.scales++;
            place.totals += groups;
            place.sums += groups;
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
    if (n == 1 && isa.one_factors != NULL && has_bytes && ck_has_factors_product(format)) {
        ck_factors_product(format, isa, parts, panel, columns, x, y);
    } else {
        ck_panel_product(format, isa, parts, n, panel, columns, x, y, stride);
    }
}
