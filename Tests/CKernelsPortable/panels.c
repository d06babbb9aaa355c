/* Checks the panels of every type on every instruction set of this machine, against blocks of a file and float64. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = CK_PANEL_ROWS, MOST_COLUMNS = 512 };

/* Vectors side by side, and the numbers that they stand for: [vector][column]. */
typedef struct columns {
    size_t length, count;
    guarded values, scales, totals, sums;
    double *numbers;
} columns;

static ck_columns columns_of(const columns *x) {
    return (ck_columns){x->values.start, x->scales.start, x->totals.start, x->sums.start, {0}, NULL, false, false};
}

static bool has_16_bits(ck_precision precision) {
    return precision == CK_PRECISION_INT16 || precision == CK_PRECISION_SPLIT_INT16 ||
           precision == CK_PRECISION_INT11 || precision == CK_PRECISION_AMX_INT16 ||
           precision == CK_PRECISION_AMX_BF16;
}

/* Activation `i` of vector `t` before its scale, from where columns.c says that it lies. */
static int integer(const columns *x, ck_precision precision, ck_isa isa, size_t i, size_t t) {
    const size_t block = i / 32, word = i % 32 / 4 * x->count + t;
    const int8_t *bytes = x->values.start;
    const bool is_avx2 = isa == CK_ISA_AVX2 || isa == CK_ISA_AVX512;
    if (precision == CK_PRECISION_RAISED_INT8 || (precision == CK_PRECISION_WIDE_INT8 && is_avx2)) {
        return (uint8_t)bytes[32 * block * x->count + 4 * word + i % 4] - 128;
    }
    if (!has_16_bits(precision)) {
        return bytes[32 * block * x->count + 4 * word + i % 4];
    }
    if (precision == CK_PRECISION_AMX_INT16) {
        bytes += i / 64 * 128 * x->count + t / 16 * 2048 + t % 16 * 64 + i % 64;
        return 256 * bytes[0] + bytes[1024];
    }
    bytes += 64 * block * x->count;
    if (precision == CK_PRECISION_INT11 || (precision == CK_PRECISION_INT16 && is_avx2)) {
        static const size_t places[] = {0, 2, 1, 3};
        int16_t value;
        memcpy(&value, bytes + 8 * word + 2 * places[i % 4], sizeof value);
        return value;
    }
    return 256 * bytes[4 * word + i % 4] + bytes[32 * x->count + 4 * word + i % 4];
}

