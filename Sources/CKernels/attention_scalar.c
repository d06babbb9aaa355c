/* Attention on any machine, in vectors of four, which every compiler knows how to do without. */
#define LANES 4
#define TARGET CK_SCALAR
#define SET scalar
#define REGISTERS 2
#define ROWS 6
#define REST 2
#define HEADS 2
#define ABREAST 4
#include "attention_template.h"
