/* What the suites of main.c have in common: random numbers, weights and activations, memory that ends at a guard, and
 * the counting of checks. */
#pragma once

#include "CKernels.h"

/* ---- Checks ------------------------------------------------------------------------------ */

/* Counts a check, and prints what was checked if it failed; the text is that of printf. */
void check(bool passed, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* Checks that `found` is `exact`, to `tolerance`. */
void check_close(float found, double exact, double tolerance, const char *what, ck_isa isa, size_t n);

/* Prints a line about the checks since the last call, under a name; returns whether all of them passed. */
bool finish_suite(const char *name);

#define FOR_EACH_ISA(isa) \
    for (ck_isa isa = 0; isa < CK_ISA_COUNT; isa++) \
        if (ck_isa_supported(isa))

/* The suite of panels.c. */
bool test_panels(void);

/* ---- Numbers and memory -------------------------------------------------------------------- */

/* The same sequence in every run. */
uint64_t random_bits(void);
/* Between -1 and 1. */
float random_float(void);
void random_floats(float *out, size_t n, float factor);

/* `size` bytes, not zero, that end where unreadable memory begins; to be given back with guarded_free. */
typedef struct guarded {
    void *start;
    void *mapped;
    size_t mapped_size;
} guarded;
guarded guarded_allocate(size_t size);
/* The same, filled with a copy of `bytes`. */
guarded guarded_copy(const void *bytes, size_t size);
void guarded_free(guarded memory);

/* Allocates or ends the program. */
void *allocate(size_t size);

/* ---- Weights and activations --------------------------------------------------------------- */

size_t row_size(ck_type type, size_t columns);

/* Fills `blocks` with random bits for `columns` weights, whose largest in each block is moderate: 1e-6 to 100. */
void random_blocks(ck_type type, size_t columns, uint8_t *blocks);

/* A vector of activations in one precision. */
typedef struct vector {
    ck_precision precision;
    size_t columns;
    guarded values, scales, sums;
} vector;
vector vector_make(const float *values, size_t columns, ck_precision precision);
void vector_free(vector x);
ck_activations vector_activations(const vector *x);
/* The number that the kernel is to multiply with. */
double vector_value(const vector *x, size_t i);
