/* index.h - the vector index of one field: a KD-tree partition whose leaves are LSH-bucketed pages.
 *
 * It lives in the store, under keys of its own, and changes in the same transaction as the records:
 *
 *   `state, c, v`                 generation in use, counts (state.h)
 *   `model, c, v, g`              mean, PCA axes, signs: trained once a generation (lsh/model.h)
 *   `tree,  c, v, g, node`        a region: inner node or leaf with its anchor (tree/tree.h)
 *   `leaf,  c, v, g, leaf, part`  bucket pages of a leaf: signatures, refine codes (lsh/page.h)
 *   `loc,   c, v, g, page`        leaf of every slot
 *   `cal,   c, v, g`              calibration: settings that reach a recall (calibrate.h)
 *
 * Below `flat_below` vectors there is no generation: everything is compared exactly (flat/).
 *
 *     writing:  hwi_index_writer   inside a write transaction        used by ingest
 *     building: hwi_index_build    a new generation beside the old    used by api
 *     reading:  hwi_index_view     one snapshot, immutable, shared    used by query
 */
#ifndef HWI_INDEX_H
#define HWI_INDEX_H

#include <roaring/roaring.h>

#include "records/records.h"
#include "store/wants.h"

/* What one process remembers of a field's index between transactions and views (models, the
 * directory of anchors). Safe to share between threads. */
typedef struct hwi_index hwi_index;
HW_CHECKED hw_status hwi_index_new(uint32_t coll, const hwi_field *field, hwi_index **out,
                                   hw_error *err);
void hwi_index_free(hwi_index *ix);

/* What happened to indexes: counters that only grow, shared by those of one database handle. Splits
 * and merges count when they are made, whether the transaction is then committed or not. */
typedef struct hwi_index_events {
    atomic_uint_least64_t splits, merges, builds, calibrations;
} hwi_index_events;
/* Counts here from now on; borrowed. Before the index is shared. */
void hwi_index_watch(hwi_index *ix, hwi_index_events *events);

/* ---- writing ---- */

typedef struct hwi_index_writer hwi_index_writer;

/* vecs is the transaction's cache of this field's vector pages, borrowed until _free; ix too. */
HW_CHECKED hw_status hwi_index_writer_new(hwi_index *ix, hw_store_txn *txn, hwi_page_cache *vecs,
                                          hwi_index_writer **out, hw_error *err);
void hwi_index_writer_free(hwi_index_writer *w);

/* The slot's vector, already written to `vecs`, joins the index. The slot must not be in it. Splits
 * its leaf when that grew too large, and moves neighbours that prefer a new anchor. */
HW_CHECKED hw_status hwi_index_insert(hwi_index_writer *w, uint32_t slot, hw_error *err);

/* The slot leaves the index; its vector must still be in `vecs` unchanged. No error if it is not in
 * it. Merges a leaf that shrank too much into its sibling. */
HW_CHECKED hw_status hwi_index_remove(hwi_index_writer *w, uint32_t slot, hw_error *err);

/* Writes changed pages, nodes and counts into the transaction. Once, before commit. */
HW_CHECKED hw_status hwi_index_flush(hwi_index_writer *w, hw_error *err);

/* To call after a commit: trains the first generation when a field has outgrown flat_below,
 * calibrates again when the data have drifted. Runs its own transactions; usually returns at once.
 */
HW_CHECKED hw_status hwi_index_maintain(hwi_index *ix, hw_store *store, uint32_t threads,
                                        hw_error *err);

/* Builds a new generation from all vectors in many transactions, then switches in one. Writes go on
 * meanwhile: slots they touch are noted under `job, c, v, slot` and brought up to date before the
 * switch. Cancelled or failed: the old generation stays and what was written of the new one is
 * removed. Without vectors nothing is built. */
HW_CHECKED hw_status hwi_index_build(hwi_index *ix, hw_store *store, uint32_t threads,
                                     hwi_progress *progress, hw_error *err);

/* Removes every key of the field's index, bounded as hwi_pix_drop. */
HW_CHECKED hw_status hwi_index_drop(hw_store_txn *txn, uint32_t coll, uint32_t field, bool *more,
                                    hw_error *err);

/* ---- reading ---- */

typedef struct hwi_index_view hwi_index_view;

/* The index as the read transaction sees it. vecs and slots are the view's tables; all borrowed. */
HW_CHECKED hw_status hwi_index_view_new(hwi_index *ix, hw_store_txn *txn, hwi_page_table *vecs,
                                        hwi_page_table *slots, uint32_t slots_below,
                                        hwi_index_view **out, hw_error *err);
void hwi_index_view_free(hwi_index_view *v);

typedef struct hwi_hit {
    uint32_t slot;
    float distance; /* engine distance, see records/conf.h */
} hwi_hit;