/* A float as bfloat16 holds it, to the nearest. */
static float rounded(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* The scale of activations `i` to i + 15 of vector `t`. */
static float scale_of(const columns *x, ck_precision precision, size_t i, size_t t) {
    const float *scales = x->scales.start;
    if (precision == CK_PRECISION_PAIRED_INT8) {
        const int16_t *pairs = x->scales.start;
        const float *largest = x->sums.start;
        return (float)pairs[2 * (i / 64 * x->count + t) + i / 32 % 2] / 32767 * largest[t];
    }
    const size_t columns = precision == CK_PRECISION_AMX_INT16 ? 256
                           : precision == CK_PRECISION_WIDE_INT8 || precision == CK_PRECISION_INT11 ? 64 : 32;
    return scales[i / columns * x->count + t];
}

/* Packs `rows` vectors as `count` ones, and checks nothing. */
static columns columns_pack(
    const float *values, size_t length, size_t rows, size_t count, ck_precision precision, ck_isa isa) {
    const size_t width = has_16_bits(precision) ? 2 : 1, blocks = length / 32 * count;
    columns x = {
        length, count, guarded_allocate(32 * width * blocks), guarded_allocate(blocks * sizeof(float)),
        guarded_allocate(3 * blocks * sizeof(int32_t)), guarded_allocate(3 * blocks * sizeof(float)),
        allocate(length * count * sizeof(double))};
    ck_pack_columns(precision, isa)(
        values, length, rows, length, count, x.values.start, x.scales.start, x.totals.start, x.sums.start);
    return x;
}

static columns columns_make(
    const float *values, size_t length, size_t count, ck_precision precision, ck_isa isa) {
    columns x = columns_pack(values, length, count, count, precision, isa);
    const float *sums = x.sums.start;
    const int32_t *totals = x.totals.start;
    if (precision == CK_PRECISION_AMX_BF16) {
        const uint16_t *halves = x.values.start;
        for (size_t i = 0; i < length * count; i++) {
            const uint32_t bits = (uint32_t)halves[i % length / 32 * 32 * count + i / length * 32 + i % 32] << 16;
            float found;
            memcpy(&found, &bits, sizeof found);
            x.numbers[i] = (double)found;
            check(found == rounded(values[i]), "activation %zu on %s", i, ck_isa_name(isa));
        }
        return x;
    }
    for (size_t t = 0; t < count; t++) {
        int products = 0; /* of neighbours */
        float all_products = 0; /* times their scales */
        int pair_total = 0; /* of two groups */
        for (size_t group = 0; group < length / 16; group++) {
            const float scale = scale_of(&x, precision, 16 * group, t);
            int total = 0;
            for (size_t i = 16 * group; i < 16 * group + 16; i++) {
                const int found = integer(&x, precision, isa, i, t);
                total += found;
                x.numbers[t * length + i] = (double)scale * found;
                /* Half a step, and what the float that becomes the integer was off, or the integer scale. */
                const double off = precision == CK_PRECISION_PAIRED_INT8 ? 127 * 0.51 / 32767 * (double)sums[t] : 0;
                check(
                    fabs(x.numbers[t * length + i] - (double)values[t * length + i]) <= 0.505 * (double)scale + off,
                    "activation %zu of vector %zu on %s", i, t, ck_isa_name(isa));
            }
            if (precision == CK_PRECISION_AMX_INT16) {
                continue;
            }
            if (precision == CK_PRECISION_INT11) {
                for (size_t i = 16 * group; i < 16 * group + 16; i += 2) {
                    products += integer(&x, precision, isa, i, t) * integer(&x, precision, isa, i + 1, t);
                }
                if (group % 4 == 3) {
                    all_products = fmaf((float)products, scale, all_products);
                    products = 0;
                }
                continue;
            }
            if (precision == CK_PRECISION_PAIRED_INT8) {
                pair_total += total;
                if (group % 2 == 1) {
                    const int rounding = 8 - (int)(group / 2 % 2);
                    check(
                        totals[group / 2 * count + t] == -128 * pair_total + rounding, "total of a block on %s",
                        ck_isa_name(isa));
                    pair_total = 0;
                }
                continue;
            }
            const size_t place = (length / 32 + group) * count + t;
            check(totals[place] == -128 * total, "total of vector %zu on %s", t, ck_isa_name(isa));
            const size_t whole = group / 2 * count + t;
            if (group % 2 == 1) {
                check(
                    totals[whole] == totals[place - count] + totals[place], "total of a block on %s",
                    ck_isa_name(isa));
            }
            if (precision == CK_PRECISION_WIDE_INT8) {
                const int16_t *pairs = x.sums.start;
                const size_t pair = (length / 64 + group / 2) * count + t;
                check(pairs[2 * pair + group % 2] == total, "one of two sums on %s", ck_isa_name(isa));
                if (group % 4 == 3) {
                    const size_t last = 2 * (group / 4 * count + t) + 1;
                    check(pairs[last] == totals[whole] / -128, "one of two sums of blocks on %s", ck_isa_name(isa));
                    check(
                        pairs[last - 1] == totals[whole - count] / -128, "one of two sums of blocks on %s",
                        ck_isa_name(isa));
                }
                continue;
            }
            check_close(
                sums[place], (double)scale * total, 1e-7 * fabs((double)scale * total), "sum of activations", isa, t);
            if (group % 2 == 1) {
                check_close(
                    sums[whole], (double)totals[whole] / -128 * (double)scale,
                    1e-7 * fabs((double)totals[whole] * (double)scale), "sum of a block", isa, t);
            }
        }
        if (precision == CK_PRECISION_INT11) {
            /* To the last bit, as it has to cancel what products with a row of zeros add up to. */
            check(sums[t] == all_products, "products of neighbours on %s", ck_isa_name(isa));
        }
    }
    return x;
}

static void columns_free(columns x) {
    guarded_free(x.values);
    guarded_free(x.scales);
    guarded_free(x.totals);
    guarded_free(x.sums);
    free(x.numbers);
}

/* How far a product may be off: by a part of the sum of magnitudes or, where weights are multiples of `steps[row]`, by
 * what rounds each of them: more, where weights are far smaller than the row's largest scale would have them. */
typedef struct tolerance {
    double part;
    const float *steps; /* NULL where there are none */
    double most_steps;  /* of a weight */
} tolerance;

/* What a tile begins with is a step of its rows' factors, or that times a power of two; they are off by half of one
 * each, and times a word of six bits. With INT11 it is one of their weights, off by one at most; with PAIRED_INT8 the
 * largest scale, two roundings of which to a part of 2^-16 meet full bytes. */
static double most_steps(ck_precision form) {
    return form == CK_PRECISION_INT11 ? 1 : form == CK_PRECISION_PAIRED_INT8 ? 128 * 2 / 65536.0 : 0.5 * 32;
}

/* Calls one product and compares it with float64. */
static void check_product(
    ck_type type, ck_isa isa, ck_panel_fn product, const void *panel, const float *weights, size_t rows,
    const columns *x, tolerance within) {
    enum { STRIDE = ROWS + 1 };
    float y[CK_MOST_VECTORS * STRIDE];
    memset(y, 0xff, sizeof y);
    const ck_columns packed = columns_of(x);
    product(panel, x->length, &packed, y, STRIDE);
    for (size_t t = 0; t < x->count; t++) {
        for (size_t r = 0; r < rows; r++) {
            double exact = 0, magnitude = 0, activations = 0;
            for (size_t i = 0; i < x->length; i++) {
                const double term = (double)weights[r * x->length + i] * x->numbers[t * x->length + i];
                exact += term;
                magnitude += fabs(term);
                activations += fabs(x->numbers[t * x->length + i]);
            }
            const double rounding =
                within.steps == NULL ? 0 : within.most_steps * (double)within.steps[r] * activations;
            check(
                fabs((double)y[t * STRIDE + r] - exact) <= fmax(within.part * magnitude, rounding),
                "%s, row %zu, vector %zu of %zu on %s: %.9g for %.9g", ck_traits(type).name, r, t, x->count,
                ck_isa_name(isa), (double)y[t * STRIDE + r], exact);
        }
        check(isnan(y[t * STRIDE + ROWS]), "%s on %s: wrote beyond its rows", ck_traits(type).name, ck_isa_name(isa));
    }
    /* Past the caches, into lines of theirs and across two by turns: the same bits, and nothing else. */
    enum { PASSING = ROWS + ROWS / 2 };
    _Alignas(64) float passing[CK_MOST_VECTORS * PASSING];
    memset(passing, 0xff, sizeof passing);
    ck_columns past = packed;
    past.passes = true;
    product(panel, x->length, &past, passing, PASSING);
    ck_fence();
    for (size_t t = 0; t < x->count; t++) {
        check(
            memcmp(passing + t * PASSING, y + t * STRIDE, ROWS * sizeof *y) == 0 && isnan(passing[t * PASSING + ROWS]),
            "%s past the caches, vector %zu of %zu on %s", ck_traits(type).name, t, x->count, ck_isa_name(isa));
    }
}

/* Products of tiles for forms beyond INT8, whose rounded scales, weights and sums are off by a little more: see
 * wide_tile.h, paired_tile.h, raised_tile_avx2.h, winograd_tile_avx2.h and amx_int16.h; what those of amx_bf16.h hold
 * is rounded here, too. */
static void check_wide_products(
    ck_type type, ck_isa isa, ck_precision form, const guarded panel, const float *weights, size_t rows,
    size_t length, const float *values, bool extreme) {
    const ck_panel_kernels kernels = ck_panels(type, isa);
    const guarded tile = guarded_allocate(CK_WIDE_HEADER + length / 32 * kernels.tile_bytes[form]);
    kernels.unpack[form](panel.start, length, tile.start);
    const columns few = columns_make(values, length, kernels.narrow_vectors[form], form, isa);
    const columns many = columns_make(values, length, kernels.tile_vectors[form], form, isa);
    /* Random blocks show that the rows' steps are not too large. */
    const bool has_steps = form != CK_PRECISION_AMX_BF16;
    /* Sums of PAIRED_INT8 are off by half of 16; MXFP4's, multiples of 8, by all of that each second time. */
    const double part = form == CK_PRECISION_PAIRED_INT8 ? 5e-4 : 2e-4;
    const tolerance within = {part, extreme && has_steps ? tile.start : NULL, most_steps(form)};
    float *held = allocate(rows * length * sizeof(float));
    for (size_t i = 0; i < rows * length; i++) {
        held[i] = form == CK_PRECISION_AMX_BF16 ? rounded(weights[i]) : weights[i];
    }
    check_product(type, isa, kernels.tile_narrow[form], tile.start, held, rows, &few, within);
    check_product(type, isa, kernels.tile[form], tile.start, held, rows, &many, within);
    free(held);
    columns_free(few);
    columns_free(many);
    guarded_free(tile);
}

/* All products of a panel with vectors of random numbers, or of the largest ones with either sign. */
static void check_products(
    ck_type type, ck_isa isa, const guarded panel, const float *weights, size_t rows, size_t length, bool extreme) {
    const ck_panel_kernels kernels = ck_panels(type, isa);
    const tolerance exactly = {1e-6, NULL, 0};
    float values[CK_MOST_VECTORS * MOST_COLUMNS];
    for (size_t i = 0; i < CK_MOST_VECTORS * length; i++) {
        const size_t t = i / length;
        values[i] = !extreme ? random_float() : t % 3 == 0 || (t % 3 == 1 && i % 2 == 0) ? 1 : -1;
    }
    for (ck_precision precision = CK_PRECISION_INT16; precision <= CK_PRECISION_INT8; precision++) {
        const size_t most = kernels.tile_vectors[precision];
        check(most >= 4 && most <= CK_TILE_VECTORS, "vectors of a tile on %s", ck_isa_name(isa));
        const guarded tile = guarded_allocate(length / 32 * kernels.tile_bytes[precision]); /* which 64 divides */
        kernels.unpack[precision](panel.start, length, tile.start);
        const columns one = columns_make(values, length, 1, precision, isa);
        const columns two = columns_make(values, length, 2, precision, isa);
        const columns four = columns_make(values, length, 4, precision, isa);
        const columns many = columns_make(values, length, most, precision, isa);
        check_product(type, isa, kernels.one[precision], panel.start, weights, rows, &one, exactly);
        check_product(type, isa, kernels.two[precision], panel.start, weights, rows, &two, exactly);
        check_product(type, isa, kernels.four[precision], panel.start, weights, rows, &four, exactly);
        if (kernels.eight[precision] != NULL) {
            const columns eight = columns_make(values, length, 8, precision, isa);
            check_product(type, isa, kernels.eight[precision], panel.start, weights, rows, &eight, exactly);
            columns_free(eight);
        }
        check_product(type, isa, kernels.tile_narrow[precision], tile.start, weights, rows, &four, exactly);
        check_product(type, isa, kernels.tile[precision], tile.start, weights, rows, &many, exactly);
        columns_free(one);
        columns_free(two);
        columns_free(four);
        columns_free(many);
        guarded_free(tile);
    }
    if (kernels.one[CK_PRECISION_SPLIT_INT16] != NULL) {
        const columns one = columns_make(values, length, 1, CK_PRECISION_SPLIT_INT16, isa);
        const columns two = columns_make(values, length, 2, CK_PRECISION_SPLIT_INT16, isa);
        const columns four = columns_make(values, length, 4, CK_PRECISION_SPLIT_INT16, isa);
        check_product(type, isa, kernels.one[CK_PRECISION_SPLIT_INT16], panel.start, weights, rows, &one, exactly);
        check_product(type, isa, kernels.two[CK_PRECISION_SPLIT_INT16], panel.start, weights, rows, &two, exactly);
        check_product(type, isa, kernels.four[CK_PRECISION_SPLIT_INT16], panel.start, weights, rows, &four, exactly);
        columns_free(one);
        columns_free(two);
        columns_free(four);
    }
    if (kernels.unpack[CK_PRECISION_WIDE_INT8] != NULL) {
        check(ck_panel_sizes(type).block == 256, "wide tiles of %s", ck_traits(type).name);
        check_wide_products(
            type, isa, CK_PRECISION_WIDE_INT8, panel, weights, rows, length, values, extreme);
    }
    if (kernels.unpack[CK_PRECISION_RAISED_INT8] != NULL) {
        check(ck_panel_sizes(type).block < 256, "raised tiles of %s", ck_traits(type).name);
        check_wide_products(
            type, isa, CK_PRECISION_RAISED_INT8, panel, weights, rows, length, values, extreme);
    }
    if (kernels.unpack[CK_PRECISION_PAIRED_INT8] != NULL && length % 64 == 0) {
        check(ck_panel_sizes(type).block < 256, "tiles with integer scales of %s", ck_traits(type).name);
        check_wide_products(type, isa, CK_PRECISION_PAIRED_INT8, panel, weights, rows, length, values, extreme);
    }
    if (kernels.unpack[CK_PRECISION_INT11] != NULL && length % 64 == 0) {
        check(kernels.favours_int16, "tiles of products of neighbours of %s", ck_traits(type).name);
        check_wide_products(type, isa, CK_PRECISION_INT11, panel, weights, rows, length, values, extreme);
    }
    if (kernels.unpack[CK_PRECISION_AMX_INT16] != NULL && length % 64 == 0) {
        check_wide_products(type, isa, CK_PRECISION_AMX_INT16, panel, weights, rows, length, values, extreme);
    }
    if (kernels.unpack[CK_PRECISION_AMX_BF16] != NULL) {
        check_wide_products(type, isa, CK_PRECISION_AMX_BF16, panel, weights, rows, length, values, extreme);
    }
}

static void check_panel(ck_type type, size_t rows, size_t length, const uint8_t *blocks, bool extreme) {
    const ck_panel_traits sizes = ck_panel_sizes(type);
    float *weights = allocate(rows * length * sizeof(float)), *floats = allocate(length * ROWS * sizeof(float));
    ck_kernels(type, CK_ISA_SCALAR).dequantize(blocks, weights, rows * length);
    for (ck_isa isa = 0; isa < CK_ISA_COUNT; isa++) {
        if (!ck_isa_supported(isa)) {
            continue;
        }
        const ck_panel_kernels kernels = ck_panels(type, isa);
        const guarded panel = guarded_allocate(length / sizes.block * sizes.block_bytes);
        kernels.pack(blocks, row_size(type, length), rows, length, panel.start);
        kernels.dequantize(panel.start, length, floats, ROWS);
        bool is_same = true;
        for (size_t r = 0; r < rows; r++) {
            for (size_t i = 0; i < length; i++) {
                is_same = is_same && floats[i * ROWS + r] == weights[r * length + i];
            }
        }
        check(is_same, "%zu rows of %s as a panel on %s", rows, ck_traits(type).name, ck_isa_name(isa));
        check_products(type, isa, panel, weights, rows, length, extreme);
        guarded_free(panel);
    }
    free(weights);
    free(floats);
}

/* Whether number i of vector t, of n, and number i of that vector of four are the same bits. */
static bool is_same(const void *few, size_t n, const void *four, size_t i, size_t t) {
    return memcmp((const uint8_t *)few + 4 * (n * i + t), (const uint8_t *)four + 4 * (4 * i + t), 4) == 0;
}

/* One vector, or two, which are packed in another way, are what they are beside others, however many blocks are left in
 * the end, and where one of them has no numbers. Where there is one row for two vectors, it stands for both. */
static void check_few_vectors(ck_precision precision, ck_isa isa, size_t n, size_t rows) {
    for (size_t blocks = 1; blocks <= 17; blocks++) {
        float values[2 * 17 * 32];
        random_floats(values, 32 * blocks * rows, 1);
        values[32 * (blocks / 2) + 5] = blocks % 2 == 0 ? -INFINITY : NAN;
        const guarded x = guarded_copy(values, 32 * blocks * rows * sizeof(float));
        const columns few = columns_pack(x.start, 32 * blocks, rows, n, precision, isa);
        const columns four = columns_pack(x.start, 32 * blocks, rows, 4, precision, isa);
        for (size_t t = 0; t < n; t++) {
            for (size_t i = 0; i < 32 * blocks; i++) {
                check(
                    integer(&few, precision, isa, i, t) == integer(&four, precision, isa, i, t),
                    "activation %zu of vector %zu, %zu blocks on %s", i, t, blocks, ck_isa_name(isa));
            }
            for (size_t i = 0; i < 3 * blocks; i++) {
                check(
                    (i >= blocks || is_same(few.scales.start, n, four.scales.start, i, t)) &&
                        is_same(few.totals.start, n, four.totals.start, i, t) &&
                        is_same(few.sums.start, n, four.sums.start, i, t),
                    "scale or sum %zu of vector %zu, %zu blocks on %s", i, t, blocks, ck_isa_name(isa));
            }
        }
        columns_free(few);
        columns_free(four);
        guarded_free(x);
    }
}

bool test_panels(void) {
    FOR_EACH_ISA(isa) {
        for (ck_precision precision = CK_PRECISION_INT16; precision <= CK_PRECISION_INT8; precision++) {
            check_few_vectors(precision, isa, 1, 1);
            check_few_vectors(precision, isa, 2, 1);
            check_few_vectors(precision, isa, 2, 2);
        }
    }
    static const uint8_t fills[] = {0x00, 0x80, 0x7f, 0xff};
    for (ck_type type = 0; type < CK_TYPE_COUNT; type++) {
        const size_t block = ck_panel_sizes(type).block, block_bytes = ck_traits(type).block_bytes;
        if (block == 0) {
            continue;
        }
        uint8_t *blocks = allocate(row_size(type, ROWS * MOST_COLUMNS));
        for (size_t rows = 1; rows <= ROWS; rows += 5) {
            random_blocks(type, rows * 2 * block, blocks);
            check_panel(type, rows, 2 * block, blocks, false);
            check_panel(type, rows, block, blocks, false);
        }
        for (size_t k = 0; k < sizeof fills; k++) {
            /* As in the test of rows: scales may lie in the first and the last four bytes. */
            random_blocks(type, 2 * 256, blocks);
            for (size_t i = 0; i < row_size(type, 2 * 256); i++) {
                const size_t place = i % block_bytes;
                if (place >= 4 && place + 4 < block_bytes) {
                    blocks[i] = fills[k];
                }
            }
            check_panel(type, 2, 256, blocks, true);
        }
        free(blocks);
    }
    return finish_suite("panels");
}
