/* The kernels of a type on the common path, all of them, from its format and its function: see group.h. */
#pragma once

#include "group_avx2.h"
#include "group_neon.h"
#include "panel_kernels.h"
#include "registry.h"

#define CK_DEFINE_UNPACKED_SCALAR(FORMAT, UNPACK)                                                                    \
    CK_DEFINE_UNPACKED_FLOAT(scalar, CK_SCALAR, ck_tools_scalar, FORMAT, UNPACK)                                     \
    static void gemv_int8_scalar(CK_GEMV_PARAMETERS) {                                                               \
        ck_gemv_unpacked_scalar(FORMAT, UNPACK, false, CK_GEMV_ARGUMENTS);                                           \
    }                                                                                                                \
    static void gemv_int16_scalar(CK_GEMV_PARAMETERS) {                                                              \
        ck_gemv_unpacked_scalar(FORMAT, UNPACK, true, CK_GEMV_ARGUMENTS);                                            \
    }
#define CK_ROWS_UNPACKED_SCALAR(QUANTIZE) \
    [CK_ISA_SCALAR] = {dequantize_scalar, QUANTIZE, .gemv = {gemv_f32_scalar, gemv_int16_scalar, gemv_int8_scalar}}

#if defined(__x86_64__)
#define CK_DEFINE_UNPACKED_SIMD(FORMAT, UNPACK)                                                                      \
    CK_DEFINE_UNPACKED_FLOAT(avx2, CK_AVX2, ck_tools_avx2, FORMAT, UNPACK)                                           \
    CK_DEFINE_UNPACKED_FLOAT(avx512, CK_AVX512, ck_tools_avx2, FORMAT, UNPACK)                                       \
    CK_DEFINE_UNPACKED_GEMV(avx2, CK_AVX2, FORMAT, UNPACK)                                                           \
    CK_DEFINE_UNPACKED_GEMV(avxvnni, CK_AVXVNNI, FORMAT, UNPACK)                                                     \
    CK_DEFINE_UNPACKED_GEMV(avx512vnni, CK_AVX512VNNI, FORMAT, UNPACK)
#define CK_ROWS_UNPACKED_SIMD                                                                                        \
    [CK_ISA_AVX2] = {dequantize_avx2, NULL, .gemv = {gemv_f32_avx2, gemv_int16_avx2, gemv_int8_avx2}},               \
    [CK_ISA_AVXVNNI] = {.gemv = {NULL, gemv_int16_avxvnni, gemv_int8_avxvnni}},                                      \
    [CK_ISA_AVX512] = {dequantize_avx512, NULL, .gemv = {gemv_f32_avx512}},                                          \
    [CK_ISA_AVX512VNNI] = {.gemv = {NULL, gemv_int16_avx512vnni, gemv_int8_avx512vnni}}
#else
#define CK_DEFINE_UNPACKED_SIMD(FORMAT, UNPACK) CK_DEFINE_NEON(FORMAT, UNPACK)
#define CK_ROWS_UNPACKED_SIMD CK_TABLE_NEON
#endif

/* Defines the table ck_NAME_kernels. QUANTIZE serves every instruction set; NULL for a type that has none. */
#define CK_DEFINE_UNPACKED(NAME, FORMAT, UNPACK, QUANTIZE)                                                           \
    CK_DEFINE_UNPACKED_SCALAR(FORMAT, UNPACK)                                                                        \
    CK_DEFINE_UNPACKED_SIMD(FORMAT, UNPACK)                                                                          \
    const ck_type_kernels ck_##NAME##_kernels[CK_ISA_COUNT] = {                                                      \
        CK_ROWS_UNPACKED_SCALAR(QUANTIZE), CK_ROWS_UNPACKED_SIMD};

/* Defines ck_NAME_panels from the type's `panel_format`, whose codebook, if it has one, holds 128 more than the values
 * that UNPACK gives. HEADER writes a block's scale and factors. */
#define CK_DEFINE_UNPACKED_PANELS(NAME, FORMAT, UNPACK, HEADER)                                                      \
    CK_INLINE void take_panel(const void *block, ck_panel_source *out) {                                             \
        for (size_t g = 0; g < (FORMAT).columns / 32; g++) {                                                         \
            ck_group group;                                                                                          \
            UNPACK(block, g, ck_tools_scalar, &group);                                                               \
            group.values += (int8_t)panel_format.offset;                                                             \
            memcpy(out->q + 32 * g, &group.values, 32);                                                              \
        }                                                                                                            \
        if (panel_format.codebook != NULL) {                                                                         \
            ck_find_codes(panel_format.codebook, (FORMAT).columns, out->q);                                          \
        }                                                                                                            \
        HEADER(block, out);                                                                                          \
    }                                                                                                                \
    CK_DEFINE_PANELS(take_panel, (FORMAT).bytes)                                                                     \
    const ck_panel_row ck_##NAME##_panels = {&panel_format, {CK_TABLE_PANELS}};
