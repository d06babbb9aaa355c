/* Quantisers of the types that numbers are simply rounded to, each by itself or by the rule of the reference.
 * Importance decides nothing there. */
#include "quantize.h"

#define DEFINE_FOR(S, ISA, NAME, TYPE)                                                    \
    static void quantize_##NAME##_##S(CK_QUANTIZE_PARAMETERS) {                           \
        (void)importance;                                                                 \
        ck_kernels(TYPE, ISA).quantize(values, blocks, rows * columns);                   \
    }

#if defined(__x86_64__)
#define DEFINE(NAME, TYPE)                                                                \
    DEFINE_FOR(scalar, CK_ISA_SCALAR, NAME, TYPE)                                         \
    DEFINE_FOR(avx2, CK_ISA_AVX2, NAME, TYPE)                                             \
    DEFINE_FOR(avx512, CK_ISA_AVX512, NAME, TYPE)                                         \
    const ck_quantize_rows_fn ck_##NAME##_quantizers[CK_ISA_COUNT] = {                    \
        [CK_ISA_SCALAR] = quantize_##NAME##_scalar,                                       \
        [CK_ISA_AVX2] = quantize_##NAME##_avx2,                                           \
        [CK_ISA_AVX512] = quantize_##NAME##_avx512};
#else
#define DEFINE(NAME, TYPE)                                                                \
    DEFINE_FOR(scalar, CK_ISA_SCALAR, NAME, TYPE)                                         \
    DEFINE_FOR(neon, CK_ISA_NEON, NAME, TYPE)                                             \
    const ck_quantize_rows_fn ck_##NAME##_quantizers[CK_ISA_COUNT] = {                    \
        [CK_ISA_SCALAR] = quantize_##NAME##_scalar, [CK_ISA_NEON] = quantize_##NAME##_neon};
#endif

DEFINE(f32, CK_TYPE_F32)
DEFINE(f16, CK_TYPE_F16)
DEFINE(f64, CK_TYPE_F64)
DEFINE(bf16, CK_TYPE_BF16)
DEFINE(tq1_0, CK_TYPE_TQ1_0)
DEFINE(tq2_0, CK_TYPE_TQ2_0)
