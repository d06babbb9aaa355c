/* F32: IEEE 754 binary32, little-endian, one after the other. */
#include "float_products.h"
#include "float_tile_avx2.h"
#include "registry.h"

static void dequantize_scalar(const void *blocks, float *out, size_t columns) {
    memcpy(out, blocks, columns * sizeof *out);
}

static void quantize_scalar(const float *values, void *blocks, size_t columns) {
    memcpy(blocks, values, columns * sizeof *values);
}

CK_FLOAT_PRODUCTS(scalar, CK_SCALAR, ck_load_f32_scalar)

#if defined(__x86_64__)

CK_FLOAT_PRODUCTS(avx2, CK_AVX2, ck_load_f32_avx2, ck_load_f32_scalar, sizeof(float))

CK_TILED_PRODUCTS_AVX2(ck_load_f32_avx2, ck_load_f32_scalar, sizeof(float))

CK_FLOAT_PRODUCTS(avx512, CK_AVX512, ck_load_f32_avx512, ck_load_f32_scalar, sizeof(float))
#endif

#if defined(__aarch64__)

CK_FLOAT_PRODUCTS(neon, CK_NEON, ck_load_f32_neon, ck_load_f32_scalar, sizeof(float))
#endif

const ck_type_kernels ck_f32_kernels[CK_ISA_COUNT] = {
    [CK_ISA_SCALAR] = {dequantize_scalar, quantize_scalar, .gemm = gemm_scalar},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {.gemm = gemm_avx2, .tiled = tiled_avx2, .least_tiled = CK_LEAST_TILED_F32},
    [CK_ISA_AVX512] = {.gemm = gemm_avx512},
#elif defined(__aarch64__)
    [CK_ISA_NEON] = {.gemm = gemm_neon},
#endif
};
