/* filter_verdict.h - what is known of the slots that match: a set around the true one and a set inside
 * it. Between filter_verdict.c and filter_resolve.c; nobody else needs it.
 */
#ifndef HWI_FILTER_VERDICT_H
#define HWI_FILTER_VERDICT_H

#include <roaring/roaring.h>

#include "base/base.h"

typedef struct hwi_verdict {
    roaring_bitmap_t *may;  /* every match is in it; NULL: all live slots */
    roaring_bitmap_t *sure; /* all of it matches; NULL: none; always NULL when exact */
    bool exact;             /* may is the answer */
} hwi_verdict;

void hwi_verdict_release(hwi_verdict *v); /* becomes unknown */

static inline hwi_verdict
hwi_verdict_unknown(void)
{
    return (hwi_verdict){0};
}
static inline hwi_verdict
hwi_verdict_everything(void)
{
    return (hwi_verdict){.exact = true};
}
static inline bool
hwi_verdict_is_everything(const hwi_verdict *v)
{
    return v->exact && !v->may;
}
HW_CHECKED hw_status hwi_verdict_nothing(hwi_verdict *out, hw_error *err);
bool hwi_verdict_is_nothing(const hwi_verdict *v);

HW_CHECKED hw_status hwi_verdict_copy(const hwi_verdict *v, hwi_verdict *out, hw_error *err);
/* Splits the set of an exact one, not everything, in two equal ones. */
HW_CHECKED hw_status hwi_verdict_loosen(hwi_verdict *v, hw_error *err);
/* Frees one of the two sets, which may be missing. */
void hwi_verdict_drop(roaring_bitmap_t **set);

/* a becomes a and b, or a or b; b is used up, also on failure. */
HW_CHECKED hw_status hwi_verdict_and(hwi_verdict *a, hwi_verdict *b, hw_error *err);
HW_CHECKED hw_status hwi_verdict_or(hwi_verdict *a, hwi_verdict *b, hw_error *err);
HW_CHECKED hw_status hwi_verdict_not(hwi_verdict *v, const roaring_bitmap_t *live, hw_error *err);

#endif
