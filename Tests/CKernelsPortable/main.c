/* Checks every kernel that this machine can run: what CKernelsTests does, in plain C, so that it can be cross-compiled
 * and run under an emulator. See .ci/arm.sh.
 *
 *     kernels [--expect <instruction set>] [<folder of golden blocks>]
 *
 * With --expect it fails if the best instruction set of the machine is another one. The folder has, for each type,
 * TYPE.blocks and the floats that they stand for, TYPE.f32, and source.f32, which the blocks were quantised from. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define FOR_EACH_TYPE(type) \
    for (ck_type type = 0; type < CK_TYPE_COUNT; type++) \
        if (ck_traits(type).name != NULL)

/* ---- Blocks ------------------------------------------------------------------------------ */

/* The content of FOLDER/NAME.ENDING, or NULL; to be freed. */
static void *read_golden(const char *folder, const char *name, const char *ending, size_t *size) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", folder, name, ending);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    const size_t capacity = 1 << 20;
    void *content = allocate(capacity);
    *size = fread(content, 1, capacity, file);
    fclose(file);
    return content;
}

static void test_golden_type(const char *folder, ck_type type, const float *source) {
    const ck_type_traits traits = ck_traits(type);
    size_t block_bytes = 0, float_bytes = 0;
    uint8_t *blocks = read_golden(folder, traits.name, "blocks", &block_bytes);
    float *expected = read_golden(folder, traits.name, "f32", &float_bytes);
    if (blocks == NULL || expected == NULL) {
        check(type == CK_TYPE_F64, "%s has no golden data", traits.name);
    } else {
        const size_t columns = float_bytes / sizeof(float);
        check(row_size(type, columns) == block_bytes, "%s: %zu bytes", traits.name, block_bytes);
        float *floats = allocate(float_bytes);
        uint8_t *bytes = allocate(block_bytes);
        FOR_EACH_ISA(isa) {
            const ck_type_kernels kernels = ck_kernels(type, isa);
            memset(floats, 0xff, float_bytes);
            kernels.dequantize(blocks, floats, columns);
            check(memcmp(floats, expected, float_bytes) == 0, "%s dequantised on %s", traits.name, ck_isa_name(isa));
            if (kernels.quantize != NULL) {
                memset(bytes, 0xaa, block_bytes);
                kernels.quantize(source, bytes, columns);
                check(memcmp(bytes, blocks, block_bytes) == 0, "%s quantised on %s", traits.name, ck_isa_name(isa));
            }
        }
        free(floats);
        free(bytes);
    }
    free(blocks);
    free(expected);
}

/* Blocks that other implementations made, and the floats that they take them for: bit for bit. */
static bool test_golden(const char *folder) {
    size_t size;
    float *source = read_golden(folder, "source", "f32", &size);
    check(source != NULL, "%s has no source.f32", folder);
    if (source != NULL) {
        FOR_EACH_TYPE(type) { test_golden_type(folder, type, source); }
        free(source);
    }
    return finish_suite("golden blocks");
}

/* Any blocks, at any address, dequantise as the scalar reference does; nothing is written beyond them. */
static bool test_dequantize(void) {
    static const size_t block_counts[] = {1, 2, 7, 11};
    FOR_EACH_TYPE(type) {
        const size_t unit = ck_traits(type).block;
        for (size_t k = 0; k < COUNT(block_counts); k++) {
            const size_t columns = block_counts[k] * unit, bytes = row_size(type, columns);
            uint8_t *blocks = allocate(bytes + 1);
            float *expected = allocate(columns * sizeof(float)), *floats = allocate((columns + 1) * sizeof(float));
            random_blocks(type, columns, blocks);
            ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, expected, columns);
            FOR_EACH_ISA(isa) {
                for (size_t shift = 0; shift < 2; shift++) { /* one of the addresses is odd */
                    const guarded copy = guarded_copy(blocks, bytes + shift);
                    memset(floats, 0xff, (columns + 1) * sizeof(float));
                    ck_kernels(type, isa).dequantize(copy.start, floats, columns);
                    check(
                        memcmp(floats, expected, columns * sizeof(float)) == 0 && isnan(floats[columns]),
                        "%s, %zu columns on %s", ck_traits(type).name, columns, ck_isa_name(isa));
                    guarded_free(copy);
                }
            }
            free(blocks);
            free(expected);
            free(floats);
        }
    }
    return finish_suite("dequantisation");
}

