/* Activations as panels take them: vectors side by side, rounded to bytes or to pairs of bytes. */
#include "registry.h"

#include "isa.h"
#include "rounding.h"

typedef float floats32 __attribute__((vector_size(128)));
typedef int32_t ints32 __attribute__((vector_size(128)));
typedef int8_t bytes32 __attribute__((vector_size(32)));

/* Writes 32 bytes as eight words, n words apart. */
CK_INLINE void store_words(const bytes32 *bytes, size_t n, uint8_t *out) {
    for (size_t j = 0; j < 8; j++) {
        memcpy(out + 4 * n * j, (const uint8_t *)bytes + 4 * j, 4);
    }
}

/* One byte (parts 1) or two (parts 2: upper, lower) for each value. */
CK_INLINE void pack(
    int parts, const float *x, size_t columns, size_t n, size_t t, uint8_t *values, float *scales, int32_t *totals) {
    CK_DO_NOT_FUSE
    const float limit = parts == 1 ? 127 : 127 * 256;
    values += 4 * t;
    for (size_t i = 0; i < columns; i += 32, values += 32 * parts * n) {
        const ck_rounding rounding = ck_rounding_of(x + i, limit);
        floats32 value;
        memcpy(&value, x + i, sizeof value);
        /* Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits. */
        const floats32 shifted = value * rounding.reciprocal + 0x1.8p23f;
        ints32 rounded = (ints32)shifted - (ints32)((floats32){0} + 0x1.8p23f);
        if (parts == 2) {
            /* No lower byte of -128, whose negative is no byte: AVX2 moves signs from weights to activations. */
            rounded -= (rounded & 0xff) == 0x80;
        }
        scales[i / 32 * n + t] = rounding.scale;
        for (size_t half = 0; half < 2; half++) {
            int32_t total = 0;
            for (size_t k = 0; k < 16; k++) {
                total += rounded[16 * half + k];
            }
            totals[(i / 16 + half) * n + t] = total;
        }
        const bytes32 lower = __builtin_convertvector(rounded, bytes32);
        if (parts == 2) {
            const bytes32 upper = __builtin_convertvector((rounded + 128) >> 8, bytes32);
            store_words(&upper, n, values);
        }
        store_words(&lower, n, values + 32 * (parts - 1) * n);
    }
}

#define DEFINE(S, TARGET)                                                                                      \
    TARGET static void pack_int8_##S(                                                                          \
        const float *x, size_t columns, size_t n, size_t t, void *values, float *scales, int32_t *totals) {    \
        pack(1, x, columns, n, t, values, scales, totals);                                                     \
    }                                                                                                          \
    TARGET static void pack_int16_##S(                                                                         \
        const float *x, size_t columns, size_t n, size_t t, void *values, float *scales, int32_t *totals) {    \
        pack(2, x, columns, n, t, values, scales, totals);                                                     \
    }

DEFINE(scalar, CK_SCALAR)
#if defined(__x86_64__)
DEFINE(avx2, CK_AVX2)
DEFINE(avx512, CK_AVX512)
#endif

ck_pack_columns_fn ck_pack_columns(ck_precision precision, ck_isa isa) {
    static const ck_pack_columns_fn table[CK_ISA_COUNT][CK_PRECISION_COUNT] = {
        [CK_ISA_SCALAR] = {NULL, pack_int16_scalar, pack_int8_scalar},
#if defined(__x86_64__)
        [CK_ISA_AVX2] = {NULL, pack_int16_avx2, pack_int8_avx2},
        [CK_ISA_AVX512] = {NULL, pack_int16_avx512, pack_int8_avx512},
#endif
    };
    while (table[isa][precision] == NULL && isa != CK_ISA_SCALAR) {
        isa = ck_isa_fallback(isa);
    }
    return table[isa][precision];
}
