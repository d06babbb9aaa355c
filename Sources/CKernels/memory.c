/* What is asked of memory without anything being computed. */
#include "CKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void ck_fence(void) {
#if defined(__x86_64__)
    _mm_sfence();
#endif
    /* ARM's releases order all stores. */
}

void ck_fetch(const void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) {
        (void)*((const volatile uint8_t *)memory + i);
    }
    if (bytes > 0) {
        (void)*((const volatile uint8_t *)memory + bytes - 1); /* in a line more, where the first one was not whole */
    }
}
