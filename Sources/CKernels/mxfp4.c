/* MXFP4: 32 weights of four bits, E2M1, and a power of two, 4.25 bits a weight.
 *
 *     byte   0          1                                    17
 *            | exponent | 16 bytes: q[i] | q[i + 16] << 4    |        w[i] = 2^(exponent - 127) * E2M1(q[i])
 */
#include "blocks.h"
#include "e2m1.h"
#include "unpacked.h"

static const ck_format format = {.columns = 32, .bytes = sizeof(ck_block_mxfp4), .scale_columns = 32};

/* 2^(exponent - 128), because the table of E2M1 is doubled; subnormal for the first two. */
CK_INLINE float half_power(uint8_t exponent) {
    return ck_float(exponent < 2 ? 0x00200000u << exponent : (uint32_t)(exponent - 1) << 23);
}

CK_INLINE void unpack(const void *address, size_t index, ck_tools tools, ck_group *out) {
    const ck_block_mxfp4 *block = address;
    (void)index;
    ck_unpack_nibbles(block->low, &out->values);
    tools.look_up(ck_e2m1_doubled, &out->values);
    out->scales[0] = out->scales[1] = half_power(block->exponent);
}

/* The exponent brings the largest magnitude into 4 to 8: its floor(log2), less 2. (ggml asks log2f, which takes the
 * last floats below a power of two for that power.) Then each value becomes the nearest E2M1, of two the smaller. */
static void quantize(const float *values, void *blocks, size_t columns) {
    ck_block_mxfp4 *block = blocks;
    for (size_t i = 0; i < columns; i += 32, block++) {
        uint32_t largest = 0; /* as bits without a sign, which order like magnitudes */
        for (size_t k = 0; k < 32; k++) {
            const uint32_t magnitude = ck_bits(values[i + k]) & 0x7fffffff;
            largest = magnitude > largest ? magnitude : largest;
        }
        const uint32_t exponent = largest >> 23;
        block->exponent = (uint8_t)(exponent > 2 ? exponent - 2 : 0);
        /* Products with a power of two are exact, so halfway is found exactly. */
        const float step = half_power(block->exponent);
        const float halfway[7] = {
            0.5f * step, 1.5f * step, 2.5f * step, 3.5f * step, 5 * step, 7 * step, 10 * step};
        uint8_t q[32];
        for (size_t k = 0; k < 32; k++) {
            const float magnitude = ck_float(ck_bits(values[i + k]) & 0x7fffffff);
            uint8_t code = 0;
            for (size_t step_index = 0; step_index < 7; step_index++) {
                code = (uint8_t)(code + (magnitude > halfway[step_index]));
            }
            q[k] = (uint8_t)(code | (code != 0 && values[i + k] < 0 ? 8 : 0));
        }
        for (size_t k = 0; k < 16; k++) {
            block->low[k] = (uint8_t)(q[k] | q[k + 16] << 4);
        }
    }
}

CK_DEFINE_UNPACKED(mxfp4, format, unpack, quantize)

static const ck_panel_format panel_format = {
    .bits = 4, .group = 32, .block = 32, .offset = 128, .scale = CK_PANEL_BF16, .codebook = ck_e2m1_codebook,
    .is_packed_slowly = true};

CK_INLINE void take_header(const void *address, ck_panel_source *out) {
    const ck_block_mxfp4 *block = address;
    out->scale = (uint16_t)(ck_bits(half_power(block->exponent)) >> 16);
}

CK_DEFINE_UNPACKED_PANELS(mxfp4, format, unpack, take_header)
