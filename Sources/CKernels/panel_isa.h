/* What each instruction set gives to the templates of panel_product.h. */
#pragma once

#include "panel_product.h"

/* The parameters of ck_panel_isa.sum, and their names. */
#define CK_SUM_PARAMETERS                                                                                    \
    ck_words_form form, int parts, int n, int first, int count, const ck_word_source *source, \
        const uint8_t *values, const int32_t *totals, ck_ints16 *sums
#define CK_SUM_ARGUMENTS form, parts, n, first, count, source, values, totals, sums

/* ---- Any machine --------------------------------------------------------------------------- */

/* Not inlined: one copy for all formats and widths of a type is enough of what hardly a machine needs. */
static __attribute__((noinline, unused)) void ck_panel_sum_scalar(CK_SUM_PARAMETERS) {
    for (int t = 0; t < n; t++) {
        int32_t rows[CK_PANEL_ROWS] = {0};
        for (int part = 0; part < parts; part++) {
            const int8_t *a = (const int8_t *)values + (32 * part + 4 * first) * n + 4 * t;
            for (int r = 0; r < CK_PANEL_ROWS; r++) {
                rows[r] = part == 0 ? 0 : rows[r] * 256;
            }
            for (int j = 0; j < count; j++, a += 4 * n) {
                uint8_t bytes[64];
                memcpy(bytes, &source->words[first + j], sizeof bytes);
                for (int r = 0; r < CK_PANEL_ROWS; r++) {
                    for (int i = 0; i < 4; i++) {
                        rows[r] += bytes[4 * r + i] * a[i];
                    }
                }
            }
        }
        for (int r = 0; r < CK_PANEL_ROWS; r++) {
            rows[r] += ck_start(form, totals[t]);
        }
        memcpy(&sums[t], rows, sizeof rows);
    }
}

CK_INLINE void ck_panel_halves_scalar(const void *halves, ck_floats16 *out) {
    for (int r = 0; r < CK_PANEL_ROWS; r++) {
        (*out)[r] = ck_f16_to_f32(ck_load_u16((const uint8_t *)halves + 2 * r));
    }
}

CK_INLINE void ck_panel_lookup_scalar(const uint8_t *codebook, uint8_t added, ck_bytes64 *bytes) {
    uint8_t found[64];
    memcpy(found, bytes, sizeof found);
    for (int i = 0; i < 64; i++) {
        found[i] = (uint8_t)(codebook[found[i]] + added);
    }
    memcpy(bytes, found, sizeof found);
}

#define CK_PANEL_ISA_SCALAR \
    ((ck_panel_isa){.sum = ck_panel_sum_scalar, .halves = ck_panel_halves_scalar, .lookup = ck_panel_lookup_scalar})

#if defined(__x86_64__)

/* ---- AVX2 ---------------------------------------------------------------------------------- */

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
} ck_vectors_avx2;

/* pairs[t] = the products of word j with vector t; added to what is there if `adds`.
 *
 * Eight sums, a word and what is spread from a vector just fit into the sixteen registers, as long as every sum is
 * finished before the next one begins: compilers like to start all of them at once, and then lack registers. On Zen 3
 * the order that is forced here is worth a tenth of the GEMM for Q5_0 and Q4_K, and nothing for Q4_0. */
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
            const __m256i product =
                _mm256_maddubs_epi16(magnitude[half], form.is_signed ? _mm256_sign_epi8(four, w[half]) : four);
            if (adds) {
                pairs[t][half] = _mm256_add_epi16(pairs[t][half], product);
                __asm__ volatile("" : "+x"(pairs[t][half]));
            } else {
                pairs[t][half] = product;
            }
        }
    }
}

/* sums[t] += the products of the words from `start` on, as many as stay in 16 bits, with vector t. */
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
            __m256i *const sum = (__m256i *)&sums[t] + half;
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs[t][half], _mm256_set1_epi16(1)));
        }
    }
}

/* sums[t] += the products of word j with vector t, which leave their 16 bits at once, in an order that lets sums stay
 * in registers: tiles of IQ2_XXS take 6 to 14% less time for it on Zen 3, those of IQ2_XS 13 to 19%. */
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
            const __m256i pairs = _mm256_maddubs_epi16(w[half], four);
            __m256i *const sum = (__m256i *)&sums[t] + half;
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            __asm__ volatile("" : "+x"(*sum));
        }
    }
}

