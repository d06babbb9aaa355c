/* The BLAS of the system: cblas_sgemm for prefill and for statistics, the Cholesky factorisations of LAPACK for
   second-order quantisation.

   LAPACK by its Fortran names: libopenblas of Debian and of Ubuntu has those, and so has Accelerate, but not LAPACKE,
   whose library would bring the reference LAPACK along in place of OpenBLAS's. The last argument is the length of the
   first, which Fortran compilers add to every string. */
#pragma once
#include <cblas.h>
#include <stddef.h>

/* Replaces a symmetric positive definite matrix by its Cholesky factor; info is 0 where that exists. */
void spotrf_(const char *triangle, const blasint *n, float *a, const blasint *stride, blasint *info, size_t length);
/* Replaces such a factor by the inverse of the matrix. */
void spotri_(const char *triangle, const blasint *n, float *a, const blasint *stride, blasint *info, size_t length);