/* What searches with one filter found in leaves, kept for those after them. Safe to share; to be freed
 * before the index views searched with it. Keeps bytes_most, hardly more (lsh/kept_leaves.c). */
typedef struct hwi_kept_leaves hwi_kept_leaves;
hwi_kept_leaves *hwi_kept_leaves_new(size_t bytes_most); /* NULL when out of memory */
void hwi_kept_leaves_free(hwi_kept_leaves *k);           /* NULL is fine */
size_t hwi_kept_leaves_bytes(const hwi_kept_leaves *k);

/* Which slots may be answers. Both NULL: all. */
typedef struct hwi_accept {
    const roaring_bitmap_t *may;            /* NULL: all */
    bool (*test)(void *arg, uint32_t slot); /* NULL: every slot in may is accepted; else asked for
                                               those not in `sure` */
    const roaring_bitmap_t *sure;           /* NULL: none */
    void *arg;
    const uint64_t *bits; /* `may` as hwi_accept_bits makes it; NULL: made when a search needs it */
    uint32_t bits_below;
    hwi_kept_leaves *leaves; /* of these bits; NULL: none are kept */
} hwi_accept;

/* The slots of a set below `slots_below` as plain bits, a word of zeros behind them; *below: how many
 * bits come before that word. The caller frees them; NULL when out of memory. */
uint64_t *hwi_accept_bits(const roaring_bitmap_t *may, uint32_t slots_below, uint32_t *below);

/* What a search did, for explain and benchmarks; zeroed by hwi_index_search. */
typedef struct hwi_trace {
    uint64_t leaves, leaves_ranked, leaves_skipped, scanned, survivors, refined, exact,
        filtered_out;
    uint64_t ns_rotate, ns_rank, ns_scan, ns_exact; /* 0 where not measured */
    double recall;                                  /* calibrated for, or 1 when proven exact */
    const char *plan;                               /* "flat", "gather", "leaves", "exact" */
    hwi_buf *detail;  /* when not NULL: JSON of the way taken is appended (tree path, leaves with
                         counts) */
    uint64_t stop_us; /* hwi_clock_us() at which a time budget ends; 0: none */
    hwi_stop stop;
} hwi_trace;

/* The k nearest accepted slots, nearest first, equal distances by point id. query has the field's
 * dim floats (checked, finite); *count is below k only when fewer are accepted. recall: 0..1, 1 is
 * proven exact. Lower than max_distance only (INFINITY: all). */
HW_CHECKED hw_status hwi_index_search(hwi_index_view *v, const float *query, uint32_t k,
                                      double recall, float max_distance, const hwi_accept *accept,
                                      hwi_trace *trace, hwi_hit *hits, uint32_t *count,
                                      hw_error *err);

/* A query and what makes an answer of its hits; the rest as for hwi_index_search. */
typedef struct hwi_why_query {
    const float *values;
    uint32_t k, offset; /* the answer are hits offset + 1 to k */
    double recall;
    float max_distance;
    const hwi_accept *accept;
    const roaring_bitmap_t *left_out; /* of the hits; NULL: none */
} hwi_why_query;

/* Appends to `json` a JSON object telling at which step `slot` is lost, or its rank. */
HW_CHECKED hw_status hwi_index_why(hwi_index_view *v, const hwi_why_query *q, uint32_t slot,
                                   hwi_buf *json, hw_error *err);

/* Points that have this vector. */
uint64_t hwi_index_vectors(const hwi_index_view *v);
/* Adds the keys that a view begins with. */
void hwi_index_want(hwi_wants *wants, uint32_t coll, const hwi_field *field);

/* Appends a JSON object of statistics: leaves, size distribution, page fill, calibration ... */
HW_CHECKED hw_status hwi_index_stats(hwi_index_view *v, hwi_buf *json, hw_error *err);

/* Append the index as people see it as JSON (hw_collection_tree, _leaf, _map): the tree; one leaf,
 * HW_ENOTFOUND when `node` is none; about `points` vectors on the first two axes. */
HW_CHECKED hw_status hwi_index_show_tree(hwi_index_view *v, hwi_buf *json, hw_error *err);
HW_CHECKED hw_status hwi_index_show_leaf(hwi_index_view *v, uint32_t node, hwi_buf *json,
                                         hw_error *err);
HW_CHECKED hw_status hwi_index_show_map(hwi_index_view *v, uint32_t points, hwi_buf *json,
                                        hw_error *err);

/* Verifies every invariant of the index against vectors and itself (I1.. in index.c); `live` are
 * the collection's live slots. Reports each damage; HW_OK even then, errors only when the check
 * itself could not go on. */
HW_CHECKED hw_status hwi_index_check(hwi_index_view *v, const roaring_bitmap_t *live,
                                     hw_damage_fn damage, void *arg, hw_error *err);

#endif
