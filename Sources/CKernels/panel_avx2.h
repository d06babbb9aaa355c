/* What AVX2 gives to the templates of panel_product.h. */
#pragma once

#include "panel_product.h"

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256i ck_spread_u32_avx2(const uint8_t *address) {
    return _mm256_set1_epi32((int)ck_load_u32(address));
}

CK_AVX2 CK_INLINE void ck_panel_lookup_avx2(const uint8_t *codebook, uint8_t added, ck_bytes64 *bytes) {
    const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)codebook));
    const __m256i table = _mm256_add_epi8(values, _mm256_set1_epi8((char)added));
    __m256i *const b = (__m256i *)bytes;
    b[0] = _mm256_shuffle_epi8(table, b[0]);
    b[1] = _mm256_shuffle_epi8(table, b[1]);
}

/* Word j, rows 0 to 7 and rows 8 to 15. */
CK_AVX2 CK_INLINE void ck_take_halves_avx2(
    ck_words_form form, const ck_word_source *source, int j, __m256i halves[2]) {
    ck_bytes64 word;
    if (source->in_planes) {
        ck_take_word(source->format, ck_panel_lookup_avx2, form, source->planes, j, &word);
    } else {
        word = source->words[j];
    }
    memcpy(halves, &word, sizeof word);
}

/* Makes the compiler hold a word in registers, and begin nothing that needs it before. */
CK_AVX2 CK_INLINE void ck_hold_word_avx2(__m256i w[2]) {
    __asm__ volatile("" : "+x"(w[0]), "+x"(w[1]));
}

/* Activations of 16 bits meet words widened to 16 bits: the even bytes of a word, then the odd ones. Unrolled, or all
 * words would go through memory on their way here. */
CK_AVX2 CK_INLINE void ck_panel_sum_int16_avx2(
    ck_words_form form, int n, int first, int count, const ck_word_source *source, const uint8_t *values,
    const int32_t *totals, ck_ints16 *sums) {
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = (ck_ints16){0} + ck_start(form, totals[t]);
    }
    CK_UNROLL
    for (int j = first; j < first + count; j++) {
        __m256i halves[2];
        ck_take_halves_avx2(form, source, j, halves);
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m256i w = halves[half];
            const __m256i even = form.is_signed ? _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8)
                                                : _mm256_and_si256(w, _mm256_set1_epi16(0xff));
            const __m256i odd = form.is_signed ? _mm256_srai_epi16(w, 8) : _mm256_srli_epi16(w, 8);
            CK_UNROLL
            for (int t = 0; t < n; t++) {
                const uint8_t *four = values + 8 * (j * n + t);
                __m256i *const sum = (__m256i *)&sums[t] + half;
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(even, ck_spread_u32_avx2(four)));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(odd, ck_spread_u32_avx2(four + 4)));
            }
        }
    }
}

/* The same with words that have 16 bits already. */
CK_AVX2 CK_INLINE void ck_panel_sum_wide_avx2(
    int n, int first, int count, const ck_word_source *source, const uint8_t *values, ck_ints16 *sums) {
    const ck_bytes64 *words = source->words + 2 * first;
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = (ck_ints16){0};
    }
    values += 8 * n * first;
    for (int j = 0; j < count; j++, words += 2, values += 8 * n) {
        CK_UNROLL
        for (int odd = 0; odd < 2; odd++) {
            const __m256i *const w = (const __m256i *)&words[odd];
            CK_UNROLL
            for (int t = 0; t < n; t++) {
                const __m256i two = ck_spread_u32_avx2(values + 8 * t + 4 * odd);
                __m256i *const sum = (__m256i *)&sums[t];
                sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(w[0], two));
                sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(w[1], two));
            }
        }
    }
}

/* vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits. Those of words of few bits stay there: with
 * four bits, 8 * 2 * 15 * 128 < 2^15, and so on, down to one word of seven. Those of full bytes do not: such words come
 * signed, and meet the activations with their sign moved over, |w| * (sign(w) * a) <= 128 * 127, twice below 2^15. */
CK_INLINE int ck_words_in_16_bits(ck_words_form form) {
    return form.bits <= 4 ? 8 : form.bits == 5 ? 4 : form.bits == 6 ? 2 : 1;
}

/* Bytes that meet words: `n` vectors of them, or planes. The four of vector t that meet word j are at
 * values + stride * j + step * t. */
typedef struct ck_vectors_avx2 {
    const uint8_t *values;
    int n, step, stride;
    bool share_sum; /* two planes of a vector, the upper one first, whose products go into one sum */
} ck_vectors_avx2;

/* Pairs of products with vector t leave their 16 bits, those of an upper plane times 256. One sum for both planes is
 * worth 6% of Q5_1 and 2% of Q4_0 and Q5_0, from a cache, on Zen 3, in place of two that are added last. */
