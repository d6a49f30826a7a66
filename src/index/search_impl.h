/* search_impl.h - what the files of a search share: the view's insides and the steps.
 */
#ifndef HWI_SEARCH_IMPL_H
#define HWI_SEARCH_IMPL_H

#include "index/scratch.h"

/* A leaf's pages where they lie, found at first touch. */
typedef struct hwi_leaf_ref {
    hwi_leaf_page page;
    uint8_t *copy; /* of the signature page, when the store keeps it unaligned; else NULL */
    /* With signatures: the centre in bytes, 128 more than hwi_quantize_i8 makes them; their scale, and
     * the square of the centre's length. */
    const uint8_t *centre8;
    float centre_scale, centre_sq;
    uint32_t part_count;
    const uint8_t *parts[]; /* first refine row of each part */
} hwi_leaf_ref;

struct hwi_index_view {
    hwi_index *ix;
    hw_store_txn *txn;
    hwi_page_table *vecs, *slots;
    uint32_t slots_below;
    hwi_index_state state;
    hwi_model *model; /* NULL: no generation */
    hwi_tree *tree;
    hwi_calibration *calibration; /* may be NULL */
    uint32_t rows_per_part;
    _Atomic(hwi_leaf_ref *) *leaves; /* by position in the tree */
};

/* The leaf at a position. Safe from any number of threads. HW_ECORRUPT, HW_EIO, HW_ENOMEM. */
HW_CHECKED hw_status hwi_view_leaf(hwi_index_view *v, uint32_t position, const hwi_leaf_ref **out,
                                   hw_error *err);

/* Asks a store that is far away for the pages of some leaves at once. */
void hwi_view_want_leaves(hwi_index_view *v, const hwi_top_entry *positions, size_t count);

/* Refine row of a leaf's row. */
static inline const uint8_t *
hwi_leaf_ref_row(const hwi_index_view *v, const hwi_leaf_ref *leaf, uint32_t row)
{
    return leaf->parts[row / v->rows_per_part] +
           (size_t)(row % v->rows_per_part) * hwi_leaf_row_bytes(v->model);
}

/* Costs of leaves in scanned signatures (2.5 ns), rough: */
#define HWI_LEAF_COST 180.0       /* of opening one, */
#define HWI_KEPT_LEAF_COST 70.0   /* of one whose matching rows are kept; */
#define HWI_FILTERED_ROW_COST 1.0 /* of a row that is looked at in it, behind a filter */

/* One search under way. */
typedef struct hwi_search_run {
    hwi_index_view *v;
    const float *query; /* as given */
    uint32_t k;
    float max_distance;
    const hwi_accept *accept; /* NULL: all */
    hwi_trace *trace;
    hwi_scratch *s;
    bool measured;     /* the effort, for a k as great as the filter makes it */
    double work_most;  /* what leaves may cost before comparing all accepted slots is better; */
    bool gave_up;      /* and whether they would have: by lsh_search.c */
    uint64_t accepted; /* rows that may be answers and were refined, by lsh_search.c */
    hwi_top top;       /* distances, tagged with slots; exact unless the step says estimates */
} hwi_search_run;

/* Whether a slot may be an answer. */
static inline bool
hwi_may(const hwi_accept *a, uint32_t slot)
{
    return !a || !a->may || roaring_bitmap_contains(a->may, slot);
}
/* Whether it is one, given that it may: reads its payload when the indexes could not tell. */
static inline bool
hwi_accepted(const hwi_accept *a, uint32_t slot)
{
    return !a || !a->test || (a->sure && roaring_bitmap_contains(a->sure, slot)) ||
           a->test(a->arg, slot);
}

/* ---- the ways to search; each leaves exact distances in run->top ---- */

/* flat/flat_search.c: every vector of the field, page by page. */
HW_CHECKED hw_status hwi_flat_search(hwi_search_run *run, hw_error *err);
/* flat/flat_search.c: the accepted slots only. */
HW_CHECKED hw_status hwi_gather_search(hwi_search_run *run, hw_error *err);
/* tree/tree_exact.c: branch and bound over leaf boxes and radii; *useful is false when so little
 * was pruned that the caller should search flat instead. */
HW_CHECKED hw_status hwi_tree_exact_search(hwi_search_run *run, bool *useful, hw_error *err);
/* lsh/lsh_search.c: the best leaves by signatures; run->top needs room for k + effort->extra. */
HW_CHECKED hw_status hwi_leaves_search(hwi_search_run *run, const hwi_effort *effort,
                                       hw_error *err);

/* hwi_index_search with a given effort: for calibration. */
HW_CHECKED hw_status hwi_index_search_effort(hwi_index_view *v, const float *query, uint32_t k,
                                             double recall, const hwi_effort *effort,
                                             float max_distance, const hwi_accept *accept,
                                             hwi_trace *trace, hwi_hit *hits, uint32_t *count,
                                             hw_error *err);

/* Exact distances of some slots into run->top (those accepted). */
HW_CHECKED hw_status hwi_exact_add(hwi_search_run *run, const uint32_t *slots, size_t count,
                                   hw_error *err);

#endif
