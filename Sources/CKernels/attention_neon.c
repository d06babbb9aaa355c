/* Attention on NEON. */
#include "attention.h"

#if defined(__aarch64__)
#define LANES 4
#define TARGET CK_NEON
#define SET neon
#define REGISTERS 3
#define ROWS 8
#define REST 8
#define HEADS 4
#define ABREAST 4
#include "attention_template.h"
#endif
