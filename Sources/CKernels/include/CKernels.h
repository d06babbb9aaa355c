/* CKernels: every loop over floats or weight blocks on the hot path, for every instruction set.
 *
 * No allocation, no input or output, no threads, no mutable globals. Callers own every buffer and
 * have checked every size: these functions check nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Instruction sets ------------------------------------------------------------------- */

/* A set of instructions that kernels are written for. Each falls back on the ones below it:
 * amx -> avx512vnni -> avx512 -> avx2 -> scalar; avxvnni -> avx2; neon-i8mm -> neon-dotprod -> neon. */
typedef enum ck_isa {
    CK_ISA_SCALAR = 0,
    CK_ISA_AVX2,       /* AVX2, FMA, F16C */
    CK_ISA_AVXVNNI,    /* AVX2 and the 256-bit VNNI of most laptops */
    CK_ISA_AVX512,     /* F, BW, DQ, VL */
    CK_ISA_AVX512VNNI, /* AVX512 and VNNI */
    CK_ISA_AMX,        /* AVX512VNNI, VBMI, BF16 and AMX with both, whose registers are matrices */
    CK_ISA_NEON,
    CK_ISA_NEON_DOTPROD,
    CK_ISA_NEON_I8MM,
} ck_isa;
#define CK_ISA_COUNT 9

/* Whether this machine, and its operating system, can run `isa`. To ask for AMX is to ask Linux to let this process use
 * it, from then on. */
bool ck_isa_supported(ck_isa isa);
/* The best instruction set of this machine. */
ck_isa ck_isa_best(void);
/* The name that `--isa` takes, such as "avx512vnni". */
const char *ck_isa_name(ck_isa isa);

/* ---- Activations ------------------------------------------------------------------------ */

/* What the right-hand side of a product is held in. */
typedef enum ck_precision {
    CK_PRECISION_F32 = 0,
    CK_PRECISION_INT16,
    CK_PRECISION_INT8,
    /* The same with a scale for every 64 columns: what the tiles of some types meet (wide_tile.h). */
    CK_PRECISION_WIDE_INT8,
    /* INT16 as two planes of bytes, where INT16 itself is not: what panels of some types meet on AVX2 (columns.c). */
    CK_PRECISION_SPLIT_INT16,
    /* INT8 without a sign: what the tiles of some types meet on AVX2 (raised_tile_avx2.h). */
    CK_PRECISION_RAISED_INT8,
    /* Integers up to 1023 with a scale for every 64 columns: what those of others meet there
     * (winograd_tile_avx2.h). */
    CK_PRECISION_INT11,
    /* INT16 in two planes of bytes with a scale for every 256 columns: what the tiles of all types meet on AMX
     * (amx_int16.h). */
    CK_PRECISION_AMX_INT16,
    /* Bfloat16: what they meet where 8 bits are enough (amx_bf16.h). */
    CK_PRECISION_AMX_BF16,
    /* INT8 whose scales are integers of 16 bits: what the tiles of some types meet (paired_tile.h). */
    CK_PRECISION_PAIRED_INT8,
} ck_precision;
#define CK_PRECISION_COUNT 10

/* Columns that share one activation scale, and columns that share one activation sum. */
#define CK_SCALE_COLUMNS 32
#define CK_SUM_COLUMNS 16

/* One activation vector. Quantised ones satisfy x[i] ~ scales[i / 32] * values[i], with
 * values in -127...127 or -32767...32767; `sums` are sums of values, for the types whose
 * weights have an offset. */
typedef struct ck_activations {
    const void *values;  /* float, int16_t or int8_t [columns] */
    const float *scales; /* [columns / 32]; NULL for F32 */
    const int32_t *sums; /* [columns / 16]; NULL for F32 */
} ck_activations;

/* ---- Weight types ----------------------------------------------------------------------- */

