/* Everything that the types with blocks of 256 weights share. Such a block is 16 groups of 16 weights
 *
 *     w = unit * scale * scales[group] * (q - offset) - minimum * minimums[group],   q an unsigned byte,
 *
 * the block's scale, and its minimum if it has one, being f16, the groups' small integers, and the unit a power of
 * two. Types whose groups have 32 weights say every number twice. A type gives its format and, for each instruction
 * set, a function that unpacks the groups' integers and one that unpacks q into bytes; the templates here and in
 * block256_avx2.h and block256_avx512.h do the rest, inlined with constant arguments like those of block32.h.
 *
 * In an integer product each group's sum of (q - offset) * a is multiplied by one float, which holds the scale, the
 * group's and the activations': with int16 activations the group's does not fit into the integer sum. The minimums
 * are multiplied with the activations' sums, 16 at a time.
 *
 * The product of scale, group scale and q has at most 24 bits in every type: floats hold it exactly, so neither the
 * order of its multiplications nor fusing it with the minimum's subtraction changes a bit of a weight. */
#pragma once

#include "float_rows.h"

typedef struct ck_format256 {
    size_t bytes;     /* of a block */
    float unit;       /* a power of two */
    size_t scale;     /* where its scale lies */
    size_t minimum;   /* where its minimum lies, if any */
    uint8_t offset;   /* 4 for 3 bits, 32 for 6, 128 for signed bytes; 0 with a minimum */
    bool has_minimum;
} ck_format256;

/* The 256 q of a block, in the order of the columns. */
typedef void (*ck_unpack256_scalar)(const void *block, uint8_t q[256]);

/* The integers of a block's 16 groups. Minimums are written where the type has any. */
typedef void (*ck_groups_scalar)(const void *block, int8_t scales[16], uint8_t minimums[16]);

CK_INLINE void ck_dequantize256_scalar(
    ck_format256 format, ck_unpack256_scalar unpack, ck_groups_scalar groups, const void *blocks, float *out,
    size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block += format.bytes) {
        const float scale = format.unit * ck_f16_to_f32(ck_load_u16(block + format.scale));
        const float minimum = format.has_minimum ? ck_f16_to_f32(ck_load_u16(block + format.minimum)) : 0;
        uint8_t q[256], minimums[16];
        int8_t scales[16];
        unpack(block, q);
        groups(block, scales, minimums);
        for (size_t k = 0; k < 256; k++) {
            const float product = scale * (float)scales[k / 16] * (float)(q[k] - format.offset);
            out[i + k] = format.has_minimum ? product - minimum * (float)minimums[k / 16] : product;
        }
    }
}

/* `wide`: the activations are int16_t, not int8_t. */
CK_INLINE void ck_gemv256_scalar(
    ck_format256 format, ck_unpack256_scalar unpack, ck_groups_scalar groups, bool wide, const void *weights,
    size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *block = (const uint8_t *)weights + r * row_bytes;
        float sum = 0;
        for (size_t i = 0; i < columns; i += 256, block += format.bytes) {
            const float scale = format.unit * ck_f16_to_f32(ck_load_u16(block + format.scale));
            const float minimum = format.has_minimum ? ck_f16_to_f32(ck_load_u16(block + format.minimum)) : 0;
            uint8_t q[256], minimums[16];
            int8_t scales[16];
            unpack(block, q);
            groups(block, scales, minimums);
            for (size_t g = 0; g < 16; g++) {
                int32_t product = 0;
                for (size_t k = 16 * g; k < 16 * g + 16; k++) {
                    const int32_t a =
                        wide ? ((const int16_t *)x->values)[i + k] : ((const int8_t *)x->values)[i + k];
                    product += (q[k] - format.offset) * a;
                }
                const float activation_scale = x->scales[i / 32 + g / 2];
                sum += scale * (float)scales[g] * activation_scale * (float)product;
                if (format.has_minimum) {
                    sum -= minimum * (float)minimums[g] * activation_scale * (float)x->sums[i / 16 + g];
                }
            }
        }
        y[r] = sum;
    }
}

