/* Quantisers of the types with blocks of 32 weights and whole numbers. Without importance they round as ggml's
 * reference does, so that files are the same; with it they search. */
#include "quantize_search.h"

/* The q of one of a batch's blocks as bytes, in the order of the columns. */
CK_INLINE void take_lane(const ck_lanes q[32], size_t lane, uint8_t out[32]) {
    for (size_t i = 0; i < 32; i++) {
        out[i] = (uint8_t)q[i][lane];
    }
}

CK_INLINE void pack_low(const uint8_t q[32], uint8_t low[16]) {
    for (size_t i = 0; i < 16; i++) {
        low[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
    }
}

CK_INLINE uint32_t pack_fifth(const uint8_t q[32]) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 32; i++) {
        bits |= (uint32_t)(q[i] >> 4 & 1) << i;
    }
    return bits;
}

CK_INLINE void pack_q4_0(const uint8_t q[32], ck_block_q4_0 *block) {
    pack_low(q, block->low);
}

CK_INLINE void pack_q4_1(const uint8_t q[32], ck_block_q4_1 *block) {
    pack_low(q, block->low);
}

CK_INLINE void pack_q5_0(const uint8_t q[32], ck_block_q5_0 *block) {
    block->fifth = pack_fifth(q);
    pack_low(q, block->low);
}

CK_INLINE void pack_q5_1(const uint8_t q[32], ck_block_q5_1 *block) {
    block->fifth = pack_fifth(q);
    pack_low(q, block->low);
}

CK_INLINE void pack_q8_0(const uint8_t q[32], ck_block_q8_0 *block) {
    for (size_t i = 0; i < 32; i++) {
        block->weights[i] = (int8_t)(q[i] ^ 0x80);
    }
}

/* Sixteen blocks  w = scale * (q - offset): their scales, and q. */
CK_INLINE void search_scales(
    const ck_block_source *sources, bool has_importance, ck_round round, float offset, uint16_t scales[CK_LANES],
    ck_lanes q[32]) {
    CK_DO_NOT_FUSE
    ck_lane_groups groups;
    ck_scales found = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_load_groups(sources, has_importance, 32, 32, &groups);
    ck_search_scale(&groups, round, (ck_trials){-offset - 0.9f, 0.1f, 19}, &found);
    ck_round_to_halves(&found.scale, scales);
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), found.scale);
    for (size_t i = 0; i < 32; i++) {
        q[i] = groups.x[i] * inverse;
        round(&q[i]);
        q[i] += offset;
    }
}

CK_INLINE void round_q4(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -8, 7);
}

CK_INLINE void round_q5(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -16, 15);
}

CK_INLINE void round_q8(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -128, 127);
}

/* Sixteen blocks  w = scale * q + minimum. */
CK_INLINE void search_lines(
    const ck_block_source *sources, bool has_importance, float highest, uint16_t scales[CK_LANES],
    uint16_t minimums[CK_LANES], ck_lanes q[32]) {
    CK_DO_NOT_FUSE
    ck_lane_groups groups;
    ck_lanes scale, minimum;
    ck_load_groups(sources, has_importance, 32, 32, &groups);
    ck_search_line(&groups, highest, (ck_trials){highest - 1, 0.1f, 21}, &scale, &minimum);
    minimum = -minimum;
    ck_round_to_halves(&scale, scales);
    ck_round_to_halves(&minimum, minimums);
    const ck_lanes inverse = CK_QUOTIENT(CK_SPLAT(1.0f), scale);
    for (size_t i = 0; i < 32; i++) {
        q[i] = CK_ROUND_TO((groups.x[i] - minimum) * inverse, 0, highest);
    }
}

CK_INLINE void quantize_q4_0(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q4_0 *block = out;
    uint16_t scales[CK_LANES];
    ck_lanes q[32];
    uint8_t codes[32];
    search_scales(sources, has_importance, round_q4, 8, scales, q);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        block[lane].scale = scales[lane];
        take_lane(q, lane, codes);
        pack_q4_0(codes, block + lane);
    }
}

CK_INLINE void quantize_q5_0(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q5_0 *block = out;
    uint16_t scales[CK_LANES];
    ck_lanes q[32];
    uint8_t codes[32];
    search_scales(sources, has_importance, round_q5, 16, scales, q);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        block[lane].scale = scales[lane];
        take_lane(q, lane, codes);
        pack_q5_0(codes, block + lane);
    }
}

CK_INLINE void quantize_q8_0(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q8_0 *block = out;
    uint16_t scales[CK_LANES];
    ck_lanes q[32];
    uint8_t codes[32];
    search_scales(sources, has_importance, round_q8, 128, scales, q);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        block[lane].scale = scales[lane];
        take_lane(q, lane, codes);
        pack_q8_0(codes, block + lane);
    }
}

CK_INLINE void quantize_q4_1(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q4_1 *block = out;
    uint16_t scales[CK_LANES], minimums[CK_LANES];
    ck_lanes q[32];
    uint8_t codes[32];
    search_lines(sources, has_importance, 15, scales, minimums, q);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        block[lane].scale = scales[lane];
        block[lane].minimum = minimums[lane];
        take_lane(q, lane, codes);
        pack_q4_1(codes, block + lane);
    }
}

CK_INLINE void quantize_q5_1(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q5_1 *block = out;
    uint16_t scales[CK_LANES], minimums[CK_LANES];
    ck_lanes q[32];
    uint8_t codes[32];
    search_lines(sources, has_importance, 31, scales, minimums, q);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        block[lane].scale = scales[lane];
        block[lane].minimum = minimums[lane];
        take_lane(q, lane, codes);
        pack_q5_1(codes, block + lane);
    }
}

CK_DEFINE_WEIGHED_QUANTIZER(q4_0, CK_TYPE_Q4_0, CK_LANES, 32, quantize_q4_0)
CK_DEFINE_WEIGHED_QUANTIZER(q4_1, CK_TYPE_Q4_1, CK_LANES, 32, quantize_q4_1)
CK_DEFINE_WEIGHED_QUANTIZER(q5_0, CK_TYPE_Q5_0, CK_LANES, 32, quantize_q5_0)
CK_DEFINE_WEIGHED_QUANTIZER(q5_1, CK_TYPE_Q5_1, CK_LANES, 32, quantize_q5_1)
CK_DEFINE_WEIGHED_QUANTIZER(q8_0, CK_TYPE_Q8_0, CK_LANES, 32, quantize_q8_0)

CK_DEFINE_CODES(q4_0, 16, NULL, 32, pack_q4_0)
CK_DEFINE_CODES(q4_1, 16, NULL, 32, pack_q4_1)
CK_DEFINE_CODES(q5_0, 32, NULL, 32, pack_q5_0)
CK_DEFINE_CODES(q5_1, 32, NULL, 32, pack_q5_1)
CK_DEFINE_CODES(q8_0, 256, NULL, 32, pack_q8_0)
