/* What each instruction set gives to the templates of panel_product.h; for AVX2 see panel_avx2.h. */
#pragma once

#include "panel_avx2.h"
#include "panel_product.h"

/* ---- Machines with dot products of bytes ---------------------------------------------------- */

/* sums[r] += dot of the four bytes of row r of `words` with the four signed ones at `activations`. */
typedef void (*ck_panel_dot)(ck_ints16 *sums, const ck_bytes64 *words, const void *activations);

/* ck_sum_dots of eight words with one vector, whose only sum would be a chain of products that wait for one another:
 * chains for even and for odd words of each plane, side by side. */
CK_INLINE void ck_sum_one(
    ck_panel_dot dot, int parts, const ck_bytes64 *words, const uint8_t *values, int32_t start, ck_ints16 *sum) {
    ck_ints16 chains[2][2];
    CK_UNROLL
    for (int part = 0; part < parts; part++) {
        chains[part][0] = (ck_ints16){0} + (part == parts - 1 ? start : 0);
        chains[part][1] = (ck_ints16){0};
    }
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
        CK_UNROLL
        for (int part = 0; part < parts; part++) {
            dot(&chains[part][j % 2], &words[j], values + 32 * part + 4 * j);
        }
    }
    *sum = chains[0][0] + chains[0][1];
    if (parts == 2) {
        *sum = (*sum << 8) + (chains[1][0] + chains[1][1]);
    }
}

/* ck_panel_isa.sum of an instruction set that has dot products of bytes. Activations of 16 bits come as two planes of
 * signed bytes, a = 256 * upper + lower: two dot products are the exact product. */
CK_INLINE void ck_sum_dots(
    ck_panel_dot dot, ck_words_form form, int parts, int n, int first, int count, const ck_word_source *source,
    const uint8_t *values, const int32_t *totals, ck_ints16 *sums) {
    const ck_bytes64 *const words = source->words + first;
    if (n == 1 && count == 8) {
        ck_sum_one(dot, parts, words, values, ck_start(form, *totals), sums);
        return;
    }
    CK_UNROLL
    for (int part = 0; part < parts; part++, values += 32 * n) {
        CK_UNROLL
        for (int t = 0; t < n; t++) {
            if (part == parts - 1) {
                const ck_ints16 start = (ck_ints16){0} + ck_start(form, totals[t]);
                sums[t] = part == 0 ? start : (sums[t] << 8) + start;
            } else {
                sums[t] = (ck_ints16){0};
            }
        }
        CK_UNROLL
        for (int j = 0; j < count; j++) {
            CK_UNROLL
            for (int t = 0; t < n; t++) {
                dot(&sums[t], &words[j], values + 4 * ((first + j) * n + t));
            }
        }
    }
}

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
