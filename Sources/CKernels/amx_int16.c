/* Products of the tiles of amx_int16.h, and the activations that meet them. */
#include "amx_int16.h"

#include "registry.h"

#if defined(__x86_64__)

/* ---- Activations ------------------------------------------------------------------------------ */

/* The scale of up to 256 activations, and what they are multiplied with. As elsewhere, magnitudes below 2^-100 count as
 * zero, and where one is no number the scale is none. */
CK_AVX512 CK_INLINE float find_scale(const float *x, size_t columns, float *reciprocal) {
    __m512i largest = _mm512_setzero_si512();
    for (size_t i = 0; i < columns; i += 16) {
        /* Without their sign bits floats order as integers do. */
        const __m512i magnitude = _mm512_and_si512(_mm512_loadu_si512(x + i), _mm512_set1_epi32(0x7fffffff));
        largest = _mm512_max_epi32(largest, magnitude);
    }
    const float most = ck_float((uint32_t)_mm512_reduce_max_epi32(largest));
    *reciprocal = most >= 0x1p-100f && most <= 0x1.fffffep127f ? CK_AMX_INT16_LIMIT / most : 0;
    return most < 0x1p-100f ? 0 : most / CK_AMX_INT16_LIMIT + 0 * most;
}

CK_AVX512 void ck_amx_int16_pack_columns(
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales, int32_t *totals,
    float *sums) {
    int8_t *out = values;
    (void)totals;
    (void)sums;
    for (size_t first = 0; first < columns; first += CK_AMX_INT16_BLOCK, scales += n) {
        const size_t count = columns - first < CK_AMX_INT16_BLOCK ? columns - first : CK_AMX_INT16_BLOCK;
        for (size_t t = 0; t < n; t++) {
            const float *const vector = x + (t < rows ? t : rows - 1) * stride + first;
            float factor;
            scales[t] = find_scale(vector, count, &factor);
            int8_t *const row = out + t / 16 * 2 * CK_AMX_INT16_PLANE + t % 16 * CK_AMX_INT16_COLUMNS;
            for (size_t i = 0; i < count; i += 16) {
                const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(vector + i), _mm512_set1_ps(factor));
                const __m512i integers = _mm512_cvtps_epi32(scaled);
                const __m512i upper = _mm512_srai_epi32(_mm512_add_epi32(integers, _mm512_set1_epi32(128)), 8);
                int8_t *const place = row + i / CK_AMX_INT16_COLUMNS * 2 * CK_AMX_INT16_PLANE * (n / 16) +
                                      i % CK_AMX_INT16_COLUMNS;
                _mm_storeu_si128((void *)place, _mm512_cvtepi32_epi8(upper));
                _mm_storeu_si128((void *)(place + CK_AMX_INT16_PLANE), _mm512_cvtepi32_epi8(integers));
            }
        }
        out += count / CK_AMX_INT16_COLUMNS * 2 * CK_AMX_INT16_PLANE * (n / 16);
    }
}

/* ---- Products --------------------------------------------------------------------------------- */

/* Tiles that share a block of activations while the first-level cache has it. */
#define TILES 8

/* Products that have left their registers and are still to be scaled:
 *
 *     results += scales of weights * scales of vectors * (256 * upper + lower)
 *
 * where `sums` are those of upper and of lower planes, for sixteen vectors after sixteen. */
typedef struct pending {
    const int32_t *sums;
    const float *weight_scales, *scales;
    float *results;
} pending;

/* Takes the vectors from `first` on to before `end` out of `last`. `lower` planes of sixteen vectors have two registers
 * where there are sixteen in all. */
CK_AVX512 CK_INLINE void add_products(size_t vectors, const pending *last, size_t first, size_t end) {
    const __m512 weight_scale = _mm512_load_ps(last->weight_scales);
    for (size_t t = first; t < end; t++) {
        const int32_t *const sums = last->sums + t / 16 * 512 + t % 16 * 16;
        __m512i lower = _mm512_load_si512(sums + 256);
        if (vectors == 16) {
            lower = _mm512_add_epi32(lower, _mm512_load_si512(sums + 512));
        }
        const __m512i all = _mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(sums), 8), lower);
        const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(all), _mm512_set1_ps(256 * last->scales[t]));
        const __m512 results = _mm512_load_ps(last->results + 16 * t);
        _mm512_store_ps(last->results + 16 * t, _mm512_fmadd_ps(product, weight_scale, results));
    }
}

