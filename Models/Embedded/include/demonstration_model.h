/// The demonstration model, Models/croissant-nano-Q6_K.gguf, as a part of the program: it is found wherever that runs.
#ifndef DEMONSTRATION_MODEL_H
#define DEMONSTRATION_MODEL_H

#include <stddef.h>

/// The first byte of the file, on a page of its own, for as long as the program runs; `size` becomes its length.
const void *demonstration_model(size_t *size);

#endif
