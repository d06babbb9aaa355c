/* F32: IEEE 754 binary32, little-endian, one after the other. */
#include "float_rows.h"
#include "registry.h"

static void dequantize_scalar(const void *blocks, float *out, size_t columns) {
    memcpy(out, blocks, columns * sizeof *out);
}

static void quantize_scalar(const float *values, void *blocks, size_t columns) {
    memcpy(blocks, values, columns * sizeof *values);
}

static void gemv_scalar(CK_GEMV_PARAMETERS) {
    ck_multiply_rows_scalar(ck_load_f32_scalar, weights, row_bytes, rows, columns, x->values, 1, y);
}

#if defined(__x86_64__)

CK_AVX2 static void gemv_avx2(CK_GEMV_PARAMETERS) {
    ck_multiply_rows_avx2(
        ck_load_f32_avx2, ck_load_f32_scalar, sizeof(float), weights, row_bytes, rows, columns, x->values, 1, y);
}

CK_AVX512 static void gemv_avx512(CK_GEMV_PARAMETERS) {
    ck_multiply_rows_avx512(
        ck_load_f32_avx512, sizeof(float), weights, row_bytes, rows, columns, x->values, 1, y);
}
#endif

#if defined(__aarch64__)

CK_NEON static void gemv_neon(CK_GEMV_PARAMETERS) {
    ck_multiply_rows_neon(
        ck_load_f32_neon, ck_load_f32_scalar, sizeof(float), weights, row_bytes, rows, columns, x->values, 1, y);
}
#endif

const ck_type_kernels ck_f32_kernels[CK_ISA_COUNT] = {
    [CK_ISA_SCALAR] = {dequantize_scalar, quantize_scalar, {gemv_scalar}},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {.gemv = {gemv_avx2}},
    [CK_ISA_AVX512] = {.gemv = {gemv_avx512}},
#elif defined(__aarch64__)
    [CK_ISA_NEON] = {.gemv = {gemv_neon}},
#endif
};
