/* Panels of queries, which attention in tiles is computed by (arXiv 2205.14135).
 *
 * Queries lie in the lanes of registers, WIDTH of them in a panel, so that whatever belongs to a query, its maximum,
 * its sum and its mask, is a lane too, and nothing is ever added or compared across lanes. Keys and values are read
 * one number, or pair of numbers, at a time and broadcast, which lets them lie as they come from the cache: nothing is
 * transposed but the queries, once, and the result, once. */
#pragma once

#include "attention.h"
#include "lanes.h"

#define WIDTH (REGISTERS * LANES)
_Static_assert(WIDTH % CK_LANE_ROWS == 0, "rows that become lanes together are of one panel");

/* The positions that the queries of a panel see, counted from the first of a tile. */
typedef struct panel_view {
    int32_t lower[WIDTH], upper[WIDTH]; /* lower <= position < upper */
    size_t begin, end;                  /* what one of them sees, within the tile */
    size_t all_begin, all_end;          /* what all of them see, within the tile */
} panel_view;

CK_INLINE size_t clamp(int64_t position, size_t n) {
    return position < 0 ? 0 : (size_t)position > n ? n : (size_t)position;
}

/* The view of `rows` queries from `row` on; lanes beyond see what the last one sees. */
CK_INLINE void view_panel(const ck_attention_tile *tile, size_t row, size_t rows, panel_view *view) {
    const int64_t first_key = (int64_t)tile->first_position;
    int64_t lower = 0, upper = 0;
    for (size_t lane = 0; lane < WIDTH; lane++) {
        if (lane < rows) {
            const size_t seen = tile->first_query + (tile->first_row + row + lane) / tile->group + 1;
            upper = (int64_t)seen - first_key;
            lower = upper - (int64_t)(tile->window < seen ? tile->window : seen);
        }
        view->lower[lane] = (int32_t)lower;
        view->upper[lane] = (int32_t)upper;
    }
    view->begin = clamp(view->lower[0], tile->n);
    view->end = clamp(upper, tile->n);
    view->all_begin = clamp(lower, tile->n);
    view->all_end = clamp(view->upper[0], tile->n);
}

/* Takes a tile's keys and values into the running softmax of one panel, of which `registers` vectors hold queries. */
typedef void (*attend_panel_fn)(
    const ck_attention_tile *tile, const panel_view *view, const float *queries, float poison, float *out,
    float *maxima, float *sums, size_t registers);

/* All panels of a tile. `poison`: see round_tile. */
TARGET CK_INLINE void attend_panels(const ck_attention_tile *tile, float poison, attend_panel_fn attend) {
    for (size_t row = 0; row < tile->rows; row += WIDTH) {
        const size_t rows = tile->rows - row < WIDTH ? tile->rows - row : WIDTH;
        panel_view view;
        view_panel(tile, row, rows, &view);
        if (view.begin >= view.end) {
            continue;
        }
        const float *const queries = tile->queries + row * tile->stride;
        float *const out = tile->out + row * tile->stride;
        float *const maxima = tile->maxima + row, *const sums = tile->sums + row;
        if (rows > 2 * LANES) {
            attend(tile, &view, queries, poison, out, maxima, sums, REGISTERS);
        } else if (rows > LANES) {
            attend(tile, &view, queries, poison, out, maxima, sums, 2);
        } else {
            attend(tile, &view, queries, poison, out, maxima, sums, 1);
        }
    }
}
