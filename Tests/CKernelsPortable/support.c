#define _DEFAULT_SOURCE
#include "support.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- Checks ------------------------------------------------------------------------------ */

enum { SHOWN_FAILURES = 10 };
static size_t checks, failures;

void check(bool passed, const char *text, ...) {
    checks++;
    if (passed || failures++ >= SHOWN_FAILURES) {
        return;
    }
    va_list arguments;
    va_start(arguments, text);
    printf("  failed: ");
    vprintf(text, arguments);
    printf("\n");
    va_end(arguments);
}

void check_close(float found, double exact, double tolerance, const char *what, ck_isa isa, size_t n) {
    const bool passed = fabs((double)found - exact) <= tolerance || (double)found == exact;
    check(passed, "%s of %zu on %s: %.9g for %.9g", what, n, ck_isa_name(isa), (double)found, exact);
}

bool finish_suite(const char *name) {
    const bool passed = failures == 0 && checks > 0;
    if (failures > 0) {
        printf("%s: %zu of %zu checks FAILED\n", name, failures, checks);
    } else {
        printf("%s: %s, %zu checks\n", name, checks > 0 ? "passed" : "FAILED", checks);
    }
    checks = failures = 0;
    return passed;
}

/* ---- Numbers and memory -------------------------------------------------------------------- */

uint64_t random_bits(void) { /* splitmix64 */
    static uint64_t state = 1;
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

float random_float(void) {
    return (float)((int32_t)(random_bits() >> 40) - (1 << 23)) / (1 << 23);
}

void random_floats(float *out, size_t n, float factor) {
    for (size_t i = 0; i < n; i++) {
        out[i] = factor * random_float();
    }
}

void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        perror("malloc");
        exit(2);
    }
    return memory;
}

guarded guarded_allocate(size_t size) {
    const size_t page = 65536; /* a multiple of every page size */
    const size_t inside = (size + page - 1) / page * page;
    uint8_t *mapped = mmap(NULL, inside + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || mprotect(mapped + inside, page, PROT_NONE) != 0) {
        perror("mmap");
        exit(2);
    }
    uint8_t *start = mapped + inside - size;
    memset(start, 0xa5, size);
    return (guarded){.start = start, .mapped = mapped, .mapped_size = inside + page};
}

guarded guarded_copy(const void *bytes, size_t size) {
    const guarded memory = guarded_allocate(size);
    memcpy(memory.start, bytes, size);
    return memory;
}

void guarded_free(guarded memory) {
    munmap(memory.mapped, memory.mapped_size);
}

/* ---- Weights and activations --------------------------------------------------------------- */

size_t row_size(ck_type type, size_t columns) {
    const ck_type_traits traits = ck_traits(type);
    return columns / traits.block * traits.block_bytes;
}

static bool is_moderate(const float *weights, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(weights[i])) {
            return false;
        }
        largest = fmaxf(largest, fabsf(weights[i]));
    }
    return largest > 1e-6f && largest < 100;
}

void random_blocks(ck_type type, size_t columns, uint8_t *blocks) {
    const ck_type_traits traits = ck_traits(type);
    for (uint8_t *block = blocks; block < blocks + row_size(type, columns); block += traits.block_bytes) {
        float weights[256];
        do {
            for (size_t i = 0; i < traits.block_bytes; i++) {
                block[i] = (uint8_t)(random_bits() >> 56);
            }
            ck_kernels(type, CK_ISA_SCALAR).dequantize(block, weights, traits.block);
        } while (!is_moderate(weights, traits.block));
    }
}

vector vector_make(const float *values, size_t columns, ck_precision precision) {
    if (precision == CK_PRECISION_F32) {
        return (vector){precision, columns, .values = guarded_copy(values, columns * sizeof(float))};
    }
    const ck_vector_kernels kernels = ck_vector(CK_ISA_SCALAR);
    const size_t size = precision == CK_PRECISION_INT8 ? sizeof(int8_t) : sizeof(int16_t);
    const vector x = {
        precision, columns, .values = guarded_allocate(columns * size),
        .scales = guarded_allocate(columns / CK_SCALE_COLUMNS * sizeof(float)),
        .sums = guarded_allocate(columns / CK_SUM_COLUMNS * sizeof(int32_t))};
    if (precision == CK_PRECISION_INT8) {
        kernels.quantize_int8(values, columns, x.values.start, x.scales.start, x.sums.start);
    } else {
        kernels.quantize_int16(values, columns, x.values.start, x.scales.start, x.sums.start);
    }
    return x;
}

void vector_free(vector x) {
    guarded_free(x.values);
    if (x.precision != CK_PRECISION_F32) {
        guarded_free(x.scales);
        guarded_free(x.sums);
    }
}

ck_activations vector_activations(const vector *x) {
    return (ck_activations){.values = x->values.start, .scales = x->scales.start, .sums = x->sums.start};
}

double vector_value(const vector *x, size_t i) {
    switch (x->precision) {
    case CK_PRECISION_INT8:
        return (double)((const float *)x->scales.start)[i / CK_SCALE_COLUMNS] * ((const int8_t *)x->values.start)[i];
    case CK_PRECISION_INT16:
        return (double)((const float *)x->scales.start)[i / CK_SCALE_COLUMNS] * ((const int16_t *)x->values.start)[i];
    default:
        return (double)((const float *)x->values.start)[i];
    }
}
