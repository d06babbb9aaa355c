/* Tiles of integers of 16 bits for AMX.
 *
 * A product of 64 columns of sixteen rows with sixteen vectors is one instruction, eight times as fast as the dot
 * products of AVX-512 VNNI. So little time is left for everything else that scales for 32 columns are out of the
 * question, and so much is gained that bits need not be saved: weights and activations have one scale for 256 columns,
 * and are in two planes of signed bytes, w = 256 * upper + lower. Three products of planes take the place of four: that
 * of both lower planes is about as large as what rounding is off by, and all together 3% at most of what rounding
 * activations to 8 bits would be (tested). All types share these tiles: offsets, minimums, factors and codebooks are in
 * the integers.
 *
 * For each 256 columns, fewer at the end of a row, a tile holds
 *
 *     scales     float [16 rows]
 *     and for each 64 columns
 *     upper      int8 [16 words][16 rows][4]
 *     lower      int8 [16 words][16 rows][4]
 *
 * and activations, of n vectors, 16 or 32,
 *
 *     and for each 64 columns
 *     upper      int8 [16 vectors][64]     of the first sixteen vectors
 *     lower      int8 [16 vectors][64]
 *     upper      int8 [16 vectors][64]     of the others
 *     lower      int8 [16 vectors][64]
 *
 * with scales, float [n], in an array of their own. Either's 64 columns are registers as they are. */
#pragma once

#include "amx.h"
#include "wide_tile.h"

#define CK_AMX_INT16_COLUMNS 64
/* Columns that share a scale, at most. */
#define CK_AMX_INT16_BLOCK 256
/* Bytes of a plane of 64 columns. */
#define CK_AMX_INT16_PLANE 1024
/* The largest integer: both its bytes may be signed ones. */
#define CK_AMX_INT16_LIMIT (127 * 256)

/* Bytes of a tile for each 64 columns: there is room for scales of each. */
#define CK_AMX_INT16_TILE_BYTES (64 + 2 * CK_AMX_INT16_PLANE)

CK_INLINE size_t ck_amx_int16_tile_bytes(size_t columns) {
    return columns / CK_AMX_INT16_COLUMNS * CK_AMX_INT16_TILE_BYTES;
}

#if defined(__x86_64__)

/* `largest` becomes at least the magnitudes of the weights of a block: see ck_raise. */
CK_INLINE void ck_amx_int16_raise(ck_panel_format format, const ck_panel_header *header, ck_ints16 *largest) {
    const int groups = format.factor_bits == 0 ? 1 : format.block / format.group;
    CK_UNROLL
    for (int g = 0; g < groups; g++) {
        ck_floats16 furthest = header->scales[g] * (float)ck_largest_weight(format);
        if (format.has_minimum) {
            furthest += header->minimums[g];
            ck_raise(&header->minimums[g], 1, largest);
        }
        ck_raise(&furthest, 1, largest);
    }
}

/* A word of four columns as two planes: `scale * q + start` rounded. */
CK_AVX512 CK_INLINE void ck_amx_int16_word(
    const ck_bytes64 *word, const ck_floats16 *scale, const ck_floats16 *start, uint8_t *upper) {
    __m512i columns[4];
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
        const ck_ints16 q = (ck_ints16)*word >> 8 * i & 0xff;
        const ck_floats16 weight = __builtin_convertvector(q, ck_floats16) * *scale + *start;
        /* What is added leaves the nearest integer, and 128, in the lowest bits. */
        columns[i] = (__m512i)(weight + (0x1.8p23f + 128));
    }
    /* Lower and upper bytes of columns 0 and 1 lie side by side, then those of 2 and 3. */
    const __m512i order = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
    __m512i pairs[2];
    CK_UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512i both = _mm512_mask_blend_epi16(
            0xaaaaaaaa, columns[2 * i], _mm512_slli_epi32(columns[2 * i + 1], 16));
        pairs[i] = _mm512_shuffle_epi8(both, order);
    }
    const __m512i lower = _mm512_mask_blend_epi16(0xaaaaaaaa, pairs[0], _mm512_slli_epi32(pairs[1], 16));
    _mm512_store_si512(upper, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(pairs[0], 16), pairs[1]));
    /* 128 more is the upper bit flipped. */
    _mm512_store_si512(upper + CK_AMX_INT16_PLANE, _mm512_xor_si512(lower, _mm512_set1_epi8((char)0x80)));
}

CK_AVX512 CK_INLINE void ck_unpack_amx_int16(
    ck_panel_format format, ck_panel_isa isa, const uint8_t *panel, size_t columns, uint8_t *tile) {
    const size_t block_bytes = ck_panel_block_bytes(format), blocks = columns / format.block;
    const size_t most = CK_AMX_INT16_BLOCK / format.block;
    const int words = format.group / 4;
    for (size_t b = 0; b < blocks; b += most) {
        const size_t count = blocks - b < most ? blocks - b : most;
        ck_panel_header header;
        ck_ints16 bits = {0};
        for (size_t k = 0; k < count; k++) {
            ck_read_header(format, isa, panel + k * block_bytes, &header);
            ck_amx_int16_raise(format, &header, &bits);
        }
        const ck_floats16 largest = (ck_floats16)bits;
        /* NaN for a row with an infinite scale: its integers are no numbers, and its results must be none. */
        const ck_floats16 scales = largest / CK_AMX_INT16_LIMIT + 0 * largest;
        memcpy(tile, &scales, sizeof scales);
        tile += sizeof scales;
        /* Numbers near the smallest ones are raised, so that reciprocals are finite; a row of zeros has any. */
        const ck_ints16 is_small = largest < 0x1p-60f;
        const ck_floats16 raise = (ck_floats16)(((ck_ints16){0} + 0x3f800000) + (is_small & 60 << 23));
        const ck_floats16 reciprocal = CK_AMX_INT16_LIMIT / (largest * raise + 0x1p-100f);
        for (size_t k = 0, part = 0; k < count; k++) {
            panel = ck_read_header(format, isa, panel, &header);
            for (int c = 0; c < format.block / 32; c++, part++, panel += 64 * format.bits) {
                uint8_t *const out = tile + part / 2 * 2 * CK_AMX_INT16_PLANE + part % 2 * (CK_AMX_INT16_PLANE / 2);
                ck_bytes64 q[8];
                ck_unpack_words(format.bits, 8, panel, q);
                CK_UNROLL
                for (int j = 0; j < 8; j++) {
                    const int group = (8 * c + j) / words;
                    const ck_floats16 scale = header.scales[group] * raise * reciprocal;
                    const ck_floats16 start = format.has_minimum ? header.minimums[group] * raise * reciprocal
                                                                 : scale * -(float)format.offset;
                    if (format.codebook != NULL) {
                        isa.lookup(format.codebook, 0, &q[j]);
                    }
                    ck_amx_int16_word(&q[j], &scale, &start, out + 64 * j);
                }
            }
        }
        tile += count * format.block / CK_AMX_INT16_COLUMNS * 2 * CK_AMX_INT16_PLANE;
    }
}

/* ck_panel_kernels.tile_narrow, tile and tiles of all types, and what packs activations for them. */
void ck_amx_int16_narrow_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride);
void ck_amx_int16_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride);
void ck_amx_int16_tiles(const void *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride);
void ck_amx_int16_pack_columns(
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales, int32_t *totals,
    float *sums);

#endif
