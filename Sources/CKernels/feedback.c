/* Rounding with the errors fed forward: what a column's rounding has changed in the products of its row is taken out
 * of the columns behind it (GPTQ, arXiv 2210.17323; the factor is that of its equation 4). */
#include "isa.h"
#include "registry.h"

/* The place of a weight between its first and its last value; 0 where these are too close to be a range. */
CK_INLINE float place_of(float weight, float first, float range) {
    const float size = ck_float(ck_bits(range) & 0x7fffffff);
    return size >= 0x1p-100f ? (weight - first) / range : 0;
}

/* The code whose place is nearest. */
CK_INLINE uint32_t code_at(const ck_codes *codes, float place) {
    if (codes->ladder == NULL) {
        const float last = (float)(codes->count - 1), scaled = place * last;
        return (uint32_t)((scaled > 0 ? scaled < last ? scaled : last : 0) + 0.5f);
    }
    uint32_t code = 0;
    for (uint32_t k = 1; k < codes->count; k++) {
        code += place > 0.5f * (codes->ladder[k - 1] + codes->ladder[k]);
    }
    return code;
}

CK_INLINE float place_at(const ck_codes *codes, uint32_t code) {
    return codes->ladder == NULL ? (float)code / (float)(codes->count - 1) : codes->ladder[code];
}

CK_INLINE void feed_forward(const ck_feedback *feedback, const ck_codes *codes) {
    CK_DO_NOT_FUSE
    for (size_t row = 0; row < feedback->rows; row++) {
        float *const restrict weights = feedback->weights + row * feedback->stride;
        const float *const first = feedback->first + row * feedback->columns;
        const float *const last = feedback->last + row * feedback->columns;
        uint8_t *const chosen = feedback->codes + row * feedback->columns;
        float *const errors = feedback->errors + row * feedback->error_stride;
        for (size_t j = 0; j < feedback->columns; j++) {
            const float *const restrict factor = feedback->factor + j * feedback->factor_stride;
            const float range = last[j] - first[j];
            const uint32_t code = code_at(codes, place_of(weights[j], first[j], range));
            const float error = (weights[j] - (first[j] + range * place_at(codes, code))) / factor[j];
            chosen[j] = (uint8_t)code;
            errors[j] = error;
            for (size_t k = j + 1; k < feedback->reach; k++) {
                weights[k] -= error * factor[k];
            }
        }
    }
}

/* A weight's best code, all others being what they are, is that nearest to  weight + gradient / H[j][j]. */
CK_INLINE void descend(const ck_descent *descent, const ck_codes *codes) {
    CK_DO_NOT_FUSE
    const size_t columns = descent->columns;
    for (size_t row = 0; row < descent->rows; row++) {
        const float *const first = descent->first + row * columns;
        const float *const last = descent->last + row * columns;
        float *const weights = descent->weights + row * columns;
        float *const restrict gradient = descent->gradient + row * columns;
        uint8_t *const chosen = descent->codes + row * columns;
        for (size_t j = 0; j < columns; j++) {
            const float *const restrict moments = descent->moments + j * columns;
            const float range = last[j] - first[j];
            const uint32_t code = code_at(codes, place_of(weights[j] + gradient[j] / moments[j], first[j], range));
            const float weight = first[j] + range * place_at(codes, code), change = weight - weights[j];
            chosen[j] = (uint8_t)code;
            weights[j] = weight;
            /* What rounding leaves of no change at all is not worth a pass over the row. */
            if (ck_float(ck_bits(change) & 0x7fffffff) > 1e-4f * ck_float(ck_bits(range) & 0x7fffffff)) {
                for (size_t k = 0; k < columns; k++) {
                    gradient[k] -= change * moments[k];
                }
            }
        }
    }
}

CK_SCALAR static void descend_scalar(const ck_descent *descent, const ck_codes *codes) {
    descend(descent, codes);
}

CK_SCALAR static void feed_forward_scalar(const ck_feedback *feedback, const ck_codes *codes) {
    feed_forward(feedback, codes);
}

#if defined(__x86_64__)

CK_AVX2 static void feed_forward_avx2(const ck_feedback *feedback, const ck_codes *codes) {
    feed_forward(feedback, codes);
}

CK_AVX512 static void feed_forward_avx512(const ck_feedback *feedback, const ck_codes *codes) {
    feed_forward(feedback, codes);
}

CK_AVX2 static void descend_avx2(const ck_descent *descent, const ck_codes *codes) {
    descend(descent, codes);
}

CK_AVX512 static void descend_avx512(const ck_descent *descent, const ck_codes *codes) {
    descend(descent, codes);
}

#endif

/* ARM has what the scalar code needs: the compiler turns it into NEON. */
static const ck_feedback_kernels kernels[CK_ISA_COUNT] = {
    [CK_ISA_SCALAR] = {feed_forward_scalar, descend_scalar},
#if defined(__x86_64__)
    [CK_ISA_AVX2] = {feed_forward_avx2, descend_avx2},
    [CK_ISA_AVX512] = {feed_forward_avx512, descend_avx512},
#endif
};

ck_feedback_kernels ck_feedback_of(ck_isa isa) {
    while (kernels[isa].feed_forward == NULL) {
        isa = ck_isa_fallback(isa);
    }
    return kernels[isa];
}
