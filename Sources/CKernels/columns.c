/* Activations as panels take them: vectors side by side, rounded to integers. The 32 columns of a block are eight words
 * of four, with all vectors of a word together:
 *
 *     int8     int8_t  [8 words][n][4]
 *              uint8_t [8][n][4], a + 128, for RAISED_INT8, and for WIDE_INT8 on AVX2: what meets signed words there
 *     int16    int8_t  [2: upper, lower][8][n][4], a = 256 * upper + lower, for dot products of bytes
 *              int16_t [8][n][4], columns 0, 2, 1, 3, for AVX2, which has none
 *
 * Those for AMX are packed in amx_int16.c and amx_bf16.c. WIDE_INT8 is int8 with one scale for two blocks, PAIRED_INT8
 * int8 whose scales are integers of 16 bits; INT11 is int16 for AVX2, up to 1023, with one scale for two blocks too.
 * SPLIT_INT16 is int16 as bytes on AVX2, whose panels meet them faster where words have less than eight bits; tiles do
 * not. */
#include "registry.h"

#include "amx_bf16.h"
#include "amx_int16.h"
#include "isa.h"
#include "paired_tile.h"
#include "rounding.h"

typedef int32_t ints16 __attribute__((vector_size(64)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef int8_t bytes16 __attribute__((vector_size(16)));

/* The parameters of ck_pack_columns_fn. */
#define CK_PACK_PARAMETERS                                                                                           \
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales,               \
        int32_t *totals, float *sums

/* Those of one byte come first. */
typedef enum form { BYTES, RAISED, PLANES, SHORTS } form;

/* The largest integer of a form, and the bytes of 32 of them. */
CK_INLINE float limit_of(form form) {
    return form < PLANES ? 127 : 127 * 256;
}

CK_INLINE size_t bytes_of(form form) {
    return form < PLANES ? 32 : 64;
}

/* ---- Words ------------------------------------------------------------------------------------ */

/* 32 integers as eight words of four bytes: of their lower bytes, or of the upper ones. */
CK_INLINE void take_bytes(const ints16 values[2], bool upper, ints8 *words) {
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        const ints16 all = upper ? (values[half] + 128) >> 8 : values[half];
        const bytes16 narrow = __builtin_convertvector(all, bytes16);
        memcpy((uint8_t *)words + 16 * half, &narrow, sizeof narrow);
    }
}

/* 32 integers as eight words of eight bytes. */
CK_INLINE void take_shorts(const ints16 values[2], uint8_t words[64]) {
    CK_UNROLL
    for (int half = 0; half < 2; half++) {
        const ints16 v = values[half];
        const ints8 first = __builtin_shufflevector(v, v, 0, 1, 4, 5, 8, 9, 12, 13);
        const ints8 second = __builtin_shufflevector(v, v, 2, 3, 6, 7, 10, 11, 14, 15);
        const ints8 pairs = (first & 0xffff) | second << 16;
        memcpy(words + 32 * half, &pairs, sizeof pairs);
    }
}

/* Writes eight words of each of four blocks: those with the same number side by side, and 4 * n bytes from one number
 * to the next. */
CK_INLINE void store_columns(const ints8 words[4], size_t n, uint8_t *out) {
    ints16 pairs[2], all[2];
    CK_UNROLL
    for (int i = 0; i < 2; i++) {
        pairs[i] = __builtin_shufflevector(
            words[2 * i], words[2 * i + 1], 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    }
    all[0] = __builtin_shufflevector(
        pairs[0], pairs[1], 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    all[1] = __builtin_shufflevector(
        pairs[0], pairs[1], 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
    CK_UNROLL
    for (size_t j = 0; j < 8; j++) {
        memcpy(out + 4 * n * j, (const uint8_t *)all + 16 * j, 16);
    }
}

/* Writes 32 integers of each of four vectors, of n, whose words begin at `out`. */
CK_INLINE void store(form form, const ck_rounded *rounded, int first, size_t n, uint8_t *out) {
    ints8 words[4];
    if (form == SHORTS) {
        CK_UNROLL
        for (size_t t = 0; t < 4; t++) {
            uint8_t shorts[64];
            take_shorts(rounded->values[t] + first, shorts);
            CK_UNROLL
            for (size_t j = 0; j < 8; j++) {
                memcpy(out + 8 * (n * j + t), shorts + 8 * j, 8);
            }
        }
        return;
    }
    if (form == PLANES) {
        CK_UNROLL
        for (size_t t = 0; t < 4; t++) {
            take_bytes(rounded->values[t] + first, true, &words[t]);
        }
        store_columns(words, n, out);
        out += 32 * n;
    }
    CK_UNROLL
    for (size_t t = 0; t < 4; t++) {
        take_bytes(rounded->values[t] + first, false, &words[t]);
        if (form == RAISED) {
            words[t] ^= (int32_t)0x80808080;
        }
    }
    store_columns(words, n, out);
}

/* ---- Vectors side by side --------------------------------------------------------------------- */

/* Four numbers, one for each vector. */
#define PUT_FOUR(value, address)                                                                                     \
    do {                                                                                                             \
        const __typeof__(value) four = value;                                                                        \
        memcpy(address, &four, sizeof four);                                                                         \
    } while (0)

/* -128 times the sums of four times 32 columns, and of their halves. */
CK_INLINE void put_totals(
    const ck_four_integers halves[2], size_t c, size_t t, size_t n, size_t columns, int32_t *totals) {
    PUT_FOUR(-128 * (halves[0] + halves[1]), totals + c * n + t);
    PUT_FOUR(-128 * halves[0], totals + (columns / 32 + 2 * c) * n + t);
    PUT_FOUR(-128 * halves[1], totals + (columns / 32 + 2 * c + 1) * n + t);
}

/* Block by block, all vectors of one: what lies side by side is written while the cache has it. */
CK_INLINE void pack(form form, CK_PACK_PARAMETERS) {
    uint8_t *block = values;
    for (size_t c = 0; c < columns / 32; c++, block += bytes_of(form) * n) {
        ck_fours all;
        ck_take_fours(2, x + 32 * c, stride, rows, n, limit_of(form), &all);
        for (size_t i = 0; i < (n + 3) / 4; i++) {
            const size_t t = ck_first_of_four(i, n);
            const ck_four_floats scale = all.rounding[i].scale;
            ck_rounded rounded;
            ck_round(2, all.start[i], &all.rounding[i], &rounded);
            store(form, &rounded, 0, n, block + (form == SHORTS ? 8 : 4) * t);
            put_totals(rounded.sums, c, t, n, columns, totals);
            const ck_four_floats first = __builtin_convertvector(rounded.sums[0], ck_four_floats);
            const ck_four_floats second = __builtin_convertvector(rounded.sums[1], ck_four_floats);
            PUT_FOUR(scale, scales + c * n + t);
            PUT_FOUR(scale * (first + second), sums + c * n + t);
            PUT_FOUR(scale * first, sums + (columns / 32 + 2 * c) * n + t);
            PUT_FOUR(scale * second, sums + (columns / 32 + 2 * c + 1) * n + t);
        }
    }
}

/* ---- One vector, or two ------------------------------------------------------------------------ */

/* The first `count` of four numbers, or of four pairs of them. */
#define PUT_SOME(count, value, address)                                                                              \
    do {                                                                                                             \
        const __typeof__(value) four = value;                                                                        \
        if ((count) == 4) {                                                                                          \
            memcpy(address, &four, sizeof four);                                                                     \
        } else {                                                                                                     \
            memcpy(address, &four, sizeof four / 4 * (count));                                                       \
        }                                                                                                            \
    } while (0)

/* 32 integers of a vector that has no other beside it. */
CK_INLINE void store_one(form form, const ints16 values[2], uint8_t *out) {
    ints8 words[2];
    if (form == SHORTS) {
        uint8_t shorts[64];
        take_shorts(values, shorts);
        memcpy(out, shorts, sizeof shorts);
    } else if (form == PLANES) {
        take_bytes(values, true, &words[0]);
        take_bytes(values, false, &words[1]);
        const ints16 both = __builtin_shufflevector(
            words[0], words[1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        memcpy(out, &both, sizeof both);
    } else {
        take_bytes(values, false, words);
        memcpy(out, words, sizeof *words);
    }
}

/* 32 integers of each of two vectors: words of the one and of the other by turns. */
CK_INLINE void store_two(form form, const ck_rounded *rounded, int first, uint8_t *out) {
    typedef int64_t longs8 __attribute__((vector_size(64)));
    const ints16 *const values[2] = {rounded->values[first], rounded->values[first + 1]};
    if (form == SHORTS) {
        longs8 words[2];
        take_shorts(values[0], (uint8_t *)&words[0]);
        take_shorts(values[1], (uint8_t *)&words[1]);
        const longs8 start = __builtin_shufflevector(words[0], words[1], 0, 8, 1, 9, 2, 10, 3, 11);
        const longs8 end = __builtin_shufflevector(words[0], words[1], 4, 12, 5, 13, 6, 14, 7, 15);
        memcpy(out, &start, sizeof start);
        memcpy(out + sizeof start, &end, sizeof end);
        return;
    }
    CK_UNROLL
    for (int plane = form == PLANES ? 0 : 1; plane < 2; plane++) {
        ints8 words[2];
        take_bytes(values[0], plane == 0, &words[0]);
        take_bytes(values[1], plane == 0, &words[1]);
        const ints16 both = __builtin_shufflevector(
            words[0], words[1], 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
        memcpy(out, &both, sizeof both);
        out += sizeof both;
    }
}

/* Numbers of the first sixteen columns and of the second, for four entries, in the order of n vectors. */
#define PUT_HALVES(some, n, first, second, address)                                                                  \
    do {                                                                                                             \
        if ((n) == 1) {                                                                                              \
            PUT_SOME(some, __builtin_shufflevector(first, second, 0, 4, 1, 5, 2, 6, 3, 7), address);                 \
        } else {                                                                                                     \
            PUT_SOME(some, __builtin_shufflevector(first, second, 0, 1, 4, 5, 2, 3, 6, 7), address);                 \
        }                                                                                                            \
    } while (0)

/* As `pack`, for n vectors, 1 or 2: with few stores, see claim_columns. Entries are blocks of all vectors, in the order
 * in which they lie; four of them are rounded at a time. */
CK_INLINE void pack_few(form form, CK_PACK_PARAMETERS) {
    const size_t count = columns / 32 * n;
    for (size_t start = 0; start < count; start += 4 * CK_MOST_FOURS) {
        ck_fours all;
        const size_t left = (count - start + 3) / 4, fours = left < CK_MOST_FOURS ? left : CK_MOST_FOURS;
        for (size_t i = 0; i < 4 * fours; i++) {
            const size_t entry = start + i < count ? start + i : count - 1;
            const size_t row = entry % n < rows ? entry % n : rows - 1;
            all.start[i / 4][i % 4] = x + row * stride + 32 * (entry / n);
        }
        ck_find_roundings(2, fours, limit_of(form), &all);
        for (size_t i = 0; i < fours; i++) {
            const size_t whole = start + 4 * i, half = count + 2 * whole;
            const size_t some = count - whole < 4 ? count - whole : 4;
            ck_rounded rounded;
            ck_round(2, all.start[i], &all.rounding[i], &rounded);
            for (size_t k = 0; k < some; k += n) {
                uint8_t *const out = (uint8_t *)values + bytes_of(form) * (whole + k);
                if (n == 1) {
                    store_one(form, rounded.values[k], out);
                } else {
                    store_two(form, &rounded, (int)k, out);
                }
            }
            const ck_four_integers sum = rounded.sums[0] + rounded.sums[1];
            const ck_four_floats scale = all.rounding[i].scale;
            const ck_four_floats first = scale * __builtin_convertvector(rounded.sums[0], ck_four_floats);
            const ck_four_floats second = scale * __builtin_convertvector(rounded.sums[1], ck_four_floats);
            PUT_SOME(some, scale, scales + whole);
            PUT_SOME(some, -128 * sum, totals + whole);
            PUT_HALVES(some, n, -128 * rounded.sums[0], -128 * rounded.sums[1], totals + half);
            PUT_SOME(some, scale * __builtin_convertvector(sum, ck_four_floats), sums + whole);
            PUT_HALVES(some, n, first, second, sums + half);
        }
    }
}

/* Writes to every cache line once, over what is there. */
CK_INLINE void claim(void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        *((volatile uint8_t *)memory + i) = 0;
    }
}

/* Decode streams all weights through the caches from one token to the next: what is read and written here has left
 * them, or other threads have read it since, who must hear of every line that is written. Where they are on another
 * die, that takes some tenths of a microsecond, and a processor asks for no more lines meanwhile than those of the
 * stores that wait in its queue. With threads on two dies Zen 4 packs one vector of 5504 activations of 16 bits in
 * 13.2 us with a store for each number, in 8.4 with wide ones, and in 4.4 with one store to a line before all others;
 * on one die in 4.1, 2.4 and 2.3 us. */
CK_INLINE void claim_columns(form form, CK_PACK_PARAMETERS) {
    for (size_t row = 0; row < rows; row++) {
        ck_prefetch((uintptr_t)(x + row * stride), 4 * columns);
    }
    const size_t count = columns / 32 * n;
    claim(values, bytes_of(form) * count);
    claim(scales, 4 * count);
    claim(totals, 12 * count);
    claim(sums, 12 * count);
}

#define DEFINE(FORM, S, TARGET)                                                                                      \
    TARGET static void pack_##FORM##_##S(CK_PACK_PARAMETERS) {                                                       \
        if (n > 2) {                                                                                                 \
            pack(FORM, x, stride, rows, columns, n, values, scales, totals, sums);                                   \
            return;                                                                                                  \
        }                                                                                                            \
        claim_columns(FORM, x, stride, rows, columns, n, values, scales, totals, sums);                              \
        if (n == 1) {                                                                                                \
            pack_few(FORM, x, stride, 1, columns, 1, values, scales, totals, sums);                                  \
        } else {                                                                                                     \
            pack_few(FORM, x, stride, rows, columns, 2, values, scales, totals, sums);                               \
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
CK_INLINE ck_four_integers pairs_of(const ck_four_integers pair[2]) {
    return (pair[0] & 0xffff) | pair[1] << 16;
}

/* As `pack`, for WIDE_INT8: 64 columns are 16 words that follow one another, as those of two blocks do. */
CK_INLINE void pack_wide(form form, CK_PACK_PARAMETERS) {
    uint8_t *block = values;
    for (size_t c = 0; c < columns / 64; c++, block += 64 * n) {
        ck_fours all;
        ck_take_fours(4, x + 64 * c, stride, rows, n, limit_of(form), &all);
        for (size_t i = 0; i < (n + 3) / 4; i++) {
            const size_t t = ck_first_of_four(i, n);
            ck_rounded rounded;
            ck_round(4, all.start[i], &all.rounding[i], &rounded);
            ck_four_integers halves[2];
            CK_UNROLL
            for (int half = 0; half < 2; half++) {
                const ck_four_integers *const sixteens = rounded.sums + 2 * half;
                const size_t place = 2 * c + (size_t)half;
                store(form, &rounded, 2 * half, n, block + 32 * (size_t)half * n + 4 * t);
                put_totals(sixteens, place, t, n, columns, totals);
                PUT_FOUR(pairs_of(sixteens), sums + (columns / 64 + place) * n + t);
                halves[half] = sixteens[0] + sixteens[1];
            }
            PUT_FOUR(pairs_of(halves), sums + c * n + t);
            PUT_FOUR(all.rounding[i].scale, scales + c * n + t);
        }
    }
}

/* For PAIRED_INT8. The largest scale of a vector is known when all are: they wait behind `sums` until then. */
CK_AVX512 static void pack_paired_avx512(CK_PACK_PARAMETERS) {
    const size_t count = columns / 32;
    const int32_t half = 1 << CK_PAIRED_SHIFT >> 1;
    uint8_t *block = values;
    float *const unrounded = sums + n;
    ck_four_integers largest[CK_MOST_FOURS];
    for (size_t i = 0; i < (n + 3) / 4; i++) {
        largest[i] = (ck_four_integers){0};
    }
    for (size_t c = 0; c < count; c++, block += 32 * n) {
        ck_fours all;
        ck_take_fours(2, x + 32 * c, stride, rows, n, limit_of(BYTES), &all);
        for (size_t i = 0; i < (n + 3) / 4; i++) {
            const size_t t = ck_first_of_four(i, n);
            ck_rounded rounded;
            ck_round(2, all.start[i], &all.rounding[i], &rounded);
            store(BYTES, &rounded, 0, n, block + 4 * t);
            /* With what rounds sums that are shifted: ties up in one block of a pair, down in the other. */
            PUT_FOUR(-128 * (rounded.sums[0] + rounded.sums[1]) + half - (int32_t)(c % 2), totals + c * n + t);
            PUT_FOUR(all.rounding[i].scale, unrounded + c * n + t);
            /* NaN, the scale of what has no integers, is the largest. */
            largest[i] = CK_LARGER(largest[i], (ck_four_integers)all.rounding[i].scale);
        }
    }
    for (size_t i = 0; i < (n + 3) / 4; i++) {
        const size_t t = ck_first_of_four(i, n);
        const ck_four_floats unit = (ck_four_floats)largest[i], nearest = (ck_four_floats){0} + 0x1.8p23f;
        /* Scales are zero, or above the smallest whose factor is finite. */
        const ck_four_integers least = (ck_four_integers){0} + ((127 - 112) << 23);
        const ck_four_floats factor = CK_PAIRED_LIMIT / (ck_four_floats)CK_LARGER(largest[i], least);
        PUT_FOUR(unit, sums + t);
        for (size_t c = 0; c < count; c += 2) {
            ck_four_floats pair[2];
            memcpy(pair, unrounded + c * n + t, sizeof *pair);
            memcpy(pair + 1, unrounded + (c + 1) * n + t, sizeof *pair);
            const ck_four_integers integers[2] = {
                (ck_four_integers)(pair[0] * factor + nearest), (ck_four_integers)(pair[1] * factor + nearest)};
            PUT_FOUR(pairs_of(integers), scales + c / 2 * n + t);
        }
    }
}

/* What tiles alone meet comes in several vectors. */
CK_AVX2 static void pack_RAISED_avx2(CK_PACK_PARAMETERS) {
    pack(RAISED, x, stride, rows, columns, n, values, scales, totals, sums);
}

/* *out = the sums of the products of neighbours in four times 64 columns. */
CK_INLINE void multiply_neighbours(const ck_rounded *rounded, ck_four_integers *out) {
    ck_rounding_integers twice[4];
    CK_UNROLL
    for (int b = 0; b < 4; b++) {
        twice[b] = (ck_rounding_integers){0};
        CK_UNROLL
        for (int i = 0; i < 4; i++) {
            const ck_rounding_integers v = rounded->values[b][i];
            twice[b] += v * __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        }
    }
    ck_across_integer_sum(twice, out);
    *out >>= 1;
}

/* For INT11: shorts as tiles of Winograd's products take them, whose results hold `sums` rounded as here. */
CK_AVX2 static void pack_INT11_avx2(CK_PACK_PARAMETERS) {
    uint8_t *block = values;
    ck_four_floats products[CK_MOST_FOURS] = {{0}};
    (void)totals;
    for (size_t c = 0; c < columns / 64; c++, block += 128 * n) {
        ck_fours all;
        ck_take_fours(4, x + 64 * c, stride, rows, n, 1023, &all);
        for (size_t i = 0; i < (n + 3) / 4; i++) {
            const size_t t = ck_first_of_four(i, n);
            ck_rounded rounded;
            ck_four_integers neighbours;
            ck_round(4, all.start[i], &all.rounding[i], &rounded);
            store(SHORTS, &rounded, 0, n, block + 8 * t);
            store(SHORTS, &rounded, 2, n, block + 64 * n + 8 * t);
            multiply_neighbours(&rounded, &neighbours);
            products[i] = _mm_fmadd_ps(
                _mm_cvtepi32_ps((__m128i)neighbours), all.rounding[i].scale, products[i]);
            PUT_FOUR(products[i], sums + t);
            PUT_FOUR(all.rounding[i].scale, scales + c * n + t);
        }
    }
}

#define DEFINE_WIDE(FORM, S, TARGET)                                                                                 \
    TARGET static void pack_wide_##S(CK_PACK_PARAMETERS) {                                                           \
        pack_wide(FORM, x, stride, rows, columns, n, values, scales, totals, sums);                                  \
    }

DEFINE_WIDE(RAISED, avx2, CK_AVX2)
DEFINE_WIDE(BYTES, avx512, CK_AVX512)
#endif

ck_pack_columns_fn ck_pack_columns(ck_precision precision, ck_isa isa) {
    /* What an instruction set packs is what its panels take; it packs more where it falls back to another one. */
    static const ck_pack_columns_fn table[CK_ISA_COUNT][CK_PRECISION_COUNT] = {
        [CK_ISA_SCALAR] = {[CK_PRECISION_INT16] = pack_PLANES_scalar, [CK_PRECISION_INT8] = pack_BYTES_scalar},
#if defined(__x86_64__)
        [CK_ISA_AVX2] = {
            [CK_PRECISION_INT16] = pack_SHORTS_avx2, [CK_PRECISION_INT8] = pack_BYTES_avx2,
            [CK_PRECISION_SPLIT_INT16] = pack_PLANES_avx2, [CK_PRECISION_WIDE_INT8] = pack_wide_avx2,
            [CK_PRECISION_RAISED_INT8] = pack_RAISED_avx2, [CK_PRECISION_INT11] = pack_INT11_avx2},
        [CK_ISA_AVXVNNI] = {[CK_PRECISION_INT16] = pack_PLANES_avx2, [CK_PRECISION_INT8] = pack_BYTES_avx2},
        [CK_ISA_AVX512VNNI] = {
            [CK_PRECISION_INT16] = pack_PLANES_avx512, [CK_PRECISION_INT8] = pack_BYTES_avx512,
            [CK_PRECISION_WIDE_INT8] = pack_wide_avx512, [CK_PRECISION_PAIRED_INT8] = pack_paired_avx512},
        [CK_ISA_AMX] = {
            [CK_PRECISION_AMX_INT16] = ck_amx_int16_pack_columns, [CK_PRECISION_AMX_BF16] = ck_amx_bf16_pack_columns},
#endif
    };
    while (table[isa][precision] == NULL && isa != CK_ISA_SCALAR) {
        isa = ck_isa_fallback(isa);
    }
    return table[isa][precision];
}
