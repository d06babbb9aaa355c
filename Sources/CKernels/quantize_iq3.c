/* Quantisers of IQ3_XXS and IQ3_S; the layouts are drawn in the files of the types. */
#include "iq3_tables.h"
#include "quantize_grid.h"

static const ck_grid_format format = {4, 8, CK_SHIFT_NONE, 31, 8};

/* Points are four octal digits, the last that of weight 0. */
CK_INLINE void open_grid(const uint16_t *points, size_t count, const float level[8], ck_grid *grid) {
    grid->count = count;
    memcpy(grid->level, level, sizeof grid->level);
    for (size_t point = 0; point < count; point++) {
        for (size_t i = 0; i < 4; i++) {
            grid->digits[point][i] = points[point] >> 3 * i & 7;
        }
    }
    ck_number_halves(format, grid);
}

#define POINT(point) point,

CK_INLINE void open_iq3_xxs(ck_grid *grid) {
    static const uint16_t points[256] = {CK_IQ3_XXS_POINTS(POINT)};
    static const float level[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    open_grid(points, 256, level, grid);
}

CK_INLINE void open_iq3_s(ck_grid *grid) {
    static const uint16_t points[512] = {CK_IQ3_S_POINTS(POINT)};
    static const float level[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    open_grid(points, 512, level, grid);
}

/* The last level is 62; for a first guess of the scale, 60 is near enough. */
CK_INLINE void round_iq3_xxs(ck_lanes *numbers) {
    *numbers = 4.0f * CK_ODD(0.25f * *numbers, 15);
}

CK_INLINE void round_iq3_s(ck_lanes *numbers) {
    *numbers = CK_ODD(*numbers, 15);
}

CK_INLINE void quantize_iq3_xxs(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq3_xxs *block = out;
    ck_lane_groups groups;
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_grid_blocks found;
    uint8_t signs[4][CK_LANES];
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    ck_take_signs(&groups, true, signs);
    ck_search_positive_scale(&groups, round_iq3_xxs, (ck_trials){48, 2, 14}, &scales);
    ck_search_grid_blocks(format, tables, &groups, &scales.scale, 0.25f, &found);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        uint32_t word = ck_steps(&found, lane) << 28;
        for (size_t v = 0; v < 4; v++) {
            word |= (uint32_t)(signs[v][lane] & 127) << 7 * v;
        }
        block[lane / 8].scale = found.halves[lane];
        memcpy(block[lane / 8].words + 4 * (lane % 8), &word, sizeof word);
        for (size_t v = 0; v < 8; v++) {
            block[lane / 8].points[8 * (lane % 8) + v] = (uint8_t)found.points[v][lane];
        }
    }
}

CK_INLINE void quantize_iq3_s(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq3_s *block = out;
    ck_lane_groups groups;
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_grid_blocks found;
    uint8_t signs[4][CK_LANES];
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    ck_take_signs(&groups, false, signs);
    ck_search_positive_scale(&groups, round_iq3_s, (ck_trials){12, 0.5f, 14}, &scales);
    ck_search_grid_blocks(format, tables, &groups, &scales.scale, 1, &found);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        ck_block_iq3_s *const target = block + lane / 8;
        const size_t group = lane % 8;
        unsigned ninth = 0;
        for (size_t v = 0; v < 8; v++) {
            target->low[8 * group + v] = (uint8_t)found.points[v][lane];
            ninth |= (unsigned)found.points[v][lane] >> 8 << v;
        }
        for (size_t v = 0; v < 4; v++) {
            target->signs[4 * group + v] = signs[v][lane];
        }
        target->scale = found.halves[lane];
        target->ninth[group] = (uint8_t)ninth;
        if (group % 2 == 0) {
            target->scales[group / 2] = (uint8_t)(ck_steps(&found, lane) | ck_steps(&found, lane + 1) << 4);
        }
    }
}

CK_DEFINE_GRID_QUANTIZER(iq3_xxs, 2, open_iq3_xxs, quantize_iq3_xxs)
CK_DEFINE_GRID_QUANTIZER(iq3_s, 2, open_iq3_s, quantize_iq3_s)