/* Any floats quantise as the scalar reference does. */
static bool test_quantize(void) {
    FOR_EACH_TYPE(type) {
        if (ck_kernels(type, CK_ISA_SCALAR).quantize == NULL) {
            continue;
        }
        const size_t columns = 7 * ck_traits(type).block, bytes = row_size(type, columns);
        float *values = allocate(columns * sizeof(float));
        uint8_t *expected = allocate(bytes), *blocks = allocate(bytes);
        static const float factors[] = {1, 1e-6f, 3e4f, 0x1p-140f};
        for (size_t k = 0; k < COUNT(factors); k++) {
            random_floats(values, columns, factors[k]);
            for (size_t i = 0; i < columns; i += 5) { /* halves and ties */
                values[i] = roundf(values[i] * 16) / 16;
            }
            ck_kernels(type, CK_ISA_SCALAR).quantize(values, expected, columns);
            FOR_EACH_ISA(isa) {
                memset(blocks, 0xaa, bytes);
                ck_kernels(type, isa).quantize(values, blocks, columns);
                check(
                    memcmp(blocks, expected, bytes) == 0, "%s of %g on %s", ck_traits(type).name, (double)factors[k],
                    ck_isa_name(isa));
            }
        }
        free(values);
        free(expected);
        free(blocks);
    }
    return finish_suite("quantisation");
}

/* ---- Products of weights and activations --------------------------------------------------- */

/* Multiplies rows that lie `gap` bytes apart by a vector in every precision, on every instruction set, and compares
 * with float64, to 1e-6 of the sum of magnitudes. */
static void test_product(
    ck_type type, const uint8_t *blocks, const float *values, size_t rows, size_t columns, size_t gap) {
    const size_t bytes = row_size(type, columns), distance = bytes + gap;
    const guarded weights = guarded_allocate(rows * distance - gap + rows % 2); /* which makes some addresses odd */
    float *floats = allocate(rows * columns * sizeof(float)), *y = allocate((rows + 1) * sizeof(float));
    for (size_t r = 0; r < rows; r++) {
        memcpy((uint8_t *)weights.start + r * distance, blocks + r * bytes, bytes);
    }
    ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, floats, rows * columns);

    for (ck_precision precision = 0; precision <= CK_PRECISION_INT8; precision++) {
        if (ck_kernels(type, CK_ISA_SCALAR).gemv[precision] == NULL) {
            continue;
        }
        const vector x = vector_make(values, columns, precision);
        const ck_activations activations = vector_activations(&x);
        double *sums = allocate(rows * sizeof(double)), *magnitudes = allocate(rows * sizeof(double));
        for (size_t r = 0; r < rows; r++) {
            sums[r] = magnitudes[r] = 0;
            for (size_t i = 0; i < columns; i++) {
                const double term = (double)floats[r * columns + i] * vector_value(&x, i);
                sums[r] += term;
                magnitudes[r] += fabs(term);
            }
        }
        FOR_EACH_ISA(isa) {
            memset(y, 0xff, (rows + 1) * sizeof(float));
            ck_kernels(type, isa).gemv[precision](weights.start, distance, rows, columns, &activations, y);
            for (size_t r = 0; r < rows; r++) {
                check(
                    fabs((double)y[r] - sums[r]) <= 1e-6 * magnitudes[r],
                    "%s, precision %d, row %zu of %zu, %zu columns on %s: %.9g for %.9g", ck_traits(type).name,
                    (int)precision, r, rows, columns, ck_isa_name(isa), (double)y[r], sums[r]);
            }
            check(isnan(y[rows]), "%s on %s: wrote beyond its rows", ck_traits(type).name, ck_isa_name(isa));
        }
        free(sums);
        free(magnitudes);
        vector_free(x);
    }
    free(floats);
    free(y);
    guarded_free(weights);
}

static bool test_gemv(void) {
    static const size_t block_counts[] = {1, 2, 3, 8};
    static const size_t row_counts[] = {1, 2, 3, 4, 5, 8};
    FOR_EACH_TYPE(type) {
        const size_t unit = ck_traits(type).block;
        for (size_t k = 0; k < COUNT(block_counts) && unit > 1; k++) {
            const size_t columns = block_counts[k] * unit;
            for (size_t j = 0; j < COUNT(row_counts); j++) {
                const size_t rows = row_counts[j];
                if (columns > 512 && rows != 5) {
                    continue;
                }
                uint8_t *blocks = allocate(row_size(type, rows * columns));
                float *values = allocate(columns * sizeof(float));
                random_blocks(type, rows * columns, blocks);
                random_floats(values, columns, 1);
                test_product(type, blocks, values, rows, columns, rows % 3);
                free(blocks);
                free(values);
            }
        }
    }
    return finish_suite("products");
}

/* What rows and vectors of floats yield, in double precision. */
typedef struct products {
    ck_type type;
    size_t rows, columns, vectors;
    double *sums, *magnitudes; /* [vectors][rows] */
} products;

