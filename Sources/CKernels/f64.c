/* F64: IEEE 754 binary64, little-endian, one after the other. Weights are rounded to floats as they are read. */
#include "float_products.h"
#include "float_tile_avx2.h"
#include "registry.h"

CK_INLINE float load_scalar(const void *row, size_t i) {
    double value;
    memcpy(&value, (const uint8_t *)row + 8 * i, sizeof value);
    return (float)value;
}

static void dequantize_scalar(const void *blocks, float *out, size_t columns) {
    for (size_t i = 0; i < columns; i++) {
        out[i] = load_scalar(blocks, i);
    }
}

static void quantize_scalar(const float *values, void *blocks, size_t columns) {
    for (size_t i = 0; i < columns; i++) {
        const double value = values[i];
        memcpy((uint8_t *)blocks + 8 * i, &value, sizeof value);
    }
}

CK_FLOAT_PRODUCTS(scalar, CK_SCALAR, load_scalar)

#if defined(__x86_64__)

CK_AVX2 CK_INLINE __m256 load_avx2(const void *row, size_t i) {
    const double *values = (const double *)row + i;
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(values + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(values)));
}

CK_FLOAT_PRODUCTS(avx2, CK_AVX2, load_avx2, load_scalar, sizeof(double))

CK_TILED_PRODUCTS_AVX2(load_avx2, load_scalar, sizeof(double))
#endif

#if defined(__aarch64__)

CK_NEON CK_INLINE float32x4_t load_neon(const void *row, size_t i) {
    const uint8_t *values = (const uint8_t *)row + 8 * i;
    const float32x2_t first = vcvt_f32_f64(vreinterpretq_f64_u8(vld1q_u8(values)));
    return vcvt_high_f32_f64(first, vreinterpretq_f64_u8(vld1q_u8(values + 16)));
}

CK_FLOAT_PRODUCTS(neon, CK_NEON, load_neon, load_scalar, sizeof(double))
#endif

const ck_type_kernels ck_f64_kernels[CK_ISA_COUNT] = {
    [CK_ISA_SCALAR] = {dequantize_scalar, quantize_scalar, .gemm = gemm_scalar},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {.gemm = gemm_avx2, .tiled = tiled_avx2, .least_tiled = CK_LEAST_TILED_F32},
#elif defined(__aarch64__)
    [CK_ISA_NEON] = {.gemm = gemm_neon},
#endif
};
