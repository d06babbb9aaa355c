/* Products of rows of floats with vectors of floats on one instruction set: float_products.h includes this for each,
 * with
 *
 *   SET, TARGET           its name and its functions' target
 *   VECTOR, LANES         its widest vector of floats
 *   VECTORS               vectors that rows meet at a time at most: the sums of CK_ROWS rows with them, and what is
 *                         multiplied, have to fit into the registers
 *   ZERO, LOAD, ADD       0; floats at any address; a + b
 *   MULTIPLY_ADD, SUM     a * b + c; the sum of the lanes
 *   HOLD                  makes compilers have a sum before they load anything that comes later */

#define NAME_(prefix, set) prefix##_##set
#define NAME(prefix, set) NAME_(prefix, set)
#define LOAD_ROW NAME(ck_load, SET)

/* y[v * stride + r] = dot(row r, x + v * columns) for all rows and a constant number of vectors. `size` is that of an
 * element; `next` floats that follow x come next, and are asked for meanwhile, some with each group of rows. */
TARGET CK_INLINE void NAME(ck_multiply_vectors, SET)(
    LOAD_ROW load, ck_load_scalar load_one, size_t size, size_t vectors, const void *rows, size_t row_bytes,
    size_t count, size_t columns, const float *x, size_t next, float *y, size_t stride) {
    const size_t share = next * sizeof *x * CK_ROWS / count;
    /* A single vector has two sums for each row, or every product would wait for the one before. */
    const size_t steps = vectors == 1 ? 2 : 1;
    for (size_t first = 0; first < count; first += CK_ROWS) {
        const uint8_t *row[CK_ROWS];
        VECTOR sums[CK_ROWS][VECTORS], more[CK_ROWS];
        CK_UNROLL
        for (size_t r = 0; r < CK_ROWS; r++) {
            row[r] = ck_row(rows, row_bytes, first + r, count);
            more[r] = ZERO;
            CK_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sums[r][v] = ZERO;
            }
        }
        const uintptr_t ahead = ck_ahead(rows, row_bytes, first);
        uintptr_t asked = (uintptr_t)(x + vectors * columns) + first / CK_ROWS * share;
        const uintptr_t end = asked + share;
        size_t i = 0;
        for (; i + steps * LANES <= columns; i += steps * LANES) {
            ck_prefetch_far(ahead + i * CK_ROWS * size, steps * LANES * CK_ROWS * size);
            if (asked < end) {
                ck_prefetch_far(asked, 64);
                asked += 64;
            }
            VECTOR xs[VECTORS];
            CK_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                xs[v] = LOAD(x + v * columns + i);
            }
            /* With as many vectors as there may be, registers are one too few for the next row's weights, which
             * compilers would load while these are multiplied: that took twice as long on AVX2. And rows of 5504
             * columns that meet one vector come from memory 1.1 times as fast where they are loaded in this order. */
            const bool is_held = vectors == 1 || vectors == VECTORS;
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                const VECTOR weights = load(row[r], i);
                CK_UNROLL
                for (size_t v = 0; v < vectors; v++) {
                    sums[r][v] = MULTIPLY_ADD(weights, xs[v], sums[r][v]);
                    if (is_held) {
                        HOLD(sums[r][v]);
                    }
                }
                if (steps == 2) {
                    more[r] = MULTIPLY_ADD(load(row[r], i + LANES), LOAD(x + i + LANES), more[r]);
                }
            }
        }
        if (steps == 2 && i + LANES <= columns) {
            CK_UNROLL
            for (size_t r = 0; r < CK_ROWS; r++) {
                sums[r][0] = MULTIPLY_ADD(load(row[r], i), LOAD(x + i), sums[r][0]);
            }
            i += LANES;
        }
        float results[CK_ROWS][VECTORS];
        CK_UNROLL
        for (size_t r = 0; r < CK_ROWS; r++) {
            CK_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                results[r][v] = SUM(ADD(sums[r][v], more[r]));
            }
        }
        for (size_t r = 0; r < CK_ROWS && first + r < count; r++) {
            for (size_t v = 0; v < vectors; v++) {
                float sum = results[r][v];
                for (size_t tail = i; tail < columns; tail++) {
                    sum += load_one(row[r], tail) * x[v * columns + tail];
                }
                y[v * stride + first + r] = sum;
            }
        }
    }
}

/* The same for any number of vectors. */
TARGET CK_INLINE void NAME(ck_multiply_rows, SET)(
    LOAD_ROW load, ck_load_scalar load_one, size_t size, CK_GEMM_PARAMETERS) {
    const size_t block = ck_block_rows(row_bytes);
    /* Many vectors come from beyond the second-level cache for each block: 10% of F16 with 512 of 5504 columns. */
    const bool is_asked = vectors * columns * sizeof *x > CK_BLOCK_BYTES / 2;
    for (size_t start = 0; start < rows; start += block) {
        const size_t count = rows - start < block ? rows - start : block;
        const uint8_t *const part = (const uint8_t *)weights + start * row_bytes;
        for (size_t v = 0, some; v < vectors; v += some) {
            const float *const xs = x + v * columns;
            float *const ys = y + v * stride + start;
            some = ck_some_vectors(vectors - v, VECTORS);
            const size_t left = vectors - v - some;
            const size_t next = is_asked ? columns * (left < some ? left : some) : 0;
#define MULTIPLY(n) \
    NAME(ck_multiply_vectors, SET)(load, load_one, size, n, part, row_bytes, count, columns, xs, next, ys, stride)
            switch (some) {
            case 1: MULTIPLY(1); break;
            case 2: MULTIPLY(2); break;
#if VECTORS > 3
            case 3: MULTIPLY(3); break;
#endif
#if VECTORS > 4
            case 4: MULTIPLY(4); break;
#endif
#if VECTORS > 5
            case 5: MULTIPLY(5); break;
#endif
            default: MULTIPLY(VECTORS);
            }
#undef MULTIPLY
        }
    }
}

#undef NAME_
#undef NAME
#undef LOAD_ROW
#undef SET
#undef TARGET
#undef VECTOR
#undef LANES
#undef VECTORS
#undef ZERO
#undef LOAD
#undef ADD
#undef MULTIPLY_ADD
#undef SUM
#undef HOLD
