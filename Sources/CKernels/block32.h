/* Everything that the types with blocks of 32 weights share. Such a weight is
 *
 *     w = scale * (q - offset)  or  w = scale * q + minimum,   q an unsigned byte,
 *
 * the scale being the f16 at the block's first byte and the minimum, if any, the next one. A type gives its format
 * and, for each instruction set, a function that unpacks a block's 32 q into bytes; the templates here and in
 * block32_avx2.h and block32_avx512.h do the rest. They are always inlined with constant arguments, so each use
 * becomes a kernel of its own.
 *
 * An integer product needs one multiplication of floats for a block: with the activations of these columns
 * x[i] = s * a[i], the block adds  scale * s * sum((q[i] - offset) * a[i])  +  minimum * s * sum(a[i]). */
#pragma once

#include "float_rows.h"

typedef struct ck_format32 {
    size_t bytes;     /* of a block */
    uint8_t offset;   /* 8 for 4 bits, 16 for 5, 128 for 8; 0 with a minimum */
    bool has_minimum;
} ck_format32;

typedef void (*ck_unpack_scalar)(const void *block, uint8_t q[32]);

CK_INLINE void ck_dequantize32_scalar(
    ck_format32 format, ck_unpack_scalar unpack, const void *blocks, float *out, size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block += format.bytes) {
        const float scale = ck_f16_to_f32(ck_load_u16(block));
        const float minimum = format.has_minimum ? ck_f16_to_f32(ck_load_u16(block + 2)) : 0;
        uint8_t q[32];
        unpack(block, q);
        for (size_t lane = 0; lane < 32; lane++) {
            const float product = scale * (float)(q[lane] - format.offset);
            out[i + lane] = format.has_minimum ? product + minimum : product;
        }
    }
}

/* `wide`: the activations are int16_t, not int8_t. */
CK_INLINE void ck_gemv32_scalar(
    ck_format32 format, ck_unpack_scalar unpack, bool wide, const void *weights, size_t row_bytes, size_t rows,
    size_t columns, const ck_activations *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *block = (const uint8_t *)weights + r * row_bytes;
        float sum = 0;
        for (size_t b = 0; b < columns / 32; b++, block += format.bytes) {
            uint8_t q[32];
            int32_t product = 0;
            unpack(block, q);
            for (size_t lane = 0; lane < 32; lane++) {
                const size_t i = 32 * b + lane;
                const int32_t a = wide ? ((const int16_t *)x->values)[i] : ((const int8_t *)x->values)[i];
                product += q[lane] * a;
            }
            const int32_t total = x->sums[2 * b] + x->sums[2 * b + 1];
            product -= format.offset * total;
            sum += ck_f16_to_f32(ck_load_u16(block)) * x->scales[b] * (float)product;
            if (format.has_minimum) {
                sum += ck_f16_to_f32(ck_load_u16(block + 2)) * x->scales[b] * (float)total;
            }
        }
        y[r] = sum;
    }
}

/* ---- Quantisation: the steps of ggml's reference, whose rounding files depend on ------------ */

