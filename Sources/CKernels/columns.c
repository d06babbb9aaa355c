/* Activations as panels take them: vectors side by side, rounded to integers. The 32 columns of a block are eight words
 * of four, with all vectors of a word together:
 *
 *     int8     int8_t  [8 words][n][4]
 *     int16    int8_t  [2: upper, lower][8][n][4], a = 256 * upper + lower, for dot products of bytes
 *              int16_t [8][n][4], columns 0, 2, 1, 3, for AVX2, which has none
 *
 * WIDE_INT8 is int8 with one scale for two blocks. */
#include "registry.h"

#include "isa.h"
#include "rounding.h"

typedef int32_t ints32 __attribute__((vector_size(128)));
typedef int32_t ints16 __attribute__((vector_size(64)));
typedef int8_t bytes32 __attribute__((vector_size(32)));

/* The parameters of ck_pack_columns_fn. */
#define CK_PACK_PARAMETERS                                                                                           \
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales,               \
        int32_t *totals, float *sums

typedef enum form { BYTES, PLANES, SHORTS } form;

/* Writes eight words of `size` bytes, n words apart. */
CK_INLINE void store_words(size_t size, const void *words, size_t n, uint8_t *out) {
    for (size_t j = 0; j < 8; j++) {
        memcpy(out + size * n * j, (const uint8_t *)words + size * j, size);
    }
}

/* Writes 32 integers as the words of vector t of n. */
CK_INLINE void store(form form, const ints32 *rounded, size_t n, size_t t, uint8_t *out) {
    if (form == SHORTS) {
        const ints16 low = __builtin_shufflevector(
            *rounded, *rounded, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29);
        const ints16 high = __builtin_shufflevector(
            *rounded, *rounded, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
        const ints16 pairs = (low & 0xffff) | high << 16;
        store_words(8, &pairs, n, out + 8 * t);
        return;
    }
    if (form == PLANES) {
        const bytes32 upper = __builtin_convertvector((*rounded + 128) >> 8, bytes32);
        store_words(4, &upper, n, out + 4 * t);
        out += 32 * n;
    }
    const bytes32 lower = __builtin_convertvector(*rounded, bytes32);
    store_words(4, &lower, n, out + 4 * t);
}

/* Block by block, all vectors of one: what lies side by side is written while the cache has it. */
CK_INLINE void pack(form form, CK_PACK_PARAMETERS) {
    const float limit = form == BYTES ? 127 : 127 * 256;
    uint8_t *block = values;
    for (size_t c = 0; c < columns / 32; c++, block += (form == BYTES ? 32 : 64) * n) {
        for (size_t t = 0; t < n; t++) {
            ck_rounded rounded;
            ck_round_activations(2, x + (t < rows ? t : rows - 1) * stride + 32 * c, limit, &rounded);
            ints32 integers;
            memcpy(&integers, rounded.values, sizeof integers);
            store(form, &integers, n, t, block);
            const float scale = rounded.scale;
            const int32_t *const half = rounded.sums, both = half[0] + half[1];
            const size_t whole = c * n + t, first = (columns / 32 + 2 * c) * n + t;
            scales[whole] = scale;
            totals[whole] = -128 * both;
            totals[first] = -128 * half[0];
            totals[first + n] = -128 * half[1];
            sums[whole] = scale * (float)both;
            sums[first] = scale * (float)half[0];
            sums[first + n] = scale * (float)half[1];
        }
    }
}

/* Decode streams all weights through the caches between two vectors: what is read and written here has left them. */
CK_INLINE void prefetch_columns(
    size_t columns, size_t value_bytes, const float *x, const void *values, const float *scales, const int32_t *totals,
    const float *sums) {
    ck_prefetch((uintptr_t)x, 4 * columns);
    ck_prefetch((uintptr_t)values, value_bytes);
    ck_prefetch((uintptr_t)scales, columns / 8);
    ck_prefetch((uintptr_t)totals, 3 * columns / 8);
    ck_prefetch((uintptr_t)sums, 3 * columns / 8);
}

#define DEFINE(FORM, S, TARGET)                                                                                      \
    TARGET static void pack_##FORM##_##S(CK_PACK_PARAMETERS) {                                                       \
        /* One vector, the case of decode, where nothing is scattered: a function of its own for the compiler. */      \
        if (n == 1) {                                                                                                \
            prefetch_columns(columns, (FORM == BYTES ? 1 : 2) * columns, x, values, scales, totals, sums);           \
            pack(FORM, x, stride, 1, columns, 1, values, scales, totals, sums);                                      \
        } else {                                                                                                     \
            pack(FORM, x, stride, rows, columns, n, values, scales, totals, sums);                                   \
        }                                                                                                            \
    }