/* Tensor types by their GGUF (ggml) id. */
typedef enum ck_type {
    CK_TYPE_F32 = 0,
    CK_TYPE_F16 = 1,
    CK_TYPE_Q4_0 = 2,
    CK_TYPE_Q4_1 = 3,
    CK_TYPE_Q5_0 = 6,
    CK_TYPE_Q5_1 = 7,
    CK_TYPE_Q8_0 = 8,
    CK_TYPE_Q2_K = 10,
    CK_TYPE_Q3_K = 11,
    CK_TYPE_Q4_K = 12,
    CK_TYPE_Q5_K = 13,
    CK_TYPE_Q6_K = 14,
    CK_TYPE_IQ2_XXS = 16,
    CK_TYPE_IQ2_XS = 17,
    CK_TYPE_IQ3_XXS = 18,
    CK_TYPE_IQ1_S = 19,
    CK_TYPE_IQ4_NL = 20,
    CK_TYPE_IQ3_S = 21,
    CK_TYPE_IQ2_S = 22,
    CK_TYPE_IQ4_XS = 23,
    CK_TYPE_F64 = 28,
    CK_TYPE_IQ1_M = 29,
    CK_TYPE_BF16 = 30,
    CK_TYPE_TQ1_0 = 34,
    CK_TYPE_TQ2_0 = 35,
    CK_TYPE_MXFP4 = 39,
    CK_TYPE_NVFP4 = 40,
    CK_TYPE_Q1_0 = 41,
    CK_TYPE_Q2_0 = 42,
} ck_type;
#define CK_TYPE_COUNT 43

/* Blocks -> floats. `columns` is a multiple of the type's block. */
typedef void (*ck_dequantize_fn)(const void *blocks, float *out, size_t columns);

/* Finite floats -> blocks, by the type's reference rounding. NULL where a type has none yet. */
typedef void (*ck_quantize_fn)(const float *values, void *blocks, size_t columns);

/* `rows` rows of finite floats that lie one after the other -> the blocks of a type that come closest to them, found by
 * a search that makes  sum(importance * (value - weight)^2)  small. `importance`, not negative, has one number for each
 * column; NULL where all are alike. The same bytes on every instruction set. */
typedef void (*ck_quantize_rows_fn)(
    const float *values, size_t rows, size_t columns, const float *importance, void *blocks);

/* y[r] = dot(row r, x) for `rows` rows, each `row_bytes` after the one before, in the layout of the file. */
typedef void (*ck_gemv_fn)(
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const ck_activations *x, float *y);

/* y[v * stride + r] = dot(row r, x + v * columns) for `rows` rows as above and one vector or more. Rows may lie at any
 * address; `stride` is `rows` or more, and nothing is written between the results of two vectors. */
typedef void (*ck_gemm_fn)(
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const float *x, size_t vectors, float *y,
    size_t stride);

/* Vectors in slabs lie side by side, so that what meets a tile of rows is one stream of memory. A slab has some columns
 * of all vectors, CK_SLAB_COLUMNS or, at the end, those left. In it are groups of CK_SLAB_VECTORS vectors at most, one
 * after the other, and in a group what its vectors have in the first column, in the next one, and so on. */
#define CK_SLAB_COLUMNS 256
#define CK_SLAB_VECTORS 6

/* x (vectors, columns) -> the slab that begins with column `start`, `depth` columns. */
void ck_lay_slab(const float *x, size_t vectors, size_t columns, size_t start, size_t depth, float *slab);

/* As ck_gemm_fn, for vectors in slabs; the CK_TILED_FLOATS floats at `tiles`, on a cache line, are overwritten. */
#define CK_TILED_FLOATS 16384
typedef void (*ck_tiled_fn)(
    const void *weights, size_t row_bytes, size_t rows, size_t columns, const float *slabs, size_t vectors, float *y,
    size_t stride, float *tiles);

