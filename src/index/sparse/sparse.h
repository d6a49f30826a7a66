/* sparse.h - the inverted index of a field of sparse vectors.
 *
 *   `inv, c, v, index, slot`  -> a page of postings: the vectors that have a value at this index,
 *                                from that slot on: u32 slot, f32 value, slots ascending
 *
 * Exact: what a search returns is the dot product with every vector that shares an index with the
 * query.
 */
#ifndef HWI_SPARSE_H
#define HWI_SPARSE_H

#include "index/index.h"

#define HWI_POSTING_BYTES 8u
#define HWI_POSTINGS_MAX 240u /* in a page, which LMDB then keeps in its own pages */

/* ---- writing ---- */

typedef struct hwi_sparse_writer hwi_sparse_writer;

HW_CHECKED hw_status hwi_sparse_writer_new(hw_store_txn *txn, uint32_t coll, uint32_t field,
                                           hwi_sparse_writer **out, hw_error *err);
void hwi_sparse_writer_free(hwi_sparse_writer *w);

/* A slot's vector changes; both packed (records/ragged.h), empty for none. Collected; written by
 * flush, and before when there is much. */
HW_CHECKED hw_status hwi_sparse_change(hwi_sparse_writer *w, uint32_t slot, hw_bytes before,
                                       hw_bytes after, hw_error *err);
HW_CHECKED hw_status hwi_sparse_flush(hwi_sparse_writer *w, hw_error *err);

/* ---- reading ---- */

/* What a search reads; all borrowed. */
typedef struct hwi_sparse_view {
    hw_store_txn *txn;
    uint32_t coll, slots_below;
    const hwi_field *field;
    hwi_page_table *slots; /* ids, for equal scores */
    hwi_page_table *has;
} hwi_sparse_view;

/* The k accepted slots with the greatest dot products, best first, as distances: negated. query is
 * packed. Only slots that share an index with it; lower than max_distance only. */
HW_CHECKED hw_status hwi_sparse_search(const hwi_sparse_view *v, hw_bytes query, uint32_t k,
                                       float max_distance, const hwi_accept *accept,
                                       hwi_trace *trace, hwi_hit *hits, uint32_t *count,
                                       hw_error *err);

/* Appends a JSON object: vectors, indices in use, postings, pages, fill. Reads every page. */
HW_CHECKED hw_status hwi_sparse_stats(const hwi_sparse_view *v, hwi_buf *json, hw_error *err);

/* What pairs of slots and vectors add up to, in any order: their number and a sum of hashes. */
typedef struct hwi_sparse_sum {
    uint64_t pairs, hash;
} hwi_sparse_sum;
void hwi_sparse_sum_add(hwi_sparse_sum *sum, uint32_t slot, hw_bytes packed);

/* Verifies every page of postings, and that together they are what the records hold: `records` is
 * the sum over them. Reports each damage; HW_OK even then. */
HW_CHECKED hw_status hwi_sparse_check(const hwi_sparse_view *v, const hwi_sparse_sum *records,
                                      hw_damage_fn damage, void *arg, hw_error *err);

/* ---- between the files of this folder ---- */

/* The prefix of an index's pages; append its first slot. */
void hwi_posting_prefix(hwi_key *key, uint32_t coll, uint32_t field, uint32_t index);

#endif