/* Compares y[v * stride + r], one NaN for each vector behind its results, as test_product does. */
static void check_products(products exact, const float *y, size_t stride, const char *what, ck_isa isa) {
    const char *const name = ck_traits(exact.type).name;
    for (size_t v = 0; v < exact.vectors; v++) {
        for (size_t r = 0; r < exact.rows; r++) {
            const double sum = exact.sums[v * exact.rows + r], magnitude = exact.magnitudes[v * exact.rows + r];
            check(
                fabs((double)y[v * stride + r] - sum) <= 1e-6 * magnitude,
                "%s %s, row %zu of %zu, vector %zu of %zu, %zu columns on %s: %.9g for %.9g", name, what, r, exact.rows,
                v, exact.vectors, exact.columns, ck_isa_name(isa), (double)y[v * stride + r], sum);
        }
        check(isnan(y[v * stride + exact.rows]), "%s %s on %s: wrote beyond its rows", name, what, ck_isa_name(isa));
    }
}

/* Multiplies rows of floats by several vectors, on every instruction set in every way that it has for so many. */
static void test_batch(ck_type type, size_t rows, size_t columns, size_t vectors) {
    static _Alignas(64) float tiles[CK_TILED_FLOATS];
    const size_t bytes = row_size(type, columns), gap = rows % 3, distance = bytes + gap, stride = rows + 1;
    const guarded weights = guarded_allocate(rows * distance - gap + rows % 2);
    const guarded x = guarded_allocate(vectors * columns * sizeof(float));
    const guarded slabs = guarded_allocate(vectors * columns * sizeof(float));
    uint8_t *blocks = allocate(rows * bytes);
    float *floats = allocate(rows * columns * sizeof(float)), *y = allocate(vectors * stride * sizeof(float));
    const products exact = {
        .type = type, .rows = rows, .columns = columns, .vectors = vectors,
        .sums = allocate(vectors * rows * sizeof(double)), .magnitudes = allocate(vectors * rows * sizeof(double))};
    random_blocks(type, rows * columns, blocks);
    random_floats(x.start, vectors * columns, 1);
    for (size_t start = 0; start < columns; start += CK_SLAB_COLUMNS) {
        const size_t depth = columns - start < CK_SLAB_COLUMNS ? columns - start : CK_SLAB_COLUMNS;
        ck_lay_slab(x.start, vectors, columns, start, depth, (float *)slabs.start + start * vectors);
    }
    ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, floats, rows * columns);
    for (size_t r = 0; r < rows; r++) {
        memcpy((uint8_t *)weights.start + r * distance, blocks + r * bytes, bytes);
    }
    for (size_t i = 0; i < vectors * rows; i++) {
        const float *const vector = (const float *)x.start + i / rows * columns;
        const float *const row = floats + i % rows * columns;
        exact.sums[i] = exact.magnitudes[i] = 0;
        for (size_t k = 0; k < columns; k++) {
            exact.sums[i] += (double)row[k] * vector[k];
            exact.magnitudes[i] += fabs((double)row[k] * vector[k]);
        }
    }
    FOR_EACH_ISA(isa) {
        const ck_type_kernels kernels = ck_kernels(type, isa);
        memset(y, 0xff, vectors * stride * sizeof(float));
        kernels.gemm(weights.start, distance, rows, columns, x.start, vectors, y, stride);
        check_products(exact, y, stride, "as it is", isa);
        if (kernels.tiled != NULL && vectors >= kernels.least_tiled) {
            memset(y, 0xff, vectors * stride * sizeof(float));
            kernels.tiled(weights.start, distance, rows, columns, slabs.start, vectors, y, stride, tiles);
            check_products(exact, y, stride, "in tiles", isa);
        }
    }
    free(blocks);
    free(floats);
    free(y);
    free(exact.sums);
    free(exact.magnitudes);
    guarded_free(weights);
    guarded_free(x);
    guarded_free(slabs);
}

static bool test_gemm(void) {
    static const size_t lengths[] = {1, 17, 40, 63, 257}, row_counts[] = {1, 4, 9};
    FOR_EACH_TYPE(type) {
        if (ck_kernels(type, CK_ISA_SCALAR).gemm == NULL) {
            continue;
        }
        for (size_t k = 0; k < COUNT(lengths); k++) {
            for (size_t j = 0; j < COUNT(row_counts); j++) {
                for (size_t vectors = 1; vectors < 10; vectors++) {
                    test_batch(type, row_counts[j], lengths[k], vectors);
                }
            }
        }
        /* A cache has room for several groups of rows, and a rest is left, or for one group. */
        test_batch(type, 279, 1000, 7);
        test_batch(type, 6, 40000, 7);
        /* Many vectors may meet tiles, of sixteen rows and 256 columns, in groups of four to six, sixteen of which stay
         * in a cache: whole ones and rests. */
        for (size_t vectors = 40; vectors < 46; vectors++) {
            test_batch(type, 37, 300, vectors);
            test_batch(type, 32, 512, vectors - 30);
            test_batch(type, 3, 5, vectors);
        }
        test_batch(type, 70, 600, 103);
    }
    return finish_suite("products of batches");
}

/* The largest weights and activations do not overflow, and sums of equal terms are as accurate as others: blocks of
 * equal bytes. */
