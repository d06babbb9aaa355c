/* Operations on float vectors. Each is written once, with vectors of sixteen floats that the compiler turns into as
 * many registers as an instruction set needs (four of SSE or NEON, two of AVX2, one of AVX-512), and instantiated
 * for each set at the end of the file. */
#define LANES 16

#include "float_rows.h"
#include "lanes.h"
#include "registry.h"
#include "rounding.h"

typedef int16_t shorts __attribute__((vector_size(2 * LANES)));
typedef int8_t bytes __attribute__((vector_size(LANES)));

/* ---- Vectors of sixteen -------------------------------------------------------------------- */

/* min(n, 16) floats; the lanes beyond are `rest`. */
CK_INLINE void load(const float *address, size_t n, float rest, lanes *out) {
    if (n >= LANES) {
        memcpy(out, address, sizeof *out);
        return;
    }
    for (size_t i = 0; i < LANES; i++) {
        (*out)[i] = i < n ? address[i] : rest;
    }
}

CK_INLINE void store(const lanes *values, size_t n, float *address) {
    if (n >= LANES) {
        memcpy(address, values, sizeof *values);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        address[i] = (*values)[i];
    }
}

/* As `store`, but past the caches where `passes` and the values are a line of them. */
CK_INLINE void store_line(bool passes, const lanes *values, size_t n, float *address) {
    if (passes && n >= LANES && (uintptr_t)address % sizeof *values == 0) {
        lanes line = *values;
        CK_STORE_PASSING(line, address);
    } else {
        store(values, n, address);
    }
}

CK_INLINE float sum_of(const lanes *values) {
    float part[4];
    for (size_t i = 0; i < 4; i++) {
        part[i] = ((*values)[i] + (*values)[i + 8]) + ((*values)[i + 4] + (*values)[i + 12]);
    }
    return (part[0] + part[2]) + (part[1] + part[3]);
}

CK_INLINE float maximum_of(const lanes *values) {
    float largest = (*values)[0];
    for (size_t i = 1; i < LANES; i++) {
        largest = (*values)[i] > largest ? (*values)[i] : largest;
    }
    return largest;
}

/* Clang has builtins for these, which become few instructions. GCC's square root may call a function for errno. */
#if defined(__clang__)
#define SQUARE_ROOT(x) __builtin_elementwise_sqrt(x)
#else
#define SQUARE_ROOT(x) __builtin_sqrtf(x)
#endif

/* ---- Operations ---------------------------------------------------------------------------- */

CK_INLINE float sum_of_squares(const float *x, size_t n) {
    lanes sums = {0}, more = {0};
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        lanes value, next;
        load(x + i, LANES, 0, &value);
        load(x + i + LANES, LANES, 0, &next);
        sums += value * value;
        more += next * next;
    }
    for (; i < n; i += LANES) {
        lanes value;
        load(x + i, n - i, 0, &value);
        sums += value * value;
    }
    sums += more;
    return sum_of(&sums);
}

CK_INLINE void rms_norm(
    const float *x, const float *weight, float epsilon, size_t n, float *out, bool passes) {
    const float factor = 1 / SQUARE_ROOT(sum_of_squares(x, n) / (float)n + epsilon);
    for (size_t i = 0; i < n; i += LANES) {
        lanes value, scale;
        load(x + i, n - i, 0, &value);
        load(weight + i, n - i, 0, &scale);
        value = value * factor * scale;
        store_line(passes, &value, n - i, out + i);
    }
}

CK_INLINE void add(const float *a, const float *b, size_t n, float *out) {
    for (size_t i = 0; i < n; i += LANES) {
        lanes left, right;
        load(a + i, n - i, 0, &left);
        load(b + i, n - i, 0, &right);
        left += right;
        store(&left, n - i, out + i);
    }
}

CK_INLINE void silu_multiply(
    const float *gates, size_t stride, size_t rows, size_t n, float *out, size_t out_stride, bool passes) {
    for (size_t row = 0; row < rows; row++, gates += stride, out += out_stride) {
        for (size_t i = 0; i < n; i += LANES) {
            lanes g, u;
            load(gates + i, n - i, 0, &g);
            load(gates + n + i, n - i, 0, &u);
            lanes e = -g;
            exponential(&e);
            g = g / (1 + e) * u;
            store_line(passes, &g, n - i, out + i);
        }
    }
}

CK_INLINE float maximum(const float *x, size_t n) {
    lanes largest;
    load(x, n, x[0], &largest);
    for (size_t i = LANES; i < n; i += LANES) {
        lanes value;
        load(x + i, n - i, x[0], &value);
        largest = SELECT(value > largest, value, largest);
    }
    return maximum_of(&largest);
}

