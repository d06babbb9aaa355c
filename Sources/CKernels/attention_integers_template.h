/* Attention in tiles with integers, for the instruction set that attention.h describes. */
#include "attention_integers.h"

#define INTEGER_TABLE_NAME_OF(SET) ck_attention_integers_##SET
#define INTEGER_TABLE_NAME(SET) INTEGER_TABLE_NAME_OF(SET)

const ck_attention_tile_kernels INTEGER_TABLE_NAME(SET) = {
    .width = WIDTH, .begin = begin_integers, .attend = attend_integer_tile};
