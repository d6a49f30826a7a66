/* scratch.h - working memory of a search, kept between searches so that a query allocates nothing.
 */
#ifndef HWI_SCRATCH_H
#define HWI_SCRATCH_H

#include "index/index_impl.h"
#include "index/top.h"

typedef struct hwi_scratch {
    struct hwi_scratch *next; /* free list */
    uint8_t *memory;          /* one block holds all the arrays below */
    size_t memory_bytes;

    float *prepared; /* dim: the query for exact distances */
    float *framed;   /* dim */
    float *y;        /* out_dims */
    float *z;        /* bits */
    int8_t *q8;      /* code dims: the framed query for refine codes */
    int8_t *rest8;   /* code dims: what q8 rounds away, where leaves are tight */
    float *rest;     /* dim: likewise */
    uint8_t *bytes;  /* max(fast_dims, rank_dims) */
    hwi_scan_query *planes;
    float *scores;         /* leaves + 16 */
    hwi_top_entry *ranked; /* leaves + 32 */
    uint32_t *picked;      /* leaves + 32 */
    float *picked_score;   /* leaves + 32 */
    uint32_t *strip;       /* leaves + 32 */
    float *strip_score;    /* leaves + 32 */
    uint32_t *row;         /* two lots of HWI_LEAF_ROWS_MAX + 32 survivors */
    float *bound;          /* likewise */
} hwi_scratch;

/* Takes one from a free list of the index or makes one, large enough for a model and tree (both
 * NULL: for flat search). NULL when out of memory. */
hwi_scratch *hwi_scratch_take(hwi_index *ix, const hwi_model *m, const hwi_tree *t);
void hwi_scratch_give(hwi_index *ix, hwi_scratch *s);
HW_CHECKED hw_status hwi_scratch_lists_new(hwi_scratch_list **out, hw_error *err);
void hwi_scratch_lists_free(hwi_scratch_list *lists); /* NULL is fine */

#endif