/* The value of the largest magnitude, with its sign; the first of several. */
CK_INLINE float ck_extreme32(const float values[32]) {
    uint32_t largest = 0; /* as bits without a sign, which order like magnitudes and need no care for NaN */
    for (size_t i = 0; i < 32; i++) {
        const uint32_t magnitude = ck_bits(values[i]) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    for (size_t i = 0; i < 32; i++) {
        if ((ck_bits(values[i]) & 0x7fffffff) == largest) {
            return values[i];
        }
    }
    return 0;
}

CK_INLINE void ck_range32(const float values[32], float *minimum, float *maximum) {
    *minimum = *maximum = values[0];
    for (size_t i = 1; i < 32; i++) {
        *minimum = values[i] < *minimum ? values[i] : *minimum;
        *maximum = values[i] > *maximum ? values[i] : *maximum;
    }
}

/* 1 / scale, or 0 where that would not be finite: such a scale is 0 as an f16 too. */
CK_INLINE float ck_reciprocal(float scale) {
    return ck_float(ck_bits(scale) & 0x7fffffff) >= 0x1p-126f ? 1 / scale : 0;
}

/* q = (value - base) / scale + rounding, cut to an integer, at most `largest`, which is what NaN becomes. */
CK_INLINE void ck_round32(
    const float values[32], float base, float reciprocal, float rounding, int32_t largest, uint8_t q[32]) {
    CK_DO_NOT_FUSE
    for (size_t i = 0; i < 32; i++) {
        const float rounded = (values[i] - base) * reciprocal + rounding;
        q[i] = (uint8_t)(int32_t)(rounded < (float)largest ? rounded : (float)largest);
    }
}

/* The nibbles of 16 bytes: the lower ones, then the upper ones. */
CK_INLINE void ck_unpack_low32(const uint8_t low[16], uint8_t q[32]) {
    for (size_t i = 0; i < 16; i++) {
        q[i] = low[i] & 0x0f;
        q[i + 16] = low[i] >> 4;
    }
}

/* The lower four bits of 32 q: q[i] in the lower half of byte i, q[i + 16] in the upper. */
CK_INLINE void ck_pack_low32(const uint8_t q[32], uint8_t low[16]) {
    for (size_t i = 0; i < 16; i++) {
        low[i] = (uint8_t)((q[i] & 0x0f) | q[i + 16] << 4);
    }
}

/* The fifth bits of 32 q: bit i is that of q[i]. */
CK_INLINE uint32_t ck_pack_fifth32(const uint8_t q[32]) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 32; i++) {
        bits |= (uint32_t)((q[i] >> 4) & 1) << i;
    }
    return bits;
}

/* ---- Defining a type's kernels from its format and its unpack functions --------------------- */

/* Defines a type's kernels of S, from its unpack function: dequantize_S and gemv_f32_S. */
#define CK_DEFINE_FLOAT32(S, TARGET, FORMAT, UNPACK)                                                                 \
    TARGET static void dequantize_##S(const void *blocks, float *out, size_t columns) {                             \
        ck_dequantize32_##S(FORMAT, UNPACK, blocks, out, columns);                                                   \
    }                                                                                                                \
    TARGET static void gemv_f32_##S(CK_GEMV_PARAMETERS) {                                                            \
        ck_multiply_dequantized(                                                                                     \
            dequantize_##S, ck_dot_##S, 32, (FORMAT).bytes, weights, row_bytes, rows, columns, x->values, y);        \
    }

/* Defines a type's kernels that any machine runs; those named PRODUCTS lack quantisation. */
#define CK_DEFINE_PRODUCTS_SCALAR32(FORMAT, UNPACK)                    \
    CK_DEFINE_FLOAT32(scalar, CK_SCALAR, FORMAT, UNPACK)               \
    static void gemv_int8_scalar(CK_GEMV_PARAMETERS) {                 \
        ck_gemv32_scalar(FORMAT, UNPACK, false, CK_GEMV_ARGUMENTS);    \
    }                                                                  \
    static void gemv_int16_scalar(CK_GEMV_PARAMETERS) {                \
        ck_gemv32_scalar(FORMAT, UNPACK, true, CK_GEMV_ARGUMENTS);     \
    }

#define CK_DEFINE_SCALAR32(FORMAT, UNPACK)                                           \
    CK_DEFINE_PRODUCTS_SCALAR32(FORMAT, UNPACK)                                      \
    static void quantize_scalar(const float *values, void *blocks, size_t columns) { \
        quantize(values, blocks, columns);                                           \
    }

#define CK_DEFINE_PRODUCTS_AVX2_32(FORMAT, UNPACK)                                                               \
    CK_DEFINE_FLOAT32(avx2, CK_AVX2, FORMAT, UNPACK)                                                             \
    CK_AVX2 static void gemv_int8_avx2(CK_GEMV_PARAMETERS) {                                                     \
        ck_gemv32_256(FORMAT, UNPACK, ck_dot32_int8_avx2, 1, CK_GEMV_ARGUMENTS);                                 \
    }                                                                                                            \
    CK_AVX2 static void gemv_int16_avx2(CK_GEMV_PARAMETERS) {                                                    \
        ck_gemv32_256(FORMAT, UNPACK, ck_dot32_int16_avx2, 2, CK_GEMV_ARGUMENTS);                                \
    }                                                                                                            \
    CK_AVXVNNI static void gemv_int8_avxvnni(CK_GEMV_PARAMETERS) {                                               \
        ck_gemv32_256(FORMAT, UNPACK, ck_dot32_int8_avxvnni, 1, CK_GEMV_ARGUMENTS);                              \
    }                                                                                                            \
    CK_AVXVNNI static void gemv_int16_avxvnni(CK_GEMV_PARAMETERS) {                                              \
        ck_gemv32_256(FORMAT, UNPACK, ck_dot32_int16_avxvnni, 2, CK_GEMV_ARGUMENTS);                             \
    }

