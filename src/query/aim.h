/* aim.h - what a query compares with: vectors given or looked up, and the points it leaves out.
 */
#ifndef HWI_AIM_H
#define HWI_AIM_H

#include "query/view.h"

#define HWI_EXAMPLES_MAX 4096u /* of one query */

typedef struct hwi_aim {
    hw_vector target;    /* NEAREST, AVERAGE, DISCOVER; values NULL for other rules */
    hw_vector *examples; /* BEST_SCORE, SUM_SCORES: positives, then negatives
                            DISCOVER, CONTEXT: positive, negative, positive, negative ... */
    size_t example_count, positive_count;
    uint32_t *left_out; /* slots of the points named by id, ascending, without repeats */
    uint32_t left_out_count;
    uint32_t one; /* where a single one of them is kept */
    hwi_arena arena;
} hwi_aim;

/* Checks and gathers what the query names; release also after a failure. HW_EINVAL, HW_ENOTFOUND,
 * HW_ELIMIT. Vectors are borrowed from the query and the view. */
HW_CHECKED hw_status hwi_aim_read(hwi_view *view, const hwi_view_field *field, const hw_query *q,
                                  hwi_aim *out, hw_error *err);
void hwi_aim_release(hwi_aim *aim);

bool hwi_aim_leaves_out(const hwi_aim *aim, uint32_t slot);

/* average.c: the mean of positives, or twice that less the mean of the negatives. */
HW_CHECKED hw_status hwi_aim_average(const hwi_field *field, const hw_vector *positives,
                                     size_t positive_count, const hw_vector *negatives,
                                     size_t negative_count, hwi_arena *arena, hw_vector *out,
                                     hw_error *err);

#endif
