/* F16: IEEE 754 binary16, little-endian, one after the other. */
#include "float_products.h"
#include "float_tile_avx2.h"
#include "registry.h"

CK_INLINE void dequantize_from(size_t first, const void *blocks, float *out, size_t columns) {
    for (size_t i = first; i < columns; i++) {
        out[i] = ck_load_f16_scalar(blocks, i);
    }
}

CK_INLINE void quantize_from(size_t first, const float *values, void *blocks, size_t columns) {
    for (size_t i = first; i < columns; i++) {
        const uint16_t half = ck_f32_to_f16(values[i]);
        memcpy((uint8_t *)blocks + 2 * i, &half, sizeof half);
    }
}

static void dequantize_scalar(const void *blocks, float *out, size_t columns) {
    dequantize_from(0, blocks, out, columns);
}

static void quantize_scalar(const float *values, void *blocks, size_t columns) {
    quantize_from(0, values, blocks, columns);
}

CK_FLOAT_PRODUCTS(scalar, CK_SCALAR, ck_load_f16_scalar)

#if defined(__x86_64__)

/* Eight, or sixteen, at a time; the rest as on any machine. */
CK_AVX2 static void dequantize_avx2(const void *blocks, float *out, size_t columns) {
    size_t i = 0;
    for (; i + 8 <= columns; i += 8) {
        _mm256_storeu_ps(out + i, ck_load_f16_avx2(blocks, i));
    }
    dequantize_from(i, blocks, out, columns);
}

CK_AVX512 static void dequantize_avx512(const void *blocks, float *out, size_t columns) {
    size_t i = 0;
    for (; i + 16 <= columns; i += 16) {
        _mm512_storeu_ps(out + i, ck_load_f16_avx512(blocks, i));
    }
    dequantize_from(i, blocks, out, columns);
}

CK_AVX2 static void quantize_avx2(const float *values, void *blocks, size_t columns) {
    size_t i = 0;
    for (; i + 8 <= columns; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((void *)((uint8_t *)blocks + 2 * i), halves);
    }
    quantize_from(i, values, blocks, columns);
}

CK_FLOAT_PRODUCTS(avx2, CK_AVX2, ck_load_f16_avx2, ck_load_f16_scalar, sizeof(uint16_t))

CK_TILED_PRODUCTS_AVX2(ck_load_f16_avx2, ck_load_f16_scalar, sizeof(uint16_t))

CK_FLOAT_PRODUCTS(avx512, CK_AVX512, ck_load_f16_avx512, ck_load_f16_scalar, sizeof(uint16_t))
#endif

#if defined(__aarch64__)

/* Four at a time; the rest as on any machine. */
CK_NEON static void dequantize_neon(const void *blocks, float *out, size_t columns) {
    size_t i = 0;
    for (; i + 4 <= columns; i += 4) {
        vst1q_f32(out + i, ck_load_f16_neon(blocks, i));
    }
    dequantize_from(i, blocks, out, columns);
}

CK_NEON static void quantize_neon(const float *values, void *blocks, size_t columns) {
    size_t i = 0;
    for (; i + 4 <= columns; i += 4) {
        vst1_u8((uint8_t *)blocks + 2 * i, vreinterpret_u8_f16(vcvt_f16_f32(vld1q_f32(values + i))));
    }
    quantize_from(i, values, blocks, columns);
}

CK_FLOAT_PRODUCTS(neon, CK_NEON, ck_load_f16_neon, ck_load_f16_scalar, sizeof(uint16_t))
#endif

const ck_type_kernels ck_f16_kernels[CK_ISA_COUNT] = {
    [CK_ISA_SCALAR] = {dequantize_scalar, quantize_scalar, .gemm = gemm_scalar},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {
        dequantize_avx2, quantize_avx2, .gemm = gemm_avx2, .tiled = tiled_avx2, .least_tiled = CK_LEAST_TILED_F16},
    [CK_ISA_AVX512] = {dequantize_avx512, NULL, .gemm = gemm_avx512},
#elif defined(__aarch64__)
    [CK_ISA_NEON] = {dequantize_neon, quantize_neon, .gemm = gemm_neon},
#endif
};
