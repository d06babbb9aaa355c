/* Attention on AVX2. */
#include "attention.h"

#if defined(__x86_64__)
#define LANES 8
#define TARGET CK_AVX2
#define SET avx2
#define REGISTERS 2
#define ROWS 6
#define REST 2
#define HEADS 2
#include "attention_template.h"
#endif
