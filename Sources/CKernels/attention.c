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

/* ---- Queries and results, and the lanes of their panels ---------------------------------------- */

typedef float four_floats __attribute__((vector_size(16)));

_Static_assert(CK_LANE_ROWS == 4, "rows are transposed four by four");

/* Rows become columns. */
CK_INLINE void transpose(four_floats rows[4]) {
    const four_floats low[2] = {
        __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5), __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5)};
    const four_floats high[2] = {
        __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7), __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7)};
    rows[0] = __builtin_shufflevector(low[0], low[1], 0, 1, 4, 5);
    rows[1] = __builtin_shufflevector(low[0], low[1], 2, 3, 6, 7);
    rows[2] = __builtin_shufflevector(high[0], high[1], 0, 1, 4, 5);
    rows[3] = __builtin_shufflevector(high[0], high[1], 2, 3, 6, 7);
}

void ck_pack_lanes(
    const float *const rows[CK_LANE_ROWS], size_t count, size_t n, float factor, size_t width, float *lanes) {
    size_t i = 0;
    for (; count == CK_LANE_ROWS && i + 4 <= n; i += 4) {
        four_floats block[4];
        CK_UNROLL
        for (size_t r = 0; r < 4; r++) {
            memcpy(&block[r], rows[r] + i, sizeof block[r]);
            block[r] *= factor;
        }
        transpose(block);
        CK_UNROLL
        for (size_t k = 0; k < 4; k++) {
            memcpy(lanes + (i + k) * width, &block[k], sizeof block[k]);
        }
    }
    for (size_t r = 0; r < count; r++) {
        for (size_t k = i; k < n; k++) {
            lanes[k * width + r] = factor * rows[r][k];
        }
    }
}

/* block[r] = factors[r] * elements 0 to 3 of lane r */
CK_INLINE void take_block(
    const float *lanes, size_t width, const float factors[CK_LANE_ROWS], four_floats block[4]) {
    CK_UNROLL
    for (size_t k = 0; k < 4; k++) {
        memcpy(&block[k], lanes + k * width, sizeof block[k]);
    }
    transpose(block);
    CK_UNROLL
    for (size_t r = 0; r < 4; r++) {
        block[r] *= factors[r];
    }
}

void ck_unpack_lanes(
    const float *lanes, size_t count, size_t n, const float factors[CK_LANE_ROWS], size_t width,
    float *const rows[CK_LANE_ROWS], bool passes) {
    size_t i = 0;
    for (; count == CK_LANE_ROWS && passes && i + 16 <= n; i += 16) {
        four_floats blocks[4][4];
        CK_UNROLL
        for (size_t b = 0; b < 4; b++) {
            take_block(lanes + (i + 4 * b) * width, width, factors, blocks[b]);
        }
        CK_UNROLL
        for (size_t r = 0; r < 4; r++) {
            const bool is_line = (uintptr_t)(rows[r] + i) % 64 == 0;
            CK_UNROLL
            for (size_t b = 0; b < 4; b++) {
                if (is_line) {
                    CK_STORE_PASSING(blocks[b][r], rows[r] + i + 4 * b);
                } else {
                    memcpy(rows[r] + i + 4 * b, &blocks[b][r], sizeof blocks[b][r]);
                }
            }
        }
    }
    for (; count == CK_LANE_ROWS && i + 4 <= n; i += 4) {
        four_floats block[4];
        take_block(lanes + i * width, width, factors, block);
        CK_UNROLL
        for (size_t r = 0; r < 4; r++) {
            memcpy(rows[r] + i, &block[r], sizeof block[r]);
        }
    }
    for (size_t r = 0; r < count; r++) {
        for (size_t k = i; k < n; k++) {
            rows[r][k] = factors[r] * lanes[k * width + r];
        }
    }
}
