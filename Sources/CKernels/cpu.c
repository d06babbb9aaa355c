/* Which instruction sets this machine has. */
#define _DEFAULT_SOURCE /* syscall */
#include "isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__aarch64__)
/* Bits of the kernel's hardware capabilities, spelled out because older headers lack them. */
enum { HWCAP_BIT_ASIMDDP = 20, HWCAP2_BIT_I8MM = 13 };

static bool has_dotprod(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) >> HWCAP_BIT_ASIMDDP) & 1;
#elif defined(__APPLE__)
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, NULL, 0) == 0 && value != 0;
#else
    return false;
#endif
}

static bool has_i8mm(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP2) >> HWCAP2_BIT_I8MM) & 1;
#elif defined(__APPLE__)
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname("hw.optional.arm.FEAT_I8MM", &value, &size, NULL, 0) == 0 && value != 0;
#else
    return false;
#endif
}
#endif

#if defined(__x86_64__)
/* What AMX consists of, and what its tiles are made with, by CPUID leaf 7: older compilers lack some of the names. */
enum {
    CPUID_EDX_AMX_BF16 = 1 << 22,
    CPUID_EDX_AMX_TILE = 1 << 24,
    CPUID_EDX_AMX_INT8 = 1 << 25,
    CPUID_ECX_AVX512VBMI = 1 << 1,
    CPUID_EAX_AVX512BF16 = 1 << 5, /* of subleaf 1 */
};

/* Linux saves the eight matrices, 8 KiB, only of processes that have asked for it. */
static bool has_amx(void) {
#if defined(__linux__)
    enum { ARCH_REQUEST_PERMISSION = 0x1023, STATE_OF_TILES = 18 };
    const unsigned wanted = CPUID_EDX_AMX_BF16 | CPUID_EDX_AMX_TILE | CPUID_EDX_AMX_INT8;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & wanted) == wanted && (c & CPUID_ECX_AVX512VBMI) != 0 &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & CPUID_EAX_AVX512BF16) != 0 &&
           syscall(SYS_arch_prctl, ARCH_REQUEST_PERMISSION, STATE_OF_TILES) == 0;
#else
    return false;
#endif
}
#endif

bool ck_isa_supported(ck_isa isa) {
    switch (isa) {
    case CK_ISA_SCALAR:
        return true;
#if defined(__x86_64__)
    /* The compiler's runtime asks the processor, and the operating system whether it saves the wide registers. */
    case CK_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case CK_ISA_AVXVNNI:
#if defined(CK_AVXVNNI_BY_AVX512)
        return ck_isa_supported(CK_ISA_AVX512VNNI);
#else
        return ck_isa_supported(CK_ISA_AVX2) && __builtin_cpu_supports("avxvnni");
#endif
    case CK_ISA_AVX512:
        return ck_isa_supported(CK_ISA_AVX2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
    case CK_ISA_AVX512VNNI:
        return ck_isa_supported(CK_ISA_AVX512) && __builtin_cpu_supports("avx512vnni");
    case CK_ISA_AMX:
        return ck_isa_supported(CK_ISA_AVX512VNNI) && has_amx();
#endif
#if defined(__aarch64__)
    case CK_ISA_NEON:
        return true;
    case CK_ISA_NEON_DOTPROD:
        return has_dotprod();
    case CK_ISA_NEON_I8MM:
        return has_dotprod() && has_i8mm();
#endif
    default:
        return false;
    }
}

ck_isa ck_isa_best(void) {
    static const ck_isa best_first[] = {
        CK_ISA_AMX, CK_ISA_AVX512VNNI, CK_ISA_AVX512, CK_ISA_AVXVNNI, CK_ISA_AVX2, CK_ISA_NEON_I8MM,
        CK_ISA_NEON_DOTPROD, CK_ISA_NEON,
    };
    for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++) {
        if (ck_isa_supported(best_first[i])) {
            return best_first[i];
        }
    }
    return CK_ISA_SCALAR;
}

const char *ck_isa_name(ck_isa isa) {
    static const char *const names[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = "scalar",
        [CK_ISA_AVX2] = "avx2",
        [CK_ISA_AVXVNNI] = "avxvnni",
        [CK_ISA_AVX512] = "avx512",
        [CK_ISA_AVX512VNNI] = "avx512vnni",
        [CK_ISA_AMX] = "amx",
        [CK_ISA_NEON] = "neon",
        [CK_ISA_NEON_DOTPROD] = "neon-dotprod",
        [CK_ISA_NEON_I8MM] = "neon-i8mm",
    };
    return names[isa];
}

