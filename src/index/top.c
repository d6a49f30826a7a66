/* top.c - bounded list of the smallest: insertion sort while short, binary heap when long. */
#include "index/top.h"

#include <stdlib.h>

static void
insert_sorted(hwi_top *t, float distance, uint32_t tag)
{
    uint32_t i = t->count < t->capacity ? t->count++ : t->capacity - 1;

    for (; i > 0 && t->entries[i - 1].distance > distance; i--) t->entries[i] = t->entries[i - 1];
    t->entries[i] = (hwi_top_entry){distance, tag};
    if (t->count == t->capacity) t->worst = t->entries[t->capacity - 1].distance;
}

static void
sift_up(hwi_top_entry *e, uint32_t i)
{
    hwi_top_entry moving = e[i];

    for (; i > 0 && e[(i - 1) / 2].distance < moving.distance; i = (i - 1) / 2)
        e[i] = e[(i - 1) / 2];
    e[i] = moving;
}

static void
sift_down(hwi_top_entry *e, uint32_t count, uint32_t i)
{
    hwi_top_entry moving = e[i];

    for (uint32_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && e[child + 1].distance > e[child].distance) child++;
        if (e[child].distance <= moving.distance) break;
        e[i] = e[child];
    }
    e[i] = moving;
}

void
hwi_top_add(hwi_top *t, float distance, uint32_t tag)
{
    if (!(distance < t->worst)) return;
    if (t->capacity <= HWI_TOP_SORTED) {
        insert_sorted(t, distance, tag);
        return;
    }
    if (t->count < t->capacity) {
        t->entries[t->count] = (hwi_top_entry){distance, tag};
        sift_up(t->entries, t->count++);
    } else {
        t->entries[0] = (hwi_top_entry){distance, tag};
        sift_down(t->entries, t->count, 0);
    }
    if (t->count == t->capacity) t->worst = t->entries[0].distance;
}

static int
by_distance(const void *a, const void *b)
{
    const hwi_top_entry *x = a, *y = b;

    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->tag > y->tag) - (x->tag < y->tag);
}

void
hwi_top_sort(hwi_top *t)
{
    qsort(t->entries, t->count, sizeof *t->entries, by_distance);
}

/* Hoare's FIND (CACM 4(7), 1961): narrows [low, high] until the n-th smallest is in its place. */
void
hwi_top_select(hwi_top_entry *e, size_t count, size_t n)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1, want = (ptrdiff_t)n - 1;

    while (low < high) {
        float pivot = e[want].distance;
        ptrdiff_t i = low, j = high;
        do {
            while (e[i].distance < pivot) i++;
            while (e[j].distance > pivot) j--;
            if (i <= j) {
                hwi_top_entry swap = e[i];
                e[i++] = e[j], e[j--] = swap;
            }
        } while (i <= j);
        if (j < want) low = i;
        if (want < i) high = j;
    }
}
