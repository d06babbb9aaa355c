/* (type, instruction set) -> kernels: one row per type. */
#include "registry.h"

#include "amx_bf16.h"
#include "amx_int16.h"
#include "blocks.h"
#include "paired_tile.h"
#include "raised_tile_avx2.h"
#include "winograd_tile_avx2.h"

typedef struct type_row {
    ck_type_traits traits;
    const ck_type_kernels *kernels; /* by ck_isa; what is missing comes from the set it falls back on */
    const ck_panel_row *panels;     /* NULL for a type that stays in the layout of the file */
    const ck_quantize_rows_fn *quantizers; /* by ck_isa, as above; NULL for a type that has none */
    const ck_codes *codes; /* NULL for a type whose weights are not rounded one by one */
} type_row;

static const type_row rows[CK_TYPE_COUNT] = {
    [CK_TYPE_F32] = {{"F32", 1, sizeof(float)}, ck_f32_kernels, NULL, ck_f32_quantizers, NULL},
    [CK_TYPE_F16] = {{"F16", 1, sizeof(uint16_t)}, ck_f16_kernels, NULL, ck_f16_quantizers, NULL},
    [CK_TYPE_F64] = {{"F64", 1, sizeof(double)}, ck_f64_kernels, NULL, ck_f64_quantizers, NULL},
    [CK_TYPE_BF16] = {{"BF16", 1, sizeof(uint16_t)}, ck_bf16_kernels, NULL, ck_bf16_quantizers, NULL},
    [CK_TYPE_Q4_0] = {{"Q4_0", 32, sizeof(ck_block_q4_0)}, ck_q4_0_kernels, &ck_q4_0_panels,
        ck_q4_0_quantizers, &ck_q4_0_codes},
    [CK_TYPE_Q4_1] = {{"Q4_1", 32, sizeof(ck_block_q4_1)}, ck_q4_1_kernels, &ck_q4_1_panels,
        ck_q4_1_quantizers, &ck_q4_1_codes},
    [CK_TYPE_Q5_0] = {{"Q5_0", 32, sizeof(ck_block_q5_0)}, ck_q5_0_kernels, &ck_q5_0_panels,
        ck_q5_0_quantizers, &ck_q5_0_codes},
    [CK_TYPE_Q5_1] = {{"Q5_1", 32, sizeof(ck_block_q5_1)}, ck_q5_1_kernels, &ck_q5_1_panels,
        ck_q5_1_quantizers, &ck_q5_1_codes},
    [CK_TYPE_Q8_0] = {{"Q8_0", 32, sizeof(ck_block_q8_0)}, ck_q8_0_kernels, &ck_q8_0_panels,
        ck_q8_0_quantizers, &ck_q8_0_codes},
    [CK_TYPE_Q2_K] = {{"Q2_K", 256, sizeof(ck_block_q2_k)}, ck_q2_k_kernels, &ck_q2_k_panels,
        ck_q2_k_quantizers, &ck_q2_k_codes},
    [CK_TYPE_Q3_K] = {{"Q3_K", 256, sizeof(ck_block_q3_k)}, ck_q3_k_kernels, &ck_q3_k_panels,
        ck_q3_k_quantizers, &ck_q3_k_codes},
    [CK_TYPE_Q4_K] = {{"Q4_K", 256, sizeof(ck_block_q4_k)}, ck_q4_k_kernels, &ck_q4_k_panels,
        ck_q4_k_quantizers, &ck_q4_k_codes},
    [CK_TYPE_Q5_K] = {{"Q5_K", 256, sizeof(ck_block_q5_k)}, ck_q5_k_kernels, &ck_q5_k_panels,
        ck_q5_k_quantizers, &ck_q5_k_codes},
    [CK_TYPE_Q6_K] = {{"Q6_K", 256, sizeof(ck_block_q6_k)}, ck_q6_k_kernels, &ck_q6_k_panels,
        ck_q6_k_quantizers, &ck_q6_k_codes},
    [CK_TYPE_IQ3_XXS] = {{"IQ3_XXS", 256, sizeof(ck_block_iq3_xxs)}, ck_iq3_xxs_kernels, &ck_iq3_xxs_panels,
        ck_iq3_xxs_quantizers, NULL},
    [CK_TYPE_IQ3_S] = {{"IQ3_S", 256, sizeof(ck_block_iq3_s)}, ck_iq3_s_kernels, &ck_iq3_s_panels,
        ck_iq3_s_quantizers, NULL},
    [CK_TYPE_IQ4_NL] = {{"IQ4_NL", 32, sizeof(ck_block_iq4_nl)}, ck_iq4_nl_kernels, &ck_iq4_nl_panels,
        ck_iq4_nl_quantizers, &ck_iq4_nl_codes},
    [CK_TYPE_IQ4_XS] = {{"IQ4_XS", 256, sizeof(ck_block_iq4_xs)}, ck_iq4_xs_kernels, &ck_iq4_xs_panels,
        ck_iq4_xs_quantizers, &ck_iq4_xs_codes},
    [CK_TYPE_IQ1_S] = {{"IQ1_S", 256, sizeof(ck_block_iq1_s)}, ck_iq1_s_kernels, &ck_iq1_s_panels,
        ck_iq1_s_quantizers, NULL},
    [CK_TYPE_IQ1_M] = {{"IQ1_M", 256, sizeof(ck_block_iq1_m)}, ck_iq1_m_kernels, &ck_iq1_m_panels,
        ck_iq1_m_quantizers, NULL},
    [CK_TYPE_IQ2_XXS] = {{"IQ2_XXS", 256, sizeof(ck_block_iq2_xxs)}, ck_iq2_xxs_kernels, &ck_iq2_xxs_panels,
        ck_iq2_xxs_quantizers, NULL},
    [CK_TYPE_IQ2_XS] = {{"IQ2_XS", 256, sizeof(ck_block_iq2_xs)}, ck_iq2_xs_kernels, &ck_iq2_xs_panels,
        ck_iq2_xs_quantizers, NULL},
    [CK_TYPE_IQ2_S] = {{"IQ2_S", 256, sizeof(ck_block_iq2_s)}, ck_iq2_s_kernels, &ck_iq2_s_panels,
        ck_iq2_s_quantizers, NULL},
    [CK_TYPE_TQ1_0] = {{"TQ1_0", 256, sizeof(ck_block_tq1_0)}, ck_tq1_0_kernels, &ck_tq1_0_panels,
        ck_tq1_0_quantizers, NULL},
    [CK_TYPE_TQ2_0] = {{"TQ2_0", 256, sizeof(ck_block_tq2_0)}, ck_tq2_0_kernels, &ck_tq2_0_panels,
        ck_tq2_0_quantizers, NULL},
    [CK_TYPE_MXFP4] = {{"MXFP4", 32, sizeof(ck_block_mxfp4)}, ck_mxfp4_kernels, &ck_mxfp4_panels,
        ck_mxfp4_quantizers, &ck_mxfp4_codes},
    [CK_TYPE_NVFP4] = {{"NVFP4", 64, sizeof(ck_block_nvfp4)}, ck_nvfp4_kernels, &ck_nvfp4_panels,
        ck_nvfp4_quantizers, &ck_nvfp4_codes},
    [CK_TYPE_Q1_0] = {{"Q1_0", 128, sizeof(ck_block_q1_0)}, ck_q1_0_kernels, &ck_q1_0_panels,
        ck_q1_0_quantizers, &ck_q1_0_codes},
    [CK_TYPE_Q2_0] = {{"Q2_0", 64, sizeof(ck_block_q2_0)}, ck_q2_0_kernels, &ck_q2_0_panels,
        ck_q2_0_quantizers, &ck_q2_0_codes},
};

