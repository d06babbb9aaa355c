/* The tables that the lookups read: one per weight type, defined in the type's own file. */
#pragma once

#include "CKernels.h"
#include "panel.h"

extern const ck_type_kernels ck_f32_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_f16_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_f64_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_bf16_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q4_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q4_1_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q5_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q5_1_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q8_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q2_k_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q3_k_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q4_k_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q5_k_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q6_k_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq3_xxs_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq3_s_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq4_nl_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq4_xs_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq1_s_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq1_m_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq2_xxs_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq2_xs_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_iq2_s_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_tq1_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_tq2_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_mxfp4_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_nvfp4_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q1_0_kernels[CK_ISA_COUNT];
extern const ck_type_kernels ck_q2_0_kernels[CK_ISA_COUNT];

/* By ck_isa; what is missing comes from the set it falls back on. */
extern const ck_quantize_rows_fn ck_f32_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_f16_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_f64_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_bf16_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q4_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q4_1_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q5_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q5_1_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q8_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q2_k_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q3_k_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q4_k_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q5_k_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q6_k_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_tq1_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_tq2_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_mxfp4_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq4_nl_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq4_xs_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_nvfp4_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q1_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_q2_0_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq2_xxs_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq2_xs_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq2_s_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq3_xxs_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq3_s_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq1_s_quantizers[CK_ISA_COUNT];
extern const ck_quantize_rows_fn ck_iq1_m_quantizers[CK_ISA_COUNT];

/* Of the types whose weights are rounded one by one. */
extern const ck_codes ck_q4_0_codes;
extern const ck_codes ck_q4_1_codes;
extern const ck_codes ck_q5_0_codes;
extern const ck_codes ck_q5_1_codes;
extern const ck_codes ck_q8_0_codes;
extern const ck_codes ck_q2_k_codes;
extern const ck_codes ck_q3_k_codes;
extern const ck_codes ck_q4_k_codes;
extern const ck_codes ck_q5_k_codes;
extern const ck_codes ck_q6_k_codes;
extern const ck_codes ck_iq4_nl_codes;
extern const ck_codes ck_iq4_xs_codes;
extern const ck_codes ck_mxfp4_codes;
extern const ck_codes ck_nvfp4_codes;
extern const ck_codes ck_q1_0_codes;
extern const ck_codes ck_q2_0_codes;

/* Panels of a type: their format, and their kernels by instruction set. */
typedef struct ck_panel_row {
    const ck_panel_format *format;
    ck_panel_kernels kernels[CK_ISA_COUNT];
} ck_panel_row;

extern const ck_panel_row ck_q4_0_panels;
extern const ck_panel_row ck_q4_1_panels;
extern const ck_panel_row ck_q5_0_panels;
extern const ck_panel_row ck_q5_1_panels;
extern const ck_panel_row ck_q8_0_panels;
extern const ck_panel_row ck_q2_k_panels;
extern const ck_panel_row ck_q3_k_panels;
extern const ck_panel_row ck_q4_k_panels;
extern const ck_panel_row ck_q5_k_panels;
extern const ck_panel_row ck_q6_k_panels;
extern const ck_panel_row ck_iq4_nl_panels;
extern const ck_panel_row ck_iq4_xs_panels;
extern const ck_panel_row ck_iq3_xxs_panels;
extern const ck_panel_row ck_iq3_s_panels;
extern const ck_panel_row ck_iq1_s_panels;
extern const ck_panel_row ck_iq1_m_panels;
extern const ck_panel_row ck_iq2_xxs_panels;
extern const ck_panel_row ck_iq2_xs_panels;
extern const ck_panel_row ck_iq2_s_panels;
extern const ck_panel_row ck_tq1_0_panels;
extern const ck_panel_row ck_tq2_0_panels;
extern const ck_panel_row ck_mxfp4_panels;
extern const ck_panel_row ck_nvfp4_panels;
extern const ck_panel_row ck_q1_0_panels;
extern const ck_panel_row ck_q2_0_panels;

/* The set that `isa` falls back on; scalar falls back on itself. */
ck_isa ck_isa_fallback(ck_isa isa);
