/* Quantisers of IQ1_S and IQ1_M; the layouts are drawn in the files of the types. */
#include "iq_grids.h"
#include "quantize_grid.h"

static const ck_grid_format groups_shift = {8, 3, CK_SHIFT_GROUPS, 15, 8};
static const ck_grid_format points_shift = {8, 3, CK_SHIFT_POINTS, 15, 16};

/* Points are signed bytes -8, 0 and 8, which stand for -1, 0 and 1. */
CK_INLINE void open_iq1(ck_grid *grid) {
    grid->count = 2048;
    grid->level[0] = -1;
    grid->level[1] = 0;
    grid->level[2] = 1;
    for (size_t point = 0; point < 2048; point++) {
        for (size_t i = 0; i < 8; i++) {
            const uint8_t byte = (uint8_t)(ck_iq1_grid[point] >> 8 * i);
            grid->digits[point][i] = byte == 0 ? 1 : byte == 8 ? 2 : 0;
        }
    }
    ck_number_halves(groups_shift, grid);
}

CK_INLINE void round_higher(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers - 0.125f, -1, 1) + 0.125f;
}

CK_INLINE void round_lower(ck_lanes *numbers) {
    *numbers = CK_ROUND_TO(*numbers + 0.125f, -1, 1) - 0.125f;
}

CK_INLINE void search(ck_grid_format format, const ck_grid *grid, const ck_lane_groups *groups, ck_grid_blocks *found) {
    ck_scales scales = {CK_SPLAT(0.0f), CK_SPLAT(0.0f)};
    ck_search_positive_scale(groups, round_higher, (ck_trials){0.9f, 0.15f, 14}, &scales);
    ck_search_positive_scale(groups, round_lower, (ck_trials){0.9f, 0.15f, 14}, &scales);
    ck_search_grid_blocks(format, grid, groups, &scales.scale, 1, found);
}

CK_INLINE void quantize_iq1_s(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq1_s *block = out;
    ck_lane_groups groups;
    ck_grid_blocks found;
    ck_load_groups(sources, has_importance, 256, 32, &groups);
    search(groups_shift, tables, &groups, &found);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        ck_block_iq1_s *const target = block + lane / 8;
        const size_t group = lane % 8;
        unsigned high = ck_steps(&found, lane) << 12 | (found.points[0][lane] < CK_POINT_IS_LOWER ? 0 : 0x8000);
        for (size_t v = 0; v < 4; v++) {
            const unsigned point = (unsigned)found.points[v][lane] % CK_GRID_POINTS;
            target->low[4 * group + v] = (uint8_t)point;
            high |= point >> 8 << 3 * v;
        }
        target->scale = found.halves[lane];
        target->high[group] = (uint16_t)high;
    }
}

CK_INLINE void quantize_iq1_m(
    const void *tables, const ck_block_source *sources, bool has_importance, void *out) {
    ck_block_iq1_m *block = out;
    ck_lane_groups groups;
    ck_grid_blocks found;
    ck_load_groups(sources, has_importance, 256, 16, &groups);
    search(points_shift, tables, &groups, &found);
    for (size_t lane = 0; lane < CK_LANES; lane++) {
        unsigned high = 0;
        for (size_t v = 0; v < 2; v++) {
            const unsigned point = (unsigned)found.points[v][lane];
            block->low[2 * lane + v] = (uint8_t)point;
            high |= ((point % CK_GRID_POINTS >> 8) | (point < CK_POINT_IS_LOWER ? 0 : 8)) << 4 * v;
        }
        block->high[lane] = (uint8_t)high;
    }
    for (size_t i = 0; i < 4; i++) {
        unsigned scales = (unsigned)found.halves[0] >> 4 * i << 12;
        for (size_t k = 0; k < 4; k++) {
            scales |= ck_steps(&found, 4 * i + k) << 3 * k;
        }
        block->scales[i] = (uint16_t)scales;
    }
}

CK_DEFINE_GRID_QUANTIZER(iq1_s, 2, open_iq1, quantize_iq1_s)
CK_DEFINE_GRID_QUANTIZER(iq1_m, 1, open_iq1, quantize_iq1_m)