static bool test_extremes(void) {
    static const uint8_t fills[] = {0x00, 0x80, 0x7f, 0xff, 0x81, 0x38, 0x3c};
    enum { COLUMNS = 256, ROWS = 3 };
    FOR_EACH_TYPE(type) {
        const size_t bytes = row_size(type, COLUMNS), block_bytes = ck_traits(type).block_bytes;
        uint8_t *blocks = allocate(ROWS * bytes);
        for (size_t k = 0; k < COUNT(fills) && block_bytes > 8; k++) {
            /* The bits of random blocks are left where a scale may lie: in the first and the last four bytes. */
            random_blocks(type, ROWS * COLUMNS, blocks);
            for (size_t i = 0; i < ROWS * bytes; i++) {
                const size_t place = i % block_bytes;
                if (place >= 4 && place + 4 < block_bytes) {
                    blocks[i] = fills[k];
                }
            }
            float values[COLUMNS], weights[ROWS * COLUMNS];
            ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, weights, ROWS * COLUMNS);
            bool is_finite = true; /* some scales lie elsewhere */
            for (size_t i = 0; i < COUNT(weights); i++) {
                is_finite = is_finite && isfinite(weights[i]);
            }
            for (size_t pattern = 0; pattern < 3 && is_finite; pattern++) {
                for (size_t i = 0; i < COLUMNS; i++) {
                    values[i] = pattern == 0 || (pattern == 2 && i % 2 == 0) ? 1 : -1;
                }
                test_product(type, blocks, values, ROWS, COLUMNS, 0);
            }
        }
        free(blocks);
    }
    return finish_suite("products of extremes");
}

/* ---- Vectors ----------------------------------------------------------------------------- */

enum { MOST = 1000 };
static const size_t lengths[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 255, MOST};

static void test_reductions(ck_isa isa, size_t n) {
    const ck_vector_kernels kernels = ck_vector(isa);
    float a[MOST], b[MOST], x[MOST];
    _Alignas(64) float passing[MOST + 1];
    random_floats(a, n, 3);
    random_floats(b, n, 1);
    double dot = 0, magnitude = 0, squares = 0, total = 0;
    float maximum = a[0];
    for (size_t i = 0; i < n; i++) {
        dot += (double)a[i] * (double)b[i];
        magnitude += fabs((double)a[i] * (double)b[i]);
        squares += (double)a[i] * (double)a[i];
        maximum = fmaxf(maximum, a[i]);
    }
    check_close(kernels.dot(a, b, n), dot, 1e-6 * magnitude, "dot", isa, n);
    check_close(kernels.maximum(a, n), (double)maximum, 0, "maximum", isa, n);

    kernels.rms_norm(a, b, 1e-5f, n, x, false);
    memset(passing, 0xff, sizeof passing);
    kernels.rms_norm(a, b, 1e-5f, n, passing, true);
    ck_fence();
    check(
        memcmp(x, passing, n * sizeof *x) == 0 && isnan(passing[n]), "rms_norm of %zu past the caches on %s", n,
        ck_isa_name(isa));
    for (size_t i = 0; i < n; i++) {
        const double exact = (double)a[i] * (double)b[i] / sqrt(squares / (double)n + 1e-5);
        check_close(x[i], exact, 1e-6 * fabs(exact), "rms_norm", isa, n);
        total += exp((double)(a[i] - maximum));
    }
    memcpy(x, a, sizeof x);
    check_close(kernels.exp_sum(x, maximum, n), total, 1e-6 * total, "exp_sum", isa, n);
    memcpy(b, a, sizeof b);
    kernels.softmax(b, n);
    for (size_t i = 0; i < n; i++) {
        const double exact = exp((double)(a[i] - maximum));
        check_close(x[i], exact, 5e-7 * exact, "exp", isa, n);
        check_close(b[i], exact / total, 2e-6 * exact / total, "softmax", isa, n);
    }
}

static void test_elementwise(ck_isa isa, size_t n) {
    const ck_vector_kernels kernels = ck_vector(isa);
    float a[MOST], b[MOST], sum[MOST + 1], scaled[MOST];
    random_floats(a, n, 20);
    random_floats(b, n, 1);
    memset(sum, 0xff, sizeof sum);
    kernels.add(a, b, n, sum);
    memcpy(scaled, a, sizeof scaled);
    kernels.scale(scaled, 0.3f, n);
    for (size_t i = 0; i < n; i++) {
        check(sum[i] == a[i] + b[i], "add of %zu on %s", n, ck_isa_name(isa));
        check(scaled[i] == 0.3f * a[i], "scale of %zu on %s", n, ck_isa_name(isa));
    }
    check(isnan(sum[n]), "add of %zu on %s: wrote beyond", n, ck_isa_name(isa));
}

