/* Attention over a cache: which kernels are whose, and the panels that queries lie in. */
#include "attention.h"
#include "registry.h"

static const ck_attention_set *attention_set(ck_isa isa) {
    static const ck_attention_set *const sets[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = &ck_attention_scalar,
#if defined(__x86_64__)
        [CK_ISA_AVX2] = &ck_attention_avx2,
        [CK_ISA_AVX512] = &ck_attention_avx512,
#elif defined(__aarch64__)
        [CK_ISA_NEON] = &ck_attention_neon,
#endif
    };
    while (sets[isa] == NULL) {
        isa = ck_isa_fallback(isa);
    }
    return sets[isa];
}

ck_attention_kernels ck_attention(ck_type type, ck_isa isa) {
    const ck_attention_set *const set = attention_set(isa);
    switch (type) {
    case CK_TYPE_F32: return set->f32;
    case CK_TYPE_F16: return set->f16;
    case CK_TYPE_BF16: return set->bf16;
    case CK_TYPE_Q8_0: return set->q8_0;
    case CK_TYPE_Q4_0: return set->q4_0;
    default: return (ck_attention_kernels){NULL, NULL};
    }
}

ck_attention_tile_kernels ck_attention_tiles(ck_isa isa, bool integers) {
    static const ck_attention_tile_kernels *const sets[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = NULL,
#if defined(__x86_64__)
        [CK_ISA_AVX2] = &ck_attention_integers_avx2,
        [CK_ISA_AVXVNNI] = &ck_attention_integers_avxvnni,
        [CK_ISA_AVX512] = &ck_attention_integers_avx512,
        [CK_ISA_AVX512VNNI] = &ck_attention_integers_avx512vnni,
#endif
    };
    const ck_isa own = isa;
    while (integers && sets[isa] == NULL && isa != CK_ISA_SCALAR) {
        isa = ck_isa_fallback(isa);
    }
    return integers && sets[isa] != NULL ? *sets[isa] : attention_set(own)->tile;
}

void ck_pack_lane(const float *row, size_t n, float factor, size_t width, float *lane) {
    for (size_t i = 0; i < n; i++) {
        lane[i * width] = factor * row[i];
    }
}

void ck_unpack_lane(const float *lane, size_t n, float factor, size_t width, float *row) {
    for (size_t i = 0; i < n; i++) {
        row[i] = factor * lane[i * width];
    }
}