/* sums[t] += the products of `count` words, from the `first` on, with vector t. Unrolled, as the place of a word in its
 * planes has to be a constant; it is worth a tenth (Q5_0, Q5_K) to a third (Q8_0) with several vectors on Zen 3. */
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
    ck_add_bytes_avx2(form, (ck_vectors_avx2){values, n, 4, 4 * n}, first, count, source, sums);
}

CK_AVX2 CK_INLINE void ck_panel_sum_factors_avx2(
    int n, const ck_bytes64 *words, const uint8_t *values, const int32_t *totals, ck_ints16 *sums) {
    const __m256i *const factors = (const __m256i *)(words + 8), *const starts = factors + 4;
    _Alignas(16) int32_t pairs[CK_TILE_VECTORS]; /* -16 times the activations' sums, which fit into 16 bits */
    CK_UNROLL
    for (int t = 0; t < n; t += 4) {
        const __m128i first = _mm_srai_epi32(_mm_loadu_si128((const void *)(totals + t)), 3);
        const __m128i second = _mm_slli_epi32(_mm_loadu_si128((const void *)(totals + n + t)), 16 - 3);
        _mm_store_si128((void *)(pairs + t), _mm_blend_epi16(first, second, 0xaa));
    }
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        __m256i *const sum = (__m256i *)&sums[t];
        const __m256i pair = _mm256_set1_epi32(pairs[t]);
        sum[0] = _mm256_madd_epi16(starts[0], pair);
        sum[1] = _mm256_madd_epi16(starts[1], pair);
    }
    /* Two words of six bits: 4 * 63 * 127 < 2^15. Eight sums, four halves of words, what is spread from a vector and
     * two products just fit into the registers, in this order alone: the GEMM for Q6_K is a twentieth faster for it on
     * Zen 3. */
    CK_UNROLL
    for (int j = 0; j < 8; j += 2) {
        __m256i even[2], odd[2];
        memcpy(even, &words[j], sizeof even);
        memcpy(odd, &words[j + 1], sizeof odd);
        ck_hold_word_avx2(even);
        ck_hold_word_avx2(odd);
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            const __m256i first = ck_spread_u32_avx2(values + 4 * (j * n + t));
            const __m256i second = ck_spread_u32_avx2(values + 4 * ((j + 1) * n + t));
            CK_UNROLL
            for (int half = 0; half < 2; half++) {
                const __m256i both =
                    _mm256_add_epi16(_mm256_maddubs_epi16(even[half], first), _mm256_maddubs_epi16(odd[half], second));
                __m256i *const sum = (__m256i *)&sums[t] + half;
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, factors[j / 4 * 2 + half]));
                __asm__ volatile("" : "+x"(*sum));
            }
        }
    }
}

/* Activations of 16 bits as planes of bytes: see ck_sum_dots. The planes of a single vector meet each word together. */
CK_AVX2 CK_INLINE void ck_panel_sum_split_avx2(CK_SUM_PARAMETERS) {
    if (n == 1) {
        ck_ints16 planes[2] = {{0}, (ck_ints16){0} + ck_start(form, *totals)};
        ck_add_bytes_avx2(form, (ck_vectors_avx2){values, parts, 32, 4}, first, count, source, planes);
        *sums = (planes[0] << 8) + planes[1];
        return;
    }
    ck_vectors_avx2 plane = {values, n, 4, 4 * n};
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

CK_AVX2 CK_INLINE void ck_panel_halves_avx2(const void *halves, ck_floats16 *out) {
    __m256 *const o = (__m256 *)out;
    o[0] = _mm256_cvtph_ps(_mm_loadu_si128(halves));
    o[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves + 1));
}

#define CK_PANEL_ISA_AVX2 \
    ((ck_panel_isa){.sum = ck_panel_sum_avx2, .halves = ck_panel_halves_avx2, .lookup = ck_panel_lookup_avx2, \
                    .sum_factors = ck_panel_sum_factors_avx2, .is_signed = true, .has_narrow_words = true, \
                    .has_wide_words = true, .late_vectors = 4, .results_in_memory = true, .ahead = 2048})
/* The same for activations of SPLIT_INT16. */
#define CK_PANEL_ISA_AVX2_SPLIT \
    ((ck_panel_isa){.sum = ck_panel_sum_split_avx2, .halves = ck_panel_halves_avx2, .lookup = ck_panel_lookup_avx2, \
                    .has_narrow_words = true, .late_vectors = 1, .results_in_memory = true, .ahead = 2048})

/* ---- AVX-VNNI, AVX-512 VNNI ------------------------------------------------------------------ */