/* What a weight type can do on one instruction set. */
typedef struct ck_type_kernels {
    ck_dequantize_fn dequantize;
    ck_quantize_fn quantize;
    /* By ck_precision; NULL for the types that are not quantised (F32, F16, BF16, F64). */
    ck_gemv_fn gemv[CK_PRECISION_COUNT];
    /* NULL for all others. */
    ck_gemm_fn gemm;
    /* The same in another way, faster from `least_tiled` vectors on, which are the least that it takes; NULL where the
     * instruction set whose gemm it is has none. */
    ck_tiled_fn tiled;
    size_t least_tiled;
} ck_type_kernels;

/* What a weight type is. */
typedef struct ck_type_traits {
    const char *name;     /* NULL for an id without kernels */
    uint16_t block;       /* columns in a block */
    uint16_t block_bytes; /* bytes of a block */
} ck_type_traits;

/* Traits of `type`; its name is NULL where no kernels exist. Any integer may be asked for. */
ck_type_traits ck_traits(uint32_t type);

/* Kernels of `type` on `isa`: for each function the best that `isa` or a set below it has.
 * `type` must have traits, `isa` must be supported. */
ck_type_kernels ck_kernels(ck_type type, ck_isa isa);

/* The quantiser of the weights of `type` on `isa`, or of a set below it; NULL where a type has none. */
ck_quantize_rows_fn ck_quantizer(ck_type type, ck_isa isa);
/* The largest magnitude that `type` can be made of without becoming infinite. */
float ck_quantizer_limit(ck_type type);
/* The index of the first value that is not a number or whose magnitude exceeds `limit`; n where there is none. */
size_t ck_first_beyond(const float *values, size_t n, float limit);

/* ---- Weights that are rounded one by one ------------------------------------------------- */

/* Replaces the codes in blocks of `columns` weights and leaves their scales and minimums. */
typedef void (*ck_put_codes_fn)(const uint8_t *codes, void *blocks, size_t columns);

/* What a weight can become once the scales and minimums of its block are known:  first + (last - first) * place(code),
 * for a code from 0 to count - 1, in ascending order of their places. What first and last are, blocks tell that hold
 * code 0 and code count - 1 only. */
typedef struct ck_codes {
    uint32_t count;      /* 0 for a type whose weights cannot be rounded one by one */
    const float *ladder; /* places from 0 to 1; NULL where they are evenly spaced */
    ck_put_codes_fn put;
} ck_codes;

/* The codes of `type`. Any integer may be asked for. */
ck_codes ck_type_codes(uint32_t type);

/* Some rows in which the weights of a block's columns are to be rounded. */
typedef struct ck_feedback {
    size_t rows;
    size_t columns;      /* of the block: those that are rounded */
    size_t reach;        /* columns that errors are fed forward to, those of the block and some behind it */
    float *weights;      /* [rows][stride], from the block's first column on */
    size_t stride;
    const float *factor; /* [columns][factor_stride], from the diagonal of the block's first column on */
    size_t factor_stride;
    const float *first;  /* [rows][columns]: the weights of code 0 */
    const float *last;   /* [rows][columns]: the weights of the last code */
    uint8_t *codes;      /* [rows][columns] */
    float *errors;       /* [rows][error_stride]: (weight - rounded) / factor[column][column] */
    size_t error_stride;
} ck_feedback;

/* Some rows whose rounded weights are to become better. */
typedef struct ck_descent {
    size_t rows;
    size_t columns;       /* of a whole row */
    const float *moments; /* [columns][columns]: H, symmetric */
    const float *first;   /* [rows][columns]: the weights of code 0 */
    const float *last;    /* [rows][columns]: the weights of the last code */
    float *weights;       /* [rows][columns]: rounded */
    float *gradient;      /* [rows][columns]: (exact - rounded) * H */
    uint8_t *codes;       /* [rows][columns] */
} ck_descent;

/* Rounding by what products become. The same bits on every instruction set. */
typedef struct ck_feedback_kernels {
    /* Rounds one column after the other to the nearest of its weights, by the ladder of `codes`, and takes
     * error * factor[column][k]  from the columns k behind it. */
    void (*feed_forward)(const ck_feedback *feedback, const ck_codes *codes);
    /* Gives one column after the other the code that makes  (exact - rounded) * H * (exact - rounded)^T  smallest while
     * the other columns are what they are, and keeps the gradient up to date. */
    void (*descend)(const ck_descent *descent, const ck_codes *codes);
} ck_feedback_kernels;

