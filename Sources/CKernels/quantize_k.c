/* Quantisers of Q2_K to Q6_K; the layouts are drawn in the files of the types. */
#include "quantize_search.h"

/* The q of one of a batch's blocks as bytes, `offset` added, in the order of the columns. */
CK_INLINE void order_q(const ck_lanes *q, size_t size, size_t block, float offset, uint8_t out[256]) {
    for (size_t i = 0; i < 256; i++) {
        out[i] = (uint8_t)(q[i % size][block * (256 / size) + i / size] + offset);
    }
}

/* Whole numbers of one of a batch's blocks, `offset` added. */
CK_INLINE void order_multiples(const ck_lanes *multiples, size_t groups, size_t block, float offset, uint8_t out[16]) {
    for (size_t g = 0; g < groups; g++) {
        out[g] = (uint8_t)((*multiples)[block * groups + g] + offset);
    }
}

/* Two bits of each q, from `bit` on: those of 128 weights in 32 bytes. */
CK_INLINE void pack_pairs(const uint8_t q[256], uint8_t low[64]) {
    for (size_t i = 0; i < 64; i++) {
        const uint8_t *first = q + i / 32 * 128 + i % 32;
        low[i] = (uint8_t)((first[0] & 3) | (first[32] & 3) << 2 | (first[64] & 3) << 4 | (first[96] & 3) << 6);
    }
}

/* The lower four bits of each q: those of 64 weights in 32 bytes. */
CK_INLINE void pack_nibbles(const uint8_t q[256], uint8_t low[128]) {
    for (size_t i = 0; i < 128; i++) {
        const uint8_t *first = q + i / 32 * 64 + i % 32;
        low[i] = (uint8_t)((first[0] & 15) | (first[32] & 15) << 4);
    }
}

/* The bit `bit` of each q: that of q[32 * k + i] becomes bit k of out[i]. */
CK_INLINE void pack_bit(const uint8_t q[256], unsigned bit, uint8_t out[32]) {
    for (size_t i = 0; i < 32; i++) {
        unsigned bits = 0;
        for (size_t k = 0; k < 8; k++) {
            bits |= (unsigned)(q[32 * k + i] >> bit & 1) << k;
        }
        out[i] = (uint8_t)bits;
    }
}

/* Eight scales and eight minimums of six bits: see six_bits.h. */
CK_INLINE void pack_six_bits(const uint8_t scales[8], const uint8_t minimums[8], uint8_t packed[12]) {
    for (size_t i = 0; i < 4; i++) {
        packed[i] = (uint8_t)(scales[i] | scales[i + 4] >> 4 << 6);
        packed[i + 4] = (uint8_t)(minimums[i] | minimums[i + 4] >> 4 << 6);
        packed[i + 8] = (uint8_t)((scales[i + 4] & 15) | (minimums[i + 4] & 15) << 4);
    }
}

/* The codes of a block, whose scales and minimums stay. */
CK_INLINE void pack_q2_k(const uint8_t q[256], ck_block_q2_k *block) {
    pack_pairs(q, block->low);
}

CK_INLINE void pack_q3_k(const uint8_t q[256], ck_block_q3_k *block) {
    pack_bit(q, 2, block->third);
    pack_pairs(q, block->low);
}

CK_INLINE void pack_q4_k(const uint8_t q[256], ck_block_q4_k *block) {
    pack_nibbles(q, block->low);
}

CK_INLINE void pack_q5_k(const uint8_t q[256], ck_block_q5_k *block) {
    pack_bit(q, 4, block->fifth);
    pack_nibbles(q, block->low);
}

CK_INLINE void pack_q6_k(const uint8_t q[256], ck_block_q6_k *block) {
    for (size_t i = 0; i < 64; i++) {
        const size_t half = i / 32, lane = i % 32;
        const uint8_t *first = q + 128 * half + lane;
        block->low[64 * half + lane] = (uint8_t)((first[0] & 15) | (first[64] & 15) << 4);
        block->low[64 * half + 32 + lane] = (uint8_t)((first[32] & 15) | (first[96] & 15) << 4);
        block->high[i] = (uint8_t)(first[0] >> 4 | first[32] >> 4 << 2 | first[64] >> 4 << 4 | first[96] >> 4 << 6);
    }
}

/* ---- Scales and minimums ----------------------------------------------------------------- */

CK_INLINE void quantize_q2_k(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q2_k *block = out;
    ck_lane_groups groups;
    ck_line_blocks found;
    uint8_t q[256], scales[16], minimums[16];
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    ck_search_line_blocks(&groups, 3, 15, (ck_trials){2.5f, 0.1f, 16}, 16, &found);
    order_q(found.q, 16, 0, 0, q);
    order_multiples(&found.scales, 16, 0, 0, scales);
    order_multiples(&found.minimums, 16, 0, 0, minimums);
    block->scale = found.scale_halves[0];
    block->minimum = found.minimum_halves[0];
    for (size_t g = 0; g < 16; g++) {
        block->packed[g] = (uint8_t)(scales[g] | minimums[g] << 4);
    }
    pack_q2_k(q, block);
}

