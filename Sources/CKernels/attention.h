/* Attention for one instruction set: the files that instantiate its templates, attention_<set>.c, define
 *
 *     LANES     floats of a register
 *     TARGET    the attribute of the set's functions
 *     SET       its name, as in ck_attention_<set>
 *     REGISTERS registers that a panel of queries is wide, 2 or 3
 *     ROWS      rows of a block of products, which REGISTERS times as many registers hold
 *     REST      rows of the block that computes what is left of them: a divisor of CK_ATTENTION_ROWS
 *     HEADS     queries that meet a row of the cache at a time
 *     ABREAST   rows of keys, or registers of values, that meet so many queries side by side: HEADS times as many
 *               registers hold their sums; a divisor of CK_ROWS
 *
 * and include attention_template.h, which defines the set's table. Where products of 16-bit integers are faster than
 * those of floats, they also define
 *
 *     ADD_PAIRS(sums, left, right)  the 32-bit sums of a register and the products of two pairs of such integers
 *
 * and include attention_integers_template.h. A set that has faster products of these, but none of floats, does so in
 * attention_integers_<set>.c. */
#pragma once

#include "CKernels.h"

/* Attention on one instruction set. */
typedef struct ck_attention_set {
    ck_attention_tile_kernels tile;
    ck_attention_kernels f32, f16, bf16, q8_0, q4_0;
} ck_attention_set;

extern const ck_attention_set ck_attention_scalar;
#if defined(__x86_64__)
extern const ck_attention_set ck_attention_avx2;
extern const ck_attention_set ck_attention_avx512;
extern const ck_attention_tile_kernels ck_attention_integers_avx2;
extern const ck_attention_tile_kernels ck_attention_integers_avxvnni;
extern const ck_attention_tile_kernels ck_attention_integers_avx512;
extern const ck_attention_tile_kernels ck_attention_integers_avx512vnni;
#elif defined(__aarch64__)
extern const ck_attention_set ck_attention_neon;
#endif
