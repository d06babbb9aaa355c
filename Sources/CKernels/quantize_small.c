/* Quantisers of types with few distinct weights: IQ4_NL, IQ4_XS, MXFP4, NVFP4, Q1_0 and Q2_0. */
#include "quantize_search.h"

/* Four bits of 32 weights: those of weight i in the lower half of byte i, those of weight i + 16 in the upper. */
CK_INLINE void pack_nibbles(const uint8_t codes[32], uint8_t low[16]) {
    for (size_t i = 0; i < 16; i++) {
        low[i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
    }
}

/* ---- IQ4_NL, IQ4_XS: sixteen values that lie closer together around zero ------------------- */

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

CK_INLINE void round_iq4(ck_lanes *numbers) {
    ck_int_lanes value = (ck_int_lanes){0} - 127;
    for (int k = 0; k < 15; k++) {
        const float halfway = 0.5f * (float)(iq4_values[k] + iq4_values[k + 1]);
        value += (ck_int_lanes)(*numbers > halfway) & (iq4_values[k + 1] - iq4_values[k]);
    }
    *numbers = __builtin_convertvector(value, ck_lanes);
}

/* The codes of values that have been rounded to. */
CK_INLINE uint8_t iq4_code(float value) {
    uint8_t code = 0;
    for (int k = 0; k < 15; k++) {
        code = (uint8_t)(code + (value > (float)iq4_values[k]));
    }
    return code;
}

/* Both ends of the range are tried for a group's largest magnitude: they are not equally far from zero. */
CK_INLINE void search_iq4(const ck_lane_groups *groups, ck_scales *found) {
    found->scale = found->gain = CK_SPLAT(0.0f);
    ck_search_scale(groups, round_iq4, (ck_trials){-134, 1, 15}, found);
    ck_search_scale(groups, round_iq4, (ck_trials){105, 1.5f, 11}, found);
}

CK_INLINE void quantize_iq4_nl(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_iq4_nl *block = out;
    ck_lane_groups groups;
    ck_scales found;
    uint16_t scales[CK_LANES];
    ck_load_groups(sources, has_importance, 32, 32, &groups);
    search_iq4(&groups, &found);
    ck_round_to_halves(&found.scale, scales);
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), found.scale);
    for (size_t i = 0; i < 32; i++) {
        groups.x[i] *= inverse;
        round_iq4(&groups.x[i]);
    }
    for (size_t lane = 0; lane < CK_LANES; lane++, block++) {
        uint8_t codes[32];
        for (size_t i = 0; i < 32; i++) {
            codes[i] = iq4_code(groups.x[i][lane]);
        }
        block->scale = scales[lane];
        pack_nibbles(codes, block->low);
    }
}

CK_INLINE void pack_iq4_nl(const uint8_t codes[32], ck_block_iq4_nl *block) {
    pack_nibbles(codes, block->low);
}

CK_INLINE void pack_iq4_xs(const uint8_t codes[256], ck_block_iq4_xs *block) {
    for (size_t g = 0; g < 8; g++) {
        pack_nibbles(codes + 32 * g, block->low + 16 * g);
    }
}

/* The values between the first and the last, which are 240 apart. */
#define IQ4_PLACE(value) (((value) + 127) / 240.0f)
static const float iq4_ladder[16] = {
    IQ4_PLACE(-127), IQ4_PLACE(-104), IQ4_PLACE(-83), IQ4_PLACE(-65), IQ4_PLACE(-49), IQ4_PLACE(-35),
    IQ4_PLACE(-22),  IQ4_PLACE(-10),  IQ4_PLACE(1),   IQ4_PLACE(13),  IQ4_PLACE(25),  IQ4_PLACE(38),
    IQ4_PLACE(53),   IQ4_PLACE(69),   IQ4_PLACE(89),  IQ4_PLACE(113)};

CK_INLINE void round_multiples_iq4(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -32, 31);
}

