/* What an instruction set reaches with nothing in its way: the roofs that other kernels are measured against. */
#include "registry.h"

#include "amx.h"
#include "isa.h"

/* Rounds between two looks at the clock. */
enum { ROUNDS = 4096 };

/* Defines `name`, which does `work` on twelve accumulators again and again: enough independent ones to hide the latency
 * of a dot product or a fused addition, and few enough for sixteen registers. Barriers keep the compiler from computing
 * a product once for all rounds, or the sum of all rounds at once. */
#define DEFINE_PEAK(name, TARGET, vector, zero, operand, work)                          \
    TARGET static float name(void) {                                                    \
        vector sums[12];                                                                \
        operand a, b;                                                                   \
        memset(&a, 0x3f, sizeof a);                                                     \
        memset(&b, 0x3f, sizeof b);                                                     \
        CK_UNROLL                                                                       \
        for (size_t i = 0; i < 12; i++) {                                               \
            sums[i] = zero;                                                             \
        }                                                                               \
        for (size_t round = 0; round < ROUNDS; round++) {                               \
            CK_UNROLL                                                                   \
            for (size_t i = 0; i < 12; i++) {                                           \
                KEEP(a);                                                                \
                sums[i] = work(sums[i], a, b);                                          \
                KEEP(sums[i]);                                                          \
            }                                                                           \
        }                                                                               \
        float first;                                                                    \
        memcpy(&first, sums, sizeof first);                                             \
        return first;                                                                   \
    }

/* The largest of 64 bytes at a time, which no reader of memory can beat. */
#define DEFINE_READ(name, TARGET, vector, zero, load, merge)                            \
    TARGET static uint64_t name(const void *memory, size_t bytes, ck_lookahead ahead) {     \
        vector sums[8];                                                                 \
        CK_UNROLL                                                                       \
        for (size_t i = 0; i < 8; i++) {                                                \
            sums[i] = zero;                                                             \
        }                                                                               \
        const uint8_t *address = memory;                                                \
        for (size_t i = 0; i < bytes; i += sizeof sums) {                               \
            if (ahead.far > 0 || ahead.is_passing) {                                    \
                ck_ask_ahead(ahead, address + i, sizeof sums);                          \
            }                                                                           \
            CK_UNROLL                                                                   \
            for (size_t j = 0; j < 8; j++) {                                            \
                sums[j] = merge(sums[j], load((const void *)(address + i + j * sizeof sums[0])));  \
            }                                                                           \
        }                                                                               \
        uint64_t words[sizeof sums / 8], all = 0;                                       \
        memcpy(words, sums, sizeof sums);                                               \
        for (size_t i = 0; i < sizeof sums / 8; i++) {                                  \
            all ^= words[i];                                                            \
        }                                                                               \
        return all;                                                                     \
    }

#if defined(__x86_64__)
#define KEEP(value) __asm__ volatile("" : "+x"(value))

#define FMA_AVX2(sum, a, b) _mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), sum)
#define DOT_AVX2(sum, a, b) _mm256_add_epi16(sum, _mm256_maddubs_epi16(a, b))
#define DOT_AVXVNNI(sum, a, b) _mm256_dpbusd_avx_epi32(sum, a, b)
DEFINE_PEAK(float_avx2, CK_AVX2, __m256, _mm256_setzero_ps(), __m256i, FMA_AVX2)
DEFINE_PEAK(bytes_avx2, CK_AVX2, __m256i, _mm256_setzero_si256(), __m256i, DOT_AVX2)
DEFINE_PEAK(bytes_avxvnni, CK_AVXVNNI, __m256i, _mm256_setzero_si256(), __m256i, DOT_AVXVNNI)
DEFINE_READ(read_avx2, CK_AVX2, __m256i, _mm256_setzero_si256(), _mm256_loadu_si256, _mm256_xor_si256)

#undef KEEP
#define KEEP(value) __asm__ volatile("" : "+v"(value))
#define FMA_AVX512(sum, a, b) _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
#define DOT_AVX512(sum, a, b) _mm512_add_epi16(sum, _mm512_maddubs_epi16(a, b))
#define DOT_AVX512VNNI(sum, a, b) _mm512_dpbusd_epi32(sum, a, b)
DEFINE_PEAK(float_avx512, CK_AVX512, __m512, _mm512_setzero_ps(), __m512i, FMA_AVX512)
DEFINE_PEAK(bytes_avx512, CK_AVX512, __m512i, _mm512_setzero_si512(), __m512i, DOT_AVX512)
DEFINE_PEAK(bytes_avx512vnni, CK_AVX512VNNI, __m512i, _mm512_setzero_si512(), __m512i, DOT_AVX512VNNI)
DEFINE_READ(read_avx512, CK_AVX512, __m512i, _mm512_setzero_si512(), _mm512_loadu_si512, _mm512_xor_si512)

