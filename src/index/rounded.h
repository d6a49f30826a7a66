/* rounded.h - vectors rounded to bytes, where many of them meet many rows.
 *
 * A product of bytes takes a quarter of the time of one of floats, and what it may be off by is known:
 * with x = x' + e, v = v' + f (rounded, and what rounding took away),
 *
 *     |<x, v> - <x', v'>| = |<e, v> + <x', f>| <= |e| |v| + (|x| + |e|) |f|
 *
 * So bytes tell which few vectors come into question for a row, and full precision decides among them:
 * the outcome is that of full precision alone. */
#ifndef HWI_ROUNDED_H
#define HWI_ROUNDED_H

#include "kernel/kernel.h"

#define HWI_FLOAT_STEP 2.4e-7f /* what one operation may be off by: two units in the last place */

/* Vectors, as kernels.rank_rows takes them. */
typedef struct hwi_rounded {
    size_t count, dim, rank_dims; /* dim rounded up to 8 */
    size_t block_count;
    int8_t *blocks;
    float *scale, *code_sum;
    float *norm;          /* for the owner to fill; INFINITY at first: nobody's choice */
    float *squares;       /* |v|^2 */
    float longest, error; /* the greatest |v| and |f| of any */
} hwi_rounded;

/* false: no memory. */
HW_CHECKED bool hwi_rounded_init(hwi_rounded *r, const float *vectors, size_t count, size_t dim);
void hwi_rounded_release(hwi_rounded *r);

/* Rows to meet them, in memory of rank_dims bytes each. */
typedef struct hwi_rounded_row {
    float scale, squares, length, error; /* |x|^2; at least |x| and |e| */
} hwi_rounded_row;

/* Rounds a row to bytes; scratch: dim floats. */
hwi_rounded_row hwi_round_row(const float *x, size_t dim, size_t rank_dims, uint8_t *bytes,
                              float *scratch);
/* The most by which -2 <x, v> of any of the vectors may differ from what their bytes give, arithmetic of
 * floats included. */
float hwi_rounded_slack(const hwi_rounded *r, const hwi_rounded_row *row);

/* For each of `rows` rows (dim floats at a + i * stride) the vector with the least norm[k] - 2 <row,
 * vector>, of equals the first; UINT32_MAX if all norms are INFINITY. `vectors` are those rounded.
 * false: no memory. */
HW_CHECKED bool hwi_rounded_nearest(const hwi_rounded *r, const float *vectors, const float *a,
                                    size_t stride, size_t rows, uint32_t *index);

#endif
