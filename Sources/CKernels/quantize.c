/* What can be quantised at all. */
#include "quantize.h"

float ck_quantizer_limit(ck_type type) {
    switch (type) {
    case CK_TYPE_F32:
    case CK_TYPE_F64:
        return 0x1.fffffep127f;
    case CK_TYPE_MXFP4:
        return 0x1p60f;         /* the sum of 32 squares is a float, of errors that are as large */
    case CK_TYPE_BF16:
        return 0x1.fefffep127f; /* from here on, rounding is to infinity */
    case CK_TYPE_F16:
        return 0x1.ffdffep15f;  /* likewise */
    case CK_TYPE_NVFP4:
        return 448 * 6;         /* the largest scale times the largest weight */
    default:
        return 65504;           /* the largest f16: no scale is larger than the largest weight */
    }
}

size_t ck_first_beyond(const float *values, size_t n, float limit) {
    size_t i = 0;
    for (; n - i >= 64; i += 64) {
        uint32_t beyond = 0;
        for (size_t k = 0; k < 64; k++) {
            beyond |= !(ck_float(ck_bits(values[i + k]) & 0x7fffffff) <= limit);
        }
        if (beyond) {
            break;
        }
    }
    while (i < n && ck_float(ck_bits(values[i]) & 0x7fffffff) <= limit) {
        i++;
    }
    return i;
}