/* Rows of gates and ups, with results in caches and past them: in lines of theirs, and across two. */
static void test_gates(ck_isa isa, size_t n) {
    enum { GATED_ROWS = 3 };
    const ck_vector_kernels kernels = ck_vector(isa);
    const size_t stride = 2 * n + 1, out_stride = (n + 1 + 7) / 8 * 8;
    float gates[GATED_ROWS * (2 * MOST + 1)];
    _Alignas(64) float out[2][GATED_ROWS * (MOST + 8)];
    random_floats(gates, GATED_ROWS * stride, 20);
    memset(out, 0xff, sizeof out);
    for (int passes = 0; passes < 2; passes++) {
        kernels.silu_multiply(gates, stride, GATED_ROWS, n, out[passes], out_stride, passes == 1);
    }
    ck_fence();
    check(memcmp(out[0], out[1], sizeof out[0]) == 0, "gates of %zu past the caches on %s", n, ck_isa_name(isa));
    for (size_t row = 0; row < GATED_ROWS; row++) {
        for (size_t i = 0; i < n; i++) {
            const double gate = (double)gates[row * stride + i], up = (double)gates[row * stride + n + i];
            const double silu = gate / (1 + exp(-gate)) * up;
            check_close(out[0][row * out_stride + i], silu, 1e-6 * fabs(silu), "silu_multiply", isa, n);
        }
        check(isnan(out[0][row * out_stride + n]), "gates of %zu on %s: wrote beyond", n, ck_isa_name(isa));
    }
}

static void test_rotations(ck_isa isa, size_t pairs) {
    const ck_vector_kernels kernels = ck_vector(isa);
    float x[2 * MOST], adjacent[2 * MOST], halves[2 * MOST], cosines[MOST], sines[MOST];
    random_floats(x, 2 * pairs, 1);
    random_floats(cosines, pairs, 3);
    for (size_t i = 0; i < pairs; i++) {
        sines[i] = sinf(cosines[i]);
        cosines[i] = cosf(cosines[i]);
    }
    memcpy(adjacent, x, sizeof x);
    memcpy(halves, x, sizeof x);
    kernels.rope_adjacent(adjacent, cosines, sines, pairs);
    kernels.rope_halves(halves, cosines, sines, pairs);
    for (size_t i = 0; i < pairs; i++) {
        const double c = (double)cosines[i], s = (double)sines[i];
        const double a = (double)x[2 * i], b = (double)x[2 * i + 1];
        check_close(adjacent[2 * i], a * c - b * s, 3e-7, "rope_adjacent", isa, pairs);
        check_close(adjacent[2 * i + 1], a * s + b * c, 3e-7, "rope_adjacent", isa, pairs);
        const double first = (double)x[i], second = (double)x[i + pairs];
        check_close(halves[i], first * c - second * s, 3e-7, "rope_halves", isa, pairs);
        check_close(halves[i + pairs], first * s + second * c, 3e-7, "rope_halves", isa, pairs);
    }
}

/* The squared error of rounding 32 floats by largest / limit. */
static double rounding_error(const float *x, float largest, float limit) {
    double sum = 0;
    for (size_t i = 0; i < 32; i++) {
        const double step = (double)largest / (double)limit;
        const double error = (double)x[i] - step * (double)nearbyintf(x[i] * (limit / largest));
        sum += error * error;
    }
    return sum;
}

/* The integers of 32 activations are the nearest, and their sums are right. Bytes reach 127 or 126, whichever rounds
 * with the smaller error; blocks too small for a reciprocal are zero. */
static void check_activations(
    const float *x, bool wide, const void *values, float scale, const int32_t sums[2], ck_isa isa) {
    float largest = 0, limit = wide ? 32767 : 127;
    for (size_t i = 0; i < 32; i++) {
        largest = fmaxf(largest, fabsf(x[i]));
    }
    const bool is_zero = largest < 0x1p-100f;
    if (!wide && !is_zero && scale != largest / limit) {
        limit = 126;
    }
    check(scale == (is_zero ? 0 : largest / limit), "scale of activations on %s", ck_isa_name(isa));
    if (!wide && !is_zero) {
        const double taken = rounding_error(x, largest, limit), other = rounding_error(x, largest, 253 - limit);
        check(taken <= other * 1.0001, "the better of two scales on %s", ck_isa_name(isa));
    }
    int32_t totals[2] = {0, 0};
    for (size_t i = 0; i < 32; i++) {
        const float product = is_zero ? 0 : x[i] * (limit / largest);
        const int32_t found = wide ? ((const int16_t *)values)[i] : ((const int8_t *)values)[i];
        check((float)found == nearbyintf(product), "activation %zu on %s", i, ck_isa_name(isa));
        totals[i / 16] += found;
    }
    check(memcmp(totals, sums, sizeof totals) == 0, "sums on %s", ck_isa_name(isa));
}