/* Rounding by products on `isa`, or on a set below it. */
ck_feedback_kernels ck_feedback_of(ck_isa isa);

/* ---- Panels ----------------------------------------------------------------------------- */

/* Rows that lie side by side in a panel, and the most vectors that meet a tile at a time: on AMX, and on any other
 * instruction set. */
#define CK_PANEL_ROWS 16
#define CK_MOST_VECTORS 32
#define CK_TILE_VECTORS 12
/* Bytes that a tile for WIDE_INT8, RAISED_INT8, INT11 or PAIRED_INT8 begins with. */
#define CK_WIDE_HEADER 64

/* How far ahead of use memory that is read once is asked for, in bytes: in the first-level cache and in the
 * second-level one; 0: not at all. */
typedef struct ck_lookahead {
    size_t near, far;
    bool is_passing; /* whether what is near is not wanted again, so that it stays out of the caches behind the first */
} ck_lookahead;

/* What is best for panels that meet `vectors` vectors at a time, on `isa` on this machine. */
ck_lookahead ck_lookahead_of(ck_isa isa, size_t vectors);

/* `n` activation vectors side by side, as the panels of an instruction set take them: the four activations that meet a
 * word lie together for all vectors. Sums of activations come for 32 columns and for 16. */
typedef struct ck_columns {
    const void *values;    /* [columns / 32][n * 32 bytes, or n * 64]: see columns.c, amx_int16.h, amx_bf16.h */
    const float *scales;   /* [columns / 32][n]; WIDE_INT8 and INT11: [columns / 64][n]; AMX_INT16: for 256 columns, and
                            * what is left; AMX_BF16 has none. PAIRED_INT8: in the place of each float two integers of
                            * 16 bits, parts of the vector's largest scale times 32767; [columns / 64][n] */
    const int32_t *totals; /* [columns / 32][n], then [columns / 16][n]: -128 times sums of activations. INT11 and the
                            * forms of AMX have none. PAIRED_INT8: the first alone, plus 8 and 7 by turns */
    const float *sums;     /* likewise: sums of activations times their scale. WIDE_INT8: in the place of each float two
                            * integers of 16 bits, sums of neighbours; [columns / 64][n], then [columns / 32][n].
                            * INT11: [n], sums of products of neighbours, as integers, times their scale. PAIRED_INT8:
                            * [n], the largest scale; what lies behind is undefined. The forms of AMX have none */
    ck_lookahead ahead;    /* of a panel: ck_lookahead_of, or nothing */
    /* Of AMX_BF16, whose tiles can be of a part of the columns: */
    const void *next;      /* values of the vectors that come after these, which are asked for; or NULL */
    bool adds;             /* whether products are added to y */
    /* Of WIDE_INT8 and PAIRED_INT8 on AVX-512: whether whole cache lines of y go past the caches (non-temporal stores,
     * see ck_fence). */
    bool passes;
} ck_columns;

/* `rows` rows of floats, `stride` apart, become n vectors side by side; the last row stands for what is missing.
 * Buffers are big enough, `columns` is a multiple of 32 (WIDE_INT8, INT11 and PAIRED_INT8: of 64), 1 <= rows <= n, and
 * n is from 4 to CK_TILE_VECTORS, or 1 or 2 where panels meet such columns, not tiles alone. AMX_INT16: n is 16 or 32,
 * and `columns` a multiple of 64. AMX_BF16: n is 32. */
typedef void (*ck_pack_columns_fn)(
    const float *x, size_t stride, size_t rows, size_t columns, size_t n, void *values, float *scales, int32_t *totals,
    float *sums);

/* Rounding to ck_columns by `precision`, which is not F32, on `isa`; NULL where neither it nor what it falls back to
 * takes such columns. int16 activations reach 127 * 256, so that both their bytes may be signed ones. */
