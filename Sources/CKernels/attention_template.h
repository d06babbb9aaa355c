/* Attention, for the instruction set that attention.h describes. */
#include "attention.h"
#include "attention_rows.h"
#include "attention_tile.h"

#define TABLE_NAME_OF(SET) ck_attention_##SET
#define TABLE_NAME(SET) TABLE_NAME_OF(SET)

const ck_attention_set TABLE_NAME(SET) = {
    .tile = {.width = WIDTH, .attend = attend_tile},
    .f32 = {scores_f32, accumulate_f32},
    .f16 = {scores_f16, accumulate_f16},
    .bf16 = {scores_bf16, accumulate_bf16},
    .q8_0 = {scores_q8_0, accumulate_q8_0},
    .q4_0 = {scores_q4_0, accumulate_q4_0},
};
