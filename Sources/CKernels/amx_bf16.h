/* Tiles of bfloat16 for AMX.
 *
 * One product of matrices multiplies 32 columns of sixteen rows with sixteen vectors and adds floats. Floats have no
 * scale: offsets, minimums, factors and codebooks are in them, sums stay in registers from the first column to the
 * last, and all types share these tiles. What takes the time are loads, about one for each product; there are two
 * thirds as many as with the three products of amx_int16.h. Rounding weights and activations to 8 bits each, with an
 * exponent of their own, is off by two thirds of what rounding activations to integers of 8 bits with a scale for 32
 * would be, or less where some stand out (tested).
 *
 * A tile holds, for each 32 columns,
 *
 *     weights      bf16 [16 pairs of columns][16 rows][2]
 *
 * and activations, of 32 vectors,
 *
 *     activations  bf16 [32 vectors][32]
 *
 * Either's 32 columns, of sixteen rows or vectors, are registers as they are. */
#pragma once

#include "amx.h"
#include "panel_product.h"

#define CK_AMX_BF16_COLUMNS 32
/* Bytes of 32 columns of sixteen rows, or vectors. */
#define CK_AMX_BF16_BYTES 1024

#if defined(__x86_64__)

/* A number for each row -> the same for each row's two columns of a pair, of the first eight rows, then the others. */
CK_AMX CK_INLINE void ck_amx_bf16_spread(const ck_floats16 *rows, __m512 *halves) {
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    halves[0] = _mm512_permutexvar_ps(twice, (__m512)*rows);
    halves[1] = _mm512_permutexvar_ps(_mm512_add_epi32(twice, _mm512_set1_epi32(8)), (__m512)*rows);
}

/* A word of four columns as two pairs: `scale * q + start` rounded. */
CK_AMX CK_INLINE void ck_amx_bf16_word(
    const ck_bytes64 *word, const __m512 *scale, const __m512 *start, uint8_t *out) {
    /* Where the bytes of columns 0 and 1 of the first eight rows are. */
    const __m512i places = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29);
    CK_UNROLL
    for (int pair = 0; pair < 2; pair++) {
        __m512 weights[2];
        CK_UNROLL
        for (int half = 0; half < 2; half++) {
            const __m512i at = _mm512_add_epi32(places, _mm512_set1_epi32(32 * half + 2 * pair));
            const __m512i q = _mm512_maskz_permutexvar_epi8(0x1111111111111111, at, (__m512i)*word);
            weights[half] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(q), scale[half], start[half]);
        }
        _mm512_store_si512(out + 64 * pair, (__m512i)_mm512_cvtne2ps_pbh(weights[1], weights[0]));
    }
}

CK_AMX CK_INLINE void ck_unpack_amx_bf16(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const int words = format.group / 4;
    for (size_t b = 0; b < columns / format.block; b++) {
        ck_panel_header header;
        panel = ck_read_header(format, isa, panel, &header);
        for (int c = 0; c < format.block / 32; c++, panel += 64 * format.bits, tile += CK_AMX_BF16_BYTES) {
            ck_bytes64 q[8];
            ck_unpack_words(format.bits, 8, panel, q);
            __m512 scale[2], start[2];
            CK_UNROLL
            for (int j = 0; j < 8; j++) {
                if (j % words == 0) {
                    const int group = (8 * c + j) / words;
                    const ck_floats16 offset = header.scales[group] * -(float)format.offset;
                    ck_amx_bf16_spread(&header.scales[group], scale);
                    ck_amx_bf16_spread(format.has_minimum ? &header.minimums[group] : &offset, start);
                }
                if (format.codebook != NULL) {
                    isa.lookup(format.codebook, 0, &q[j]);
                }
                ck_amx_bf16_word(&q[j], scale, start, tile + 128 * j);
            }
        }
    }
}

/* ck_panel_kernels.tile and tiles of all types, and what packs activations for them. */
void ck_amx_bf16_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride);
void ck_amx_bf16_tiles(const void *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride);
void ck_amx_bf16_pack_columns(
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales, int32_t *totals,
    float *sums);

#endif