ck_isa ck_isa_fallback(ck_isa isa) {
    static const ck_isa fallbacks[CK_ISA_COUNT] = {
        [CK_ISA_SCALAR] = CK_ISA_SCALAR,      [CK_ISA_AVX2] = CK_ISA_SCALAR,
        [CK_ISA_AVXVNNI] = CK_ISA_AVX2,       [CK_ISA_AVX512] = CK_ISA_AVX2,
        [CK_ISA_AVX512VNNI] = CK_ISA_AVX512,  [CK_ISA_AMX] = CK_ISA_AVX512VNNI,
        [CK_ISA_NEON] = CK_ISA_SCALAR,        [CK_ISA_NEON_DOTPROD] = CK_ISA_NEON,
        [CK_ISA_NEON_I8MM] = CK_ISA_NEON_DOTPROD,
    };
    return fallbacks[isa];
}

ck_type_traits ck_traits(uint32_t type) {
    return type < CK_TYPE_COUNT ? rows[type].traits : (ck_type_traits){0};
}

ck_type_kernels ck_kernels(ck_type type, ck_isa isa) {
    ck_type_kernels found = rows[type].kernels[isa];
    while (isa != CK_ISA_SCALAR) {
        isa = ck_isa_fallback(isa);
        const ck_type_kernels *below = &rows[type].kernels[isa];
        if (found.dequantize == NULL) {
            found.dequantize = below->dequantize;
        }
        if (found.quantize == NULL) {
            found.quantize = below->quantize;
        }
        if (found.gemm == NULL) {
            found.gemm = below->gemm;
            found.tiled = below->tiled;
            found.least_tiled = below->least_tiled;
        }
        for (int precision = 0; precision < CK_PRECISION_COUNT; precision++) {
            if (found.gemv[precision] == NULL) {
                found.gemv[precision] = below->gemv[precision];
            }
        }
    }
    return found;
}