CK_INLINE float exp_sum(float *x, float maximum, size_t n) {
    lanes sums = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes value;
        load(x + i, LANES, 0, &value);
        value -= maximum;
        exponential(&value);
        sums += value;
        store(&value, LANES, x + i);
    }
    if (i < n) {
        lanes value;
        load(x + i, n - i, -__builtin_inff(), &value); /* whose exponential adds nothing */
        value -= maximum;
        exponential(&value);
        sums += value;
        store(&value, n - i, x + i);
    }
    return sum_of(&sums);
}

CK_INLINE void scale(float *x, float factor, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        lanes value;
        load(x + i, n - i, 0, &value);
        value *= factor;
        store(&value, n - i, x + i);
    }
}

CK_INLINE void softmax(float *x, size_t n) {
    scale(x, 1 / exp_sum(x, maximum(x, n), n), n);
}

/* Plain loops: neither the angles nor the halves overlap, so the compiler widens them as well as could be by hand. */
CK_INLINE void rope_adjacent(
    float *restrict x, const float *restrict cosines, const float *restrict sines, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosines[i] - b * sines[i];
        x[2 * i + 1] = a * sines[i] + b * cosines[i];
    }
}

CK_INLINE void rope_halves(
    float *restrict x, const float *restrict cosines, const float *restrict sines, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        const float a = x[i], b = x[i + pairs];
        x[i] = a * cosines[i] - b * sines[i];
        x[i + pairs] = a * sines[i] + b * cosines[i];
    }
}

/* One stage of `hadamard`, x[i], x[i + distance] = x[i] + x[i + distance], x[i] - x[i + distance], for a distance below
 * LANES: within a vector, whose lanes change places by SHUFFLE. */
#define HADAMARD_STAGE(value, distance, ...)                                       \
    do {                                                                           \
        const lanes moved = SHUFFLE(value, __VA_ARGS__);                           \
        const integers index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; \
        value = moved + SELECT((index & (distance)) != 0, -value, value);          \
    } while (0)

#if defined(__clang__)
#define SHUFFLE(value, ...) __builtin_shufflevector(value, value, __VA_ARGS__)
#else
#define SHUFFLE(value, ...) __builtin_shuffle(value, (integers){__VA_ARGS__})
#endif

