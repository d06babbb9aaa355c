/* Attention in tiles with integers, on AVX-512 VNNI. */
#include "attention.h"

#if defined(__x86_64__)
#include "isa.h"

#define LANES 16
#define TARGET CK_AVX512VNNI
#define SET avx512vnni
#define REGISTERS 3
#define ROWS 8
#define REST 8
#define ADD_PAIRS(sums, left, right) \
    ((integers)ck_add_pairs_avx512((__m512i)(sums), (__m512i)(left), (__m512i)(right)))
#include "attention_integers_template.h"
#endif
