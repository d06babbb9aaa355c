#include "demonstration_model.h"

#if defined(__clang__)
// C23, which Clang knows in every mode, with a warning.
#pragma clang diagnostic ignored "-Wpragmas"
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#pragma clang diagnostic ignored "-Wc23-extensions"
#endif

/// Tensors keep the alignment that they have in the file.
static _Alignas(4096) const unsigned char bytes[] = {
#embed "../croissant-nano-Q6_K.gguf"
};

const void *demonstration_model(size_t *size) {
    *size = sizeof bytes;
    return bytes;
}
