/* top.c - bounded list of the smallest: a sorted array while short, binary heap when long.
 *
 * Entries are ordered by distance and, where distances are equal, by the caller's `before`: what is
 * kept then does not depend on the order of arrival. `before` may be dear (it looks ids up), so it
 * is asked about equal distances only.
 */
#include "index/top.h"

#define LINEAR_MOST 48u /* entries moved one by one */

static inline bool
less(const hwi_top *t, hwi_top_entry a, hwi_top_entry b)
{
    if (a.distance != b.distance) return a.distance < b.distance;
    return t->before && t->before(t->arg, a.tag, b.tag);
}

/* Where a newcomer belongs among the first `count`: behind those that are not worse. */
static uint32_t
place_of(const hwi_top *t, uint32_t count, hwi_top_entry e)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (less(t, e, t->entries[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void
insert_sorted(hwi_top *t, hwi_top_entry e)
{
    uint32_t last = t->count < t->capacity ? t->count++ : t->capacity - 1, i = last;

    if (last < LINEAR_MOST) {
        for (; i > 0 && less(t, e, t->entries[i - 1]); i--) t->entries[i] = t->entries[i - 1];
    } else {
        i = place_of(t, last, e);
        memmove(t->entries + i + 1, t->entries + i, (last - i) * sizeof *t->entries);
    }
    t->entries[i] = e;
    if (t->count == t->capacity) t->worst = t->entries[t->capacity - 1].distance;
}

static void
sift_up(hwi_top *t, uint32_t i)
{
    hwi_top_entry *e = t->entries, moving = e[i];

    for (; i > 0 && less(t, e[(i - 1) / 2], moving); i = (i - 1) / 2) e[i] = e[(i - 1) / 2];
    e[i] = moving;
}

static void
sift_down(hwi_top *t, uint32_t i, uint32_t count)
{
    hwi_top_entry *e = t->entries, moving = e[i];

    for (uint32_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && less(t, e[child], e[child + 1])) child++;
        if (!less(t, moving, e[child])) break;
        e[i] = e[child];
    }
    e[i] = moving;
}

/* The entry that a newcomer to a full list has to come before. */
static hwi_top_entry
last_of(const hwi_top *t)
{
    return t->capacity <= HWI_TOP_SORTED ? t->entries[t->capacity - 1] : t->entries[0];
}

void
hwi_top_add(hwi_top *t, float distance, uint32_t tag)
{
    hwi_top_entry e = {distance, tag};

    if (distance > t->worst || t->capacity == 0) return;
    if (t->count == t->capacity && !less(t, e, last_of(t))) return;
    if (t->capacity <= HWI_TOP_SORTED) {
        insert_sorted(t, e);
        return;
    }
    if (t->count < t->capacity) {
        t->entries[t->count] = e;
        sift_up(t, t->count++);
    } else {
        t->entries[0] = e;
        sift_down(t, 0, t->count);
    }
    if (t->count == t->capacity) t->worst = t->entries[0].distance;
}

/* Heap sort: the largest goes to the end, again and again. */
void
hwi_top_sort(hwi_top *t)
{
    if (t->capacity <= HWI_TOP_SORTED) return;
    for (uint32_t i = t->count / 2; i-- > 0;) sift_down(t, i, t->count);
    for (uint32_t end = t->count; end > 1;) {
        hwi_top_entry largest = t->entries[0];
        t->entries[0] = t->entries[--end];
        t->entries[end] = largest;
        sift_down(t, 0, end);
    }
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