/* The products of `steps` times 64 columns of a tile with 32 vectors, two registers each, or with sixteen, three: with
 * fewer a chain of products would wait for itself. While the matrices are at work, vectors take what is pending. */
CK_AMX CK_INLINE void multiply_block(
    size_t vectors, size_t steps, const uint8_t *words, const uint8_t *values, const pending *last) {
    const size_t share = vectors * CK_AMX_INT16_COLUMNS / CK_AMX_INT16_BLOCK;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < steps; k++) {
        _tile_loadd(6, words, 64);
        _tile_loadd(4, values, 64);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, words + CK_AMX_INT16_PLANE, 64);
        _tile_dpbssd(1, 4, 7);
        if (vectors == 16) {
            _tile_loadd(5, values + CK_AMX_INT16_PLANE, 64);
            _tile_dpbssd(2, 5, 6);
        } else {
            _tile_loadd(5, values + 2 * CK_AMX_INT16_PLANE, 64);
            _tile_dpbssd(2, 5, 6);
            _tile_loadd(4, values + CK_AMX_INT16_PLANE, 64);
            _tile_dpbssd(1, 4, 6);
            _tile_dpbssd(3, 5, 7);
            _tile_loadd(5, values + 3 * CK_AMX_INT16_PLANE, 64);
            _tile_dpbssd(3, 5, 6);
        }
        if (last->sums != NULL) {
            add_products(vectors, last, k * share, (k + 1) * share);
        }
        words += 2 * CK_AMX_INT16_PLANE;
        values += vectors * 128;
    }
    if (last->sums != NULL) {
        add_products(vectors, last, steps * share, vectors);
    }
}

/* y of up to TILES tiles, `bytes` each. */
CK_AMX CK_INLINE void multiply(
    size_t vectors, const uint8_t *tiles, size_t bytes, size_t count, size_t columns, const ck_columns *x, float *y,
    size_t stride) {
    _Alignas(64) float results[TILES][CK_AMX_VECTORS * 16];
    _Alignas(64) int32_t sums[2][4 * 256];
    const uint8_t *values = x->values;
    const float *scales = x->scales;
    pending last = {NULL, NULL, NULL, NULL};
    int number = 0; /* of the sums that are not pending */
    memset(results, 0, count * sizeof results[0]);
    for (size_t first = 0; first < columns; first += CK_AMX_INT16_BLOCK, scales += vectors) {
        const size_t left = columns - first;
        const size_t steps = (left < CK_AMX_INT16_BLOCK ? left : CK_AMX_INT16_BLOCK) / CK_AMX_INT16_COLUMNS;
        for (size_t i = 0; i < count; i++, number ^= 1) {
            const uint8_t *const block = tiles + i * bytes;
            multiply_block(vectors, steps, block + 64, values, &last);
            int32_t *const spare = sums[number];
            _tile_stored(0, spare, 64);
            _tile_stored(1, spare + 256, 64);
            _tile_stored(2, spare + 512, 64);
            if (vectors == CK_AMX_VECTORS) {
                _tile_stored(3, spare + 768, 64);
            }
            last = (pending){spare, (const float *)block, scales, results[i]};
        }
        tiles += 64 + steps * 2 * CK_AMX_INT16_PLANE;
        values += steps * vectors * 128;
    }
    add_products(vectors, &last, 0, vectors);
    for (size_t t = 0; t < vectors; t++) {
        for (size_t i = 0; i < count; i++) {
            memcpy(y + t * stride + 16 * i, results[i] + 16 * t, 64);
        }
    }
}

CK_AMX CK_INLINE void multiply_all(
    size_t vectors, const uint8_t *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride) {
    const size_t bytes = ck_amx_int16_tile_bytes(columns);
    ck_amx_configure();
    for (size_t i = 0; i < count; i += TILES) {
        multiply(
            vectors, tiles + i * bytes, bytes, count - i < TILES ? count - i : TILES, columns, x, y + 16 * i, stride);
    }
    /* What the system saves of a thread is 8 KiB less without it. */
    _tile_release();
}

CK_AMX void ck_amx_int16_tiles(
    const void *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride) {
    multiply_all(CK_AMX_VECTORS, tiles, count, columns, x, y, stride);
}

CK_AMX void ck_amx_int16_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    multiply_all(CK_AMX_VECTORS, tile, 1, columns, x, y, stride);
}

CK_AMX void ck_amx_int16_narrow_tile(const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {
    multiply_all(CK_AMX_VECTORS / 2, tile, 1, columns, x, y, stride);
}

#endif
