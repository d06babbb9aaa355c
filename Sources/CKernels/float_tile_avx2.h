/* Products of rows of floats with many vectors on AVX2: rows become tiles of floats, column by column, in the
 * first-level cache, and a product of a column with an element of a vector adds to sixteen results.
 *
 * float_group.h loads as much for as many products, but its rows and its vectors are together more than that cache
 * holds. */
#pragma once

#include "float_rows.h"
#include "panel.h"

#if defined(__x86_64__)

/* The parameters of ck_tiled_fn, and their names. */
#define CK_TILED_PARAMETERS                                                                                   \
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const float *slabs, size_t vectors,   \
        float *y, size_t stride, float *tiles
#define CK_TILED_ARGUMENTS weights, row_bytes, rows, columns, slabs, vectors, y, stride, tiles

/* Rows of a tile, in two registers for each column, which has the columns of a slab: with those of a group of vectors
 * they fill two thirds of a cache of 32 KiB. */
#define CK_FLOAT_TILE_ROWS 16

/* Tiles, and groups of vectors, that stay in the second-level cache: 64 KiB and 96 KiB. */
#define CK_FLOAT_TILES 4
#define CK_FLOAT_GROUPS 16
_Static_assert(CK_FLOAT_TILES * CK_FLOAT_TILE_ROWS * CK_SLAB_COLUMNS == CK_TILED_FLOATS, "tiles of another size");

/* From so many vectors on tiles make up for what it takes to turn rows into them: the fewer, the more the other way
 * waits for wide elements. */
#define CK_LEAST_TILED_F32 10
#define CK_LEAST_TILED_F16 40
_Static_assert(CK_LEAST_TILED_F32 >= 8 && CK_SLAB_VECTORS == 6, "groups have other than four, five or six vectors");

/* Columns start to start + columns - 1 of the rows of a tile, whose elements have `size` bytes -> its floats, column by
 * column.
 *
 * Eight rows are read cache line by cache line: sixteen that lie 4 KiB apart, as F16 of 2048 columns do, would push
 * each other out of a cache of eight ways before all of a line is used, and take 1.7 times as long (Zen 3). */
CK_AVX2 CK_INLINE void ck_tile_floats_avx2(
    ck_load_avx2 load, ck_load_scalar load_one, size_t size, const uint8_t *const row[CK_FLOAT_TILE_ROWS],
    size_t start, size_t columns, float *tile) {
    const size_t line = 64 / size;
    size_t i = 0;
    for (; i + line <= columns; i += line) {
        for (size_t first = 0; first < CK_FLOAT_TILE_ROWS; first += 8) {
            for (size_t j = i; j < i + line; j += 8) {
                ck_words8 eight_rows[8], eight_columns[8];
                CK_UNROLL
                for (size_t r = 0; r < 8; r++) {
                    eight_rows[r] = (ck_words8)load(row[first + r], start + j);
                }
                ck_transpose_words(eight_rows, eight_columns);
                CK_UNROLL
                for (size_t k = 0; k < 8; k++) {
                    _mm256_store_ps(tile + CK_FLOAT_TILE_ROWS * (j + k) + first, (__m256)eight_columns[k]);
                }
            }
        }
    }
    for (; i < columns; i++) {
        for (size_t r = 0; r < CK_FLOAT_TILE_ROWS; r++) {
            tile[CK_FLOAT_TILE_ROWS * i + r] = load_one(row[r], start + i);
        }
    }
}

/* sums[v] += the products of `columns` columns of a tile with vector v of a group, for constant numbers of columns and
 * vectors. */
CK_AVX2 CK_INLINE void ck_add_columns_avx2(
    const float *tile, size_t columns, const float *group, size_t vectors, __m256 sums[CK_SLAB_VECTORS][2]) {
    CK_UNROLL
    for (size_t i = 0; i < columns; i++) {
        const __m256 low = _mm256_load_ps(tile + CK_FLOAT_TILE_ROWS * i);
        const __m256 high = _mm256_load_ps(tile + CK_FLOAT_TILE_ROWS * i + 8);
        CK_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const __m256 element = _mm256_broadcast_ss(group + i * vectors + v);
            sums[v][0] = _mm256_fmadd_ps(low, element, sums[v][0]);
            sums[v][1] = _mm256_fmadd_ps(high, element, sums[v][1]);
        }
    }
}

/* y[v * stride + r] (+)= the product of row r of a tile of `columns` columns with vector v of a group, for a constant
 * number of vectors. */
