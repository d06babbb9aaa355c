/* The common path of the rarer types. A type gives one function, which unpacks 32 of a block's weights into signed
 * bytes, with a scale for each 16 of them, and perhaps a minimum:
 *
 *     w[i] = scales[i / 16] * values[i]  or  w[i] = scales[i / 16] * values[i] + minimums[i / 16]
 *
 * and the templates here and in group_avx2.h and group_neon.h make its kernels for every instruction set. The
 * function is written once, with vectors of 32 bytes that the compiler turns into as many registers as an instruction
 * set needs; what no operator can say is in the tools that it is given. Everything is inlined with constant arguments,
 * so each use becomes a kernel of its own. Groups are passed by address, because how a wide vector is passed by value
 * depends on the instruction set.
 *
 * The product of scale and byte has at most 24 bits in every type: it is exact, and fusing the addition of the minimum
 * changes nothing. */
#pragma once

#include "float_rows.h"

typedef int8_t ck_bytes __attribute__((vector_size(32)));
typedef uint8_t ck_unsigned_bytes __attribute__((vector_size(32)));
typedef uint32_t ck_words __attribute__((vector_size(32)));
typedef uint64_t ck_long_words __attribute__((vector_size(32)));

/* 32 weights. */
typedef struct ck_group {
    ck_bytes values;
    float scales[2];   /* of the first 16, and of the others */
    float minimums[2]; /* likewise, where the type has any */
} ck_group;

/* What unpacking needs beyond operators, as an instruction set does it best. */
typedef struct ck_tools {
    float (*half)(uint16_t bits); /* f16 -> float */
    void (*look_up)(const int8_t table[16], ck_bytes *indices); /* each index, 0 to 15, becomes its table's byte */
} ck_tools;

/* Unpacks the 32 weights from column 32 * group of a block on. */
typedef void (*ck_unpack_group)(const void *block, size_t group, ck_tools tools, ck_group *out);

typedef struct ck_format {
    size_t columns;       /* of a block, a multiple of 32 */
    size_t bytes;         /* of a block */
    size_t scale_columns; /* that share a scale: 16, or 32 and more */
    bool has_minimum;     /* such types have kernels of their own for x86: see block32.h */
} ck_format;

/* ---- What several types unpack with --------------------------------------------------------- */

/* The byte i / 8 of `bits` as the byte i. */
CK_INLINE void ck_repeat_bytes(uint32_t bits, ck_unsigned_bytes *out) {
    const ck_words words = {bits, bits, bits, bits, bits, bits, bits, bits};
    /* The upper half takes its bytes from the upper half: shuffles across halves are slow. */
    *out = __builtin_shufflevector(
        (ck_unsigned_bytes)words, (ck_unsigned_bytes)words, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 18, 18, 18,
        18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19);
}

/* -1 where bit i of `bits` is set, else 0. */
CK_INLINE void ck_spread_bits(uint32_t bits, ck_bytes *out) {
    const ck_unsigned_bytes bit = (ck_unsigned_bytes)(ck_long_words){
        0x8040201008040201, 0x8040201008040201, 0x8040201008040201, 0x8040201008040201};
    ck_unsigned_bytes bytes;
    ck_repeat_bytes(bits, &bytes);
    *out = (ck_bytes)((bytes & bit) == bit);
}

/* Negates the values whose bit is set. */
CK_INLINE void ck_negate(uint32_t signs, ck_bytes *values) {
    ck_bytes negative;
    ck_spread_bits(signs, &negative);
    *values = (*values ^ negative) - negative;
}

/* 32 numbers of four bits: the lower halves of 16 bytes, then the upper ones. */
CK_INLINE void ck_unpack_nibbles(const uint8_t low[16], ck_bytes *out) {
    ck_unsigned_bytes both;
    memcpy(&both, low, 16);
    memcpy((uint8_t *)&both + 16, low, 16);
    *out = (ck_bytes)((ck_words)both >> (ck_words){0, 0, 0, 0, 4, 4, 4, 4} & 0x0f0f0f0f);
}

