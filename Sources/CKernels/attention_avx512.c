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
#include "attention_template.h"
#endif
