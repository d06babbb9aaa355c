/* What is asked of memory without anything being computed. */
#include "CKernels.h"

void ck_fetch(const void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        (void)*((const volatile uint8_t *)memory + i);
    }
}
