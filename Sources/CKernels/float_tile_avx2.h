/* Products of rows of floats with many vectors on AVX2: rows become tiles of floats, column by column, in the
 * first-level cache, and a product of a column with an element of a vector adds to sixteen results.
 *
 * float_group.h loads as much for as many products, but its rows and its vectors are together more than that cache
 * holds: of F16, prompts of 512 tokens are 1.15 times as fast here (Zen 3). What is left: 96 vectors of 2048 elements
 * meet four tiles at 95 of 102 GFLOP/s, and at 100 where they lie side by side, column by column. */
#pragma once

#include "float_rows.h"
#include "panel.h"

#if defined(__x86_64__)

/* Rows of a tile, in two registers for each column, and the most vectors that meet it at a time. */
#define CK_FLOAT_TILE_ROWS 16
#define CK_FLOAT_TILE_VECTORS 6

/* Columns of a tile, at most: with those of the vectors they fill two thirds of a cache of 32 KiB. */
#define CK_FLOAT_TILE_COLUMNS 256

/* Tiles, and vectors, that stay in the second-level cache: 64 KiB and at most 96. */
#define CK_FLOAT_TILES 4
#define CK_FLOAT_BLOCK 96

/* From so many vectors on they make up for what it takes to turn rows into tiles, whose elements have `size` bytes: the
 * wider these are, the more the other way waits for them. */
#define CK_TILED_VECTORS(size) ((size) < sizeof(float) ? 48 : 20)
_Static_assert(CK_TILED_VECTORS(sizeof(float)) >= 20, "of fewer, parts have others than five vectors and six");

/* Columns start to start + columns - 1 of the rows of a tile -> its floats, column by column. */
CK_AVX2 CK_INLINE void ck_tile_floats_avx2(
    ck_load_avx2 load, ck_load_scalar load_one, const uint8_t *const row[CK_FLOAT_TILE_ROWS], size_t start,
    size_t columns, float *tile) {
    size_t i = 0;
    for (; i + 8 <= columns; i += 8) {
        for (size_t first = 0; first < CK_FLOAT_TILE_ROWS; first += 8) {
            ck_words8 eight_rows[8], eight_columns[8];
            CK_UNROLL
            for (size_t r = 0; r < 8; r++) {
                eight_rows[r] = (ck_words8)load(row[first + r], start + i);
            }
            ck_transpose_words(eight_rows, eight_columns);
            CK_UNROLL
            for (size_t k = 0; k < 8; k++) {
                _mm256_store_ps(tile + CK_FLOAT_TILE_ROWS * (i + k) + first, (__m256)eight_columns[k]);
            }
        }
    }
    for (; i < columns; i++) {
        for (size_t r = 0; r < CK_FLOAT_TILE_ROWS; r++) {
            tile[CK_FLOAT_TILE_ROWS * i + r] = load_one(row[r], start + i);
        }
    }
}

/* sums[v] += the products of `columns` columns of a tile with vector v, for constant numbers of columns and vectors:
 * the first three are at `near`, the others at `far`. */
CK_AVX2 CK_INLINE void ck_add_columns_avx2(
    const float *tile, size_t columns, const float *near, const float *far, size_t distance, size_t vectors,
    __m256 sums[CK_FLOAT_TILE_VECTORS][2]) {
    CK_UNROLL
    for (size_t i = 0; i < columns; i++) {
        const __m256 low = _mm256_load_ps(tile + CK_FLOAT_TILE_ROWS * i);
        const __m256 high = _mm256_load_ps(tile + CK_FLOAT_TILE_ROWS * i + 8);
        CK_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const __m256 element = _mm256_broadcast_ss((v < 3 ? near + v * distance : far + (v - 3) * distance) + i);
            sums[v][0] = _mm256_fmadd_ps(low, element, sums[v][0]);
            sums[v][1] = _mm256_fmadd_ps(high, element, sums[v][1]);
        }
    }
}

/* y[v * stride + r] (+)= the product of row r of a tile of `columns` columns with the vector at x + v * distance, for a
 * constant number of vectors.
 *
 * Two pointers and a distance address six vectors with no instructions of their own, of which compilers spend one on
 * every third product otherwise. So F16 meets 512 vectors 1.02 times as fast, four columns at a time, and 1.16 times in
 * minutes when the processor has much else to do (Zen 3). */
