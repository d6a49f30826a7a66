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

/* Opens leaves nearest first, at most `most`, and calls fn when a search with reach at[i] would stop
 * (ascending; numbers of leaves where they are counted), with run->top holding the candidates'
 * estimates (exact distances for kind kdtree). */
typedef void (*hwi_checkpoint_fn)(void *arg, const hwi_search_run *run, uint32_t index);
HW_CHECKED hw_status hwi_leaves_observe(hwi_search_run *run, float eps, uint32_t most,
                                        const float *at, uint32_t count, hwi_checkpoint_fn fn,
                                        void *arg, hw_error *err);

#endif