CK_INLINE void quantize_q4_k(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q4_k *block = out;
    ck_lane_groups groups;
    ck_line_blocks found;
    uint8_t q[256], scales[16], minimums[16];
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    ck_search_line_blocks(&groups, 15, 63, (ck_trials){14, 0.1f, 21}, 8, &found);
    for (size_t k = 0; k < 2; k++, block++) {
        order_q(found.q, 32, k, 0, q);
        order_multiples(&found.scales, 8, k, 0, scales);
        order_multiples(&found.minimums, 8, k, 0, minimums);
        block->scale = found.scale_halves[8 * k];
        block->minimum = found.minimum_halves[8 * k];
        pack_six_bits(scales, minimums, block->packed);
        pack_q4_k(q, block);
    }
}

CK_INLINE void quantize_q5_k(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q5_k *block = out;
    ck_lane_groups groups;
    ck_line_blocks found;
    uint8_t q[256], scales[16], minimums[16];
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    ck_search_line_blocks(&groups, 31, 63, (ck_trials){30.5f, 0.1f, 16}, 8, &found);
    for (size_t k = 0; k < 2; k++, block++) {
        order_q(found.q, 32, k, 0, q);
        order_multiples(&found.scales, 8, k, 0, scales);
        order_multiples(&found.minimums, 8, k, 0, minimums);
        block->scale = found.scale_halves[8 * k];
        block->minimum = found.minimum_halves[8 * k];
        pack_six_bits(scales, minimums, block->packed);
        pack_q5_k(q, block);
    }
}

/* ---- Scales ------------------------------------------------------------------------------ */

CK_INLINE void round_q3(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -4, 3);
}

CK_INLINE void round_q6(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -32, 31); /* also the scales of Q3_K */
}

CK_INLINE void round_q8(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers, -128, 127);
}

CK_INLINE void quantize_q3_k(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q3_k *block = out;
    ck_lane_groups groups;
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_scaled_blocks found;
    uint8_t q[256], multiples[16];
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    ck_search_scale(&groups, round_q3, (ck_trials){-4.9f, 0.1f, 19}, &scales);
    ck_search_scaled_blocks(&groups, round_q3, round_q6, -32, &scales.scale, 16, &found);
    order_q(found.q, 16, 0, 4, q);
    order_multiples(&found.multiples, 16, 0, 32, multiples);
    block->scale = found.halves[0];
    for (size_t g = 0; g < 8; g++) {
        block->packed[g] = (uint8_t)((multiples[g] & 15) | (multiples[g + 8] & 15) << 4);
    }
    for (size_t g = 0; g < 4; g++) {
        block->packed[8 + g] = (uint8_t)(
            multiples[g] >> 4 | multiples[g + 4] >> 4 << 2 | multiples[g + 8] >> 4 << 4 |
            multiples[g + 12] >> 4 << 6);
    }
    pack_q3_k(q, block);
}

CK_INLINE void quantize_q6_k(const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    (void)tables;
    ck_block_q6_k *block = out;
    ck_lane_groups groups;
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_scaled_blocks found;
    uint8_t q[256];
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    ck_search_scale(&groups, round_q6, (ck_trials){-32.9f, 0.1f, 19}, &scales);
    ck_search_scaled_blocks(&groups, round_q6, round_q8, -128, &scales.scale, 16, &found);
    order_q(found.q, 16, 0, 32, q);
    block->scale = found.halves[0];
    for (size_t g = 0; g < 16; g++) {
        block->scales[g] = (int8_t)found.multiples[g];
    }
    pack_q6_k(q, block);
}

CK_DEFINE_QUANTIZER(q2_k, 1, 256, quantize_q2_k)
CK_DEFINE_QUANTIZER(q3_k, 1, 256, quantize_q3_k)
CK_DEFINE_QUANTIZER(q4_k, 2, 256, quantize_q4_k)
CK_DEFINE_QUANTIZER(q5_k, 2, 256, quantize_q5_k)
CK_DEFINE_QUANTIZER(q6_k, 1, 256, quantize_q6_k)

CK_DEFINE_CODES(q2_k, 4, NULL, 256, pack_q2_k)
CK_DEFINE_CODES(q3_k, 8, NULL, 256, pack_q3_k)
CK_DEFINE_CODES(q4_k, 16, NULL, 256, pack_q4_k)
CK_DEFINE_CODES(q5_k, 32, NULL, 256, pack_q5_k)
CK_DEFINE_CODES(q6_k, 64, NULL, 256, pack_q6_k)
