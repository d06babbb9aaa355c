/* From a format to its kernels on every instruction set: CK_DEFINE_PANELS(TAKE, BYTES), in a type's file after its
 * `panel_format`, defines what CK_TABLE_PANELS lists. BYTES are those of a block in a file. */
#pragma once

#include "block32.h"
#include "panel_product.h"
#include "registry.h"

/* ---- Any machine --------------------------------------------------------------------------- */

CK_INLINE void ck_panel_dot_scalar(bool wide, ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    (void)wide;
    int8_t a[4];
    memcpy(a, activations, sizeof a);
    for (int r = 0; r < CK_PANEL_ROWS; r++) {
        for (int i = 0; i < 4; i++) {
            (*sums)[r] += (*words)[4 * r + i] * a[i];
        }
    }
}

CK_INLINE void ck_panel_halves_scalar(const void *halves, ck_floats16 *out) {
    for (int r = 0; r < CK_PANEL_ROWS; r++) {
        (*out)[r] = ck_f16_to_f32(ck_load_u16((const uint8_t *)halves + 2 * r));
    }
}

CK_INLINE void ck_panel_lookup_scalar(const uint8_t *codebook, ck_bytes64 *bytes) {
    for (int i = 0; i < 64; i++) {
        (*bytes)[i] = codebook[(*bytes)[i]];
    }
}

#define CK_PANEL_ISA_SCALAR \
    ((ck_panel_isa){ck_panel_dot_scalar, false, ck_panel_halves_scalar, ck_panel_lookup_scalar})

#if defined(__x86_64__)

/* ---- AVX2, AVX-VNNI ------------------------------------------------------------------------ */

/* vpmaddubsw adds two products in 16 bits, which those of full bytes overflow: wide words come signed, and meet the
 * activations with their sign moved over, |w| * (sign(w) * a) <= 128 * 127, twice below 2^15. */
CK_AVX2 CK_INLINE __m256i ck_products_avx2(bool wide, __m256i words, __m256i activations) {
    const __m256i pairs = wide ? _mm256_maddubs_epi16(_mm256_abs_epi8(words), _mm256_sign_epi8(activations, words))
                               : _mm256_maddubs_epi16(words, activations);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

CK_AVX2 CK_INLINE void ck_panel_dot_avx2(
    bool wide, ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    const __m256i four = _mm256_set1_epi32((int)ck_load_u32(activations));
    const __m256i *const w = (const __m256i *)words;
    __m256i *const s = (__m256i *)sums;
    s[0] = _mm256_add_epi32(s[0], ck_products_avx2(wide, w[0], four));
    s[1] = _mm256_add_epi32(s[1], ck_products_avx2(wide, w[1], four));
}

CK_AVXVNNI CK_INLINE void ck_panel_dot_avxvnni(
    bool wide, ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    (void)wide;
    const __m256i four = _mm256_set1_epi32((int)ck_load_u32(activations));
    const __m256i *const w = (const __m256i *)words;
    __m256i *const s = (__m256i *)sums;
    s[0] = _mm256_dpbusd_avx_epi32(s[0], w[0], four);
    s[1] = _mm256_dpbusd_avx_epi32(s[1], w[1], four);
}

CK_AVX2 CK_INLINE void ck_panel_halves_avx2(const void *halves, ck_floats16 *out) {
    __m256 *const o = (__m256 *)out;
    o[0] = _mm256_cvtph_ps(_mm_loadu_si128(halves));
    o[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves + 1));
}

CK_AVX2 CK_INLINE void ck_panel_lookup_avx2(const uint8_t *codebook, ck_bytes64 *bytes) {
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)codebook));
    __m256i *const b = (__m256i *)bytes;
    b[0] = _mm256_shuffle_epi8(table, b[0]);
    b[1] = _mm256_shuffle_epi8(table, b[1]);
}

#define CK_PANEL_ISA_AVX2 ((ck_panel_isa){ck_panel_dot_avx2, true, ck_panel_halves_avx2, ck_panel_lookup_avx2})
#define CK_PANEL_ISA_AVXVNNI \
    ((ck_panel_isa){ck_panel_dot_avxvnni, false, ck_panel_halves_avx2, ck_panel_lookup_avx2})

/* ---- AVX-512 VNNI -------------------------------------------------------------------------- */

CK_AVX512VNNI CK_INLINE void ck_panel_dot_avx512vnni(
    bool wide, ck_ints16 *sums, const ck_bytes64 *words, const void *activations) {
    (void)wide;
    const __m512i four = _mm512_set1_epi32((int)ck_load_u32(activations));
    *sums = (ck_ints16)_mm512_dpbusd_epi32((__m512i)*sums, (__m512i)*words, four);
}

CK_AVX512 CK_INLINE void ck_panel_halves_avx512(const void *halves, ck_floats16 *out) {
    *out = (ck_floats16)_mm512_cvtph_ps(_mm256_loadu_si256(halves));
}

CK_AVX512 CK_INLINE void ck_panel_lookup_avx512(const uint8_t *codebook, ck_bytes64 *bytes) {
    const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)codebook));
    *bytes = (ck_bytes64)_mm512_shuffle_epi8(table, (__m512i)*bytes);
}

