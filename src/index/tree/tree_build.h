/* tree_build.h - partitioning many vectors at once: KD-tree splits, then Lloyd passes over the
 * leaves.
 */
#ifndef HWI_TREE_BUILD_H
#define HWI_TREE_BUILD_H

#include "base/base.h"

/* A region of the plan: an inner one has two children, a leaf a number. */
typedef struct hwi_region {
    int32_t left, right; /* regions; -1 in leaves */
    uint32_t leaf;
    float split;
} hwi_region;

typedef struct hwi_partition {
    uint32_t dc;
    uint32_t leaf_count;
    uint32_t *leaf_of;   /* n: leaf of each row */
    float *anchors;      /* leaf_count x dc */
    hwi_region *regions; /* regions[0] is the root */
    float *directions;   /* dc floats a region, of inner ones */
    uint32_t region_count;
} hwi_partition;

typedef struct hwi_partition_plan {
    uint32_t leaf_size;
    uint32_t most_rows; /* a leaf above this is cut again */
    bool sampled;       /* first passes over some rows of each leaf, before those over all */
    bool spherical;     /* anchors of unit length */
    uint32_t threads;
    uint64_t seed;
} hwi_partition_plan;

/* Partitions n rows of dc floats. The same for any number of threads. HW_ENOMEM, HW_ECANCELED. */
HW_CHECKED hw_status hwi_partition_make(const float *y, size_t n, uint32_t dc,
                                        const hwi_partition_plan *plan, hwi_progress *progress,
                                        hwi_partition *out, hw_error *err);
void hwi_partition_release(hwi_partition *p);

#endif
