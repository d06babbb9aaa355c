/* Vectors of floats in slabs: see CKernels.h. */
#include "float_rows.h"

/* The columns of a group of vectors, side by side. */
CK_INLINE void lay_group(const float *group, size_t vectors, size_t columns, size_t depth, float *out) {
    for (size_t i = 0; i < depth; i++) {
        for (size_t v = 0; v < vectors; v++) {
            out[i * vectors + v] = group[v * columns + i];
        }
    }
}

void ck_lay_slab(const float *x, size_t vectors, size_t columns, size_t start, size_t depth, float *slab) {
    for (size_t v = 0, some; v < vectors; v += some) {
        some = ck_some_vectors(vectors - v, CK_SLAB_VECTORS);
        const float *const group = x + v * columns + start;
        float *const out = slab + v * depth;
        if (some == CK_SLAB_VECTORS) { /* a constant number takes 0.4 of the time */
            lay_group(group, CK_SLAB_VECTORS, columns, depth, out);
        } else {
            lay_group(group, some, columns, depth, out);
        }
    }
}
