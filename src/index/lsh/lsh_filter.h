/* lsh_filter.h - a filter as the search of leaves sees it: which rows of a leaf may be answers, and how
 * far among them the search has come.
 */
#ifndef HWI_LSH_FILTER_H
#define HWI_LSH_FILTER_H

#include "index/lsh/kept_leaves.h"

typedef struct hwi_leaf_filter {
    const uint64_t *bits; /* of the slots that may be answers; NULL: no filter, or none by slots */
    uint32_t below;       /* bits, a multiple of 64; one more word of zeros follows */
    uint64_t *own;        /* where they were made for this search alone */
    hwi_kept_leaves *leaves; /* where matching rows are kept; NULL: nowhere, */
    hwi_kept_leaf *kept;     /* and the view's part of it */
    double rows, squares; /* sums over the leaves passed, of matching rows and of their squares */
} hwi_leaf_filter;

/* Of a search; accept may be NULL. HW_ENOMEM. */
HW_CHECKED hw_status hwi_leaf_filter_init(hwi_leaf_filter *f, const hwi_accept *accept,
                                          uint32_t slots_below, hw_error *err);
void hwi_leaf_filter_release(hwi_leaf_filter *f);

/* Uses and makes what is kept with the filter of the leaves of v, which has signatures. */
void hwi_leaf_filter_remember(hwi_leaf_filter *f, const hwi_accept *accept,
                              const hwi_index_view *v);

/* What is kept of a leaf; NULL: nothing yet. */
static inline const hwi_leaf_rows *
hwi_leaf_filter_kept(const hwi_leaf_filter *f, uint32_t position)
{
    return f->kept ? atomic_load_explicit(&f->kept[position], memory_order_acquire) : NULL;
}

/* The rows of a leaf that may be answers, without a filter all: as kept, or else in *own. */
HW_CHECKED hw_status hwi_leaf_filter_open(hwi_leaf_filter *f, hwi_index_view *v, uint32_t position,
                                          hwi_leaf_rows *own, const hwi_leaf_rows **out,
                                          hw_error *err);

/* Keeps those of `count` rows as scanned, and their bounds, that may be answers, as rows of the
 * leaf; returns how many. */
size_t hwi_leaf_filter_keep(const hwi_leaf_filter *f, const hwi_leaf_rows *rows, uint32_t *row,
                            float *bound, size_t count);

/* A leaf with so many matching rows was passed. */
static inline void
hwi_leaf_filter_pass(hwi_leaf_filter *f, uint32_t rows)
{
    f->rows += rows;
    f->squares += (double)rows * rows;
}

/* How many of the leaves passed the matching rows in them would fill, were they spread as evenly as
 * chance spreads them: nearly all when a filter lets rows through at random, hardly more than 1 when one
 * leaf has nearly all. Numbers that chance makes have a mean of n (n - 1) that is their mean squared. */
static inline float
hwi_leaf_filter_place(const hwi_leaf_filter *f, uint32_t passed)
{
    double pairs = f->squares - f->rows;

    return (float)(f->rows * f->rows < passed * pairs ? f->rows * f->rows / pairs : passed);
}

#endif