/* Four products of matrices, each on its own sums: one takes sixteen cycles, and what waits for it about fifty. */
CK_AMX static float bytes_amx(void) {
    ck_amx_configure();
    for (size_t round = 0; round < ROUNDS; round++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_release();
    return 0;
}
#elif defined(__aarch64__)
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#define FMA_NEON(sum, a, b) vfmaq_f32(sum, vreinterpretq_f32_s8(a), vreinterpretq_f32_s8(b))
#define DOT_NEON(sum, a, b) vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)))
#define DOT_NEON_DOTPROD(sum, a, b) vdotq_s32(sum, a, b)
#define LOAD_NEON(address) vld1q_u8(address)
DEFINE_PEAK(float_neon, CK_NEON, float32x4_t, vdupq_n_f32(0), int8x16_t, FMA_NEON)
DEFINE_PEAK(bytes_neon, CK_NEON, int32x4_t, vdupq_n_s32(0), int8x16_t, DOT_NEON)
DEFINE_PEAK(bytes_neon_dotprod, CK_NEON_DOTPROD, int32x4_t, vdupq_n_s32(0), int8x16_t, DOT_NEON_DOTPROD)
DEFINE_READ(read_neon, CK_NEON, uint8x16_t, vdupq_n_u8(0), LOAD_NEON, veorq_u8)
#endif

#undef KEEP
#define KEEP(value) __asm__ volatile("" : "+r"(value))
#define FMA_SCALAR(sum, a, b) ((sum) + (a) * (b))
#define DOT_SCALAR(sum, a, b) ((sum) + (int32_t)(a) * (b))
#define LOAD_SCALAR(address) (*(const uint64_t *)(address))
#define XOR_SCALAR(a, b) ((a) ^ (b))
DEFINE_PEAK(bytes_scalar, CK_SCALAR, int32_t, 0, int8_t, DOT_SCALAR)
DEFINE_READ(read_scalar, CK_SCALAR, uint64_t, 0, LOAD_SCALAR, XOR_SCALAR)
#undef KEEP
#if defined(__x86_64__)
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#elif defined(__aarch64__)
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#else
#define KEEP(value) __asm__ volatile("" : "+m"(value))
#endif
DEFINE_PEAK(float_scalar, CK_SCALAR, float, 0, float, FMA_SCALAR)

/* Operations of a call: twelve sums, ROUNDS times, two for each product and its addition. */
#define OPERATIONS(products) (2.0 * 12 * ROUNDS * (products))

ck_roofline_kernels ck_roofline(ck_isa isa) {
    static const ck_roofline_kernels table[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = {read_scalar, float_scalar, OPERATIONS(1), bytes_scalar, OPERATIONS(1)},
#if defined(__x86_64__)
        [CK_ISA_AVX2] = {read_avx2, float_avx2, OPERATIONS(8), bytes_avx2, OPERATIONS(32)},
        [CK_ISA_AVXVNNI] = {read_avx2, float_avx2, OPERATIONS(8), bytes_avxvnni, OPERATIONS(32)},
        [CK_ISA_AVX512] = {read_avx512, float_avx512, OPERATIONS(16), bytes_avx512, OPERATIONS(64)},
        [CK_ISA_AVX512VNNI] = {read_avx512, float_avx512, OPERATIONS(16), bytes_avx512vnni, OPERATIONS(64)},
        [CK_ISA_AMX] = {read_avx512, float_avx512, OPERATIONS(16), bytes_amx, 2.0 * 4 * ROUNDS * 16 * 16 * 64},
#elif defined(__aarch64__)
        [CK_ISA_NEON] = {read_neon, float_neon, OPERATIONS(4), bytes_neon, OPERATIONS(8)},
        [CK_ISA_NEON_DOTPROD] = {read_neon, float_neon, OPERATIONS(4), bytes_neon_dotprod, OPERATIONS(16)},
        [CK_ISA_NEON_I8MM] = {read_neon, float_neon, OPERATIONS(4), bytes_neon_dotprod, OPERATIONS(16)},
#endif
    };
    return table[isa];
}
