/* top.h - the best few seen so far: a bounded list of (distance, tag), smallest distances kept.
 *
 * Up to HWI_TOP_SORTED entries it is a sorted array, which tells any of them, where an insertion moves
 * a few kilobytes at most; above that a binary heap with the worst on top. `worst` is what a newcomer
 * has to beat.
 */
#ifndef HWI_TOP_H
#define HWI_TOP_H

#include "base/base.h"

#define HWI_TOP_SORTED 1536u

typedef struct hwi_top_entry {
    float distance;
    uint32_t tag;
} hwi_top_entry;

typedef struct hwi_top {
    hwi_top_entry *entries; /* room for capacity, owned by the caller */
    uint32_t count, capacity;
    float worst; /* INFINITY until full */

    /* Among equal distances: whether the first tag comes before the second. NULL: no order, first
     * come stays. */
    bool (*before)(void *arg, uint32_t a, uint32_t b);
    void *arg;
} hwi_top;

static inline void
hwi_top_init(hwi_top *t, hwi_top_entry *entries, uint32_t capacity)
{
    *t = (hwi_top){.entries = entries, .capacity = capacity, .worst = __builtin_inff()};
}

/* Adds the entry if it is better than the worst. */
void hwi_top_add(hwi_top *t, float distance, uint32_t tag);

/* The n-th smallest distance (n from 1), INFINITY while there are fewer: exact in a sorted list,
 * the worst of all in a heap. */
static inline float
hwi_top_bound(const hwi_top *t, uint32_t n)
{
    if (t->count < n) return __builtin_inff();
    return t->capacity <= HWI_TOP_SORTED ? t->entries[n - 1].distance : t->worst;
}

/* Sorts ascending by distance, then by `before`. Nothing may be added afterwards. */
void hwi_top_sort(hwi_top *t);

/* Moves the n smallest of `count` to the front, in no order; 0 < n <= count. */
void hwi_top_select(hwi_top_entry *entries, size_t count, size_t n);

#endif