CK_AVX2 CK_INLINE void ck_multiply_tile_avx2(
    const float *tile, size_t columns, const float *x, size_t distance, size_t vectors, bool adds, float *y,
    size_t stride) {
    __m256 sums[CK_FLOAT_TILE_VECTORS][2];
    CK_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        sums[v][0] = sums[v][1] = _mm256_setzero_ps();
    }
    const float *near = x, *far = x + 3 * distance;
    size_t i = 0;
    for (; i + 4 <= columns; i += 4, near += 4, far += 4) {
        __asm__("" : "+r"(near), "+r"(far)); /* or the one would be computed from the other */
        ck_add_columns_avx2(tile + CK_FLOAT_TILE_ROWS * i, 4, near, far, distance, vectors, sums);
    }
    for (; i < columns; i++, near++, far++) {
        ck_add_columns_avx2(tile + CK_FLOAT_TILE_ROWS * i, 1, near, far, distance, vectors, sums);
    }
    CK_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        float *const out = y + v * stride;
        if (adds) {
            sums[v][0] = _mm256_add_ps(sums[v][0], _mm256_loadu_ps(out));
            sums[v][1] = _mm256_add_ps(sums[v][1], _mm256_loadu_ps(out + 8));
        }
        _mm256_storeu_ps(out, sums[v][0]);
        _mm256_storeu_ps(out + 8, sums[v][1]);
    }
}

/* The same for five vectors or six. A function of its own has all registers. */
CK_AVX2 static __attribute__((noinline)) void ck_multiply_tile_some_avx2(
    const float *tile, size_t columns, const float *x, size_t distance, size_t vectors, bool adds, float *y,
    size_t stride) {
    if (vectors == CK_FLOAT_TILE_VECTORS) {
        ck_multiply_tile_avx2(tile, columns, x, distance, CK_FLOAT_TILE_VECTORS, adds, y, stride);
    } else {
        ck_multiply_tile_avx2(tile, columns, x, distance, CK_FLOAT_TILE_VECTORS - 1, adds, y, stride);
    }
}

/* The same for the first `rows` rows of a tile. */
CK_AVX2 CK_INLINE void ck_multiply_tile_rows_avx2(
    const float *tile, size_t rows, size_t columns, const float *x, size_t distance, size_t vectors, bool adds,
    float *y, size_t stride) {
    if (rows >= CK_FLOAT_TILE_ROWS) {
        ck_multiply_tile_some_avx2(tile, columns, x, distance, vectors, adds, y, stride);
        return;
    }
    float whole[CK_FLOAT_TILE_VECTORS * CK_FLOAT_TILE_ROWS];
    ck_multiply_tile_some_avx2(tile, columns, x, distance, vectors, false, whole, CK_FLOAT_TILE_ROWS);
    for (size_t v = 0; v < vectors; v++) {
        for (size_t r = 0; r < rows; r++) {
            float *const out = y + v * stride + r;
            *out = (adds ? *out : 0) + whole[CK_FLOAT_TILE_ROWS * v + r];
        }
    }
}

/* The products of rows with many vectors, `size` being that of an element. Tiles of some columns of some rows, and the
 * vectors that meet one of these tiles after the other, stay in the second-level cache. */
CK_AVX2 CK_INLINE void ck_multiply_tiled_avx2(
    ck_load_avx2 load, ck_load_scalar load_one, size_t size, CK_GEMM_PARAMETERS) {
    enum { HEIGHT = CK_FLOAT_TILE_ROWS, DEPTH = CK_FLOAT_TILE_COLUMNS, ROWS = CK_FLOAT_TILES * HEIGHT };
    _Alignas(64) float tiles[CK_FLOAT_TILES][HEIGHT * DEPTH];
    /* The next rows are asked for, a few with every group of vectors that meets the first tile. */
    const size_t groups = (vectors + CK_FLOAT_TILE_VECTORS - 1) / CK_FLOAT_TILE_VECTORS;
    const size_t some_rows = (ROWS + groups - 1) / groups;
    for (size_t start = 0; start < columns; start += DEPTH) {
        const size_t depth = columns - start < DEPTH ? columns - start : DEPTH;
        for (size_t first = 0; first < rows; first += ROWS) {
            const size_t count = rows - first < ROWS ? rows - first : ROWS;
            for (size_t r = 0; r < count; r += HEIGHT) {
                const uint8_t *row[HEIGHT];
                for (size_t i = 0; i < HEIGHT; i++) {
                    row[i] = ck_row(weights, row_bytes, first + r + i, rows);
                }
                ck_tile_floats_avx2(load, load_one, row, start, depth, tiles[r / HEIGHT]);
            }
            uintptr_t ahead = (uintptr_t)weights + (first + ROWS) * row_bytes + start * size;
            for (size_t v = 0, end; v < vectors; v = end) {
                end = v + ck_some_vectors(vectors - v, CK_FLOAT_BLOCK);
                for (size_t r = 0; r < count; r += HEIGHT) {
                    for (size_t u = v, some; u < end; u += some) {
                        some = ck_some_vectors(end - u, CK_FLOAT_TILE_VECTORS);
                        for (size_t i = 0; i < some_rows && r == 0; i++, ahead += row_bytes) {
                            ck_prefetch_far(ahead, depth * size);
                        }
                        ck_multiply_tile_rows_avx2(
                            tiles[r / HEIGHT], count - r, depth, x + u * columns + start, columns, some, start > 0,
                            y + u * stride + first + r, stride);
                    }
                }
            }
        }
    }
}

#endif
