/* Attention on AVX2. */
#include "attention.h"

#if defined(__x86_64__)
#define LANES 8
#define TARGET CK_AVX2
#define SET avx2
#define REGISTERS 2
#define ROWS 6
#define REST 2
#define HEADS 4
#define ABREAST 2
#define ADD_PAIRS(sums, left, right) \
    ((integers)_mm256_add_epi32((__m256i)(sums), _mm256_madd_epi16((__m256i)(left), (__m256i)(right))))
#include "attention_template.h"
#include "attention_integers_template.h"
#endif
