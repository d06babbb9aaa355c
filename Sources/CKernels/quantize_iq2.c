/* Quantisers of IQ2_XXS, IQ2_XS and IQ2_S; the layouts are drawn in the files of the types. */
#include "iq_grids.h"
#include "quantize_grid.h"

/* Groups of 32 weights, or of 16. */
static const ck_grid_format long_groups = {8, 3, CK_SHIFT_NONE, 31, 8};
static const ck_grid_format short_groups = {8, 3, CK_SHIFT_NONE, 31, 16};

/* Points are bytes 8, 25 and 43. */
CK_INLINE void open_grid(const uint64_t *points, size_t count, ck_grid *grid) {
    grid->count = count;
    grid->level[0] = 8;
    grid->level[1] = 25;
    grid->level[2] = 43;
    for (size_t point = 0; point < count; point++) {
        for (size_t i = 0; i < 8; i++) {
            const uint8_t byte = (uint8_t)(points[point] >> 8 * i);
            grid->digits[point][i] = byte == 8 ? 0 : byte == 25 ? 1 : 2;
        }
    }
    ck_number_halves(long_groups, grid);
}

CK_INLINE void open_iq2_xxs(ck_grid *grid) {
    open_grid(ck_iq2_xxs_grid, 256, grid);
}

CK_INLINE void open_iq2_xs(ck_grid *grid) {
    open_grid(ck_iq2_xs_grid, 512, grid);
}

CK_INLINE void open_iq2_s(ck_grid *grid) {
    open_grid(ck_iq2_s_grid, 1024, grid);
}

CK_INLINE void round_magnitudes(ck_lanes *numbers) {
    const ck_int_lanes levels = 8 + ((*numbers > 16.5f) & 17) + ((*numbers > 34.0f) & 18);
    *numbers = __builtin_convertvector(levels, ck_lanes);
}

CK_INLINE void search(ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, ck_grid_blocks *found) {
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_search_positive_scale(groups, round_magnitudes, (ck_trials){34, 4, 8}, &scales);
    ck_search_grid_blocks(format, grid, groups, &scales.scale, 0.125f, found);
}

CK_INLINE void quantize_iq2_xxs(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq2_xxs *block = out;
    ck_lane_groups groups;
    ck_grid_blocks found;
    uint8_t signs[4][CK_LANES];
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    ck_take_signs(&groups, true, signs);
    search(long_groups, tables, &groups, &found);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        uint32_t words[2] = {0, ck_steps(&found, lane) << 28};
        for (size_t v = 0; v < 4; v++) {
            words[0] |= (uint32_t)found.points[v][lane] << 8 * v;
            words[1] |= (uint32_t)(signs[v][lane] & 127) << 7 * v;
        }
        block[lane / 8].scale = found.halves[lane];
        memcpy((uint8_t *)block[lane / 8].points + 8 * (lane % 8), words, sizeof words);
    }
}

CK_INLINE void quantize_iq2_xs(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq2_xs *block = out;
    ck_lane_groups groups;
    ck_grid_blocks found;
    uint8_t signs[4][CK_LANES];
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    ck_take_signs(&groups, true, signs);
    search(short_groups, tables, &groups, &found);
    block->scale = found.halves[0];
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        for (size_t v = 0; v < 2; v++) {
            block->points[2 * lane + v] = (uint16_t)((unsigned)found.points[v][lane] | (signs[v][lane] & 127u) << 9);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        block->scales[i] = (uint8_t)(ck_steps(&found, 2 * i) | ck_steps(&found, 2 * i + 1) << 4);
    }
}

CK_INLINE void quantize_iq2_s(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq2_s *block = out;
    ck_lane_groups groups;
    ck_grid_blocks found;
    uint8_t signs[4][CK_LANES];
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    ck_take_signs(&groups, false, signs);
    search(short_groups, tables, &groups, &found);
    block->scale = found.halves[0];
    memset(block->high, 0, sizeof block->high);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        for (size_t v = 0; v < 2; v++) {
            const size_t vector = 2 * lane + v;
            const unsigned point = (unsigned)found.points[v][lane];
            block->low[vector] = (uint8_t)point;
            block->high[vector / 4] |= (uint8_t)(point >> 8 << 2 * (vector % 4));
            block->signs[vector] = signs[v][lane];
        }
    }
    for (size_t i = 0; i < 8; i++) {
        block->scales[i] = (uint8_t)(ck_steps(&found, 2 * i) | ck_steps(&found, 2 * i + 1) << 4);
    }
}

CK_DEFINE_GRID_QUANTIZER(iq2_xxs, 2, open_iq2_xxs, quantize_iq2_xxs)
CK_DEFINE_GRID_QUANTIZER(iq2_xs, 1, open_iq2_xs, quantize_iq2_xs)
CK_DEFINE_GRID_QUANTIZER(iq2_s, 1, open_iq2_s, quantize_iq2_s)