ck_pack_columns_fn ck_pack_columns(ck_precision precision, ck_isa isa);

/* y[t * stride + r] = dot(row r of a panel or tile, vector t); columns are those of a whole row. */
typedef void (*ck_panel_fn)(const void *panel, size_t columns, const ck_columns *x, float *y, size_t stride);

/* The same of `count` tiles, one after the other: y[t * stride + 16 * i + r] = dot(row r of tile i, vector t) */
typedef void (*ck_tiles_fn)(
    const void *tiles, size_t count, size_t columns, const ck_columns *x, float *y, size_t stride);

/* What a weight type can do as panels on one instruction set. */
typedef struct ck_panel_kernels {
    /* `rows` rows in the layout of the file -> a panel; what is missing of sixteen becomes zero. */
    void (*pack)(const void *weights, size_t row_bytes, size_t rows, size_t columns, void *panel);
    /* A panel -> floats: out[column * stride + row]. */
    void (*dequantize)(const void *panel, size_t columns, float *out, size_t stride);
    /* By ck_precision: a panel -> a tile, 64-byte aligned. Forms beyond INT8 are NULL where they have no tiles;
     * SPLIT_INT16 has none. */
    void (*unpack[CK_PRECISION_COUNT])(const void *panel, size_t columns, void *tile);
    /* By ck_precision: products of a panel with 1 vector, with 2, with 4, and with 8 where registers are enough, else
     * NULL. Of the forms beyond INT8, SPLIT_INT16 alone has any, and is NULL where it has none. */
    ck_panel_fn one[CK_PRECISION_COUNT];
    ck_panel_fn two[CK_PRECISION_COUNT];
    ck_panel_fn four[CK_PRECISION_COUNT];
    ck_panel_fn eight[CK_PRECISION_COUNT];
    /* By ck_precision: products of a tile with `narrow_vectors`, with `tile_vectors`. */
    ck_panel_fn tile_narrow[CK_PRECISION_COUNT];
    ck_panel_fn tile[CK_PRECISION_COUNT];
    /* The latter for several tiles, where they are better multiplied together; else NULL. */
    ck_tiles_fn tiles[CK_PRECISION_COUNT];
    /* What fits into the registers: 4 to CK_TILE_VECTORS, or 32; 0 where there are no tiles. And for the rest of a
     * batch: 4, or 16. All types that have tiles for a form have the same. */
    uint32_t tile_vectors[CK_PRECISION_COUNT];
    uint32_t narrow_vectors[CK_PRECISION_COUNT];
    /* Bytes of a tile for every 32 columns; those of WIDE_INT8, RAISED_INT8, INT11 and PAIRED_INT8 begin with a
     * header. */
    uint32_t tile_bytes[CK_PRECISION_COUNT];
    /* Whether tiles for INT16 are multiplied as fast as those for INT8, or faster: then rows that 64 does not divide,
     * as INT11 demands, meet INT16, and so do fewer vectors than `least_tiled`. */
    bool favours_int16;
    /* The least vectors that are worth unpacking panels for: fewer meet panels in less time. 1 where that has not been
     * measured. */
    uint32_t least_tiled;
} ck_panel_kernels;

/* Sizes of a type's panels, and whether to pack rows takes several times as long as to multiply them. */
typedef struct ck_panel_traits {
    uint32_t block;       /* columns in a block; 0 for a type that stays in the layout of the file */
    uint32_t block_bytes; /* bytes of a block of a panel */
    bool is_packed_slowly;
} ck_panel_traits;

/* Sizes of the panels of `type`. Any integer may be asked for. */
ck_panel_traits ck_panel_sizes(uint32_t type);

/* Panels of `type`, which must have sizes, on `isa`. */
ck_panel_kernels ck_panels(ck_type type, ck_isa isa);

/* Reads all cache lines of `bytes` bytes, so that whatever comes next finds them in a cache.
 *
 * What reads and writes by turns waits for memory: the stores between two reads keep a processor from asking for more
 * than a few lines at a time, and Zen 4 drops prefetches beside them. There, panels of Q6_K that come from memory are
 * unpacked in 88 ns for 1024 weights, in 24 from a cache, and in 58 if they are fetched before. */
