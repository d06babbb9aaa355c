/* Attention in tiles with integers, on AVX-VNNI. */
#include "attention.h"

#if defined(__x86_64__)
#include "isa.h"

#define LANES 8
#define TARGET CK_AVXVNNI
#define SET avxvnni
#define REGISTERS 2
#define ROWS 6
#define REST 2
#define ADD_PAIRS(sums, left, right) \
    ((integers)_mm256_dpwssd_avx_epi32((__m256i)(sums), (__m256i)(left), (__m256i)(right)))
#include "attention_integers_template.h"
#endif