/* 32 numbers of five bits: four bits each as above, and bit i of `fifth`. */
CK_INLINE void ck_unpack_five_bits(const uint8_t low[16], uint32_t fifth, ck_bytes *out) {
    ck_bytes set; /* -1 or 0 */
    ck_spread_bits(fifth, &set);
    ck_unpack_nibbles(low, out);
    *out |= set & 16;
}

/* 32 numbers of two bits, one after the other from the lowest bit of the first byte on. */
CK_INLINE void ck_unpack_pairs(const uint8_t packed[8], ck_bytes *out) {
    ck_words words = {packed[0], packed[1], packed[2], packed[3], packed[4], packed[5], packed[6], packed[7]};
    words |= words << 12; /* four numbers in each */
    words |= words << 6;
    *out = (ck_bytes)(words & 0x03030303);
}

/* ---- Any machine ------------------------------------------------------------------------- */

CK_INLINE void ck_look_up_scalar(const int8_t table[16], ck_bytes *indices) {
    uint8_t bytes[32];
    memcpy(bytes, indices, sizeof bytes);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)table[bytes[i]];
    }
    memcpy(indices, bytes, sizeof bytes);
}

static const ck_tools ck_tools_scalar = {ck_f16_to_f32, ck_look_up_scalar};

/* Plain loops, which the compiler widens for each instruction set. */
CK_INLINE void ck_dequantize_unpacked(
    ck_format format, ck_unpack_group unpack, ck_tools tools, const void *blocks, float *out, size_t columns) {
    for (size_t i = 0; i < columns; i += 32) {
        const uint8_t *block = (const uint8_t *)blocks + i / format.columns * format.bytes;
        ck_group group;
        int8_t values[32];
        unpack(block, i % format.columns / 32, tools, &group);
        memcpy(values, &group.values, sizeof values);
        for (size_t half = 0; half < 2; half++) {
            for (size_t lane = 16 * half; lane < 16 * half + 16; lane++) {
                const float product = group.scales[half] * (float)values[lane];
                out[i + lane] = format.has_minimum ? product + group.minimums[half] : product;
            }
        }
    }
}

/* `wide`: the activations are int16_t, not int8_t. */
CK_INLINE void ck_gemv_unpacked_scalar(
    ck_format format, ck_unpack_group unpack, bool wide, const void *weights, size_t row_bytes, size_t rows,
    size_t columns, const ck_activations *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = (const uint8_t *)weights + r * row_bytes;
        float sum = 0;
        for (size_t i = 0; i < columns; i += 32) {
            ck_group group;
            int8_t values[32];
            unpack(row + i / format.columns * format.bytes, i % format.columns / 32, ck_tools_scalar, &group);
            memcpy(values, &group.values, sizeof values);
            for (size_t half = 0; half < 2; half++) {
                int32_t product = 0;
                for (size_t lane = 16 * half; lane < 16 * half + 16; lane++) {
                    product += values[lane] * (wide ? ((const int16_t *)x->values)[i + lane]
                                                    : ((const int8_t *)x->values)[i + lane]);
                }
                sum += group.scales[half] * x->scales[i / 32] * (float)product;
                if (format.has_minimum) {
                    sum += group.minimums[half] * x->scales[i / 32] * (float)x->sums[i / 16 + half];
                }
            }
        }
        y[r] = sum;
    }
}

/* Defines a type's kernels of S from its format and its function: dequantize_S and gemv_f32_S. */
#define CK_DEFINE_UNPACKED_FLOAT(S, TARGET, TOOLS, FORMAT, UNPACK)                                                   \
    TARGET static void dequantize_##S(const void *blocks, float *out, size_t columns) {                             \
        ck_dequantize_unpacked(FORMAT, UNPACK, TOOLS, blocks, out, columns);                                         \
    }                                                                                                                \
    TARGET static void gemv_f32_##S(CK_GEMV_PARAMETERS) {                                                            \
        ck_multiply_dequantized(                                                                                     \
            dequantize_##S, ck_dot_##S, (FORMAT).columns, (FORMAT).bytes, weights, row_bytes, rows, columns,         \
            x->values, y);                                                                                           \
    }