CK_INLINE void quantize_iq4_xs(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_iq4_xs *block = out;
    ck_lane_groups groups;
    ck_scales scales;
    ck_scaled_blocks found;
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    search_iq4(&groups, &scales);
    ck_search_scaled_blocks(&groups, round_iq4, round_multiples_iq4, -32, &scales.scale, 8, &found);
    for (size_t k = 0; k < 2; k++, block++) {
        unsigned high = 0;
        block->scale = found.halves[8 * k];
        memset(block->scales_low, 0, sizeof block->scales_low);
        for (size_t g = 0; g < 8; g++) {
            uint8_t codes[32];
            const unsigned multiple = (unsigned)(found.multiples[8 * k + g] + 32);
            block->scales_low[g / 2] |= (uint8_t)((multiple & 15) << 4 * (g % 2));
            high |= multiple >> 4 << 2 * g;
            for (size_t i = 0; i < 32; i++) {
                codes[i] = iq4_code(found.q[i][8 * k + g]);
            }
            pack_nibbles(codes, block->low + 16 * g);
        }
        block->scales_high = (uint16_t)high;
    }
}

/* ---- MXFP4, NVFP4: four-bit floats ---------------------------------------------------------- */

/* Half of the numbers of e2m1.h: 0, 0.5, 1, 1.5, 2, 3, 4 and 6. Halfway, the smaller is taken. */
CK_INLINE void round_e2m1(ck_lanes *numbers) {
    const ck_lanes magnitude = CK_MAGNITUDE(*numbers);
    const ck_int_lanes sign = (ck_int_lanes)*numbers & INT32_MIN;
    const ck_int_lanes doubled = -((magnitude > 0.25f) + (magnitude > 0.75f) + (magnitude > 1.25f) +
                                   (magnitude > 1.75f) + 2 * (magnitude > 2.5f) + 2 * (magnitude > 3.5f) +
                                   4 * (magnitude > 5.0f));
    const ck_lanes rounded = 0.5f * __builtin_convertvector(doubled, ck_lanes);
    *numbers = (ck_lanes)((ck_int_lanes)rounded | sign);
}

/* The code of a number that has been rounded to. Minus zero is written as zero. */
CK_INLINE uint8_t e2m1_code(float number) {
    static const uint8_t codes[13] = {0, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 7}; /* by twice the magnitude */
    const uint8_t code = codes[(int)(number < 0 ? -2 * number : 2 * number)];
    return (uint8_t)(code | (number < 0 ? 8 : 0));
}

CK_INLINE void largest_magnitudes(const ck_lane_groups *groups, ck_lanes *largest) {
    *largest = CK_SPLAT(0.0f);
    for (size_t i = 0; i < groups->size; i++) {
        *largest = CK_MAX(CK_MAGNITUDE(groups->x[i]), *largest);
    }
}

/* Takes those of the codes and scales whose error is smaller than the least so far. */
CK_INLINE void try_scales(
    const ck_lane_groups *groups, const ck_lanes *scale, const ck_int_lanes *code, ck_lanes *least,
    ck_lanes *best_scale, ck_int_lanes *best_code) {
    ck_lanes error;
    ck_scale_error(groups, round_e2m1, scale, &error);
    const ck_int_lanes better = error < *least;
    *least = CK_SELECT(better, error, *least);
    *best_scale = CK_SELECT(better, *scale, *best_scale);
    *best_code = (*code & better) | (*best_code & ~better);
}

/* Powers of two around the one that takes the largest magnitude to 4 to 8. */
CK_INLINE void quantize_mxfp4(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_mxfp4 *block = out;
    ck_lane_groups groups;
    ck_lanes largest, least = CK_SPLAT(ck_float(0x7f800000)), scale = CK_SPLAT(0.0f);
    ck_int_lanes exponent = {0};
    ck_load_groups(sources, has_importance, 32, 32, &groups);
    largest_magnitudes(&groups, &largest);
    const ck_int_lanes middle = ((ck_int_lanes)largest >> 23) - 2;
    for (int k = 0; k < 3; k++) {
        ck_int_lanes code = middle + (k == 0 ? 0 : k == 1 ? -1 : 1);
        code &= ~(code < 0);
        /* 2^(code - 127), which is subnormal for 0. */
        const ck_lanes power =
            (ck_lanes)((code << 23) | ((code == 0) & 0x00400000));
        try_scales(&groups, &power, &code, &least, &scale, &exponent);
    }
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), scale);
    for (size_t i = 0; i < 32; i++) {
        groups.x[i] *= inverse;
        round_e2m1(&groups.x[i]);
    }
    for (size_t lane = 0; lane < CK_LANES; lane++, block++) {
        uint8_t codes[32];
        for (size_t i = 0; i < 32; i++) {
            codes[i] = e2m1_code(groups.x[i][lane]);
        }
        block->exponent = (uint8_t)exponent[lane];
        pack_nibbles(codes, block->low);
    }
}