ck_quantize_rows_fn ck_quantizer(ck_type type, ck_isa isa) {
    const ck_quantize_rows_fn *const quantizers = rows[type].quantizers;
    if (quantizers == NULL) {
        return NULL;
    }
    while (quantizers[isa] == NULL) {
        isa = ck_isa_fallback(isa);
    }
    return quantizers[isa];
}

ck_codes ck_type_codes(uint32_t type) {
    return type < CK_TYPE_COUNT && rows[type].codes != NULL ? *rows[type].codes : (ck_codes){0};
}

ck_panel_traits ck_panel_sizes(uint32_t type) {
    if (type >= CK_TYPE_COUNT || rows[type].panels == NULL) {
        return (ck_panel_traits){0};
    }
    const ck_panel_format format = *rows[type].panels->format;
    return (ck_panel_traits){
        .block = format.block,
        .block_bytes = (uint32_t)ck_panel_block_bytes(format),
        .is_packed_slowly = format.is_packed_slowly,
    };
}

/* Of a form of activations that a type has no tiles for. */
static void remove_tiles(ck_panel_kernels *kernels, ck_precision form) {
    kernels->unpack[form] = NULL;
    kernels->tile_narrow[form] = kernels->tile[form] = NULL;
    kernels->tiles[form] = NULL;
    kernels->tile_vectors[form] = kernels->narrow_vectors[form] = 0;
}

/* On Zen 3, panels that come from memory meet 9, 12 and 16 vectors 1.52, 1.33 and 1.09 times as fast as they are
 * unpacked and met as tiles for Q4_0, 1.24, 1.18 and 1.00 times for Q4_K (one thread, activations of 8 bits). Words of
 * five to seven bits, or of a codebook, take longer to be taken from their planes, which every four vectors do again:
 * 1.28, 1.07 and 1.03 times for Q6_K, 1.37, 1.10 and 0.84 for Q5_0, 1.05, 1.11 and 0.78 for IQ4_NL. With activations
 * of 16 bits it is 1.44, 1.26 and 0.98 times for Q4_0 and 1.38, 1.02 and 1.06 for Q6_K.
 *
 * On Zen 4 panels meet eight vectors at a time, and their words stay in registers. There a whole model is 1.23, 1.17,
 * 1.09, 1.02 and 1.00 times as fast with 24, 32, 48, 64 and 96 tokens for Q4_0 (two threads, activations of 8 bits),
 * 1.27, 1.20, 1.11, 1.07 and 1.05 times for Q8_0. Wide tiles have less to do for a group: with 24, 32, 48 and 64 it is
 * 1.20, 1.10, 1.02 and 0.99 times for Q4_K_M, 1.14, 1.14, 1.03 and 0.87 for Q6_K, 1.16, 1.05, 1.00 and 0.93 for Q2_K.
 * Other instruction sets have not been measured: there batches meet tiles. */