static void test_activations(ck_isa isa) {
    enum { N = 7 * 32 };
    const ck_vector_kernels kernels = ck_vector(isa);
    float x[N], scales[N / 32];
    int8_t bytes[N];
    int16_t shorts[N];
    int32_t sums[N / 16];
    random_floats(x, N, 4);
    for (size_t i = 0; i < 32; i++) {
        x[i] = 0;
        x[32 + i] = (float)i - 15; /* 127 / 16 and the like have ties */
        x[64 + i] *= 0x1p-120f;
    }
    kernels.quantize_int8(x, N, bytes, scales, sums);
    for (size_t start = 0; start < N; start += 32) {
        check_activations(x + start, false, bytes + start, scales[start / 32], sums + start / 16, isa);
    }
    kernels.quantize_int16(x, N, shorts, scales, sums);
    for (size_t start = 0; start < N; start += 32) {
        check_activations(x + start, true, shorts + start, scales[start / 32], sums + start / 16, isa);
    }
}

/* A number that is none spoils its own 32 activations, which become zeros with a scale of NaN, and no others; nothing
 * about it is undefined. */
static void test_not_finite(ck_isa isa, float strange) {
    enum { N = 3 * 32, VECTORS = 4 };
    const ck_vector_kernels kernels = ck_vector(isa);
    float x[N], scales[N / 32 * VECTORS], sums[3 * N / 32 * VECTORS];
    int8_t bytes[N];
    int16_t values[N * VECTORS];
    int32_t totals[3 * N / 32 * VECTORS];
    uint8_t blocks[256];
    random_floats(x, N, 1);
    x[40] = strange;
    kernels.quantize_int8(x, N, bytes, scales, totals);
    check(
        scales[0] > 0 && isnan(scales[1]) && scales[2] > 0 && bytes[40] == 0 && totals[2] == 0,
        "%g in 8 bits on %s", (double)strange, ck_isa_name(isa));
    kernels.quantize_int16(x, N, values, scales, totals);
    check(
        scales[0] > 0 && isnan(scales[1]) && scales[2] > 0 && values[40] == 0 && totals[2] == 0,
        "%g in 16 bits on %s", (double)strange, ck_isa_name(isa));
    for (ck_precision precision = CK_PRECISION_INT16; precision <= CK_PRECISION_INT8; precision++) {
        ck_pack_columns(precision, isa)(x, N, 1, N, VECTORS, values, scales, totals, sums);
        check(
            scales[0] > 0 && isnan(scales[VECTORS]) && isnan(sums[VECTORS]) && totals[VECTORS] == 0,
            "%g packed on %s", (double)strange, ck_isa_name(isa));
    }
    /* What a cache of keys holds; its blocks may say anything of such a key. */
    ck_kernels(CK_TYPE_Q4_0, isa).quantize(x, blocks, N);
    ck_kernels(CK_TYPE_Q8_0, isa).quantize(x, blocks, N);
}

/* Reads what is there, and not a byte behind it: in the guard page one would end the program. */
static void test_fetch(void) {
    for (size_t bytes = 0; bytes <= 130; bytes++) {
        const guarded memory = guarded_allocate(bytes);
        ck_fetch(memory.start, bytes);
        guarded_free(memory);
    }
}

static bool test_vectors(void) {
    test_fetch();
    FOR_EACH_ISA(isa) {
        test_not_finite(isa, NAN);
        test_not_finite(isa, -INFINITY);
        for (size_t k = 0; k < COUNT(lengths); k++) {
            test_reductions(isa, lengths[k]);
            test_elementwise(isa, lengths[k]);
            test_gates(isa, lengths[k]);
            test_rotations(isa, lengths[k]);
        }
        test_activations(isa);
    }
    return finish_suite("vectors");
}

/* ---- Attention --------------------------------------------------------------------------- */