/* The scales around the one that takes the largest magnitude to 6. */
CK_INLINE void quantize_nvfp4(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    CK_DO_NOT_FUSE
    (void)tables;
    ck_block_nvfp4 *block = out;
    ck_lane_groups groups;
    ck_lanes largest, least = CK_SPLAT(ck_float(0x7f800000)), scale = CK_SPLAT(0.0f);
    ck_int_lanes codes = {0};
    ck_load_groups(sources, has_importance, 64, 16, &groups);
    largest_magnitudes(&groups, &largest);
    /* An unsigned E4M3 (bias 7) is the upper half of a float's bits, once the bias is right. */
    const ck_lanes target = CK_MIN(largest / 6.0f, CK_SPLAT(448.0f));
    const ck_int_lanes middle = (ck_int_lanes)(target * 0x1p-120f) >> 20;
    for (int k = -2; k < 6; k++) {
        ck_int_lanes code = middle + k;
        code &= ~(code < 0);
        code = (code & ~(code > 0x7e)) | ((code > 0x7e) & 0x7e);
        const ck_lanes candidate = (ck_lanes)(code << 20) * 0x1p120f;
        try_scales(&groups, &candidate, &code, &least, &scale, &codes);
    }
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), scale);
    for (size_t i = 0; i < 16; i++) {
        groups.x[i] *= inverse;
        round_e2m1(&groups.x[i]);
    }
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        ck_block_nvfp4 *const target_block = block + lane / 4;
        target_block->scales[lane % 4] = (uint8_t)codes[lane];
        for (size_t i = 0; i < 8; i++) {
            target_block->low[lane % 4][i] =
                (uint8_t)(e2m1_code(groups.x[i][lane]) | e2m1_code(groups.x[i + 8][lane]) << 4);
        }
    }
}

/* Four-bit floats from -6 to 6 in ascending order: their codes, and where they lie between the first and the last. */
static const uint8_t e2m1_codes[15] = {15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7};
static const float e2m1_ladder[15] = {
    0 / 24.0f,  4 / 24.0f,  6 / 24.0f,  8 / 24.0f,  9 / 24.0f,  10 / 24.0f, 11 / 24.0f, 12 / 24.0f,
    13 / 24.0f, 14 / 24.0f, 15 / 24.0f, 16 / 24.0f, 18 / 24.0f, 20 / 24.0f, 24 / 24.0f};

CK_INLINE void pack_mxfp4(const uint8_t places[32], ck_block_mxfp4 *block) {
    uint8_t codes[32];
    for (size_t i = 0; i < 32; i++) {
        codes[i] = e2m1_codes[places[i]];
    }
    pack_nibbles(codes, block->low);
}

CK_INLINE void pack_nvfp4(const uint8_t places[64], ck_block_nvfp4 *block) {
    for (size_t i = 0; i < 32; i++) {
        const uint8_t *first = places + 16 * (i / 8) + i % 8;
        block->low[i / 8][i % 8] = (uint8_t)(e2m1_codes[first[0]] | e2m1_codes[first[8]] << 4);
    }
}

/* ---- Q1_0, Q2_0: one and two bits ----------------------------------------------------------- */