CK_AVX2 CK_INLINE void ck_add_pairs_avx2(ck_vectors_avx2 a, int t, int half, __m256i pairs, ck_ints16 *sums) {
    __m256i *const sum = (__m256i *)&sums[a.share_sum ? 0 : t] + half;
    const __m256i units = _mm256_set1_epi16(a.share_sum && t == 0 ? 256 : 1);
    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, units));
}

/* pairs[t] = the products of word j with vector t; added to what is there if `adds`.
 *
 * Eight sums, a word and what is spread from a vector just fit into the sixteen registers, as long as every sum is
 * finished before the next one begins: compilers like to start all of them at once, and then lack registers. On Zen 3
 * the order that is forced here is worth a tenth of plain tiles of Q5_0 and Q4_K, and nothing for Q4_0. */
CK_AVX2 CK_INLINE void ck_multiply_pairs_avx2(
    ck_words_form form, bool adds, ck_vectors_avx2 a, int j, const ck_word_source *source, __m256i pairs[][2]) {
    __m256i w[2], magnitude[2];
    ck_take_halves_avx2(form, source, j, w);
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        magnitude[half] = form.is_signed ? _mm256_abs_epi8(w[half]) : w[half];
    }
    CK_UNROLL
    for (int t = 0; t < a.n; t++) {
        const __m256i four = ck_spread_u32_avx2(a.values + a.stride * j + a.step * t);
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m256i product = _mm256_maddubs_epi16(
                magnitude[half], form.is_signed ? _mm256_sign_epi8(four, w[half]) : four);
            if (adds) {
                pairs[t][half] = _mm256_add_epi16(pairs[t][half], product);
                __asm__ volatile("" : "+x"(pairs[t][half]));
            } else {
                pairs[t][half] = product;
            }
        }
    }
}

/* sums[t], or *sums of planes that share it, += the products of the words from `start` on, as many as stay in 16 bits,
 * with vector t. */
CK_AVX2 CK_INLINE void ck_add_run_avx2(
    ck_words_form form, ck_vectors_avx2 a, int start, int end, const ck_word_source *source, ck_ints16 *sums) {
    __m256i pairs[CK_TILE_VECTORS][2];
    ck_multiply_pairs_avx2(form, false, a, start, source, pairs);
    CK_UNROLL
    for (int j = start + 1; j < end; j++) {
        ck_multiply_pairs_avx2(form, true, a, j, source, pairs);
    }
    CK_UNROLL
    for (int t = 0; t < a.n; t++) {
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            ck_add_pairs_avx2(a, t, half, pairs[t][half], sums);
        }
    }
}

/* The same of word j alone, whose products leave their 16 bits at once, in an order that lets sums stay in registers:
 * tiles of IQ2_XXS take 6 to 14% less time for it on Zen 3, those of IQ2_XS 13 to 19%. */
CK_AVX2 CK_INLINE void ck_add_word_avx2(
    ck_words_form form, ck_vectors_avx2 a, int j, const ck_word_source *source, ck_ints16 *sums) {
    __m256i w[2];
    ck_take_halves_avx2(form, source, j, w);
    ck_hold_word_avx2(w);
    CK_UNROLL
    for (int t = 0; t < a.n; t++) {
        const __m256i four = ck_spread_u32_avx2(a.values + a.stride * j + a.step * t);
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            ck_add_pairs_avx2(a, t, half, _mm256_maddubs_epi16(w[half], four), sums);
            __asm__ volatile("" : "+x"(((__m256i *)&sums[a.share_sum ? 0 : t])[half]));
        }
    }
}

/* The same of `count` words, from the `first` on. Unrolled, as the place of a word in its planes has to be a constant;
 * it is worth a tenth (Q5_0, Q5_K) to a third (Q8_0) with several vectors on Zen 3. */
CK_AVX2 CK_INLINE void ck_add_bytes_avx2(
    ck_words_form form, ck_vectors_avx2 a, int first, int count, const ck_word_source *source, ck_ints16 *sums) {
    const int most = ck_words_in_16_bits(form), run = count < most ? count : most;
    CK_UNROLL
    for (int start = first; start < first + count; start += run) {
        if (run == 1 && !form.is_signed) {
            ck_add_word_avx2(form, a, start, source, sums);
        } else {
            ck_add_run_avx2(form, a, start, start + run, source, sums);
        }
    }
}

CK_AVX2 CK_INLINE void ck_panel_sum_avx2(CK_SUM_PARAMETERS) {
    if (form.is_wide) {
        ck_panel_sum_wide_avx2(n, first, count, source, values, sums);
        return;
    }
    if (parts == 2) {
        ck_panel_sum_int16_avx2(form, n, first, count, source, values, totals, sums);
        return;
    }
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = (ck_ints16){0} + ck_start(form, totals[t]);
    }
    const ck_vectors_avx2 vectors = {.values = values, .n = n, .step = 4, .stride = 4 * n};
    ck_add_bytes_avx2(form, vectors, first, count, source, sums);
}