CK_AVX2 CK_INLINE void ck_multiply_group_avx2(
    const float *tile, size_t columns, const float *group, size_t vectors, bool adds, float *y, size_t stride) {
    __m256 sums[CK_SLAB_VECTORS][2];
    CK_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        sums[v][0] = sums[v][1] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 4 <= columns; i += 4) {
        ck_add_columns_avx2(tile + CK_FLOAT_TILE_ROWS * i, 4, group + vectors * i, vectors, sums);
    }
    for (; i < columns; i++) {
        ck_add_columns_avx2(tile + CK_FLOAT_TILE_ROWS * i, 1, group + vectors * i, vectors, sums);
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

/* The same for any group. A function of its own has all registers. */
CK_AVX2 static __attribute__((noinline)) void ck_multiply_some_avx2(
    const float *tile, size_t columns, const float *group, size_t vectors, bool adds, float *y, size_t stride) {
    switch (vectors) {
    case 4: ck_multiply_group_avx2(tile, columns, group, 4, adds, y, stride); break;
    case 5: ck_multiply_group_avx2(tile, columns, group, 5, adds, y, stride); break;
    default: ck_multiply_group_avx2(tile, columns, group, CK_SLAB_VECTORS, adds, y, stride);
    }
}

/* The same for the first `rows` rows of a tile. */
CK_AVX2 CK_INLINE void ck_multiply_tile_rows_avx2(
    const float *tile, size_t rows, size_t columns, const float *group, size_t vectors, bool adds, float *y,
    size_t stride) {
    if (rows >= CK_FLOAT_TILE_ROWS) {
        ck_multiply_some_avx2(tile, columns, group, vectors, adds, y, stride);
        return;
    }
    float whole[CK_SLAB_VECTORS * CK_FLOAT_TILE_ROWS];
    ck_multiply_some_avx2(tile, columns, group, vectors, false, whole, CK_FLOAT_TILE_ROWS);
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
    ck_load_avx2 load, ck_load_scalar load_one, size_t size, CK_TILED_PARAMETERS) {
    enum { HEIGHT = CK_FLOAT_TILE_ROWS, TILE = HEIGHT * CK_SLAB_COLUMNS, ROWS = CK_FLOAT_TILES * HEIGHT };
    /* The next rows are asked for, a few with every group of vectors that meets the first tile. */
    const size_t groups = (vectors + CK_SLAB_VECTORS - 1) / CK_SLAB_VECTORS;
    const size_t some_rows = (ROWS + groups - 1) / groups;
    for (size_t start = 0; start < columns; start += CK_SLAB_COLUMNS) {
        const size_t depth = columns - start < CK_SLAB_COLUMNS ? columns - start : CK_SLAB_COLUMNS;
        const float *const slab = slabs + start * vectors;
        for (size_t first = 0; first < rows; first += ROWS) {
            const size_t count = rows - first < ROWS ? rows - first : ROWS;
            for (size_t r = 0; r < count; r += HEIGHT) {
                const uint8_t *row[HEIGHT];
                for (size_t i = 0; i < HEIGHT; i++) {
                    row[i] = ck_row(weights, row_bytes, first + r + i, rows);
                }
                ck_tile_floats_avx2(load, load_one, size, row, start, depth, tiles + r / HEIGHT * TILE);
            }
            uintptr_t ahead = (uintptr_t)weights + (first + ROWS) * row_bytes + start * size;
            for (size_t v = 0, end = 0; v < vectors; v = end) {
                for (size_t r = 0; r < count; r += HEIGHT) {
                    end = v;
                    for (size_t g = 0, some; g < CK_FLOAT_GROUPS && end < vectors; g++, end += some) {
                        some = ck_some_vectors(vectors - end, CK_SLAB_VECTORS);
                        for (size_t i = 0; i < some_rows && r == 0; i++, ahead += row_bytes) {
                            ck_prefetch_far(ahead, depth * size);
                        }
                        ck_multiply_tile_rows_avx2(
                            tiles + r / HEIGHT * TILE, count - r, depth, slab + end * depth, some, start > 0,
                            y + end * stride + first + r, stride);
                    }
                }
            }
        }
    }
}

/* Defines tiled_avx2 from the arguments of ck_multiply_tiled_avx2 that come before CK_TILED_PARAMETERS. */
#define CK_TILED_PRODUCTS_AVX2(...)                              \
    CK_AVX2 static void tiled_avx2(CK_TILED_PARAMETERS) {        \
        ck_multiply_tiled_avx2(__VA_ARGS__, CK_TILED_ARGUMENTS); \
    }

#endif
