/* Attention on AVX-512. */
#include "attention.h"

#if defined(__x86_64__)
#define LANES 16
#define TARGET CK_AVX512
#define SET avx512
#define REGISTERS 3
#define ROWS 8
#define REST 8
#define HEADS 4
#define ABREAST 4
#define ADD_PAIRS(sums, left, right) \
    ((integers)_mm512_add_epi32((__m512i)(sums), _mm512_madd_epi16((__m512i)(left), (__m512i)(right))))
#include "attention_template.h"
#include "attention_integers_template.h"
#endif
