/* Kernels of the types with blocks of 256 weights on ARM. A type gives its format and its groups' integers as it does
 * on any machine (block256.h), and a function that unpacks 32 weights into signed bytes. */
#pragma once

#include "block256.h"
#include "group_neon.h"

#if defined(__aarch64__)

/* Unpacks q - offset of an eighth of a block. */
typedef void (*ck_unpack256_neon)(const void *block, size_t eighth, ck_tools tools, ck_bytes *values);

CK_NEON CK_INLINE void ck_dequantize256_neon(
    ck_format256 format, ck_unpack256_neon unpack, ck_groups_scalar groups, const void *blocks, float *out,
    size_t columns) {
    const uint8_t *block = blocks;
    for (size_t i = 0; i < columns; i += 256, block += format.bytes) {
        const float scale = format.unit * ck_half_neon(ck_load_u16(block + format.scale));
        const float minimum = format.has_minimum ? ck_half_neon(ck_load_u16(block + format.minimum)) : 0;
        int8_t scales[16], values[32];
        uint8_t minimums[16];
        groups(block, scales, minimums);
        CK_UNROLL
        for (size_t eighth = 0; eighth < 8; eighth++) {
            ck_bytes bytes;
            unpack(block, eighth, ck_tools_neon, &bytes);
            memcpy(values, &bytes, sizeof values);
            for (size_t half = 0; half < 2; half++) {
                const size_t group = 2 * eighth + half;
                const float factor = scale * (float)scales[group];
                const float less = format.has_minimum ? minimum * (float)minimums[group] : 0;
                for (size_t lane = 0; lane < 16; lane++) {
                    const float product = factor * (float)values[16 * half + lane];
                    out[i + 16 * group + lane] = format.has_minimum ? product - less : product;
                }
            }
        }
    }
}

/* Sixteen floats: a number for each group. */
typedef struct ck_sixteen_neon {
    float32x4_t quarter[4];
} ck_sixteen_neon;

CK_NEON CK_INLINE ck_sixteen_neon ck_to_floats_neon(int16x8_t low, int16x8_t high) {
    return (ck_sixteen_neon){{
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}

/* gemv, CK_ROWS rows at a time; a group has `group_columns`, 16 or 32; `width` is the size of an activation: 1 or 2
 * bytes. */
CK_NEON CK_INLINE void ck_gemv256_neon(
    ck_format256 format, size_t group_columns, ck_unpack256_neon unpack, ck_groups_scalar groups, ck_dot16_neon dot,
    size_t width, const void *weights, size_t row_bytes, size_t rows, size_t columns, const ck_activations *x,
    float *y) {
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        float32x4_t sums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = vdupq_n_f32(0);
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / 256; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            /* The activations' scales for each group, and the sums of the activations as floats. */
            ck_sixteen_neon activation_scales, activation_sums;
            for (size_t k = 0; k < 4; k++) {
                const float32x2_t pair = vld1_f32(x->scales + 8 * b + 2 * k);
                activation_scales.quarter[k] = vcombine_f32(vdup_lane_f32(pair, 0), vdup_lane_f32(pair, 1));
                activation_sums.quarter[k] = vmulq_f32(
                    vcvtq_f32_s32(vld1q_s32(x->sums + 16 * b + 4 * k)), activation_scales.quarter[k]);
            }
            float factors[CK_ROWS][16]; /* of the products of a row's groups */
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                const float scale = format.unit * ck_half_neon(ck_load_u16(block[r] + format.scale));
                int8_t scales[16];
                uint8_t minimums[16];
                groups(block[r], scales, minimums);
                const int8x16_t bytes = vld1q_s8(scales);
                const ck_sixteen_neon floats =
                    ck_to_floats_neon(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
                for (size_t k = 0; k < 4; k++) {
                    const float32x4_t factor = vmulq_f32(floats.quarter[k], activation_scales.quarter[k]);
                    vst1q_f32(factors[r] + 4 * k, vmulq_n_f32(factor, scale));
                }
                if (format.has_minimum) {
                    const uint8x16_t unsigned_bytes = vld1q_u8(minimums);
                    const ck_sixteen_neon less = ck_to_floats_neon(
                        vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(unsigned_bytes))),
                        vreinterpretq_s16_u16(vmovl_high_u8(unsigned_bytes)));
                    float32x4_t product = vmulq_f32(less.quarter[0], activation_sums.quarter[0]);
                    for (size_t k = 1; k < 4; k++) {
                        product = vfmaq_f32(product, less.quarter[k], activation_sums.quarter[k]);
                    }
                    sums[r] = vfmsq_n_f32(sums[r], product, ck_half_neon(ck_load_u16(block[r] + format.minimum)));
                }
            }
            CK_UNROLL
            for (size_t eighth = 0; eighth < 8; eighth++) {
                const uint8_t *a = (const uint8_t *)x->values + width * (256 * b + 32 * eighth);
                CK_UNROLL
                for (size_t r = 0; r < CK_ROWS; r++) {
                    ck_bytes values;
                    int8x16_t w[2];
                    unpack(block[r], eighth, ck_tools_neon, &values);
                    memcpy(w, &values, sizeof w);
                    int32x4_t product = dot(vdupq_n_s32(0), w[0], a);
                    if (group_columns == 16) {
                        sums[r] = vfmaq_n_f32(sums[r], vcvtq_f32_s32(product), factors[r][2 * eighth]);
                        product = vdupq_n_s32(0);
                    }
                    product = dot(product, w[1], a + 16 * width);
                    sums[r] = vfmaq_n_f32(sums[r], vcvtq_f32_s32(product), factors[r][2 * eighth + 1]);
                }
            }
            for (size_t r = 0; r < CK_ROWS; r++) {
                block[r] += format.bytes;
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < rows; r++) {
            y[first + r] = vaddvq_f32(sums[r]);
        }
    }
}

/* Defines the kernels of a type from its format and its functions; the rows of its table are CK_TABLE_NEON. */
#define CK_DEFINE_NEON_256(FORMAT, GROUP_COLUMNS, UNPACK, GROUPS)                                                    \
    CK_DEFINE_FLOAT256(neon, CK_NEON, FORMAT, UNPACK, GROUPS)                                                        \
    CK_NEON static void gemv_int8_neon(CK_GEMV_PARAMETERS) {                                                         \
        ck_gemv256_neon(FORMAT, GROUP_COLUMNS, UNPACK, GROUPS, ck_dot16_int8_neon, 1, CK_GEMV_ARGUMENTS);            \
    }                                                                                                                \
    CK_NEON static void gemv_int16_neon(CK_GEMV_PARAMETERS) {                                                        \
        ck_gemv256_neon(FORMAT, GROUP_COLUMNS, UNPACK, GROUPS, ck_dot16_int16_neon, 2, CK_GEMV_ARGUMENTS);           \
    }                                                                                                                \
    CK_NEON_DOTPROD static void gemv_int8_neon_dotprod(CK_GEMV_PARAMETERS) {                                         \
        ck_gemv256_neon(FORMAT, GROUP_COLUMNS, UNPACK, GROUPS, ck_dot16_int8_neon_dotprod, 1, CK_GEMV_ARGUMENTS);    \
    }

#endif