void ck_fetch(const void *memory, size_t bytes);

/* Whether what batches yield had better go past the caches, on this machine and `isa`. */
bool ck_results_pass(ck_isa isa);

/* Orders non-temporal stores: those before come before all stores that follow, such as what tells other threads that
 * results are there. No ordering of the language's atomics covers them, whatever instructions those become. */
void ck_fence(void);

/* ---- Vectors ---------------------------------------------------------------------------- */

/* Operations on float vectors on one instruction set. Outputs may be the same vector as an input. `passes`: sixteen
 * elements of out, from a multiple of 16 on, go past the caches if they are a cache line (compiled by Clang), see
 * ck_fence. */
typedef struct ck_vector_kernels {
    float (*dot)(const float *a, const float *b, size_t n);
    /* out = x * weight / sqrt(mean(x^2) + epsilon) */
    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t n, float *out, bool passes);
    void (*add)(const float *a, const float *b, size_t n, float *out);
    /* out = gate / (1 + exp(-gate)) * up, for rows of n gates and as many ups behind them, `stride` floats from one row
     * to the next */
    void (*silu_multiply)(
        const float *gates, size_t stride, size_t rows, size_t n, float *out, size_t out_stride, bool passes);
    /* x = exp(x - max(x)) / sum; n >= 1 */
    void (*softmax)(float *x, size_t n);
    /* x = exp(x - maximum); returns the sum: a step of a softmax with a running maximum */
    float (*exp_sum)(float *x, float maximum, size_t n);
    float (*maximum)(const float *x, size_t n);
    void (*scale)(float *x, float factor, size_t n);
    /* Rotates `pairs` pairs by the angles whose cosine and sine are given.
     * adjacent: pair i is x[2i], x[2i + 1]; halves: x[i], x[i + pairs]. */
    void (*rope_adjacent)(float *x, const float *cosines, const float *sines, size_t pairs);
    void (*rope_halves)(float *x, const float *cosines, const float *sines, size_t pairs);
    /* Activations as described at ck_activations; n is a multiple of 32. */
    void (*quantize_int8)(const float *x, size_t n, int8_t *values, float *scales, int32_t *sums);
    void (*quantize_int16)(const float *x, size_t n, int16_t *values, float *scales, int32_t *sums);
    /* x = H x / sqrt(n), H the Hadamard matrix in the natural order; n a power of two. Its own inverse. */
    void (*hadamard)(float *x, size_t n);
} ck_vector_kernels;

/* Vector operations of `isa`, each the best that it or a set below it has. */
ck_vector_kernels ck_vector(ck_isa isa);

/* ---- Attention over a cache ------------------------------------------------------------- */

/* A few queries of `head_size` elements, one after the other, against `n` cached positions of the key/value head that
 * they share. Positions lie one after the other in the type's own layout; a head is whole blocks. What is `ahead` bytes
 * further on is asked for in the second-level cache, where that is not 0. */
typedef struct ck_attention_kernels {
    /* scores[h * stride + j] = dot(query h, key j) for `heads` queries */
    void (*scores)(
        const float *queries, size_t heads, const void *keys, size_t n, size_t head_size, size_t ahead, float *scores,
        size_t stride);
    /* out[h * head_size + i] += sum over j of probabilities[h * stride + j] * value j [i] for `heads` queries */
    void (*accumulate)(
        const float *probabilities, size_t heads, size_t stride, const void *values, size_t n, size_t head_size,
        size_t ahead, float *out);
} ck_attention_kernels;

/* The best `ahead` for a cache in memory, on `isa` on this machine. */
size_t ck_cache_lookahead(ck_isa isa);

/* Attention over a cache of `type` on `isa`; both entries are NULL for a type that no cache can have. */
ck_attention_kernels ck_attention(ck_type type, ck_isa isa);

