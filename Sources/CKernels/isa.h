/* What every kernel needs from the machine: target attributes, and small helpers for each instruction set.
 *
 * A kernel for an instruction set is an ordinary function with a target attribute; no file needs compiler flags.
 * Helpers are always inlined, because a helper may only be inlined into a function whose target includes its own. */
#pragma once

#include "CKernels.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define CK_INLINE static inline __attribute__((always_inline))

/* The attribute of a kernel that any machine can run. Named, so that it can be handed to a macro like the others. */
#define CK_SCALAR

#if defined(__x86_64__)
#define CK_AVX2 __attribute__((target("avx2,fma,f16c")))
#if !defined(CK_AVXVNNI_BY_AVX512)
#define CK_AVXVNNI __attribute__((target("avx2,fma,f16c,avxvnni")))
#else
/* For tests on machines that have AVX-512 VNNI only: its products of the same registers do the same. */
#define CK_AVXVNNI __attribute__((target("avx2,fma,f16c,avx512f,avx512vl,avx512vnni")))
#define _mm256_dpbusd_avx_epi32 _mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 _mm256_dpwssd_epi32
#endif
/* Clang keeps to 256 bits by default even where wider registers exist: kernels here are long enough for them. */
#if defined(__clang__)
#define CK_512_BITS , min_vector_width(512)
#else
#define CK_512_BITS
#endif
#define CK_AVX512 __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl") CK_512_BITS))
#define CK_AVX512VNNI \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni") CK_512_BITS))
/* All that have AMX have the others, too. */
#define CK_AMX \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512bf16," \
                          "amx-tile,amx-int8,amx-bf16") CK_512_BITS))
#endif

#if defined(__aarch64__)
/* Every 64-bit ARM has NEON, with conversions of halves. The products of bytes came with ARMv8.2, as an option. */
#define CK_NEON
#define CK_NEON_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#define CK_NEON_I8MM __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#endif

/* At the start of a function: products and sums are rounded one by one, even where the machine could fuse them. GCC
 * does so by itself in the standard's own modes, such as -std=c17. */
#if defined(__clang__)
#define CK_DO_NOT_FUSE _Pragma("STDC FP_CONTRACT OFF")
#else
#define CK_DO_NOT_FUSE
#endif

/* Before a loop with a constant, small number of rounds whose body depends on the round: unrolled, what depends on it
 * becomes constant, and what belongs to a round stays in registers. Compilers are too shy to do it by themselves where
 * a body is long. */
#if defined(__clang__)
#define CK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CK_UNROLL _Pragma("GCC unroll 16")
#endif

/* Writes a variable that is a vector past the caches, see ck_fence; `address` is a multiple of its size. GCC has no
 * builtin for it that takes vectors of any size: what it compiles writes to a cache. */
#if defined(__clang__)
#define CK_STORE_PASSING(vector, address) __builtin_nontemporal_store(vector, (__typeof__(vector) *)(address))
#else
#define CK_STORE_PASSING(vector, address) memcpy(address, &(vector), sizeof(vector))
#endif

/* Asks for the cache lines of `bytes` bytes. They may lie beyond any buffer, hence a number and not a pointer: a
 * prefetch never faults. */
CK_INLINE void ck_prefetch(uintptr_t address, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch((const void *)(address + i));
    }
}

/* The same in the second-level cache. */
CK_INLINE void ck_prefetch_far(uintptr_t address, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch((const void *)(address + i), 0, 2);
    }
}

/* ck_prefetch of what is not wanted again: it goes to the first-level cache alone. */
CK_INLINE void ck_prefetch_passing(uintptr_t address, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch((const void *)(address + i), 0, 0);
    }
}

/* Asks for what lies ahead of `bytes` bytes at `address`. */
CK_INLINE void ck_ask_ahead(ck_lookahead ahead, const void *address, size_t bytes) {
    if (ahead.far > 0) {
        ck_prefetch_far((uintptr_t)address + ahead.far, bytes);
    }
    if (ahead.near > 0 && ahead.is_passing) {
        ck_prefetch_passing((uintptr_t)address + ahead.near, bytes);
    } else if (ahead.near > 0) {
        ck_prefetch((uintptr_t)address + ahead.near, bytes);
    }
}