static uint32_t least_tiled(ck_panel_format format, ck_isa isa) {
    if (isa == CK_ISA_AVX512VNNI) {
        return ck_has_wide_tiles(format) ? 49 : 65;
    }
    if (isa != CK_ISA_AVX2) {
        return 1;
    }
    const bool is_taken_fast = format.codebook == NULL && (format.bits <= 4 || format.bits == 8);
    return is_taken_fast ? 17 : 13;
}

ck_panel_kernels ck_panels(ck_type type, ck_isa isa) {
    const ck_panel_kernels *const kernels = rows[type].panels->kernels;
    while (kernels[isa].pack == NULL) {
        isa = ck_isa_fallback(isa);
    }
    ck_panel_kernels found = kernels[isa];
    const ck_panel_format format = *rows[type].panels->format;
    /* Full bytes meet bytes one by one, with a change of sign for each: more work than with 16 bits. */
    const bool has_wide_words = found.tile_bytes[CK_PRECISION_INT16] > found.tile_bytes[CK_PRECISION_INT8];
    found.favours_int16 = has_wide_words && ck_word_bits(format) == 8;
    found.least_tiled = least_tiled(format, isa);
    found.tile_bytes[CK_PRECISION_INT16] += ck_tile_scale_bytes32(format);
    found.tile_bytes[CK_PRECISION_INT8] += ck_tile_scale_bytes32(format);
    if (!ck_splits_int16(format)) {
        found.one[CK_PRECISION_SPLIT_INT16] = NULL;
        found.two[CK_PRECISION_SPLIT_INT16] = NULL;
        found.four[CK_PRECISION_SPLIT_INT16] = NULL;
    }
    const bool has_wide_tiles = isa == CK_ISA_AVX2 ? ck_has_wide_tiles_avx2(format) : ck_has_wide_tiles(format);
    if (found.unpack[CK_PRECISION_WIDE_INT8] != NULL && has_wide_tiles) {
        /* Of formats with groups of sixteen, some have a bias on AVX-512; others have none. */
        const size_t bytes = isa == CK_ISA_AVX2 ? ck_wide_tile_bytes_avx2(format)
                                                : 1024 + ck_wide_factor_bytes(format, format.group == 16);
        found.tile_bytes[CK_PRECISION_WIDE_INT8] = (uint32_t)(bytes / 2);
    } else {
        remove_tiles(&found, CK_PRECISION_WIDE_INT8);
    }
    if (found.unpack[CK_PRECISION_PAIRED_INT8] != NULL && ck_has_paired_tiles(format)) {
        found.tile_bytes[CK_PRECISION_PAIRED_INT8] = CK_PAIRED_TILE_BYTES / 2;
    } else {
        remove_tiles(&found, CK_PRECISION_PAIRED_INT8);
    }
    if (found.unpack[CK_PRECISION_RAISED_INT8] != NULL && ck_has_raised_tiles(format)) {
        found.tile_bytes[CK_PRECISION_RAISED_INT8] = (uint32_t)ck_raised_tile_bytes(format);
    } else {
        remove_tiles(&found, CK_PRECISION_RAISED_INT8);
    }
    if (found.unpack[CK_PRECISION_INT11] != NULL && ck_has_int11_tiles(format)) {
        found.tile_bytes[CK_PRECISION_INT11] = CK_INT11_TILE_BYTES / 2;
    } else {
        remove_tiles(&found, CK_PRECISION_INT11);
    }
    if (found.unpack[CK_PRECISION_AMX_INT16] != NULL) {
        found.tile_bytes[CK_PRECISION_AMX_INT16] = CK_AMX_INT16_TILE_BYTES / 2;
        found.tile_bytes[CK_PRECISION_AMX_BF16] = CK_AMX_BF16_BYTES;
    }
    return found;
}
