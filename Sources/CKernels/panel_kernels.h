/* From a format to its kernels on every instruction set: CK_DEFINE_PANELS(TAKE, BYTES), in a type's file after its
 * `panel_format`, defines what CK_TABLE_PANELS lists. BYTES are those of a block in a file. */
#pragma once

#include "amx_bf16.h"
#include "amx_int16.h"
#include "block256.h"
#include "block32.h"
#include "paired_tile.h"
#include "panel_factors.h"
#include "panel_isa.h"
#include "raised_tile_avx2.h"
#include "registry.h"
#include "wide_tile.h"
#include "wide_tile_avx2.h"
#include "winograd_tile_avx2.h"

#define CK_DEFINE_PANEL_PRODUCT(NAME, TARGET, ISA, TEMPLATE, PARTS, N)                                               \
    TARGET static void NAME(const void *panel, size_t columns, const ck_columns *x, float *y, size_t stride) {       \
        TEMPLATE(panel_format, ISA, PARTS, N, panel, columns, x, y, stride);                                         \
    }

/* What happens once to a weight, or once for many vectors: several instruction sets share it. */
#define CK_DEFINE_PANEL_COPIES(S, TARGET, ISA, TAKE, BYTES)                                                          \
    TARGET static void pack_panel_##S(                                                                               \
        const void *weights, size_t row_bytes, size_t rows, size_t columns, void *panel) {                           \
        ck_pack_panel(panel_format, TAKE, BYTES, weights, row_bytes, rows, columns, panel);                          \
    }                                                                                                                \
    TARGET static void dequantize_panel_##S(const void *panel, size_t columns, float *out, size_t stride) {          \
        ck_dequantize_panel(panel_format, ISA, panel, columns, out, stride);                                         \
    }

