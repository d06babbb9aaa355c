/* The BLAS of the system: cblas_sgemm for prefill, LAPACKE for second-order quantisation.
   OpenBLAS 0.3.21 of Debian 12 puts both headers on the path that its pkg-config file names. */
#pragma once
#include <cblas.h>