/* ---- Bits and half precision, on any machine --------------------------------------------- */

CK_INLINE uint32_t ck_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

CK_INLINE float ck_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Reads a 16-bit number that may lie at any address. */
CK_INLINE uint16_t ck_load_u16(const void *address) {
    uint16_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

/* Reads a 32-bit number that may lie at any address. */
CK_INLINE uint32_t ck_load_u32(const void *address) {
    uint32_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

/* IEEE 754 binary16 -> binary32, exact; NaNs become quiet, as the hardware's do. */
CK_INLINE float ck_f16_to_f32(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    if (magnitude >= 0x7c00u << 13) { /* infinity, NaN */
        const uint32_t quiet = magnitude > 0x7c00u << 13 ? 0x00400000 : 0;
        return ck_float(sign | 0x7f800000 | magnitude | quiet);
    }
    /* The exponent's bias grows from 15 to 127 by a multiplication, which also normalises subnormals. */
    return ck_float(sign | ck_bits(ck_float(magnitude) * 0x1p112f));
}

/* IEEE 754 binary32 -> binary16, to nearest even. */
CK_INLINE uint16_t ck_f32_to_f16(float value) {
    const uint32_t bits = ck_bits(value);
    const uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) { /* NaN */
        return (uint16_t)(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
    }
    if (magnitude >= 0x477ff000) { /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    }
    if (magnitude < 0x38800000) { /* below 2^-14: the spacing of floats around 0.5 is that of half's subnormals */
        return (uint16_t)(sign | (ck_bits(ck_float(magnitude) + 0.5f) - ck_bits(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
}

/* bfloat16 -> binary32, exact: its bits are the upper half of a float's. */
CK_INLINE float ck_bf16_to_f32(uint16_t half) {
    return ck_float((uint32_t)half << 16);
}

/* binary32 -> bfloat16, to nearest even; NaNs become quiet. */
CK_INLINE uint16_t ck_f32_to_bf16(float value) {
    const uint32_t bits = ck_bits(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* ---- AVX2, AVX-512 ----------------------------------------------------------------------- */

#if defined(__x86_64__)

CK_AVX2 CK_INLINE float ck_sum_avx2(__m256 lanes) {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
    return _mm_cvtss_f32(sum);
}

/* The half at `address` in every lane. */
CK_AVX2 CK_INLINE __m256 ck_broadcast_f16_avx2(const void *address) {
    return _mm256_cvtph_ps(_mm_set1_epi16((int16_t)ck_load_u16(address)));
}

/* Sums of the lower eight lanes and of the upper eight. */
CK_AVX512 CK_INLINE void ck_half_sums_avx512(__m512 lanes, float *lower, float *upper) {
    *lower = ck_sum_avx2(_mm512_castps512_ps256(lanes));
    *upper = ck_sum_avx2(_mm512_extractf32x8_ps(lanes, 1));
}

/* The half at `lower` in the lower eight lanes, that at `upper` in the upper eight. */
CK_AVX512 CK_INLINE __m512 ck_broadcast_f16_pair_avx512(const void *lower, const void *upper) {
    const __m256i first = _mm256_set1_epi16((int16_t)ck_load_u16(lower));
    return _mm512_cvtph_ps(_mm256_mask_set1_epi16(first, 0xff00, (int16_t)ck_load_u16(upper)));
}

/* Adds the products of the two pairs of 16-bit integers in every lane to `sums`. */
CK_AVX512VNNI CK_INLINE __m512i ck_add_pairs_avx512(__m512i sums, __m512i first, __m512i second) {
    /* Of the intrinsic Clang makes a multiplication and an addition where it sees a chain: wide tiles of Q6_K take 2%
     * longer. */
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(first), "v"(second));
    return sums;
}

#endif