DEFINE(BYTES, scalar, CK_SCALAR)
DEFINE(PLANES, scalar, CK_SCALAR)
#if defined(__x86_64__)
DEFINE(BYTES, avx2, CK_AVX2)
DEFINE(PLANES, avx2, CK_AVX2)
DEFINE(SHORTS, avx2, CK_AVX2)
DEFINE(BYTES, avx512, CK_AVX512)
DEFINE(PLANES, avx512, CK_AVX512)

/* Two integers of 16 bits in the place of a float. */
CK_INLINE void put_pair(const int32_t pair[2], float *out) {
    const uint32_t bits = ((uint32_t)pair[0] & 0xffff) | (uint32_t)pair[1] << 16;
    memcpy(out, &bits, sizeof bits);
}

/* As `pack`, for WIDE_INT8: 64 columns are 16 words that follow one another, as those of two blocks do. */
CK_AVX512 static void pack_wide_avx512(CK_PACK_PARAMETERS) {
    uint8_t *block = values;
    for (size_t c = 0; c < columns / 64; c++, block += 64 * n) {
        for (size_t t = 0; t < n; t++) {
            ck_rounded rounded;
            ck_round_activations(4, x + (t < rows ? t : rows - 1) * stride + 64 * c, 127, &rounded);
            int32_t halves[2];
            for (size_t half = 0; half < 2; half++) {
                ints32 integers;
                memcpy(&integers, rounded.values + 2 * half, sizeof integers);
                store(BYTES, &integers, n, t, block + 32 * half * n);
                const int32_t *const sixteens = rounded.sums + 2 * half;
                const size_t place = 2 * c + half;
                halves[half] = sixteens[0] + sixteens[1];
                totals[place * n + t] = -128 * halves[half];
                totals[(columns / 32 + 2 * place) * n + t] = -128 * sixteens[0];
                totals[(columns / 32 + 2 * place + 1) * n + t] = -128 * sixteens[1];
                put_pair(sixteens, sums + (columns / 64 + place) * n + t);
            }
            put_pair(halves, sums + c * n + t);
            scales[c * n + t] = rounded.scale;
        }
    }
}
#endif

ck_pack_columns_fn ck_pack_columns(ck_precision precision, ck_isa isa) {
    /* What an instruction set packs is what its panels take. */
    static const ck_pack_columns_fn table[CK_ISA_COUNT][CK_PRECISION_COUNT] = {
        [CK_ISA_SCALAR] = {NULL, pack_PLANES_scalar, pack_BYTES_scalar},
#if defined(__x86_64__)
        [CK_ISA_AVX2] = {NULL, pack_SHORTS_avx2, pack_BYTES_avx2},
        [CK_ISA_AVXVNNI] = {NULL, pack_PLANES_avx2, pack_BYTES_avx2},
        [CK_ISA_AVX512VNNI] = {NULL, pack_PLANES_avx512, pack_BYTES_avx512, pack_wide_avx512},
#endif
    };
    while (table[isa][precision] == NULL && isa != CK_ISA_SCALAR) {
        isa = ck_isa_fallback(isa);
    }
    return table[isa][precision];
}