/* Scores and sums of values of `heads` queries over `n` positions; what they ask for lies beyond the cache. */
static void test_heads(ck_type type, size_t head_size, size_t n, size_t heads) {
    const size_t size = row_size(type, n * head_size);
    const guarded cache = guarded_allocate(size);
    float *floats = allocate(n * head_size * sizeof(float)), *queries = allocate(heads * head_size * sizeof(float));
    float *probabilities = allocate(heads * n * sizeof(float)), *scores = allocate(heads * n * sizeof(float));
    float *before = allocate(heads * head_size * sizeof(float)), *out = allocate(heads * head_size * sizeof(float));
    random_floats(floats, n * head_size, 1);
    ck_kernels(type, CK_ISA_SCALAR).quantize(floats, cache.start, n * head_size);
    ck_kernels(type, CK_ISA_SCALAR).dequantize(cache.start, floats, n * head_size);
    random_floats(queries, heads * head_size, 1);
    random_floats(probabilities, heads * n, 1);
    random_floats(before, heads * head_size, 1);
    FOR_EACH_ISA(isa) {
        const ck_attention_kernels kernels = ck_attention(type, isa);
        kernels.scores(queries, heads, cache.start, n, head_size, 8192, scores, n);
        memcpy(out, before, heads * head_size * sizeof *out);
        kernels.accumulate(probabilities, heads, n, cache.start, n, head_size, 8192, out);
        for (size_t h = 0; h < heads; h++) {
            for (size_t j = 0; j < n; j++) {
                double sum = 0, magnitude = 0;
                for (size_t i = 0; i < head_size; i++) {
                    const double term = (double)floats[j * head_size + i] * (double)queries[h * head_size + i];
                    sum += term;
                    magnitude += fabs(term);
                }
                check_close(scores[h * n + j], sum, 1e-6 * magnitude, "scores", isa, head_size);
            }
            for (size_t i = 0; i < head_size; i++) {
                double sum = (double)before[h * head_size + i], magnitude = fabs(sum);
                for (size_t j = 0; j < n; j++) {
                    const double term = (double)probabilities[h * n + j] * (double)floats[j * head_size + i];
                    sum += term;
                    magnitude += fabs(term);
                }
                check_close(out[h * head_size + i], sum, 1e-6 * magnitude, "accumulate", isa, head_size);
            }
        }
    }
    guarded_free(cache);
    free(floats);
    free(queries);
    free(probabilities);
    free(scores);
    free(before);
    free(out);
}

/* `rows` queries, `group` to a token, from position `first` on, over all positions up to their own or `window` of them,
 * in tiles of 24 keys. */
static void test_tile(size_t head_size, size_t rows, size_t group, size_t first, size_t window, bool integers) {
    const size_t tile_keys = 24, positions = first + (rows + group - 1) / group;
    const size_t stride = (head_size + CK_ATTENTION_ROWS - 1) / CK_ATTENTION_ROWS * CK_ATTENTION_ROWS;
    const size_t padded = (rows + CK_ATTENTION_WIDTH - 1) / CK_ATTENTION_WIDTH * CK_ATTENTION_WIDTH;
    float *queries = allocate(rows * head_size * sizeof(float)), *panels = allocate(padded * stride * sizeof(float));
    float *keys = allocate((positions + tile_keys) * stride * sizeof(float));
    float *values = allocate((positions + tile_keys) * stride * sizeof(float));
    const size_t tile_bytes = tile_keys * stride * sizeof(float);
    float *tile_of_keys = allocate(tile_bytes), *tile_of_values = allocate(tile_bytes);
    float *scores = allocate(tile_keys * CK_ATTENTION_WIDTH * sizeof(float));
    float *out = allocate(padded * stride * sizeof(float)), *maxima = allocate(padded * sizeof(float));
    float *sums = allocate(padded * sizeof(float)), *results = allocate(rows * head_size * sizeof(float));
    const guarded lines = guarded_allocate((rows * head_size * sizeof(float) + 63) / 64 * 64);
    float *const passed = lines.start;
    double *exponentials = allocate(positions * sizeof(double));
    random_floats(queries, rows * head_size, 2);
    random_floats(keys, (positions + tile_keys) * stride, 1);
    random_floats(values, (positions + tile_keys) * stride, 1);
    FOR_EACH_ISA(isa) {
        const ck_attention_tile_kernels kernels = ck_attention_tiles(isa, integers);
        const size_t width = kernels.width;
        memset(panels, 0, padded * stride * sizeof(float));
        memset(out, 0, padded * stride * sizeof(float));
        for (size_t r = 0; r < padded; r++) {
            maxima[r] = -INFINITY;
            sums[r] = 0;
        }
        for (size_t r = 0; r < rows; r += CK_LANE_ROWS) {
            const float *some[CK_LANE_ROWS];
            const size_t count = rows - r < CK_LANE_ROWS ? rows - r : CK_LANE_ROWS;
            for (size_t k = 0; k < count; k++) {
                some[k] = queries + (r + k) * head_size;
            }
            ck_pack_lanes(some, count, head_size, 0.5f, width, panels + r / width * stride * width + r % width);
        }
        for (size_t j = 0; j < positions; j += tile_keys) {
            const ck_attention_tile tile = {
                .head_size = head_size, .stride = stride, .rows = rows, .group = group, .first_query = first,
                .window = window, .n = positions - j < tile_keys ? positions - j : tile_keys, .first_position = j,
                .queries = panels, .keys = tile_of_keys, .values = tile_of_values, .scores = scores, .out = out,
                .maxima = maxima, .sums = sums};
            memcpy(tile_of_keys, keys + j * stride, tile_bytes);
            memcpy(tile_of_values, values + j * stride, tile_bytes);
            if (j == 0 && kernels.begin != NULL) {
                kernels.begin(&tile);
            }
            kernels.attend(&tile);
        }
        memset(results, 0xff, rows * head_size * sizeof *results);
        memset(passed, 0xff, rows * head_size * sizeof *passed);
        for (size_t r = 0; r < rows; r += CK_LANE_ROWS) {
            float factors[CK_LANE_ROWS], *some[CK_LANE_ROWS], *passing[CK_LANE_ROWS];
            const size_t count = rows - r < CK_LANE_ROWS ? rows - r : CK_LANE_ROWS;
            for (size_t k = 0; k < count; k++) {
                factors[k] = 1 / sums[r + k];
                some[k] = results + (r + k) * head_size;
                passing[k] = passed + (r + k) * head_size;
            }
            const float *const lanes = out + r / width * stride * width + r % width;
            ck_unpack_lanes(lanes, count, head_size, factors, width, some, false);
            ck_unpack_lanes(lanes, count, head_size, factors, width, passing, true);
        }
        ck_fence();
        check(
            memcmp(results, passed, rows * head_size * sizeof *results) == 0,
            "%zu queries of %zu past the caches on %s", rows, head_size, ck_isa_name(isa));
        for (size_t r = 0; r < rows; r++) {
            const float *const row = results + r * head_size;
            const size_t end = first + r / group + 1, begin = window < end ? end - window : 0;
            double total = 0;
            for (size_t j = begin; j < end; j++) {
                double score = 0;
                for (size_t i = 0; i < head_size; i++) {
                    score += 0.5 * (double)queries[r * head_size + i] * (double)keys[j * stride + i];
                }
                exponentials[j] = exp(score);
                total += exponentials[j];
            }
            for (size_t i = 0; i < head_size; i++) {
                double sum = 0, magnitude = 0;
                for (size_t j = begin; j < end; j++) {
                    const double term = exponentials[j] / total * (double)values[j * stride + i];
                    sum += term;
                    magnitude += fabs(term);
                }
                /* integers: half a step of a value, of which there are 4095 up to 1, and as much for the steps of
                 * exponentials; and what scores are off by */
                const double tolerance = integers ? 1.0 / 4095 + 2e-3 * magnitude : 1e-5 * magnitude;
                check_close(row[i], sum, tolerance, "attention", isa, head_size);
            }
        }
    }
    free(queries);
    free(panels);
    free(keys);
    free(values);
    free(tile_of_keys);
    free(tile_of_values);
    free(scores);
    free(out);
    free(maxima);
    free(sums);
    guarded_free(lines);
    free(results);
    free(exponentials);
}

