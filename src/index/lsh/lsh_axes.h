/* lsh_axes.h - the directions along which a sample spreads most. */
#ifndef HWI_LSH_AXES_H
#define HWI_LSH_AXES_H

#include "base/base.h"

#define HWI_AXES_DIM 2048u /* with more dimensions, only the leading axes are found */

typedef struct hwi_axes {
    float *rows;   /* count x dim, orthonormal, least variance first; owned */
    float *values; /* their variances */
    uint32_t count;
    double total; /* variance of the sample in all directions */
} hwi_axes;

/* The axes of centred rows, `count` x dim: all of them, or beyond HWI_AXES_DIM dimensions at least
 * `most`. The same on one machine for any number of threads. HW_ENOMEM; HW_EINVAL when they do not
 * converge. Cost: count x dim^2 and dim^3; beyond HWI_AXES_DIM, count x dim x most. */
HW_CHECKED hw_status hwi_axes_find(const float *rows, size_t count, uint32_t dim, uint32_t most,
                                   hwi_axes *out, hw_error *err);
void hwi_axes_release(hwi_axes *a);

#endif