/* Activations of 16 bits as planes of signed bytes, a = 256 * upper + lower. Those of a single vector meet each word
 * together, and have one sum. */
CK_AVX2 CK_INLINE void ck_panel_sum_split_avx2(CK_SUM_PARAMETERS) {
    if (n == 1) {
        const ck_vectors_avx2 planes = {.values = values, .n = parts, .step = 32, .stride = 4, .share_sum = true};
        *sums = (ck_ints16){0} + ck_start(form, *totals);
        ck_add_bytes_avx2(form, planes, first, count, source, sums);
        return;
    }
    ck_vectors_avx2 plane = {.values = values, .n = n, .step = 4, .stride = 4 * n};
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = (ck_ints16){0};
    }
    ck_add_bytes_avx2(form, plane, first, count, source, sums);
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        sums[t] = (sums[t] << 8) + ck_start(form, totals[t]);
    }
    plane.values += 32 * n;
    ck_add_bytes_avx2(form, plane, first, count, source, sums);
}

/* The factors at `pair` as 16-bit integers without their offset: for every row that of byte `low` of its four, then
 * that of byte `high`. */
CK_AVX2 CK_INLINE __m256i ck_take_factor_pairs_avx2(
    ck_panel_format format, const uint8_t *pair, uint32_t low, uint32_t high) {
    /* A byte without a sign goes to the lower half of its 16 bits; one with a sign to the upper, to be shifted down. */
    const bool is_signed = format.factor_bits == 8;
    const uint32_t none = 0x80, lower = is_signed ? none | low << 8 : low | none << 8;
    const uint32_t upper = is_signed ? none | high << 8 : high | none << 8;
    const __m256i rows = _mm256_setr_epi32(
        0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    const __m256i places = _mm256_add_epi8(rows, _mm256_set1_epi32((int)(lower | upper << 16)));
    const __m256i factors = _mm256_shuffle_epi8(_mm256_loadu_si256((const void *)pair), places);
    return is_signed ? _mm256_srai_epi16(factors, 8)
                     : _mm256_sub_epi16(factors, _mm256_set1_epi16(format.factor_offset));
}

/* Minus the sums of the activations of two groups, side by side in 16 bits each; of 16-bit activations the upper bits,
 * then the lower eight, as if they were of planes. */
CK_AVX2 CK_INLINE void ck_split_totals_avx2(int parts, const int32_t *totals, __m256i negated[2]) {
    int64_t both;
    memcpy(&both, totals, sizeof both);
    const __m256i all = _mm256_set1_epi64x(both);
    if (parts == 1) {
        negated[0] = _mm256_shuffle_epi8(_mm256_srai_epi32(all, 7), _mm256_set1_epi64x(0x0504010005040100));
    } else {
        negated[0] = _mm256_shuffle_epi8(_mm256_srai_epi32(all, 15), _mm256_set1_epi64x(0x0504010005040100));
        negated[1] = _mm256_shuffle_epi8(
            _mm256_srai_epi32(all, 7), _mm256_set1_epi64x((int64_t)0x8004800080048000));
    }
}

/* With planes, factors stay in memory, and every sum is finished before the next one begins, or the compiler lacks
 * registers: worth 6% for Q6_K, 8 for Q3_K, 17 for IQ2_XS on Zen 3, and nothing for Q2_K. Bytes are faster without. */
CK_AVX2 CK_INLINE void ck_panel_one_factors_avx2(
    ck_panel_format format, ck_words_form form, int parts, const ck_word_source *source, const uint8_t *factors,
    const uint8_t *values, const int32_t *totals, ck_floats16 *product) {
    const int groups = 32 / format.group, words = 8 / groups;
    const int most = ck_words_in_16_bits(form), run = most < words ? most : words;
    const ck_vectors_avx2 planes = {.values = values, .n = parts, .step = 32, .stride = 4};
    __m256i sums[2][2] = {{{0}, {0}}, {{0}, {0}}}; /* of a plane, of half of the rows */
    if (form.offset > 0) {
        __m256i negated[2];
        ck_split_totals_avx2(parts, totals, negated);
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m256i both = _mm256_slli_epi16(
                ck_take_factor_pairs_avx2(format, factors + 32 * half, 0, 1), __builtin_ctz(form.offset));
            CK_UNROLL
            for (int part = 0; part < parts; part++) {
                sums[part][half] = _mm256_madd_epi16(both, negated[part]);
            }
        }
    }
    CK_UNROLL
    for (int group = 0; group < groups; group++) {
        __m256i factor[2];
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            factor[half] = ck_take_factor_pairs_avx2(format, factors + 32 * half, (uint32_t)group, (uint32_t)group);
        }
        if (parts == 2) {
            __asm__ volatile("" : "+m"(factor));
        }
        CK_UNROLL
        for (int start = words * group; start < words * (group + 1); start += run) {
            __m256i pairs[2][2];
            ck_multiply_pairs_avx2(form, false, planes, start, source, pairs);
            CK_UNROLL
            for (int j = start + 1; j < start + run; j++) {
                ck_multiply_pairs_avx2(form, true, planes, j, source, pairs);
            }
            CK_UNROLL
            for (int part = 0; part < parts; part++) {
                CK_UNROLL
                for (int half = 0; half < 2; half++) {
                    sums[part][half] =
                        _mm256_add_epi32(sums[part][half], _mm256_madd_epi16(pairs[part][half], factor[half]));
                    if (parts == 2) {
                        __asm__ volatile("" : "+x"(sums[part][half]));
                    }
                }
            }
        }
    }
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m256 upper = _mm256_cvtepi32_ps(sums[0][half]);
        ((__m256 *)product)[half] =
            parts == 1 ? upper : _mm256_fmadd_ps(upper, _mm256_set1_ps(256), _mm256_cvtepi32_ps(sums[1][half]));
    }
}

