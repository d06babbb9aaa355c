/* Attention of one query head over a cache: scores, and the sum of the values by their probabilities. */
#include "float_rows.h"
#include "registry.h"

/* Elements of `out` that stay in registers while the positions pass by: eight registers, enough independent sums to
 * hide an addition's latency, and the head size of most models in one go. */
#define TILE_AVX2 64
#define TILE_AVX512 128
#define TILE_NEON 32

/* Elements `first` to `last` of `out`. */
CK_INLINE void accumulate_scalar(
    ck_load_scalar load, const float *probabilities, const void *values, size_t stride, size_t n, size_t first,
    size_t last, float *out) {
    for (size_t j = 0; j < n; j++) {
        for (size_t i = first; i < last; i++) {
            out[i] += probabilities[j] * load((const uint8_t *)values + j * stride, i);
        }
    }
}

#if defined(__x86_64__)
/* `width` elements of `out`, a multiple of 8 up to TILE_AVX2. */
CK_AVX2 CK_INLINE void accumulate_tile_avx2(
    ck_load_avx2 load, const float *probabilities, const void *values, size_t stride, size_t n, size_t first,
    size_t width, float *out) {
    __m256 sums[TILE_AVX2 / 8];
    for (size_t k = 0; k < width / 8; k++) {
        sums[k] = _mm256_loadu_ps(out + first + 8 * k);
    }
    for (size_t j = 0; j < n; j++) {
        const __m256 probability = _mm256_set1_ps(probabilities[j]);
        for (size_t k = 0; k < width / 8; k++) {
            const __m256 value = load((const uint8_t *)values + j * stride, first + 8 * k);
            sums[k] = _mm256_fmadd_ps(probability, value, sums[k]);
        }
    }
    for (size_t k = 0; k < width / 8; k++) {
        _mm256_storeu_ps(out + first + 8 * k, sums[k]);
    }
}

CK_AVX2 CK_INLINE void accumulate_avx2(
    ck_load_avx2 load, ck_load_scalar load_one, size_t size, const float *probabilities, const void *values,
    size_t n, size_t head_size, float *out) {
    const size_t stride = size * head_size;
    size_t i = 0;
    for (; i + TILE_AVX2 <= head_size; i += TILE_AVX2) {
        accumulate_tile_avx2(load, probabilities, values, stride, n, i, TILE_AVX2, out);
    }
    for (; i + 8 <= head_size; i += 8) {
        accumulate_tile_avx2(load, probabilities, values, stride, n, i, 8, out);
    }
    accumulate_scalar(load_one, probabilities, values, stride, n, i, head_size, out);
}

/* `width` elements of `out`, a multiple of 16 up to TILE_AVX512; of the last 16 those in `mask`. */
CK_AVX512 CK_INLINE void accumulate_tile_avx512(
    ck_load_avx512 load, const float *probabilities, const void *values, size_t stride, size_t n, size_t first,
    size_t width, __mmask16 mask, float *out) {
    __m512 sums[TILE_AVX512 / 16];
    for (size_t k = 0; k < width / 16; k++) {
        sums[k] = _mm512_maskz_loadu_ps(mask, out + first + 16 * k);
    }
    for (size_t j = 0; j < n; j++) {
        const __m512 probability = _mm512_set1_ps(probabilities[j]);
        for (size_t k = 0; k < width / 16; k++) {
            const __m512 value = load((const uint8_t *)values + j * stride, first + 16 * k, mask);
            sums[k] = _mm512_fmadd_ps(probability, value, sums[k]);
        }
    }
    for (size_t k = 0; k < width / 16; k++) {
        _mm512_mask_storeu_ps(out + first + 16 * k, mask, sums[k]);
    }
}

CK_AVX512 CK_INLINE void accumulate_avx512(
    ck_load_avx512 load, size_t size, const float *probabilities, const void *values, size_t n, size_t head_size,
    float *out) {
    const size_t stride = size * head_size;
    size_t i = 0;
    for (; i + TILE_AVX512 <= head_size; i += TILE_AVX512) {
        accumulate_tile_avx512(load, probabilities, values, stride, n, i, TILE_AVX512, 0xffff, out);
    }
    for (; i + TILE_AVX512 / 2 <= head_size; i += TILE_AVX512 / 2) {
        accumulate_tile_avx512(load, probabilities, values, stride, n, i, TILE_AVX512 / 2, 0xffff, out);
    }
    for (; i < head_size; i += 16) {
        accumulate_tile_avx512(load, probabilities, values, stride, n, i, 16, ck_tail_mask(head_size - i), out);
    }
}
#endif

#if defined(__aarch64__)
/* `width` elements of `out`, a multiple of 4 up to TILE_NEON. */
CK_NEON CK_INLINE void accumulate_tile_neon(
    ck_load_neon load, const float *probabilities, const void *values, size_t stride, size_t n, size_t first,
    size_t width, float *out) {
    float32x4_t sums[TILE_NEON / 4];
    for (size_t k = 0; k < width / 4; k++) {
        sums[k] = vld1q_f32(out + first + 4 * k);
    }
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < width / 4; k++) {
            const float32x4_t value = load((const uint8_t *)values + j * stride, first + 4 * k);
            sums[k] = vfmaq_n_f32(sums[k], value, probabilities[j]);
        }
    }
    for (size_t k = 0; k < width / 4; k++) {
        vst1q_f32(out + first + 4 * k, sums[k]);
    }
}