/* ---- Defining a type's kernels from its format and its functions ---------------------------- */

/* Defines a type's kernels of S: dequantize_S and gemv_f32_S. */
#define CK_DEFINE_FLOAT256(S, TARGET, FORMAT, UNPACK, GROUPS)                                                        \
    TARGET static void dequantize_##S(const void *blocks, float *out, size_t columns) {                             \
        ck_dequantize256_##S(FORMAT, UNPACK, GROUPS, blocks, out, columns);                                          \
    }                                                                                                                \
    TARGET static void gemv_f32_##S(CK_GEMV_PARAMETERS) {                                                            \
        ck_multiply_dequantized(                                                                                     \
            dequantize_##S, ck_dot_##S, 256, (FORMAT).bytes, weights, row_bytes, rows, columns, x->values, y);       \
    }

/* Defines a type's kernels that any machine runs. */
#define CK_DEFINE_SCALAR256(FORMAT, UNPACK, GROUPS)                          \
    CK_DEFINE_FLOAT256(scalar, CK_SCALAR, FORMAT, UNPACK, GROUPS)            \
    static void gemv_int8_scalar(CK_GEMV_PARAMETERS) {                       \
        ck_gemv256_scalar(FORMAT, UNPACK, GROUPS, false, CK_GEMV_ARGUMENTS); \
    }                                                                        \
    static void gemv_int16_scalar(CK_GEMV_PARAMETERS) {                      \
        ck_gemv256_scalar(FORMAT, UNPACK, GROUPS, true, CK_GEMV_ARGUMENTS);  \
    }

/* UNPACK gives 32 q at a time. */
#define CK_DEFINE_AVX2_256(FORMAT, UNPACK, GROUPS)                                                               \
    CK_DEFINE_FLOAT256(avx2, CK_AVX2, FORMAT, UNPACK, GROUPS)                                                    \
    CK_AVX2 static void gemv_int8_avx2(CK_GEMV_PARAMETERS) {                                                     \
        ck_gemv256_256(FORMAT, UNPACK, GROUPS, ck_dot32_int8_avx2, 1, CK_GEMV_ARGUMENTS);                        \
    }                                                                                                            \
    CK_AVX2 static void gemv_int16_avx2(CK_GEMV_PARAMETERS) {                                                    \
        ck_gemv256_256(FORMAT, UNPACK, GROUPS, ck_dot32_int16_avx2, 2, CK_GEMV_ARGUMENTS);                       \
    }                                                                                                            \
    CK_AVXVNNI static void gemv_int8_avxvnni(CK_GEMV_PARAMETERS) {                                               \
        ck_gemv256_256(FORMAT, UNPACK, GROUPS, ck_dot32_int8_avxvnni, 1, CK_GEMV_ARGUMENTS);                     \
    }                                                                                                            \
    CK_AVXVNNI static void gemv_int16_avxvnni(CK_GEMV_PARAMETERS) {                                              \
        ck_gemv256_256(FORMAT, UNPACK, GROUPS, ck_dot32_int16_avxvnni, 2, CK_GEMV_ARGUMENTS);                    \
    }

/* UNPACK gives 64 q at a time. */
#define CK_DEFINE_AVX512_256(FORMAT, UNPACK, GROUPS)                                                             \
    CK_DEFINE_FLOAT256(avx512, CK_AVX512, FORMAT, UNPACK, GROUPS)                                                \
    CK_AVX512VNNI static void gemv_int8_avx512vnni(CK_GEMV_PARAMETERS) {                                         \
        ck_gemv256_512(FORMAT, UNPACK, GROUPS, ck_dot64_int8_avx512vnni, 1, CK_GEMV_ARGUMENTS);                  \
    }                                                                                                            \
    CK_AVX512VNNI static void gemv_int16_avx512vnni(CK_GEMV_PARAMETERS) {                                        \
        ck_gemv256_512(FORMAT, UNPACK, GROUPS, ck_dot64_int16_avx512vnni, 2, CK_GEMV_ARGUMENTS);                 \
    }