#define CK_DEFINE_AVX2_32(FORMAT, UNPACK)                                                                        \
    CK_DEFINE_PRODUCTS_AVX2_32(FORMAT, UNPACK)                                                                   \
    CK_AVX2 static void quantize_avx2(const float *values, void *blocks, size_t columns) {                       \
        quantize(values, blocks, columns);                                                                       \
    }

/* UNPACK is for 256 bits, UNPACK_PAIR for the blocks of two rows at once. */
#define CK_DEFINE_PRODUCTS_AVX512_32(FORMAT, UNPACK, UNPACK_PAIR)                                                \
    CK_DEFINE_FLOAT32(avx512, CK_AVX512, FORMAT, UNPACK)                                                         \
    CK_AVX512VNNI static void gemv_int8_avx512vnni(CK_GEMV_PARAMETERS) {                                         \
        ck_gemv32_512(FORMAT, UNPACK_PAIR, ck_dot32_int8_avx512vnni, 1, CK_GEMV_ARGUMENTS);                      \
    }                                                                                                            \
    CK_AVX512VNNI static void gemv_int16_avx512vnni(CK_GEMV_PARAMETERS) {                                        \
        ck_gemv32_512(FORMAT, UNPACK_PAIR, ck_dot32_int16_avx512vnni, 2, CK_GEMV_ARGUMENTS);                     \
    }

#define CK_DEFINE_AVX512_32(FORMAT, UNPACK, UNPACK_PAIR)                                                         \
    CK_DEFINE_PRODUCTS_AVX512_32(FORMAT, UNPACK, UNPACK_PAIR)                                                    \
    CK_AVX512 static void quantize_avx512(const float *values, void *blocks, size_t columns) {                   \
        quantize(values, blocks, columns);                                                                       \
    }

/* The rows of a type's table. */
#define CK_TABLE_PRODUCTS_SCALAR \
    [CK_ISA_SCALAR] = {dequantize_scalar, NULL, .gemv = {gemv_f32_scalar, gemv_int16_scalar, gemv_int8_scalar}}
#define CK_TABLE_SCALAR32                                                    \
    [CK_ISA_SCALAR] = {                                                      \
        dequantize_scalar, quantize_scalar,                                  \
        .gemv = {gemv_f32_scalar, gemv_int16_scalar, gemv_int8_scalar}}
#if defined(__x86_64__)
#define CK_TABLE_PRODUCTS_X86                                                                                    \
    [CK_ISA_AVX2] = {dequantize_avx2, NULL, .gemv = {gemv_f32_avx2, gemv_int16_avx2, gemv_int8_avx2}},           \
    [CK_ISA_AVXVNNI] = {.gemv = {NULL, gemv_int16_avxvnni, gemv_int8_avxvnni}},                                  \
    [CK_ISA_AVX512] = {dequantize_avx512, NULL, .gemv = {gemv_f32_avx512}},                                      \
    [CK_ISA_AVX512VNNI] = {.gemv = {NULL, gemv_int16_avx512vnni, gemv_int8_avx512vnni}}
#define CK_TABLE_X86_32                                                                                          \
    [CK_ISA_AVX2] = {dequantize_avx2, quantize_avx2, .gemv = {gemv_f32_avx2, gemv_int16_avx2, gemv_int8_avx2}},  \
    [CK_ISA_AVXVNNI] = {.gemv = {NULL, gemv_int16_avxvnni, gemv_int8_avxvnni}},                                  \
    [CK_ISA_AVX512] = {dequantize_avx512, quantize_avx512, .gemv = {gemv_f32_avx512}},                           \
    [CK_ISA_AVX512VNNI] = {.gemv = {NULL, gemv_int16_avx512vnni, gemv_int8_avx512vnni}}
#else
#define CK_TABLE_PRODUCTS_X86
#define CK_TABLE_X86_32
#endif
