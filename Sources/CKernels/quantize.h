/* What the quantisers of weights share. A quantiser looks for the block whose weights are closest to the given floats:
 * it minimises  sum(importance[i] * (x[i] - w[i])^2),  importance being 1 where none is given.
 *
 * Groups of weights that share a scale are searched sixteen at a time, a group in each lane of a vector: no sum ever
 * crosses lanes, so that the loops are as fast as the machine's registers are wide, and their results are the same bits
 * on every instruction set, which products and sums that are never fused see to.
 *
 * A type gives one function, which makes a batch of blocks, as many as fill the lanes; CK_DEFINE_QUANTIZER makes the
 * quantiser of every instruction set of it. */
#pragma once

#include "blocks.h"
#include "isa.h"
#include "registry.h"

#define CK_LANES 16
/* The longest group. */
#define CK_GROUP 64

/* Numbers of sixteen groups. Passed by address, as in group.h. */
typedef float ck_lanes __attribute__((vector_size(4 * CK_LANES)));
typedef int32_t ck_int_lanes __attribute__((vector_size(4 * CK_LANES)));

/* A number in every lane. */
#define CK_SPLAT(value) ((ck_lanes){0} + (value))
/* Lanes of a where those of the comparison hold, else lanes of b. */
#define CK_SELECT(holds, a, b) \
    ((ck_lanes)(((ck_int_lanes)(a) & (holds)) | ((ck_int_lanes)(b) & ~(holds))))
#define CK_MIN(a, b) CK_SELECT((a) < (b), a, b)
#define CK_MAX(a, b) CK_SELECT((a) > (b), a, b)
#define CK_MAGNITUDE(a) ((ck_lanes)((ck_int_lanes)(a) & 0x7fffffff))
/* To the nearest integer, ties to even, where the magnitude is below 2^22. */
#define CK_NEAREST(a) (((a) + 0x1.8p23f) - 0x1.8p23f)
/* a / b, 0 where b is 0 or too small to be a scale of anything. */
#define CK_QUOTIENT(a, b) CK_SELECT(CK_MAGNITUDE(b) >= 0x1p-100f, (a) / (b), CK_SPLAT(0.0f))

/* Groups side by side: weight i of the group in lane g is x[i][g]. */
typedef struct ck_lane_groups {
    size_t size; /* weights of a group */
    bool has_importance;
    ck_lanes x[CK_GROUP];
    ck_lanes importance[CK_GROUP]; /* where there is any */
} ck_lane_groups;

/* A block's floats, and the importance of its columns; NULL where none is given. */
typedef struct ck_block_source {
    const float *values;
    const float *importance;
} ck_block_source;

/* Makes `out[k]` of `sources[k]`, for all k of a batch. `tables` are what a type has made once for all batches. */
typedef void (*ck_quantize_batch)(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out);

/* Lays out the groups of a batch: `lanes / (columns / size)` blocks of `columns` weights. */
CK_INLINE void ck_load_groups(
    const ck_block_source *sources, bool has_importance, size_t columns, size_t size, ck_lane_groups *groups) {
    groups->size = size;
    groups->has_importance = has_importance;
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        const ck_block_source source = sources[lane * size / columns];
        const size_t first = lane * size % columns;
        for (size_t i = 0; i < size; i++) {
            groups->x[i][lane] = source.values[first + i];
            if (has_importance) {
                groups->importance[i][lane] = source.importance[first + i];
            }
        }
    }
}

/* All rows, a batch of blocks at a time; a last batch that is not full repeats its last block. */
CK_INLINE void ck_quantize_batches(
    ck_quantize_batch quantize, const void *tables, bool has_importance, size_t batch, size_t block_columns,
    size_t block_bytes, const float *values, size_t rows, size_t columns, const float *importance, void *blocks) {
    const size_t in_row = columns / block_columns, count = rows * in_row;
    for (size_t first = 0; first < count; first += batch) {
        ck_block_source sources[CK_LANES];
        uint8_t made[CK_LANES * 256];
        for (size_t k = 0; k < batch; k++) {
            const size_t block = first + k < count ? first + k : count - 1;
            sources[k].values = values + block * block_columns;
            sources[k].importance = has_importance ? importance + block % in_row * block_columns : NULL;
        }
        quantize(tables, sources, has_importance, made);
        const size_t whole = count - first < batch ? count - first : batch;
        memcpy((uint8_t *)blocks + first * block_bytes, made, whole * block_bytes);
    }
}

#define CK_QUANTIZE_PARAMETERS \
    const float *values, size_t rows, size_t columns, const float *importance, void *blocks