CK_INLINE void hadamard(float *x, size_t n) {
    for (size_t distance = n / 2; distance >= LANES; distance /= 2) {
        for (size_t i = 0; i < n; i += LANES) {
            if ((i & distance) == 0) {
                lanes a, b;
                load(x + i, LANES, 0, &a);
                load(x + i + distance, LANES, 0, &b);
                const lanes sum = a + b, difference = a - b;
                store(&sum, LANES, x + i);
                store(&difference, LANES, x + i + distance);
            }
        }
    }
    for (size_t distance = n < LANES ? n / 2 : 0; distance > 0; distance /= 2) {
        for (size_t i = 0; i < n; i++) {
            if ((i & distance) == 0) {
                const float a = x[i], b = x[i + distance];
                x[i] = a + b;
                x[i + distance] = a - b;
            }
        }
    }
    for (size_t i = 0; i + LANES <= n; i += LANES) {
        lanes value;
        load(x + i, LANES, 0, &value);
        HADAMARD_STAGE(value, 8, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
        HADAMARD_STAGE(value, 4, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
        HADAMARD_STAGE(value, 2, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
        HADAMARD_STAGE(value, 1, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
        store(&value, LANES, x + i);
    }
    scale(x, 1 / SQUARE_ROOT((float)n), n);
}

/* Defines `name`, which rounds n floats, in blocks of 32, to integers that are `narrow`. */
#define DEFINE_QUANTIZE(name, integer, narrow, limit)                                                                 \
    CK_INLINE void name(const float *x, size_t n, integer *values, float *scales, int32_t *sums) {                    \
        for (size_t i = 0; i < n / 32; i += 4) {                                                                      \
            ck_fours four;                                                                                            \
            ck_take_fours(2, x + 32 * i, 32, n / 32 - i, 4, limit, &four);                                            \
            ck_rounded rounded;                                                                                       \
            ck_round(2, four.start[0], &four.rounding[0], &rounded);                                                  \
            for (size_t b = 0; b < 4 && i + b < n / 32; b++) {                                                        \
                for (size_t half = 0; half < 2; half++) {                                                             \
                    const narrow integers = __builtin_convertvector(rounded.values[b][half], narrow);                 \
                    memcpy(values + 32 * (i + b) + 16 * half, &integers, sizeof integers);                            \
                    sums[2 * (i + b) + half] = rounded.sums[half][b];                                                 \
                }                                                                                                     \
                scales[i + b] = four.rounding[0].scale[b];                                                            \
            }                                                                                                         \
        }                                                                                                             \
    }

DEFINE_QUANTIZE(quantize_int8, int8_t, bytes, 127)
DEFINE_QUANTIZE(quantize_int16, int16_t, shorts, 32767)

/* ---- One set of functions for each instruction set -------------------------------------------- */

#define DEFINE(S, TARGET)                                                                                             \
    TARGET static float dot_##S(const float *a, const float *b, size_t n) { return ck_dot_##S(a, b, n); }             \
    TARGET static void rms_norm_##S(                                                                                  \
        const float *x, const float *weight, float epsilon, size_t n, float *out, bool passes) {                      \
        rms_norm(x, weight, epsilon, n, out, passes);                                                                 \
    }                                                                                                                 \
    TARGET static void add_##S(const float *a, const float *b, size_t n, float *out) { add(a, b, n, out); }           \
    TARGET static void silu_multiply_##S(                                                                             \
        const float *gates, size_t stride, size_t rows, size_t n, float *out, size_t out_stride, bool passes) {       \
        silu_multiply(gates, stride, rows, n, out, out_stride, passes);                                               \
    }                                                                                                                 \
    TARGET static void softmax_##S(float *x, size_t n) { softmax(x, n); }                                             \
    TARGET static float exp_sum_##S(float *x, float maximum, size_t n) { return exp_sum(x, maximum, n); }             \
    TARGET static float maximum_##S(const float *x, size_t n) { return maximum(x, n); }                               \
    TARGET static void scale_##S(float *x, float factor, size_t n) { scale(x, factor, n); }                           \
    TARGET static void rope_adjacent_##S(float *x, const float *cosines, const float *sines, size_t pairs) {          \
        rope_adjacent(x, cosines, sines, pairs);                                                                      \
    }                                                                                                                 \
    TARGET static void rope_halves_##S(float *x, const float *cosines, const float *sines, size_t pairs) {            \
        rope_halves(x, cosines, sines, pairs);                                                                        \
    }                                                                                                                 \
    TARGET static void quantize_int8_##S(const float *x, size_t n, int8_t *values, float *scales, int32_t *sums) {    \
        quantize_int8(x, n, values, scales, sums);                                                                    \
    }                                                                                                                 \
    TARGET static void quantize_int16_##S(const float *x, size_t n, int16_t *values, float *scales, int32_t *sums) {  \
        quantize_int16(x, n, values, scales, sums);                                                                   \
    }                                                                                                                 \
    TARGET static void hadamard_##S(float *x, size_t n) { hadamard(x, n); }                                           \
    static const ck_vector_kernels kernels_##S = {                                                                    \
        .dot = dot_##S,                                                                                               \
        .rms_norm = rms_norm_##S,                                                                                     \
        .add = add_##S,                                                                                               \
        .silu_multiply = silu_multiply_##S,                                                                           \
        .softmax = softmax_##S,                                                                                       \
        .exp_sum = exp_sum_##S,                                                                                       \
        .maximum = maximum_##S,                                                                                       \
        .scale = scale_##S,                                                                                           \
        .rope_adjacent = rope_adjacent_##S,                                                                           \
        .rope_halves = rope_halves_##S,                                                                               \
        .quantize_int8 = quantize_int8_##S,                                                                           \
        .quantize_int16 = quantize_int16_##S,                                                                         \
        .hadamard = hadamard_##S,                                                                                     \
    };

DEFINE(scalar, CK_SCALAR)
#if defined(__x86_64__)
DEFINE(avx2, CK_AVX2)
DEFINE(avx512, CK_AVX512)
#elif defined(__aarch64__)
DEFINE(neon, CK_NEON)
#endif

ck_vector_kernels ck_vector(ck_isa isa) {
    static const ck_vector_kernels *const tables[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = &kernels_scalar,
#if defined(__x86_64__)
        [CK_ISA_AVX2] = &kernels_avx2,
        [CK_ISA_AVX512] = &kernels_avx512,
#elif defined(__aarch64__)
        [CK_ISA_NEON] = &kernels_neon,
#endif
    };
    while (tables[isa] == NULL) {
        isa = ck_isa_fallback(isa);
    }
    return *tables[isa];
}
