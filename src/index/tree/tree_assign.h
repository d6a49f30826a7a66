/* tree_assign.h - telling rows to their nearest anchors, many at once. */
#ifndef HWI_TREE_ASSIGN_H
#define HWI_TREE_ASSIGN_H

#include "base/base.h"

#define HWI_ASSIGN_AROUND 256u /* anchors that a row is compared with */

typedef struct hwi_assignment {
    const float *y; /* n rows of dc floats */
    size_t n;
    uint32_t dc;
    uint32_t threads;
    const float *anchors; /* leaves x dc */
    uint32_t leaves;
    uint32_t *leaf_of; /* n: the leaf of each row */
} hwi_assignment;

/* Every row goes to the nearest of its leaf's anchor and those around that one; *moved: how many went
 * to another leaf. A row that is far from where it belongs gets there in several calls. With `dead`
 * (leaves bytes, not all set) only the rows of these leaves go, and to others. The same for any number
 * of threads. HW_ENOMEM. */
HW_CHECKED hw_status hwi_assign(const hwi_assignment *a, const uint8_t *dead, size_t *moved,
                                hw_error *err);

#endif