/* The rest of an instruction set; more vectors than four meet a panel or a tile only where the registers are enough. */
#define CK_DEFINE_PANEL_PRODUCTS(S, TARGET, ISA)                                                                     \
    CK_DEFINE_PANEL_PRODUCT(panel_one_int8_##S, TARGET, ISA, ck_vectors_product, 1, 1)                               \
    CK_DEFINE_PANEL_PRODUCT(panel_one_int16_##S, TARGET, ISA, ck_vectors_product, 2, 1)                              \
    CK_DEFINE_PANEL_PRODUCT(panel_two_int8_##S, TARGET, ISA, ck_vectors_product, 1, 2)                               \
    CK_DEFINE_PANEL_PRODUCT(panel_two_int16_##S, TARGET, ISA, ck_vectors_product, 2, 2)                              \
    CK_DEFINE_PANEL_PRODUCT(panel_four_int8_##S, TARGET, ISA, ck_vectors_product, 1, 4)                              \
    CK_DEFINE_PANEL_PRODUCT(panel_four_int16_##S, TARGET, ISA, ck_vectors_product, 2, 4)                             \
    CK_DEFINE_PANEL_PRODUCT(tile_4_int8_##S, TARGET, ISA, ck_tile_product, 1, 4)                                     \
    CK_DEFINE_PANEL_PRODUCT(tile_4_int16_##S, TARGET, ISA, ck_tile_product, 2, 4)                                    \
    CK_DEFINE_UNPACK(unpack_bytes_##S, TARGET, ISA, 1)

#define CK_DEFINE_UNPACK(NAME, TARGET, ISA, PARTS)                                                                   \
    TARGET static void NAME(const void *panel, size_t columns, void *tile) {                                         \
        ck_unpack_panel(panel_format, ISA, PARTS, panel, columns, tile);                                             \
    }

/* Bytes of 32 columns' words in a tile. */
#define CK_WORD_BYTES_bytes 512
#define CK_WORD_BYTES_shorts 1024

/* WORDS16 are those of tiles for INT16, bytes or shorts, which meet VECTORS16 vectors at a time; those for INT8 are
 * bytes, and meet VECTORS8. Entries for other forms follow where there are any. */
#define CK_PANEL_ROW(S, COPIES, WORDS16, VECTORS16, VECTORS8, ...)                                                   \
    {                                                                                                                \
        .pack = pack_panel_##COPIES, .dequantize = dequantize_panel_##COPIES,                                        \
        .unpack[CK_PRECISION_INT16] = unpack_##WORDS16##_##S, .unpack[CK_PRECISION_INT8] = unpack_bytes_##S,         \
        .tile_bytes[CK_PRECISION_INT16] = CK_WORD_BYTES_##WORDS16,                                                   \
        .tile_bytes[CK_PRECISION_INT8] = CK_WORD_BYTES_bytes,                                                        \
        .one[CK_PRECISION_INT16] = panel_one_int16_##S, .one[CK_PRECISION_INT8] = panel_one_int8_##S,                \
        .two[CK_PRECISION_INT16] = panel_two_int16_##S, .two[CK_PRECISION_INT8] = panel_two_int8_##S,                \
        .four[CK_PRECISION_INT16] = panel_four_int16_##S, .four[CK_PRECISION_INT8] = panel_four_int8_##S,            \
        .tile_narrow[CK_PRECISION_INT16] = tile_4_int16_##S, .tile_narrow[CK_PRECISION_INT8] = tile_4_int8_##S,      \
        .narrow_vectors[CK_PRECISION_INT16] = 4, .narrow_vectors[CK_PRECISION_INT8] = 4,                             \
        .tile[CK_PRECISION_INT16] = tile_##VECTORS16##_int16_##S,                                                    \
        .tile[CK_PRECISION_INT8] = tile_##VECTORS8##_int8_##S,                                                       \
        .tile_vectors[CK_PRECISION_INT16] = VECTORS16, .tile_vectors[CK_PRECISION_INT8] = VECTORS8, __VA_ARGS__      \
    }

#if defined(__x86_64__)
/* What formats without a form of activations would get for it is empty, and ck_panels does not give it away. */
#define CK_DEFINE_SPLIT_PRODUCT(NAME, N)                                                                             \
    CK_AVX2 static void NAME(const void *panel, size_t columns, const ck_columns *x, float *y, size_t stride) {      \
        if (ck_splits_int16(panel_format)) {                                                                         \
            ck_vectors_product(panel_format, CK_PANEL_ISA_AVX2_SPLIT, 2, N, panel, columns, x, y, stride);           \
        }                                                                                                            \
    }
#define CK_AVX2_ENTRIES                                                                                              \
    .one[CK_PRECISION_SPLIT_INT16] = panel_one_split, .two[CK_PRECISION_SPLIT_INT16] = panel_two_split,              \
    .four[CK_PRECISION_SPLIT_INT16] = panel_four_split,                                                              \
    CK_AVX2_TILES(CK_PRECISION_WIDE_INT8, wide_avx2), CK_AVX2_TILES(CK_PRECISION_RAISED_INT8, raised),               \
    CK_AVX2_TILES(CK_PRECISION_INT11, int11)
#define CK_AVX2_TILES(PRECISION, FORM)                                                                               \
    .unpack[PRECISION] = unpack_##FORM, .tile_narrow[PRECISION] = tile_##FORM, .tile[PRECISION] = tile_##FORM,       \
    .tile_vectors[PRECISION] = CK_TILE_VECTORS_AVX2, .narrow_vectors[PRECISION] = CK_TILE_VECTORS_AVX2
#define CK_DEFINE_TILES_AVX2(FORM, HAS, UNPACK, PRODUCT)                                                             \
    CK_AVX2 static void unpack_##FORM(const void *panel, size_t columns, void *tile) {                               \
        if (HAS(panel_format)) {                                                                                     \
            UNPACK(panel_format, CK_PANEL_ISA_AVX2, panel, columns, tile);                                           \
        }                                                                                                            \
    }                                                                                                                \
    CK_AVX2 static void tile_##FORM(                                                                                 \
        const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {                            \
        if (HAS(panel_format)) {                                                                                     \
            PRODUCT(panel_format, tile, columns, x, y, stride);                                                      \
        }                                                                                                            \
    }
#define CK_DEFINE_WIDE_TILES                                                                                         \
    CK_AVX512VNNI static void unpack_wide(const void *panel, size_t columns, void *tile) {                           \
        if (ck_has_wide_tiles(panel_format)) {                                                                       \
            ck_unpack_wide(panel_format, CK_PANEL_ISA_AVX512VNNI, panel, columns, tile);                             \
        }                                                                                                            \
    }                                                                                                                \
    CK_DEFINE_WIDE_PRODUCT(tile_wide_4, 4)                                                                           \
    CK_DEFINE_WIDE_PRODUCT(tile_wide_8, CK_WIDE_VECTORS)
#define CK_DEFINE_WIDE_PRODUCT(NAME, N)                                                                              \
    CK_AVX512VNNI static void NAME(                                                                                  \
        const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {                            \
        if (ck_has_wide_tiles(panel_format)) {                                                                       \
            ck_wide_tile_product(panel_format, N, tile, columns, x, y, stride);                                      \
        }                                                                                                            \
    }
#define CK_DEFINE_PAIRED_TILES                                                                                       \
    CK_AVX512VNNI static void unpack_paired(const void *panel, size_t columns, void *tile) {                         \
        if (ck_has_paired_tiles(panel_format)) {                                                                     \
            ck_unpack_paired(panel_format, CK_PANEL_ISA_AVX512VNNI, panel, columns, tile);                           \
        }                                                                                                            \
    }                                                                                                                \
    CK_DEFINE_PAIRED_PRODUCT(tile_paired_4, 4)                                                                       \
    CK_DEFINE_PAIRED_PRODUCT(tile_paired_8, CK_WIDE_VECTORS)
#define CK_DEFINE_PAIRED_PRODUCT(NAME, N)                                                                            \
    CK_AVX512VNNI static void NAME(                                                                                  \
        const void *tile, size_t columns, const ck_columns *x, float *y, size_t stride) {                            \
        if (ck_has_paired_tiles(panel_format)) {                                                                     \
            ck_paired_tile_product(panel_format, N, tile, columns, x, y, stride);                                    \
        }                                                                                                            \
    }
#define CK_AVX512_ENTRIES                                                                                            \
    .eight[CK_PRECISION_INT16] = panel_eight_int16_avx512vnni,                                                       \
    .eight[CK_PRECISION_INT8] = panel_eight_int8_avx512vnni,                                                         \
    .unpack[CK_PRECISION_WIDE_INT8] = unpack_wide, .tile_narrow[CK_PRECISION_WIDE_INT8] = tile_wide_4,               \
    .tile[CK_PRECISION_WIDE_INT8] = tile_wide_8, .tile_vectors[CK_PRECISION_WIDE_INT8] = CK_WIDE_VECTORS,            \
    .narrow_vectors[CK_PRECISION_WIDE_INT8] = 4,                                                                     \
    .unpack[CK_PRECISION_PAIRED_INT8] = unpack_paired, .tile_narrow[CK_PRECISION_PAIRED_INT8] = tile_paired_4,       \
    .tile[CK_PRECISION_PAIRED_INT8] = tile_paired_8, .tile_vectors[CK_PRECISION_PAIRED_INT8] = CK_WIDE_VECTORS,      \
    .narrow_vectors[CK_PRECISION_PAIRED_INT8] = 4
#define CK_DEFINE_AMX_TILES                                                                                          \
    CK_AVX512VNNI static void unpack_amx_int16(const void *panel, size_t columns, void *tile) {                      \
        ck_unpack_amx_int16(panel_format, CK_PANEL_ISA_AVX512VNNI, panel, columns, tile);                            \
    }                                                                                                                \
    CK_AMX static void unpack_amx_bf16(const void *panel, size_t columns, void *tile) {                              \
        ck_unpack_amx_bf16(panel_format, CK_PANEL_ISA_AVX512VNNI, panel, columns, tile);                             \
    }
#define CK_AMX_ENTRIES                                                                                               \
    .unpack[CK_PRECISION_AMX_INT16] = unpack_amx_int16,                                                              \
    .tile_narrow[CK_PRECISION_AMX_INT16] = ck_amx_int16_narrow_tile,                                                 \
    .tile[CK_PRECISION_AMX_INT16] = ck_amx_int16_tile, .tiles[CK_PRECISION_AMX_INT16] = ck_amx_int16_tiles,          \
    .tile_vectors[CK_PRECISION_AMX_INT16] = CK_AMX_VECTORS,                                                          \
    .narrow_vectors[CK_PRECISION_AMX_INT16] = CK_AMX_VECTORS / 2,                                                    \
    .unpack[CK_PRECISION_AMX_BF16] = unpack_amx_bf16, .tile_narrow[CK_PRECISION_AMX_BF16] = ck_amx_bf16_tile,        \
    .tile[CK_PRECISION_AMX_BF16] = ck_amx_bf16_tile, .tiles[CK_PRECISION_AMX_BF16] = ck_amx_bf16_tiles,              \
    .tile_vectors[CK_PRECISION_AMX_BF16] = CK_AMX_VECTORS, .narrow_vectors[CK_PRECISION_AMX_BF16] = CK_AMX_VECTORS
#endif

/* Vectors of a tile: sixteen rows take two of the sixteen registers of 256 bits, one of the 32 of 512, or four of the
 * 32 of NEON. AVX2 wants some of them for sums of 16 bits on their way to 32; words of 16 bits have none. */
#if defined(__x86_64__)
#define CK_DEFINE_PANELS(TAKE, BYTES)                                                                                \
    CK_DEFINE_PANEL_COPIES(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR, TAKE, BYTES)                                      \
    CK_DEFINE_PANEL_COPIES(avx2, CK_AVX2, CK_PANEL_ISA_AVX2, TAKE, BYTES)                                            \
    CK_DEFINE_PANEL_PRODUCTS(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR)                                                 \
    CK_DEFINE_PANEL_PRODUCTS(avx2, CK_AVX2, CK_PANEL_ISA_AVX2)                                                       \
    CK_DEFINE_PANEL_PRODUCTS(avxvnni, CK_AVXVNNI, CK_PANEL_ISA_AVXVNNI)                                              \
    CK_DEFINE_PANEL_PRODUCTS(avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI)                                     \
    CK_DEFINE_UNPACK(unpack_shorts_avx2, CK_AVX2, CK_PANEL_ISA_AVX2, 2)                                              \
    CK_DEFINE_SPLIT_PRODUCT(panel_one_split, 1)                                                                      \
    CK_DEFINE_SPLIT_PRODUCT(panel_two_split, 2)                                                                      \
    CK_DEFINE_SPLIT_PRODUCT(panel_four_split, 4)                                                                     \
    CK_DEFINE_PANEL_PRODUCT(tile_6_int16_avx2, CK_AVX2, CK_PANEL_ISA_AVX2, ck_tile_product, 2, 6)                    \
    CK_DEFINE_PANEL_PRODUCT(tile_6_int8_avxvnni, CK_AVXVNNI, CK_PANEL_ISA_AVXVNNI, ck_tile_product, 1, 6)            \
    CK_DEFINE_PANEL_PRODUCT(tile_6_int16_avxvnni, CK_AVXVNNI, CK_PANEL_ISA_AVXVNNI, ck_tile_product, 2, 6)           \
    CK_DEFINE_PANEL_PRODUCT(                                                                                         \
        panel_eight_int8_avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI, ck_vectors_product, 1, 8)               \
    CK_DEFINE_PANEL_PRODUCT(                                                                                         \
        panel_eight_int16_avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI, ck_vectors_product, 2, 8)              \
    CK_DEFINE_PANEL_PRODUCT(                                                                                         \
        tile_12_int8_avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI, ck_tile_product, 1, 12)                     \
    CK_DEFINE_PANEL_PRODUCT(                                                                                         \
        tile_12_int16_avx512vnni, CK_AVX512VNNI, CK_PANEL_ISA_AVX512VNNI, ck_tile_product, 2, 12)                    \
    CK_DEFINE_TILES_AVX2(                                                                                            \
        wide_avx2, ck_has_wide_tiles_avx2, ck_unpack_wide_avx2, ck_wide_tile_product_avx2)                           \
    CK_DEFINE_TILES_AVX2(raised, ck_has_raised_tiles, ck_unpack_raised, ck_raised_tile_product)                      \
    CK_DEFINE_TILES_AVX2(int11, ck_has_int11_tiles, ck_unpack_int11, ck_int11_tile_product)                          \
    CK_DEFINE_WIDE_TILES                                                                                             \
    CK_DEFINE_PAIRED_TILES                                                                                           \
    CK_DEFINE_AMX_TILES
#define CK_TABLE_PANELS                                                                                              \
    [CK_ISA_SCALAR] = CK_PANEL_ROW(scalar, scalar, bytes, 4, 4, ),                                                   \
    [CK_ISA_AVX2] = CK_PANEL_ROW(avx2, avx2, shorts, 6, 4, CK_AVX2_ENTRIES),                                         \
    [CK_ISA_AVXVNNI] = CK_PANEL_ROW(avxvnni, avx2, bytes, 6, 6, ),                                                   \
    [CK_ISA_AVX512VNNI] = CK_PANEL_ROW(avx512vnni, avx2, bytes, 12, 12, CK_AVX512_ENTRIES),                          \
    [CK_ISA_AMX] = CK_PANEL_ROW(avx512vnni, avx2, bytes, 12, 12, CK_AVX512_ENTRIES, CK_AMX_ENTRIES)
#elif defined(__aarch64__)
#define CK_DEFINE_PANELS(TAKE, BYTES)                                                                                \
    CK_DEFINE_PANEL_COPIES(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR, TAKE, BYTES)                                      \
    CK_DEFINE_PANEL_COPIES(neon, CK_NEON, CK_PANEL_ISA_NEON, TAKE, BYTES)                                            \
    CK_DEFINE_PANEL_PRODUCTS(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR)                                                 \
    CK_DEFINE_PANEL_PRODUCTS(neon, CK_NEON, CK_PANEL_ISA_NEON)                                                       \
    CK_DEFINE_PANEL_PRODUCTS(neon_dotprod, CK_NEON_DOTPROD, CK_PANEL_ISA_NEON_DOTPROD)                               \
    CK_DEFINE_PANEL_PRODUCTS(neon_i8mm, CK_NEON_I8MM, CK_PANEL_ISA_NEON_I8MM)
#define CK_TABLE_PANELS                                                                                              \
    [CK_ISA_SCALAR] = CK_PANEL_ROW(scalar, scalar, bytes, 4, 4, ),                                                   \
    [CK_ISA_NEON] = CK_PANEL_ROW(neon, neon, bytes, 4, 4, ),                                                         \
    [CK_ISA_NEON_DOTPROD] = CK_PANEL_ROW(neon_dotprod, neon, bytes, 4, 4, ),                                         \
    [CK_ISA_NEON_I8MM] = CK_PANEL_ROW(neon_i8mm, neon, bytes, 4, 4, )
#else
#define CK_DEFINE_PANELS(TAKE, BYTES)                                                                                \
    CK_DEFINE_PANEL_COPIES(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR, TAKE, BYTES)                                      \
    CK_DEFINE_PANEL_PRODUCTS(scalar, CK_SCALAR, CK_PANEL_ISA_SCALAR)
#define CK_TABLE_PANELS [CK_ISA_SCALAR] = CK_PANEL_ROW(scalar, scalar, bytes, 4, 4, )
#endif

/* Panels of a type with blocks of 32, from its format and a function that unpacks its q. */
#define CK_DEFINE_PANELS32(FORMAT, UNPACK)                                                                           \
    CK_INLINE void take_panel(const void *block, ck_panel_source *out) {                                             \
        out->scale = ck_load_u16(block);                                                                             \
        if ((FORMAT).has_minimum) {                                                                                  \
            out->minimum = ck_load_u16((const uint8_t *)block + 2);                                                  \
        }                                                                                                            \
        UNPACK(block, out->q);                                                                                       \
    }                                                                                                                \
    CK_DEFINE_PANELS(take_panel, (FORMAT).bytes)

/* Panels of a type with blocks of 256, from its format and its functions, whose groups have 16 columns. */
#define CK_DEFINE_PANELS256(FORMAT, UNPACK, GROUPS)                                                                  \
    CK_INLINE void take_panel(const void *block, ck_panel_source *out) {                                             \
        int8_t scales[CK_MOST_GROUPS];                                                                               \
        uint8_t minimums[CK_MOST_GROUPS];                                                                            \
        UNPACK(block, out->q);                                                                                       \
        GROUPS(block, scales, minimums);                                                                             \
        out->scale = ck_load_u16((const uint8_t *)block + (FORMAT).scale);                                           \
        if ((FORMAT).has_minimum) {                                                                                  \
            out->minimum = ck_load_u16((const uint8_t *)block + (FORMAT).minimum) ^ 0x8000;                          \
        }                                                                                                            \
        const size_t groups = 256 / panel_format.group;                                                              \
        for (size_t g = 0; g < groups; g++) {                                                                        \
            const size_t sixteen = g * panel_format.group / 16;                                                      \
            out->factors[g] = (uint8_t)(scales[sixteen] + panel_format.factor_offset);                               \
            out->factors[groups + g] = (FORMAT).has_minimum ? minimums[sixteen] : 0;                                 \
        }                                                                                                            \
    }                                                                                                                \
    CK_DEFINE_PANELS(take_panel, (FORMAT).bytes)