CK_AVXVNNI CK_INLINE void ck_panel_dot_avxvnni(ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const __m256i four = ck_spread_u32_avx2(activations);
    const __m256i *const w = (const __m256i *)words;
    __m256i *const s = (__m256i *)sums;
    s[0] = _mm256_dpbusd_avx_epi32(s[0], w[0], four);
    s[1] = _mm256_dpbusd_avx_epi32(s[1], w[1], four);
}

CK_AVXVNNI CK_INLINE void ck_panel_sum_avxvnni(CK_SUM_PARAMETERS) {
    ck_sum_dots(ck_panel_dot_avxvnni, CK_SUM_ARGUMENTS);
}

#define CK_PANEL_ISA_AVXVNNI \
    ((ck_panel_isa){.sum = ck_panel_sum_avxvnni, .halves = ck_panel_halves_avx2, .lookup = ck_panel_lookup_avx2, \
                    .widens_tiles = true})

CK_AVX512VNNI CK_INLINE void ck_panel_dot_avx512vnni(
    ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const __m512i four = _mm512_set1_epi32((int)ck_load_u32(activations));
    *sums = (ck_ints16)_mm512_dpbusd_epi32((__m512i)*sums, (__m512i)*words, four);
}

CK_AVX512VNNI CK_INLINE void ck_panel_sum_avx512vnni(CK_SUM_PARAMETERS) {
    ck_sum_dots(ck_panel_dot_avx512vnni, CK_SUM_ARGUMENTS);
}

CK_AVX512 CK_INLINE void ck_panel_halves_avx512(const void *halves, ck_floats16 *out) {
    *out = (ck_floats16)_mm512_cvtph_ps(_mm256_loadu_si256(halves));
}

CK_AVX512 CK_INLINE void ck_panel_lookup_avx512(const uint8_t *codebook, uint8_t added, ck_bytes64 *bytes) {
    const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)codebook));
    const __m512i table = _mm512_add_epi8(values, _mm512_set1_epi8((char)added));
    *bytes = (ck_bytes64)_mm512_shuffle_epi8(table, (__m512i)*bytes);
}

#define CK_PANEL_ISA_AVX512VNNI \
    ((ck_panel_isa){.sum = ck_panel_sum_avx512vnni, .halves = ck_panel_halves_avx512, \
                    .lookup = ck_panel_lookup_avx512, .widens_tiles = true})

#endif

#if defined(__aarch64__)

/* ---- NEON ------------------------------------------------------------------------------------ */

CK_NEON CK_INLINE int8x16_t ck_spread_word_neon(const void *activations) {
    return vreinterpretq_s8_u32(vdupq_n_u32(ck_load_u32(activations)));
}

/* Products of bytes are added two at a time in 16 bits, which two of -128 by -128 overflow. */
CK_NEON CK_INLINE void ck_panel_dot_neon(ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const int8x16_t a = ck_spread_word_neon(activations);
    const int8x16_t *const w = (const int8x16_t *)words;
    int32x4_t *const s = (int32x4_t *)sums;
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        const int16x8_t lower = vmull_s8(vget_low_s8(w[i]), vget_low_s8(a));
        s[i] = vpadalq_s16(s[i], vpaddq_s16(lower, vmull_high_s8(w[i], a)));
    }
}

/* The same for any bytes. */
CK_NEON CK_INLINE void ck_panel_wide_dot_neon(ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const int8x16_t a = ck_spread_word_neon(activations);
    const int8x16_t *const w = (const int8x16_t *)words;
    int32x4_t *const s = (int32x4_t *)sums;
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        const int32x4_t lower = vpaddlq_s16(vmull_s8(vget_low_s8(w[i]), vget_low_s8(a)));
        s[i] = vaddq_s32(s[i], vpaddq_s32(lower, vpaddlq_s16(vmull_high_s8(w[i], a))));
    }
}

CK_NEON CK_INLINE void ck_panel_sum_neon(CK_SUM_PARAMETERS) {
    if (parts == 2 && form.bits == 8) { /* activations of 8 bits have no -128 */
        ck_sum_dots(ck_panel_wide_dot_neon, CK_SUM_ARGUMENTS);
    } else {
        ck_sum_dots(ck_panel_dot_neon, CK_SUM_ARGUMENTS);
    }
}

CK_NEON CK_INLINE void ck_panel_halves_neon(const void *halves, ck_floats16 *out) {
    float32x4_t *const o = (float32x4_t *)out;
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        o[i] = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8((const uint8_t *)halves + 8 * i)));
    }
}