/* Defines quantize_NAME_S; WITHOUT is what it does where no importance is given. */
#define CK_DEFINE_QUANTIZER_FOR(S, TARGET, NAME, BATCH, COLUMNS, QUANTIZE, WITHOUT)                                  \
    TARGET static void quantize_##NAME##_##S(CK_QUANTIZE_PARAMETERS) {                                               \
        const size_t bytes = sizeof(ck_block_##NAME);                                                                \
        if (importance == NULL) {                                                                                    \
            WITHOUT;                                                                                                 \
        } else {                                                                                                     \
            ck_quantize_batches(                                                                                     \
                QUANTIZE, NULL, true, BATCH, COLUMNS, bytes, values, rows, columns, importance, blocks);             \
        }                                                                                                            \
    }
#define CK_SEARCH(QUANTIZE, BATCH, COLUMNS) \
    ck_quantize_batches(QUANTIZE, NULL, false, BATCH, COLUMNS, bytes, values, rows, columns, NULL, blocks)
#define CK_ROUND(TYPE, ISA) ck_kernels(TYPE, ISA).quantize(values, blocks, rows * columns)

/* The table of a type. ARM has what the scalar code needs: the compiler turns it into NEON. */
#if defined(__x86_64__)
#define CK_QUANTIZERS(NAME)                                            \
    const ck_quantize_rows_fn ck_##NAME##_quantizers[CK_ISA_COUNT] = { \
        [CK_ISA_SCALAR] = quantize_##NAME##_scalar,                    \
        [CK_ISA_AVX2] = quantize_##NAME##_avx2,                        \
        [CK_ISA_AVX512] = quantize_##NAME##_avx512};
#define CK_DEFINE_QUANTIZERS(NAME, BATCH, COLUMNS, QUANTIZE, SCALAR, AVX2, AVX512)                                   \
    CK_DEFINE_QUANTIZER_FOR(scalar, CK_SCALAR, NAME, BATCH, COLUMNS, QUANTIZE, SCALAR)                               \
    CK_DEFINE_QUANTIZER_FOR(avx2, CK_AVX2, NAME, BATCH, COLUMNS, QUANTIZE, AVX2)                                     \
    CK_DEFINE_QUANTIZER_FOR(avx512, CK_AVX512, NAME, BATCH, COLUMNS, QUANTIZE, AVX512)                               \
    CK_QUANTIZERS(NAME)
#else
#define CK_QUANTIZERS(NAME) \
    const ck_quantize_rows_fn ck_##NAME##_quantizers[CK_ISA_COUNT] = {[CK_ISA_SCALAR] = quantize_##NAME##_scalar};
#define CK_DEFINE_QUANTIZERS(NAME, BATCH, COLUMNS, QUANTIZE, SCALAR, AVX2, AVX512)                                   \
    CK_DEFINE_QUANTIZER_FOR(scalar, CK_SCALAR, NAME, BATCH, COLUMNS, QUANTIZE, SCALAR)                               \
    CK_QUANTIZERS(NAME)
#endif

/* Defines the quantisers of a type whose blocks have COLUMNS weights, BATCH of which are made at a time. */
#define CK_DEFINE_QUANTIZER(NAME, BATCH, COLUMNS, QUANTIZE)                                                          \
    CK_DEFINE_QUANTIZERS(                                                                                            \
        NAME, BATCH, COLUMNS, QUANTIZE, CK_SEARCH(QUANTIZE, BATCH, COLUMNS), CK_SEARCH(QUANTIZE, BATCH, COLUMNS),    \
        CK_SEARCH(QUANTIZE, BATCH, COLUMNS))
/* The same for a type that is rounded to by its reference where no importance is given. */
#define CK_DEFINE_WEIGHED_QUANTIZER(NAME, TYPE, BATCH, COLUMNS, QUANTIZE)                                            \
    CK_DEFINE_QUANTIZERS(                                                                                            \
        NAME, BATCH, COLUMNS, QUANTIZE, CK_ROUND(TYPE, CK_ISA_SCALAR), CK_ROUND(TYPE, CK_ISA_AVX2),                  \
        CK_ROUND(TYPE, CK_ISA_AVX512))

/* ---- Codes ------------------------------------------------------------------------------- */

/* Codes of weights that are rounded elsewhere: PACK(codes, block) stores those of a block, and leaves its scales. */
#define CK_DEFINE_CODES(NAME, COUNT, LADDER, COLUMNS, PACK)                                                          \
    static void put_##NAME(const uint8_t *codes, void *blocks, size_t columns) {                                     \
        ck_block_##NAME *block = blocks;                                                                             \
        for (size_t i = 0; i < columns; i += COLUMNS, block++) {                                                     \
            PACK(codes + i, block);                                                                                  \
        }                                                                                                            \
    }                                                                                                                \
    const ck_codes ck_##NAME##_codes = {COUNT, LADDER, put_##NAME};