static bool test_attention(void) {
    static const ck_type cache_types[] = {CK_TYPE_F32, CK_TYPE_F16, CK_TYPE_BF16, CK_TYPE_Q8_0, CK_TYPE_Q4_0};
    static const size_t head_sizes[] = {1, 3, 4, 8, 17, 24, 32, 63, 64, 80, 96, 128, 129};
    static const size_t positions[] = {1, 2, 5, 33, 65};
    for (size_t t = 0; t < COUNT(cache_types); t++) {
        for (size_t k = 0; k < COUNT(head_sizes); k++) {
            if (head_sizes[k] % ck_traits(cache_types[t]).block != 0) {
                continue;
            }
            for (size_t j = 0; j < COUNT(positions); j++) {
                test_heads(cache_types[t], head_sizes[k], positions[j], 1);
                test_heads(cache_types[t], head_sizes[k], positions[j], 7);
            }
        }
    }
    static const size_t rows[] = {1, 4, 9, 13, 49};
    for (size_t r = 0; r < COUNT(rows); r++) {
        for (int integers = 0; integers < 2; integers++) {
            test_tile(12, rows[r], 1, 30, SIZE_MAX, integers);
            test_tile(64, rows[r], 3, 0, SIZE_MAX, integers);
            test_tile(13, rows[r], 2, 40, 26, integers);
            /* Rows that begin within lines, and end with four elements, or with five. */
            test_tile(20, rows[r], 1, 10, SIZE_MAX, integers);
            test_tile(37, rows[r], 1, 10, SIZE_MAX, integers);
        }
    }
    return finish_suite("attention");
}

int main(int argc, char **argv) {
    const char *expected = NULL, *folder = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--expect") == 0 && i + 1 < argc) {
            expected = argv[++i];
        } else {
            folder = argv[i];
        }
    }
    bool passed = true;
    printf("best instruction set: %s\n", ck_isa_name(ck_isa_best()));
    if (expected != NULL && strcmp(expected, ck_isa_name(ck_isa_best())) != 0) {
        printf("  failed: %s was expected\n", expected);
        passed = false;
    }
    passed = (folder == NULL || test_golden(folder)) && passed;
    passed = test_dequantize() && passed;
    passed = test_quantize() && passed;
    passed = test_gemv() && passed;
    passed = test_gemm() && passed;
    passed = test_extremes() && passed;
    passed = test_panels() && passed;
    passed = test_vectors() && passed;
    passed = test_attention() && passed;
    return passed ? 0 : 1;
}