/* A panel is one stream in large pages, which a processor should follow by itself. Zen 4 does: there, asking for every
 * line 4 KiB ahead costs 2 to 6% of decode's bandwidth, and 5 to 20% where memory is fast; asking for some of them
 * costs 15%. What pays is to say, just before a line is used, that it is not wanted again: activations stay in the
 * first-level cache, and the caches behind it are spared. With 64 to 160 bytes ahead a token of Q4_0 takes 2% less
 * time, Q4_K_M 2 to 4%, Q8_0 2 to 3%, Q6_K 0.5 to 1%; with 256 some take 2% more. (Reading alone gains 3 to 5%.)
 * That is for one vector. Four compute for longer than memory takes, and Zen 4 does not follow the stream far enough
 * meanwhile: 3 KiB ahead make their products with activations of 16 bits 1.12 to 1.27 times as fast as 96 bytes do,
 * from memory with one thread (Q4_0, Q5_0, Q8_0, Q4_K, Q5_K, Q6_K). To ask 8 KiB ahead for the second-level cache and
 * 2 KiB ahead for the first makes batches of 8 tokens 1.12 (Q4_0), 1.14 (Q6_K) and 1.32 times (Q8_0) as fast again, of
 * 16 tokens 1.02, 1.23 and 1.28 times (two threads, 8 bits); 12 and 16 KiB are as good, 4 and 32 are not. One vector or
 * two would be 0.8 to 0.95 times as fast that way.
 *
 * Zen 3 does not follow it far enough while it computes: there, 2 KiB ahead make 87 to 92% of the bandwidth out of 75
 * to 83 with activations of 8 bits; 1.5 to 4 KiB are as good.
 *
 * Emerald Rapids, which stands for all of Intel's here, follows it no better: by itself it makes 56% of the bandwidth
 * of Q4_0 with activations of 16 bits, 86% with 4 KiB ahead, 88% where they are asked for in the second-level cache.
 * What is there already is then worth asking for once more, in the first-level cache: against 4 KiB alone, 8 and 2 KiB
 * make Q4_0 1.07 times as fast, Q8_0 1.04, Q4_K 1.09, Q6_K 1.12, and Q5_K no faster. */
ck_lookahead ck_lookahead_of(ck_isa isa, size_t vectors) {
#if defined(__x86_64__)
    if (isa == CK_ISA_SCALAR) {
        return (ck_lookahead){0};
    }
    if (__builtin_cpu_is("intel")) {
        return (ck_lookahead){.near = 2048, .far = 8192};
    }
    /* AVX-512 without VNNI has AVX2's panels. */
    if (isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512) {
        return (ck_lookahead){.near = 2048};
    }
    return vectors <= 2 ? (ck_lookahead){.near = 96, .is_passing = true} : (ck_lookahead){.near = 2048, .far = 8192};
#else
    (void)isa;
    (void)vectors;
    return (ck_lookahead){0};
#endif
}

/* The rows of a head are one stream. Where it is asked for ahead of use, Emerald Rapids takes f16 from memory 1.3 to
 * 1.6 times as fast, q8_0 1.05 times; q4_0 takes too many operations to wait for it. Zen 3 gains with short runs of
 * values, see attention_rows.h: beside the same products of weights, at depth 1536 with two threads, scores then take
 * 0.94 of their time and sums of values 0.90 (f16), or 0.96 and 0.76 (q8_0). Zen 4 gains nothing. */
size_t ck_cache_lookahead(ck_isa isa) {
#if defined(__x86_64__)
    if (isa != CK_ISA_SCALAR && __builtin_cpu_is("intel")) {
        return 8192;
    }
    return isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512 ? 2048 : 0;
#else
    (void)isa;
    return 0;
#endif
}

/* A line that is written in a cache is read before, and taken from the caches of whoever has read it since: with
 * threads on two dies of a processor that takes some tenths of a microsecond, and stores that wait keep those behind
 * them from being begun. Whole lines past the caches are not read. Prompts of 512 tokens on Zen 4 with two threads:
 * 1.035 (Q6_K) and 1.052 times (Q4_0) as fast, of which 1.012 and 1.015 are what gates yield, the rest products; with
 * one thread 1.015 times (Q4_K_M). With what norms and attention yield they are 1.014 (0.981 to 1.051) and 1.016 times
 * as fast again, Q4_K_M 1.008 times, and with one thread 0.996 times, which is no difference. Activations as tiles take
 * them, which all threads read several times, gain nothing. So far results pass where weights do, too; nothing else has
 * been measured. */
bool ck_results_pass(ck_isa isa) {
    return ck_lookahead_of(isa, 1).is_passing;
}