CK_NEON CK_INLINE void ck_panel_lookup_neon(const uint8_t *codebook, uint8_t added, ck_bytes64 *bytes) {
    const uint8x16_t table = vaddq_u8(vld1q_u8(codebook), vdupq_n_u8(added));
    uint8x16_t *const b = (uint8x16_t *)bytes;
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        b[i] = vqtbl1q_u8(table, b[i]);
    }
}

#define CK_PANEL_ISA_NEON \
    ((ck_panel_isa){.sum = ck_panel_sum_neon, .halves = ck_panel_halves_neon, .lookup = ck_panel_lookup_neon, \
                    .is_signed = true, .widens_tiles = true})

CK_NEON_DOTPROD CK_INLINE void ck_panel_dot_neon_dotprod(
    ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const int8x16_t a = ck_spread_word_neon(activations);
    const int8x16_t *const w = (const int8x16_t *)words;
    int32x4_t *const s = (int32x4_t *)sums;
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        s[i] = vdotq_s32(s[i], w[i], a);
    }
}

CK_NEON_DOTPROD CK_INLINE void ck_panel_sum_neon_dotprod(CK_SUM_PARAMETERS) {
    ck_sum_dots(ck_panel_dot_neon_dotprod, CK_SUM_ARGUMENTS);
}

#define CK_PANEL_ISA_NEON_DOTPROD \
    ((ck_panel_isa){.sum = ck_panel_sum_neon_dotprod, .halves = ck_panel_halves_neon, .lookup = ck_panel_lookup_neon, \
                    .is_signed = true, .widens_tiles = true})

/* Eight activations of two vectors, from the words of `n` vectors at `values`. */
CK_NEON CK_INLINE int8x16_t ck_two_vectors_neon(const uint8_t *values, int n) {
    const int32x2_t first = vreinterpret_s32_u8(vld1_u8(values)), second = vreinterpret_s32_u8(vld1_u8(values + 4 * n));
    return vreinterpretq_s8_s32(vcombine_s32(vzip1_s32(first, second), vzip2_s32(first, second)));
}

/* Adds the products of pairs of words with n vectors, an even number: products[t / 2][r / 2] has rows r and r + 1, each
 * with vectors t and t + 1. */
CK_NEON_I8MM CK_INLINE void ck_multiply_paired_i8mm(
    int n, int first, int count, const ck_bytes64 *words, const uint8_t *values, int32x4_t products[][8]) {
    for (int j = 0; j < count; j += 2) {
        const int8x16_t *const w = (const int8x16_t *)&words[j];
        CK_UNROLL
        for (int t = 0; t < n; t += 2) {
            const int8x16_t a = ck_two_vectors_neon(values + 4 * ((first + j) * n + t), n);
            CK_UNROLL
            for (int i = 0; i < 8; i++) {
                products[t / 2][i] = vmmlaq_s32(products[t / 2][i], w[i], a);
            }
        }
    }
}

CK_NEON_I8MM CK_INLINE void ck_panel_sum_neon_i8mm(CK_SUM_PARAMETERS) {
    if (!form.is_paired) {
        ck_sum_dots(ck_panel_dot_neon_dotprod, CK_SUM_ARGUMENTS);
        return;
    }
    const ck_bytes64 *const words = source->words + first;
    int32x4_t products[CK_TILE_VECTORS / 2][8];
    CK_UNROLL
    for (int part = 0; part < parts; part++, values += 32 * n) {
        CK_UNROLL
        for (int t = 0; t < n; t += 2) {
            CK_UNROLL
            for (int i = 0; i < 8; i++) {
                products[t / 2][i] = part == 0 ? vdupq_n_s32(0) : vshlq_n_s32(products[t / 2][i], 8);
            }
        }
        ck_multiply_paired_i8mm(n, first, count, words, values, products);
    }
    CK_UNROLL
    for (int t = 0; t < n; t++) {
        const int32x4_t start = vdupq_n_s32(ck_start(form, totals[t]));
        int32x4_t *const s = (int32x4_t *)&sums[t];
        CK_UNROLL
        for (int i = 0; i < 4; i++) {
            const int32x4_t lower = products[t / 2][2 * i], upper = products[t / 2][2 * i + 1];
            s[i] = vaddq_s32(start, t % 2 == 0 ? vuzp1q_s32(lower, upper) : vuzp2q_s32(lower, upper));
        }
    }
}

#define CK_PANEL_ISA_NEON_I8MM \
    ((ck_panel_isa){.sum = ck_panel_sum_neon_i8mm, .halves = ck_panel_halves_neon, .lookup = ck_panel_lookup_neon, \
                    .is_signed = true, .widens_tiles = true, .pairs_tiles = true})

#endif