/* Many queries against some positions of the key/value head that they share, as floats.
 *
 * Queries and results lie in panels of `width` lanes, a query in each: element i of row r is at
 * [(r / width * stride + i) * width + r % width]. Lanes beyond the last row may hold anything. */
typedef struct ck_attention_tile {
    size_t head_size;
    size_t stride;         /* from one key or value to the next: head_size rounded up to CK_ATTENTION_ROWS */
    size_t rows;           /* queries */
    size_t group;          /* queries of one token */
    size_t first_row;      /* queries of the first token that come before this tile's */
    size_t first_query;    /* the position of the first token */
    size_t window;         /* positions that a query sees, the nearest up to its own; SIZE_MAX for all */
    size_t n;              /* keys, and values */
    size_t first_position; /* that of the first key */
    float *queries;        /* with the scale of the scores applied */
    float *keys;           /* [n rounded up to CK_ATTENTION_ROWS][stride] */
    float *values;         /* the same */
    float *scores;         /* scratch: [n rounded up to CK_ATTENTION_ROWS][width] */
    /* What a running softmax keeps. Before the first tile: 0, minus infinity, 0. */
    float *out;    /* sums of the values by exp(score - maximum) */
    float *maxima; /* [rows rounded up to width] */
    float *sums;   /* [rows rounded up to width]: sums of exp(score - maximum) */
} ck_attention_tile;

/* Keys of a tile, and elements of a head, are rounded up to a multiple of this. */
#define CK_ATTENTION_ROWS 8
/* Keys of a tile, at most. */
#define CK_ATTENTION_KEYS 128
/* A multiple of every width. */
#define CK_ATTENTION_WIDTH 48

/* Attention in tiles on one instruction set. */
typedef struct ck_attention_tile_kernels {
    size_t width; /* lanes of a panel */
    /* Makes of a tile's queries, once, what `attend` meets, in their place; NULL where they are that. */
    void (*begin)(const ck_attention_tile *tile);
    /* Takes the tile's keys and values into its running softmax, and may leave anything in their place. */
    void (*attend)(const ck_attention_tile *tile);
} ck_attention_tile_kernels;

/* Attention in tiles on `isa`, with products of floats, or of integers where those are faster: results are then
 * off by about 1e-4 of the largest value. */
ck_attention_tile_kernels ck_attention_tiles(ck_isa isa, bool integers);

/* Queries that go to lanes of a panel side by side, at most: `count` below. */
#define CK_LANE_ROWS 4

/* lanes[i * width + r] = factor * rows[r][i], for n elements of each row. */
void ck_pack_lanes(
    const float *const rows[CK_LANE_ROWS], size_t count, size_t n, float factor, size_t width, float *lanes);
/* rows[r][i] = factors[r] * lanes[i * width + r]. `passes`: as for vectors, if `count` is CK_LANE_ROWS. */
void ck_unpack_lanes(
    const float *lanes, size_t count, size_t n, const float factors[CK_LANE_ROWS], size_t width,
    float *const rows[CK_LANE_ROWS], bool passes);

/* ---- Roofline --------------------------------------------------------------------------- */

/* What an instruction set reaches with nothing in its way, on one thread. */
typedef struct ck_roofline_kernels {
    /* Reads `bytes` bytes, a multiple of 512, and does next to nothing with them. What lies ahead is asked for in both
     * caches, or not at all. */
    uint64_t (*read)(const void *memory, size_t bytes, ck_lookahead ahead);
    /* Multiplies and adds floats on registers: so many operations a call. */
    float (*float_products)(void);
    double float_operations;
    /* The same for signed and unsigned bytes, by the instructions that integer products are made of. */
    float (*byte_products)(void);
    double byte_operations;
} ck_roofline_kernels;

/* The roofs of `isa`, which must be supported. */
ck_roofline_kernels ck_roofline(ck_isa isa);

/* ---- Threads ---------------------------------------------------------------------------- */

/* A hint to the processor that the caller is waiting in a loop. */
static inline void ck_spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}
