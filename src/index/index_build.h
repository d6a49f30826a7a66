/* index_build.h - what the parts of a build share: deciding (index_build.c), writing
 * (index_build_write.c), catching up (index_catch_up.c).
 */
#ifndef HWI_INDEX_BUILD_H
#define HWI_INDEX_BUILD_H

#include "index/index_impl.h"
#include "index/tree/tree_build.h"

typedef struct hwi_build {
    hwi_index *ix;
    hw_store *store;
    uint32_t threads;
    hwi_progress *progress;

    hw_store_txn *snapshot;
    hwi_page_table *vecs, *slot_table;
    uint32_t slots_below;

    uint32_t *slots; /* those with the vector, ascending */
    uint32_t count;
    hwi_model *model;
    float *y; /* count x dc */
    hwi_partition partition;
    uint32_t *hashes;      /* kind lsh: bucket number of each leaf of the partition */
    hwi_index_state state; /* of the new generation */
    uint64_t last_beat_us;
    uint32_t at_once; /* index_catch_up.c: slots of the next round; 0: it has not begun */
    uint64_t changes; /* of the index, when the last round began */
} hwi_build;

void hwi_build_release(hwi_build *b);
/* Between two steps: the build goes on, or has been taken over (job.h). */
HW_CHECKED hw_status hwi_build_beat(hwi_build *b, hw_error *err);

/* Framed vectors of some slots into x (count x dim). */
HW_CHECKED hw_status hwi_build_frame(const hwi_build *b, const uint32_t *slots, size_t count,
                                     float *x, hw_error *err);

/* Kind lsh: the partition by bucket number. */
HW_CHECKED hw_status hwi_build_buckets(hwi_build *b, hw_error *err);

/* Writes leaves, tree, locations and model of the generation; fills b->state. */
HW_CHECKED hw_status hwi_build_write(hwi_build *b, hw_error *err);

/* index_catch_up.c: what writers changed since the snapshot, in b->state's generation, which nobody reads
 * yet. First in as many transactions as it takes, until few slots are left. HW_EBUSY: another process
 * has taken over. */
HW_CHECKED hw_status hwi_catch_up(hwi_build *b, hw_error *err);
/* Then those few, in the transaction that switches and that is to put *state. *all: false, and nothing
 * is done, when there are many again. */
HW_CHECKED hw_status hwi_catch_up_rest(const hwi_build *b, hw_store_txn *txn,
                                       hwi_index_state *state, bool *all, hw_error *err);

#endif
