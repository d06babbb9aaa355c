/* What tiles for AMX share, whose registers are matrices: sixteen rows of 64 bytes, and one product multiplies two of
 * them. */
#pragma once

#include "isa.h"

/* Vectors that tiles meet at a time. */
#define CK_AMX_VECTORS 32

#if defined(__x86_64__)

/* What ldtilecfg reads. */
typedef struct ck_amx_configuration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} ck_amx_configuration;

/* All eight registers become sixteen rows of 64 bytes. */
CK_AMX CK_INLINE void ck_amx_configure(void) {
    ck_amx_configuration shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.row_bytes[i] = 64;
        shape.rows[i] = 16;
    }
    /* Of _tile_loadconfig GCC believes that it reads eight bytes. */
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
}

#endif