CK_AVX2 CK_INLINE void ck_panel_halves_avx2(const void *halves, ck_floats16 *out) {
    __m256 *const o = (__m256 *)out;
    o[0] = _mm256_cvtph_ps(_mm_loadu_si128(halves));
    o[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves + 1));
}

/* ---- Tiles whose rows have a scale that is applied last -----------------------------------------
 *
 * See wide_tile_avx2.h, raised_tile_avx2.h and winograd_tile_avx2.h. */

/* Vectors that such a tile meets: eight sums, words and what is spread from vectors take up to sixteen registers. */
#define CK_TILE_VECTORS_AVX2 4

/* *result += sums * scale; results stay in memory, as the registers hold sums. */
CK_AVX2 CK_INLINE void ck_add_scaled_avx2(__m256i sums, __m256 scale, __m256 *result) {
    *result = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), scale, *result);
    __asm__ volatile("" : "+m"(*result));
}

/* The same for all rows and vectors, each vector with its scale. */
CK_AVX2 CK_INLINE void ck_add_all_scaled_avx2(
    __m256i sums[CK_TILE_VECTORS_AVX2][2], const float *scales, __m256 result[CK_TILE_VECTORS_AVX2][2]) {
    CK_UNROLL
    for (int t = 0; t < CK_TILE_VECTORS_AVX2; t++) {
        const __m256 scale = _mm256_set1_ps(scales[t]);
        ck_add_scaled_avx2(sums[t][0], scale, &result[t][0]);
        ck_add_scaled_avx2(sums[t][1], scale, &result[t][1]);
    }
}

/* y[t * stride + r] = result of row r and vector t, times the row's scale. */
CK_AVX2 CK_INLINE void ck_store_scaled_avx2(
    __m256 result[CK_TILE_VECTORS_AVX2][2], const __m256 scale[2], float *y, size_t stride) {
    CK_UNROLL
    for (int t = 0; t < CK_TILE_VECTORS_AVX2; t++) {
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            _mm256_storeu_ps(y + (size_t)t * stride + 8 * half, _mm256_mul_ps(result[t][half], scale[half]));
        }
    }
}

/* The sixteen rows' scales that a tile begins with; results are zero. */
CK_AVX2 CK_INLINE void ck_begin_results_avx2(
    const uint8_t *tile, __m256 scale[2], __m256 result[CK_TILE_VECTORS_AVX2][2]) {
    memcpy(scale, tile, 64);
    CK_UNROLL
    for (int t = 0; t < CK_TILE_VECTORS_AVX2; t++) {
        result[t][0] = result[t][1] = _mm256_setzero_ps();
    }
}

#define CK_PANEL_ISA_AVX2 \
    ((ck_panel_isa){.sum = ck_panel_sum_avx2, .halves = ck_panel_halves_avx2, .lookup = ck_panel_lookup_avx2, \
                    .one_factors = ck_panel_one_factors_avx2, \
                    .is_signed = true, .has_narrow_words = true, .has_wide_words = true, .late_vectors = 4, \
                    .results_in_memory = true})
/* The same for activations of SPLIT_INT16. */
#define CK_PANEL_ISA_AVX2_SPLIT \
    ((ck_panel_isa){.sum = ck_panel_sum_split_avx2, .halves = ck_panel_halves_avx2, .lookup = ck_panel_lookup_avx2, \
                    .one_factors = ck_panel_one_factors_avx2, .has_narrow_words = true, .late_vectors = 1, \
                    .results_in_memory = true})

#endif
