/* Products of rows of floats of any kind with vectors of floats: for the types that are not quantised. */
#pragma once

#include "float_rows.h"

/* Those of ck_gemm_fn. */
#define CK_GEMM_PARAMETERS                                                                                        \
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const float *x, size_t vectors, float *y, \
        size_t stride
#define CK_GEMM_ARGUMENTS weights, row_bytes, rows, columns, x, vectors, y, stride

/* Rows that all vectors meet before the next ones do: they stay in the second-level cache meanwhile. */
#define CK_BLOCK_BYTES ((size_t)1 << 19)
CK_INLINE size_t ck_block_rows(size_t row_bytes) {
    const size_t groups = row_bytes > 0 ? CK_BLOCK_BYTES / (CK_ROWS * row_bytes) : 0;
    return CK_ROWS * (groups > 0 ? groups : 1);
}

CK_INLINE void ck_multiply_rows_scalar(ck_load_scalar load, CK_GEMM_PARAMETERS) {
    for (size_t v = 0; v < vectors; v++) {
        for (size_t r = 0; r < rows; r++) {
            const uint8_t *const row = (const uint8_t *)weights + r * row_bytes;
            y[v * stride + r] = ck_dot_row_scalar(load, row, x + v * columns, columns);
        }
    }
}

#if defined(__x86_64__)
#define SET avx2
#define TARGET CK_AVX2
#define VECTOR __m256
#define LANES 8
#define VECTORS 3
#define ZERO _mm256_setzero_ps()
#define LOAD _mm256_loadu_ps
#define ADD _mm256_add_ps
#define MULTIPLY_ADD _mm256_fmadd_ps
#define SUM ck_sum_avx2
#define HOLD(x) __asm__ volatile("" : "+x"(x) : : "memory")
#include "float_group.h"

#define SET avx512
#define TARGET CK_AVX512
#define VECTOR __m512
#define LANES 16
#define VECTORS 6
#define ZERO _mm512_setzero_ps()
#define LOAD _mm512_loadu_ps
#define ADD _mm512_add_ps
#define MULTIPLY_ADD _mm512_fmadd_ps
#define SUM _mm512_reduce_add_ps
#define HOLD(x) __asm__ volatile("" : "+v"(x) : : "memory")
#include "float_group.h"
#endif

#if defined(__aarch64__)
#define SET neon
#define TARGET CK_NEON
#define VECTOR float32x4_t
#define LANES 4
#define VECTORS 4
#define ZERO vdupq_n_f32(0)
#define LOAD vld1q_f32
#define ADD vaddq_f32
#define MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)
#define SUM vaddvq_f32
#define HOLD(x) __asm__ volatile("" : "+w"(x) : : "memory")
#include "float_group.h"
#endif

/* Defines gemm_S from the arguments of ck_multiply_rows_S that come before CK_GEMM_PARAMETERS. */
#define CK_FLOAT_PRODUCTS(S, TARGET, ...)                     \
    TARGET static void gemm_##S(CK_GEMM_PARAMETERS) {         \
        ck_multiply_rows_##S(__VA_ARGS__, CK_GEMM_ARGUMENTS); \
    }
