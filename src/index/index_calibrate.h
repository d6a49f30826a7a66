/* index_calibrate.h - measuring a calibration on an index.
 */
#ifndef HWI_INDEX_CALIBRATE_H
#define HWI_INDEX_CALIBRATE_H

#include "index/search_impl.h"

/* Samples stored vectors as queries, finds their true neighbours, and measures efforts.
 * Deterministic. HW_ENOMEM, HW_ECANCELED. */
HW_CHECKED hw_status hwi_calibrate(hwi_index_view *v, uint32_t threads, hwi_progress *progress,
                                   hwi_calibration **out, hw_error *err);

/* A view of a generation that is not (yet) the one in use. */
HW_CHECKED hw_status hwi_index_view_of(hwi_index *ix, hw_store_txn *txn, hwi_page_table *vecs,
                                       hwi_page_table *slots, uint32_t slots_below,
                                       const hwi_index_state *state, hwi_index_view **out,
                                       hw_error *err);

/* ---- lsh/lsh_search.c ---- */

/* Whether searches of this model stop by reach (calibrate.h); else leaves are counted. */
bool hwi_leaves_by_reach(const hwi_model *m);

/* A walk through the leaves. */
typedef struct hwi_observed {
    hwi_search_run run; /* k, top and trace its own; query and scratch as in all others */
    float eps;
    uint32_t points; /* how far it goes */
    void *arg;
} hwi_observed;

#define HWI_OBSERVED_MAX 36u

/* Opens leaves nearest first, at most `most`, and calls fn with the walk's arg when a search with
 * reach at[i] would stop, for i below the walk's points (ascending; numbers of leaves where they are
 * counted), with run->top holding the candidates' estimates (exact distances for kind kdtree). Up to
 * HWI_OBSERVED_MAX walks of one query go side by side, so that a leaf is in the cache for all but the
 * first. */
typedef void (*hwi_checkpoint_fn)(void *arg, const hwi_search_run *run, uint32_t index);
HW_CHECKED hw_status hwi_leaves_observe(hwi_observed *walks, uint32_t count, uint32_t most,
                                        const float *at, hwi_checkpoint_fn fn, hw_error *err);

#endif
