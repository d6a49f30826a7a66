/* index_truth.h - the true neighbours of many queries at once, by comparing with everything.
 */
#ifndef HWI_INDEX_TRUTH_H
#define HWI_INDEX_TRUTH_H

#include "index/search_impl.h"

/* Enters every vector that the view sees into each query's list where it belongs. prepared: count
 * queries as hwi_space_prepare makes them; nearest: their lists, initialised, sorted on return
 * (tags: slots). The same for any number of threads. */
HW_CHECKED hw_status hwi_true_nearest(hwi_index_view *v, const float *prepared, uint32_t count,
                                      hwi_top *nearest, uint32_t threads, hw_error *err);

#endif
