/* kept_leaves.h - the matching rows of leaves, kept with a filter for the searches after this one.
 */
#ifndef HWI_KEPT_LEAVES_H
#define HWI_KEPT_LEAVES_H

#include "index/search_impl.h"

/* The rows of a leaf that a search looks at. */
typedef struct hwi_leaf_rows {
    const hwi_leaf_ref *leaf;
    const uint8_t *blocks; /* signatures of `row`, or of all rows of the leaf */
    const uint16_t *row;   /* matching rows, ascending, when their signatures lie apart; or NULL */
    const uint64_t *mask;  /* a bit for each row of the leaf that matches; or NULL */
    uint32_t block_count;
    uint32_t count; /* rows that match */
} hwi_leaf_rows;

/* Signatures that a search looks at. */
static inline uint32_t
hwi_leaf_rows_scanned(const hwi_leaf_rows *rows)
{
    return rows->row ? rows->count : rows->leaf->page.count;
}

/* Those of one index view, by the leaf's position in the tree. */
typedef _Atomic(hwi_leaf_rows *) hwi_kept_leaf;

/* How many searches asked this before: those that would rather use what is kept, were it there. */
uint64_t hwi_kept_leaves_ask(hwi_kept_leaves *k);

/* The list to keep in, one entry a leaf of v's tree; NULL when there is no memory for it. */
hwi_kept_leaf *hwi_kept_leaves_of(hwi_kept_leaves *k, const hwi_index_view *v);

/* Keeps the rows of a leaf whose slots' bits are set. NULL where memory is used up: the leaf is
 * then searched as it lies. Safe from any number of threads. */
const hwi_leaf_rows *hwi_kept_leaves_add(hwi_kept_leaves *k, hwi_kept_leaf *at, const hwi_model *m,
                                         const hwi_leaf_ref *leaf, const uint64_t *bits,
                                         uint32_t bits_below);

#endif
