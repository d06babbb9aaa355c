/* Integer products of all quantised types on ARM: the common path of group.h with NEON's registers. Its instructions
 * multiply signed bytes by signed bytes, so that no type wants more than unpacking. */
#pragma once

#include "group.h"

#if defined(__aarch64__)

CK_NEON CK_INLINE float ck_half_neon(uint16_t bits) {
    __fp16 half;
    memcpy(&half, &bits, sizeof half);
    return half;
}

CK_NEON CK_INLINE void ck_look_up_neon(const int8_t table[16], ck_bytes *indices) {
    const int8x16_t bytes = vld1q_s8(table);
    uint8x16_t halves[2];
    memcpy(halves, indices, sizeof halves);
    const int8x16_t found[2] = {vqtbl1q_s8(bytes, halves[0]), vqtbl1q_s8(bytes, halves[1])};
    memcpy(indices, found, sizeof found);
}

static const ck_tools ck_tools_neon = {ck_half_neon, ck_look_up_neon};

/* ---- Integer products -------------------------------------------------------------------- */

/* Adds the products of 16 weights and their activations, int8_t or int16_t at any address, to the lanes of `sum`. */
typedef int32x4_t (*ck_dot16_neon)(int32x4_t sum, int8x16_t w, const uint8_t *activations);

CK_NEON CK_INLINE int32x4_t ck_dot16_int8_neon(int32x4_t sum, int8x16_t w, const uint8_t *activations) {
    const int8x16_t a = vreinterpretq_s8_u8(vld1q_u8(activations));
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(w), vget_low_s8(a)));
    return vpadalq_s16(sum, vmull_high_s8(w, a));
}

CK_NEON_DOTPROD CK_INLINE int32x4_t ck_dot16_int8_neon_dotprod(
    int32x4_t sum, int8x16_t w, const uint8_t *activations) {
    return vdotq_s32(sum, w, vreinterpretq_s8_u8(vld1q_u8(activations)));
}

CK_NEON CK_INLINE int32x4_t ck_dot16_int16_neon(int32x4_t sum, int8x16_t w, const uint8_t *activations) {
    const int16x8_t first = vreinterpretq_s16_u8(vld1q_u8(activations));
    const int16x8_t second = vreinterpretq_s16_u8(vld1q_u8(activations + 16));
    const int16x8_t low = vmovl_s8(vget_low_s8(w)), high = vmovl_high_s8(w);
    sum = vmlal_s16(sum, vget_low_s16(low), vget_low_s16(first));
    sum = vmlal_high_s16(sum, low, first);
    sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(second));
    return vmlal_high_s16(sum, high, second);
}

/* gemv, CK_ROWS rows at a time; `width` is the size of an activation: 1 or 2 bytes. */
CK_NEON CK_INLINE void ck_gemv_group_neon(
    ck_format format, ck_unpack_group unpack, ck_dot16_neon dot, size_t width, const void *weights, size_t row_bytes,
    size_t rows, size_t columns, const ck_activations *x, float *y) {
    for (size_t first = 0; first < rows; first += CK_ROWS) {
        const uint8_t *block[CK_ROWS];
        float32x4_t sums[CK_ROWS];
        float minimums[CK_ROWS];
        for (size_t r = 0; r < CK_ROWS; r++) {
            block[r] = ck_row(weights, row_bytes, first + r, rows);
            sums[r] = vdupq_n_f32(0);
            minimums[r] = 0;
        }
        const uintptr_t ahead = ck_ahead(weights, row_bytes, first);
        for (size_t b = 0; b < columns / format.columns; b++) {
            ck_prefetch_far(ahead + CK_ROWS * format.bytes * b, CK_ROWS * format.bytes);
            for (size_t g = 0; g < format.columns / 32; g++) {
                const size_t i = b * format.columns + 32 * g;
                const uint8_t *a = (const uint8_t *)x->values + width * i;
                const float scale = x->scales[i / 32];
                CK_UNROLL
                for (size_t r = 0; r < CK_ROWS; r++) {
                    ck_group group;
                    int8x16_t w[2];
                    unpack(block[r], g, ck_tools_neon, &group);
                    memcpy(w, &group.values, sizeof w);
                    int32x4_t product = dot(vdupq_n_s32(0), w[0], a);
                    if (format.scale_columns == 16) {
                        sums[r] = vfmaq_n_f32(sums[r], vcvtq_f32_s32(product), scale * group.scales[0]);
                        product = vdupq_n_s32(0);
                    }
                    product = dot(product, w[1], a + 16 * width);
                    sums[r] = vfmaq_n_f32(sums[r], vcvtq_f32_s32(product), scale * group.scales[1]);
                    if (format.has_minimum) {
                        minimums[r] += scale * (float)x->sums[i / 16] * group.minimums[0];
                        minimums[r] += scale * (float)x->sums[i / 16 + 1] * group.minimums[1];
                    }
                }
            }
            for (size_t r = 0; r < CK_ROWS; r++) {
                block[r] += format.bytes;
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < rows; r++) {
            y[first + r] = vaddvq_f32(sums[r]) + minimums[r];
        }
    }
}

/* Defines the kernels of a type from its format and its function. */
#define CK_DEFINE_NEON(FORMAT, UNPACK)                                                                               \
    CK_DEFINE_UNPACKED_FLOAT(neon, CK_NEON, ck_tools_neon, FORMAT, UNPACK)                                           \
    CK_NEON static void gemv_int8_neon(CK_GEMV_PARAMETERS) {                                                         \
        ck_gemv_group_neon(FORMAT, UNPACK, ck_dot16_int8_neon, 1, CK_GEMV_ARGUMENTS);                                \
    }                                                                                                                \
    CK_NEON static void gemv_int16_neon(CK_GEMV_PARAMETERS) {                                                        \
        ck_gemv_group_neon(FORMAT, UNPACK, ck_dot16_int16_neon, 2, CK_GEMV_ARGUMENTS);                               \
    }                                                                                                                \
    CK_NEON_DOTPROD static void gemv_int8_neon_dotprod(CK_GEMV_PARAMETERS) {                                         \
        ck_gemv_group_neon(FORMAT, UNPACK, ck_dot16_int8_neon_dotprod, 1, CK_GEMV_ARGUMENTS);                        \
    }

/* The rows of a type's table. I8mm has none of its own: its instruction multiplies two rows by two columns, and a
 * vector is only one. */
#define CK_TABLE_NEON                                                                                                \
    [CK_ISA_NEON] = {dequantize_neon, NULL, .gemv = {gemv_f32_neon, gemv_int16_neon, gemv_int8_neon}},               \
    [CK_ISA_NEON_DOTPROD] = {.gemv = {NULL, NULL, gemv_int8_neon_dotprod}}

#else
#define CK_DEFINE_NEON(FORMAT, UNPACK)
#define CK_TABLE_NEON
#endif
