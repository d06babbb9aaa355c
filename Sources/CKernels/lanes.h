/* Vectors of LANES floats, which the file that includes this has defined, and what needs no more than one of them.
 *
 * Compilers turn a wide vector into as many registers as an instruction set needs. Helpers take vectors by address,
 * because how a wide one is passed by value depends on the instruction set. */
#pragma once

#include "isa.h"

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));

/* `yes` in the lanes where the comparison `condition` holds, else `no`. In C the operator ?: takes no vectors. */
#define SELECT(condition, yes, no) \
    ((lanes)(((integers)(yes) & (condition)) | ((integers)(no) & ~(condition))))

/* x = exp(x), within 2 units in the last place, subnormal results and infinities included.
 *
 * exp(x) = 2^n * exp(r), n the integer nearest to x / ln 2, |r| <= ln 2 / 2, and exp(r) a polynomial. ln 2 is taken
 * off in two parts, of which the first has so few bits that n times it is exact. 2^n is applied in two factors,
 * because alone it may lie outside the floats where the product does not. */
CK_INLINE void exponential(lanes *x) {
    const lanes zero = {0};
    const float shift = 0x1.8p23f; /* adding it leaves the nearest integer in the lowest bits */
    lanes value = *x;
    value = SELECT(value < -105, zero - 105, value); /* 0 from here on */
    value = SELECT(value > 89, zero + 89, value);    /* infinity from here on */
    const lanes shifted = value * 0x1.715476p+0f + shift;
    const lanes n = shifted - shift;
    const integers exponent = (integers)shifted - (integers)(zero + shift);
    lanes r = value - n * 0x1.62e4p-1f;
    r = r - n * 0x1.7f7d1cp-20f;
    lanes p = r * 0x1.6d4926p-10f + 0x1.121072p-7f;
    p = p * r + 0x1.5554e4p-5f;
    p = p * r + 0x1.5554d8p-3f;
    p = p * r + 0x1.p-1f;
    p = p * r * r + r;
    const integers half = exponent >> 1;
    const lanes first = (lanes)((half + 127) << 23);
    const lanes second = (lanes)((exponent - half + 127) << 23);
    *x = (p + 1) * first * second;
}