/* For weights of one magnitude, the mean magnitude is best. A zero is as near to one as to the other. */
CK_INLINE void quantize_q1_0(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    CK_DO_NOT_FUSE
    (void)tables;
    ck_block_q1_0 *block = out;
    float sums[8] = {0}, weights[8] = {0}, sum = 0, weight = 0;
    for (size_t i = 0; i < 128; i++) {
        const float magnitude = ck_float(ck_bits(sources->values[i]) & 0x7fffffff);
        sums[i % 8] += has_importance ? magnitude * sources->importance[i] : magnitude;
        weights[i % 8] += has_importance ? sources->importance[i] : 1;
    }
    for (size_t k = 0; k < 8; k++) {
        sum += sums[k];
        weight += weights[k];
    }
    block->scale = ck_f32_to_f16(weight > 0 ? sum / weight : 0);
    for (size_t i = 0; i < 16; i++) {
        unsigned bits = 0;
        for (size_t k = 0; k < 8; k++) {
            bits |= (unsigned)(sources->values[8 * i + k] >= 0) << k;
        }
        block->bits[i] = (uint8_t)bits;
    }
}

CK_INLINE void pack_q2_0(const uint8_t q[64], ck_block_q2_0 *block) {
    for (size_t i = 0; i < 16; i++) {
        block->pairs[i] = (uint8_t)(q[4 * i] | q[4 * i + 1] << 2 | q[4 * i + 2] << 4 | q[4 * i + 3] << 6);
    }
}

CK_INLINE void round_q2_0(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -1, 2);
}

CK_INLINE void quantize_q2_0(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q2_0 *block = out;
    ck_lane_groups groups;
    ck_scales found = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    uint16_t scales[CK_LANES];
    ck_load_groups(sources, has_importance, 64, 64, &groups);
    ck_search_scale(&groups, round_q2_0, (ck_trials){-2.4f, 0.1f, 17}, &found);
    ck_search_scale(&groups, round_q2_0, (ck_trials){1.0f, 0.1f, 26}, &found);
    ck_round_to_halves(&found.scale, scales);
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), found.scale);
    for (size_t i = 0; i < 64; i++) {
        groups.x[i] *= inverse;
        round_q2_0(&groups.x[i]);
    }
    for (size_t lane = 0; lane < CK_LANES; lane++, block++) {
        uint8_t q[64];
        for (size_t i = 0; i < 64; i++) {
            q[i] = (uint8_t)(groups.x[i][lane] + 1);
        }
        block->scale = scales[lane];
        pack_q2_0(q, block);
    }
}

CK_INLINE void pack_q1_0(const uint8_t q[128], ck_block_q1_0 *block) {
    for (size_t i = 0; i < 16; i++) {
        unsigned bits = 0;
        for (size_t k = 0; k < 8; k++) {
            bits |= (unsigned)(q[8 * i + k] & 1) << k;
        }
        block->bits[i] = (uint8_t)bits;
    }
}

CK_DEFINE_QUANTIZER(iq4_nl, 16, 32, quantize_iq4_nl)
CK_DEFINE_QUANTIZER(iq4_xs, 2, 256, quantize_iq4_xs)
CK_DEFINE_QUANTIZER(mxfp4, 16, 32, quantize_mxfp4)
CK_DEFINE_QUANTIZER(nvfp4, 4, 64, quantize_nvfp4)
CK_DEFINE_QUANTIZER(q1_0, 1, 128, quantize_q1_0)
CK_DEFINE_QUANTIZER(q2_0, 16, 64, quantize_q2_0)

CK_DEFINE_CODES(iq4_nl, 16, iq4_ladder, 32, pack_iq4_nl)
CK_DEFINE_CODES(iq4_xs, 16, iq4_ladder, 256, pack_iq4_xs)
CK_DEFINE_CODES(mxfp4, 15, e2m1_ladder, 32, pack_mxfp4)
CK_DEFINE_CODES(nvfp4, 15, e2m1_ladder, 64, pack_nvfp4)
CK_DEFINE_CODES(q1_0, 2, NULL, 128, pack_q1_0)
CK_DEFINE_CODES(q2_0, 4, NULL, 64, pack_q2_0)
