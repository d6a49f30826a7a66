/* hwt_kernel.h - what tests of kernels share: every table that runs here beside the scalar one, random
 * input of any alignment, and equality. */
#ifndef HWT_KERNEL_H
#define HWT_KERNEL_H

#include "kernel/kernel.h"

#define HWT_KERNEL_SEED 7u

/* Calls test(scalar, table) for every table that runs here, the scalar one too. */
void hwt_for_each_table(void (*test)(const hwi_kernels *scalar, const hwi_kernels *k));

float hwt_random_float(hwi_rng *rng);
void hwt_fill_floats(hwi_rng *rng, void *at, size_t count);
void hwt_fill_bytes(hwi_rng *rng, void *at, size_t count);

/* By ==; what and length are for the message. */
void hwt_assert_floats_equal(const float *expected, const float *got, size_t count,
                             const char *what, size_t length);

#endif