#define CK_PANEL_ISA_AVX512VNNI \
    ((ck_panel_isa){ck_panel_dot_avx512vnni, false, ck_panel_halves_avx512, ck_panel_lookup_avx512})

#endif

/* ---- Tables -------------------------------------------------------------------------------- */

#define CK_DEFINE_PANEL_FN(name, target, isa, template, parts, n)                                              \
    target static void name(const void *panel, size_t columns, const ck_columns *x, float *y, size_t stride) { \
        template(panel_format, isa, parts, n, panel, columns, x, y, stride);                                   \
    }

/* The kernels of `panel_format` on one instruction set. */
#define CK_DEFINE_PANEL_ISA(suffix, target, isa, TAKE, BYTES)                                                            \
    CK_DEFINE_PANEL_FN(panel_one_int8_##suffix, target, isa, ck_panel_product, 1, 1)                        \
    CK_DEFINE_PANEL_FN(panel_one_int16_##suffix, target, isa, ck_panel_product, 2, 1)                       \
    CK_DEFINE_PANEL_FN(panel_four_int8_##suffix, target, isa, ck_panel_product, 1, 4)                       \
    CK_DEFINE_PANEL_FN(panel_four_int16_##suffix, target, isa, ck_panel_product, 2, 4)                      \
    CK_DEFINE_PANEL_FN(tile_four_int8_##suffix, target, isa, ck_tile_product, 1, 4)                         \
    CK_DEFINE_PANEL_FN(tile_four_int16_##suffix, target, isa, ck_tile_product, 2, 4)                        \
    CK_DEFINE_PANEL_FN(tile_int8_##suffix, target, isa, ck_tile_product, 1, CK_TILE_VECTORS)                \
    CK_DEFINE_PANEL_FN(tile_int16_##suffix, target, isa, ck_tile_product, 2, CK_TILE_VECTORS)               \
    target static void unpack_panel_##suffix(const void *panel, size_t columns, void *tile) {               \
        ck_unpack_panel(panel_format, isa, panel, columns, tile);                                           \
    }                                                                                                       \
    target static void dequantize_panel_##suffix(                                                           \
        const void *panel, size_t columns, float *out, size_t stride) {                                     \
        ck_dequantize_panel(panel_format, isa, panel, columns, out, stride);                                \
    }                                                                                                       \
    target static void pack_panel_##suffix(                                                                 \
        const void *weights, size_t row_bytes, size_t rows, size_t columns, void *panel) {                  \
        ck_pack_panel(panel_format, TAKE, BYTES, weights, row_bytes, rows, columns, panel);     \
    }

#define CK_PANEL_ROW(suffix)                                                                     \
    {                                                                                            \
        .pack = pack_panel_##suffix, .dequantize = dequantize_panel_##suffix,                    \
        .unpack = unpack_panel_##suffix,                                                         \
        .one = {NULL, panel_one_int16_##suffix, panel_one_int8_##suffix},                        \
        .four = {NULL, panel_four_int16_##suffix, panel_four_int8_##suffix},                     \
        .tile_four = {NULL, tile_four_int16_##suffix, tile_four_int8_##suffix},                  \
        .tile = {NULL, tile_int16_##suffix, tile_int8_##suffix},                                 \
    }

#if defined(__x86_64__)
#define CK_DEFINE_PANELS(TAKE, BYTES)                                                    \
    CK_DEFINE_PANEL_ISA(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR, TAKE, BYTES)             \
    CK_DEFINE_PANEL_ISA(avx2, CK_AVX2, CK_PANEL_ISA_AVX2, TAKE, BYTES)                   \
    CK_DEFINE_PANEL_ISA(avxvnni, CK_AVXVNNI, CK_PANEL_ISA_AVXVNNI, TAKE, BYTES)          \
    CK_DEFINE_PANEL_ISA(avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI, TAKE, BYTES)
#define CK_TABLE_PANELS                                                                           \
    [CK_ISA_SCALAR] = CK_PANEL_ROW(scalar), [CK_ISA_AVX2] = CK_PANEL_ROW(avx2),                   \
    [CK_ISA_AVXVNNI] = CK_PANEL_ROW(avxvnni), [CK_ISA_AVX512VNNI] = CK_PANEL_ROW(avx512vnni)
#else
#define CK_DEFINE_PANELS(TAKE, BYTES) CK_DEFINE_PANEL_ISA(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR, TAKE, BYTES)
#define CK_TABLE_PANELS [CK_ISA_SCALAR] = CK_PANEL_ROW(scalar)
#endif

/* Panels of a type with blocks of 32, from its format and its scalar unpack function. */
#define CK_DEFINE_PANELS32(FORMAT, UNPACK)                               \
    CK_INLINE void take_panel(const void *block, ck_panel_source *out) { \
        out->scale = ck_load_u16(block);                                 \
        if ((FORMAT).has_minimum) {                                      \
            out->minimum = ck_load_u16((const uint8_t *)block + 2);      \
        }                                                                \
        UNPACK(block, out->q);                                           \
    }                                                                    \
    CK_DEFINE_PANELS(take_panel, (FORMAT).bytes)
