/* lsh_filter.h - a filter as the search of leaves sees it: which rows of a leaf may be answers, and how
 * far among them the search has come.
 */
#ifndef HWI_LSH_FILTER_H
#define HWI_LSH_FILTER_H

#include "index/search_impl.h"

typedef struct hwi_leaf_filter {
    const uint64_t *bits; /* of the slots that may be answers; NULL: no filter, or none by slots */
    uint32_t below;       /* bits, a multiple of 64; one more word of zeros follows */
    uint64_t *own;        /* where they were made for this search alone */
    double rows, squares; /* sums over the leaves passed, of matching rows and of their squares */
} hwi_leaf_filter;

/* Of a search; accept may be NULL. HW_ENOMEM. */
HW_CHECKED hw_status hwi_leaf_filter_init(hwi_leaf_filter *f, const hwi_accept *accept,
                                          uint32_t slots_below, hw_error *err);
void hwi_leaf_filter_release(hwi_leaf_filter *f);

/* The rows of a leaf that may be answers; without a filter all. */
uint32_t hwi_leaf_filter_count(const hwi_leaf_filter *f, const hwi_leaf_page *page);

/* Keeps those of `count` rows and their bounds that may be answers; returns how many. */
size_t hwi_leaf_filter_keep(const hwi_leaf_filter *f, const hwi_leaf_page *page, uint32_t *row,
                            float *bound, size_t count);

/* A leaf with so many matching rows was passed. */
static inline void
hwi_leaf_filter_pass(hwi_leaf_filter *f, uint32_t rows)
{
    f->rows += rows;
    f->squares += (double)rows * rows;
}

/* How many leaves the matching rows passed would fill, were they spread evenly: n when n leaves had as
 * many each, hardly more than 1 when one had nearly all. */
static inline float
hwi_leaf_filter_place(const hwi_leaf_filter *f)
{
    return f->squares > 0 ? (float)(f->rows * f->rows / f->squares) : 0;
}

#endif