CK_NEON CK_INLINE void accumulate_neon(
    ck_load_neon load, ck_load_scalar load_one, size_t size, const float *probabilities, const void *values,
    size_t n, size_t head_size, float *out) {
    const size_t stride = size * head_size;
    size_t i = 0;
    for (; i + TILE_NEON <= head_size; i += TILE_NEON) {
        accumulate_tile_neon(load, probabilities, values, stride, n, i, TILE_NEON, out);
    }
    for (; i + 4 <= head_size; i += 4) {
        accumulate_tile_neon(load, probabilities, values, stride, n, i, 4, out);
    }
    accumulate_scalar(load_one, probabilities, values, stride, n, i, head_size, out);
}
#endif

/* ---- Kernels ----------------------------------------------------------------------------- */

#define SCORES_PARAMETERS \
    const float *query, const void *keys, size_t n, size_t head_size, float scale, float *scores
#define ACCUMULATE_PARAMETERS \
    const float *probabilities, const void *values, size_t n, size_t head_size, float *out

#define DEFINE_SCALAR(TYPE, SIZE)                                                                                     \
    static void scores_##TYPE##_scalar(SCORES_PARAMETERS) {                                                           \
        ck_multiply_rows_scalar(                                                                                      \
            ck_load_##TYPE##_scalar, keys, SIZE * head_size, n, head_size, query, scale, scores);                     \
    }                                                                                                                 \
    static void accumulate_##TYPE##_scalar(ACCUMULATE_PARAMETERS) {                                                   \
        accumulate_scalar(                                                                                            \
            ck_load_##TYPE##_scalar, probabilities, values, SIZE * head_size, n, 0, head_size, out);                  \
    }

#define DEFINE_X86(TYPE, SIZE)                                                                                        \
    CK_AVX2 static void scores_##TYPE##_avx2(SCORES_PARAMETERS) {                                                     \
        ck_multiply_rows_avx2(                                                                                        \
            ck_load_##TYPE##_avx2, ck_load_##TYPE##_scalar, SIZE, keys, SIZE * head_size, n, head_size, query, scale, \
            scores);                                                                                                  \
    }                                                                                                                 \
    CK_AVX2 static void accumulate_##TYPE##_avx2(ACCUMULATE_PARAMETERS) {                                             \
        accumulate_avx2(                                                                                              \
            ck_load_##TYPE##_avx2, ck_load_##TYPE##_scalar, SIZE, probabilities, values, n, head_size, out);          \
    }                                                                                                                 \
    CK_AVX512 static void scores_##TYPE##_avx512(SCORES_PARAMETERS) {                                                 \
        ck_multiply_rows_avx512(                                                                                      \
            ck_load_##TYPE##_avx512, SIZE, keys, SIZE * head_size, n, head_size, query, scale, scores);               \
    }                                                                                                                 \
    CK_AVX512 static void accumulate_##TYPE##_avx512(ACCUMULATE_PARAMETERS) {                                         \
        accumulate_avx512(ck_load_##TYPE##_avx512, SIZE, probabilities, values, n, head_size, out);                   \
    }

#define DEFINE_NEON(TYPE, SIZE)                                                                                       \
    CK_NEON static void scores_##TYPE##_neon(SCORES_PARAMETERS) {                                                     \
        ck_multiply_rows_neon(                                                                                        \
            ck_load_##TYPE##_neon, ck_load_##TYPE##_scalar, SIZE, keys, SIZE * head_size, n, head_size, query, scale, \
            scores);                                                                                                  \
    }                                                                                                                 \
    CK_NEON static void accumulate_##TYPE##_neon(ACCUMULATE_PARAMETERS) {                                             \
        accumulate_neon(                                                                                              \
            ck_load_##TYPE##_neon, ck_load_##TYPE##_scalar, SIZE, probabilities, values, n, head_size, out);          \
    }

DEFINE_SCALAR(f32, 4)
DEFINE_SCALAR(f16, 2)
DEFINE_SCALAR(bf16, 2)

#if defined(__x86_64__)
DEFINE_X86(f32, 4)
DEFINE_X86(f16, 2)
DEFINE_X86(bf16, 2)
#define ROWS_SIMD(TYPE)                                                  \
    [CK_ISA_AVX2] = {scores_##TYPE##_avx2, accumulate_##TYPE##_avx2},    \
    [CK_ISA_AVX512] = {scores_##TYPE##_avx512, accumulate_##TYPE##_avx512}
#elif defined(__aarch64__)
DEFINE_NEON(f32, 4)
DEFINE_NEON(f16, 2)
DEFINE_NEON(bf16, 2)
#define ROWS_SIMD(TYPE) [CK_ISA_NEON] = {scores_##TYPE##_neon, accumulate_##TYPE##_neon}
#else
#define ROWS_SIMD(TYPE)
#endif

#define TABLE(TYPE) {[CK_ISA_SCALAR] = {scores_##TYPE##_scalar, accumulate_##TYPE##_scalar}, ROWS_SIMD(TYPE)}

ck_attention_kernels ck_attention(ck_type type, ck_isa isa) {
    static const ck_attention_kernels f32[CK_ISA_COUNT] = TABLE(f32);
    static const ck_attention_kernels f16[CK_ISA_COUNT] = TABLE(f16);
    static const ck_attention_kernels bf16[CK_ISA_COUNT] = TABLE(bf16);

    const ck_attention_kernels *table;
    switch (type) {
    case CK_TYPE_F32: table = f32; break;
    case CK_TYPE_F16: table = f16; break;
    case CK_TYPE_BF16: table = bf16; break;
    default: return (ck_attention_kernels){NULL, NULL};
    }
    while (table[isa].scores == NULL) {
        isa = ck_isa_fallback(isa);
    }
    return table[isa];
}
