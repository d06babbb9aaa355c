/* Products of the tiles of amx_bf16.h, and the activations that meet them. */
#include "amx_bf16.h"

#include "registry.h"

#if defined(__x86_64__)

CK_AMX void ck_amx_bf16_pack_columns(
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales, int32_t *totals,
    float *sums) {
    (void)scales;
    (void)totals;
    (void)sums;
    for (size_t t = 0; t < n; t++) {
        const float *const vector = x + (t < rows ? t : rows - 1) * stride;
        uint8_t *const out = (uint8_t *)values + 64 * t;
        for (size_t i = 0; i < columns; i += CK_AMX_BF16_COLUMNS) {
            const __m512 first = _mm512_loadu_ps(vector + i), second = _mm512_loadu_ps(vector + i + 16);
            _mm512_storeu_si512(out + 2 * n * i, (__m512i)_mm512_cvtne2ps_pbh(second, first));
        }
    }
}

/* ---- Products --------------------------------------------------------------------------------- */

/* What is asked for ahead of use: `lines` cache lines with each 32 columns. */
typedef struct ahead {
    uintptr_t address;
    size_t lines;
} ahead;

/* Registers 0 and 1 gain the products of one tile, or two, with the first sixteen vectors, 2 and 3 those with the
 * others. A product waits for the one before it on the same sums, for as long as three products take: with two tiles
 * the matrices are always busy. */
CK_AMX CK_INLINE void multiply_columns(
    bool has_two, size_t columns, const uint8_t *tile, const uint8_t *values, ahead *next) {
    const uint8_t *const second = tile + 2 * CK_PANEL_ROWS * columns;
    for (size_t k = 0; k < columns / CK_AMX_BF16_COLUMNS; k++, values += 2 * CK_AMX_BF16_BYTES) {
        _tile_loadd(4, values, 64);
        _tile_loadd(6, tile + k * CK_AMX_BF16_BYTES, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (has_two) {
            _tile_loadd(7, second + k * CK_AMX_BF16_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        _tile_loadd(5, values + CK_AMX_BF16_BYTES, 64);
        _tile_dpbf16ps(2, 5, 6);
        if (has_two) {
            _tile_dpbf16ps(3, 5, 7);
        }
        /* The first-level cache has no room for what comes so much later. */
        ck_prefetch_far(next->address, 64 * next->lines);
        next->address += 64 * next->lines;
    }
}

/* y of one tile or two. */
CK_AMX CK_INLINE void multiply(
    bool has_two, const uint8_t *tile, size_t columns, const ck_columns *x, ahead *next, float *y, size_t stride) {
    float *const others = y + CK_AMX_VECTORS / 2 * stride;
    if (x->adds) {
        _tile_loadd(0, y, 4 * stride);
        _tile_loadd(2, others, 4 * stride);
        if (has_two) {
            _tile_loadd(1, y + CK_PANEL_ROWS, 4 * stride);
            _tile_loadd(3, others + CK_PANEL_ROWS, 4 * stride);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    multiply_columns(has_two, columns, tile, x->values, next);
    _tile_stored(0, y, 4 * stride);
    _tile_stored(2, others, 4 * stride);
    if (has_two) {
        _tile_stored(1, y + CK_PANEL_ROWS, 4 * stride);
        _tile_stored(3, others + CK_PANEL_ROWS, 4 * stride);
    }
}

CK_AMX void ck_amx_bf16_tiles(
    const void *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride) {
    const uint8_t *const first = tiles;
    const size_t bytes = 2 * CK_PANEL_ROWS * columns, pairs = count / 2;
    ahead next = {(uintptr_t)x->next, x->next == NULL || pairs == 0 ? 0 : (CK_AMX_VECTORS + pairs - 1) / pairs};
    ck_amx_configure();
    for (size_t i = 0; i < 2 * pairs; i += 2) {
        multiply(true, first + i * bytes, columns, x, &next, y + CK_PANEL_ROWS * i, stride);
    }
    if (count % 2 != 0) {
        next.lines = 0;
        multiply(false, first + (count - 1) * bytes, columns, x, &next, y + CK_PANEL_ROWS * (count - 1), stride);
    }
    /* What the system saves of a thread is 8 KiB less without it. */
    _tile_release();
}

CK_AMX void ck_amx_bf16_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    ck_amx_bf16_tiles(tile, 1, columns, x, y, stride);
}

#endif
